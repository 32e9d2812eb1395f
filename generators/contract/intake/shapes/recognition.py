"""Recognition of shapes: which columns hold the question, the completion, the reference, by their names.

A shape is told from the columns of a file's first rows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from generators.contract.completions import is_known, read_text
from generators.contract.intake.shapes.names import (
    ANSWERING,
    ASKING,
    BODIES,
    CHATS,
    COMPLETE,
    DIALOGS,
    FINISHES,
    LEFT_OUT,
    NAMES,
    NO_QUESTION,
    NUMBERED,
    OPTIONS,
    PAIRS,
    PASSAGES,
    QUESTIONS,
    REASONINGS,
    REFERENCES,
    RESPONSES,
    SOURCES,
    SPOKEN,
    SWITCHES,
    SYSTEMS,
    TEACHERS,
    TRUNCATED,
    VERDICTS,
    YES_NO,
)
from generators.contract.intake.shapes.shape import Shape
from generators.contract.intake.values import is_chat, lookup

PROBED = 200  # first rows of a file that decide its shape
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")
SHORT_CHARS = 40  # longest solution that is a reference without \boxed
LONG_CHARS = 160  # mean length from which an `answer` without a number after #### is a completion


def recognize(rows: Sequence[Mapping[str, Any]]) -> Shape:
    """Return the shape of a file from its first rows; a column of nulls counts only where no other has its use."""
    found = _recognized(rows, _names(rows))
    if found.responses or found.messages or not rows:
        return found
    every = _recognized(rows, _names(rows) | {_plain(name): name for row in rows for name in row})
    return replace(found, responses=every.responses) if found.questions == every.questions else found


def shape_for(row: Mapping[str, Any], shape: Shape) -> Shape:
    """Return the shape of a row: the file's, or its own where it has none of the file's columns but others instead."""
    asked = bool(row.get(shape.messages)) if shape.messages else False
    asked = asked or any(name.partition(".")[0] in row for name in shape.questions)
    answered = not shape.responses or any(name.partition(".")[0] in row for name in shape.responses)
    if asked and (answered or shape.messages):
        return shape
    own = recognize([row])
    known = {shape.system, shape.reference, shape.spoken}  # what is no completion in other rows is none here
    fits = (own.messages or own.questions) and (own.messages or own.responses) and not known & {*own.responses}
    return replace(own, columns=shape.columns) if fits else shape


def _recognized(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Shape:
    shape = Shape(
        name=_name(names),
        system=_first(names, SYSTEMS),
        domain=_first(names, ("domain",)),
        verifier=_first(names, ("verifier",)),
        license=_first(names, ("license",)),
        teacher=_first(names, TEACHERS),
        source=_first(names, SOURCES),
        finish_reason=_first(names, FINISHES) or _nested(rows, FINISHES) or _states_ends(names, rows),
        complete=_first(names, COMPLETE),
        truncated=_first(names, TRUNCATED),
        history=_filled(names, rows, ("history",)),
        left_out=tuple(name for one in LEFT_OUT if (name := _filled(names, rows, (one,)))),
        columns=tuple(dict.fromkeys(name for row in rows for name in row)),
        verdicts=tuple(names[name] for name in VERDICTS if name in names and _judges(names[name], rows)),
        messages=_chat(names, rows),
    )
    shape = replace(shape, questions=_questions(names, rows, shape))
    shape = _with_completions(shape, names, rows)
    taken = {*shape.questions, *shape.responses, shape.reasoning}
    shape = replace(shape, left_out=tuple(name for name in shape.left_out if name not in taken))
    return replace(shape, reference=_reference(names, rows, taken))


def _names(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return normalized name -> name of the columns that hold anything."""
    names: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                names.setdefault(_plain(name), name)
    return names


def _plain(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", CAMEL.sub("_", name.strip()).lower())


def _ending(names: Mapping[str, str], pattern: re.Pattern[str]) -> str | None:
    """Return the normalized name of the one column whose name ends in a usual word; None: there are several or none."""
    found = [name for name in names if pattern.fullmatch(name) and not NO_QUESTION.fullmatch(name)]
    return found[0] if len(found) == 1 else None


def _name(names: Mapping[str, str]) -> str:
    return next((name for name, columns in NAMES if all(column in names for column in columns)), "columns")


def _first(names: Mapping[str, str], wanted: Iterable[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _nested(rows: Sequence[Mapping[str, Any]], wanted: Iterable[str]) -> str | None:
    """Return the first nested column that some row has."""
    dotted = [name for name in wanted if "." in name]
    return next((name for name in dotted if any(isinstance(lookup(row, name), str | dict) for row in rows)), None)


def _states_ends(names: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the column `status` where all it holds are known ways in which completions end."""
    name = names.get("status")
    stated = {str(row[name]) for row in rows if row.get(name)} if name else set()
    return name if stated and all(is_known(one) for one in stated) else None


def _judges(column: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a column holds verdicts; `label` and `correct` do only as yes or no, or as one a completion.

    They may be an option otherwise.
    """
    if column.strip().lower() not in ("label", "correct"):
        return True
    return any(
        isinstance(value, bool | list) or str(value).lower() in YES_NO
        for row in rows
        if (value := row.get(column)) is not None
    )


def _filled(names: Mapping[str, str], rows: Sequence[Mapping[str, Any]], wanted: Iterable[str]) -> str | None:
    """Return the first of the columns in which some row holds more than an empty list or text."""
    name = _first(names, wanted)
    return name if name and any(row.get(name) not in (None, [], {}, "", "[]") for row in rows) else None


def _chat(names: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the column of the conversation: one of a usual name, or a question that is a list of messages."""
    asked = ("prompt", "input", "question", "problem")
    for wanted, holds in ((CHATS, is_chat), (asked, is_chat), (DIALOGS, _is_dialog), (CHATS[:8], _is_list)):
        if holds is _is_dialog and any(name in names for name in QUESTIONS):
            continue
        for name in wanted:
            if name in names and any(holds(row.get(names[name])) for row in rows):
                return names[name]
    return names.get("messages")


def _is_dialog(value: Any) -> bool:
    """Return whether a value is a list of texts that may alternate."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, str) for one in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _questions(names: Mapping[str, str], rows: Sequence[Mapping[str, Any]], shape: Shape) -> tuple[str, ...]:
    found = next((name for name in QUESTIONS if name in names and names[name] != shape.messages), None)
    found = found or (None if shape.messages else _ending(names, ASKING))
    if found is None:
        return ()
    passage = _first(names, PASSAGES) if found == "instruction" else None
    body = _first(names, BODIES) if found == "question" else None
    if body and _is_text(rows, body):
        return (body, names[found])
    return (names[found], passage) if passage else (names[found],)


def _with_completions(shape: Shape, names: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> Shape:
    """Return the shape with the columns of reasoning and completions."""
    for thought, answer in PAIRS:
        if thought in names and answer in names:
            return replace(shape, reasoning=names[thought], responses=(names[answer],))
    numbered = tuple(names[name] for name in names if NUMBERED.fullmatch(name))
    free = {name: column for name, column in names.items() if column not in shape.questions}
    free = {name: column for name, column in free.items() if column != shape.messages}
    free = {name: column for name, column in free.items() if name not in OPTIONS or not _are_options(rows, column)}
    reasoning = next((free[name] for name in REASONINGS if name in free and _is_text(rows, free[name])), None)
    ending = _ending(free, ANSWERING)
    response = _first(free, RESPONSES) or (free[ending] if ending and not shape.messages else None)
    spoken = max((free[name] for name in SPOKEN if name in free), key=lambda name: _chars(rows, name), default=None)
    if response is None and not numbered and spoken is not None:
        if reasoning or _is_completion(rows, spoken, shape):
            response = spoken
        else:
            shape = replace(shape, spoken=spoken)
    return replace(shape, reasoning=reasoning, responses=numbered or ((response,) if response else ()))


def _are_options(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Return whether a column holds the options of questions: labels with texts, or short texts without thinking."""
    values = [value for row in rows if (value := row.get(column)) not in (None, [], {})]
    return bool(values) and all(map(_is_options, values))


def _is_options(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "label" in value or {*map(len, value)} == {1}  # letters
    if not isinstance(value, list):
        return False
    labelled = all(isinstance(one, Mapping) and "label" in one for one in value)
    short = len(value) > 1 and all(
        isinstance(one, str | int | float) and read_text(str(one)).reasoning is None for one in value
    )
    return labelled or short


def _chars(rows: Sequence[Mapping[str, Any]], column: str) -> int:
    return sum(len(text) for row in rows if isinstance(text := row.get(column), str))


def _is_text(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Return whether a column holds texts or parts, not a switch such as on and off."""
    values = [row.get(column) for row in rows if row.get(column) is not None]
    return any(
        isinstance(value, list | dict) or (isinstance(value, str) and value.strip().lower() not in {*SWITCHES, ""})
        for value in values
    )


def _is_completion(rows: Sequence[Mapping[str, Any]], column: str, shape: Shape) -> bool:
    """Return whether an answer is a model's completion: it has thinking marks, or is long and ends in no `####`."""
    if shape.messages:  # the conversation ends with the completion
        return False
    texts = [text for row in rows if isinstance(text := row.get(column), str)]
    if any(read_text(text).reasoning is not None for text in texts):
        return True
    return bool(texts) and sum(map(len, texts)) / len(texts) > LONG_CHARS and not any("####" in one for one in texts)


def _reference(names: Mapping[str, str], rows: Sequence[Mapping[str, Any]], taken: set[str | None]) -> str | None:
    for name in REFERENCES:
        head, _, rest = name.partition(".")
        if head not in names or names[head] in taken:
            continue
        path = f"{names[head]}.{rest}" if rest else names[head]
        if name == "solution" and not any(_ends_in_answer(row.get(path)) for row in rows):
            continue
        if any(isinstance(lookup(row, path), str | int | float | list | dict) for row in rows):
            return path
    return None


def _ends_in_answer(value: Any) -> bool:
    """Return whether a solution is a short answer, or marks one."""
    return not isinstance(value, str) or len(value) <= SHORT_CHARS or "\\boxed" in value or "####" in value
