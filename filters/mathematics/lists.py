"""Comparison of several values: labelled values by their labels, points in order, lists and sets in any order."""

from abc import abstractmethod
from collections.abc import Sequence as Items
from fractions import Fraction

from filters.mathematics.exact_values import flat
from filters.mathematics.expressions import (
    Call,
    Expression,
    Matrix,
    Name,
    Number,
    Product,
    Relation,
    Sequence,
    Sum,
    Words,
    is_equation,
    is_unknown_call,
    nodes,
    unknowns,
)
from filters.mathematics.quantities import DIFFERENT, EQUAL, UNDECIDED, Comparison, QuantityComparer, all_of, is_number

ELLIPSIS, EMPTY_SET = Name("…"), Name("∅")
ORDERED_LETTERS = 3  # as many capital letters and more, not in alphabetical order, are an order

AXES = "ijk"
ONE = Number(Fraction(1))

Assignment = tuple[Expression, Expression]  # label, value


class ListComparer(QuantityComparer):
    """The part of the comparer that compares several values."""

    @abstractmethod
    def either(self, reference: Expression, said: Expression) -> Comparison: ...

    @abstractmethod
    def intervals(self, reference: Expression, said: Expression) -> Comparison: ...

    def labelled(self, reference: Expression, said: Expression) -> Comparison | None:
        """Compare values that have labels; None if no side has several labels."""
        one, other = named(reference), named(said)
        other = unnumbered(other, one)
        several, others = labels(one), labels(other)
        if len(several) < 2 and len(others) < 2:
            apart = several and others and not each_in_other(one, other) and conflicting(several[0], others[0])
            return DIFFERENT if apart else None
        if one and other:
            if set(several) != set(others) or clashing_links(reference, said):
                return DIFFERENT
            return self.solutions(solutions(one), solutions(other))
        if one:
            if isinstance(reference, Sequence) and reference.link == "or" and len(solutions(one)) == 1:
                return DIFFERENT
            return self.in_order([solved(found, several) for found in solutions(one)], said)
        if is_number(reference):
            return DIFFERENT
        rows = [solved(found, sorted(others, key=str)) for found in solutions(other)]
        parts = [isinstance(label, Name) and label.text.startswith("part ") for label in others]
        if isinstance(reference, Sequence) and reference.brackets == "" and len(rows) == 1:
            if all(parts):
                return self.either(Sequence("()", reference.items), rows[0])
            return self.any_order(reference.items, list(rows[0].items))
        return self.either(reference, rows[0] if len(rows) == 1 else Sequence("", tuple(rows)))

    def in_order(self, rows: Items[Sequence], said: Expression) -> Comparison:
        """Compare the values of labels with values that have none: in the labels' order."""
        if len(rows) > 1:
            return self.either(Sequence("", tuple(rows)), said)
        found = list_of(said)
        if found is None or len(found) != len(rows[0].items):
            return DIFFERENT
        return all_of([self.either(*pair) for pair in zip(rows[0].items, found, strict=True)])

    def solutions(
        self, reference: Items[dict[Expression, Expression]], left: list[dict[Expression, Expression]]
    ) -> Comparison:
        """Match each solution of the reference, a value for each label, with its own in the answer."""
        if len(reference) != len(left):
            return DIFFERENT
        undecided = False
        for solution in reference:
            found = [
                all_of(
                    [
                        self.either(value, other[label]) if label in other else DIFFERENT
                        for label, value in solution.items()
                    ]
                )
                for other in left
            ]
            best = EQUAL if EQUAL in found else UNDECIDED
            if best not in found:
                return DIFFERENT
            undecided |= best is UNDECIDED
            del left[found.index(best)]
        return UNDECIDED if undecided else EQUAL

    def sequences(self, reference: Expression, said: Expression) -> Comparison:
        """Compare lists, points and sets: as many items, and in order only if the reference is a point."""
        if EMPTY_SET in (reference, said):
            return DIFFERENT
        if not isinstance(reference, Sequence) or not isinstance(said, Sequence):
            return self.one_of_several(reference, said)
        if reference.brackets == "{}" and len(reference.items) == 1 and said.brackets != "{}":
            return self.either(reference.items[0], said)
        if {reference.brackets, said.brackets} & {"[)", "(]", "[]"} and reference.brackets != said.brackets:
            return self.intervals(reference, said)
        if "{}" in (reference.brackets, said.brackets) and "()" in (reference.brackets, said.brackets):
            return DIFFERENT
        one, other = items_of(reference, reference), items_of(said, reference)
        if len(one) != len(other) or alternatives(reference) != alternatives(said):
            return DIFFERENT
        names = all(unknowns(item) and not isinstance(item, Relation) for item in (*one, *other))
        if names and {reference.link, said.link} == {"and", "or"}:
            return DIFFERENT
        relations = [isinstance(item, Relation) for item in one]
        if reference.brackets == "" and said.brackets == "()" and any(relations):
            return DIFFERENT
        if reference.brackets not in ("", "{}") or is_ordered(reference) or is_ordered(said):
            return all_of([self.either(*pair) for pair in zip(one, other, strict=True)])
        if all(relations) and not all(map(is_equation, one)) and len(unknowns(reference)) > 1:
            return self.by_unknowns(one, list(other))
        return self.any_order(one, list(other))

    def by_unknowns(self, reference: Items[Expression], left: list[Expression]) -> Comparison:
        """Match inequalities of several unknowns, each with one of the same unknowns."""
        for item in reference:
            same = [unknowns(other) == unknowns(item) and self.either(item, other) is EQUAL for other in left]
            if True not in same:
                return DIFFERENT
            del left[same.index(True)]
        return EQUAL

    def one_of_several(self, reference: Expression, said: Expression) -> Comparison:
        """Compare one value with several: equal to a set of one, or to one value written twice with `or`."""
        several, one = (reference, said) if isinstance(reference, Sequence) else (said, reference)
        assert isinstance(several, Sequence)
        if isinstance(one, Matrix | Words) or several.brackets not in ("", "{}"):
            return UNDECIDED if isinstance(one, Matrix) or not is_number(one) else DIFFERENT
        items = items_of(several, several)
        if len(items) == 1:
            return self.either(items[0], one) if several is reference else self.either(one, items[0])
        if several is said and said.link == "or":
            return EQUAL if all(self.either(one, item) is EQUAL for item in items) else DIFFERENT
        return DIFFERENT

    def any_order(self, reference: Items[Expression], left: list[Expression]) -> Comparison:
        """Match each item of the reference with its own item of the answer."""
        if len(reference) != len(left):
            return DIFFERENT
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


def items_of(several: Sequence, reference: Sequence) -> tuple[Expression, ...]:
    """Return the items, without repeats if both this and the reference are sets; in a list every repeat counts."""
    is_set = "{}" in (several.brackets, reference.brackets) and reference.brackets != ""
    is_set |= reference.brackets == "" and all(isinstance(item, Sequence) for item in reference.items)  # of points
    return tuple(dict.fromkeys(several.items)) if is_set else several.items


def alternatives(several: Sequence) -> bool:
    """Return whether a list offers one of several capital letters: `A or C`."""
    return several.link == "or" and all(isinstance(item, Name) and item.text.isupper() for item in several.items)


def is_ordered(several: Sequence) -> bool:
    """Return whether a list is in order: it goes on with an ellipsis, or is an order of capital letters."""
    if ELLIPSIS in several.items:
        return True
    names = [item.text for item in several.items if isinstance(item, Name)]
    letters = [name for name in names if len(name) == 1 and name.isupper()]
    return len(letters) == len(several.items) >= ORDERED_LETTERS and letters != sorted(letters)


def list_of(value: Expression) -> tuple[Expression, ...] | None:
    """Return the values of a list, a point or a vector; None for any other value."""
    if isinstance(value, Sequence) and value.brackets in ("", "()", "[]"):
        return value.items
    return vector(value)


def components(value: Expression, size: int) -> Expression:
    """Return 2i - j, a sum of multiples of unit vectors, as a point of `size` coordinates; any other value as it is."""
    terms = value.terms if isinstance(value, Sum) else (value,)
    found: dict[str, Expression] = {}
    for term in terms:
        factors = flat(term)
        axes = [factor.text for factor in factors if isinstance(factor, Name) and factor.text in AXES[:size]]
        if len(axes) != 1 or axes[0] in found:
            return value
        found[axes[0]] = Product((ONE, *(factor for factor in factors if factor != Name(axes[0]))))
    return Sequence("()", tuple(found.get(axis, Number(Fraction(0))) for axis in AXES[:size]))


def vector(value: Expression) -> tuple[Expression, ...] | None:
    """Return the entries of a matrix of one row or one column."""
    if isinstance(value, Matrix) and (len(value.rows) == 1 or all(len(row) == 1 for row in value.rows)):
        return tuple(cell for row in value.rows for cell in row)
    return None


def assignments(value: Expression) -> list[Assignment]:
    """Return (label, value) of every labelled value in x = 1, y = 2 or (x, y) = (1, 2); nothing if one has no label."""
    if isinstance(value, Sequence) and value.brackets == "":
        parts = [assignments(item) for item in value.items]
        return [pair for part in parts for pair in part] if all(parts) else []
    if not isinstance(value, Relation) or not is_equation(value):
        return []
    *names, last = value.sides
    if not all(map(is_label, names)):
        return []
    if len(names) == 1 and isinstance(names[0], Sequence):
        items = list_of(last)
        whole = items is not None and len(items) == len(names[0].items)
        return list(zip(names[0].items, items, strict=True)) if items is not None and whole else []
    return [(name, last) for name in names]


def named(value: Expression) -> list[Assignment]:
    """Return the assignments of a value, none if a label occurs in another's value: those are equations."""
    pairs = assignments(value)
    several = {label for label, _ in pairs}
    inside = {node for _, given in pairs for node in nodes(given)}
    return [] if len(several) > 1 and several & inside else pairs


def unnumbered(pairs: list[Assignment], others: Items[Assignment]) -> list[Assignment]:
    """Return x_1 = 2, x_2 = 3 as x = 2, x = 3 if x is the only label of the others."""
    names = set(labels(others))
    bases = {Name(label.text.partition("_")[0]) for label, _ in pairs if isinstance(label, Name) and "_" in label.text}
    if len(bases) != 1 or names != bases or len(labels(pairs)) != len(pairs):
        return pairs
    return [(base, value) for base in bases for _, value in pairs]


def labels(pairs: Items[Assignment]) -> list[Expression]:
    """Return the distinct labels in their order."""
    return list(dict.fromkeys(label for label, _ in pairs))


def solutions(pairs: Items[Assignment]) -> list[dict[Expression, Expression]]:
    """Return the assignments in groups that hold each label once: x = 1, y = 2 or x = 2, y = 1 are two."""
    found: list[dict[Expression, Expression]] = [{}]
    for label, value in pairs:
        if label in found[-1]:
            found.append({})
        found[-1][label] = value
    return found


def solved(solution: dict[Expression, Expression], order: Items[Expression]) -> Sequence:
    """Return the values of a solution as a point, in the order of the labels."""
    return Sequence("()", tuple(solution[label] for label in order if label in solution))


def clashing_links(reference: Expression, said: Expression) -> bool:
    """Return whether one list is linked by `or` and the other by `and`, each with a single solution."""
    if not isinstance(reference, Sequence) or not isinstance(said, Sequence):
        return False
    single = len(solutions(assignments(reference))) == 1
    return single and ("or" in (reference.link, said.link)) and reference.link != said.link


def each_in_other(one: Items[Assignment], other: Items[Assignment]) -> bool:
    """Return whether each label occurs in the other's value: y = x + 1 and x = y - 1 may be one equation."""
    return one[0][0] in nodes(other[0][1]) and other[0][0] in nodes(one[0][1])


def conflicting(one: Expression, other: Expression) -> bool:
    """Return whether two lone labels name different things; f(x) and y may name the same one."""
    if one == other or isinstance(one, Sequence) != isinstance(other, Sequence):
        return False
    if isinstance(one, Name) and isinstance(other, Name):
        return different_names(one.text, other.text)
    if isinstance(one, Call) and isinstance(other, Call):
        return one.function != other.function or is_number(one.arguments[0]) or is_number(other.arguments[0])
    if any(isinstance(side, Call) and is_number(side.arguments[0]) for side in (one, other)):
        return True
    sides = [side.factors for side in (one, other) if isinstance(side, Product)]
    if len(sides) < 2:
        return False
    variables = [isinstance(side[-1], Name) and side[-1].text.islower() for side in sides]
    segments = all(isinstance(factor, Name) and factor.text[0].isupper() for side in sides for factor in side)
    return segments or sides[0][0] != sides[1][0] or not all(variables)


def different_names(one: str, other: str) -> bool:
    """Return whether two names differ in kind: V and A, a_1 and a_2, mean and median; `Area` may be A."""
    parts = [name.partition("_") for name in (one, other)]
    words = [len(part[0]) > 1 for part in parts]
    if words[0] != words[1]:
        return False
    return parts[0][0] == parts[1][0] or not (parts[0][1] and parts[1][1]) or not any(words)


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
