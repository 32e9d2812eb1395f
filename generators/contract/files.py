"""Atomic writing: a file holds all of its contents or does not exist."""

import os
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow.parquet as pq


def frame(rows: Iterable[Mapping[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return the rows as a frame of exactly `schema`; a key outside the schema is an AssertionError."""
    rows = list(rows)
    unknown = {key for row in rows for key in row} - set(schema)
    assert not unknown, f"columns {sorted(unknown)} are not in the schema {list(schema)}"
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


def scan_rows(path: Path, schema: Mapping[str, Any]) -> pl.LazyFrame:
    """Return the rows of a parquet file; columns of `schema` that it lacks, as an older version wrote it, are null."""
    rows = pl.scan_parquet(path)
    lacking = schema.keys() - set(rows.collect_schema().names())
    return rows.with_columns(pl.lit(None, schema[name]).alias(name) for name in schema if name in lacking)


def write_frame(data: pl.DataFrame, path: Path, *, compression: Literal["zstd", "lz4"] = "zstd") -> None:
    """Write parquet so that `path` either holds all of `data` or does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    level = 1 if compression == "zstd" else None
    data.write_parquet(partial, compression=compression, compression_level=level, statistics=True)
    replace_durably(partial, path)


def write_batches(batches: Iterable[pl.DataFrame], path: Path, schema: Mapping[str, Any]) -> None:
    """Write parquet in bounded memory, a row group for each batch; a lone batch is written as by `write_frame`."""
    found = iter(batches)
    first, second = next(found, frame([], schema)), next(found, None)
    if second is None:
        write_frame(first, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    oldest = pl.CompatLevel.oldest()
    arrow = first.to_arrow(compat_level=oldest).schema
    with pq.ParquetWriter(partial, arrow, compression="zstd", compression_level=1) as file:
        for batch in chain((first, second), found):
            file.write_table(batch.to_arrow(compat_level=oldest).cast(arrow))
    replace_durably(partial, path)


def write_text(text: str, path: Path) -> None:
    """Write a small text file so that `path` holds the old or the new text, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    replace_durably(partial, path)


def replace_durably(partial: Path, path: Path) -> None:
    """Rename `partial` once its bytes are on disk; an earlier rename can leave an empty file after a power cut."""
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(partial, path)
