"""Puts a ledger's samples into one parquet file in the order they were wanted, in memory that does not grow with them.

A ledger holds samples in the order they finished, over several segments and some of them more than once. An index
(which row of which segment is which place in the order) is small. The file is made in parts of PART_BYTES. Where the
samples finished in nearly the order they were wanted, each part is picked out of the few segments that hold its rows.
Where they did not, the rows are first dealt out to files, one for each part: two passes, whatever the order.
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
from pyarrow import parquet as pq

from generators.contract.files import replace_durably
from generators.contract.records import TRACE
from generators.ledger.ledger import Ledger, read_segment

PART_BYTES = 8 << 20  # of traces that are put in order at once
MOST_PARTS = 512  # files that are open side by side
KEPT_SEGMENTS = 3  # in memory at once while parts are picked
MOST_READS = 4  # of a segment on average; beyond them dealing out costs less than picking
GROUP_BYTES = 16 << 20  # of a row group
FOLDED = 64  # parts whose outlines are summed at once
BYTES_A_TOKEN = 8  # text and id
LONG = ("reasoning", "answer", "error", "token_ids")  # of which the least and the greatest value tell nobody anything
REPETITIVE = ["prompt_id", "teacher", "revision", "sampling", "finish_reason"]  # the columns that a dictionary shrinks

SCHEMA = pl.DataFrame(schema=TRACE).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
PLACED = SCHEMA.append(pa.field("place", pa.uint32()))
STATISTICS = [column for column in SCHEMA.names if column not in LONG]
OPTIONS: dict[str, Any] = {"compression_level": 1, "use_dictionary": REPETITIVE, "write_statistics": STATISTICS}
NOWHERE = np.iinfo(np.uint32).max


@dataclass
class Index:
    """Where each wanted sample is, in the order wanted; arrays, because there may be millions."""

    segment: np.ndarray  # (n) uint32, the number of a segment
    row: np.ndarray  # (n) uint32, of the segment
    tokens: np.ndarray  # (n) int32, of the completion
    truncated: np.ndarray  # (n) bool

    def only(self, kept: np.ndarray) -> "Index":
        """Some of them."""
        return Index(self.segment[kept], self.row[kept], self.tokens[kept], self.truncated[kept])

    def mean_bytes(self) -> float:
        """About what a row takes; the same however the samples came about."""
        return 500 + BYTES_A_TOKEN * float(self.tokens.mean() if len(self.tokens) else 0)


def export(kept: Ledger, trace_ids: Sequence[str], out: Path, *, drop_truncated: bool = False) -> pl.DataFrame:
    """Write the ledger's newest row of each id to `out`, in the order of the ids; their `outline`.

    An id that the ledger lacks is an AssertionError.
    """
    kept.settle()
    paths, index = index_of(kept, trace_ids)
    missing = int((index.segment == NOWHERE).sum())
    assert not missing, f"the ledger lacks {missing} of {len(trace_ids)} samples"
    if drop_truncated:
        index = index.only(~index.truncated)
    partial = out.with_name(out.name + ".partial")
    with TemporaryDirectory(dir=out.parent, prefix="collect-") as folder:
        written = write_groups(in_parts(paths, index, Path(folder)), group_rows(index), partial)
    replace_durably(partial, out)
    return written


def outline(traces: pl.DataFrame) -> pl.DataFrame:
    """Traces, their tokens and an error, by finish_reason and whether they are `silent`: without reasoning."""
    return sum_of([facts(traces)])


def facts(traces: pl.DataFrame) -> pl.DataFrame:
    """What an outline is summed from, a row a trace."""
    silent = pl.col("reasoning").is_null().alias("silent")
    tokens = pl.col("completion_tokens").cast(pl.Int64).alias("tokens")
    return traces.select("finish_reason", silent, pl.lit(1, pl.Int64).alias("traces"), tokens, "error")


def sum_of(outlines: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The outline of all their traces together."""
    sums = [pl.col("traces", "tokens").sum(), pl.col("error").drop_nulls().first()]
    return pl.concat(outlines).group_by("finish_reason", "silent").agg(*sums).sort("finish_reason", "silent")


def index_of(kept: Ledger, trace_ids: Sequence[str]) -> tuple[list[Path], Index]:
    """(segments, where each wanted sample's newest row is)."""
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
        places = order[at[hits]]  # of an id that is there twice the later assignment counts
        index.segment[places], index.row[places] = len(paths), hits
        index.tokens[places] = rows["completion_tokens"].fill_null(0).to_numpy()[hits]
        index.truncated[places] = (rows["finish_reason"] == "length").to_numpy()[hits]
        paths.append(segment)
    return paths, index


def group_rows(index: Index) -> int:
    """Rows a row group."""
    return max(64, int(GROUP_BYTES / index.mean_bytes()))


def in_parts(paths: Sequence[Path], index: Index, folder: Path) -> Iterator[pa.Table]:
    """Consecutive parts of the order, each with all its rows and their places, not in order yet."""
    count = int(index.mean_bytes() * len(index.row) / PART_BYTES) + 1
    part = part_of(len(index.row), count)
    stretches = len(np.unique(part.astype(np.int64) * len(paths) + index.segment))
    if stretches <= MOST_READS * max(len(paths), count):
        return picked(paths, index, part)
    count = min(MOST_PARTS, count)
    files = [folder / f"{number:03}" for number in range(count)]
    return dealt_out(paths, index, part_of(len(index.row), count), files)


def part_of(rows: int, count: int) -> np.ndarray:
    """(rows) the number of each place's part."""
    return np.arange(rows, dtype=np.uint32) // max(1, -(-rows // count))


def picked(paths: Sequence[Path], index: Index, part: np.ndarray) -> Iterator[pa.Table]:
    """Each part out of the segments that hold it; those read last are still there for the next part."""
    read = lru_cache(KEPT_SEGMENTS)(lambda segment: read_table(paths[segment]))
    for places in runs(part, np.lexsort((index.row, index.segment, part))):
        stretches = runs(index.segment, places)
        yield pa.concat_tables(
            [with_places(read(int(index.segment[few[0]])), index.row[few], few) for few in stretches]
        )


def runs(values: np.ndarray, places: np.ndarray) -> Iterator[np.ndarray]:
    """The places in pieces with one value each; `places` has equal values side by side."""
    ends = np.flatnonzero(np.diff(values[places])) + 1
    return (piece for piece in np.split(places, ends) if len(piece))


def dealt_out(paths: Sequence[Path], index: Index, part: np.ndarray, files: Sequence[Path]) -> Iterator[pa.Table]:
    """Each part out of a file of its own, to which its rows were written as the segments were read once, in turn."""
    write_parts(files, stretches_of(paths, index, part))
    for file in files:
        yield pa.ipc.open_stream(file).read_all()
        file.unlink()


def stretches_of(paths: Sequence[Path], index: Index, part: np.ndarray) -> Iterator[tuple[int, pa.Table]]:
    """(part, rows with their places), segment by segment; the next segment is read meanwhile."""
    wanted = list(runs(index.segment, np.lexsort((index.row, part, index.segment))))
    with ThreadPoolExecutor(1, "collect") as beside:
        following = [beside.submit(read_table, paths[index.segment[places[0]]]) for places in wanted[:1]]
        for number, places in enumerate(wanted):
            table = following.pop().result()
            following = [
                beside.submit(read_table, paths[index.segment[more[0]]]) for more in wanted[number + 1 : number + 2]
            ]
            for few in runs(part, places):
                yield int(part[few[0]]), with_places(table, index.row[few], few)


def read_table(segment: Path) -> pa.Table:
    """All rows of a segment."""
    if segment.suffix == ".parquet":
        with pq.ParquetFile(segment) as file:
            return file.read(use_threads=False).select(SCHEMA.names).cast(SCHEMA)
    return read_segment(segment).to_arrow(compat_level=pl.CompatLevel.oldest())


def with_places(table: pa.Table, rows: np.ndarray, places: np.ndarray) -> pa.Table:
    """Those rows of a segment and their places; texts are long, so only rows that are not in one piece are copied."""
    whole = rows[-1] - rows[0] == len(rows) - 1
    found = table.slice(rows[0], len(rows)) if whole else table.take(pl.Series(rows).to_arrow())
    return found.append_column("place", pl.Series(places.astype(np.uint32)).to_arrow())


def write_parts(files: Sequence[Path], placed: Iterable[tuple[int, pa.Table]]) -> None:
    """Append each stretch of rows to its part's file."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as stack:
        writers: list[Any] = [stack.enter_context(pa.ipc.new_stream(file, PLACED, options=options)) for file in files]
        for part, rows in placed:
            writers[part].write_table(rows.combine_chunks())


def write_groups(parts: Iterable[pa.Table], rows_a_group: int, out: Path) -> pl.DataFrame:
    """Put each part in order and write it in row groups, the same whatever the parts are; the `outline` of it all."""
    seen = [facts(pl.DataFrame(schema=TRACE))]
    with (
        pq.ParquetWriter(out, SCHEMA, compression="zstd", **OPTIONS) as writer,
        ThreadPoolExecutor(1, "collect") as beside,  # one part is compressed while the next is read
    ):
        written: Future[Any] = beside.submit(int)
        # pyarrow's empty_table, array and to_numpy import pandas where it is installed, for 0.7 s
        rest = pa.Table.from_batches([], SCHEMA)
        for part in parts:
            part = in_order(part)
            seen.append(facts(pl.DataFrame(part.select(["finish_reason", "completion_tokens", "error", "reasoning"]))))
            if len(seen) > FOLDED:
                seen = [sum_of(seen)]
            rest = pa.concat_tables([rest, part])
            whole = rest.num_rows // rows_a_group * rows_a_group
            if whole:
                written.result()
                written = beside.submit(writer.write_table, rest.slice(0, whole), rows_a_group)
                rest = rest.slice(whole)
        written.result()
        if rest.num_rows:
            writer.write_table(rest)
    return sum_of(seen)


def in_order(part: pa.Table) -> pa.Table:
    """Rows by their places."""
    places = pl.Series(part["place"]).to_numpy()
    part = part.drop_columns("place")
    return part if (places[:-1] < places[1:]).all() else part.take(pl.Series(np.argsort(places)).to_arrow())
