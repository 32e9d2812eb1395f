"""Responses that name the right value without standing by it, and some that do."""

# ruff: noqa: E501  (tables of responses)

import pytest

from filters.verification.verdicts import Item
from filters.verifiers.math_answer import verify

NOT_ASSERTED = r"""\boxed{8} ✗|~~\boxed{8}~~|$-\boxed{8}$|$\boxed{8}^2$|$2\cdot\boxed{8}$|$\sqrt{\boxed{8}}$|$\boxed{8}$ million
\boxed{8}\text{ is wrong}|\boxed{8 \text{ (rejected)}}|The answer is \boxed{8} (rejected).|Nobody would answer \boxed{8}.
It is tempting to answer \boxed{8}. That is a mistake.|A common wrong answer is \boxed{8}.|The answer is far from \boxed{8}.
\boxed{8} Wait, I made an error, so the answer should be 9.|\boxed{8} Oops. I mean 12.|The answer is 8. No, 12.
Let x = 8. Then|where n = 8|Next, try 8|Suppose the answer is 8. Then we get a contradiction.|\boxed{3\quad 7}
La respuesta no es 8.|Die Antwort ist nicht \boxed{8}.|Ответ не 8.|答案不是8。|정답은 8이 아닙니다.|उत्तर \boxed{8} नहीं है।"""
ASSERTED = r"""The k for which the sum does not contain x is \boxed{8}.|$x = \boxed{8}$|\boxed{8} Let me verify: 2+6=8. Right.
Wait, that is wrong; so the answer is \boxed{8}.|<answer> \boxed{8} </answer>|- \boxed{8}"""


@pytest.mark.parametrize("response", [r for line in NOT_ASSERTED.split("\n") for r in line.split("|")])
def test_a_value_that_the_text_does_not_stand_by_is_no_answer(response: str) -> None:
    assert verify(Item(response, "37" if "quad" in response else "8")).status != "correct"


@pytest.mark.parametrize("response", [r for line in ASSERTED.split("\n") for r in line.split("|")])
def test_a_value_that_the_text_stands_by_is_the_answer(response: str) -> None:
    assert verify(Item(response, "8")).status == "correct"
