import pytest

from filters.code.outputs import same_output, same_value
from filters.sandbox.values import encode


@pytest.mark.parametrize(
    ("output", "expected", "tolerance", "same"),
    [
        ("0.333333", "0.333333333333", 0, True),  # the one with fewer places, but six, decides
        ("0.333333333333", "0.333333", 0, True),
        ("0.333334", "0.333333333333", 0, False),
        ("0.33333", "0.333333333333", 0, False),
        ("-0.333333", "0.333333333333", 0, False),
        ("12 0.1234567 x", "12 0.123457 x", 0, True),
        ("0.1234567 y", "0.123457 x", 0, False),
        ("1e-07", "0.0000001", 0, False),
        ("-0.00", "0.00", 0, False),
        ("-0.00", "0.00", 1e-6, True),
        ("3.0000001", "3", 0, False),
        ("3.0000001", "3", 1e-6, True),
        ("nan", "0.0000001", 1e-6, False),
        ("inf", "1.0000000", 1e-6, False),
        ("5", "inf", 1e-6, False),
        ("1\n2", "1 2", 1e-6, False),
    ],
)
def test_printed_numbers(output: str, expected: str, tolerance: float, same: bool) -> None:
    assert same_output(output.encode(), expected, tolerance) == same


@pytest.mark.parametrize(
    ("value", "expected", "tolerance", "same"),
    [
        (1 / 3, 0.333333, 0, True),  # it was written with six places
        ([1 / 3, 1.0], [0.333333, 1.0], 0, True),
        (1 / 3, 0.3333, 0, False),
        (0.3, 0.1 + 0.2, 0, False),  # all places are written: nothing was rounded
        (0.1 + 0.2, 0.3, 0, False),
        (0.1 + 0.2, 0.3, 1e-9, True),
        (2, 2.0, 0, True),
        (-0.0, 0.0, 0, True),
        (1, True, 0, False),
        (False, 0, 0, False),
        (False, 0, 1e-6, False),
        (True, True, 0, True),
        (10**400, 1.5, 1e-6, False),
        (float("nan"), 0.123456, 0, False),
        (float("inf"), 0.123456, 0, False),
        (5, float("inf"), 1e-6, False),
        (float("inf"), float("inf"), 0, True),
        ("1", 1, 0, False),
        ("", None, 0, False),
    ],
)
def test_values(value: object, expected: object, tolerance: float, same: bool) -> None:
    assert same_value(encode(value), expected, tolerance) == same
