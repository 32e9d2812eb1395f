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
    return by_arithmetic(answer, reference) or by_math_verify(answer, reference)


def bare_reference(reference: str) -> str:
    """The gold answer without `####`, `\\boxed{}` or dollars around the whole of it."""
    text = reference.rpartition("####")[2].strip()
    if len(boxes := boxed(text)) == 1:
        text = boxes[0]
    if text.startswith("$") and text.endswith("$") and text.count("$") in (2, 4):
        text = text.strip("$").strip()
    return text


def by_arithmetic(answer: Answer, reference: str) -> Judgement | None:
    """A judgement where both sides are plain numbers; None leaves it to Math-Verify.

    Unequal numbers that are not both whole are left too: Math-Verify rounds to six decimals.
    """
    said = searched_text(answer)
    if len(said) > SHOWN_CHARS or len(reference) > SHOWN_CHARS:
        return None
    got, expected = exact_number(said), exact_number(reference)
    if got is None or expected is None:
        return None
    if got == expected:
        return correct(f"{said} equals the reference {reference}")
    if got.denominator == expected.denominator == 1:
        return wrong(f"got {said}, reference {reference}")
    return None


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
    return answer.text[-SEARCHED_CHARS:] if answer.marked is None or answer.boxes > 1 else answer.marked


def by_math_verify(answer: Answer, reference: str) -> Judgement:
    """Math-Verify's verdict with both sides named."""
    searched = searched_text(answer)
    if searched == reference:
        return correct(f"{shown(searched)} is the reference")
    if searched is answer.marked and len(searched) > MARKED_CHARS:
        return unparseable(f"the answer has {len(searched)} characters; at most {MARKED_CHARS} are read")
    if excess := too_large(searched):
        return unparseable(f"the answer {excess}")
    gold = parsed_reference(reference)
    if not gold:
        return broken(f"the reference {shown(reference)} could not be read as mathematics")
    boxed_up = searched is answer.marked and not delimited(searched)
    said = parse(f"\\boxed{{{searched}}}" if boxed_up else searched, parsing_timeout=None)
    if not said:
        return unparseable("no answer found")
    text = shown(str(said[-1]))
    if equivalent(list(gold), said, allow_set_relation_comp=True, timeout_seconds=None):
        return correct(f"{text} equals the reference {shown(reference)}")
    if all(isinstance(value, str) for value in said):
        return unparseable(f"{text} could not be read as mathematics")
    return wrong(f"got {text}, reference {shown(reference)}")


@lru_cache(maxsize=256)
def parsed_reference(reference: str) -> tuple[Any, ...]:
    """Math-Verify's reading of a bare gold answer; several samples of a prompt share it."""
    return tuple(parse(reference if delimited(reference) else f"${reference}$", parsing_timeout=None))


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
