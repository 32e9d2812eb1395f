"""Writing the parts of an export as they are read: JSON lines, parquet, or a folder of sessions.

Each writes a `.partial` first, which takes its place when it is whole and is removed when the export fails.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import polars as pl
from pyarrow import parquet as pq

from generators.contract.files import replace_durably

Add = Callable[[dict[str, Any]], None]
ROWS_A_GROUP = 1000


@contextmanager
def json_lines(path: Path, schema: Mapping[str, Any]) -> Iterator[Add]:
    """Open a JSONL file; the keys of each row are those of `schema`, in its order."""
    with _partial(path) as partial, open(partial, "wb") as file:
        yield lambda row: _write(file, {name: row[name] for name in schema})


def _write(file: Any, value: dict[str, Any]) -> None:
    file.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY))


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
