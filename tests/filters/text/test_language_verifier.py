"""Tests of language consistency: the share of words in the prompt's language, mathematics and names excluded."""
# ruff: noqa: RUF001  (the texts are in several scripts)

from typing import Any

import pytest

from filters.verification.verdicts import Item, Judgement
from filters.verifiers.language import check_options, verify

ENGLISH = "First we write down the equation and then we solve it for the unknown number."
CHINESE = "首先写出方程，然后解出未知数。"
SPANISH = "Primero escribimos la ecuación y luego la resolvemos para que el número no sea negativo en los casos."
RUSSIAN = "Сначала запишем уравнение, а потом найдём из него неизвестное число."


def judged(reasoning: str, question: str = "What is the value of x?", **options: Any) -> Judgement:
    return verify(Item("\\boxed{1}", None, reasoning, [{"role": "user", "content": question}], options=options))


@pytest.mark.parametrize("text", [ENGLISH, SPANISH, CHINESE, RUSSIAN])
def test_a_text_in_the_language_of_its_question_is_consistent(text: str) -> None:
    found = judged(text, text)
    assert (found.status, found.score) == ("correct", 1.0)


@pytest.mark.parametrize("text", [SPANISH, CHINESE, RUSSIAN])
def test_a_text_in_another_language_is_inconsistent(text: str) -> None:
    found = judged(text)
    assert (found.status, found.score) == ("wrong", 0.0)
    assert "words are in en" in found.reason


def test_the_score_is_the_share_of_words() -> None:
    mixed = judged(f"{ENGLISH} 先加")
    assert 0.7 < mixed.score < 0.95
    lines = judged(f"{ENGLISH}\n{ENGLISH}\n{ENGLISH}\n{SPANISH}")
    assert 0.6 < lines.score < 0.8 and lines.status == "wrong"
    assert judged(f"{ENGLISH}\n{SPANISH}", least=0.3).status == "correct"


def test_mathematics_code_and_quotations_belong_to_no_language() -> None:
    text = f'{CHINESE} $\\text{{where}} x$, \\boxed{{answer}} `return value` "quoted words" sin(x) + ab = 3'
    assert judged(text, CHINESE).score == 1.0
    assert judged("$x = 3$").score == 1.0
    assert judged("").score == 1.0  # the answer is read instead, and it is mathematics


def test_the_target_may_be_named_and_options_are_checked() -> None:
    assert judged(CHINESE, target="zh").score == 1.0
    assert verify(Item("")).reason == "there is no text"
    for options, sentence in (({"target": "xx"}, "must be one of"), ({"least": 2}, "0 to 1"), ({"a": 1}, "no option")):
        with pytest.raises(ValueError, match=sentence):
            check_options(options)


def test_a_question_of_few_words_is_taken_to_be_english() -> None:
    assert judged(ENGLISH, "Which equation has no real root? (A) $x^2 = 1$ (B) no such one").score == 1.0
