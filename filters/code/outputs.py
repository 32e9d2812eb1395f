"""Comparison of a program's output with the expected output, on bytes and JSON, both of which the program chose.

No value from the program becomes a key or a set member here, and no number is written out in base 10, so neither
colliding hashes nor a number of a million digits can stall the judge.
"""

import json
import math
import re
from typing import Any

BRIEF = 80
DECIMAL = re.compile(r"-?\d*\.(\d+)")
MOST_DIGITS = 40
# A number written with six decimal places or more has been rounded, so what rounds to it equals it; a function's value
# of more than twelve is one that was not.
LEAST_PLACES, MOST_PLACES = 6, 12


def same_output(output: bytes, expected: str, tolerance: float) -> bool:
    """Compare whole outputs line by line; trailing white space of lines and trailing empty lines do not count."""
    said, wanted = lines(output), lines(expected.encode(errors="surrogateescape"))
    if said == wanted:
        return True
    return len(said) == len(wanted) and all(map(same_line, said, wanted, [tolerance] * len(said)))


def lines(output: bytes) -> list[bytes]:
    """Return the lines without trailing white space."""
    return [line.rstrip() for line in output.rstrip().splitlines()]


def same_line(said: bytes, wanted: bytes, tolerance: float) -> bool:
    """Compare two lines word by word, numbers within the tolerance."""
    words, others = said.split(), wanted.split()
    return len(words) == len(others) and all(
        word == other or same_number(word, other, tolerance) for word, other in zip(words, others, strict=True)
    )


def same_number(word: bytes, other: bytes, tolerance: float) -> bool:
    """Compare two words as numbers: within the tolerance, or by their decimal places if there is none."""
    if tolerance > 0:
        return close(as_float(word), as_float(other), tolerance)
    places = [places_of(each.decode(errors="replace")) for each in (word, other)]
    return min(places) >= LEAST_PLACES and rounds_to(as_float(word), as_float(other), min(places))


def places_of(number: str) -> int:
    """Return the decimal places of a number in plain notation; 0 if it has none or is no such number."""
    return len(match[1]) if len(number) < MOST_DIGITS and (match := DECIMAL.fullmatch(number)) else 0


def rounds_to(value: float, other: float, places: int) -> bool:
    """Return whether two numbers are the same when they are written with so many decimal places."""
    return round(value, places) == round(other, places) and abs(value - other) <= 10**-places


def as_float(word: bytes) -> float:
    """Return the number, or nan, which is close to nothing."""
    try:
        return float(word)
    except ValueError:
        return math.nan


def close(value: float, expected: float, tolerance: float) -> bool:
    """Return whether two numbers are within the tolerance, which is relative above 1."""
    return value == expected or (
        math.isfinite(expected) and abs(value - expected) <= tolerance * max(1.0, abs(expected))
    )


def same_value(data: Any, expected: Any, tolerance: float) -> bool:
    """Compare a value encoded by `values.encode` with a JSON value, in which tuples are lists and keys are text."""
    if isinstance(data, dict):
        ((name, content),) = data.items() if len(data) == 1 else ((None, None),)
        return same_container(name, content, expected, tolerance)
    if isinstance(expected, list):
        return isinstance(data, list) and same_list(data, expected, tolerance)
    if isinstance(data, list) or isinstance(expected, dict) or isinstance(data, bool) != isinstance(expected, bool):
        return False  # 1 is not true
    if data == expected:
        return True
    if not all(isinstance(value, int | float) for value in (data, expected)):
        return False
    if tolerance > 0:
        return close(as_finite(data), as_finite(expected), tolerance)
    places = places_of(repr(expected)) if isinstance(expected, float) else 0
    return LEAST_PLACES <= places <= MOST_PLACES and rounds_to(as_finite(data), expected, places)


def as_finite(value: float) -> float:
    """Return a float; nan for an integer too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.nan


def same_list(data: list[Any], expected: list[Any], tolerance: float) -> bool:
    """Compare two lists item by item."""
    return len(data) == len(expected) and all(
        same_value(item, other, tolerance) for item, other in zip(data, expected, strict=True)
    )


def same_container(name: str | None, content: Any, expected: Any, tolerance: float) -> bool:
    """Compare the kinds of value that JSON writes differently."""
    if name == "tuple":
        return isinstance(expected, list) and isinstance(content, list) and same_list(content, expected, tolerance)
    if name == "int":
        return isinstance(expected, int) and isinstance(content, str) and content == hex(expected)
    if name == "defaultdict" and isinstance(content, list) and len(content) == 2:
        name, content = "dict", content[1]
    if name in ("dict", "Counter", "OrderedDict") and isinstance(expected, dict) and isinstance(content, list):
        items = {key if isinstance(key, str) else json.dumps(key): value for key, value in content}
        return items.keys() == expected.keys() and all(
            same_value(value, expected[key], tolerance) for key, value in items.items()
        )
    return False


def brief(value: Any) -> str:
    """Return a value as a reason quotes it: bytes as text, anything else as JSON."""
    try:
        text = value.decode(errors="replace") if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
    except ValueError:
        text = "an integer of more than 4300 digits"
    return repr(text[:BRIEF])[1:-1] + ("..." if len(text) > BRIEF else "")
