"""Sets of real numbers as lists of intervals: inequalities in one unknown, intervals, and operations on them."""

from collections.abc import Callable
from fractions import Fraction
from math import inf
from typing import NamedTuple

from filters.mathematics.expressions import (
    INFINITY,
    Call,
    Expression,
    Join,
    Name,
    Number,
    Relation,
    Sequence,
    Sum,
    negated,
    unknowns,
)
from filters.mathematics.numeric import POINTS, real_value, values

MINUS_INFINITY = negated(INFINITY)
REALS = Name("set(R)")
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Interval(NamedTuple):
    """Two ends, each with whether it belongs to the set; infinite ends never do."""

    low: Expression
    closed_low: bool
    high: Expression
    closed_high: bool


EVERYTHING = Interval(MINUS_INFINITY, False, INFINITY, False)
ZERO = Number(Fraction(0))
NAMED = {
    REALS: EVERYTHING,
    Name("set(R+)"): Interval(ZERO, False, INFINITY, False),
    Name("set(R-)"): Interval(MINUS_INFINITY, False, ZERO, False),
}


def as_intervals(value: Expression) -> list[Interval] | None:
    """Return the intervals that a value stands for; None if it is not such a set."""
    if value in NAMED:
        return [NAMED[value]]
    if isinstance(value, Join):
        return joined(value)
    if isinstance(value, Sequence) and value.brackets == "":
        return joined_inequalities(value)
    if isinstance(value, Sequence) and value.brackets != "{}" and len(value.items) == 2:
        low, high = value.items
        closed_low, closed_high = value.brackets[0] == "[", value.brackets[1] == "]"
        return [Interval(low, closed_low and low != MINUS_INFINITY, high, closed_high and high != INFINITY)]
    if isinstance(value, Relation):
        return as_intervals(value.sides[1]) if value.signs == ("in",) else inequality(value)
    return None


def joined(value: Join) -> list[Interval] | None:
    """Return a union, intersection or difference; a set of numbers in it is a set of points."""
    parts = [points(part) if is_set(part) else as_intervals(part) for part in value.parts]
    found = parts[0]
    for sign, part in zip(value.signs, parts[1:], strict=True):
        if found is None or part is None:
            return None
        found = combined(found, part, sign)
    return found


def is_set(value: Expression) -> bool:
    return isinstance(value, Sequence) and value.brackets == "{}"


def points(value: Expression) -> list[Interval]:
    """Return the elements of a set as intervals of one point."""
    assert isinstance(value, Sequence)
    return [Interval(item, True, item, True) for item in value.items]


def combined(one: list[Interval], other: list[Interval], sign: str) -> list[Interval] | None:
    """Return the union, intersection or difference of two sets; None where the order of their ends is unknown."""
    if sign == "cup":
        return simplified(one + other) or one + other
    if sign == "setminus":
        return combined(one, rest, "cap") if (rest := complement(other)) is not None else None
    if not all(map(is_ordered, one + other)):
        return None
    return simplified([part for left in one for right in other if (part := overlap(left, right))])


def overlap(one: Interval, other: Interval) -> Interval | None:
    """Return the intersection of two intervals; None if it is empty."""
    low = max((one, other), key=lambda part: (place(part.low), not part.closed_low))
    high = min((one, other), key=lambda part: (place(part.high), part.closed_high))
    both = Interval(low.low, low.closed_low, high.high, high.closed_high)
    start, end = place(both.low), place(both.high)
    return both if start < end or (start == end and both.closed_low and both.closed_high) else None


def complement(several: list[Interval]) -> list[Interval] | None:
    """Return all real numbers outside the set."""
    ordered = simplified(several)
    if ordered is None:
        return None
    left: list[Interval] = []
    low, closed = MINUS_INFINITY, False
    for part in ordered:
        if place(low) < place(part.low) or (closed and not part.closed_low):
            left.append(Interval(low, closed, part.low, not part.closed_low and part.low != MINUS_INFINITY))
        low, closed = part.high, not part.closed_high and part.high != INFINITY
    return left if low == INFINITY else [*left, Interval(low, closed, INFINITY, False)]


def simplified(several: list[Interval]) -> list[Interval] | None:
    """Return the intervals in order, those that touch as one; None where the order of their ends is unknown."""
    if not all(map(is_ordered, several)):
        return None
    merged: list[Interval] = []
    for part in sorted(several, key=lambda part: (place(part.low), not part.closed_low)):
        last = merged[-1] if merged else None
        if last and touches(last, part):
            end = max((last, part), key=lambda part: (place(part.high), part.closed_high))
            merged[-1] = Interval(last.low, last.closed_low, end.high, end.closed_high)
        else:
            merged.append(part)
    return merged


def touches(one: Interval, other: Interval) -> bool:
    """Return whether an interval reaches the start of the one after it, so that both are one interval."""
    end, start = place(one.high), place(other.low)
    return start < end or (start == end and (one.closed_high or other.closed_low))


def is_ordered(part: Interval) -> bool:
    return place(part.low) <= place(part.high)  # an end of unknown place is not a number, for which this is False


def place(end: Expression) -> float:
    """Return the place of an end on the real line; not a number if it is unknown."""
    if end in (INFINITY, MINUS_INFINITY):
        return inf if end == INFINITY else -inf
    ball = None if unknowns(end) else real_value(end)
    return float("nan") if ball is None else round(ball.middle.real, 9)


def joined_inequalities(value: Sequence) -> list[Interval] | None:
    """Return what listed inequalities of one unknown say: `or` is a union, `and` and commas are an intersection.

    A comma means `or` if the intersection would be empty: x < 1, x > 3.
    """
    if value.link == "or":
        parts = [as_intervals(item) for item in value.items]
    else:
        parts = [inequality(item) if isinstance(item, Relation) else None for item in value.items]
    names = {name for item in value.items if isinstance(item, Relation) for name in unknowns(item)}
    if None in parts or len(names) > 1:
        return None
    found = [part for part in parts if part is not None]
    union = [interval for part in found for interval in part]
    if value.link == "or":
        return simplified(union) or union
    both: list[Interval] | None = [EVERYTHING]
    for part in found:
        both = combined(both, part, "cap") if both is not None else None
    if both == [] and value.link == ",":
        return simplified(union) or union
    return both


def inequality(relation: Relation) -> list[Interval] | None:
    """Return the intervals of x < 2, 2 > x, 1 <= x < 3, x != 2 or |x - 1| < 2."""
    signs, sides = list(relation.signs), list(relation.sides)
    if len(signs) == 1 and not unknowns(sides[0]) and unknowns(sides[1]) and signs[0] in (*TURNED, "!="):
        signs, sides = [TURNED.get(signs[0], signs[0])], sides[::-1]
    if len(signs) == 2 and set(signs) <= {">", ">="}:
        signs, sides = [TURNED[sign] for sign in reversed(signs)], sides[::-1]
    if len(signs) == 1 and isinstance(sides[0], Call) and sides[0].function == "abs" and not unknowns(sides[1]):
        return absolute(signs[0], sides[0].arguments[0], sides[1])
    if len(signs) == 1 and isinstance(sides[0], Name) and not unknowns(sides[1]):
        return one_ended(signs[0], sides[1])
    if len(signs) == 2 and set(signs) <= {"<", "<="} and isinstance(sides[1], Name):
        if unknowns(sides[0]) or unknowns(sides[2]):
            return None
        return [Interval(sides[0], signs[0] == "<=", sides[2], signs[1] == "<=")]
    return None


def absolute(sign: str, argument: Expression, bound: Expression) -> list[Interval] | None:
    """Return the set of all x with |x + c| `sign` `bound`."""
    shift: Expression = Number(Fraction(0))
    if isinstance(argument, Sum) and len(argument.terms) == 2:
        shift = negated(argument.terms[1])
        argument = argument.terms[0]
    if not isinstance(argument, Name) or unknowns(shift) or sign not in TURNED:
        return None
    low, high, closed = Sum((shift, negated(bound))), Sum((shift, bound)), len(sign) == 2
    if sign[0] == "<":
        return [Interval(low, closed, high, closed)]
    return [Interval(MINUS_INFINITY, False, low, closed), Interval(high, closed, INFINITY, False)]


def one_ended(sign: str, end: Expression) -> list[Interval] | None:
    """Return the set of all x with x `sign` `end`."""
    below, above = Interval(MINUS_INFINITY, False, end, sign == "<="), Interval(end, sign == ">=", INFINITY, False)
    return {"<": [below], "<=": [below], ">": [above], ">=": [above], "!=": [below, above]}.get(sign)


def same_intervals(
    one: list[Interval], other: list[Interval], equal: Callable[[Expression, Expression], bool]
) -> bool | None:
    """Return whether both lists are one set; None if the order of the ends, and so the set, is unknown."""
    ordered = simplified(one), simplified(other)
    left = list(ordered[1] or other)
    one = ordered[0] or one
    for interval in one:
        match = next((i for i, candidate in enumerate(left) if same_interval(interval, candidate, equal)), None)
        if match is None:
            return None if None in ordered and not len(one) == len(other) == 1 else False
        del left[match]
    return not left


def same_interval(one: Interval, other: Interval, equal: Callable[[Expression, Expression], bool]) -> bool:
    """Return whether both ends are equal and equally belong to the set."""
    alike = (one.closed_low, one.closed_high) == (other.closed_low, other.closed_high)
    return alike and equal(one.low, other.low) and equal(one.high, other.high)


def ascending(value: Relation) -> Relation:
    """Return c > b >= a as a <= b < c; any other relation as it is."""
    if not set(value.signs) <= {">", ">=", "="} or set(value.signs) == {"="}:
        return value
    return Relation(tuple(TURNED.get(sign, sign) for sign in reversed(value.signs)), value.sides[::-1])


def difference(equation: Relation) -> Expression:
    """Return left - right."""
    return Sum((equation.sides[0], negated(equation.sides[-1])))


def is_inequality(value: Expression) -> bool:
    return isinstance(value, Relation) and set(value.signs) <= {*TURNED, "!="}


def contrary(one: Relation, other: Relation) -> bool:
    """Return whether one of two inequalities certainly holds where the other does not."""
    if not len(one.signs) == len(other.signs) == 1 or not {*one.signs, *other.signs} <= set(TURNED):
        return False
    if len(one.signs[0]) != len(other.signs[0]):
        return True
    balls = [values(difference(side), POINTS) for side in (one, other)]
    holds = [
        [None if ball is None else (ball.middle.real < 0) == (side.signs[0][0] == "<") for ball in found]
        for side, found in zip((one, other), balls, strict=True)
    ]
    return any({*pair} == {True, False} for pair in zip(*holds, strict=True))
