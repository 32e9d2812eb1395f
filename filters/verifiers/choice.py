"""The chosen option of a multiple-choice question must be the reference's, whether given as a letter or as a value.

The reference is a letter, or the value of an option (which holds however the options were shuffled), or JSON:
{"answer": LETTER OR VALUE, "options": [VALUE, ...]}. Without `options` they are read from the prompt's last message,
one per line: `A. ...`, `(B) ...`, `C: ...`. A reference of several letters (`A, C`, `ACD`, `A and C`, or a list in
JSON) wants exactly these; of `A or B`, either is right.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from filters.choices.denials import retracted
from filters.choices.letters import Choice, is_compact, plain, read_answer, read_line, spread, value_of
from filters.choices.phrases import UNSURE
from filters.choices.statements import SENTENCE_CHARS, hedged, stated_after, stated_choice, stated_value
from filters.text.boxes import box_places
from filters.text.final_answer import ANSWER_OPEN, Answer, final_answer
from filters.verification.verdicts import Item, Judgement, broken, correct, unparseable, wrong

OPTION = re.compile(r"^[ \t*-]*(?:\(([A-J])\)|([A-J])[.):])[ \t*]*(\S.*)$", re.M)
NEEDS_REFERENCE = True  # imported rows without one have no verifier
INLINE = re.compile(r"(?<![\w.(])(?:\(([A-J])\)|([A-J])[.)])(?=\s*\S)")
LEAST_INLINE = 3  # options in running text; fewer may be the parts of a figure
LATER_CHARS = 1500  # searched behind a box for another choice
LETTER_SET = re.compile(r"\s*\{[A-J,;\s]+\}\s*")


class Reference(NamedTuple):
    """The letters that are right, whether one of them suffices, and value -> letter of the options."""

    letters: frozenset[str]
    any_of: bool
    options: Mapping[str, str]

    def accepts(self, choice: Choice) -> bool:
        """Return whether a choice is right."""
        if self.any_of:
            return choice.letters <= self.letters and (len(choice.letters) == 1 or choice.unsure)
        return choice.letters == self.letters and not choice.unsure

    def named(self) -> str:
        """Return the letters as a reason shows them."""
        return (" or " if self.any_of else ", ").join(sorted(self.letters))


def verify(item: Item) -> Judgement:
    """Judge `\\boxed{}` or `<answer>`, else what the text states last: "the answer is B", a marked letter, a value."""
    try:
        reference = read_reference(item)
    except ValueError as error:
        return broken(str(error))
    answer = final_answer(item)
    if isinstance(answer, Judgement):
        return answer
    choice = chosen(answer, reference)
    if choice is None or not choice.letters:
        return unparseable("neither a letter nor the value of an option found")
    said = (" or " if choice.unsure else ", ").join(sorted(choice.letters))
    if reference.accepts(choice):
        return correct(f"{said} is the reference")
    return wrong(f"got {said}, reference {reference.named()}")


def read_reference(item: Item) -> Reference:
    """Return the reference; raise ValueError if it names no option."""
    answer, listed = split_reference(item.reference or "")
    options = prompt_options(item) if listed is None else lettered(listed)
    choice = reference_choice(answer, options)
    if choice is None:
        raise ValueError(f"the reference {answer!r} is not a letter, nor the value of an option")
    if beyond := sorted(choice.letters - known_letters(options, choice)):
        raise ValueError(f"the reference {answer!r} names {', '.join(beyond)}, but there are {len(options)} options")
    return Reference(choice.letters, choice.unsure, options)


def split_reference(reference: str) -> tuple[str, list[str] | None]:
    """Return (answer, values of the options if the reference is JSON with them)."""
    if not reference.lstrip().startswith("{") or LETTER_SET.fullmatch(reference):
        return reference.strip("{} "), None
    try:
        data = json.loads(reference)
        answer, listed = data["answer"], data.get("options")
    except (ValueError, KeyError, RecursionError) as error:
        raise ValueError(f"the reference {reference!r:.80} is no JSON with `answer`: {error}") from None
    values = listed.values() if isinstance(listed, dict) else listed
    return joined(answer), None if values is None else [str(value) for value in values]


def joined(answer: Any) -> str:
    """Return the answer of a JSON reference as text; a list is joined by commas."""
    return ", ".join(map(str, answer)) if isinstance(answer, list) else str(answer)


def reference_answer(reference: str) -> str | None:
    """Return the answer that a reference stands for (filters.check_references)."""
    try:
        return split_reference(reference)[0]
    except ValueError:
        return None


def reference_defects(reference: str) -> Iterator[tuple[str, str]]:
    """Yield that a reference wants several letters (filters.check_references)."""
    answer = reference_answer(reference)
    choice = None if answer is None else reference_choice(answer, {})
    if choice is not None and len(choice.letters) > 1 and not choice.unsure:
        yield "multi-valued", f"it has {len(choice.letters)} letters, and an answer must have exactly these"


def reference_choice(answer: str, options: Mapping[str, str]) -> Choice | None:
    """Return the letters of a reference, which may also be written without separators (`ACD`)."""
    choice = read_answer(answer, options)
    return compact_choice(answer) if choice is None else choice


def compact_choice(text: str) -> Choice | None:
    """Return the letters of a text such as `ACD`; None if it is anything else, or has a letter twice."""
    letters = plain(text)
    return Choice(frozenset(letters)) if is_compact(letters) else None


def known_letters(options: Mapping[str, str], choice: Choice) -> frozenset[str]:
    """Return the letters that options have; those of the choice if the options do not run from A without a gap."""
    letters = sorted(set(options.values()))
    complete = len(letters) > 1 and letters == [chr(ord("A") + place) for place in range(len(letters))]
    return frozenset(letters) if complete else choice.letters


def prompt_options(item: Item) -> dict[str, str]:
    """Return value -> letter from the last message of the prompt."""
    text = item.messages[-1]["content"] if item.messages else ""
    listed = {value_of(value): bracketed or plain for bracketed, plain, value in OPTION.findall(text)}
    return listed if len(listed) > 1 else inline_options(text) or listed


def inline_options(text: str) -> dict[str, str]:
    """Return value -> letter of options in running text, "(A) 1 (B) 2 (C) 3": the last run from A, of three or more."""
    run: list[re.Match[str]] = []
    for mark in INLINE.finditer(text):
        letter = mark[1] or mark[2]
        if letter == "A":
            run = [mark]
        elif run and letter == chr(ord("A") + len(run)):
            run.append(mark)
    ends = [mark.start() for mark in run[1:]] + [len(text)]
    values = [text[mark.end() : end].strip().partition("\n")[0] for mark, end in zip(run, ends, strict=False)]
    return lettered([value.strip(" ,;") for value in values]) if len(run) >= LEAST_INLINE else {}


def lettered(values: list[str]) -> dict[str, str]:
    """Return value -> letter, in order."""
    return {value_of(value): chr(ord("A") + place) for place, value in enumerate(values)}


def chosen(answer: Answer, reference: Reference) -> Choice | None:
    """Return what an answer chooses; None if it states no choice.

    What stands in an `<answer>` tag is all of the answer. If a box holds no choice, the text around it may state one.
    """
    options, several = reference.options, len(reference.letters) > 1
    if (answer.marked is not None and answer.denied) or (answer.boxes and is_guess(answer.text)):
        return None
    for marked in (answer.joined, answer.marked):
        if marked is not None and (choice := read_marked(marked, options, several)):
            return None if answer.boxes and is_retracted(answer.text, choice, options) else choice
    if answer.marked is not None and ANSWER_OPEN in answer.text:
        return None
    text = answer.text.strip("{}") if LETTER_SET.fullmatch(answer.text) else answer.text
    choice = listed(text) if several else None
    choice = choice or stated_choice(spread(text) if several else text, options)
    return stated_value(answer.stated, options) if choice is None and answer.stated else choice


def listed(text: str) -> Choice | None:
    """Return the letters of a last line that is a list of several."""
    choice = read_line(plain(text).rpartition("\n")[2])
    return choice if choice and len(choice.letters) > 1 else None


def is_guess(text: str) -> bool:
    """Return whether the sentence around the last box says that its answer is a guess."""
    start, _, end = box_places(text)[-1]
    return hedged(text[max(0, start - SENTENCE_CHARS) : start], text[end + 1 : end + 1 + SENTENCE_CHARS])


def is_retracted(text: str, choice: Choice, options: Mapping[str, str]) -> bool:
    """Return whether what follows the last box states another choice."""
    later = text[box_places(text)[-1][2] + 1 :][:LATER_CHARS]
    stated = stated_after(plain(later), options)
    return (stated is not None and stated.letters != choice.letters) or retracted(plain(later), choice.letters)


def read_marked(marked: str, options: Mapping[str, str], several: bool) -> Choice | None:
    """Return what the text inside a mark chooses; a word such as `ACD` is read as letters if several are asked for."""
    if UNSURE.search(marked):
        return None
    if choice := read_answer(marked, options):
        return choice
    return (compact_choice(marked) if several else None) or stated_choice(marked, options)
