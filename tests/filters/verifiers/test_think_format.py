from dataclasses import replace

import pytest

from filters.outputs import written
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


def judged(text: str, reference: str) -> Item:
    return replace(written(text, answer_only=False), reference=reference)


NEARLY_OPEN = [
    "<think >",
    "< think>",
    "<THINK>",
    "<Think>",
    "<think/>",
    "<think id=1>",
    "<thinking>",
    "</ think>",
    "</thinks>",
    "<\u200bthink>",
    "<th\u2060ink>",
    "</think\ufeff>",
    "\uff1cthink\uff1e",
    "</thinkk>",
]
NEARLY_ANSWER = ["<answer >", "<Answer>", "< answer>", "<answer/>", '<answer type="x">']


@pytest.mark.parametrize("tag", NEARLY_OPEN)
def test_a_tag_that_is_nearly_right_is_wrong(tag: str) -> None:
    for text in (f"{tag}so</think>42", f"<think>so{tag}</think>42", f"<think>so</think>42 {tag}"):
        assert verify(judged(text, "")).status == "wrong", text


@pytest.mark.parametrize("tag", NEARLY_ANSWER)
def test_an_answer_tag_that_is_nearly_right_is_wrong(tag: str) -> None:
    for text in (f"<think>so</think>{tag}42</answer>", f"<think>so</think><answer>{tag}42</answer>"):
        assert verify(judged(text, "answer")).status == "wrong", text


def test_words_in_angle_brackets_are_no_tags() -> None:
    for text in ("<think>a < b, thinking > c, <b>bold</b></think>42 <thinker>", "<think>x<answers></think>42"):
        assert verify(judged(text, "")).status == "correct", text
