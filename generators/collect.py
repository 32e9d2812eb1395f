"""Puts a ledger's samples into one parquet file in the order they were wanted, in memory that does not grow with them.

A ledger holds samples in the order they finished, over several segments and some of them more than once. An index
(which row of which segment is which place in the order) is small. The file is made in parts of PART_BYTES. Where the
samples finished in nearly the order they were wanted, each part is picked out of the few segments that hold its rows.
Where they did not, the rows are first dealt out to files, one for each part: two passes, whatever the order.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import parquet as pq

from generators.ledger import Ledger, read_segment
from generators.records import TRACE, replace_durably

PART_BYTES = 16 << 20  # of traces that are put in order at once
MOST_PARTS = 512  # files that are open side by side
KEPT_SEGMENTS = 4  # in memory at once while parts are picked
MOST_READS = 4  # of a segment on average; beyond them dealing out costs less than picking
GROUP_BYTES = 16 << 20  # of a row group
BYTES_A_TOKEN = 8  # text and id
REPETITIVE = ["prompt_id", "teacher", "revision", "sampling", "finish_reason"]  # the columns that a dictionary shrinks

INDEX = {
    **{"segment": pl.UInt32, "row": pl.UInt32, "place": pl.UInt32},
    **{"finish_reason": pl.String, "completion_tokens": pl.Int32},
}
SCHEMA = pl.DataFrame(schema=TRACE).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
PLACED = SCHEMA.append(pa.field("place", pa.uint32()))
Index = pl.DataFrame  # segment: its number; row: in the segment; place: in the order


def collect(kept: Ledger, trace_ids: Sequence[str], out: Path, *, drop_truncated: bool = False) -> pl.DataFrame:
    """Write the ledger's newest row of each id to `out`, in the order of the ids, and give an `outlines` frame of them.

    An id that the ledger lacks is an AssertionError.
    """
    kept.settle()
    paths, index = index_of(kept, trace_ids)
    assert index.height == len(trace_ids), f"the ledger holds {index.height} of {len(trace_ids)} samples"
    if drop_truncated:
        index = index.filter(pl.col("finish_reason") != "length")
    index = index.with_columns((pl.col("place").rank("ordinal") - 1).cast(pl.UInt32).alias("place"))
    partial = out.with_name(out.name + ".partial")
    with TemporaryDirectory(dir=out.parent, prefix="collect-") as folder:
        written = write_groups(in_parts(paths, index, Path(folder)), group_rows(index), partial)
    replace_durably(partial, out)
    return written


def outlines(traces: pl.DataFrame) -> pl.DataFrame:
    """finish_reason, completion_tokens and error of each trace, and whether it is `silent`: without reasoning."""
    return traces.select("finish_reason", "completion_tokens", "error", pl.col("reasoning").is_null().alias("silent"))


def index_of(kept: Ledger, trace_ids: Sequence[str]) -> tuple[list[Path], Index]:
    """(segments, where each wanted sample's newest row is)."""
    order = pl.DataFrame({"trace_id": trace_ids}, schema={"trace_id": pl.String}).with_row_index("place")
    paths: list[Path] = []
    found = [pl.DataFrame(schema={"trace_id": pl.String, **{k: INDEX[k] for k in INDEX if k != "place"}})]
    for segment, ids in kept.scan("trace_id", "finish_reason", "completion_tokens"):
        rows = ids.with_row_index("row").with_columns(pl.lit(len(paths), pl.UInt32).alias("segment"))
        found.append(rows.select(found[0].columns))
        paths.append(segment)
    rows = pl.concat(found).join(order, on="trace_id", maintain_order="left")
    return paths, rows.select(*INDEX).unique("place", keep="last", maintain_order=True)


def mean_bytes(index: Index) -> float:
    """About what a row takes; the same however the samples came about."""
    return 500 + BYTES_A_TOKEN * float(index["completion_tokens"].fill_null(0).mean() or 0)  # type: ignore[arg-type]


def group_rows(index: Index) -> int:
    """Rows a row group."""
    return max(64, int(GROUP_BYTES / mean_bytes(index)))


def in_parts(paths: Sequence[Path], index: Index, folder: Path) -> Iterator[pa.Table]:
    """Consecutive parts of the order, each with all its rows and their places, not in order yet."""
    count = min(MOST_PARTS, int(mean_bytes(index) * index.height / PART_BYTES) + 1)
    rows_a_part = -(-index.height // count) or 1
    index = index.with_columns((pl.col("place") // rows_a_part).alias("part"))
    stretches = index.select(pl.struct("part", "segment").n_unique()).item()
    if stretches <= MOST_READS * max(len(paths), count):
        return picked(paths, index.sort("part", "segment", "row"))
    return dealt_out(paths, index.sort("segment", "row"), [folder / f"{part:03}" for part in range(count)])


def picked(paths: Sequence[Path], index: Index) -> Iterator[pa.Table]:
    """Each part out of the segments that hold it; those read last are still there for the next part."""
    read = lru_cache(KEPT_SEGMENTS)(lambda segment: read_table(paths[segment]))
    for part in index.partition_by("part", maintain_order=True):
        stretches = part.partition_by("segment", maintain_order=True)
        yield pa.concat_tables([with_places(read(rows["segment"][0]), rows) for rows in stretches])


def dealt_out(paths: Sequence[Path], index: Index, files: Sequence[Path]) -> Iterator[pa.Table]:
    """Each part out of a file of its own, to which its rows were written as the segments were read once, in turn."""
    write_parts(files, stretches_of(paths, index))
    for file in files:
        yield pa.ipc.open_stream(file).read_all()
        file.unlink()


def stretches_of(paths: Sequence[Path], index: Index) -> Iterator[tuple[int, pa.Table]]:
    """(part, rows with their places), segment by segment; the next segment is read meanwhile."""
    wanted = index.partition_by("segment", maintain_order=True)
    with ThreadPoolExecutor(1, "collect") as beside:
        following = [beside.submit(read_table, paths[rows["segment"][0]]) for rows in wanted[:1]]
        for number, rows in enumerate(wanted):
            table = following.pop().result()
            following = [
                beside.submit(read_table, paths[more["segment"][0]]) for more in wanted[number + 1 : number + 2]
            ]
            for part in rows.partition_by("part", maintain_order=True):
                yield part["part"][0], with_places(table, part)


def read_table(segment: Path) -> pa.Table:
    """All rows of a segment."""
    if segment.suffix == ".parquet":
        with pq.ParquetFile(segment) as file:
            return file.read(use_threads=False).select(SCHEMA.names).cast(SCHEMA)
    return read_segment(segment).to_arrow(compat_level=pl.CompatLevel.oldest())


def with_places(table: pa.Table, rows: Index) -> pa.Table:
    """Those rows of a segment and their places; texts are long, so only rows that are not in one piece are copied."""
    first, last = rows["row"][0], rows["row"][-1]
    whole = last - first == rows.height - 1
    found = table.slice(first, rows.height) if whole else table.take(rows["row"].to_arrow())
    return found.append_column("place", rows["place"].to_arrow())


def write_parts(files: Sequence[Path], placed: Iterable[tuple[int, pa.Table]]) -> None:
    """Append each stretch of rows to its part's file."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as stack:
        writers: list[Any] = [stack.enter_context(pa.ipc.new_stream(file, PLACED, options=options)) for file in files]
        for part, rows in placed:
            writers[part].write_table(rows.combine_chunks())


def write_groups(parts: Iterable[pa.Table], rows_a_group: int, out: Path) -> pl.DataFrame:
    """Put each part in order and write it in row groups, the same whatever the parts are; the `outlines` of it all."""
    seen = [outlines(pl.DataFrame(schema=TRACE))]
    with (
        pq.ParquetWriter(out, SCHEMA, compression="zstd", compression_level=1, use_dictionary=REPETITIVE) as writer,
        ThreadPoolExecutor(1, "collect") as beside,  # one part is compressed while the next is read
    ):
        written: Future[Any] = beside.submit(int)
        # pyarrow's empty_table, array and to_numpy import pandas where it is installed, for 0.7 s
        rest = pa.Table.from_batches([], SCHEMA)
        for part in parts:
            part = in_order(part)
            seen.append(outlines_of(part))
            rest = pa.concat_tables([rest, part])
            whole = rest.num_rows // rows_a_group * rows_a_group
            written.result()
            written = beside.submit(writer.write_table, rest.slice(0, whole), rows_a_group)
            rest = rest.slice(whole)
        written.result()
        if rest.num_rows:
            writer.write_table(rest)
    return pl.concat(seen)


def outlines_of(rows: pa.Table) -> pl.DataFrame:
    """The `outlines` of an Arrow table, which would keep the texts alive if it were made a frame as it is."""
    silent = rows["reasoning"].is_null()
    return pl.DataFrame(rows.select(["finish_reason", "completion_tokens", "error"]).append_column("silent", silent))


def in_order(part: pa.Table) -> pa.Table:
    """Rows by their places."""
    places = pl.Series(part["place"]).to_numpy()
    part = part.drop_columns("place")
    return part if (places[:-1] < places[1:]).all() else part.take(pl.Series(np.argsort(places)).to_arrow())
