"""Comparison of single values: numbers with units, percentages, angles, times of day, ratios and decimals."""

from collections.abc import Iterator
from collections.abc import Sequence as Items
from enum import Enum
from fractions import Fraction

from filters.mathematics import numeric
from filters.mathematics.exact_values import evaluated, flat
from filters.mathematics.expressions import (
    INFINITY,
    MINUS_ONE,
    Expression,
    Name,
    Number,
    Power,
    Product,
    Quantity,
    Ratio,
    Sum,
    negated,
    nodes,
    quotient,
    substituted,
    unknowns,
)
from filters.mathematics.modular import ANGLE, rational, same_value
from filters.mathematics.units import CURRENCIES, NOTATION, Unit, as_mass, as_money, known, read_unit

LENIENCIES = {
    "percent": "a number that is 100 times the reference, or a hundredth of it",
    "tolerance": "a number within 1e-4 of the reference, relative to it",
    "units": "an answer without the unit that the reference has",
    "decimal_comma": "1,22 for 1.22",
    "renamed": "another name for the only unknown: f(y) for f(x)",
    "constant": "an arbitrary constant in the other case: 2x + C for 2x + c; always allowed in C e^{-2t} for c e^{-2t}",
    "conversion": "an equal value in another unit: 10 m/s for 36 km/h; on unless the option `leniencies` leaves it out",
}
DEFAULT_LENIENCIES = ("conversion",)
TOLERANCE = Fraction(1, 10_000)
MINUS_INFINITY = negated(INFINITY)
DECIMALS = 6  # a decimal with at least so many places stands for the number it was rounded from ...
SIGNIFICANT = 10**3  # ... if its digits, read as an integer, are at least this: 0.000001 is no rounded 1/1500000
HUNDRED = Fraction(100)
UNITS_OF_THREE = ("mol", "min", "atm", "cal", "bar", "rad", "kWh")
MAX_POWER = 10  # of a unit
CONSTANT_LETTERS = ("c", "C")  # an arbitrary constant may be written in either case


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


class QuantityComparer:
    """The part of the comparer that compares single values."""

    def __init__(self, leniencies: Items[str] | dict[str, str] = DEFAULT_LENIENCIES) -> None:
        self.percent, self.tolerance, self.units = (name in leniencies for name in ("percent", "tolerance", "units"))
        self.comma, self.renamed = "decimal_comma" in leniencies, "renamed" in leniencies
        self.conversion, self.constant = "conversion" in leniencies, "constant" in leniencies

    def quantities(self, reference: Expression, said: Expression) -> Comparison:
        """Compare values with units. A reference without a unit accepts any; % and ° are also numbers."""
        if Ratio in (kind_of_value(reference), kind_of_value(said)):
            return self.ratios(reference, said)
        reference, said = with_unit(reference, said), with_unit(said, reference)
        if not isinstance(reference, Quantity):
            if not isinstance(said, Quantity):
                return self.without_degrees(reference, said)
            if said.unit.startswith("_") and said.unit != "_10":  # 14_8 is another number than 14
                return DIFFERENT
            found = self.scalars(reference, said.value)
            if said.unit == "%" and found is EQUAL and not is_percentage(reference):
                return self.scalars(reference, said)
            return self.scalars(reference, said) if found is DIFFERENT and said.unit in "%°" else found
        if not isinstance(said, Quantity):
            return self.without_unit(reference, said)
        if "_" in (reference.unit[0], said.unit[0]):
            return self.scalars(reference.value, said.value) if reference.unit == said.unit else DIFFERENT
        return self.with_units(reference, said)

    def with_units(self, reference: Quantity, said: Quantity) -> Comparison:
        """Compare two values with units of measurement, or with nouns for what is counted."""
        expected, got = units_of(reference.unit, said.unit)
        if expected.dimension and not got.dimension:
            return self.without_unit(reference, said.value)
        if expected.dimension != got.dimension or nouns_differ(expected, got):
            return DIFFERENT
        if expected.factor == got.factor:
            return self.scalars(reference.value, said.value)
        if not self.conversion:
            return DIFFERENT
        return self.scalars(scaled(reference.value, expected.factor), scaled(said.value, got.factor))

    def without_unit(self, reference: Quantity, said: Expression) -> Comparison:
        """Compare a number with a reference that has a unit; a base may be left out, as the question names it."""
        base = read_unit(reference.unit).base
        if reference.unit == "%":
            found = self.scalars(reference, said)
        elif base == "angle" and self.scalars(Product((reference.value, ANGLE)), said) is EQUAL:
            return EQUAL
        else:
            optional = base in NOTATION or reference.unit.startswith("_")
            found = self.scalars(reference.value, said) if optional else DIFFERENT
        if found is DIFFERENT and self.units:
            return self.scalars(reference.value, said)
        return found

    def without_degrees(self, reference: Expression, said: Expression) -> Comparison:
        """Compare values, again without degree signs if only one side has them: 180 - 2x for 180° - 2x."""
        found = self.scalars(reference, said)
        if found is EQUAL:
            return found
        one, other = plain_degrees(reference), plain_degrees(said)
        if (one == reference) != (other == said):
            return self.scalars(one, other)
        return found

    def ratios(self, reference: Expression, said: Expression) -> Comparison:
        """Compare times of day part by part, ratios by proportion; 3:15 is no ratio, unless the other side is one."""
        one, other = time_of(reference), time_of(said)
        if one and other:
            return comparison_of(same_time(one, other))
        if one and isinstance(said, Ratio):
            return DIFFERENT
        if other and not isinstance(reference, Ratio):  # 9:14 may be 9/14, but 11:22 is no half
            value = rational(reference)
            return comparison_of(value is not None and other[0][:2] == value.as_integer_ratio() and not other[1])
        if not isinstance(reference, Ratio) or not isinstance(said, Ratio):
            sides = [as_quotient(reference), as_quotient(said)]
            if any(rational(side) is None for side in sides):
                return DIFFERENT
            return self.scalars(*sides)
        if len(reference.parts) != len(said.parts):
            return DIFFERENT
        first, start = reference.parts[0], said.parts[0]
        pairs = zip(reference.parts[1:], said.parts[1:], strict=True)
        return all_of([self.scalars(Product((one, start)), Product((other, first))) for one, other in pairs])

    def scalars(self, reference: Expression, said: Expression) -> Comparison:
        """Compare two values without units."""
        if reference == said:
            return EQUAL
        if {reference, said} == {INFINITY, MINUS_INFINITY}:
            return DIFFERENT
        one, other = rational(reference), rational(said)
        if one is not None and other is not None:
            return comparison_of(
                one == other or self.nearly(one, other) or rounds_to(one, said) or rounds_to(other, reference)
            )
        reference, said = evaluated(reference), evaluated(said)
        if self.constant or is_family(reference):
            said = same_constant(reference, said)
        same = same_value(reference, said)
        apart = numeric.differ(reference, said) if same is not False else True
        if same and not apart:
            return EQUAL
        if not apart:
            return DIFFERENT if is_infinite(reference) != is_infinite(said) else UNDECIDED
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


def is_percentage(value: Expression) -> bool:
    """Return whether a number without a sign may be percent: 25 may be 25%, but 1/2 is not 1/2%."""
    number = rational(value)
    return number is not None and abs(number) >= 1


def kind_of_value(value: Expression) -> type:
    """Return the type of a value, of the inner value if it has a unit; Ratio for a time of day such as 5 pm."""
    return Ratio if time_of(value) else type(value.value if isinstance(value, Quantity) else value)


def is_infinite(value: Expression) -> bool:
    """Return whether infinity occurs in a value."""
    return INFINITY in nodes(value)


def as_quotient(value: Expression) -> Expression:
    """Return 3 : 4 as 3/4; any other value as it is."""
    return quotient(*value.parts) if isinstance(value, Ratio) and len(value.parts) == 2 else value


def time_of(value: Expression) -> tuple[tuple[int, ...], str] | None:
    """Return hours, minutes and seconds of a time of day, with `am`, `pm` or no mark; None if it is none."""
    unit = ""
    if isinstance(value, Quantity):
        unit = read_unit(value.unit).base or value.unit
        value = value.value
    if isinstance(value, Ratio) and value.clock:
        found = [rational(part) for part in value.parts]
        return tuple(int(part) for part in found if part is not None) + (0,) * (3 - len(found)), unit
    if isinstance(value, Number) and unit in ("am", "pm") and value.value in range(1, 13):
        return (int(value.value), 0, 0), unit
    return None


def same_time(one: tuple[tuple[int, ...], str], other: tuple[tuple[int, ...], str]) -> bool:
    """Return whether two times of day are one; 15:00 is 3:00 pm, and a reference without a mark accepts either."""
    (parts, mark), (said, said_mark) = one, other
    if mark not in ("am", "pm", "") or said_mark not in ("am", "pm", ""):
        return parts == said and (mark == said_mark or not mark)
    return of_day(parts, mark) == of_day(said, said_mark) or (not mark and parts == said)


def of_day(parts: tuple[int, ...], mark: str) -> tuple[int, ...]:
    """Return a time on the clock of 24 hours."""
    return (parts[0] % 12 + 12 * (mark == "pm") if mark else parts[0], *parts[1:])


def nouns_differ(one: Unit, other: Unit) -> bool:
    """Return whether neither names what the other names: boys and girls differ, eggs and brown eggs do not."""
    return not (one.nouns <= other.nouns or other.nouns <= one.nouns)


def units_of(one: str, other: str) -> tuple[Unit, Unit]:
    """Return two units; pounds are a mass if the other unit is one, and money if the other unit is money."""
    found = read_unit(one), read_unit(other)
    if found[0].dimension == found[1].dimension:
        return found
    turned = read_unit(as_mass(one)), read_unit(as_mass(other))
    if turned[0].dimension == turned[1].dimension:
        return turned
    if any(unit.dimension and unit.dimension[0][0] in CURRENCIES for unit in found):
        return read_unit(as_money(one)), read_unit(as_money(other))
    return found


def with_unit(value: Expression, other: Expression) -> Expression:
    """Return `5 J`, read as a product of a number and names, as a quantity if the other side has a unit."""
    if not isinstance(other, Quantity) or not read_unit(other.unit).dimension or not isinstance(value, Product):
        return value
    factors = list(powers_in(value))
    powers = [named_power(factor) for factor in factors]
    first = next((place for place, power in enumerate(powers) if power), 0)
    numbers, units = factors[:first], joined_prefixes([power for power in powers[first:] if power])
    if (
        not numbers
        or None in powers[first:]
        or any(map(unknowns, numbers))
        or not all(known(name) for name, _ in units)
    ):
        return value
    unit = " ".join(name if power == 1 else f"{name}^{power}" for name, power in units)
    return Quantity(numbers[0] if len(numbers) == 1 else Product(tuple(numbers)), unit)


def powers_in(value: Expression, turned: bool = False) -> Iterator[Expression]:
    """Yield the factors of a product, those of products and of powers of products within it included."""
    match value:
        case Product(factors):
            for factor in factors:
                yield from powers_in(factor, turned)
        case Power(Product() as base, Number(exponent)) if exponent == -1:
            yield from powers_in(base, not turned)
        case Power(base, Number(exponent)) if turned:
            yield Power(base, Number(-exponent))
        case _:
            yield Power(value, MINUS_ONE) if turned else value


def named_power(factor: Expression) -> tuple[str, int] | None:
    """Return a name with its power, as units have it: m^2 or s^-2; None for any other factor."""
    match factor:
        case Name(text):
            return text, 1
        case Power(base, Number(exponent)) if exponent.denominator == 1 and abs(exponent) < MAX_POWER:
            inner = named_power(base)
            return (inner[0], inner[1] * int(exponent)) if inner else None
    return None


def joined_prefixes(powers: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the powers with a letter that is no unit, such as k or a micro sign, joined to the unit after it."""
    joined: list[tuple[str, int]] = []
    for name, power in in_words(powers):
        prefix = joined[-1][0] if joined else ""
        sign = 1 if power > 0 else -1
        if prefix and known(prefix) is None and joined[-1][1] in (sign, power) and known(prefix + name):
            joined[-1] = prefix + name, power
        else:
            joined.append((name, power))
    return joined


def in_words(powers: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the powers with the letters of a unit of three, such as mol, as one name."""
    for place in range(len(powers) - 2):
        three = powers[place : place + 3]
        word = "".join(name for name, _ in three)
        if word in UNITS_OF_THREE and three[0][1] == three[1][1]:
            return [*powers[:place], (word, three[2][1]), *in_words(powers[place + 3 :])]
    return powers


def plain_degrees(node: Expression) -> Expression:
    """Return a value without the degree signs of its terms; those in arguments of functions stay."""
    match node:
        case Quantity(value, "°"):
            return value
        case Sum(parts) | Product(parts):
            return type(node)(tuple(plain_degrees(part) for part in parts))
    return node


def is_family(value: Expression) -> bool:
    """Return whether a value is a constant c times an exponential, the solutions of a linear equation."""
    factors = flat(value)
    constant = any(isinstance(factor, Name) and factor.text[0] in CONSTANT_LETTERS for factor in factors)
    return constant and any(isinstance(factor, Power) and factor.base == Name("e") for factor in factors)


def same_constant(reference: Expression, said: Expression) -> Expression:
    """Return the answer with an arbitrary constant in the reference's case: C for c."""
    own, others = unknowns(said), unknowns(reference)
    for name in own - others:
        turned = name[0].swapcase() + name[1:]
        if name[0] in CONSTANT_LETTERS and turned in others - own:
            said = substituted(said, Name(name), Name(turned))
    return said


def rounds_to(value: Fraction, written: Expression) -> bool:
    """Return whether `written` is a decimal of six or more places to which the value rounds."""
    number = written.value if isinstance(written, Quantity) else written
    if not isinstance(number, Number) or number.places is None or number.places < DECIMALS:
        return False
    if abs(number.value) * 10**number.places < SIGNIFICANT:
        return False
    return abs(value - number.value) <= Fraction(1, 2 * 10**number.places)


def scaled(value: Expression, factor: Fraction) -> Expression:
    return value if factor == 1 else Product((value, Number(factor)))


def is_number(value: Expression) -> bool:
    return isinstance(value, Number) or rational(value) is not None
