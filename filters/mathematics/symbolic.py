"""Math-Verify (huggingface/Math-Verify 0.9), for comparisons that exact arithmetic leaves undecided.

It gets no text, only trees that were read in full and are written out again: so it can leave out no part. It parses
them into sympy and compares them. Its own time-outs use signals and fail outside the main thread; they
are off here, because the pool enforces the deadline. Input that would only burn that deadline (power towers, thousands
of digits) is rejected by `too_large` before parsing. The library is imported on first use: most verdicts need no sympy.
"""

import logging
import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from filters.mathematics.exact_values import flat
from filters.mathematics.expressions import (
    LOG_BASE,
    Call,
    Expression,
    Name,
    Number,
    Power,
    Product,
    Relation,
    Sum,
    nodes,
    unknowns,
)
from filters.mathematics.modular import rational
from filters.mathematics.numeric import real_value
from filters.mathematics.quantities import Comparison, is_infinite

DELIMITER = re.compile(r"(?<!\\)(?:\$|\\[()\[\]])")
PROSE = re.compile(r"(?<![\\A-Za-z])(?!(?:and|or)\b)[A-Za-z]{2,}")
NAME = re.compile(r"[A-Za-z](?:_[A-Za-z\d])?")
GREEK = "alpha beta gamma theta lambda mu omega phi rho sigma tau"
NAMED = {"π": r"\pi", "∞": r"\infty"} | {name: f"\\{name}" for name in GREEK.split()}
FUNCTION_NAMES = "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh"
WRITTEN = frozenset(FUNCTION_NAMES.split())
SIGNS = {"=": "=", "<": "<", ">": ">", "<=": r"\le", ">=": r"\ge"}
MANY_DIGITS = re.compile(r"\d{200}")
HUGE_POWER = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*\d{5}")
POWER_IN_EXPONENT = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*(\d+)\s*(?:\^|\*\*)\s*[{(]*\s*(\d+)")
SHOWN_CHARS = 80
MAX_NODES = 80  # beyond this, Math-Verify may take seconds
MAX_ARGUMENT = 1000  # of a factorial, and of the bounds of a sum
MAX_DIGITS = 10_000  # of a power
MAX_SIZE = Fraction(10**300)


def equal_by_math_verify(reference: Expression, said: Expression) -> Comparison:
    """Return Math-Verify's verdict on two trees; both are written out in full, so that it can leave out no part.

    Only single values, equations and inequalities go there: it compares lists without their order, labels and repeats.
    """
    if sum(1 for side in (reference, said) for _ in nodes(side)) > MAX_NODES or any(map(costly, (reference, said))):
        return Comparison.UNDECIDED
    one, other = unknowns(reference), unknowns(said)
    if not (one <= other or other <= one):
        return Comparison.DIFFERENT
    try:
        texts = latex(reference), latex(said)
    except Unwritable:
        return Comparison.UNDECIDED
    from math_verify import parse
    from math_verify import verify as equivalent

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its time-outs are off
    expected = parsed(texts[0])
    values = parse(f"\\boxed{{{texts[1]}}}", parsing_timeout=None)
    if not expected or not values or all(isinstance(value, str) for value in values):
        return Comparison.UNDECIDED
    same = equivalent(list(expected), values, allow_set_relation_comp=True, timeout_seconds=None)
    return Comparison.EQUAL if same else Comparison.DIFFERENT


def warm() -> None:
    """Load Math-Verify and what it loads on its first comparison."""
    x, two = Name("x"), Number(Fraction(2))
    double = Call("sin", (Product((two, x)),))
    equal_by_math_verify(double, Product((two, Call("sin", (x,)), Call("cos", (x,)))))


@lru_cache(maxsize=256)
def parsed(text: str) -> tuple[Any, ...]:
    """Return Math-Verify's reading of a reference answer; cached, as the samples of a prompt share it."""
    from math_verify import parse

    return tuple(parse(f"\\boxed{{{text}}}", parsing_timeout=None))


class Unwritable(Exception):
    """A tree that holds what Math-Verify compares in another way, or not at all."""


def latex(node: Expression) -> str:
    """Return a tree as LaTeX with every bracket and sign written out; raise Unwritable for lists, units and words."""
    match node:
        case Number(value):
            return str(value) if value.denominator == 1 else f"\\frac{{{value.numerator}}}{{{value.denominator}}}"
        case Name(text):
            return NAMED.get(text) or (text if NAME.fullmatch(text) else unwritable(text))
        case Sum(terms):
            return "+".join(f"({latex(term)})" for term in terms)
        case Product(factors):
            return r" \cdot ".join(f"({latex(factor)})" for factor in factors)
        case Power(base, exponent):
            return f"({latex(base)})^{{{latex(exponent)}}}"
        case Call("abs", (argument,)):
            return f"|{latex(argument)}|"
        case Call("log", (base, argument)):
            below = "" if base == LOG_BASE else f"_{{{latex(base)}}}"
            return f"\\log{below}({latex(argument)})"
        case Call("factorial", (argument,)):
            return f"({latex(argument)})!"
        case Call(r"\sum" | r"\prod" as sign, (name, low, high, term)):
            return f"{sign}_{{{latex(name)}={latex(low)}}}^{{{latex(high)}}}({latex(term)})"
        case Call(r"\int", (low, high, Product() as integrand)):
            return integral(latex(low), latex(high), flat(integrand))
        case Call(function, (argument,)) if function in WRITTEN:
            return f"\\{function}({latex(argument)})"
        case Relation((sign,), (left, right)) if sign in SIGNS:
            return f"{latex(left)} {SIGNS[sign]} {latex(right)}"
    return unwritable(type(node).__name__)


def costly(value: Expression) -> bool:
    """Return whether Math-Verify would compute something of very many digits or terms in it."""
    return any(map(is_costly, nodes(value)))


def is_costly(node: Expression) -> bool:
    """Return whether a node is a large factorial or power, or a sum or product of many terms."""
    match node:
        case Call("factorial" | "binom", (argument, *_)):
            return size(argument) > MAX_ARGUMENT
        case Power(base, exponent) if not unknowns(exponent):
            return max(1.0, math.log10(size(base) + 1)) * size(exponent) > MAX_DIGITS
        case Call(r"\sum" | r"\prod", (_, low, high, _)):
            return not is_infinite(high) and max(size(low), size(high)) > MAX_ARGUMENT
    return False


def size(value: Expression) -> float:
    """Return about the absolute value of a constant; 0 with unknowns, infinity where it is too large to tell."""
    if unknowns(value):
        return 0.0
    if (exact := rational(value)) is not None:
        return float(min(abs(exact), MAX_SIZE))
    ball = real_value(value)
    return abs(ball.middle) if ball else math.inf


def integral(low: str, high: str, factors: list[Expression]) -> str:
    """Return a definite integral, whose last factors are d and the name of its variable."""
    match factors:
        case [*rest, Name("d"), Name(name)]:
            return f"\\int_{{{low}}}^{{{high}}}({latex(Product((Number(Fraction(1)), *rest)))})d{name}"
    return unwritable("an integral")


def unwritable(what: str) -> str:
    raise Unwritable(what)


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
