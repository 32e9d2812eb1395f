"""What a mathematical answer is once it has been read: a small tree, no text left in it but names and words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number; `places` are its decimals where it was written as a decimal."""

    value: Fraction
    places: int | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """An unknown, a constant (π, e, i, ∞) or a named thing with its subscript: `x`, `a_1`, `vec(b)`."""

    text: str


@dataclass(frozen=True, slots=True)
class Sum:
    """Two or more terms."""

    terms: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Two or more factors; a quotient is a factor to the power of -1."""

    factors: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Power:
    """Base and exponent, not expanded; a root is a power of 1/n."""

    base: "Expression"
    exponent: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of arguments: `f()` for the f of f(x), of which nothing is known, and those with a meaning.

    Among these are `abs`, `factorial`, `binom` and `log` (base, argument).
    """

    function: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value and its unit as it was written: `%`, `°`, `$`, `cm^2`, `eggs`; `_8` is a number's base."""

    value: "Expression"
    unit: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """Several values between brackets: `()`, `[]`, `[)`, `(]`, `{}` (a set), or none (a list)."""

    brackets: str
    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Sets joined by a cup."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of cells."""

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


Expression = Number | Name | Sum | Product | Power | Call | Quantity | Sequence | Join | Matrix | Relation | Words

CONSTANTS = frozenset("πei∞")
MINUS_ONE = Number(Fraction(-1))
INFINITY = Name("∞")
LOG_BASE = Name("log")  # of a logarithm that names none: e or 10
LETTERS = "letters"  # the function of three letters or more side by side: their product, unless they are a word


def negated(value: Expression) -> Expression:
    """The value with the other sign; of a quantity the sign goes to its number."""
    if isinstance(value, Number):
        return Number(-value.value, value.places)
    if isinstance(value, Quantity):
        return Quantity(negated(value.value), value.unit)
    return Product((MINUS_ONE, value))


def quotient(above: Expression, below: Expression) -> Expression:
    """above / below, as one number where both are whole."""
    if isinstance(above, Number) and isinstance(below, Number) and below.value:
        return Number(above.value / below.value)
    return Product((above, Power(below, MINUS_ONE)))


def is_unknown_call(node: Expression) -> bool:
    """Whether it is a function of which only the name is known."""
    return isinstance(node, Call) and node.function.endswith("()")


def parts_of(node: Expression) -> tuple[Expression, ...]:
    """The nodes right below this one."""
    match node:
        case Sum(parts) | Product(parts) | Call(_, parts) | Sequence(_, parts) | Join(parts) | Relation(_, parts):
            return parts
        case Power(base, exponent):
            return base, exponent
        case Quantity(value, _):
            return (value,)
        case Matrix(rows):
            return tuple(cell for row in rows for cell in row)
    return ()


def nodes(node: Expression) -> Iterator[Expression]:
    """The node and everything below it."""
    yield node
    for part in parts_of(node):
        yield from nodes(part)


def unknowns(node: Expression) -> set[str]:
    """The names in it that stand for no constant."""
    return {found.text for found in nodes(node) if isinstance(found, Name)} - CONSTANTS


def substituted(node: Expression, old: Expression, new: Expression) -> Expression:
    """The tree with one node in place of another."""
    if node == old:
        return new

    def every(parts: Iterable[Expression]) -> tuple[Expression, ...]:
        return tuple(substituted(part, old, new) for part in parts)

    match node:
        case Sum(parts) | Product(parts) | Join(parts):
            return type(node)(every(parts))
        case Power(base, exponent):
            return Power(*every((base, exponent)))
        case Call(function, parts):
            return Call(function, every(parts))
        case Quantity(inner, unit):
            return Quantity(substituted(inner, old, new), unit)
        case Sequence(brackets, parts):
            return Sequence(brackets, every(parts))
        case Relation(signs, parts):
            return Relation(signs, every(parts))
        case Matrix(rows):
            return Matrix(tuple(every(row) for row in rows))
    return node
