"""Relations in different unknowns are different answers, unless the leniency `renamed` is on."""

import pytest

from filters.verification.verdicts import Item
from filters.verifiers.math_answer import verify

OTHERS = r"""x>3|t>3
a>0|b>0
x\ge 2|y\ge 2
x\in(1,2)|y\in(1,2)
1<x<3|1<y<3
x\ne 3|y\ne 3
x<1\text{ or }x>3|y<1\text{ or }y>3"""
SAME = [("x>3", "(3, \\infty)"), ("(1,2)", "x\\in(1,2)"), ("1<x<3", "x\\in(1,3)"), ("x>3", "3<x")]


@pytest.mark.parametrize("line", OTHERS.split("\n"))
def test_another_unknown_in_a_relation_is_another_answer(line: str) -> None:
    reference, _, said = line.partition("|")
    assert verify(Item(f"\\boxed{{{said}}}", reference)).status == "wrong"
    assert verify(Item(f"\\boxed{{{said}}}", reference, options={"leniencies": ["renamed"]})).status == "correct"


@pytest.mark.parametrize(("reference", "said"), SAME)
def test_a_set_needs_no_unknown(reference: str, said: str) -> None:
    assert verify(Item(f"\\boxed{{{said}}}", reference)).status == "correct"
