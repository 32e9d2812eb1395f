"""The chosen option of a multiple-choice question must be the reference's, whether given as a letter or as a value.

The reference is a letter, or the value of an option (which holds however the options were shuffled), or JSON:
{"answer": LETTER OR VALUE, "options": [VALUE, ...]}. Without `options` they are read from the prompt's last message,
one per line: `A. ...`, `(B) ...`, `C: ...`.
"""

import json
import re

from filters.text.final_answer import final_answer
from filters.verification.verdicts import Item, Judgement, broken, correct, unparseable, wrong
from filters.verifiers.exact import normalized

LETTER = re.compile(r"^[\s($*{\[]*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?\s*\(?([A-Za-z])\)?(?![A-Za-z])")
ONLY_LETTER = re.compile(r"^\s*\(?([A-Za-z])\)?[.:]?\s*$")
STATED = re.compile(
    r"(?i:answer|option|choice)\s*(?i:is|:)?\s*(?i:option|choice)?\s*[:*$(\[]*\s*(?:\\text\{)?\(?([A-J])\)?(?![A-Za-z'])"
)
LAST_LINE = re.compile(r"^[\s*$(]*([A-J])[\s*$).:]*$")
OPTION = re.compile(r"^[ \t*-]*(?:\(([A-J])\)|([A-J])[.):])[ \t*]*(\S.*)$", re.M)
TEXT = re.compile(r"^\s*\$?\\(?:text|textbf|mathrm|mathbf)\s*\{(.*)\}\$?\s*$", re.S)


def verify(item: Item) -> Judgement:
    """Judge `\\boxed{}` or `<answer>`, else the last "answer is X", else a letter alone on a line, else a value."""
    try:
        wanted, options = read_reference(item)
    except ValueError as error:
        return broken(str(error))
    answer = final_answer(item)
    if isinstance(answer, Judgement):
        return answer
    letter = chosen(answer.text, answer.marked, options)
    if letter is None:
        return unparseable("neither a letter nor the value of an option found")
    if letter == wanted:
        return correct(f"{letter} is the reference")
    return wrong(f"got {letter}, reference {wanted}")


def read_reference(item: Item) -> tuple[str, dict[str, str]]:
    """Return (the right letter, value -> letter); raise ValueError if the reference names no option."""
    reference, options = item.reference or "", prompt_options(item)
    if reference.lstrip().startswith("{"):
        try:
            data = json.loads(reference)
            reference, listed = str(data["answer"]), data.get("options")
        except (ValueError, KeyError, RecursionError) as error:
            raise ValueError(f"the reference {item.reference!r:.80} is no JSON with `answer`: {error}") from None
        options = options if listed is None else lettered([str(value) for value in listed])
    if (letter := options.get(value_of(reference))) is not None:
        return letter, options
    match = ONLY_LETTER.match(reference) or LETTER.match(reference)
    if match is None:
        raise ValueError(f"the reference {reference!r} is not a letter, nor the value of an option")
    return match.group(1).upper(), options


def prompt_options(item: Item) -> dict[str, str]:
    """Return value -> letter from the last message of the prompt."""
    text = item.messages[-1]["content"] if item.messages else ""
    return {value_of(value): bracketed or plain for bracketed, plain, value in OPTION.findall(text)}


def lettered(values: list[str]) -> dict[str, str]:
    """Return value -> letter, in order."""
    return {value_of(value): chr(ord("A") + place) for place, value in enumerate(values)}


def chosen(text: str, marked: str | None, options: dict[str, str]) -> str | None:
    """Return the chosen letter in upper case; None if none is stated. A value takes precedence over its letter."""
    if marked is not None:
        if letter := options.get(value_of(marked)):
            return letter
        if match := LETTER.match(marked):
            return match.group(1).upper()
    if stated := STATED.findall(text):
        return str(stated[-1])
    for line in reversed(text.splitlines()):
        if match := LAST_LINE.match(line):
            return match.group(1)
    last = text.strip().rpartition("\n")[2].rpartition(": ")[2]
    return options.get(value_of(last))


def value_of(text: str) -> str:
    """Return a value in the form in which options are compared: without emphasis, a final stop or `\\text{}`."""
    inner = match.group(1) if (match := TEXT.match(text)) else text
    return normalized(inner.strip().strip("*$").removesuffix("."))
