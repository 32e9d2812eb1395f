"""Words without their spelling: what looks alike is alike, what says another thing is not."""

import pytest

from filters.text.words.spelling import normal_words

QUESTION = "On Monday Tom's shop sold twenty-one red apples, 1,200 pears and 3.50 kg of figs; how many is 7 - 4 + 2?"
ALIKE = {
    "letter case": str.upper,
    "no comma": lambda text: text.replace("apples,", "apples"),
    "no punctuation at the end": lambda text: text.rstrip("?") + " .",
    "white space": lambda text: text.replace(" ", " \n "),
    "digits": lambda text: text.replace("twenty-one", "21"),
    "number words": lambda text: text.replace("7", "seven").replace("1,200", "one thousand two hundred"),
    "no comma in a number": lambda text: text.replace("1,200", "1200"),
    "no zero at the end": lambda text: text.replace("3.50", "3.5"),
    "full width": lambda text: text.replace("7", "\uff17").replace("?", "\uff1f"),
    "another minus": lambda text: text.replace("-", "\u2212").replace("twenty\u2212one", "twenty one"),
    "another apostrophe": lambda text: text.replace("'", "\u2019"),
    "bold": lambda text: text.replace("Monday", "**Monday**"),
    "accents": lambda text: text.replace("figs", "f\u00efgs"),
}
UNLIKE = [("3 + 4", "3 - 4"), ("x < 1", "x > 1"), ("12", "1 2"), ("1.5", "15"), ("five zero", "fifty"), ("2^3", "2*3")]


@pytest.mark.parametrize("change", ALIKE.values(), ids=ALIKE)
def test_the_same_question_in_another_spelling(change: object) -> None:
    assert callable(change)
    assert change(QUESTION) != QUESTION and normal_words(change(QUESTION)) == normal_words(QUESTION)


@pytest.mark.parametrize("one, other", UNLIKE)
def test_other_values_are_other_words(one: str, other: str) -> None:
    assert normal_words(one) != normal_words(other)


@pytest.mark.parametrize(
    "said, number",
    [
        ("zero", "0"), ("nineteen", "19"), ("forty two", "42"), ("three thousand two hundred five", "3205"),
        ("two hundred thousand", "200000"), ("one million two", "1000002"), ("\u0664\u0662", "42"),
    ],
)  # fmt: skip
def test_numbers_in_words(said: str, number: str) -> None:
    assert normal_words(said) == [number]


def test_numbers_next_to_each_other_are_not_joined() -> None:
    assert normal_words("ten five twenty ten zero five") == ["10", "5", "20", "10", "0", "5"]


def test_characters_are_words_where_no_spaces_are_written() -> None:
    assert normal_words("\u4e2d\u56fd\u3002 abc\uff01") == ["\u4e2d", "\u56fd", "abc"]
    assert normal_words("\u0939\u093f\u0902\u0926\u0940") == ["\u0939\u093f\u0902\u0926\u0940"]
