"""Whether an answer is the reference: equal, different, or undecided, which is then for a slower way to say.

Several answers mean: as many, in any order unless the reference is a tuple, open and closed ends as they are.
What is tolerated beyond that has a name (LENIENCIES), and none of it is tolerated unless asked for.
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
DECIMALS = 6  # a decimal with so many places stands for the number that it is rounded from
HUNDRED = Fraction(100)


class Outcome(Enum):
    """What comparing says."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


EQUAL, DIFFERENT, UNDECIDED = Outcome


def outcome(same: bool | None) -> Outcome:
    """The outcome of a question answered yes, no or not at all."""
    return UNDECIDED if same is None else EQUAL if same else DIFFERENT


def all_of(outcomes: Items[Outcome]) -> Outcome:
    """EQUAL where all are, DIFFERENT where one is."""
    return next((kind for kind in (DIFFERENT, UNDECIDED) if kind in outcomes), EQUAL)


def leniencies_needed(gold: Expression, said: Expression) -> tuple[str, ...] | None:
    """The fewest leniencies under which both are equal; None where all of them are not enough."""
    if Comparison(LENIENCIES).compare(gold, said) is not EQUAL:
        return None
    for size in (1, 2, 3):
        for names in combinations(LENIENCIES, size):
            if Comparison(names).compare(gold, said) is EQUAL:
                return names
    return None


class Comparison:
    """Compares a reference with answers under some leniencies."""

    def __init__(self, leniencies: Items[str] | dict[str, str] = ()) -> None:
        self.percent, self.tolerance, self.units = (name in leniencies for name in ("percent", "tolerance", "units"))
        self.comma, self.renamed = "decimal_comma" in leniencies, "renamed" in leniencies

    def compare(self, gold: Expression, said: Expression) -> Outcome:
        """The outcome for a whole answer."""
        if self.comma:
            gold, said = joined_comma(gold), joined_comma(said)
        if self.renamed:
            said = renamed(said, gold)
        return self.either(gold, said)

    def either(self, gold: Expression, said: Expression) -> Outcome:
        """`1/3 ≈ 0.33` is both: what equals either of them is equal."""
        if isinstance(said, Relation) and "~" in said.signs:
            ways = [self.values(gold, way) for way in approximations(said)]
            return EQUAL if EQUAL in ways else all_of(ways)
        if isinstance(gold, Relation) and "~" in gold.signs:
            return self.either(approximations(gold)[0], said)
        return self.values(gold, said)

    def values(self, gold: Expression, said: Expression) -> Outcome:
        """The outcome for values of any kind."""
        if gold == said:
            return EQUAL
        if isinstance(gold, Words) or isinstance(said, Words):
            return DIFFERENT
        if is_equation(gold) and is_equation(said):
            assert isinstance(gold, Relation) and isinstance(said, Relation)
            return self.equations(gold, said)
        gold, said = solved(gold), solved(said)
        if isinstance(gold, Relation) or isinstance(said, Relation) or Join in (type(gold), type(said)):
            return self.relations(gold, said)
        if isinstance(gold, Sequence) or isinstance(said, Sequence):
            return self.sequences(gold, said)
        if isinstance(gold, Matrix) or isinstance(said, Matrix):
            return self.matrices(gold, said)
        return self.quantities(gold, said)

    def equations(self, gold: Relation, said: Relation) -> Outcome:
        """y = 2x + 1 and 2x - y + 1 = 0 are one; x = 5 and n = 5 both say 5."""
        simple = is_label(gold.sides[0]) and is_label(said.sides[0])
        if simple:
            found = self.values(gold.sides[-1], said.sides[-1])
            if found is not DIFFERENT or not (unknowns(gold.sides[-1]) or unknowns(said.sides[-1])):
                return found
        if len(gold.sides) > 2 or len(said.sides) > 2:
            return UNDECIDED
        if all(self.values(*pair) is EQUAL for pair in zip(gold.sides, said.sides, strict=True)):
            return EQUAL
        one, other = difference(gold), difference(said)
        if proportional(one, other):
            return EQUAL
        if simple and gold.sides[0] == said.sides[0]:
            return DIFFERENT
        shared = sorted(unknowns(one) & unknowns(other))
        return DIFFERENT if any(numeric.roots_differ(one, other, name) for name in shared) else UNDECIDED

    def relations(self, gold: Expression, said: Expression) -> Outcome:
        """Sets of numbers as intervals; other inequalities are equal side by side, or for another way to decide."""
        one, other = as_intervals(gold), as_intervals(said)
        if one is not None and other is not None:
            return self.intervals(gold, said)
        if isinstance(gold, Relation) and isinstance(said, Relation):
            same = gold.signs == said.signs and len(gold.sides) == len(said.sides)
            same = same and all(self.values(*pair) is EQUAL for pair in zip(gold.sides, said.sides, strict=True))
            return EQUAL if same else UNDECIDED
        sets, values = (one, said) if one is not None else (other, gold)
        return DIFFERENT if sets and is_no_set(values) and any(low != high for low, _, high, _ in sets) else UNDECIDED

    def intervals(self, gold: Expression, said: Expression) -> Outcome:
        """Two sets of numbers, end by end; what is no such set differs from one."""
        one, other = as_intervals(gold), as_intervals(said)
        if one is None or other is None:
            return DIFFERENT
        return outcome(same_intervals(one, other, lambda *ends: self.scalars(*ends) is EQUAL))

    def sequences(self, gold: Expression, said: Expression) -> Outcome:
        """Lists, points, sets: as many items, in order only where the reference is a point."""
        if not isinstance(gold, Sequence) or not isinstance(said, Sequence):
            return self.one_of_several(gold, said)
        if {gold.brackets, said.brackets} & {"[)", "(]", "[]"} and gold.brackets != said.brackets:
            return self.intervals(gold, said)
        if "{}" in (gold.brackets, said.brackets) and "()" in (gold.brackets, said.brackets):
            return DIFFERENT
        one, other = unique(gold), unique(said)
        if len(one) != len(other):
            return DIFFERENT
        if gold.brackets == "" and said.brackets == "()" and any(isinstance(item, Relation) for item in gold.items):
            return DIFFERENT
        if gold.brackets not in ("", "{}"):
            return all_of([self.either(*pair) for pair in zip(gold.items, said.items, strict=True)])
        return self.any_order(one, list(other))

    def one_of_several(self, gold: Expression, said: Expression) -> Outcome:
        """One value against several: a set of one, or another number of answers."""
        several, one = (gold, said) if isinstance(gold, Sequence) else (said, gold)
        assert isinstance(several, Sequence)
        if isinstance(one, Matrix | Words) or several.brackets not in ("", "{}"):
            return UNDECIDED if isinstance(one, Matrix) or not is_number(one) else DIFFERENT
        items = unique(several)
        if len(items) == 1:
            return self.either(items[0], one) if several is gold else self.either(one, items[0])
        return DIFFERENT

    def any_order(self, gold: Items[Expression], left: list[Expression]) -> Outcome:
        """Each item of one is equal to its own item of the other."""
        undecided = False
        for item in gold:
            found = [self.either(item, other) for other in left]
            if EQUAL in found:
                del left[found.index(EQUAL)]
            elif UNDECIDED in found:
                undecided = True
            else:
                return DIFFERENT
        return UNDECIDED if undecided else EQUAL

    def matrices(self, gold: Expression, said: Expression) -> Outcome:
        """Cell by cell; a matrix against something else is for another way to decide."""
        if not isinstance(gold, Matrix) or not isinstance(said, Matrix):
            return DIFFERENT if is_number(gold) or is_number(said) else UNDECIDED
        if [len(row) for row in gold.rows] != [len(row) for row in said.rows]:
            return DIFFERENT
        return all_of([self.scalars(*pair) for pair in zip(parts_of(gold), parts_of(said), strict=True)])

    def quantities(self, gold: Expression, said: Expression) -> Outcome:
        """Values with units. A reference without one leaves it open; % and ° are numbers as well."""
        if not isinstance(gold, Quantity):
            if not isinstance(said, Quantity):
                return self.scalars(gold, said)
            if unknowns(gold) and said.unit not in "%°":  # the m of 5 m may be a unit
                return UNDECIDED
            found = self.scalars(gold, said.value)
            return self.scalars(gold, said) if found is DIFFERENT and said.unit in "%°" else found
        if not isinstance(said, Quantity):
            return self.without_unit(gold, said)
        (kind, factor), (other_kind, other_factor) = kind_of(gold.unit), kind_of(said.unit)
        if kind == other_kind:
            return self.scalars(scaled(gold.value, factor), scaled(said.value, other_factor))
        if kind.startswith("other:_") or other_kind.startswith("other:_"):
            return DIFFERENT if kind.startswith("other:_") and other_kind.startswith("other:_") else UNDECIDED
        if kind.startswith("other:") or other_kind.startswith("other:"):  # eggs and brown eggs
            return self.scalars(gold.value, said.value)
        return DIFFERENT

    def without_unit(self, gold: Quantity, said: Expression) -> Outcome:
        """A number where the reference has a unit."""
        kind, _ = kind_of(gold.unit)
        if unknowns(said) - unknowns(gold):  # the m of 5 m may be a unit
            return UNDECIDED
        if gold.unit == "%":
            found = self.scalars(gold, said)
        elif kind == "angle" and self.scalars(Product((gold.value, ANGLE)), said) is EQUAL:
            return EQUAL
        else:
            found = self.scalars(gold.value, said) if kind in NOTATION else DIFFERENT
        if found is DIFFERENT and self.units:
            return self.scalars(gold.value, said)
        return found

    def scalars(self, gold: Expression, said: Expression) -> Outcome:
        """Two values without units."""
        if gold == said:
            return EQUAL
        one, other = rational(gold), rational(said)
        if one is not None and other is not None:
            return outcome(one == other or self.nearly(one, other) or rounds_to(one, said) or rounds_to(other, gold))
        same = same_value(gold, said)
        apart = numeric.differ(gold, said) if same is not False else True
        if same and not apart:
            return EQUAL
        if not apart:
            return UNDECIDED
        return EQUAL if self.near_values(gold, said) else DIFFERENT

    def near_values(self, gold: Expression, said: Expression) -> bool:
        """Whether a decimal on one side stands for the value on the other."""
        if unknowns(gold) or unknowns(said):
            return False
        one, other = numeric.real_value(gold), numeric.real_value(said)
        if one is None or other is None:
            return False
        left, right = Fraction(one.middle.real), Fraction(other.middle.real)
        return self.nearly(left, right) or rounds_to(left, said) or rounds_to(right, gold)

    def nearly(self, gold: Fraction, said: Fraction) -> bool:
        """Whether the leniencies for numbers make them equal."""
        if self.percent and gold and said / gold in (HUNDRED, 1 / HUNDRED):
            return True
        return self.tolerance and abs(gold - said) <= TOLERANCE * abs(gold)


def rounds_to(value: Fraction, written: Expression) -> bool:
    """Whether `written` is a decimal of six places or more, and that is what the value is when rounded to them."""
    sign, number = 1, written
    if isinstance(number, Quantity):
        number = number.value
    if not isinstance(number, Number) or number.places is None or number.places < DECIMALS:
        return False
    return abs(value - sign * number.value) <= Fraction(1, 2 * 10**number.places)


def scaled(value: Expression, factor: Fraction) -> Expression:
    return value if factor == 1 else Product((value, Number(factor)))


def unique(several: Sequence) -> tuple[Expression, ...]:
    """The items; of a set each once."""
    return tuple(dict.fromkeys(several.items)) if several.brackets != "()" else several.items


def is_number(value: Expression) -> bool:
    return isinstance(value, Number) or rational(value) is not None


def is_equation(value: Expression) -> bool:
    return isinstance(value, Relation) and set(value.signs) == {"="}


def is_no_set(value: Expression) -> bool:
    """Whether a value is a number, some numbers or an equation: nothing that a set of numbers with an inside equals."""
    if isinstance(value, Sequence):
        return all(map(is_no_set, value.items))
    return is_equation(value) or not isinstance(value, Relation | Join | Name | Call)


def difference(equation: Relation) -> Expression:
    """left - right."""
    return Sum((equation.sides[0], negated(equation.sides[-1])))


def approximations(chain: Relation) -> list[Expression]:
    """The values that a chain with ≈ gives: what stands before the sign, with its equation, and each one after it."""
    first = chain.signs.index("~")
    head: Expression = chain.sides[0]
    if first:
        head = Relation(chain.signs[:first], chain.sides[: first + 1])
    elif is_label(head):
        return list(chain.sides[1:])
    return [head, *chain.sides[first + 1 :]]


def is_label(side: Expression) -> bool:
    """Whether what stands before an equals sign only names what is after it: x, f(x), (p, q), AB, NO/BO, |AB|."""
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
    """The value itself where a label, a calculation or `x in` stands before it."""
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
    """1.22 of the list 1, 22."""
    match value:
        case Sequence("", (Number(whole), Number(decimals, None))) if whole.denominator == decimals.denominator == 1:
            digits = str(decimals.numerator)
            return Number(Fraction(f"{whole.numerator}.{digits}"), len(digits)) if digits.isdigit() else value
    return value


def renamed(value: Expression, gold: Expression) -> Expression:
    """The answer with the only unknown of the reference in place of its own only one."""
    own, others = unknowns(value) - CONSTANTS, unknowns(gold) - CONSTANTS
    if len(own) != 1 or len(others) != 1 or own == others:
        return value
    return substituted(value, Name(own.pop()), Name(others.pop()))
