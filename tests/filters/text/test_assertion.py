"""Sentences around an answer, in English and 58 other languages: only what they stand by is the answer."""

import pytest

from benchmarks.answer_grammar.stances import asserted_boxes, denied_boxes, filled, in_languages, sentences
from filters.verification.verdicts import Item
from filters.verifiers.math_answer import verify

LANGUAGES = in_languages()
MARKS = ("\\boxed{8}", "$\\boxed{8}$", "8", "$8$")
ANSWERS = ("\\frac{3}{7}", "(1, 2)", "x^2+1", "\\text{odd}", "12\\text{ cm}")


def status(response: str, reference: str = "8") -> str:
    return verify(Item(response, reference)).status


@pytest.mark.parametrize("sentence", sentences("denied"))
def test_what_a_sentence_denies_doubts_or_takes_back_is_no_answer(sentence: str) -> None:
    assert status(sentence) != "correct"


@pytest.mark.parametrize("sentence", sentences("asserted"))
def test_what_a_sentence_stands_by_is_the_answer(sentence: str) -> None:
    assert status(sentence) == "correct"


@pytest.mark.parametrize("stance", ["denied", "doubted", "asserted"])
@pytest.mark.parametrize("language", sorted(LANGUAGES["denied"]))
def test_sentences_in_other_languages(stance: str, language: str) -> None:
    for sentence in LANGUAGES[stance].get(language, ()):
        for mark in MARKS:
            response = sentence.replace("{}", mark)
            assert (status(response) == "correct") == (stance == "asserted"), response


@pytest.mark.parametrize("language", sorted(LANGUAGES["withdrawn"]))
def test_a_box_that_a_later_sentence_takes_back_is_no_answer(language: str) -> None:
    for sentence in LANGUAGES["withdrawn"][language]:
        assert status(f"\\boxed{{8}}\n\n{sentence}") != "correct", sentence


@pytest.mark.parametrize("language", sorted(LANGUAGES["repeated"]))
def test_a_box_that_a_later_sentence_repeats_is_the_answer(language: str) -> None:
    for sentence in LANGUAGES["repeated"][language]:
        assert status(f"\\boxed{{8}}\n\n{sentence}") == "correct", sentence


@pytest.mark.parametrize("answer", ANSWERS)
def test_sentences_hold_for_answers_of_other_kinds(answer: str) -> None:
    assert [one for one in denied_boxes() if status(filled(one, answer), answer) == "correct"] == []
    assert [one for one in asserted_boxes() if status(filled(one, answer), answer) != "correct"] == []
