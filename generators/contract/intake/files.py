"""Rows of files of any form: JSON, CSV, parquet and arrow, compressed or not, several of them, globs and folders."""

import csv
import glob
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from generators.contract.errors import InputError, MissingFile
from generators.contract.intake.splits import SPLITS, rows_of_split, train_files
from generators.contract.intake.values import BadRow, plain, shown

JSON = (".jsonl", ".ndjson", ".json")
TABLES = (".csv", ".tsv")
COLUMNS = (".parquet", ".arrow", ".feather")
PACKED = ("", ".gz", ".zst")
ENDINGS = (*COLUMNS, *(kind + packed for kind in (*JSON, *TABLES) for packed in PACKED))
SAVED = ("state.json", "dataset_dict.json")  # of a folder that `save_to_disk` wrote
ABOUT = frozenset({*SAVED, "dataset_info.json", "dataset_infos.json", "manifest.json", "started.json", "config.json"})
ZSTD = b"\x28\xb5\x2f\xfd"
LFS = b"version https://git-lfs"
DELIMITERS = (";", "\t", "|")  # where a first line has no comma
LISTS = ("data", "rows", "examples", "instances", "items", "records", "train", "results", "samples", "questions")
NO_CELL = (None, "", "nan", "NaN", "None", "NULL", "null", "<NA>", "NaT")  # as pandas and databases write no value
BATCH = 256  # rows of a column file in memory at once
NOT_UTF8 = re.compile(r"[\udc80-\udcff]")  # a byte that is no text, as `surrogateescape` keeps it
csv.field_size_limit(1 << 30)


@dataclass(frozen=True, slots=True)
class Item:
    """A row and its place, `file, row number`, or the fault for which it could not be read."""

    place: str
    row: Mapping[str, Any] | BadRow


def paths_in(path: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the files and folders that are named: one, several, or those that a glob matches, in order.

    MissingFile: there is none.
    """
    if not isinstance(path, str | Path):
        return [found for one in path for found in paths_in(one)]
    if Path(path).exists():
        return [Path(path)]
    found = sorted(glob.glob(str(path), recursive=True))
    if not found:
        raise MissingFile(f"there is no file {path}")
    return [Path(one) for one in found]


def files_of(path: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the data files among the paths and below the folders; a folder of `save_to_disk` counts as one file.

    MissingFile or InputError: nothing there, or nothing that can be read.
    """
    files = [file for one in paths_in(path) for file in _below(one)]
    if not files:
        raise InputError(f"{path} holds no rows that can be read; accepted are {', '.join(ENDINGS)}")
    return files


def _below(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.name.lower().endswith(ENDINGS):
            raise InputError(f"{path} holds no rows that can be read; accepted are {', '.join(ENDINGS)}")
        return [path]
    if any((path / name).is_file() for name in SAVED):
        return [path]
    inside = sorted(file for file in path.rglob("*") if file.is_file())
    found = [file for file in inside if file.name.lower().endswith(ENDINGS) and file.name not in ABOUT]
    return train_files(path, [file for file in found if not _is_hidden(file.relative_to(path))])


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)


def read_file(path: str | Path | Iterable[str | Path], limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of the files; a row that cannot be read is an InputError.

    limit: rows to read at most; None: all. MissingFile or InputError: nothing there, nothing readable, or no row.
    """
    items = islice((item for file in files_of(path) for item in items_of(file)), limit)
    empty = True
    for item in items:
        if isinstance(item.row, BadRow):
            raise item.row
        empty = False
        yield dict(item.row)
    if empty:
        raise InputError(f"{path} is empty")


def items_of(file: Path) -> Iterator[Item]:
    """Yield the rows of one file, with those that cannot be read; InputError: the file itself is damaged."""
    name = file.name.lower().removesuffix(".gz").removesuffix(".zst")
    try:
        if file.is_dir():
            yield from _saved(file)
        elif _starts_with(file, LFS):
            raise InputError(f"{file} is a pointer of Git LFS, not the data; run `git lfs pull` in its repository")
        elif name.endswith(COLUMNS):
            yield from _placed(file, _column_rows(file))
        elif name.endswith(TABLES):
            yield from _table(file, "\t" if name.endswith(".tsv") else ",")
        else:
            yield from _json(file)
    except UnicodeError as error:
        advice = "write it anew as UTF-8, such as with `iconv -f LATIN1 -t UTF-8`, with its own encoding after -f"
        raise InputError(f"{file} is not UTF-8 text: {error}; {advice}") from None
    except pa.ArrowInvalid as error:
        raise InputError(f"{file} cannot be read: it is not a {name.rpartition('.')[2]} file: {error}") from None
    except (OSError, EOFError, zlib.error, csv.Error) as error:  # gzip and zstd raise these for a damaged file
        raise InputError(f"{file} cannot be read: {error}") from None


def _starts_with(file: Path, start: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(start)) == start


def _placed(file: Path, rows: Iterable[Any]) -> Iterator[Item]:
    for number, row in enumerate(rows, start=1):
        place = f"{file}, row {number}"
        yield Item(place, _checked(row, place))


def _checked(value: Any, place: str) -> dict[str, Any] | BadRow:
    if not isinstance(value, dict):
        return BadRow("not_an_object", f"{place}: a row is a JSON object, this is {shown(value)}")
    inner = value.get("row")
    value = inner if isinstance(inner, dict) and "row_idx" in value else value  # as the hub's viewer serves rows
    found: dict[str, Any] = plain(value)
    return found


def _saved(folder: Path) -> Iterator[Item]:
    from generators.contract.intake.hub import read_saved

    return _placed(folder, read_saved(folder, None))


def _column_rows(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a parquet or arrow file, a batch at a time; class labels become their names."""
    if file.suffix.lower() == ".parquet":
        opened = pq.ParquetFile(file)
        batches: Iterable[pa.RecordBatch] = opened.iter_batches(batch_size=BATCH)
        schema = opened.schema_arrow
    else:
        schema, batches = _arrow(file)
    labels = class_labels(schema)
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH):
            yield from (named(row, labels) for row in batch.slice(start, BATCH).to_pylist())


def _arrow(file: Path) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    source = pa.memory_map(str(file))
    try:
        stream = pa.ipc.open_stream(source)
        return stream.schema, stream
    except pa.ArrowInvalid:
        reader = pa.ipc.open_file(source)
        return reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))


def class_labels(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the class names of label columns, which `datasets` keeps in a file's metadata."""
    about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = (about.get("info") or {}).get("features") or {}
    return {
        name: each["names"]
        for name, each in features.items()
        if isinstance(each, dict) and each.get("_type") == "ClassLabel" and each.get("names")
    }


def named(row: dict[str, Any], labels: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the row with the names of its class labels; -1 stands for no label."""
    for name, names in labels.items():
        value = row.get(name)
        if isinstance(value, int):
            row[name] = names[value] if 0 <= value < len(names) else None
    return row


def _opened(file: Path) -> Any:
    """Open a file; its ending or its first bytes say that it is compressed."""
    with file.open("rb") as stream:
        start = stream.read(4)
    if start[:2] == b"\x1f\x8b" or (file.name.lower().endswith(".gz") and start != ZSTD):
        return gzip.open(file, "rb")
    if start == ZSTD or file.name.lower().endswith(".zst"):
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(file)), "zstd"))
    return file.open("rb")


def _text(file: Path, newline: str | None = None, errors: str = "strict") -> IO[str]:
    """Open a text of UTF-8, or of UTF-16 where it begins with that encoding's mark or with JSON in it."""
    with _opened(file) as stream:
        start = stream.read(2)
    encoding = "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    encoding = "utf-16-le" if start in (b"{\0", b"[\0") else encoding
    return io.TextIOWrapper(_opened(file), encoding=encoding, newline=newline, errors=errors)


def _table(file: Path, delimiter: str) -> Iterator[Item]:
    with _text(file) as text:
        header = text.readline()
    told = header.strip().lower().startswith("sep=")  # as spreadsheets write and read it
    if told:
        delimiter = header.strip()[4:5] or delimiter
    elif delimiter == "," and "," not in header:
        delimiter = next((one for one in DELIMITERS if one in header), delimiter)
    with _text(file, newline="") as text:
        if told:
            text.readline()
        for number, row in enumerate(csv.DictReader(text, delimiter=delimiter), start=1):
            place = f"{file}, row {number}"
            if None in row:
                yield Item(place, BadRow("too_many_cells", f"{place}: it has more cells than the first line"))
            else:
                yield Item(place, {name: None if cell in NO_CELL else cell for name, cell in row.items()})


def _json(file: Path) -> Iterator[Item]:
    """Yield the rows of JSON lines, of a list, or of an object that holds a list, whatever the file is called."""
    with _text(file, errors="surrogateescape") as text:
        first = next((line for line in text if line.strip()), "")
    if not first:
        return
    whole = not _is_object(first)  # a list, or an object over several lines
    if whole and not first.lstrip().startswith(("[", "{")):
        whole = file.name.lower().removesuffix(".gz").removesuffix(".zst").endswith(".json")
    if whole and (found := _whole(file)) is not None:
        yield from _placed(file, found)
        return
    lines = _lines(file)
    one = next(lines)
    two = next(lines, None)
    if two is None and isinstance(one.row, dict) and (found := _rows_in(one.row, file)) is not None:
        yield from _placed(file, found)
        return
    yield one
    if two is not None:
        yield two
        yield from lines


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _lines(file: Path) -> Iterator[Item]:
    with _text(file, errors="surrogateescape") as text:
        for number, line in enumerate(text, start=1):
            if line.strip():
                yield _line(line, f"{file}, row {number}")


def _line(line: str, place: str) -> Item:
    if not line.isascii() and (found := NOT_UTF8.search(line)):
        byte = ord(found[0]) - 0xDC00
        said = f"the byte 0x{byte:02x} at position {found.start() + 1} is not UTF-8; write the file anew as UTF-8"
        return Item(place, BadRow("not_utf8", f"{place}: {said}"))
    try:
        text = line.lstrip("\ufeff").rstrip().removesuffix(",")  # of a list whose brackets are missing
        return Item(place, _checked(json.loads(text, strict=False), place))
    except (ValueError, RecursionError) as error:
        return Item(place, BadRow("not_json", f"{place}: not valid JSON: {error}"))


def _whole(file: Path) -> list[Any] | None:
    """Return the rows of a file that is one JSON value, or several ones over several lines; None: it is lines."""
    with _text(file) as stream:
        text = stream.read()
    try:
        value = json.loads(text)
    except RecursionError:
        raise InputError(f"{file} is nested too deeply") from None
    except ValueError as error:
        several = _several(text)
        if several is None and file.name.lower().endswith((".json", ".json.gz", ".json.zst")) and "\n{" not in text:
            raise InputError(f"{file} is not valid JSON: {error}") from None
        return several
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise InputError(f"{file} holds a JSON {type(value).__name__}; accepted is a list of objects")
    found = _rows_in(value, file)
    return [value] if found is None else found


def _several(text: str) -> list[Any] | None:
    """Return JSON values that follow one another, each over several lines; None: there are others between."""
    decoder, values, place = json.JSONDecoder(), [], 0
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place + len(text[place:]) - len(text[place:].lstrip(" \r\n\t,")))
        except (ValueError, RecursionError):
            return None
        values.append(value)
        if not text[place : place + 10].strip() and not text[place:].strip():
            break
    return values


def _is_turns(rows: list[Any]) -> bool:
    """Return whether a list is one conversation."""
    return all(("from" in row and "value" in row) or ("role" in row and "content" in row) for row in rows)


def _rows_in(value: Mapping[str, Any], file: Path) -> list[Any] | None:
    """Return the rows that one object holds: a list under a usual name, equally long columns, or rows by id."""
    splits = [name for name in value if name in SPLITS and isinstance(value[name], list)]
    if len(splits) > 1:
        return rows_of_split(value, splits, file)
    for name in LISTS:
        inner = value.get(name)
        if isinstance(inner, list) and inner and all(isinstance(item, dict) for item in inner) and not _is_turns(inner):
            return inner
    columns = [item for item in value.values() if isinstance(item, list)]
    scalars = all(not isinstance(item, dict | list) for one in columns for item in one)
    if len(columns) == len(value) > 1 and scalars and len({len(one) for one in columns}) == 1:
        return [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)]
    names, table = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(table, list) and all(isinstance(cells, list) for cells in table):
        return [dict(zip(map(str, names), cells, strict=False)) for cells in table]  # pandas, orient="split"
    if len(value) > 1 and all(isinstance(item, dict) and item for item in value.values()):
        keys = {frozenset(item) for item in value.values()}
        if len(keys) == 1 and all(name.isdigit() for name in next(iter(keys))) and not next(iter(value)).isdigit():
            return [{name: cells[row] for name, cells in value.items()} for row in next(iter(value.values()))]  # pandas
        return [{"id": name, **item} for name, item in value.items()] if len(keys) == 1 else None
    return None
