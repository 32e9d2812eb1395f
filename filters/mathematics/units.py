"""Units of measurement: the spellings of each unit and the conversion factors within each kind."""

from fractions import Fraction

# kind -> (spellings, factor to the kind's first unit)
KINDS: dict[str, list[tuple[str, Fraction]]] = {
    "length": [
        ("m meter meters metre metres", Fraction(1)),
        ("mm millimeter millimeters", Fraction(1, 1000)),
        ("cm centimeter centimeters centimetre centimetres", Fraction(1, 100)),
        ("km kilometer kilometers", Fraction(1000)),
        ("in inch inches", Fraction(254, 10000)),
        ("ft foot feet", Fraction(3048, 10000)),
        ("yd yard yards", Fraction(9144, 10000)),
        ("mi mile miles", Fraction(1609344, 1000)),
    ],
    "mass": [
        ("g gram grams", Fraction(1)),
        ("mg milligram milligrams", Fraction(1, 1000)),
        ("kg kilogram kilograms", Fraction(1000)),
    ],
    "time": [
        ("s sec second seconds", Fraction(1)),
        ("min minute minutes", Fraction(60)),
        ("h hr hour hours", Fraction(3600)),
        ("day days", Fraction(86400)),
        ("week weeks", Fraction(604800)),
    ],
    "months": [("month months", Fraction(1)), ("year years", Fraction(12))],
    "money": [("dollar dollars $ usd", Fraction(1)), ("cent cents ¢", Fraction(1, 100))],
    "euro": [("euro euros € eur", Fraction(1))],
    "pound": [("£ gbp", Fraction(1))],
    "share": [("% percent pct percentage", Fraction(1))],
    "angle": [("° degree degrees", Fraction(1))],
    "am": [("am", Fraction(1))],
    "pm": [("pm", Fraction(1))],
}
KNOWN = {name: (kind, factor) for kind, units in KINDS.items() for names, factor in units for name in names.split()}
NOTATION = frozenset(("money", "euro", "pound", "angle"))  # an answer may leave these out
MULTIPLIERS = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}


def kind_of(unit: str) -> tuple[str, Fraction]:
    """Return (kind, factor within the kind) of a unit; an unknown unit is a kind of its own."""
    plain = unit.lower().replace(" ", "").removesuffix(".")
    base, caret, power = plain.partition("^")
    if base in KNOWN and caret and power.isdigit() and len(power) == 1:
        kind, factor = KNOWN[base]
        return f"{kind}^{power}", factor ** int(power)
    return KNOWN.get(plain, (f"other:{plain}", Fraction(1)))
