"""Puts a ledger's samples into one parquet file in the order they were wanted, in memory that does not grow with them.

A ledger holds samples in the order they finished, over several segments and some of them more than once. An index
(which row of which segment is which place in the order) is small. Beyond IN_MEMORY bytes the rows are first dealt out
to files, one for each run of places, and then each file is put in order by itself: two passes, whatever the order.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import parquet as pq

from generators.ledger import Ledger, read_segment
from generators.records import TRACE, replace_durably

IN_MEMORY = 32 << 20  # bytes of traces that are put in order at once
MOST_PARTS = 512  # files that are open side by side
GROUP_BYTES = 16 << 20  # of a row group
BYTES_A_TOKEN = 8  # text and id

INDEX = {
    **{"segment": pl.UInt32, "row": pl.UInt32, "place": pl.UInt32},
    **{"finish_reason": pl.String, "completion_tokens": pl.Int32},
}
SCHEMA = pl.DataFrame(schema=TRACE).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
PLACED = SCHEMA.append(pa.field("place", pa.uint32()))
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
    index = index.with_columns((pl.col("place").rank("ordinal") - 1).cast(pl.UInt32).alias("place"))
    partial = out.with_name(out.name + ".partial")
    with TemporaryDirectory(dir=out.parent, prefix="collect-") as folder:
        parts = deal_out(paths, index, Path(folder))
        write_groups(parts, group_rows(index), partial)
    replace_durably(partial, out)
    return len(trace_ids) - index.height


def index_of(kept: Ledger, trace_ids: Sequence[str]) -> tuple[list[Path], Index]:
    """(segments, where each wanted sample's newest row is)."""
    order = pl.DataFrame({"trace_id": trace_ids}, schema={"trace_id": pl.String}).with_row_index("place")
    paths: list[Path] = []
    found = [pl.DataFrame(schema=INDEX)]
    for segment, ids in kept.scan("trace_id", "finish_reason", "completion_tokens"):
        rows = ids.with_row_index("row").with_columns(pl.lit(len(paths), pl.UInt32).alias("segment"))
        found.append(rows.join(order, on="trace_id").select(*INDEX))
        paths.append(segment)
    return paths, pl.concat(found).unique("place", keep="last", maintain_order=True)


def mean_bytes(index: Index) -> float:
    """About what a row takes; the same however the samples came about."""
    return 500 + BYTES_A_TOKEN * float(index["completion_tokens"].fill_null(0).mean() or 0)  # type: ignore[arg-type]


def group_rows(index: Index) -> int:
    """Rows a row group."""
    return max(64, int(GROUP_BYTES / mean_bytes(index)))


def deal_out(paths: Sequence[Path], index: Index, folder: Path) -> Iterator[pa.Table]:
    """Consecutive parts of the order, each with all its rows and their places, not in order yet."""
    total = mean_bytes(index) * index.height
    count = min(MOST_PARTS, int(total / IN_MEMORY) + 1)
    rows_a_part = -(-index.height // count) or 1
    index = index.with_columns((pl.col("place") // rows_a_part).alias("part")).sort("segment", "row")
    placed = with_places(paths, index)
    if count == 1:
        yield pa.concat_tables([pa.Table.from_batches([], PLACED), *(rows for _, rows in placed)])
        return
    files = [folder / f"{part:03}" for part in range(count)]
    write_parts(files, placed)
    for file in files:
        yield pa.ipc.open_stream(file).read_all()
        file.unlink()


def with_places(paths: Sequence[Path], index: Index) -> Iterator[tuple[int, pa.Table]]:
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
                places = part["place"].to_arrow()
                yield part["part"][0], chosen(table, part["row"]).append_column("place", places)


def read_table(segment: Path) -> pa.Table:
    """All rows of a segment."""
    if segment.suffix == ".parquet":
        with pq.ParquetFile(segment) as file:
            rows = file.read(use_threads=False).select(SCHEMA.names).cast(SCHEMA)
        pa.default_memory_pool().release_unused()  # else every thread keeps what its largest piece took
        return rows
    return read_segment(segment).to_arrow(compat_level=pl.CompatLevel.oldest())


def chosen(table: pa.Table, rows: pl.Series) -> pa.Table:
    """Some rows of a table, copied only where they are not in one piece: texts are long."""
    if rows[-1] - rows[0] == len(rows) - 1:
        return table.slice(rows[0], len(rows))
    return table.take(rows.to_arrow())


def write_parts(files: Sequence[Path], placed: Iterable[tuple[int, pa.Table]]) -> None:
    """Append each stretch of rows to its part's file."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as stack:
        writers: list[Any] = [stack.enter_context(pa.ipc.new_stream(file, PLACED, options=options)) for file in files]
        for part, rows in placed:
            writers[part].write_table(rows.combine_chunks())


def write_groups(parts: Iterable[pa.Table], rows_a_group: int, out: Path) -> None:
    """Put each part in order and write it in row groups, which are the same however the rows were dealt out."""
    with (
        pq.ParquetWriter(out, SCHEMA, compression="zstd", compression_level=1) as writer,
        ThreadPoolExecutor(1, "collect") as beside,  # one part is compressed while the next is read
    ):
        written = beside.submit(int)
        # pyarrow's empty_table, array and to_numpy import pandas where it is installed, for 0.7 s
        rest = pa.Table.from_batches([], SCHEMA)
        for part in parts:
            rest = pa.concat_tables([rest, in_order(part)])
            whole = rest.num_rows // rows_a_group * rows_a_group
            written.result()
            written = beside.submit(write_rows, writer, rest.slice(0, whole), rows_a_group)
            rest = rest.slice(whole)
        written.result()
        if rest.num_rows:
            writer.write_table(rest)


def write_rows(writer: pq.ParquetWriter, rows: pa.Table, rows_a_group: int) -> int:
    """Write row groups, and give back the memory that took; how many rows."""
    writer.write_table(rows, row_group_size=rows_a_group)
    pa.default_memory_pool().release_unused()
    return rows.num_rows


def in_order(part: pa.Table) -> pa.Table:
    """Rows by their places."""
    places = pl.Series(part["place"]).to_numpy()
    part = part.drop_columns("place")
    return part if (places[:-1] < places[1:]).all() else part.take(pl.Series(np.argsort(places)).to_arrow())
