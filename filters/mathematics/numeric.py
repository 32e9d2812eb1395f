"""Floating-point values with error bounds (ball arithmetic): proof that two values differ, never that they agree."""

import cmath
import math
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from filters.mathematics.expressions import (
    LOG_BASE,
    Call,
    Expression,
    Name,
    Number,
    Power,
    Product,
    Quantity,
    Sum,
    nodes,
    substituted,
)
from filters.mathematics.modular import Undecidable

EPSILON = 8 * sys.float_info.epsilon  # generous: library functions are good to one or two units in the last place
MARGIN = 1e-6  # far above any rounding
CONSTANTS = {"π": complex(math.pi), "e": complex(math.e), "i": 1j}
LOG_BASES = (Name("e"), Number(Fraction(10)))
POINTS = 6
STEEP = 0.99  # beyond this, arcsin and arccos are too steep for the bound on their slope
GRID = [x / 2 + 0.03 for x in range(-24, 25)]  # where zeros of equations are sought
BISECTIONS = 40
RANGES = ((0.5, 2.0), (0.05, 0.9), (3.0, 9.0))  # (start, length) of the ranges from which unknowns are taken


class Ball(NamedTuple):
    """All numbers within `radius` of `middle`."""

    middle: complex
    radius: float


def differ(one: Expression, other: Expression) -> bool | None:
    """Return True if the values certainly differ at some point; None if no point can be evaluated."""
    if LOG_BASE in (*nodes(one), *nodes(other)):
        ways = [differ(*(substituted(side, LOG_BASE, base) for side in (one, other))) for base in LOG_BASES]
        return None if None in ways else all(ways)
    seen = False
    for seed in range(POINTS):
        try:
            left, right = evaluate(one, seed), evaluate(other, seed)
        except (Undecidable, ArithmeticError, ValueError):
            continue
        seen = True
        if abs(left.middle - right.middle) > 2 * (left.radius + right.radius):
            return True
    return False if seen else None


def real_value(node: Expression) -> Ball | None:
    """Return the value of an expression without unknowns if it is real, else None."""
    try:
        ball = evaluate(node, 0)
    except (Undecidable, ArithmeticError, ValueError):
        return None
    return ball if abs(ball.middle.imag) <= ball.radius else None


def values(node: Expression, points: int) -> list[Ball | None]:
    """Return the value at some points; None where it is unknown, not real or too near 0 for its sign to be known."""
    found: list[Ball | None] = []
    for seed in range(points):
        try:
            ball = evaluate(node, seed)
        except (Undecidable, ArithmeticError, ValueError):
            found.append(None)
            continue
        clear = abs(ball.middle.real) > MARGIN + ball.radius and abs(ball.middle.imag) <= ball.radius
        found.append(ball if clear else None)
    return found


@lru_cache(maxsize=1024)
def unknown(name: str, seed: int) -> float:
    """Return a positive number that depends on name and seed alone."""
    digest = blake2b(f"{seed}:{name}".encode(), digest_size=6).digest()
    start, length = RANGES[seed % len(RANGES)]
    return start + length * int.from_bytes(digest) / 2**48


def evaluate(node: Expression, seed: int) -> Ball:
    """Return the ball that contains the value at the point `seed`."""
    match node:
        case Number(value):
            return rounded(complex(value.numerator / value.denominator), 0.0)
        case Name("∞" | "∅" | "°" | "log"):
            raise Undecidable
        case Name(text):
            return rounded(CONSTANTS.get(text) or complex(unknown(text, seed)), 0.0)
        case Sum(terms):
            balls = [evaluate(term, seed) for term in terms]
            size = sum(abs(ball.middle) for ball in balls)
            return rounded(sum(ball.middle for ball in balls), sum(ball.radius for ball in balls) + size * EPSILON)
        case Product(factors):
            total = Ball(1, 0.0)
            for factor in factors:
                total = multiplied(total, evaluate(factor, seed))
            return total
        case Power(base, exponent):
            return power(evaluate(base, seed), evaluate(exponent, seed))
        case Call(function, arguments):
            return called(function, [evaluate(argument, seed) for argument in arguments])
        case Quantity(value, "%"):
            return multiplied(evaluate(value, seed), Ball(0.01, EPSILON))
        case Quantity(value, "°"):
            return multiplied(evaluate(value, seed), Ball(math.pi / 180, EPSILON))
    raise Undecidable


def rounded(middle: complex, radius: float) -> Ball:
    """Return a ball that also covers the rounding error of its middle."""
    if not cmath.isfinite(middle):
        raise Undecidable
    return Ball(middle, radius + abs(middle) * EPSILON)


def multiplied(one: Ball, other: Ball) -> Ball:
    radius = abs(one.middle) * other.radius + abs(other.middle) * one.radius + one.radius * other.radius
    return rounded(one.middle * other.middle, radius)


def power(base: Ball, exponent: Ball) -> Ball:
    """Return exp(exponent * log(base)): integer powers of any base, others only away from 0 and the negative axis."""
    n = exponent.middle.real
    if exponent.middle.imag == 0 and n == int(n) and abs(n) < 2**20 and base.middle:
        relative = base.radius / abs(base.middle)
        if relative * abs(n) > 1e-3:
            raise Undecidable
        value = base.middle ** int(n)
        return rounded(value, abs(value) * abs(n) * (2 * relative + EPSILON))
    if base.radius * 1e3 > abs(base.middle):
        raise Undecidable
    if base.middle.real < 0 and (base.middle.imag or n != 0.5):
        raise Undecidable
    log = cmath.log(base.middle)
    grown = abs(exponent.middle) * 2 * base.radius / abs(base.middle) + abs(log) * exponent.radius
    if grown > 1e-3:
        raise Undecidable
    value = base.middle**exponent.middle
    return rounded(value, abs(value) * 2 * (grown + abs(exponent.middle * log) * EPSILON))


# name -> (real function, bound on its slope at a point)
SMOOTH: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "sin": (math.sin, lambda x: 1),
    "cos": (math.cos, lambda x: 1),
    "tan": (math.tan, lambda x: 2 + 2 * math.tan(x) ** 2),
    "arctan": (math.atan, lambda x: 1),
    "sinh": (math.sinh, lambda x: 2 * math.cosh(x)),
    "cosh": (math.cosh, lambda x: 2 * math.cosh(x)),
    "tanh": (math.tanh, lambda x: 1),
    "abs": (abs, lambda x: 1),
}
INVERSE: dict[str, Callable[[float], float]] = {"arcsin": math.asin, "arccos": math.acos}
RECIPROCAL = {"sec": "cos", "csc": "sin", "cot": "tan"}
STEPS = {"floor": math.floor, "ceil": math.ceil}


def called(function: str, arguments: list[Ball]) -> Ball:
    """Return the value of a function of real numbers."""
    if any(ball.middle.imag for ball in arguments):
        raise Undecidable
    values = [ball.middle.real for ball in arguments]
    if function in SMOOTH:
        compute, slope = SMOOTH[function]
        return rounded(complex(compute(values[0])), arguments[0].radius * slope(values[0]) + EPSILON)
    if function in INVERSE and abs(values[0]) < STEEP:
        slope_bound = 2 / math.sqrt(1 - values[0] ** 2)
        return rounded(complex(INVERSE[function](values[0])), arguments[0].radius * slope_bound + EPSILON)
    if function in RECIPROCAL:
        return power(called(RECIPROCAL[function], arguments), Ball(-1, 0.0))
    if function == "log" and all(ball.radius * 1e3 < ball.middle.real for ball in arguments):
        logs = [Ball(math.log(b.middle.real), 2 * b.radius / b.middle.real + EPSILON) for b in arguments]
        return multiplied(logs[1], power(logs[0], Ball(-1, 0.0)))
    if function in STEPS and abs(values[0] - round(values[0])) > 2 * arguments[0].radius:
        return Ball(complex(STEPS[function](values[0])), 0.0)
    if function == "factorial":
        return gamma(arguments[0])
    if function == "binom":
        above, below = arguments
        rest = Ball(above.middle - below.middle, above.radius + below.radius)
        return multiplied(gamma(above), power(multiplied(gamma(below), gamma(rest)), Ball(-1, 0.0)))
    if function.endswith("()"):
        return instance(function, arguments)
    raise Undecidable


def instance(function: str, arguments: list[Ball]) -> Ball:
    """Return the value for one choice of an unknown function: a difference here rules out equality for all."""
    total = Ball(1, 0.0)
    for place, x in enumerate(arguments):
        bent = multiplied(x, Ball(x.middle + unknown(f"{function} {place}", 0), x.radius))
        total = Ball(total.middle + bent.middle, total.radius + bent.radius)
    return rounded(total.middle, total.radius)


def gamma(argument: Ball) -> Ball:
    """Return x! of a number from 0 to 100, integer or not; its slope is below 5 x!."""
    x = argument.middle.real
    if not 0 <= x <= 100:
        raise Undecidable
    value = math.gamma(x + 1)
    return rounded(complex(value), value * (64 * EPSILON + 5 * argument.radius))


def zeros_differ(one: Expression, other: Expression, name: str) -> bool:
    """Return whether some zero of `one` in the unknown `name`, the others being fixed, is certainly none of `other`."""
    for seed in range(POINTS):
        for zero in zeros(one, name, seed):
            try:
                values = [evaluate(substituted(other, Name(name), exact), seed) for exact in bounds(zero)]
            except (Undecidable, ArithmeticError, ValueError):
                continue
            size = max(abs(ball.middle) for ball in values)
            change = abs(values[0].middle - values[1].middle)
            if size > MARGIN + sum(ball.radius for ball in values) + 1e3 * change:
                return True
    return False


def bounds(zero: float) -> tuple[Expression, Expression]:
    """Return numbers just below and above a zero that was found by bisection."""
    step = max(abs(zero), 1.0) * 1e-9
    return Number(Fraction(zero - step)), Number(Fraction(zero + step))


def zeros(equation: Expression, name: str, seed: int) -> Iterator[float]:
    """Yield real zeros of an expression in one unknown: that of a line, or the places where it changes its sign."""

    def value(x: float) -> float:
        try:
            ball = evaluate(substituted(equation, Name(name), Number(Fraction(x))), seed)
        except (Undecidable, ArithmeticError, ValueError):
            return math.nan
        return ball.middle.real if abs(ball.middle.imag) <= MARGIN else math.nan

    first, second, third = value(1), value(2), value(3)
    size = max(abs(first), abs(second), abs(third))
    if abs(third - 2 * second + first) <= MARGIN * size < abs(second - first):
        yield 1 - first / (second - first)
        return
    heights = [value(x) for x in GRID]
    for start, end, low, high in zip(GRID, GRID[1:], heights, heights[1:], strict=False):
        if not low * high < 0:
            continue
        left, right = start, end
        for _ in range(BISECTIONS):
            middle = (left + right) / 2
            left, right = (middle, right) if value(middle) * low > 0 else (left, middle)
        if abs(value(left)) < MARGIN:
            yield (left + right) / 2
