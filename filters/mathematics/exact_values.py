"""Exact values of trigonometric functions, of e to imaginary angles, and of odd roots of negative numbers."""

from fractions import Fraction

from filters.mathematics.expressions import (
    Call,
    Expression,
    Name,
    Number,
    Power,
    Product,
    Quantity,
    Sum,
    negated,
    nodes,
    quotient,
    unknowns,
)
from filters.mathematics.modular import rational

FUNCTIONS = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))


def number(value: int | Fraction) -> Number:
    return Number(Fraction(value))


def root(value: int) -> Expression:
    return Power(number(value), number(Fraction(1, 2)))


HALF = number(Fraction(1, 2))
QUARTER = number(Fraction(1, 4))
# sines of angles up to a right angle, in degrees
SINES: dict[int, Expression] = {
    0: number(0),
    15: Product((QUARTER, Sum((root(6), negated(root(2)))))),
    18: Product((QUARTER, Sum((root(5), number(-1))))),
    30: HALF,
    45: Product((HALF, root(2))),
    54: Product((QUARTER, Sum((root(5), number(1))))),
    60: Product((HALF, root(3))),
    75: Product((QUARTER, Sum((root(6), root(2))))),
    90: number(1),
}


def evaluated(node: Expression) -> Expression:
    """Return the tree with exact values where they are known; the same tree if there is nothing to replace."""
    if not any(isinstance(found, Call | Power) for found in nodes(node)):
        return node
    return replaced(node)


def replaced(node: Expression) -> Expression:
    """Return a node with its parts, then itself, replaced by exact values."""
    match node:
        case Sum(parts) | Product(parts):
            return type(node)(tuple(map(replaced, parts)))
        case Quantity(value, unit):
            return Quantity(replaced(value), unit)
        case Call(function, arguments):
            inner = tuple(map(replaced, arguments))
            if function == r"\prod" and len(inner) == 4 and inner[0] == inner[3] and inner[1] == number(1):
                return Call("factorial", (inner[2],))
            known = trigonometric(function, inner[0]) if function in FUNCTIONS and len(inner) == 1 else None
            return known or Call(function, inner)
        case Power(base, exponent):
            base, exponent = replaced(base), replaced(exponent)
            return (
                imaginary_power(base, exponent)
                or odd_root(base, exponent)
                or root_of_square(base, exponent)
                or Power(base, exponent)
            )
    return node


def trigonometric(function: str, argument: Expression) -> Expression | None:
    """Return the exact value of a function at a known angle; None if there is none."""
    angle = degrees(argument)
    if angle is None:
        return None
    sine, cosine = sine_of(angle), sine_of(angle + 90)
    if sine is None or cosine is None:
        return None
    above, below = {
        "sin": (sine, number(1)),
        "cos": (cosine, number(1)),
        "tan": (sine, cosine),
        "cot": (cosine, sine),
        "sec": (number(1), cosine),
        "csc": (number(1), sine),
    }[function]
    return None if below == number(0) else quotient(above, below)


def sine_of(angle: Fraction) -> Expression | None:
    """Return the sine of an angle in degrees if it is in the table."""
    turned = angle % 360
    below = turned % 180
    found = SINES.get(int(min(below, 180 - below))) if angle.denominator == 1 else None
    return negated(found) if found is not None and turned > 180 else found


def degrees(argument: Expression) -> Fraction | None:
    """Return an angle in degrees: of `30°`, or of a rational multiple of π."""
    if isinstance(argument, Quantity):
        return rational(argument.value) if argument.unit == "°" else None
    share = multiple_of(argument, "π")
    return None if share is None else share * 180


def multiple_of(node: Expression, name: str) -> Fraction | None:
    """Return q if the node is q times the constant, which occurs as one factor; None if it is not."""
    if node == Name(name):
        return Fraction(1)
    if rational(node) == 0:
        return Fraction(0)
    if not isinstance(node, Product):
        return None
    shares = [multiple_of(factor, name) if has_name(factor) else rational(factor) for factor in node.factors]
    if None in shares or sum(map(has_name, node.factors)) != 1:
        return None
    total = Fraction(1)
    for share in shares:
        total *= share or 0
    return total


def has_name(node: Expression) -> bool:
    return any(isinstance(found, Name) for found in nodes(node))


def imaginary_power(base: Expression, exponent: Expression) -> Expression | None:
    """Return e^(i a) as cos a + i sin a for a known angle."""
    if base != Name("e") or not isinstance(exponent, Product | Name):
        return None
    factors = flat(exponent)
    if factors.count(Name("i")) != 1:
        return None
    factors.remove(Name("i"))
    angle = degrees(Product(tuple(factors)))
    cosine = trigonometric("cos", Product(tuple(factors))) if angle is not None else None
    sine = trigonometric("sin", Product(tuple(factors))) if angle is not None else None
    if cosine is None or sine is None:
        return None
    return Sum((cosine, Product((Name("i"), sine))))


def flat(node: Expression) -> list[Expression]:
    """Return the factors of a product, those of products within it included."""
    return [part for factor in node.factors for part in flat(factor)] if isinstance(node, Product) else [node]


def odd_root(base: Expression, exponent: Expression) -> Expression | None:
    """Return the real odd root of a negative number: -2 for the cube root of -8."""
    value, power = rational(base), rational(exponent)
    if value is None or value >= 0 or power is None or power.denominator == 1 or power.denominator % 2 == 0:
        return None
    root_of = Power(number(-value), number(power))
    return negated(root_of) if power.numerator % 2 else root_of


def root_of_square(base: Expression, exponent: Expression) -> Expression | None:
    """Return |x| for the square root of x^2, and the like for every even root of the same power of an unknown."""
    if not isinstance(base, Power) or not unknowns(base.base):
        return None
    inner, outer = rational(base.exponent), rational(exponent)
    if inner is None or outer is None or inner.denominator != 1 or inner % 2 or outer.denominator % 2:
        return None
    power = inner * outer
    return Power(Call("abs", (base.base,)), number(power)) if power.denominator == 1 and power % 2 else None
