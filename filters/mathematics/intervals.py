"""Sets of real numbers as lists of intervals: inequalities in one unknown, intervals, and unions of them."""

from collections.abc import Callable
from typing import NamedTuple

from filters.mathematics.expressions import INFINITY, Expression, Join, Name, Relation, Sequence, negated, unknowns

MINUS_INFINITY = negated(INFINITY)
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Interval(NamedTuple):
    """Two ends, each with whether it belongs to the set; infinite ends never do."""

    low: Expression
    closed_low: bool
    high: Expression
    closed_high: bool


def as_intervals(value: Expression) -> list[Interval] | None:
    """Return the intervals that a value stands for; None if it is not such a set."""
    if isinstance(value, Join):
        parts = [as_intervals(part) for part in value.parts]
        return None if None in parts else [interval for part in parts if part for interval in part]
    if isinstance(value, Sequence) and value.brackets == "":
        return joined_inequalities(value)
    if isinstance(value, Sequence) and value.brackets != "{}" and len(value.items) == 2:
        low, high = value.items
        closed_low, closed_high = value.brackets[0] == "[", value.brackets[1] == "]"
        return [Interval(low, closed_low and low != MINUS_INFINITY, high, closed_high and high != INFINITY)]
    if isinstance(value, Relation):
        return inequality(value)
    return None


def joined_inequalities(value: Sequence) -> list[Interval] | None:
    """Return the union of listed inequalities: `x < 1 or x > 3` is both parts."""
    if not all(isinstance(item, Relation) and len(item.signs) == 1 for item in value.items):
        return None
    parts = [inequality(item) for item in value.items if isinstance(item, Relation)]
    return None if None in parts else [interval for part in parts if part for interval in part]


def inequality(relation: Relation) -> list[Interval] | None:
    """Return the intervals of x < 2, 2 > x, 1 <= x < 3 or x != 2."""
    signs, sides = list(relation.signs), list(relation.sides)
    if len(signs) == 1 and isinstance(sides[1], Name) and not unknowns(sides[0]) and signs[0] in TURNED:
        signs, sides = [TURNED[signs[0]]], sides[::-1]
    if len(signs) == 2 and set(signs) <= {">", ">="}:
        signs, sides = [TURNED[sign] for sign in reversed(signs)], sides[::-1]
    if len(signs) == 1 and isinstance(sides[0], Name) and not unknowns(sides[1]):
        return one_ended(signs[0], sides[1])
    if len(signs) == 2 and set(signs) <= {"<", "<="} and isinstance(sides[1], Name):
        if unknowns(sides[0]) or unknowns(sides[2]):
            return None
        return [Interval(sides[0], signs[0] == "<=", sides[2], signs[1] == "<=")]
    return None


def one_ended(sign: str, end: Expression) -> list[Interval] | None:
    """Return the set of all x with x `sign` `end`."""
    below, above = Interval(MINUS_INFINITY, False, end, sign == "<="), Interval(end, sign == ">=", INFINITY, False)
    return {"<": [below], "<=": [below], ">": [above], ">=": [above], "!=": [below, above]}.get(sign)


def same_intervals(
    one: list[Interval], other: list[Interval], equal: Callable[[Expression, Expression], bool]
) -> bool | None:
    """Return whether the lists hold the same intervals in any order; None if they may still be the same set."""
    left = list(other)
    for interval in one:
        match = next((i for i, candidate in enumerate(left) if same_interval(interval, candidate, equal)), None)
        if match is None:
            return False if len(one) == len(other) == 1 else None
        del left[match]
    return not left or None


def same_interval(one: Interval, other: Interval, equal: Callable[[Expression, Expression], bool]) -> bool:
    """Return whether both ends are equal and equally belong to the set."""
    alike = (one.closed_low, one.closed_high) == (other.closed_low, other.closed_high)
    return alike and equal(one.low, other.low) and equal(one.high, other.high)
