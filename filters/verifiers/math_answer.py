"""Mathematical answers, compared by our own exact arithmetic, or by Math-Verify where that cannot decide.

No text is evaluated as code: it is parsed into a tree (filters.mathematics.parser), and two trees are compared by exact
and modular arithmetic (filters.mathematics.compare). About six in a thousand answers go to Math-Verify.
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from filters.mathematics.compare import LENIENCIES, Comparer, Comparison, leniencies_needed
from filters.mathematics.expressions import LETTERS, Call, Expression, Words, nodes
from filters.mathematics.parser import read_answer
from filters.mathematics.references import defects
from filters.mathematics.symbolic import DELIMITER, PROSE, SHOWN_CHARS, by_math_verify, shown, too_large
from filters.mathematics.tokens import Unreadable
from filters.text.final_answer import Answer, boxed, final_answer, joined_boxes
from filters.verification.verdicts import Item, Judgement, broken, correct, unparseable, wrong

SEARCHED_CHARS = 20_000  # at the end of an answer without a mark; Math-Verify takes the rightmost match anyway
MARKED_CHARS = 4_000
SHORT_CHARS = 200

NUMBER = re.compile(
    r"([+-]?)(\d{1,3}(?:,\d{3})+|\d+)?(\.\d+)?(?:[eE]([+-]?\d{1,3})|\\(?:times|cdot)10\^\{?([+-]?\d{1,3})\}?)?"
)
FRACTION = re.compile(r"([+-]?)\\[dt]?frac\{(\d+)\}\{(\d+)\}|([+-]?)(\d+)/(\d+)")
MARKUP = re.compile(r"\\[,!;: ]|\\left|\\right|[\s$]|\\text\{\s*\}")
LAYOUT = re.compile(r"\\(?:left|right|displaystyle|quad|qquad)(?![A-Za-z])|\\[,!;: ]|\s")
SIZED_FRACTION = re.compile(r"\\[dt]frac(?![A-Za-z])")
DOLLARS = re.compile(r"(\$\$?)([^$]+)\1")
CHOICE = re.compile(r"(?:\\text(?:bf)?\s*\{)?\s*\(?([A-J])\)?\s*\}?")
LABELLED = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?\s*\(?([A-J])\s*[).:](?!\s*[-+*/^=,])")
LABEL = re.compile(r"(?<![A-Za-z\\])[A-J]\s*[).]")


def check_options(options: Mapping[str, Any]) -> None:
    """Check the only option, `leniencies`: a list of names in filters.mathematics.compare.LENIENCIES."""
    for key, names in options.items():
        if key != "leniencies":
            raise ValueError(f"math_answer has no option {key!r}; it has 'leniencies'")
        if not isinstance(names, list | tuple) or not set(names) <= set(LENIENCIES):
            raise ValueError(f"leniencies = {names!r}: it must be a list of {', '.join(map(repr, LENIENCIES))}")


def reference_answer(reference: str) -> str:
    """Return the answer that a reference stands for (filters.check_references)."""
    return bare_reference(reference)


def reference_defects(reference: str) -> list[tuple[str, str]]:
    """Return what looks wrong with a reference (filters.check_references)."""
    return list(defects(bare_reference(reference)))


def verify(item: Item) -> Judgement:
    """Judge the last answer that the text after the thinking commits to, else its final number or formula."""
    if not (item.reference or "").strip():
        return broken("the prompt has no reference answer")
    answer = final_answer(item)
    if isinstance(answer, Judgement):
        return answer
    reference = bare_reference(item.reference or "")
    leniencies = tuple(item.options.get("leniencies", ()))
    return by_letter(answer, reference) or by_value(answer, reference, leniencies) or by_symbols(answer, reference)


def bare_reference(reference: str) -> str:
    """Return the reference answer without `####`, `\\boxed{}` or dollars around the whole of it."""
    text = reference.rpartition("####")[2].strip()
    boxes = boxed(text) if "boxed" in text else []
    if len(boxes) > 1:
        text = joined_boxes(text) or text
    elif boxes:
        text = boxes[0]
    text = text.replace("\\$", "")
    whole = DOLLARS.fullmatch(text)
    return whole.group(2).strip() if whole else text


def by_letter(answer: Answer, reference: str) -> Judgement | None:
    """Return a judgement if the reference is the letter of a choice and the mark holds `(B) 12`; else None."""
    expected = CHOICE.fullmatch(reference)
    said = LABELLED.match(answer.marked or "") if expected else None
    if not expected or not said or len(LABEL.findall(answer.marked or "")) != 1:
        return None
    if said.group(1) == expected.group(1):
        return correct(f"{said.group(1)} is the reference")
    return wrong(f"got {said.group(1)}, reference {expected.group(1)}")


def by_value(answer: Answer, reference: str, leniencies: tuple[str, ...] = ()) -> Judgement | None:
    """Judge the first readable candidate by exact comparison; None leaves the answer to Math-Verify."""
    judgement = None
    for said in candidates(answer):
        judgement = compared(said, reference, leniencies)
        if judgement and judgement.status != "unparseable":
            return judgement
    return judgement if answer.marked is not None else None  # a formula may follow the sentence that holds none


def candidates(answer: Answer) -> Iterator[str]:
    """Yield the possible readings of the final answer, the last committed one first."""
    marked = f"{answer.marked}{answer.unit}" if answer.marked and answer.unit else answer.marked
    for text in (answer.stated, answer.joined, marked, None if answer.marked else formula(answer.text)):
        if text and len(text) <= MARKED_CHARS:
            yield text.replace("\\$", "")


def formula(text: str) -> str | None:
    """Return a text without a mark if it is nothing but a number or a delimited formula."""
    if len(text) > SHORT_CHARS or PROSE.search(text):
        return None
    return text if DELIMITER.match(text) or exact_number(text) is not None else None


def compared(said: str, reference: str, leniencies: tuple[str, ...]) -> Judgement | None:
    """Return a judgement by value; None if a side cannot be read or the comparison is undecided."""
    number, expected = exact_number(said), exact_number(reference)
    if number is not None and number == expected:
        return correct(f"{said} equals the reference {reference}")
    if spelled(said) == spelled(reference):
        return correct(f"{shown(said)} is the reference")
    try:
        return by_trees(said, reference, leniencies)
    except (Unreadable, RecursionError):
        return None


def by_trees(said: str, reference: str, leniencies: tuple[str, ...]) -> Judgement | None:
    """Return the judgement on the two sides as parsed trees."""
    expected, got = read_answer(reference), read_answer(said)
    if isinstance(expected, Words) and len(expected.text) > SHOWN_CHARS:  # a whole solution, not an answer
        return None
    found = Comparer().compare(expected, got)
    if found is not Comparison.DIFFERENT and any(map(is_letters, (*nodes(expected), *nodes(got)))):
        return None  # they are equal as products, but may be different words
    if found is Comparison.EQUAL:
        return correct(f"{shown(said)} equals the reference {shown(reference)}")
    return None if found is Comparison.UNDECIDED else not_equal(got, expected, said, reference, leniencies)


def is_letters(node: Expression) -> bool:
    return isinstance(node, Call) and node.function == LETTERS


def not_equal(
    got: Expression, expected: Expression, said: str, reference: str, leniencies: tuple[str, ...]
) -> Judgement:
    """Return the judgement on an answer that differs, naming the leniencies under which it would be equal."""
    if isinstance(got, Words) and not isinstance(expected, Words):
        return unparseable(f"{shown(said)} could not be read as mathematics")
    needed = leniencies_needed(expected, got)
    if needed and set(needed) <= set(leniencies):
        return correct(f"{shown(said)} equals the reference {shown(reference)} with leniency {' and '.join(needed)}")
    hint = f"; equal with leniency {' and '.join(needed)}" if needed else ""
    return wrong(f"got {shown(said)}, reference {shown(reference)}{hint}")


def exact_number(text: str) -> Fraction | None:
    """Return the value of an integer, decimal (1,234.5; 2e-3; 2\\times10^{-3}) or fraction of integers; else None."""
    text = MARKUP.sub("", text).removesuffix(".")
    if match := NUMBER.fullmatch(text):
        sign, whole, decimals, *exponents = match.groups()
        if whole or decimals:
            exponent = next((e for e in exponents if e), "0")
            return Fraction(f"{sign}{(whole or '0').replace(',', '')}{decimals or ''}e{exponent}")
    elif match := FRACTION.fullmatch(text):
        sign, above, below = (part for part in match.groups() if part is not None)
        return Fraction(int(f"{sign}{above}"), int(below)) if int(below) else None
    return None


def by_symbols(answer: Answer, reference: str) -> Judgement:
    """Return Math-Verify's judgement on the mark's contents; on the end of the text if it has several boxes or none."""
    whole = answer.marked is not None and answer.boxes <= 1
    said = (answer.marked if whole and answer.marked else answer.text[-SEARCHED_CHARS:]).replace("\\$", "")
    if whole and len(said) > MARKED_CHARS:
        return unparseable(f"the answer has {len(said)} characters; at most {MARKED_CHARS} are read")
    if excess := too_large(said):
        return unparseable(f"the answer {excess}")
    return by_math_verify(said, reference, whole=whole)


def spelled(text: str) -> str:
    """Return the text without mere layout; formulas that differ in nothing else are equal, parsable or not."""
    return LAYOUT.sub("", SIZED_FRACTION.sub(r"\\frac", DELIMITER.sub("", text))).removesuffix(".")
