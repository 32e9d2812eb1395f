"""Units of measurement: a unit as dimensions with a factor, and the nouns of what is counted."""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

Dimension = tuple[tuple[str, int], ...]  # (base, power), sorted

# base -> (spellings, factor to the base's first unit)
BASES: dict[str, list[tuple[str, Fraction]]] = {
    "length": [
        ("m meter metre 米", Fraction(1)),
        ("in inch inches", Fraction(254, 10000)),
        ("ft foot feet", Fraction(3048, 10000)),
        ("yd yard", Fraction(9144, 10000)),
        ("mi mile", Fraction(1609344, 1000)),
        ("厘米", Fraction(1, 100)),
        ("毫米", Fraction(1, 1000)),
        ("分米", Fraction(1, 10)),
        ("千米 公里", Fraction(1000)),
        ("Å angstrom AA", Fraction(1, 10**10)),
        ("lightyear ly", Fraction(9_460_730_472_580_800)),
    ],
    "mass": [
        ("g gram gramme 克", Fraction(1)),
        ("lb lbs pound_mass", Fraction(45359237, 100000)),
        ("oz ounce", Fraction(45359237, 1600000)),
        ("千克 公斤", Fraction(1000)),
        ("吨", Fraction(10**6)),
        ("斤", Fraction(500)),
    ],
    "time": [
        ("s sec second 秒", Fraction(1)),
        ("min minute 分钟", Fraction(60)),
        ("h hr hour 小时", Fraction(3600)),
        ("d day 天", Fraction(86400)),
        ("week wk 周", Fraction(604800)),
    ],
    "months": [("month mo 月 个月", Fraction(1)), ("year yr 年 岁", Fraction(12))],
    "money": [("$ dollar usd buck 美元", Fraction(1)), ("cent ¢", Fraction(1, 100))],
    "euro": [("€ euro eur 欧元", Fraction(1))],
    "pound": [("£ gbp 英镑", Fraction(1))],
    "yuan": [("元 块 yuan rmb cny", Fraction(1)), ("角", Fraction(1, 10)), ("分", Fraction(1, 100))],
    "rupee": [("₹ rupee inr", Fraction(1))],
    "yen": [("yen jpy 日元 円", Fraction(1))],
    "share": [("% percent pct percentage", Fraction(1))],
    "angle": [("° degree deg 度", Fraction(1))],
    "celsius": [("°C", Fraction(1))],
    "fahrenheit": [("°F", Fraction(1))],
    "kelvin": [("K kelvin", Fraction(1))],
    "current": [("A amp ampere", Fraction(1))],
    "amount": [("mol mole", Fraction(1))],
    "data": [("byte B", Fraction(1)), ("bit", Fraction(1, 8))],
    "ton": [("ton tonne", Fraction(1))],
    "gallon": [
        ("gal gallon", Fraction(1)),
        ("qt quart", Fraction(1, 4)),
        ("pint", Fraction(1, 8)),
        ("cup", Fraction(1, 16)),
    ],
    "am": [("am", Fraction(1))],
    "pm": [("o'clock", Fraction(1))],
    "radian": [("rad radian", Fraction(1))],
    "arcminute": [("arcminute", Fraction(1))],
}
# spellings -> (dimension, factor in g, m, s, A, mol)
DERIVED: dict[str, tuple[dict[str, int], Fraction]] = {
    "N newton": ({"mass": 1, "length": 1, "time": -2}, Fraction(1000)),
    "J joule": ({"mass": 1, "length": 2, "time": -2}, Fraction(1000)),
    "Wh": ({"mass": 1, "length": 2, "time": -2}, Fraction(3_600_000)),
    "eV electronvolt": ({"mass": 1, "length": 2, "time": -2}, Fraction(1602176634, 10**25)),
    "cal calorie": ({"mass": 1, "length": 2, "time": -2}, Fraction(4184)),
    "W watt": ({"mass": 1, "length": 2, "time": -3}, Fraction(1000)),
    "Pa pascal": ({"mass": 1, "length": -1, "time": -2}, Fraction(1000)),
    "atm atmosphere": ({"mass": 1, "length": -1, "time": -2}, Fraction(101325000)),
    "bar": ({"mass": 1, "length": -1, "time": -2}, Fraction(10**8)),
    "Hz hertz": ({"time": -1}, Fraction(1)),
    "C coulomb": ({"current": 1, "time": 1}, Fraction(1)),
    "V volt": ({"mass": 1, "length": 2, "time": -3, "current": -1}, Fraction(1000)),
    "Ω \N{OHM SIGN} ohm Omega": ({"mass": 1, "length": 2, "time": -3, "current": -2}, Fraction(1000)),
    "F farad": ({"mass": -1, "length": -2, "time": 4, "current": 2}, Fraction(1, 1000)),
    "T tesla": ({"mass": 1, "time": -2, "current": -1}, Fraction(1000)),
    "Wb weber": ({"mass": 1, "length": 2, "time": -2, "current": -1}, Fraction(1000)),
    "H henry": ({"mass": 1, "length": 2, "time": -2, "current": -2}, Fraction(1000)),
    "L l liter litre 升": ({"length": 3}, Fraction(1, 1000)),
    "毫升 cc": ({"length": 3}, Fraction(1, 10**6)),
    "M molar": ({"amount": 1, "length": -3}, Fraction(1000)),
    "mph": ({"length": 1, "time": -1}, Fraction(1609344, 3600000)),
    "kmh kph": ({"length": 1, "time": -1}, Fraction(1000, 3600)),
    "平方米": ({"length": 2}, Fraction(1)),
    "平方厘米": ({"length": 2}, Fraction(1, 10**4)),
    "平方千米": ({"length": 2}, Fraction(10**6)),
    "立方米": ({"length": 3}, Fraction(1)),
    "立方厘米": ({"length": 3}, Fraction(1, 10**6)),
    "公顷 hectare ha": ({"length": 2}, Fraction(10**4)),
    "acre": ({"length": 2}, Fraction(40468564224, 10**7)),
}
PREFIXES = {
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "c": -2,
    "m": -3,
    "μ": -6,
    "µ": -6,
    "mu": -6,
    "u": -6,
    "n": -9,
    "p": -12,
    "f": -15,
    "d": -1,
}
PREFIX_WORDS = {
    "kilo": 3,
    "mega": 6,
    "giga": 9,
    "centi": -2,
    "milli": -3,
    "micro": -6,
    "nano": -9,
    "pico": -12,
    "deci": -1,
}
PREFIXED_UNITS = "m g s A mol N J eV cal W Wh Pa bar Hz C V Ω \N{OHM SIGN} Omega F T Wb H L l byte B bit K M"
PREFIXED = frozenset(PREFIXED_UNITS.split())
CURRENCIES = frozenset(("money", "euro", "pound", "yuan", "rupee", "yen"))
NOTATION = CURRENCIES | {"angle"}  # an answer may leave these out
# Words for numbers that multiply the number before them.
MULTIPLIED = {
    "12": "dozen dozens docena docenas douzaine douzaines dutzend dozzina dúzia",
    "1e2": "hundred hundreds 百",
    "1e3": "thousand thousands mille tausend тысяча тысячи тысяч тыс duizend tusen tysiąc tysiące tysięcy tisíc"
    " ezer bin nghìn ribu हज़ार हजार 千 천",
    "1e4": "万 萬 만",
    "1e5": "lakh lakhs लाख",
    "1e6": "million millions millón millones milhão milhões milioni milione millionen миллион миллиона миллионов"
    " млн miljoen miljoner milion miliony milionów milyon triệu juta مليون",
    "1e7": "crore crores करोड़",
    "1e8": "亿 億 억",
    "1e9": "billion billions bilhão bilhões milliard milliards milliarde milliarden miliardo miliardi миллиард"
    " миллиарда миллиардов млрд miljard miliard milyar tỷ miliar مليار",
    "1e12": "trillion trillions 兆 조",
    "0.1": "tenth tenths",
    "0.01": "hundredth hundredths",
    "0.001": "thousandth thousandths",
}
MULTIPLIERS = {word: Fraction(value) for value, words in MULTIPLIED.items() for word in words.split()}
SCALE_WORDS = sorted(MULTIPLIERS, key=len, reverse=True)
# With more words behind it ("[5] dozens of eggs") the question may ask for dozens.
SCALE = re.compile(
    rf"(?:[\s$]|\\[)\]])*(?:\\text\s*\{{\s*)?(?:({'|'.join(word for word in SCALE_WORDS if word < '百')})"
    r"\b(?=[\s}$.]*(?:\n|$))"
    rf"|({'|'.join(word for word in SCALE_WORDS if word in '百千萬万亿億兆만억천조')})(?![米克瓦分里]))"
)
EMPTY_WORDS = "of the a an in total each about around approximately altogether unit units"
EMPTY = frozenset(EMPTY_WORDS.split())
POWER_WORDS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
IRREGULAR = {
    **dict.fromkeys(("people", "persons", "person"), "person"),
    **dict.fromkeys(("children", "child"), "child"),
    **dict.fromkeys(("men", "man"), "man"),
    **dict.fromkeys(("women", "woman"), "woman"),
    **dict.fromkeys(("mice", "mouse"), "mouse"),
    **dict.fromkeys(("geese", "goose"), "goose"),
    **dict.fromkeys(("dice", "die"), "die"),
    **dict.fromkeys(("leaves", "leaf"), "leaf"),
    **dict.fromkeys(("loaves", "loaf"), "loaf"),
    **dict.fromkeys(("halves", "half"), "half"),
    **dict.fromkeys(("wolves", "wolf"), "wolf"),
    **dict.fromkeys(("knives", "knife"), "knife"),
    **dict.fromkeys(("shelves", "shelf"), "shelf"),
}
POUNDS = re.compile(r"\bpounds?\b")  # of money, or of mass where the other unit is one of mass
HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z])")  # kilowatt-hours
LIGHT_YEAR = re.compile(r"light[\s-]*years?")
FACTOR = re.compile(r"([^\d^*/·]+?)(?:\^?\{?(-?\d)\}?)?")


class Unit(NamedTuple):
    """A unit: its dimension, its factor to the base units, and the nouns in it that are no units."""

    dimension: Dimension
    factor: Fraction
    nouns: frozenset[str]

    @property
    def base(self) -> str:
        """The only base of a unit of one dimension, else the empty string."""
        return self.dimension[0][0] if len(self.dimension) == 1 and self.dimension[0][1] == 1 else ""


def spellings() -> dict[str, tuple[Dimension, Fraction]]:
    """Return every spelling of a unit without a prefix."""
    found: dict[str, tuple[Dimension, Fraction]] = {}
    for base, units in BASES.items():
        for names, factor in units:
            found |= dict.fromkeys(names.split(), (((base, 1),), factor))
    for names, (powers, factor) in DERIVED.items():
        found |= {name: (tuple(sorted(powers.items())), factor) for name in names.split()}
    return found


SPELLINGS = spellings()


@lru_cache(maxsize=4096)
def known(name: str) -> tuple[Dimension, Fraction] | None:
    """Return dimension and factor of a single unit: `kHz`, `centimeters`, `ft`; None if it is unknown."""
    if name in ("am", "pm", "p.m", "a.m"):
        return (("am" if name.startswith("a") else "pm", 1),), Fraction(1)
    if name in SPELLINGS:
        return SPELLINGS[name]
    lower = name.lower().replace("kilohm", "kiloohm").replace("megohm", "megaohm")
    for form in (lower, lower.removesuffix("s"), lower.removesuffix("es")):
        if form in SPELLINGS and (len(form) > 1 or form == name):
            return SPELLINGS[form]
        for prefix, power in PREFIX_WORDS.items():
            rest = form.removeprefix(prefix)
            if rest != form and len(rest) > 2 and rest in SPELLINGS:
                return SPELLINGS[rest][0], SPELLINGS[rest][1] * Fraction(10) ** power
    for prefix, power in PREFIXES.items():
        rest = name.removeprefix(prefix)
        if rest != name and rest in PREFIXED:
            return SPELLINGS[rest][0], SPELLINGS[rest][1] * Fraction(10) ** power
    return SPELLINGS.get(lower) if lower in ("km", "cm", "mm", "kg", "usd", "hr") else None


def is_unit(name: str) -> bool:
    """Return whether a word or symbol alone is a unit."""
    return known(name) is not None


@lru_cache(maxsize=4096)
def read_unit(text: str) -> Unit:
    """Return the unit that a text names: `km/h`, `square feet`, `miles per hour`, `red apples`."""
    text = HYPHEN.sub(" ", LIGHT_YEAR.sub("lightyear", text))
    text = re.sub(r"\bper\b", " / ", re.sub(r"\\[,;:! ]|\\cdot|[·⋅]", " ", text).replace("\\", "").replace("*", " "))
    text = re.sub(r"\s*\^\s*", "^", text).removesuffix(".")
    powers: dict[str, int] = {}
    factor, nouns, sign = Fraction(1), set[str](), 1
    for part in re.split(r"(/)", text):
        if part == "/":
            sign = -1
            continue
        for name, power in factors(part):
            found = known(name)
            if found is None:
                nouns |= {stem(name)} - EMPTY
                continue
            for base, exponent in found[0]:
                powers[base] = powers.get(base, 0) + sign * power * exponent
            factor *= found[1] ** (sign * power)
    return Unit(tuple(sorted((base, power) for base, power in powers.items() if power)), factor, frozenset(nouns))


def as_mass(text: str) -> str:
    """Return a unit with its pounds as pounds of mass."""
    return POUNDS.sub("lb", text)


def as_money(text: str) -> str:
    """Return a unit with its pounds as pounds sterling."""
    return POUNDS.sub("£", text)


def factors(text: str) -> list[tuple[str, int]]:
    """Return the names in a product of units, each with its power: `kg m^2`, `square feet`, `meters squared`."""
    found: list[tuple[str, int]] = []
    next_power = 1
    for word in text.replace("{", "").replace("}", "").replace("(", " ").replace(")", " ").split():
        if word.lower() in POWER_WORDS:
            next_power = POWER_WORDS[word.lower()]
        elif word.lower() in ("squared", "cubed") and found:
            found[-1] = found[-1][0], 2 if word.lower() == "squared" else 3
        elif match := FACTOR.fullmatch(word.strip(",.;")):
            found.append((match[1], int(match[2] or next_power)))
            next_power = 1
        else:
            found.append((word, 1))
    return found


def stem(word: str) -> str:
    """Return a noun in lower case without the endings in which its singular and plural differ."""
    word = word.lower()
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word.removesuffix("ies") + "y"
    return word.removesuffix("s").removesuffix("e") if len(word) > 3 else word
