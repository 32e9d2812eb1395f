"""Columns of options are never completions, lists of completions may be text, and a problem has its body."""

from typing import Any

import pytest

from generators.contract.intake import read_conversation
from generators.contract.intake.logs import logged
from generators.contract.intake.shapes import recognize

OPTIONS: list[dict[str, Any]] = [
    {"choices": ["iron", "wood", "air", "milk"], "answer": 0},
    {"choices": ["iron", "wood"]},
    {"choices": {"text": ["iron", "wood"], "label": ["A", "B"]}, "answerKey": "B"},
    {"choices": [{"label": "A", "text": "iron"}, {"label": "B", "text": "wood"}], "answerKey": "A"},
    {"choices": {"A": "iron", "B": "wood"}, "answer": "B"},
    {"choices": [1, 2, 3], "answer": 2},
    {"options": ["iron", "wood"], "answer": "A"},
    {"options": {"A": "iron", "B": "wood"}, "answer": "A"},
]


@pytest.mark.parametrize("columns", OPTIONS)
def test_options_are_no_completions(columns: dict[str, Any]) -> None:
    row = logged({"question": "Which is a metal?", **columns})
    assert recognize([row]).responses == ()
    assert "generations" not in row


@pytest.mark.parametrize(
    "choices",
    [
        ["<think>a</think>8"],
        ["<think>a</think>8", "<think>b</think>9"],
        ["the answer is 8"],
        [{"message": {"content": "8"}, "finish_reason": "stop"}],
        [{"text": "8", "index": 0, "finish_reason": "stop"}],
    ],
)
def test_choices_of_a_server_are_completions(choices: list[Any]) -> None:
    assert recognize([logged({"question": "Q?", "choices": choices})]).responses


@pytest.mark.parametrize(
    ("columns", "read"),
    [
        ({"generations": '["<think>a</think>8"]'}, [("a", "8", "stop")]),
        ({"generations": "['<think>a</think>8', '9']"}, [("a", "8", "stop"), (None, "9", "stop")]),
        (
            {"responses": '["8", "9"]', "finish_reasons": '["stop", "length"]'},
            [(None, "8", "stop"), (None, "9", "length")],
        ),
        (
            {"generations": '["8", "9"]', "is_reasoning_complete": "[True, False]"},
            [(None, "8", "stop"), (None, "9", "length")],
        ),
        ({"response": '["8"]'}, [(None, '["8"]', "stop")]),
        ({"generations": "[0, 1) holds it"}, [(None, "[0, 1) holds it", "stop")]),
    ],
)
def test_lists_of_completions_as_text(columns: dict[str, Any], read: list[Any]) -> None:
    row = logged({"question": "Q?", **columns})
    found = read_conversation(row, recognize([row]), "row 1").answers
    assert [(one.completion.reasoning, one.completion.answer, one.finish_reason) for one in found] == read


def test_the_body_belongs_to_the_problem() -> None:
    row = {"Body": "Tom has 3.", "Question": "How many?", "Answer": 3.0}
    found = read_conversation(row, recognize([row]), "row 1")
    assert found.messages[-1]["content"] == "Tom has 3.\n\nHow many?"
