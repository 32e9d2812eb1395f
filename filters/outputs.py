"""Files of model outputs of any form, as the verifiers' items: one for each completion of each row.

A row that cannot be graded is data: it has a fault in place of an item, unless `strict` stops at it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filters.verification.verdicts import Item, verifier_hook
from generators.contract.completions import join_reasoning, read_text
from generators.contract.errors import InputError, MissingFile
from generators.contract.intake import BadRow, Shape, Shaped, read_conversation, read_prompt, reference_text
from generators.contract.intake import read_rows as shaped_rows
from generators.contract.intake.answers import NO_RESPONSE, Answered, answers_of

REFERENCE_FIELDS = ("reference", "gold")
MISSING = object()

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Fields:
    """The names of a row's fields, which may be nested, such as `meta.reference`."""

    reference: str | None = None  # None: `reference`, `gold`, or the column that is known to hold it
    response: str = "response"  # or the columns that are known to hold completions
    question: str = "question"  # a row without it is judged by reference and answer alone
    answer_only: bool = False  # the response is the final answer itself


@dataclass(frozen=True)
class Output:
    """A completion of a row. number: of the row, from 1; completion: from 1, None if the row has only one."""

    number: int
    completion: int | None
    row: Row
    item: Item | None  # None: it cannot be graded
    fault: str = ""  # why
    shape: Shape | None = None  # of the file; None: the row could not be read

    @property
    def name(self) -> str:
        """The row's number, with that of the completion if the row has several: `3`, `3.2`."""
        return str(self.number) if self.completion is None else f"{self.number}.{self.completion}"

    @property
    def question(self) -> str | None:
        """The question, in whatever column it stands; None if it is in none."""
        try:
            found = read_prompt(self.row, self.shape, self.name) if self.shape else None
        except BadRow:
            return None
        return found.messages[-1]["content"] if found else None

    @property
    def label(self) -> bool | None:
        """The row's `label` of this completion; a list has one for each."""
        label = self.row.get("label")
        if isinstance(label, list) and self.completion is not None and self.completion <= len(label):
            label = label[self.completion - 1]
        return label if isinstance(label, bool) else None

    def named(self) -> dict[str, Any]:
        """Return the columns that identify the completion in a file of verdicts."""
        completion = {} if self.completion is None else {"completion": self.completion}
        return {"row": self.number, **completion} | ({"id": self.row["id"]} if "id" in self.row else {})

    def alone(self, fields: Fields) -> Row:
        """Return the row with this completion as its only response."""
        if self.completion is None or self.item is None:
            return self.row
        text = join_reasoning(self.item.reasoning, self.item.answer, None)
        return {**self.row, **self.named(), fields.response: text}


def outputs(file: Path, fields: Fields, verifier: str) -> Iterator[Output]:
    """Yield the completions of a file's rows, in order."""
    needed = bool(verifier_hook(verifier, "NEEDS_REFERENCE"))
    for one in rows_of(file):
        number = int(one.place.rpartition(" ")[2])
        if isinstance(one.row, BadRow):
            yield Output(number, None, {}, None, without_place(str(one.row), one.place))
            continue
        reference = reference_of(one.row, one.shape, fields)
        found = list(items_of(one.row, one.shape, fields))
        for place, item in enumerate(found, start=1):
            completion = place if len(found) > 1 else None
            fault = item if isinstance(item, str) else ""
            if not fault and reference is None and needed:
                fault = no_reference(one.row, one.shape, fields)
            known = None if fault or isinstance(item, str) else replace(item, reference=reference)
            yield Output(number, completion, one.row, known, fault, one.shape)


def check(file: Path, fields: Fields, verifier: str, strict: bool) -> int:
    """Return the number of completions; InputError for an empty file, or one of which none can be graded.

    strict: for any completion that cannot be graded, too.
    """
    total, graded, first, names = 0, 0, "", dict[str, None]()
    for one in outputs(file, fields, verifier):
        total += 1
        graded += one.item is not None
        names.update(dict.fromkeys(one.row))
        if one.fault and not first:
            first = f"row {one.name}: {one.fault}"
        if strict and one.fault:
            raise InputError(f"{file}, {first}; without strict it is counted as an error")
    if not total:
        raise InputError(f"{file}: it has no rows to grade")
    if not graded:
        raise InputError(f"{file}: no row can be graded: {first}{advice(file, fields, list(names))}")
    return total


def advice(file: Path, fields: Fields, names: list[str]) -> str:
    """Return which fields a file has, and whether one of them is known to hold references or completions."""
    if not names:
        return ""
    shape = next(one.shape for one in rows_of(file))
    said = f". The fields are {', '.join(map(repr, names))}"
    if not (any(name in names for name in REFERENCE_FIELDS) or shape.reference):
        said += "; none of them is known to hold references (--reference-field names one)"
    elif fields.reference and fields.reference not in names:
        known = next((name for name in REFERENCE_FIELDS if name in names), None) or shape.reference
        said += f"; the references seem to be in {known if isinstance(known, str) else ' and '.join(known or ())!r}"
    if fields.response not in names and not (shape.responses or shape.messages):
        said += "; none of them is known to hold completions (--response-field names one)"
    return said


def rows_of(file: Path) -> Iterator[Shaped]:
    """Yield the rows of a file of any form, with the file's shape."""
    if not file.exists():
        raise MissingFile(f"{file}: there is no such file")
    yield from shaped_rows(file)


def recognized(file: Path, fields: Fields, verifier: str) -> str:
    """Return a sentence on the columns that a file's completions and references are read from."""
    shape = next((one.shape for one in rows_of(file)), Shape("columns"))
    reference = fields.reference or next((name for name in REFERENCE_FIELDS if name in shape.columns), None)
    responses = (fields.response,) if fields.response in shape.columns else None
    said = f"{file}: recognized as {shape.using(responses=responses, reference=reference)}"
    said += "; name others with --response-field and --reference-field"
    unread = f"; its column {shape.verifier!r} is not read: {verifier} judges every row (--verifier)"
    return said + (unread if shape.verifier else "")


def reference_of(row: Row, shape: Shape, fields: Fields) -> str | None:
    """Return the row's reference as text; None where it is missing, null, not a number or blank."""
    if fields.reference is not None:
        return usable(value_at(row, fields.reference))
    for name in REFERENCE_FIELDS:
        if (found := usable(value_at(row, name))) is not None:
            return found
    if shape.reference == fields.response:
        return None
    try:
        return usable(read_prompt(row, shape, "").reference)
    except BadRow:
        return usable(value_at(row, shape.reference)) if isinstance(shape.reference, str) else None


def usable(value: Any) -> str | None:
    """Return a reference as text: structures as JSON; None where there is none."""
    if value is MISSING or value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value) if isinstance(value, str | int | float) else reference_text(value)
    return text if text and text.strip() else None


def no_reference(row: Row, shape: Shape, fields: Fields) -> str:
    """Return the sentence that a row has no reference."""
    name = fields.reference or next((name for name in REFERENCE_FIELDS if name in row), shape.reference)
    if not isinstance(name, str) or name == fields.response:
        return "the row has no reference"
    value = value_at(row, name)
    if value is MISSING:
        return f"the row has no field {name!r}"
    kind = "null" if value is None else "empty" if isinstance(value, str | list | dict) else "NaN"
    return f"the row has no reference: its field {name!r} is {kind}"


def items_of(row: Row, shape: Shape, fields: Fields) -> Iterator[Item | str]:
    """Yield an item without a reference for each completion of a row, or why there is none."""
    value = value_at(row, fields.response)
    if value is MISSING:
        yield from known_items(row, shape, fields)
        return
    if isinstance(value, str) and not states_ends(row, shape):
        yield written(value, fields.answer_only)
        return
    named = replace(shape, messages=None, reasoning=None, responses=(fields.response,))
    ends = list(answers_of({**row, fields.response: value}, named, None))
    values = value if isinstance(value, list) and len(ends) == len(value) else [value] * len(ends)
    for each, end in zip(values, ends, strict=True):
        if each is None or isinstance(each, str | int | float):
            text = "" if each is None else str(each)
            yield ended(written(text, fields.answer_only), end if states_ends(row, shape) and text else None)
        else:
            yield ended(read_item(end, fields.answer_only), end)


def known_items(row: Row, shape: Shape, fields: Fields) -> Iterator[Item | str]:
    """Yield the completions in the columns that are known to hold them."""
    try:
        found = read_conversation(row, shape, "row").answers
    except BadRow as error:
        found = () if not shape.responses else tuple(answers_of(row, replace(shape, messages=None), None))
        if not found:
            yield f"the row has no field {fields.response!r}: {without_place(str(error), 'row')}"
            return
    for one in found:
        if one.error == NO_RESPONSE:
            yield f"the row has no field {fields.response!r}, and no completion in another one"
        else:
            yield ended(read_item(one, fields.answer_only), one)


def read_item(one: Answered, answer_only: bool) -> Item:
    """Return a completion that the intake has read, as it was written."""
    said = one.completion
    return written(join_reasoning(said.reasoning, said.answer, said.wrapping), answer_only)


def written(text: str, answer_only: bool) -> Item:
    """Return a text as an item without a reference."""
    reasoning, answer = (None, text) if answer_only else as_written(text)
    return Item(answer, None, reasoning, bare=answer_only)


def states_ends(row: Row, shape: Shape) -> bool:
    """Return whether the row says how its completion ended."""
    names = (shape.finish_reason, shape.complete, shape.truncated)
    return any(name is not None and row.get(name) is not None for name in names)


def ended(item: Item, end: Answered | None) -> Item | str:
    """Return the item with its finish reason; of a sample that failed, why, as in a run."""
    if end is None or end.finish_reason == "stop":
        return item
    if end.finish_reason == "error":
        return f"the sample failed: {end.error or 'no reason was recorded'}"
    return replace(item, finish_reason=end.finish_reason)


def as_written(text: str) -> tuple[str | None, str]:
    """Split a response; one whose marks are not `<think>` to the letter stays whole, for verifiers of its format."""
    found = read_text(text)
    exact = join_reasoning(found.reasoning, found.answer, found.wrapping).strip().endswith(text.strip())
    return (found.reasoning, found.answer) if exact else (None, text)


def value_at(row: Row, name: str) -> Any:
    """Return the field's value, or MISSING; a dotted name that is not a field is a path into nested objects."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value


def without_place(sentence: str, place: str) -> str:
    """Return a sentence without the place at its start."""
    return sentence.removeprefix(place).lstrip(":, ")


def read_rows(file: Path) -> Iterator[tuple[int, Row]]:
    """Yield (number from 1, row) while the file is read; a row that cannot be read raises InputError.

    A row without `question` or `reference` gains them where its shape is known; its own columns stay.
    """
    for number, row in rows_and_faults(file):
        if isinstance(row, BadRow):
            raise row
        yield number, row


def rows_and_faults(file: Path) -> Iterator[tuple[int, Row | BadRow]]:
    """Yield the same, but the fault of a row that cannot be read in its place."""
    for one in rows_of(file):
        number = int(one.place.rpartition(" ")[2])
        yield number, one.row if isinstance(one.row, BadRow) else completed(one.row, one.shape, one.place)


def completed(row: Row, shape: Shape, place: str) -> Row:
    """Return the row with the usual names for what other columns hold."""
    try:
        found = read_prompt(row, shape, place)
    except BadRow:
        return row
    more: dict[str, Any] = {"question": found.messages[-1]["content"]}
    if found.reference is not None and not any(name in row for name in REFERENCE_FIELDS):
        more["reference"] = found.reference
    return {**more, **row}
