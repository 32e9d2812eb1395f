"""Puts a ledger's samples into one parquet file in the order they were wanted, in memory that does not grow with them.

A ledger holds samples in the order they finished, over several segments and some of them more than once. The index
(which row of which segment is which place in the order) is small. Rows then go segment by segment into buckets, one
for each run of places; a bucket that is full is a row group of the file. Buckets that wait for late rows are put aside
on disk when together they hold too much.
"""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from generators.ledger import Ledger, read_segment
from generators.records import TRACE, replace_durably

ROW_GROUP = 2048  # samples: about 50 MB of 24 KB traces
HELD_BYTES = 96 << 20

INDEX = {"segment": pl.UInt32, "row": pl.UInt32, "place": pl.UInt32, "finish_reason": pl.String}
Index = pl.DataFrame  # segment: its number; row: in the segment; place: in the order


def collect(kept: Ledger, trace_ids: Sequence[str], out: Path, *, drop_truncated: bool = False) -> int:
    """Write the ledger's newest row of each id to `out`, in the order of the ids; how many were left out as truncated.

    An id that the ledger lacks is an AssertionError.
    """
    kept.settle()
    paths, index = index_of(kept, trace_ids)
    assert index.height == len(trace_ids), f"the ledger holds {index.height} of {len(trace_ids)} samples"
    if drop_truncated:
        index = index.filter(pl.col("finish_reason") != "length")
        index = index.with_columns(pl.col("place").rank("ordinal").cast(pl.UInt32) - 1)
    partial = out.with_name(out.name + ".partial")
    schema = pl.DataFrame(schema=TRACE).to_arrow().schema
    with pq.ParquetWriter(partial, schema, compression="zstd", compression_level=1) as writer:
        for group in row_groups(paths, index, out.parent):
            writer.write_table(group.to_arrow().cast(schema))
    replace_durably(partial, out)
    return len(trace_ids) - index.height


def index_of(kept: Ledger, trace_ids: Sequence[str]) -> tuple[list[Path], Index]:
    """(segments, where each wanted sample's newest row is)."""
    order = pl.DataFrame({"trace_id": trace_ids}, schema={"trace_id": pl.String}).with_row_index("place")
    paths: list[Path] = []
    found = [pl.DataFrame(schema=INDEX)]
    for segment, ids in kept.scan("trace_id", "finish_reason"):
        rows = ids.with_row_index("row").with_columns(pl.lit(len(paths), pl.UInt32).alias("segment"))
        found.append(rows.join(order, on="trace_id").select(*INDEX))
        paths.append(segment)
    return paths, pl.concat(found).unique("place", keep="last", maintain_order=True)


def row_groups(paths: Sequence[Path], index: Index, scratch: Path) -> Iterator[pl.DataFrame]:
    """The rows in order, ROW_GROUP at a time."""
    index = index.with_columns((pl.col("place") // ROW_GROUP).alias("bucket"))
    waiting = dict(index.group_by("bucket").len().iter_rows())
    with tempfile.TemporaryDirectory(dir=scratch, prefix="collect-") as folder:
        buckets = Buckets(Path(folder))
        following = 0
        for rows in index.sort("segment").partition_by("segment", maintain_order=True):
            for bucket, part in taken(paths[rows["segment"][0]], rows):
                buckets.add(bucket, part)
                waiting[bucket] -= part.height
            while waiting.get(following) == 0:
                yield buckets.take(following)
                del waiting[following]
                following += 1
            buckets.put_aside()
    assert not waiting, f"{len(waiting)} row groups were never complete"


def taken(segment: Path, rows: Index) -> Iterator[tuple[int, pl.DataFrame]]:
    """The indexed rows of a segment, by bucket."""
    chosen = read_segment(segment)[rows["row"]].hstack(rows.select("place", "bucket"))
    for part in chosen.partition_by("bucket"):
        yield part["bucket"][0], part.drop("bucket")


class Buckets:
    """Rows that wait until their row group is complete: in memory, beyond HELD_BYTES in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: defaultdict[int, list[pl.DataFrame]] = defaultdict(list)

    def add(self, bucket: int, rows: pl.DataFrame) -> None:
        """Rows of a row group that has not been taken."""
        self.held[bucket].append(rows)

    def take(self, bucket: int) -> pl.DataFrame:
        """All rows of a complete row group, in order."""
        aside = self.folder / str(bucket)
        parts = [pl.read_ipc(file) for file in sorted(aside.glob("*"))] if aside.exists() else []
        shutil.rmtree(aside, ignore_errors=True)
        return pl.concat([*parts, *self.held.pop(bucket, [])]).sort("place").drop("place")

    def put_aside(self) -> None:
        """Write everything held to disk, once it is too much."""
        if sum(part.estimated_size() for parts in self.held.values() for part in parts) <= HELD_BYTES:
            return
        for bucket, parts in self.held.items():
            aside = self.folder / str(bucket)
            aside.mkdir(exist_ok=True)
            number = sum(1 for _ in aside.iterdir())
            pl.concat(parts).write_ipc(aside / f"{number:06}", compression="lz4")
        self.held.clear()
