from collections import Counter

import pytest

from filters.verification.reasons import grouped, kind_of, listed


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("got 5, reference 6", "got ..., reference ..."),
        ("got 'Paris', reference 'London'", "got ..., reference ..."),
        ("got A, C, reference B", "got ..., reference ..."),
        ("test 3 of 5: got 4, expected 5", "test ... of ...: got ..., expected ..."),
        ("test 1 of 2: ZeroDivisionError (x)", "test ... of ...: ZeroDivisionError (x)"),
        ("the reference x^2+ could not be read as mathematics", "the reference ... could not be read as mathematics"),
        ("it is longer than 1000 characters", "it is longer than ... characters"),
        ("thinking never ended", "thinking never ended"),
    ],
)
def test_values_in_a_reason_are_left_out(reason: str, kind: str) -> None:
    assert kind_of(reason) == kind


def test_reasons_that_differ_in_their_values_are_one_and_a_lone_one_stays_whole() -> None:
    reasons = Counter(
        {f"got {value}, reference 6": 2 for value in range(5)} | {"the answer is empty": 3, "got 7 too": 1}
    )
    assert grouped(reasons) == [("got ..., reference ...", 10), ("the answer is empty", 3), ("got 7 too", 1)]
    assert listed(reasons, 2, 15) == "got ..., ref... (10); the answer i... (3)"
