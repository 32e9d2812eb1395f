"""Reading rows of files and datasets, and the values of their columns.

Every fault is an InputError: one sentence that names the file, the row and the column.
"""

import difflib
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from generators.contract.errors import InputError, MissingFile
from generators.contract.ids import canonical_json

ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".json", ".parquet")
SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
ABSENT = object()


def read_file(path: Path, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a .jsonl, .jsonl.gz, .ndjson, .json or .parquet file, or of all such files in a folder.

    limit: rows to read at most; None: all. MissingFile or InputError: nothing there, nothing readable, or no row.
    """
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.name.endswith(ENDINGS))
    if not path.exists():
        raise MissingFile(f"there is no file {path}")
    if not files or not all(file.name.endswith(ENDINGS) for file in files):
        raise InputError(f"{path} holds no rows that can be read; accepted are {', '.join(ENDINGS)}")
    empty = True
    for row in islice((row for file in files for row in _rows(file)), limit):
        empty = False
        yield row
    if empty:
        raise InputError(f"{path} is empty")


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".parquet":
        try:
            yield from pl.read_parquet(file).iter_rows(named=True)
        except pl.exceptions.PolarsError as error:
            raise InputError(f"{file} is not a parquet file: {error}") from None
        return
    try:
        yield from _json_list(file) if file.suffix == ".json" else _json_lines(file)
    except (OSError, EOFError, zlib.error) as error:  # gzip raises these for a damaged file
        raise InputError(f"{file} cannot be read: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text: {error}") from None


def _json_lines(file: Path) -> Iterator[dict[str, Any]]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _object(line, f"{file}, row {number}")


def _json_list(file: Path) -> Iterator[dict[str, Any]]:
    text = file.read_text(encoding="utf-8-sig")
    if not text.strip():
        return
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(values, list):
        raise InputError(f"{file} holds a JSON {type(values).__name__}; accepted is a list of objects")
    for number, value in enumerate(values, start=1):
        yield _checked(value, f"{file}, row {number}")


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        return _checked(json.loads(line), place)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not valid JSON: {error}") from None


def _checked(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{place}: a row is a JSON object, this is {_shown(value)}")
    return value


def read_dataset(
    path: str, name: str | None, split: str, revision: str | None, limit: int | None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Hugging Face dataset: a hub name, a folder of files, or one that `save_to_disk` wrote."""
    from datasets import DatasetDict, load_dataset, load_from_disk

    try:
        if any((Path(path) / file).is_file() for file in ("state.json", "dataset_dict.json")):
            saved = load_from_disk(path)
            dataset = saved[split] if isinstance(saved, DatasetDict) else saved
        else:
            dataset = load_dataset(path, name, split=split, revision=revision)
    except Exception as error:  # the library raises a dozen kinds for a missing name, split or network
        raise InputError(f"the dataset {path!r} (name {name}, split {split!r}) cannot be loaded: {error}") from None
    if not len(dataset):
        raise InputError(f"the dataset {path!r} (split {split!r}) is empty")
    yield from islice(dataset, limit)


def lookup(row: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column, or ABSENT; `a.b` reaches into nested columns."""
    if column in row:
        return row[column]
    head, _, rest = column.partition(".")
    inner = row.get(head)
    return lookup(inner, rest) if rest and isinstance(inner, Mapping) else ABSENT


def column(row: Mapping[str, Any], named: str | None, usual: str, place: str) -> Any:
    """Return the value of the column that the settings name, else of the `usual` one.

    A named column that is missing is an InputError, a missing usual one is None.
    """
    value = lookup(row, usual if named is None else named)
    if value is not ABSENT:
        return value
    if named is not None:
        raise InputError(missing(row, named, f"the {usual}", place))
    return None


def missing(row: Mapping[str, Any], name: str, use: str, place: str) -> str:
    """Return the sentence that reports a missing column and the nearest one there is."""
    close = difflib.get_close_matches(name, list(row), n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{place}: no column {name!r} for {use}; there are {', '.join(map(repr, row)) or 'none'}{hint}"


def text_of(value: Any, what: str, place: str) -> str | None:
    """Return `value` if it is text or None; anything else is an InputError."""
    if value is None or isinstance(value, str):
        return value if value is None else encodable(value)
    raise InputError(f"{place}: {what} is {_shown(value)}; accepted is text")


def encodable(text: str) -> str:
    """Return the text with its lone surrogates replaced: JSON can hold them, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def reference_text(value: Any) -> str | None:
    """Return a reference answer as text: numbers as JSON writes them, structures as canonical JSON."""
    if value is None or isinstance(value, str):
        return value if value is None else encodable(value)
    return canonical_json(value)


def chat_of(row: Mapping[str, Any], name: str | None, place: str) -> Any:
    """Return the value of the chat column `name`, else of `messages` or ShareGPT's `conversations`, else None."""
    chat = column(row, name, "messages", place)
    return row.get("conversations") if chat is None and name is None else chat


def chat_messages(value: Any, place: str) -> list[dict[str, str]]:
    """Return messages of `role` and `content`, converted from ShareGPT's `from` and `value` where necessary."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise InputError(f"{place}: messages are {_shown(value)}; accepted is a list of role and content")
    return [_message(item, f"{place}, message {number}") for number, item in enumerate(value, start=1)]


def _message(item: Any, place: str) -> dict[str, str]:
    if not isinstance(item, Mapping):
        raise InputError(f"{place} is {_shown(item)}; accepted is an object with role and content")
    role, content = item.get("role", item.get("from")), item.get("content", item.get("value"))
    if role not in SPEAKERS:
        raise InputError(f"{place}: the role is {role!r}; accepted are {', '.join(SPEAKERS)}")
    if not isinstance(content, str):
        raise InputError(f"{place}: the content is {_shown(content)}; accepted is text")
    return {"role": SPEAKERS[role], "content": encodable(content)}


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
