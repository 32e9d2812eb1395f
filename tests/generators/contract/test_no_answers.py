"""Texts in the place of an answer, told from answers that speak of them."""

import pytest

from generators.contract.intake.no_answers import runs_on, why_none

NONE = (
    "[]", "null", "None", "nan", "...", "ERROR: rate limit exceeded", "Error code: 429 - {'error': 1}",
    "openai.RateLimitError: slow down", "Internal Server Error", "I'm sorry, but I can't assist with that.",
    "Sorry, I can't help with that request.", "I cannot comply with that.", "As an AI language model, I cannot do so.",
)  # fmt: skip
SOME = (
    "0", "No.", "[1]", "The error is 3.", "Error analysis: the standard error is 3.", "I'm sorry to hear that. Rest.",
    "I cannot help but smile at this.", "Null is a value.", "An error 404 means that a page is missing.",
)  # fmt: skip


@pytest.mark.parametrize("text", NONE)
def test_a_text_in_place_of_an_answer_is_none(text: str) -> None:
    assert why_none(f" {text}\n")


@pytest.mark.parametrize("text", SOME)
def test_an_answer_stays_one(text: str) -> None:
    assert why_none(text) is None


def test_an_invented_turn_is_told_from_a_dialogue() -> None:
    assert runs_on("8\n\nHuman: more?") == "Human"
    assert runs_on("8\n\n### Instruction: next") == "Instruction"
    for dialogue in ("Here it is:\n\nHuman: Hi.", "User: Hi.\n\nAssistant: Yes.\n\nUser: Bye.", "It is human: yes."):
        assert runs_on(dialogue) is None
