import json
import sys
from pathlib import Path
from typing import Any

import pytest

from filters.sandbox.confined_call import confined_call
from filters.sandbox.isolation import landlock
from filters.verification.verdicts import Item
from filters.verifiers import logic

ENTRY = {"question": "?", "answer": "1", "metadata": {"source_dataset": "countdown"}}


def entries() -> list[dict[str, Any]]:
    reasoning_gym = pytest.importorskip("reasoning_gym", reason="needs the extra `logic`")
    names = ("knights_knaves", "countdown", "arc_agi", "maze", "zebra_puzzles", "sudoku")
    return [reasoning_gym.create_dataset(name, size=1, seed=3)[0] for name in names]


def test_every_task_accepts_its_own_answer() -> None:
    for entry in entries():
        judgement = logic.verify(Item(f"<answer>{entry['answer']}</answer>", logic.reference_of(entry)))
        assert judgement.status == "correct", entry["metadata"]["source_dataset"]


@pytest.mark.parametrize(
    "form",
    [
        "\\boxed{{{}}}",
        "\\boxed{{\\text{{{}}}}}",
        "<answer>**{}**</answer>",
        "<answer>\n{}\n</answer>",
        "<answer>`{}`</answer>",
    ],
)
def test_marks_around_the_answer_do_not_count(form: str) -> None:
    for entry in entries()[:2] + entries()[3:5]:
        judgement = logic.verify(Item(form.format(entry["answer"]), logic.reference_of(entry)))
        assert judgement.status == "correct", (entry["metadata"]["source_dataset"], judgement)


def test_the_best_reading_counts_and_a_reading_that_cannot_be_scored_does_not() -> None:
    def score(answer: str, entry: object) -> float:
        return float(answer == str(int(answer)))

    assert logic.best_score(score, "**12**", {}) == 1
    assert logic.best_score(score, "012", {}) == 0
    with pytest.raises(ValueError, match="invalid literal"):
        logic.best_score(score, "**twelve**", {})


def test_the_task_scores_and_nothing_in_the_answer_runs(tmp_path: Path) -> None:
    countdown = entries()[1]
    touch = tmp_path / "touched"
    for answer in ("1", f"__import__('os').system('touch {touch}')", f"open({str(touch)!r}, 'w')"):
        judgement = logic.verify(Item(answer, json.dumps(countdown, default=str), bare=True))
        assert judgement.status == "wrong" and judgement.score < 1
    assert not touch.exists()


def test_a_missing_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    logic.scorer.cache_clear()
    judgement = logic.verify(Item("1", json.dumps(ENTRY)))
    assert (judgement.status, judgement.reason) == ("error", logic.MISSING)


@pytest.mark.parametrize("reference", ["", "[]", "{}", '{"metadata": {}}', '{"entry": {"a": 1, "b": 2}}'])
def test_a_reference_that_is_no_entry_is_an_error(reference: str) -> None:
    assert logic.verify(Item("1", reference)).status == "error"


def test_options_are_checked() -> None:
    logic.check_options({"score_without_isolation": True})
    with pytest.raises(ValueError, match=r"logic\.isolation is False"):
        logic.check_options({"isolation": False})


def test_a_confined_call_can_only_reply(tmp_path: Path) -> None:
    if not landlock.abi():
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "file").write_text("text")
    assert confined_call(lambda: [1, "a"], []) == [1, "a"]
    assert confined_call(lambda: (tmp_path / "file").read_text(), [str(tmp_path)]) == "text"
    for action in ((tmp_path / "file").read_text, (tmp_path / "new").touch, lambda: __import__("socket").socket()):
        with pytest.raises(RuntimeError, match="PermissionError"):
            confined_call(action, [])
    with pytest.raises(RuntimeError, match="ended with status 3"):
        confined_call(lambda: __import__("os")._exit(3), [])
