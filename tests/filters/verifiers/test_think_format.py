import pytest

from filters.verification.verdicts import Item
from filters.verifiers.think_format import verify


@pytest.mark.parametrize(
    ("reasoning", "answer", "reference", "status", "reason"),
    [
        ("so", "42", None, "correct", "in order"),
        ("so", "<answer>42</answer>", "answer", "correct", "in order"),
        (None, "<think>so</think>\n42", None, "correct", "in order"),
        (None, "<think>so</think> <answer>42</answer>\n", "answer", "correct", "in order"),
        (None, "42", None, "wrong", "tags missing"),
        ("so", "", None, "wrong", "nothing after the thinking"),
        (" ", "42", None, "wrong", "empty thinking"),
        ("so <think> again", "42", None, "wrong", "tags <think> <think> </think>"),
        ("so", "</think>42", None, "wrong", "tags"),
        ("so", "42", "answer", "wrong", "tags"),
        ("so", "<answer>42</answer>", None, "wrong", "tags"),
        ("so", "It is <answer>42</answer>", "answer", "wrong", "outside"),
        ("so", "<answer>42</answer>.", "answer", "wrong", "outside"),
        ("so", "<answer> </answer>", "answer", "wrong", "empty answer"),
        ("so", "<answer>4</answer><answer>2</answer>", "answer", "wrong", "tags"),
        (None, "Well. <think>so</think>42", None, "wrong", "before"),
        ("so", "42", "tags", "error", "must be 'answer' or empty"),
    ],
)
def test_tags_in_order_once_and_nothing_outside(
    reasoning: str | None, answer: str, reference: str | None, status: str, reason: str
) -> None:
    judgement = verify(Item(answer, reference, reasoning))
    assert judgement.status == status and reason in judgement.reason, judgement
