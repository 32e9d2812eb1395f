"""Expression trees for mathematical answers: no text is left in them except names and words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number; `places` is the number of decimals if it was written as a decimal."""

    value: Fraction
    places: int | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """An unknown, a constant (π, e, i, ∞) or a named object with its subscript: `x`, `a_1`, `vec(b)`."""

    text: str


@dataclass(frozen=True, slots=True)
class Sum:
    """Two or more terms."""

    terms: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Two or more factors; a quotient contains a factor to the power of -1."""

    factors: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Power:
    """A base and an exponent, not expanded; a root is a power of 1/n."""

    base: "Expression"
    exponent: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied to arguments: an unknown one, such as `f()` for f(x), or one with a meaning.

    The latter include `abs`, `factorial`, `binom` and `log` (base, argument).
    """

    function: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value and its unit as written: `%`, `°`, `$`, `cm^2`, `eggs`; `_8` is a number base."""

    value: "Expression"
    unit: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """Several values in brackets: `()`, `[]`, `[)`, `(]`, `{}` (a set), or none (a list).

    `link` is what separates the values of a list: a comma, `and` or `or`.
    """

    brackets: str
    items: tuple["Expression", ...]
    link: str = ","


@dataclass(frozen=True, slots=True)
class Join:
    """A union, intersection or difference of sets, from left to right: `cup`, `cap` or `setminus` between the parts."""

    parts: tuple["Expression", ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A clock time such as 3:15 or 2:30:00, or a ratio of three or more."""

    parts: tuple["Expression", ...]
    clock: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """The rows of a matrix, each a tuple of cells."""

    rows: tuple[tuple["Expression", ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain of sides with a sign (=, !=, <, <=, >, >=, ~, in) between each two."""

    signs: tuple[str, ...]
    sides: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Words:
    """An answer in words, in lower case."""

    text: str


Expression = (
    Number | Name | Sum | Product | Power | Call | Quantity | Sequence | Join | Ratio | Matrix | Relation | Words
)

CONSTANTS = frozenset("πei∞")
MINUS_ONE = Number(Fraction(-1))
INFINITY = Name("∞")
LOG_BASE = Name("log")  # base of a logarithm that names none: e or 10


def negated(value: Expression) -> Expression:
    """Return the value with the opposite sign; in a quantity the sign goes to the number."""
    if isinstance(value, Number):
        return Number(-value.value, value.places)
    if isinstance(value, Quantity):
        return Quantity(negated(value.value), value.unit)
    if isinstance(value, Ratio):
        return Ratio((negated(value.parts[0]), *value.parts[1:]), value.clock)
    return Product((MINUS_ONE, value))


def quotient(above: Expression, below: Expression) -> Expression:
    """Return above / below, as one number if both are numbers."""
    if isinstance(above, Number) and isinstance(below, Number) and below.value:
        return Number(above.value / below.value)
    return Product((above, Power(below, MINUS_ONE)))


def determinant(rows: tuple[tuple[Expression, ...], ...]) -> Expression:
    """Return the determinant of a square matrix, expanded along its first row."""
    if len(rows) == 1:
        return rows[0][0]
    terms = []
    for column, cell in enumerate(rows[0]):
        minor = determinant(tuple((*row[:column], *row[column + 1 :]) for row in rows[1:]))
        terms.append(negated(Product((cell, minor))) if column % 2 else Product((cell, minor)))
    return Sum(tuple(terms))


def is_equation(value: "Expression") -> bool:
    """Return whether the value is an equation or a chain of equations."""
    return isinstance(value, Relation) and set(value.signs) == {"="}


def is_unknown_call(node: Expression) -> bool:
    """Return whether the node is a function of which only the name is known."""
    return isinstance(node, Call) and node.function.endswith("()")


def parts_of(node: Expression) -> tuple[Expression, ...]:
    """Return the direct children of a node."""
    match node:
        case Sum(parts) | Product(parts) | Call(_, parts) | Sequence(_, parts) | Relation(_, parts):
            return parts
        case Join(parts, _) | Ratio(parts, _):
            return parts
        case Power(base, exponent):
            return base, exponent
        case Quantity(value, _):
            return (value,)
        case Matrix(rows):
            return tuple(cell for row in rows for cell in row)
    return ()


def nodes(node: Expression) -> Iterator[Expression]:
    """Yield the node and all its descendants."""
    yield node
    for part in parts_of(node):
        yield from nodes(part)


def unknowns(node: Expression) -> set[str]:
    """Return the names in a tree that stand for no constant."""
    return {found.text for found in nodes(node) if isinstance(found, Name)} - CONSTANTS


def substituted(node: Expression, old: Expression, new: Expression) -> Expression:
    """Return the tree with one node replaced by another."""
    if node == old:
        return new

    def every(parts: Iterable[Expression]) -> tuple[Expression, ...]:
        return tuple(substituted(part, old, new) for part in parts)

    match node:
        case Sum(parts) | Product(parts):
            return type(node)(every(parts))
        case Join(parts, signs):
            return Join(every(parts), signs)
        case Ratio(parts, clock):
            return Ratio(every(parts), clock)
        case Power(base, exponent):
            return Power(*every((base, exponent)))
        case Call(function, parts):
            return Call(function, every(parts))
        case Quantity(inner, unit):
            return Quantity(substituted(inner, old, new), unit)
        case Sequence(brackets, parts):
            return Sequence(brackets, every(parts), node.link)
        case Relation(signs, parts):
            return Relation(signs, every(parts))
        case Matrix(rows):
            return Matrix(tuple(every(row) for row in rows))
    return node
