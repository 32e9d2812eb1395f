"""Math-Verify (huggingface/Math-Verify 0.9), for comparisons that exact arithmetic leaves undecided.

It parses both sides into sympy and compares them. Its own time-outs use signals and fail outside the main thread; they
are off here, because the pool enforces the deadline. Input that would only burn that deadline (power towers, thousands
of digits) is rejected by `too_large` before parsing. The library is imported on first use: most verdicts need no sympy.
"""

import logging
import math
import re
from functools import lru_cache
from typing import Any

from filters.verification.verdicts import Judgement, broken, correct, unparseable, wrong

DELIMITER = re.compile(r"(?<!\\)(?:\$|\\[()\[\]])")
PROSE = re.compile(r"(?<![\\A-Za-z])(?!(?:and|or)\b)[A-Za-z]{2,}")
NOT_UNITS = r"(?:sin|cos|tan|cot|sec|csc|log|exp|sqrt|and|hundred|thousand|million|billion|trillion|dozen)\b"
QUANTITY = re.compile(rf"([-+]?[\d.,/]*\d)\s+((?!{NOT_UNITS})[A-Za-z]{{3,}}[A-Za-z ]*)\.?")
MANY_DIGITS = re.compile(r"\d{200}")
HUGE_POWER = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*\d{5}")
POWER_IN_EXPONENT = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*(\d+)\s*(?:\^|\*\*)\s*[{(]*\s*(\d+)")
SHOWN_CHARS = 80


def by_math_verify(said: str, reference: str, *, whole: bool) -> Judgement:
    """Return Math-Verify's verdict, quoting both sides; `whole` says that all of `said` is the answer."""
    from math_verify import parse
    from math_verify import verify as equivalent

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its time-outs are off
    expected = parsed_reference(reference)
    if not expected:
        return broken(f"the reference {shown(reference)} could not be read as mathematics")
    values = parse(as_box(said) if whole else said, parsing_timeout=None)
    if not values:
        return unparseable("no answer found")
    text = shown(str(values[-1]))
    if equivalent(list(expected), values, allow_set_relation_comp=True, timeout_seconds=None):
        return correct(f"{text} equals the reference {shown(reference)}")
    if all(isinstance(value, str) for value in values):
        return unparseable(f"{text} could not be read as mathematics")
    return wrong(f"got {text}, reference {shown(reference)}")


@lru_cache(maxsize=256)
def parsed_reference(reference: str) -> tuple[Any, ...]:
    """Return Math-Verify's reading of a bare reference answer; cached, as the samples of a prompt share it."""
    from math_verify import parse

    helped = QUANTITY.fullmatch(reference) or delimited(reference)
    return tuple(parse(as_box(reference) if helped else f"${reference}$", parsing_timeout=None))


def as_box(marked: str) -> str:
    """Return a mark's contents in the form that Math-Verify reads as one formula; prose with formulas is kept."""
    if quantity := QUANTITY.fullmatch(marked):
        marked = f"{quantity.group(1)} \\text{{ {quantity.group(2)}}}"
    elif delimited(marked):
        formula = without_delimiters(marked)
        if "\\boxed" in formula or PROSE.search(formula):
            return marked
        marked = formula
    return f"\\boxed{{{marked}}}"


def without_delimiters(text: str) -> str:
    """Return the text without dollars and `\\(`, and with every run of white space as one space."""
    return " ".join(DELIMITER.sub("", text).split())


def delimited(text: str) -> bool:
    """Return whether Math-Verify will find formulas in the text without help."""
    return any(mark in text for mark in ("$", "\\(", "\\[", "\\boxed"))


def too_large(text: str) -> str | None:
    """Return why evaluating `text` would exceed the deadline or the memory cap; None if it looks harmless."""
    if MANY_DIGITS.search(text):
        return "holds a number of 200 digits or more"
    exponents = ((int(base), int(power)) for base, power in POWER_IN_EXPONENT.findall(text))
    if HUGE_POWER.search(text) or any(power * math.log10(base or 1) >= 4 for base, power in exponents):
        return "raises to a power of 10000 or more"
    if power_tower(text) >= 3:
        return "holds a power tower"
    if r"\int" in text or r"\iint" in text:
        return "holds an integral that was not evaluated"
    return None


def power_tower(text: str) -> int:
    """Return the deepest nesting of powers of digits: 2 for 2^{3^2}, 3 for 9^{9^{9^9}}, 0 for e^{x^2}."""
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
    """Return the text as a reason quotes it."""
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + "..."
