"""Mathematical answers: numbers and short fractions by exact arithmetic, everything else by Math-Verify.

Math-Verify (huggingface/Math-Verify 0.9) parses both sides into sympy and compares them. Its own time-outs are
signals and work in no thread; they are off here, because `filters.pool` keeps the deadline. What would only
burn that deadline (power towers, thousands of digits) is refused before it is parsed.
"""

import logging
import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from math_verify import parse
from math_verify import verify as equivalent

from filters.extract import Answer, boxed, final_answer
from filters.verdicts import Item, Judgement, broken, correct, unparseable, wrong

# It warns that its time-outs are off.
logging.getLogger("math_verify").setLevel(logging.ERROR)

SEARCHED_CHARS = 20_000  # of an answer without a mark the end: Math-Verify takes the rightmost match anyway
MARKED_CHARS = 4_000
SHOWN_CHARS = 80

NUMBER = re.compile(
    r"([+-]?)(\d{1,3}(?:,\d{3})+|\d+)?(\.\d+)?(?:[eE]([+-]?\d{1,3})|\\(?:times|cdot)10\^\{?([+-]?\d{1,3})\}?)?"
)
FRACTION = re.compile(r"([+-]?)\\[dt]?frac\{(\d+)\}\{(\d+)\}|([+-]?)(\d+)/(\d+)")
MARKUP = re.compile(r"\\[,!;: ]|\\left|\\right|[\s$]|\\text\{\s*\}")
BASED = re.compile(r"([0-9A-Fa-f]+)_\{?(\d+)\}?")
DELIMITER = re.compile(r"(?<!\\)(?:\$|\\[()\[\]])")
LAYOUT = re.compile(r"\\(?:left|right|displaystyle|quad|qquad)(?![A-Za-z])|\\[,!;: ]|\s")
SIZED_FRACTION = re.compile(r"\\[dt]frac(?![A-Za-z])")
DOLLARS = re.compile(r"(\$\$?)([^$]+)\1")
PROSE = re.compile(r"(?<![\\A-Za-z])(?!(?:and|or)\b)[A-Za-z]{2,}")
NOT_UNITS = r"(?:sin|cos|tan|cot|sec|csc|log|exp|sqrt|and|hundred|thousand|million|billion|trillion|dozen)\b"
QUANTITY = re.compile(rf"([-+]?[\d.,/]*\d)\s+((?!{NOT_UNITS})[A-Za-z]{{3,}}[A-Za-z ]*)\.?")
CHOICE = re.compile(r"(?:\\text(?:bf)?\s*\{)?\s*\(?([A-J])\)?\s*\}?")
LABELLED = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?\s*\(?([A-J])\s*[).:](?!\s*[-+*/^=,])")
LABEL = re.compile(r"(?<![A-Za-z\\])[A-J]\s*[).]")
UNIT = re.compile(
    r"[\d}][\s~]*(?:\\[,;! ])*(?:\\(?:text|mathrm|textrm)\s*\{)?\s*([A-Za-z]+)\.?\s*\}?(?:\^\{?\d\}?)?\.?$"
)
# Math-Verify drops units. Only two that are both here, and not the same, make equal numbers differ.
UNITS = {
    name: names
    for names in (
        *("mm millimeter millimeters", "cm centimeter centimeters", "m meter meters", "km kilometer kilometers"),
        *("in inch inches", "ft foot feet", "yd yard yards", "mi mile miles", "mg milligram milligrams"),
        *("g gram grams", "kg kilogram kilograms", "s sec second seconds", "min minute minutes", "h hr hour hours"),
        *("day days", "week weeks", "month months", "year years", "dollar dollars", "cent cents", "am", "pm"),
    )
    for name in names.split()
}
MANY_DIGITS = re.compile(r"\d{200}")
HUGE_POWER = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*\d{5}")
POWER_IN_EXPONENT = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*(\d+)\s*(?:\^|\*\*)\s*[{(]*\s*(\d+)")


def verify(item: Item) -> Judgement:
    """Judges the last `\\boxed{}` (or `<answer>`, or `####`) after the thinking, else the final number or formula."""
    if not (item.reference or "").strip():
        return broken("the prompt has no reference answer")
    answer = final_answer(item)
    if isinstance(answer, Judgement):
        return answer
    reference = bare_reference(item.reference or "")
    return by_letter(answer, reference) or by_arithmetic(answer, reference) or by_math_verify(answer, reference)


def bare_reference(reference: str) -> str:
    """The gold answer without `####`, `\\boxed{}` or dollars around the whole of it."""
    text = reference.rpartition("####")[2].strip()
    if len(boxes := boxed(text)) == 1:
        text = boxes[0]
    text = text.replace("\\$", "")
    whole = DOLLARS.fullmatch(text)
    return whole.group(2).strip() if whole else text


def by_letter(answer: Answer, reference: str) -> Judgement | None:
    """A judgement where the reference is the letter of a choice and the mark holds `(B) 12`; None otherwise."""
    expected, said = CHOICE.fullmatch(reference), LABELLED.match(answer.marked or "")
    if not expected or not said or len(LABEL.findall(answer.marked or "")) != 1:
        return None
    if said.group(1) == expected.group(1):
        return correct(f"{said.group(1)} is the reference")
    return wrong(f"got {said.group(1)}, reference {expected.group(1)}")


def by_arithmetic(answer: Answer, reference: str) -> Judgement | None:
    """A judgement where both sides are plain numbers; None leaves it to Math-Verify.

    Unequal numbers that are not both whole are left too: Math-Verify rounds to six decimals.
    """
    said = searched_text(answer)
    if len(said) > SHOWN_CHARS or len(reference) > SHOWN_CHARS:
        return None
    got, expected = exact_number(said), exact_number(reference)
    if got is None or expected is None:
        return by_base(said, reference)
    if got == expected:
        return correct(f"{said} equals the reference {reference}")
    if got.denominator == expected.denominator == 1:
        return wrong(f"got {said}, reference {reference}")
    return None


def by_base(said: str, reference: str) -> Judgement | None:
    """A judgement where both sides name the base that their digits are in, which Math-Verify drops."""
    got, expected = (BASED.fullmatch(MARKUP.sub("", side)) for side in (said, reference))
    if not got or not expected:
        return None
    if got.groups() == expected.groups():
        return correct(f"{said} equals the reference {reference}")
    return wrong(f"got {said}, reference {reference}")


def exact_number(text: str) -> Fraction | None:
    """The value of an integer, a decimal (1,234.5; 2e-3; 2\\times10^{-3}) or a fraction of integers; else None."""
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


def searched_text(answer: Answer) -> str:
    """What the mark holds; the end of the text where there is none, or where several boxes make up the answer."""
    text = answer.text[-SEARCHED_CHARS:] if answer.marked is None or answer.boxes > 1 else answer.marked
    return text.replace("\\$", "")


def by_math_verify(answer: Answer, reference: str) -> Judgement:
    """Math-Verify's verdict with both sides named."""
    searched = searched_text(answer)
    if spelled(searched) == spelled(reference):
        return correct(f"{shown(searched)} is the reference")
    whole = answer.marked is not None and answer.boxes <= 1
    if whole and len(searched) > MARKED_CHARS:
        return unparseable(f"the answer has {len(searched)} characters; at most {MARKED_CHARS} are read")
    if excess := too_large(searched):
        return unparseable(f"the answer {excess}")
    gold = parsed_reference(reference)
    if not gold:
        return broken(f"the reference {shown(reference)} could not be read as mathematics")
    said = parse(as_box(searched) if whole else searched, parsing_timeout=None)
    if not said:
        return unparseable("no answer found")
    text = shown(str(said[-1]))
    if equivalent(list(gold), said, allow_set_relation_comp=True, timeout_seconds=None):
        if whole and units_differ(searched, reference):
            return wrong(f"got {shown(searched)}, reference {shown(reference)}: another unit")
        return correct(f"{text} equals the reference {shown(reference)}")
    if all(isinstance(value, str) for value in said):
        return unparseable(f"{text} could not be read as mathematics")
    return wrong(f"got {text}, reference {shown(reference)}")


@lru_cache(maxsize=256)
def parsed_reference(reference: str) -> tuple[Any, ...]:
    """Math-Verify's reading of a bare gold answer; several samples of a prompt share it."""
    helped = QUANTITY.fullmatch(reference) or delimited(reference)
    return tuple(parse(as_box(reference) if helped else f"${reference}$", parsing_timeout=None))


def as_box(marked: str) -> str:
    """What a mark holds, in the form that Math-Verify reads as one formula; prose with formulas stays as it is."""
    if quantity := QUANTITY.fullmatch(marked):
        marked = f"{quantity.group(1)} \\text{{ {quantity.group(2)}}}"
    elif delimited(marked):
        formula = without_delimiters(marked)
        if "\\boxed" in formula or PROSE.search(formula):
            return marked
        marked = formula
    return f"\\boxed{{{marked}}}"


def units_differ(said: str, reference: str) -> bool:
    """Whether the sides end in two different units, such as cm and m or am and pm."""
    units = (UNIT.search(without_delimiters(side)) for side in (said, reference))
    kinds = [UNITS.get(unit.group(1).lower()) for unit in units if unit]
    return len(kinds) == 2 and None not in kinds and kinds[0] != kinds[1]


def without_delimiters(text: str) -> str:
    """The text without dollars and `\\(`, every run of white space one blank."""
    return " ".join(DELIMITER.sub("", text).split())


def spelled(text: str) -> str:
    """The text without what only lays it out: formulas that differ in nothing else are equal, readable or not."""
    return LAYOUT.sub("", SIZED_FRACTION.sub(r"\\frac", DELIMITER.sub("", text))).removesuffix(".")


def delimited(text: str) -> bool:
    """Whether Math-Verify will find formulas in the text without help."""
    return any(mark in text for mark in ("$", "\\(", "\\[", "\\boxed"))


def too_large(text: str) -> str | None:
    """Why evaluating `text` would run into the deadline or the memory cap; None where it looks harmless."""
    if MANY_DIGITS.search(text):
        return "holds a number of 200 digits or more"
    exponents = ((int(base), int(power)) for base, power in POWER_IN_EXPONENT.findall(text))
    if HUGE_POWER.search(text) or any(power * math.log10(base or 1) >= 4 for base, power in exponents):
        return "raises to a power of 10000 or more"
    if power_tower(text) >= 3:
        return "holds a power tower"
    return None


def power_tower(text: str) -> int:
    """The largest number of powers of digits nested in each other: 2 for 2^{3^2}, 3 for 9^{9^{9^9}}, 0 for e^{x^2}."""
    deepest, depth, stack = 0, 0, []
    for match in re.finditer(r"\d\s*(?:\^|\*\*)\s*[{(]?|[{}()]", text):
        token = match.group()
        if token[0].isdigit():
            deepest = max(deepest, depth + 1)
            if token[-1] in "{(":
                stack.append(1)
                depth += 1
        elif token in "{(":
            stack.append(0)
        elif stack:
            depth -= stack.pop()
    return deepest


def shown(text: str) -> str:
    """The text as a reason quotes it."""
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + "..."
