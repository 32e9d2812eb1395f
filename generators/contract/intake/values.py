"""Values of rows: columns by name, and the plain text that a value of any type stands for."""

import ast
import difflib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any

from generators.contract.errors import InputError
from generators.contract.ids import canonical_json

ABSENT = object()
ONE_ANSWER = ("value", "answer", "final_answer", "ground_truth", "reference", "target", "text", "content")
LONGEST_CHARS = 1000  # of a reference as JSON text that is read as a list of one answer


class BadRow(InputError):
    """A row that cannot be read: it is skipped and counted under `kind`, or stops a strict import."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def plain(value: Any) -> Any:
    """Return a value as JSON has it: decimals and dates as text, bytes decoded, NaN as None, arrays as lists."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return None if value.is_nan() else format(value, "f")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def lookup(row: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column, or ABSENT; `a.b` reaches into nested columns."""
    if column in row:
        return row[column]
    head, _, rest = column.partition(".")
    inner = row.get(head)
    return lookup(inner, rest) if rest and isinstance(inner, Mapping) else ABSENT


def value_at(row: Mapping[str, Any], name: str | None) -> Any:
    """Return the value of a column; None where no column has this use, or the row lacks it."""
    value = lookup(row, name) if name else None
    return None if value is ABSENT else value


def verifier_of(value: Any) -> str | None:
    """Return the name of a verifier; None where there is none, also in words: none, null."""
    name = label_of(value)
    return None if name is None or name.strip().lower() in ("", "none", "null") else name


def flag_of(value: Any) -> bool | None:
    """Return a value that says yes or no, also as a word or number; None for any other."""
    if isinstance(value, str):
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            value.strip().lower()
        )
    return bool(value) if isinstance(value, bool | int) and value in (0, 1) else None


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
    """Return `value` if it is text or None; anything else is a BadRow."""
    if value is None or isinstance(value, str):
        return value if value is None else encodable(value)
    raise BadRow("not_text", f"{place}: {what} is {shown(value)}; accepted is text")


def label_of(value: Any) -> str | None:
    """Return a source, license or model of any type as text; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return encodable(", ".join(value)) or None
    return reference_text(value)


def encodable(text: str) -> str:
    """Return the text with surrogate pairs joined, lone halves replaced and NUL characters left out.

    JSON can hold half pairs, UTF-8 cannot.
    """
    text = text.replace("\0", "") if "\0" in text else text
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8", "replace").decode("utf-8")


def reference_text(value: Any) -> str | None:
    """Return a reference answer as text: numbers as JSON writes them, structures as canonical JSON.

    A list of one answer, or an object that holds nothing but one, stands for it, also as JSON text.
    """
    if isinstance(value, str) and value[:2] in ('["', "['", '{"') and len(value) <= LONGEST_CHARS:
        inner = _alone(_literal(value))
        value = inner if isinstance(inner, str) else value
    value = _alone(value)
    if value is None or isinstance(value, str):
        return value if value is None else encodable(value)
    return encodable(canonical_json(value))


def _alone(value: Any) -> Any:
    """Return the one answer that a list or an object holds; any other value as it is."""
    inner = value
    if isinstance(value, list) and len(value) == 1:
        inner = value[0]
    elif isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in ONE_ANSWER:
        inner = next(iter(value.values()))
    if inner is value:
        return value
    inner = _alone(inner)
    if isinstance(inner, str) and ("assert" in inner or "\n" in inner):  # a test of code, of which lists are read
        return value
    return inner if isinstance(inner, str | int | float) else value


def _literal(text: str) -> Any:
    """Return the value of a JSON text or a Python literal; None: it is neither."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def shown(value: Any) -> str:
    """Return the type and the beginning of a value, for messages."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def is_chat(value: Any) -> bool:
    """Return whether a value is a list of messages."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(isinstance(item, Mapping) for item in value)
        and (
            any("role" in item or "from" in item for item in value)
            or all({"input", "output"} <= {*one} for one in value)
        )
    )
