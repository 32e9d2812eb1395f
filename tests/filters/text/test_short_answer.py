"""Tests of short answers: the wrappers around a whole answer come off, what belongs to the answer stays."""

import pytest

from filters.text.short_answer import normalized, readings, unwrapped

ANSWERS = [
    "7",
    "Zoey is a fool, and Riley is a sage.",
    "10*x**7 + 4*x**3/5 + C",
    "[[1,0],[0,1]]",
    "-7.0 + 1.0i",
    "0x1854",
]
WRAPPERS = [
    "**{}**", "*{}*", "***{}***", "`{}`", "${}$", "$${}$$", "\\text{{{}}}", "\\boxed{{{}}}", "\\boxed{{\\text{{{}}}}}",
    "$\\mathrm{{{}}}$", "**\\text{{{}}}**.", "\\( {} \\)", "\\[{}\\]", "```\n{}\n```", "```text\n{}\n```", "  {} ",
]  # fmt: skip


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_stands_around_the_whole_answer_comes_off(wrapper: str, answer: str) -> None:
    if "*" in answer and wrapper in ("*{}*", "***{}***"):
        return  # a product's sign cannot be told from single emphasis
    text = wrapper.format(answer)
    assert unwrapped(text) == answer
    assert list(readings(text)) == [text, answer]


@pytest.mark.parametrize(
    "text",
    [
        "**a** and **b**",
        "$x$ and $y$",
        "\\text{a} and \\text{b}",
        "2**3",
        "a*b*c",
        "__init__",
        "`a` or `b`",
        "\\frac{1}{2}",
    ],
)
def test_marks_inside_an_answer_stay(text: str) -> None:
    assert unwrapped(text) == text
    assert list(readings(text)) == [text]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "A"), ("YES", "yes"), ("No", "NO"), ("New  York", "new york"), ("New\\ York", "New York"),
        ("\uff21", "a"),
        ("McDonald", "mcdonald"), ("DNA", "dna"), ("Straße", "STRASSE"), ("1\u20132", "1-2"), ("it\u2019s", "It's"),
    ],
)  # fmt: skip
def test_width_spaces_dashes_and_the_case_of_words_do_not_count(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CO", "Co"), ("mW", "MW"), ("5 mW", "5 MW"), ("mm", "Mm"), ("pA", "Pa"), ("CoS", "COS"), ("NaCl", "NACL"),
        ("x²", "x2"), ("10²", "102"), ("H₂", "H2"), ("½", "1/2"), ("①", "1"), ("10^2", "10²"),
    ],
)  # fmt: skip
def test_symbols_keep_their_case_and_raised_digits_are_no_digits(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


@pytest.mark.parametrize("piece", ["**", "\\text{", "$", "`", "*", "\\boxed{", "```\n", "{", "a**b", "\\("])
def test_degenerate_text_takes_little_time(piece: str) -> None:
    unwrapped(piece * 5_000)
    normalized(piece * 5_000)
