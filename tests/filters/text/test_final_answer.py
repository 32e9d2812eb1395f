import pytest

from filters.text.final_answer import Answer, boxed, final_answer, marked_answer
from filters.verification.verdicts import Item, Judgement
from filters.verifiers.math_answer import verify


def answer(text: str, finish_reason: str = "stop", reasoning: str | None = None) -> Answer:
    found = final_answer(Item(text, finish_reason=finish_reason, reasoning=reasoning))
    assert isinstance(found, Answer), found
    return found


def why_none(text: str, finish_reason: str = "stop", reasoning: str | None = None) -> str:
    found = final_answer(Item(text, finish_reason=finish_reason, reasoning=reasoning))
    assert isinstance(found, Judgement) and found.status == "unparseable"
    return found.reason


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("first \\boxed{1}, at last \\boxed{2}", "2"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\boxed{3}}", "\\boxed{3}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("a torn \\boxed{ and then \\boxed{5}", "5"),
        ("<answer>7</answer>", "7"),
        ("<answer>7</answer> or <answer>8</answer>", "8"),
        ("so <answer> 7", "7"),
        ("<answer>it is \\boxed{9}</answer>", "9"),
        ("3*4 = 12\n#### 12\n", "12"),
        ("no mark", None),
    ],
)
def test_the_last_mark_counts(text: str, marked: str | None) -> None:
    assert marked_answer(text)[0] == marked


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("The final answer is 5. I hope it is correct.", "5"),
        ("**Answer:** $x = 3$", "$x = 3$"),
        ("work\nA: 90,000", "90,000"),
        ("The answer is \\(0.5\\).", "\\(0.5\\)"),
        ("\\boxed{4}. But no: Final answer: 5", "5"),
        ("the answer is 4: \\boxed{5}", None),
        ("I hope the answer is correct and that you like it", None),
    ],
)
def test_stated_answer(text: str, stated: str | None) -> None:
    assert answer(text).stated == stated


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("\\boxed{1} and \\boxed{2}", "1, 2"),
        ("$\\boxed{1}, \\boxed{2}, \\boxed{3}$", "1, 2, 3"),
        ("$y_1 = \\boxed{a} \\) and \\( y_2 = \\boxed{b}$", "y_1 = a, y_2 = b"),
        ("\\boxed{1} no no no \\boxed{2}", None),
        ("\\boxed{1}\n\nNow the second part of the question: \\boxed{2}", None),
    ],
)
def test_adjacent_boxes_are_one_answer(text: str, joined: str | None) -> None:
    assert answer(text).joined == joined


def test_only_what_follows_the_thinking_counts() -> None:
    assert answer("\\boxed{1}</think>it is \\boxed{2}").marked == "2"
    assert why_none("", reasoning="and so on") == "thinking never ended"
    assert why_none("<think>and so \\boxed{1}") == "thinking never ended"
    assert why_none("Well. <think>and so \\boxed{1}") == "thinking never ended"
    assert why_none("\\boxed{1}</think>") == "the answer is empty"


@pytest.mark.parametrize(
    "text",
    [
        "so it is \\boxed{12",
        "hence 3 + 4 =",
        "we get \\( x = \\frac{1}{2} + y",
        "then \\[ \\sum_{k=1}^n k^2",
        "x = \\frac{",
    ],
)
def test_a_text_cut_off_in_a_formula_is_unparseable(text: str) -> None:
    assert why_none(text) == "cut off within a formula"


def test_a_cut_off_or_looping_text_counts_only_if_it_has_an_answer() -> None:
    loop = (
        "Wait, let me check that again: 3 + 4 = 7 and 7 + 5 = 12, but is it what was asked for in the question? " * 20
    )
    assert why_none(loop) == "the text ends in a loop"
    assert answer(f"\\boxed{{12}} {loop}").marked == "12"
    assert why_none("so it is 12", finish_reason="length") == "cut off before the final answer"
    assert answer("so it is \\boxed{12} as", finish_reason="length").marked == "12"


def test_the_per_cent_sign_after_a_box_belongs_to_it() -> None:
    assert verify(Item("That is $\\boxed{28}$ percent.", "28\\%")).status == "correct"
    assert verify(Item("That is $\\boxed{28}$ apples.", "28\\%")).reason.endswith("equal with leniency percent")


MARKS = {
    "<think>": "</think>",
    "<Think >": "</think >",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<scratchpad>": "</scratchpad>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|channel|>analysis<|message|>": "<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|channel>thought\n": "<channel|>",
}


@pytest.mark.parametrize(("opening", "closing"), MARKS.items())
def test_a_box_inside_any_models_thinking_is_no_answer(opening: str, closing: str) -> None:
    assert answer(f"{opening}so \\boxed{{1}}{closing}It is \\boxed{{2}}.").marked == "2"
    assert answer(f"{opening}so \\boxed{{1}}{closing}I do not know.").marked is None
    assert why_none(f"{opening}so \\boxed{{1}}") == "thinking never ended"
    assert why_none(f"\\boxed{{1}} {opening}or \\boxed{{2}}") == "thinking never ended"


def test_marks_that_are_only_mentioned_end_and_begin_nothing() -> None:
    assert answer("\\boxed{5}. It is written between `<think>` and `</think>`.").marked == "5"
    assert answer('The "</think>" tag is one of \\boxed{2} tags.').marked == "2"


@pytest.mark.parametrize("piece", ["\\boxed{", "<answer>", "</think>", "{", "$", "\\(", "answer is ", "and or "])
def test_degenerate_text_takes_linear_time(piece: str) -> None:
    boxed(piece * 100_000)
    final_answer(Item(piece * 100_000))
