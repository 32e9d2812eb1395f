"""Writing the parts of an export as they are read: JSON lines, parquet, or a folder of sessions.

Each writes a `.partial` first, which takes its place when it is whole and is removed when the export fails.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import polars as pl
from pyarrow import parquet as pq

from generators.contract.files import replace_durably

Add = Callable[[dict[str, Any]], None]
ROWS_A_GROUP = 1000
EARLY_BYTES = 1 << 16  # `datasets` infers types from more than this


@contextmanager
def json_lines(path: Path, schema: Mapping[str, Any]) -> Iterator[Add]:
    """Open a JSONL file; the keys of each row are those of `schema`, in its order.

    `datasets` takes a column's type from the first rows, and cannot read a file whose first rows leave a column empty.
    Rows that hold a column's first value are therefore moved to the front, where they come too late.
    """
    with _partial(path) as partial:
        late: list[tuple[int, int]] = []  # (offset, bytes) of such rows, in order
        unseen = {name: set(_leaves(dtype)) for name, dtype in schema.items()}
        with open(partial, "wb") as file:

            def add(row: dict[str, Any]) -> None:
                offset = file.tell()
                _write(file, {name: row[name] for name in schema})
                if unseen and _shows(row, unseen) and offset > EARLY_BYTES:
                    late.append((offset, file.tell() - offset))

            yield add
        if late:
            _to_front(partial, late)


def _leaves(dtype: Any, path: str = "") -> Iterator[str]:
    if isinstance(dtype, pl.List):
        yield from _leaves(dtype.inner, f"{path}[]")
    elif isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _leaves(field.dtype, f"{path}.{field.name}")
    else:
        yield path


def _held(value: Any, path: str = "") -> Iterator[str]:
    """Yield the leaves that a value holds; of a list of numbers or lists the first alone is looked at."""
    if isinstance(value, list):
        for item in value if value and isinstance(value[0], dict) else value[:1]:
            yield from _held(item, f"{path}[]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _held(item, f"{path}.{name}")
    elif value is not None:
        yield path


def _shows(row: Mapping[str, Any], unseen: dict[str, set[str]]) -> bool:
    """Return whether a row is the first that holds some leaf, and take its leaves off `unseen`."""
    new = False
    for name in list(unseen):
        found = unseen[name].intersection(_held(row[name]))
        new = new or bool(found)
        unseen[name] -= found
        if not unseen[name]:
            del unseen[name]
    return new


def _to_front(file: Path, lines: list[tuple[int, int]]) -> None:
    """Move lines of a file to its front."""
    ordered = file.with_name(file.name + ".ordered")
    try:
        with open(file, "rb") as source, open(ordered, "wb") as target:
            for offset, size in lines:
                source.seek(offset)
                target.write(source.read(size))
            start = 0
            for offset, size in [*lines, (file.stat().st_size, 0)]:
                source.seek(start)
                _copy(source, target, offset - start)
                start = offset + size
        ordered.replace(file)
    finally:
        ordered.unlink(missing_ok=True)


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size:
        data = source.read(min(size, 1 << 20))
        target.write(data)
        size -= len(data)


@contextmanager
def parquet(path: Path, schema: Mapping[str, Any]) -> Iterator[Add]:
    """Open a parquet file of the columns of `schema`, in row groups of ROWS_A_GROUP."""
    arrow = pl.DataFrame(schema=dict(schema)).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    waiting: list[dict[str, Any]] = []
    with _partial(path) as partial, pq.ParquetWriter(partial, arrow, compression="zstd") as file:

        def flush() -> None:
            group = pl.DataFrame(waiting, schema=dict(schema), orient="row")
            file.write_table(group.to_arrow(compat_level=pl.CompatLevel.oldest()))
            waiting.clear()

        def add(row: dict[str, Any]) -> None:
            waiting.append(row)
            if len(waiting) == ROWS_A_GROUP:
                flush()

        yield add
        if waiting:
            flush()


@contextmanager
def sessions(path: Path, schema: Mapping[str, Any]) -> Iterator[Add]:
    """Open a folder of one JSONL file a row (`file`, `lines`), in subfolders named after their first two characters."""
    with _partial(path) as partial:
        partial.mkdir()

        def add(row: dict[str, Any]) -> None:
            file = partial / row["file"][:2] / f"{row['file']}.jsonl"
            file.parent.mkdir(exist_ok=True)
            with open(file, "wb") as opened:
                for line in row["lines"]:
                    _write(opened, line)

        yield add


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial)
    try:
        yield partial
        if partial.is_dir():
            _remove(path)
            partial.rename(path)
        else:
            replace_durably(partial, path)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(file: BinaryIO, value: dict[str, Any]) -> None:
    file.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
