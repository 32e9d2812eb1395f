"""Export of a ledger: one parquet file of the wanted samples, in the wanted order, in bounded memory.

A ledger holds samples in the order they finished, over several segments, some of them more than once. A small index
maps each place of the wanted order to a row of a segment. The file is written in parts of PART_BYTES. Where the samples
finished in almost the wanted order, each part is picked from the few segments that hold its rows. Otherwise the rows
are first distributed over one file per part: two passes, whatever the order.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet as pq

from generators.contract.files import replace_durably
from generators.contract.records import TRACE
from generators.ledger.ledger import Ledger, read_segment

PART_BYTES = 8 << 20  # of traces sorted at once
MOST_PARTS = 512  # files open at once
KEPT_SEGMENTS = 3  # in memory while parts are picked
MOST_READS = 4  # of a segment on average, beyond which distributing costs less than picking
GROUP_BYTES = 16 << 20  # of a row group
FOLDED = 64  # parts whose facts are summed at once
BYTES_PER_TOKEN = 8  # text and id
LONG = ("reasoning", "answer", "error", "token_ids", "wrapping", "fault")  # whose minimum and maximum are useless
REPETITIVE = ["prompt_id", "teacher", "revision", "sampling", "finish_reason"]  # dictionary encoding shrinks these

SCHEMA = pl.DataFrame(schema=TRACE).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
PLACED = SCHEMA.append(pa.field("place", pa.uint32()))
STATISTICS = [column for column in SCHEMA.names if column not in LONG]
OPTIONS: dict[str, Any] = {"compression_level": 1, "use_dictionary": REPETITIVE, "write_statistics": STATISTICS}
NOWHERE = np.iinfo(np.uint32).max


@dataclass
class Index:
    """The location of each wanted sample, in the wanted order; arrays, because there may be millions."""

    segment: NDArray[np.uint32]  # (n) number of the segment
    row: NDArray[np.uint32]  # (n) row of the segment
    tokens: NDArray[np.int32]  # (n) tokens of the completion
    truncated: NDArray[np.bool_]  # (n)

    def only(self, kept: NDArray[np.bool_]) -> "Index":
        """Return the index of the samples where `kept` is true."""
        return Index(self.segment[kept], self.row[kept], self.tokens[kept], self.truncated[kept])

    def mean_bytes(self) -> float:
        """Estimate the bytes of a row, from token counts alone: equal samples give equal row groups."""
        return 500 + BYTES_PER_TOKEN * float(self.tokens.mean() if len(self.tokens) else 0)


def export(kept: Ledger, trace_ids: Sequence[str], out: Path, *, drop_truncated: bool = False) -> pl.DataFrame:
    """Write the ledger's newest row of each id to `out`, in the order of the ids; return their `outline`.

    An id that the ledger lacks is an AssertionError.
    """
    kept.settle()
    paths, index = index_of(kept, trace_ids)
    missing = int((index.segment == NOWHERE).sum())
    assert not missing, f"the ledger lacks {missing} of {len(trace_ids)} samples"
    if drop_truncated:
        index = index.only(~index.truncated)
    partial = out.with_name(out.name + ".partial")
    with TemporaryDirectory(dir=out.parent, prefix="export-") as folder:
        written = write_groups(in_parts(paths, index, Path(folder)), group_rows(index), partial)
    replace_durably(partial, out)
    return written


def outline(traces: pl.DataFrame) -> pl.DataFrame:
    """Return counts of traces and tokens and one error, by finish_reason and `silent` (without reasoning)."""
    return sum_of([facts(traces)])


def facts(traces: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that an outline sums, one row per trace."""
    silent = pl.col("reasoning").is_null().alias("silent")
    tokens = pl.col("completion_tokens").cast(pl.Int64).alias("tokens")
    return traces.select("finish_reason", silent, pl.lit(1, pl.Int64).alias("traces"), tokens, "error")


def sum_of(outlines: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the outline of all these traces together."""
    sums = [pl.col("traces", "tokens").sum(), pl.col("error").drop_nulls().first()]
    return pl.concat(outlines).group_by("finish_reason", "silent").agg(*sums).sort("finish_reason", "silent")


def index_of(kept: Ledger, trace_ids: Sequence[str]) -> tuple[list[Path], Index]:
    """Return (segments, the index of each wanted sample's newest row)."""
    wanted = np.asarray(trace_ids, dtype=bytes)
    order = np.argsort(wanted)
    ordered = wanted[order]
    count = len(wanted)
    index = Index(np.full(count, NOWHERE, np.uint32), *(np.zeros(count, kind) for kind in (np.uint32, np.int32, bool)))
    paths: list[Path] = []
    for segment, rows in kept.scan("trace_id", "finish_reason", "completion_tokens"):
        found = np.array(rows["trace_id"].to_list(), dtype=bytes)
        at = np.minimum(np.searchsorted(ordered, found), max(0, count - 1))
        hits = np.flatnonzero(ordered[at] == found) if count else at[:0]
        places = order[at[hits]]  # of equal ids the later assignment counts
        index.segment[places], index.row[places] = len(paths), hits
        index.tokens[places] = rows["completion_tokens"].fill_null(0).to_numpy()[hits]
        index.truncated[places] = (rows["finish_reason"] == "length").to_numpy()[hits]
        paths.append(segment)
    return paths, index


def group_rows(index: Index) -> int:
    """Return the rows per row group."""
    return max(64, int(GROUP_BYTES / index.mean_bytes()))


def in_parts(paths: Sequence[Path], index: Index, folder: Path) -> Iterator[pa.Table]:
    """Yield consecutive parts of the order, each with all its rows and their places, not sorted yet."""
    count = int(index.mean_bytes() * len(index.row) / PART_BYTES) + 1
    part = part_of(len(index.row), count)
    stretches = len(np.unique(part.astype(np.int64) * len(paths) + index.segment))
    if stretches <= MOST_READS * max(len(paths), count):
        return picked(paths, index, part)
    count = min(MOST_PARTS, count)
    files = [folder / f"{number:03}" for number in range(count)]
    return distributed(paths, index, part_of(len(index.row), count), files)


def part_of(rows: int, count: int) -> NDArray[np.uint32]:
    """Return the part number of each place (rows)."""
    return np.arange(rows, dtype=np.uint32) // max(1, -(-rows // count))


def picked(paths: Sequence[Path], index: Index, part: NDArray[np.uint32]) -> Iterator[pa.Table]:
    """Yield each part from the segments that hold it; the last ones read stay in memory for the next part."""
    read = lru_cache(KEPT_SEGMENTS)(lambda segment: read_table(paths[segment]))
    for places in runs(part, np.lexsort((index.row, index.segment, part))):
        stretches = runs(index.segment, places)
        yield pa.concat_tables(
            [with_places(read(int(index.segment[few[0]])), index.row[few], few) for few in stretches]
        )


def runs(values: NDArray[Any], places: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Split `places`, where equal values are adjacent, into pieces with one value each."""
    ends = np.flatnonzero(np.diff(values[places])) + 1
    return (piece for piece in np.split(places, ends) if len(piece))


def distributed(
    paths: Sequence[Path], index: Index, part: NDArray[np.uint32], files: Sequence[Path]
) -> Iterator[pa.Table]:
    """Read each segment once, append its rows to one file per part, and yield the parts from their files."""
    write_parts(files, stretches_of(paths, index, part))
    for file in files:
        yield pa.ipc.open_stream(file).read_all()
        file.unlink()


def stretches_of(paths: Sequence[Path], index: Index, part: NDArray[np.uint32]) -> Iterator[tuple[int, pa.Table]]:
    """Yield (part, rows with their places), segment by segment; the next segment is read meanwhile."""
    wanted = list(runs(index.segment, np.lexsort((index.row, part, index.segment))))
    with ThreadPoolExecutor(1, "export") as reader:
        following = [reader.submit(read_table, paths[index.segment[places[0]]]) for places in wanted[:1]]
        for number, places in enumerate(wanted):
            table = following.pop().result()
            following = [
                reader.submit(read_table, paths[index.segment[more[0]]]) for more in wanted[number + 1 : number + 2]
            ]
            for few in runs(part, places):
                yield int(part[few[0]]), with_places(table, index.row[few], few)


def read_table(segment: Path) -> pa.Table:
    """Return all rows of a segment."""
    if segment.suffix == ".parquet":
        with pq.ParquetFile(segment) as file:
            rows = file.read(use_threads=False)
        for name in SCHEMA.names:
            if name not in rows.column_names:  # written by an older version
                rows = rows.append_column(name, pa.nulls(rows.num_rows, SCHEMA.field(name).type))
        return rows.select(SCHEMA.names).cast(SCHEMA)
    return read_segment(segment).to_arrow(compat_level=pl.CompatLevel.oldest())


def with_places(table: pa.Table, rows: NDArray[Any], places: NDArray[Any]) -> pa.Table:
    """Return rows of a segment with their places; contiguous rows are not copied, as texts are long."""
    whole = rows[-1] - rows[0] == len(rows) - 1
    found = table.slice(rows[0], len(rows)) if whole else table.take(pl.Series(rows).to_arrow())
    return found.append_column("place", pl.Series(places.astype(np.uint32)).to_arrow())


def write_parts(files: Sequence[Path], placed: Iterable[tuple[int, pa.Table]]) -> None:
    """Append each table of rows to its part's file."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as stack:
        writers: list[Any] = [stack.enter_context(pa.ipc.new_stream(file, PLACED, options=options)) for file in files]
        for part, rows in placed:
            writers[part].write_table(rows.combine_chunks())


def write_groups(parts: Iterable[pa.Table], rows_per_group: int, out: Path) -> pl.DataFrame:
    """Sort each part and write it in row groups that do not depend on the parts; return the `outline` of all rows."""
    seen = [facts(pl.DataFrame(schema=TRACE))]
    with (
        pq.ParquetWriter(out, SCHEMA, compression="zstd", **OPTIONS) as writer,
        ThreadPoolExecutor(1, "export") as compressor,  # one part is compressed while the next is read
    ):
        written: Future[Any] = compressor.submit(int)
        # pyarrow's empty_table, array and to_numpy would import pandas where it is installed, which takes 0.7 s
        rest = pa.Table.from_batches([], SCHEMA)
        for part in parts:
            part = in_order(part)
            seen.append(facts(pl.DataFrame(part.select(["finish_reason", "completion_tokens", "error", "reasoning"]))))
            if len(seen) > FOLDED:
                seen = [sum_of(seen)]
            rest = pa.concat_tables([rest, part])
            whole = rest.num_rows // rows_per_group * rows_per_group
            if whole:
                written.result()
                written = compressor.submit(writer.write_table, rest.slice(0, whole), rows_per_group)
                rest = rest.slice(whole)
        written.result()
        if rest.num_rows:
            writer.write_table(rest)
    return sum_of(seen)


def in_order(part: pa.Table) -> pa.Table:
    """Return the rows sorted by their places, without these."""
    places = pl.Series(part["place"]).to_numpy()
    part = part.drop_columns("place")
    return part if (places[:-1] < places[1:]).all() else part.take(pl.Series(np.argsort(places)).to_arrow())
