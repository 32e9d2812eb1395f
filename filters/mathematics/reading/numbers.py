"""Values of plain numbers, read without a parser: most answers are such."""

import re
from fractions import Fraction

NUMBER = re.compile(
    r"([+-]?)(\d{1,3}(?:,\d{3})+|\d+)?(\.\d+)?(?:[eE]([+-]?\d{1,3})|\\(?:times|cdot)10\^\{?([+-]?\d{1,3})\}?)?"
)
FRACTION = re.compile(r"([+-]?)\\[dt]?frac\{(\d+)\}\{(\d+)\}|([+-]?)(\d+)/(\d+)")
MARKUP = re.compile(r"\\[,!;: ]|\\left|\\right|[\s$]|\\text\{\s*\}")
PARTED = re.compile(r"[\d.,](?:\s|~|\\[,!;: ]|\\q?quad|\\text\{\s*\})+[\d.,]")  # blanks that part digits


def exact_number(text: str) -> Fraction | None:
    """Return the value of an integer, decimal (1,234.5; 2e-3; 2\\times10^{-3}) or fraction of integers; else None."""
    text = text.strip(" $").removesuffix(".")
    if len(text) > 1 and PARTED.search(text):
        return None
    text = MARKUP.sub("", text)
    if match := NUMBER.fullmatch(text):
        sign, whole, decimals, *exponents = match.groups()
        if whole or decimals:
            exponent = next((e for e in exponents if e), "0")
            return Fraction(f"{sign}{(whole or '0').replace(',', '')}{decimals or ''}e{exponent}")
    elif match := FRACTION.fullmatch(text):
        sign, above, below = (part for part in match.groups() if part is not None)
        return Fraction(int(f"{sign}{above}"), int(below)) if int(below) else None
    return None
