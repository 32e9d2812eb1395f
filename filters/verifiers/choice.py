"""The letter chosen in a multiple-choice question must be the reference's."""

import re

from filters.extract import final_answer
from filters.verdicts import Item, Judgement, broken, correct, unparseable, wrong

LETTER = re.compile(r"^[\s($*{\[]*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?\s*\(?([A-Za-z])\)?(?![A-Za-z])")
STATED = re.compile(
    r"(?i:answer|option|choice)\s*(?i:is|:)?\s*(?i:option|choice)?\s*[:*$(\[]*\s*(?:\\text\{)?\(?([A-J])\)?(?![A-Za-z'])"
)
LAST_LINE = re.compile(r"^[\s*$(]*([A-J])[\s*$).:]*$")


def verify(item: Item) -> Judgement:
    """Takes the letter from `\\boxed{}` or `<answer>`, else from the last "answer is X", else from its own line."""
    reference = LETTER.match(item.reference or "")
    if not reference:
        return broken(f"the reference {item.reference!r} is not a letter")
    answer = final_answer(item)
    if isinstance(answer, Judgement):
        return answer
    letter = chosen(answer.text, answer.marked)
    if letter is None:
        return unparseable("no letter found")
    expected = reference.group(1).upper()
    if letter == expected:
        return correct(f"{letter} is the reference")
    return wrong(f"got {letter}, reference {expected}")


def chosen(text: str, marked: str | None) -> str | None:
    """The letter, upper case; None where no choice is stated."""
    if marked is not None and (match := LETTER.match(marked)):
        return match.group(1).upper()
    if stated := STATED.findall(text):
        return stated[-1]
    for line in reversed(text.splitlines()):
        if match := LAST_LINE.match(line):
            return match.group(1)
    return None
