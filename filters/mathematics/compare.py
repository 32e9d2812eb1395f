"""Comparison of an answer with the reference: equal, different, or undecided, which is left to a slower method.

An answer with several values must have as many as the reference, in any order unless the reference is a point, each
under the label that it has in the reference, and with open and closed ends as in the reference. Every further tolerance
has a name (LENIENCIES) and all but one are off by default.
"""

from fractions import Fraction
from functools import reduce
from itertools import combinations

from filters.mathematics import numeric
from filters.mathematics.expressions import (
    INFINITY,
    MINUS_ONE,
    Call,
    Expression,
    Join,
    Matrix,
    Name,
    Number,
    Power,
    Product,
    Quantity,
    Relation,
    Sequence,
    Sum,
    Words,
    is_equation,
    is_unknown_call,
    nodes,
    parts_of,
    substituted,
    unknowns,
)
from filters.mathematics.intervals import (
    NAMED,
    TURNED,
    as_intervals,
    ascending,
    contrary,
    difference,
    is_inequality,
    same_intervals,
)
from filters.mathematics.lists import ELLIPSIS, ListComparer, components, is_label, list_of, vector
from filters.mathematics.modular import proportional, rational
from filters.mathematics.quantities import (
    DIFFERENT,
    EQUAL,
    LENIENCIES,
    UNDECIDED,
    Comparison,
    all_of,
    comparison_of,
    is_number,
)

__all__ = ["LENIENCIES", "Comparer", "Comparison", "leniencies_needed"]


def leniencies_needed(reference: Expression, said: Expression) -> tuple[str, ...] | None:
    """Return the fewest leniencies under which both are equal; None if even all of them are not enough."""
    if Comparer(LENIENCIES).compare(reference, said) is not EQUAL:
        return None
    subsets = (names for size in range(1, len(LENIENCIES) + 1) for names in combinations(LENIENCIES, size))
    return next((names for names in subsets if Comparer(names).compare(reference, said) is EQUAL), None)


class Comparer(ListComparer):
    """A comparer of references with answers under some leniencies."""

    def compare(self, reference: Expression, said: Expression) -> Comparison:
        """Compare whole answers."""
        if self.comma:
            reference, said = joined_comma(reference), joined_comma(said)
        if self.renamed:
            said = renamed(said, reference)
        return self.either(reference, said)

    def families(self, reference: Expression, said: Expression, name: str) -> Comparison:
        """Compare families of solutions in the integer `name`, which may be counted from different solutions."""
        found = self.compare(reference, said)
        turned = shifted(solved(reference), solved(said), name) if found is not EQUAL else None
        return found if turned is None or self.compare(solved(reference), turned) is not EQUAL else EQUAL

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
        reference, said = facing(reference), facing(said)
        if reference == said:
            return EQUAL
        if isinstance(reference, Words) or isinstance(said, Words) or is_false(said) or reordered(reference, said):
            return DIFFERENT
        if (found := self.labelled(reference, said)) is not None:
            return found
        if is_equation(reference) and is_equation(said):
            assert isinstance(reference, Relation) and isinstance(said, Relation)
            return self.equations(reference, said)
        if apart(reference, said) or apart(said, reference):
            return DIFFERENT
        if any(is_membership(side) for side in (reference, said)):
            return self.relations(reference, solved(said) if is_equation(said) else said)
        if is_number(reference):
            said = total(said)
        reference, said = as_matrix(solved(reference)), as_matrix(solved(said))
        reference, said = as_point(reference, said), as_point(said, reference)
        if isinstance(said, Relation) and is_equation(said) and not isinstance(reference, Relation | Sequence | Join):
            return self.stated(reference, said)
        if (
            isinstance(reference, Relation)
            and is_equation(reference)
            and not isinstance(said, Relation | Sequence | Join)
        ):
            return self.stated_value(reference, said)
        if is_set(reference) or is_set(said):
            return self.relations(reference, said)
        if isinstance(reference, Matrix) or isinstance(said, Matrix):
            return self.matrices(reference, said)
        if isinstance(reference, Sequence) or isinstance(said, Sequence):
            return self.sequences(reference, said)
        return self.quantities(reference, said)

    def stated(self, reference: Expression, said: Relation) -> Comparison:
        """Compare a value with an equation that states an expression's value; 2x = 10 is unsolved, and not 10."""
        found = self.values(reference, said.sides[-1])
        if found is EQUAL and is_number(reference):
            return DIFFERENT if any(map(is_unsolved, said.sides[:-1])) else EQUAL
        return UNDECIDED if found is EQUAL else found

    def stated_value(self, reference: Relation, said: Expression) -> Comparison:
        """Compare an equation with a value: 2 is the 2 of tan x = 2, which names a quantity, not of x + y = 2."""
        found = self.values(reference.sides[-1], said)
        named = isinstance(reference.sides[0], Call | Product) and not is_unsolved(reference.sides[0])
        if found is EQUAL and not named:
            return DIFFERENT if is_number(said) else UNDECIDED
        return found

    def equations(self, reference: Relation, said: Relation) -> Comparison:
        """Compare equations: y = 2x + 1 and 2x - y + 1 = 0 are equal; so are x = 5 and n = 5, which both state 5."""
        simple = is_label(reference.sides[0]) and is_label(said.sides[0])
        if simple:
            found = self.values(reference.sides[-1], said.sides[-1])
            if found is not DIFFERENT or not (unknowns(reference.sides[-1]) or unknowns(said.sides[-1])):
                return found
        if is_label(reference.sides[0]) and not unknowns(said.sides[0]):
            return self.values(reference.sides[-1], said.sides[-1])
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
        return DIFFERENT if any(numeric.zeros_differ(one, other, name) for name in shared) else UNDECIDED

    def relations(self, reference: Expression, said: Expression) -> Comparison:
        """Compare sets of numbers as intervals, other inequalities side by side; those that differ stay undecided."""
        one, other = as_intervals(reference), as_intervals(said)
        if one is not None and other is not None:
            return self.intervals(reference, said)
        if isinstance(reference, Relation) and isinstance(said, Relation):
            reference, said = ascending(reference), ascending(said)
            same = reference.signs == said.signs and len(reference.sides) == len(said.sides)
            same = same and all(self.values(*pair) is EQUAL for pair in zip(reference.sides, said.sides, strict=True))
            return EQUAL if same else DIFFERENT if contrary(reference, said) else UNDECIDED
        if any(is_inequality(one) and is_value(two) for one, two in ((reference, said), (said, reference))):
            return DIFFERENT
        sets, values = (one, said) if one is not None else (other, reference)
        return DIFFERENT if sets and is_no_set(values) and any(low != high for low, _, high, _ in sets) else UNDECIDED

    def intervals(self, reference: Expression, said: Expression) -> Comparison:
        """Compare two sets of numbers end by end; a value that is not such a set differs from one."""
        one, other = as_intervals(reference), as_intervals(said)
        if one is None or other is None:
            return DIFFERENT
        return comparison_of(same_intervals(one, other, lambda *ends: self.scalars(*ends) is EQUAL))

    def matrices(self, reference: Expression, said: Expression) -> Comparison:
        """Compare cell by cell; a vector is also a point or a list in brackets."""
        if not isinstance(reference, Matrix) or not isinstance(said, Matrix):
            one, other = list_of(reference), list_of(said)
            if one is not None and other is not None and len(one) == len(other):
                return all_of([self.either(*pair) for pair in zip(one, other, strict=True)])
            vectors = vector(reference), vector(said)
            decided = is_number(reference) or is_number(said) or vectors != (None, None)
            return DIFFERENT if decided else UNDECIDED
        if [len(row) for row in reference.rows] != [len(row) for row in said.rows]:
            return DIFFERENT
        return all_of([self.either(*pair) for pair in zip(parts_of(reference), parts_of(said), strict=True)])


def shifted(reference: Expression, said: Expression, name: str) -> Expression | None:
    """Return the answer, a family of solutions in the integer `name`, with this integer counted as the reference does.

    k·π - π/2 with k + 1 for k is k·π + π/2: the same family. None if no shift brings both to one value at 0.
    """
    parameter = Name(name)
    at = [[numeric.real_value(substituted(side, parameter, whole(n))) for n in (0, 1)] for side in (reference, said)]
    if any(ball is None for pair in at for ball in pair):
        return None
    (start, end), (first, second) = ([ball.middle.real for ball in pair if ball] for pair in at)
    step = second - first
    count = round((start - first) / step) if step else 0
    turn = -1 if (end - start) * step < 0 else 1
    return (
        substituted(said, parameter, Sum((Product((whole(turn), parameter)), whole(count))))
        if count or turn < 0
        else None
    )


def whole(n: int) -> Number:
    return Number(Fraction(n))


def is_value(value: Expression) -> bool:
    return isinstance(value, Number | Sum | Product | Power | Quantity) or value == INFINITY


def is_set(value: Expression) -> bool:
    """Return whether a value is a set of numbers given by a relation or as a union, not by its ends alone."""
    if isinstance(value, Sequence) and value.brackets == "":
        return any(isinstance(item, Relation) for item in value.items) and as_intervals(value) is not None
    return isinstance(value, Relation | Join) or value in NAMED


def is_membership(value: Expression) -> bool:
    """Return whether a value is `x in` an interval, which is then no point."""
    return isinstance(value, Relation) and value.signs == ("in",) and as_intervals(value) is not None


def as_matrix(value: Expression) -> Expression:
    """Return [[1, 2], [3, 4]], or a matrix with a factor before it, as a matrix; any other value as it is."""
    match value:
        case Sequence("[]", items) if all(isinstance(item, Sequence) and item.brackets == "[]" for item in items):
            rows = [item.items for item in items if isinstance(item, Sequence)]
            return Matrix(tuple(rows)) if len(set(map(len, rows))) == 1 and len(rows) > 1 else value
        case Product(factors):
            matrices: list[Rows] = [factor.rows for factor in factors if isinstance(factor, Matrix)]
            rest = [factor for factor in factors if not isinstance(factor, Matrix)]
            if matrices and (cells := reduce(multiplied, matrices)):
                return Matrix(tuple(tuple(Product((*rest, cell)) for cell in row) for row in cells))
    return value


def as_point(value: Expression, other: Expression) -> Expression:
    """Return 2i - j as a point if the other side is a point or a vector; any other value as it is."""
    items = None if isinstance(other, Sequence) and other.brackets != "()" else list_of(other)
    several = items is not None and len(items) in (2, 3) and isinstance(value, Sum | Product | Name)
    return components(value, len(items)) if items is not None and several else value


Rows = tuple[tuple[Expression, ...], ...]


def multiplied(left: Rows, right: Rows) -> Rows:
    """Return the product of two matrices, without rows if their sizes do not fit."""
    if not left or len(left[0]) != len(right):
        return ()
    columns = tuple(zip(*right, strict=True))
    return tuple(tuple(Sum(tuple(map(product, row, column))) for column in columns) for row in left)


def product(one: Expression, other: Expression) -> Expression:
    return Product((one, other))


def reordered(one: Expression, other: Expression) -> bool:
    """Return whether two products of matrices, by an inverse or a transpose among them, differ in their order alone."""
    if not isinstance(one, Product) or not isinstance(other, Product) or not all(map(is_matrix_name, one.factors)):
        return False
    same = len(one.factors) == len(other.factors) and set(one.factors) == set(other.factors)
    return same and any(isinstance(factor, Power) for factor in one.factors)


def is_matrix_name(value: Expression) -> bool:
    """Return whether a value is a capital letter, or its inverse or transpose."""
    if isinstance(value, Power):
        value = value.base if value.exponent in (MINUS_ONE, Name("T"), Name("top")) else value
    return isinstance(value, Name) and len(value.text) == 1 and value.text.isupper()


def is_false(chain: Expression) -> bool:
    """Return whether a calculation states that different numbers are equal: 2 + 2 = 5."""
    if not isinstance(chain, Relation) or not is_equation(chain):
        return False
    numbers = [rational(side.value if isinstance(side, Quantity) else side) for side in chain.sides]
    known = [number for number in numbers if number is not None]
    plain = not any(isinstance(side, Quantity) for side in chain.sides)
    return plain and any(number != known[0] and not near(number, known[0]) for number in known[1:])


def near(one: Fraction, other: Fraction) -> bool:
    """Return whether two numbers in one calculation may differ by rounding alone."""
    return min(one.denominator, other.denominator) > 1 and abs(one - other) <= abs(one) / 100


def is_no_set(value: Expression) -> bool:
    """Return whether a value is a number, numbers or an equation, none of which equals a set with an interior."""
    if isinstance(value, Sequence):
        return all(map(is_no_set, value.items))
    return is_equation(value) or not isinstance(value, Relation | Join | Name | Call)


def apart(one: Expression, other: Expression) -> bool:
    """Return whether one side is an equation between values, not with a set, and the other an inequality."""
    if not isinstance(one, Relation) or not is_equation(one) or not isinstance(other, Relation):
        return False
    return set(other.signs) <= {*TURNED, "!="} and as_intervals(one.sides[-1]) is None


def is_unsolved(side: Expression) -> bool:
    """Return whether a side is a line in one unknown, or a power, root or absolute value of it: 3x - 1, x^2, 2^x."""
    names = unknowns(side)
    if len(names) != 1 or len(name := names.pop()) != 1 or not name.islower() or isinstance(side, Name):
        return False
    match side:
        case Power(base, exponent):
            return Name(name) in (base, exponent)
        case Call("abs", (Name(),)):
            return True
    slopes = [numeric.real_value(substituted(side, Name(name), whole(n))) for n in (1, 2, 4)]
    first, second, third = (ball.middle.real if ball else float("nan") for ball in slopes)
    return abs((third - first) - 3 * (second - first)) <= numeric.MARGIN * (abs(first) + abs(third))


def facing(value: Expression) -> Expression:
    """Return the equation 5 = x as x = 5; any other value as it is."""
    match value:
        case Relation(("=",), (left, right)) if is_label(right) and not is_label(left) and not unknowns(left):
            return Relation(("=",), (right, left))
    return value


def approximations(chain: Relation) -> list[Expression]:
    """Return the values in a chain with ≈: the part before the sign, with its equation, and each value after it."""
    first = chain.signs.index("~")
    head: Expression = chain.sides[0]
    if first:
        head = Relation(chain.signs[:first], chain.sides[: first + 1])
    elif is_label(head):
        return list(chain.sides[1:])
    return [head, *chain.sides[first + 1 :]]


def solved(value: Expression) -> Expression:
    """Return the value without a label, a calculation or `x in` in front of it."""
    if not isinstance(value, Relation):
        return value
    if value.signs == ("in",):
        return value.sides[1]
    if not is_equation(value):
        return value
    first = value.sides[0]
    calculated = unknowns(first) <= {ELLIPSIS.text} or any(map(is_unknown_call, nodes(first)))
    return value.sides[-1] if is_label(first) or calculated else value


def total(value: Expression) -> Expression:
    """Return the number at the end of m + n = 293, or of m + n = 256 + 37 = 293; any other value as it is."""
    if not isinstance(value, Relation) or not is_equation(value) or not is_number(value.sides[-1]):
        return value
    first, *rest = value.sides
    added = isinstance(first, Sum) and all(isinstance(term, Name) for term in first.terms)
    return value.sides[-1] if added or (len(rest) > 1 and all(map(is_number, rest))) else value


def joined_comma(value: Expression) -> Expression:
    """Return 1.22 for the list 1, 22."""
    match value:
        case Sequence("", (Number(whole), Number(decimals, None))) if whole.denominator == decimals.denominator == 1:
            digits = str(decimals.numerator)
            return Number(Fraction(f"{whole.numerator}.{digits}"), len(digits)) if digits.isdigit() else value
    return value


def renamed(value: Expression, reference: Expression) -> Expression:
    """Return the answer with its only unknown renamed to the reference's only unknown."""
    own, others = ({name for name in unknowns(side) if not name.startswith("set(")} for side in (value, reference))
    if len(own) != 1 or len(others) != 1 or own == others:
        return value
    return substituted(value, Name(own.pop()), Name(others.pop()))
