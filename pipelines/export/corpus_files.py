"""The files of a corpus, read in batches: a run, the folder of a corpus stage, or one parquet file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from pyarrow import parquet as pq
from pyarrow.lib import ArrowInvalid

from generators.contract.errors import InputError, MissingFile
from generators.contract.records import CORPUS

SPLITS = ("train", "validation")
NEEDED = ("trace_id", "prompt_id", "messages")
ABOUT = (  # columns that say where a row is from and what was found of it
    *("trace_id", "prompt_id", "domain", "source", "license", "teacher", "verifier", "reference"),
    *("verdict", "reward", "solve_rate"),
)
KWARGS = "chat_template_kwargs"
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Corpus:
    """The parquet files of a corpus by split, and the folder of the run that made them, where there is one."""

    files: Mapping[str, Path]
    run: Path | None

    @cached_property
    def about(self) -> dict[str, Any]:
        """Return the types of the columns of ABOUT that hold a value in some row; empty ones are left out."""
        return {name: CORPUS[name] for name in ABOUT if any(has_values(path, name) for path in self.files.values())}

    @cached_property
    def switches(self) -> dict[str, Any]:
        """Return the types of the chat template's switches that some row sets, by name."""
        found: dict[str, Any] = {}
        for path in self.files.values():
            if KWARGS in pl.read_parquet_schema(path):
                texts = pl.scan_parquet(path).select(pl.col(KWARGS).drop_nulls().unique()).collect(engine="streaming")
                for text in sorted(texts[KWARGS]):
                    found |= {name: pl.Series([value]).dtype for name, value in json.loads(text).items()}
        return found

    @cached_property
    def student(self) -> str | None:
        """Return the student that the run's recipe trains; None: there is no run, or it trains none."""
        recipe = self.run / "recipe.json" if self.run else None
        if recipe is None or not recipe.exists():
            return None
        return (json.loads(recipe.read_text(encoding="utf-8")).get("train") or {}).get("student")

    def about_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row's values of the columns `about`."""
        return {name: row.get(name) for name in self.about}


def find_corpus(path: Path) -> Corpus:
    """Return the corpus at `path`; an InputError says what is accepted."""
    if not path.exists():
        raise MissingFile(f"there is no file or folder {path}")
    folder = path / "corpus" if path.is_dir() and (path / "corpus").is_dir() else path
    if folder.is_dir():
        files = {split: folder / f"{split}.parquet" for split in SPLITS if (folder / f"{split}.parquet").exists()}
        if "train" not in files:
            raise InputError(
                f"{path} holds no corpus: accepted are a run's folder with corpus/train.parquet, the folder of a "
                "corpus stage with train.parquet, or a parquet file of corpus rows"
            )
    else:
        files, folder = {path.stem: path}, path.parent
    for file in files.values():
        _check(file)
    files = {split: file for split, file in files.items() if count(file)}
    if not files:
        raise InputError(f"{path} has no rows to export")
    run = folder.parent if (folder.parent / "run.json").exists() and folder.name == "corpus" else None
    return Corpus(files, run)


def _check(file: Path) -> None:
    try:
        columns = pq.read_schema(file).names
    except (ArrowInvalid, OSError) as error:
        raise InputError(f"{file} is not a parquet file of corpus rows: {error}") from None
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise InputError(f"{file} has no column {missing[0]!r}; corpus rows have {', '.join(NEEDED)}")


def count(file: Path) -> int:
    """Return the number of rows of a parquet file."""
    rows: int = pq.read_metadata(file).num_rows
    return rows


def has_values(file: Path, column: str) -> bool:
    """Return whether a file has the column and a value in it."""
    if column not in pl.read_parquet_schema(file):
        return False
    return bool(pl.scan_parquet(file).select(pl.col(column).is_not_null().any()).collect(engine="streaming").item())


def read_frames(file: Path, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield the rows of a parquet file, in memory that does not grow; `columns` that it lacks are left out."""
    with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as opened:
        names = opened.schema_arrow.names
        wanted = names if columns is None else [name for name in columns if name in names]
        for batch in opened.iter_batches(ROWS_AT_ONCE, columns=wanted):
            rows = pl.from_arrow(batch)
            assert isinstance(rows, pl.DataFrame)
            yield rows


def read_rows(file: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of `read_frames` one by one."""
    for rows in read_frames(file, columns):
        yield from rows.iter_rows(named=True)
