"""Tests of `exact`: forms of one answer are accepted, other answers are not."""

import pytest

from filters.verification.verdicts import Item
from filters.verifiers.exact import verify


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("\\boxed{Paris}", "Paris"),
        ("\\boxed{\\text{Paris}}", "Paris"),
        ("<answer>**Paris**</answer>", "Paris"),
        ("<answer>\\boxed{Paris}</answer>", "Paris"),
        ("So.\n#### new  york", "New York"),
        ("PARIS", "$\\text{Paris}$"),
        ("\\boxed{x²}", "x²"),
        ("\\boxed{CO}", "CO"),
        ("The answer is Paris.", "Paris"),
        ("**Final Answer:** Paris", "Paris"),
        ("So the answer is **Paris**.", "Paris"),
        ("答案是Paris", "Paris"),
        ('"Paris"', "Paris"),
        ('The answer is "Paris".', "Paris"),
        ("_Paris_", "Paris"),
        ("Paris", "Paris."),
        ("北京。", "北京"),
        ("cafe\u0301", "café"),
        ("C++", "C++"),
        ("a_b", "a_b"),
        ("x**2", "x**2"),
        ("Is it?", "Is it?"),
    ],
)
def test_forms_of_the_reference_are_accepted(answer: str, reference: str) -> None:
    assert verify(Item(answer, reference)).status == "correct"


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("102", "10²"),
        ("\\boxed{x2}", "x²"),
        ("Co", "CO"),
        ("MW", "mW"),
        ("not Paris", "Paris"),
        ("Paris or Rome", "Paris"),
        ("The answer is Paris or Rome.", "Paris"),
        ("The answer is Paris. Actually, no, it is London.", "Paris"),
        ("The answer is Paris. Or London.", "Paris"),
        ("Paris?", "Paris"),
        ("I think Paris", "Paris"),
        ("Maybe Paris", "Paris"),
    ],
)
def test_other_answers_are_wrong(answer: str, reference: str) -> None:
    assert verify(Item(answer, reference)).status == "wrong"


def test_an_answer_that_is_taken_back_is_none() -> None:
    for text in (
        "The answer is not \\boxed{Paris}.",
        "\\boxed{Paris} is wrong.",
        "\\boxed{Paris}\nActually, the answer is London.",
        "\\boxed{Paris}. No, London.",
        "<answer>Paris</answer>. I mean London.",
        "<answer>Paris</answer> is wrong",
        "I doubt it is <answer>Paris</answer>",
        "<answer>\\boxed{Paris}</answer> is wrong",
        "#### Paris\nWait, that is incorrect.",
    ):
        assert verify(Item(text, "Paris")).status == "unparseable"


def test_a_struck_out_answer_is_none_and_a_full_stop_behind_a_word_does_not_count() -> None:
    for text in ("~~Paris~~", "\\boxed{\\text{~~Paris~~}}", "~~Paris~~."):
        assert verify(Item(text, "Paris")).status == "unparseable", text
    assert verify(Item("Paris.", "Paris")).status == "correct"
    assert verify(Item("\\boxed{\\text{Paris.}}", "Paris")).status == "correct"
    assert verify(Item("5.", "5")).status == "wrong"
    assert verify(Item("Paris..", "Paris")).status == "wrong"
    assert verify(Item("U.S.", "U.S.")).status == "correct"


def test_an_answer_or_a_reference_that_is_missing() -> None:
    assert verify(Item("\\boxed{}", "Paris")).status in ("unparseable", "wrong")
    assert verify(Item("Paris", None)).status == "error"
    assert verify(Item("Paris", " ")).status == "error"
