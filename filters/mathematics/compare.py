"""Comparison of an answer with the reference: equal, different, or undecided, which is left to a slower method.

An answer with several values must have as many as the reference, in any order unless the reference is a tuple, and
with open and closed ends as in the reference. Every further tolerance has a name (LENIENCIES) and is off by default.
"""

from collections.abc import Sequence as Items
from enum import Enum
from fractions import Fraction
from itertools import combinations

from filters.mathematics import numeric
from filters.mathematics.expressions import (
    CONSTANTS,
    Call,
    Expression,
    Join,
    Matrix,
    Name,
    Number,
    Product,
    Quantity,
    Relation,
    Sequence,
    Sum,
    Words,
    is_unknown_call,
    negated,
    nodes,
    parts_of,
    substituted,
    unknowns,
)
from filters.mathematics.intervals import as_intervals, same_intervals
from filters.mathematics.modular import ANGLE, proportional, rational, same_value
from filters.mathematics.units import NOTATION, kind_of

LENIENCIES = {
    "percent": "a number that is 100 times the reference, or a hundredth of it",
    "tolerance": "a number within 1e-4 of the reference, relative to it",
    "units": "an answer without the unit that the reference has",
    "decimal_comma": "1,22 for 1.22",
    "renamed": "another name for the only unknown: f(y) for f(x)",
}
TOLERANCE = Fraction(1, 10_000)
DECIMALS = 6  # a decimal with at least so many places stands for the number it was rounded from
HUNDRED = Fraction(100)


class Comparison(Enum):
    """The result of a comparison."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


EQUAL, DIFFERENT, UNDECIDED = Comparison


def comparison_of(same: bool | None) -> Comparison:
    """Return the comparison for a question answered yes, no or not at all."""
    return UNDECIDED if same is None else EQUAL if same else DIFFERENT


def all_of(comparisons: Items[Comparison]) -> Comparison:
    """Return EQUAL if all are equal, DIFFERENT if one is different, else UNDECIDED."""
    return next((kind for kind in (DIFFERENT, UNDECIDED) if kind in comparisons), EQUAL)


def leniencies_needed(reference: Expression, said: Expression) -> tuple[str, ...] | None:
    """Return the fewest leniencies under which both are equal; None if even all of them are not enough."""
    if Comparer(LENIENCIES).compare(reference, said) is not EQUAL:
        return None
    subsets = (names for size in range(1, len(LENIENCIES) + 1) for names in combinations(LENIENCIES, size))
    return next((names for names in subsets if Comparer(names).compare(reference, said) is EQUAL), None)


class Comparer:
    """A comparer of references with answers under some leniencies."""

    def __init__(self, leniencies: Items[str] | dict[str, str] = ()) -> None:
        self.percent, self.tolerance, self.units = (name in leniencies for name in ("percent", "tolerance", "units"))
        self.comma, self.renamed = "decimal_comma" in leniencies, "renamed" in leniencies

    def compare(self, reference: Expression, said: Expression) -> Comparison:
        """Compare whole answers."""
        if self.comma:
            reference, said = joined_comma(reference), joined_comma(said)
        if self.renamed:
            said = renamed(said, reference)
        return self.either(reference, said)

    def either(self, reference: Expression, said: Expression) -> Comparison:
        """Compare with either side of an approximation: `1/3 ≈ 0.33` is equal to whatever equals one of its sides."""
        if isinstance(said, Relation) and "~" in said.signs:
            ways = [self.values(reference, way) for way in approximations(said)]
            return EQUAL if EQUAL in ways else all_of(ways)
        if isinstance(reference, Relation) and "~" in reference.signs:
            return self.either(approximations(reference)[0], said)
        return self.values(reference, said)

    def values(self, reference: Expression, said: Expression) -> Comparison:
        """Compare values of any kind."""
        if reference == said:
            return EQUAL
        if isinstance(reference, Words) or isinstance(said, Words):
            return DIFFERENT
        if is_equation(reference) and is_equation(said):
            assert isinstance(reference, Relation) and isinstance(said, Relation)
            return self.equations(reference, said)
        reference, said = solved(reference), solved(said)
        if isinstance(reference, Relation) or isinstance(said, Relation) or Join in (type(reference), type(said)):
            return self.relations(reference, said)
        if isinstance(reference, Sequence) or isinstance(said, Sequence):
            return self.sequences(reference, said)
        if isinstance(reference, Matrix) or isinstance(said, Matrix):
            return self.matrices(reference, said)
        return self.quantities(reference, said)

    def equations(self, reference: Relation, said: Relation) -> Comparison:
        """Compare equations: y = 2x + 1 and 2x - y + 1 = 0 are equal; so are x = 5 and n = 5, which both state 5."""
        simple = is_label(reference.sides[0]) and is_label(said.sides[0])
        if simple:
            found = self.values(reference.sides[-1], said.sides[-1])
            if found is not DIFFERENT or not (unknowns(reference.sides[-1]) or unknowns(said.sides[-1])):
                return found
        if len(reference.sides) > 2 or len(said.sides) > 2:
            return UNDECIDED
        if all(self.values(*pair) is EQUAL for pair in zip(reference.sides, said.sides, strict=True)):
            return EQUAL
        one, other = difference(reference), difference(said)
        if proportional(one, other):
            return EQUAL
        if simple and reference.sides[0] == said.sides[0]:
            return DIFFERENT
        shared = sorted(unknowns(one) & unknowns(other))
        return DIFFERENT if any(numeric.roots_differ(one, other, name) for name in shared) else UNDECIDED

    def relations(self, reference: Expression, said: Expression) -> Comparison:
        """Compare sets of numbers as intervals, other inequalities side by side; those that differ stay undecided."""
        one, other = as_intervals(reference), as_intervals(said)
        if one is not None and other is not None:
            return self.intervals(reference, said)
        if isinstance(reference, Relation) and isinstance(said, Relation):
            same = reference.signs == said.signs and len(reference.sides) == len(said.sides)
            same = same and all(self.values(*pair) is EQUAL for pair in zip(reference.sides, said.sides, strict=True))
            return EQUAL if same else UNDECIDED
        sets, values = (one, said) if one is not None else (other, reference)
        return DIFFERENT if sets and is_no_set(values) and any(low != high for low, _, high, _ in sets) else UNDECIDED

    def intervals(self, reference: Expression, said: Expression) -> Comparison:
        """Compare two sets of numbers end by end; a value that is not such a set differs from one."""
        one, other = as_intervals(reference), as_intervals(said)
        if one is None or other is None:
            return DIFFERENT
        return comparison_of(same_intervals(one, other, lambda *ends: self.scalars(*ends) is EQUAL))

    def sequences(self, reference: Expression, said: Expression) -> Comparison:
        """Compare lists, points and sets: as many items, and in order only if the reference is a point."""
        if not isinstance(reference, Sequence) or not isinstance(said, Sequence):
            return self.one_of_several(reference, said)
        if {reference.brackets, said.brackets} & {"[)", "(]", "[]"} and reference.brackets != said.brackets:
            return self.intervals(reference, said)
        if "{}" in (reference.brackets, said.brackets) and "()" in (reference.brackets, said.brackets):
            return DIFFERENT
        one, other = unique(reference), unique(said)
        if len(one) != len(other):
            return DIFFERENT
        if (
            reference.brackets == ""
            and said.brackets == "()"
            and any(isinstance(item, Relation) for item in reference.items)
        ):
            return DIFFERENT
        if reference.brackets not in ("", "{}"):
            return all_of([self.either(*pair) for pair in zip(reference.items, said.items, strict=True)])
        return self.any_order(one, list(other))

    def one_of_several(self, reference: Expression, said: Expression) -> Comparison:
        """Compare one value with several: equal to a set of one, different from any other number of values."""
        several, one = (reference, said) if isinstance(reference, Sequence) else (said, reference)
        assert isinstance(several, Sequence)
        if isinstance(one, Matrix | Words) or several.brackets not in ("", "{}"):
            return UNDECIDED if isinstance(one, Matrix) or not is_number(one) else DIFFERENT
        items = unique(several)
        if len(items) == 1:
            return self.either(items[0], one) if several is reference else self.either(one, items[0])
        return DIFFERENT

    def any_order(self, reference: Items[Expression], left: list[Expression]) -> Comparison:
        """Match each item of the reference with its own item of the answer."""
        undecided = False
        for item in reference:
            found = [self.either(item, other) for other in left]
            if EQUAL in found:
                del left[found.index(EQUAL)]
            elif UNDECIDED in found:
                undecided = True
            else:
                return DIFFERENT
        return UNDECIDED if undecided else EQUAL

    def matrices(self, reference: Expression, said: Expression) -> Comparison:
        """Compare cell by cell; a matrix against anything but a number is undecided."""
        if not isinstance(reference, Matrix) or not isinstance(said, Matrix):
            return DIFFERENT if is_number(reference) or is_number(said) else UNDECIDED
        if [len(row) for row in reference.rows] != [len(row) for row in said.rows]:
            return DIFFERENT
        return all_of([self.scalars(*pair) for pair in zip(parts_of(reference), parts_of(said), strict=True)])

    def quantities(self, reference: Expression, said: Expression) -> Comparison:
        """Compare values with units. A reference without a unit accepts any; % and ° are also numbers."""
        if not isinstance(reference, Quantity):
            if not isinstance(said, Quantity):
                return self.scalars(reference, said)
            if unknowns(reference) and said.unit not in "%°":  # the m of 5 m may be a unit
                return UNDECIDED
            found = self.scalars(reference, said.value)
            return self.scalars(reference, said) if found is DIFFERENT and said.unit in "%°" else found
        if not isinstance(said, Quantity):
            return self.without_unit(reference, said)
        (kind, factor), (other_kind, other_factor) = kind_of(reference.unit), kind_of(said.unit)
        if kind == other_kind:
            return self.scalars(scaled(reference.value, factor), scaled(said.value, other_factor))
        if kind.startswith("other:_") or other_kind.startswith("other:_"):
            return DIFFERENT if kind.startswith("other:_") and other_kind.startswith("other:_") else UNDECIDED
        if kind.startswith("other:") or other_kind.startswith("other:"):  # eggs and brown eggs
            return self.scalars(reference.value, said.value)
        return DIFFERENT

    def without_unit(self, reference: Quantity, said: Expression) -> Comparison:
        """Compare a number with a reference that has a unit."""
        kind, _ = kind_of(reference.unit)
        if unknowns(said) - unknowns(reference):  # the m of 5 m may be a unit
            return UNDECIDED
        if reference.unit == "%":
            found = self.scalars(reference, said)
        elif kind == "angle" and self.scalars(Product((reference.value, ANGLE)), said) is EQUAL:
            return EQUAL
        else:
            found = self.scalars(reference.value, said) if kind in NOTATION else DIFFERENT
        if found is DIFFERENT and self.units:
            return self.scalars(reference.value, said)
        return found

    def scalars(self, reference: Expression, said: Expression) -> Comparison:
        """Compare two values without units."""
        if reference == said:
            return EQUAL
        one, other = rational(reference), rational(said)
        if one is not None and other is not None:
            return comparison_of(
                one == other or self.nearly(one, other) or rounds_to(one, said) or rounds_to(other, reference)
            )
        same = same_value(reference, said)
        apart = numeric.differ(reference, said) if same is not False else True
        if same and not apart:
            return EQUAL
        if not apart:
            return UNDECIDED
        return EQUAL if self.near_values(reference, said) else DIFFERENT

    def near_values(self, reference: Expression, said: Expression) -> bool:
        """Return whether a decimal on one side stands for the value on the other."""
        if unknowns(reference) or unknowns(said):
            return False
        one, other = numeric.real_value(reference), numeric.real_value(said)
        if one is None or other is None:
            return False
        left, right = Fraction(one.middle.real), Fraction(other.middle.real)
        return self.nearly(left, right) or rounds_to(left, said) or rounds_to(right, reference)

    def nearly(self, reference: Fraction, said: Fraction) -> bool:
        """Return whether the leniencies for numbers make them equal."""
        if self.percent and reference and said / reference in (HUNDRED, 1 / HUNDRED):
            return True
        return self.tolerance and abs(reference - said) <= TOLERANCE * abs(reference)


def rounds_to(value: Fraction, written: Expression) -> bool:
    """Return whether `written` is a decimal of six or more places to which the value rounds."""
    number = written.value if isinstance(written, Quantity) else written
    if not isinstance(number, Number) or number.places is None or number.places < DECIMALS:
        return False
    return abs(value - number.value) <= Fraction(1, 2 * 10**number.places)


def scaled(value: Expression, factor: Fraction) -> Expression:
    return value if factor == 1 else Product((value, Number(factor)))


def unique(several: Sequence) -> tuple[Expression, ...]:
    """Return the items; those of a set without repeats."""
    return tuple(dict.fromkeys(several.items)) if several.brackets != "()" else several.items


def is_number(value: Expression) -> bool:
    return isinstance(value, Number) or rational(value) is not None


def is_equation(value: Expression) -> bool:
    return isinstance(value, Relation) and set(value.signs) == {"="}


def is_no_set(value: Expression) -> bool:
    """Return whether a value is a number, numbers or an equation, none of which equals a set with an interior."""
    if isinstance(value, Sequence):
        return all(map(is_no_set, value.items))
    return is_equation(value) or not isinstance(value, Relation | Join | Name | Call)


def difference(equation: Relation) -> Expression:
    """Return left - right."""
    return Sum((equation.sides[0], negated(equation.sides[-1])))


def approximations(chain: Relation) -> list[Expression]:
    """Return the values in a chain with ≈: the part before the sign, with its equation, and each value after it."""
    first = chain.signs.index("~")
    head: Expression = chain.sides[0]
    if first:
        head = Relation(chain.signs[:first], chain.sides[: first + 1])
    elif is_label(head):
        return list(chain.sides[1:])
    return [head, *chain.sides[first + 1 :]]


def is_label(side: Expression) -> bool:
    """Return whether the left side of an equation only names the right side: x, f(x), (p, q), AB, NO/BO, |AB|."""
    if isinstance(side, Name | Words) or is_unknown_call(side):
        return True
    if isinstance(side, Sequence):
        return all(is_label(item) for item in side.items)
    names = [node for node in nodes(side) if isinstance(node, Name)]
    numbers = [node for node in nodes(side) if isinstance(node, Number) and abs(node.value) != 1]
    if isinstance(side, Product) and len(side.factors) == 2 and names == list(side.factors):
        return True  # P(x) and W(n), but also xy
    return bool(names) and not numbers and all(name.text[0].isupper() for name in names)


def solved(value: Expression) -> Expression:
    """Return the value without a label, a calculation or `x in` in front of it."""
    if not isinstance(value, Relation):
        return value
    if value.signs == ("in",):
        return value.sides[1]
    if not is_equation(value):
        return value
    first = value.sides[0]
    calculated = not unknowns(first) or any(map(is_unknown_call, nodes(first)))
    return value.sides[-1] if is_label(first) or calculated else value


def joined_comma(value: Expression) -> Expression:
    """Return 1.22 for the list 1, 22."""
    match value:
        case Sequence("", (Number(whole), Number(decimals, None))) if whole.denominator == decimals.denominator == 1:
            digits = str(decimals.numerator)
            return Number(Fraction(f"{whole.numerator}.{digits}"), len(digits)) if digits.isdigit() else value
    return value


def renamed(value: Expression, reference: Expression) -> Expression:
    """Return the answer with its only unknown renamed to the reference's only unknown."""
    own, others = unknowns(value) - CONSTANTS, unknowns(reference) - CONSTANTS
    if len(own) != 1 or len(others) != 1 or own == others:
        return value
    return substituted(value, Name(own.pop()), Name(others.pop()))
