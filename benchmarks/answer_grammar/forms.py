"""Spellings of numbers and formulas, shared by all kinds of answers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from random import Random

UNICODE_FRACTIONS = {Fraction(1, 2): "½", Fraction(1, 3): "⅓", Fraction(1, 4): "¼", Fraction(3, 4): "¾"}
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
DIGITS = [
    str.maketrans("0123456789", "".join(chr(zero + digit) for digit in range(10))) for zero in (0xFF10, 0x0660, 0x0966)
]


@dataclass(frozen=True)
class Case:
    """A reference, answers of the same value, and answers of other values."""

    reference: str
    same: tuple[str, ...]
    other: tuple[str, ...]


Kind = Callable[[Random], Case]


def case(reference: str, same: Iterable[str], other: Iterable[str]) -> Case:
    """Return a case without mutations that happen to be written like the reference or a rendering of it."""
    kept = tuple(dict.fromkeys((reference, *same)))
    plain = {text.replace(" ", "") for text in kept}
    return Case(reference, kept, tuple(text for text in dict.fromkeys(other) if text.replace(" ", "") not in plain))


def fraction(value: Fraction, command: str = "frac") -> str:
    """Return a rational number in LaTeX."""
    if value.denominator == 1:
        return str(value)
    sign = "-" if value < 0 else ""
    return f"{sign}\\{command}{{{abs(value.numerator)}}}{{{value.denominator}}}"


def plain_fraction(value: Fraction) -> str:
    return str(value)


def grouped(value: int, separator: str) -> str:
    return f"{value:,}".replace(",", separator)


def text(words: str) -> str:
    return f"\\text{{{words}}}"


def nonzero(rng: Random, limit: int) -> int:
    return rng.choice((-1, 1)) * rng.randint(1, limit)


def proper(rng: Random, limit: int = 12) -> Fraction:
    """Return a rational number between 0 and 1."""
    below = rng.randint(2, limit)
    return Fraction(rng.randint(1, below - 1), below)


def joined(items: Iterable[str], rng: Random) -> str:
    """Return a list with one of the usual separators."""
    items = list(items)
    link = rng.choice((", ", ",", r",\ ", "; ", " and ", r" \text{ and } ", r"\text{ or }", "、", "和"))
    if len(items) > 2 and link not in (", ", ",", r",\ ", "; ", "、"):
        return ", ".join(items[:-1]) + "," + link + items[-1]
    return link.join(items)
