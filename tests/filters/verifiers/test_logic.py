import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from filters.sandbox.confined_call import confined_call
from filters.sandbox.isolation import landlock
from filters.verification.verdicts import Item, Judgement
from filters.verifiers import logic

BOOLEANS = {"True": 1.0, "true.": 1.0, "False": 0.0, "no": 0.0}
NUMBERS = {
    "12 apples": 1.0,
    "12 zebras": 0.0,
    "12 or 13": 0.0,
    "12, not 13": 0.0,
    "12 13": 0.0,
    "the answer is 12": 1.0,
}
ENTRY = {"question": "?", "answer": "1", "metadata": {"source_dataset": "countdown"}}


def entries() -> list[dict[str, Any]]:
    reasoning_gym = pytest.importorskip("reasoning_gym", reason="needs the extra `logic`")
    names = ("knights_knaves", "countdown", "arc_agi", "maze", "zebra_puzzles", "sudoku")
    return [reasoning_gym.create_dataset(name, size=1, seed=3)[0] for name in names]


def test_every_task_accepts_its_own_answer() -> None:
    for entry in entries():
        judgement = logic.verify(Item(f"<answer>{entry['answer']}</answer>", logic.reference_of(entry)))
        assert judgement.status == "correct", entry["metadata"]["source_dataset"]


STATED = [
    "\\boxed{{{}}}", "\\boxed{{\\text{{{}}}}}", "<answer>**{}**</answer>", "<answer>\n{}\n</answer>",
    "<answer>`{}`</answer>", "<answer>The answer is {}</answer>", "The answer is {}", "The answer is: {}", "**{}**",
    "Final answer: {}", "**Final answer:** **{}**", "First one thing, then another.\n\nThe final answer is:\n\n{}",
    "### Final Answer\n{}", "Final answer:\n```\n{}\n```", "So the answer is **{}**.", "答案是{}",
    "Nothing else is possible.\n\nTherefore, the answer is {}", "The answer is {}\n\nThis is what the clues say.",
    "Conclusion: {}", "The moves are: {}", "Answer = {}", "Hence the answer is {}, as required.",
]  # fmt: skip
DOUBTED = [
    "not {}", "{} or zzz", "<answer>{} or zzz</answer>", "<answer>not {}</answer>", "<answer>maybe {}</answer>",
    "<answer>{}, I guess</answer>", "<answer>{}?</answer>", "<answer>~~{}~~</answer>", "<answer>{}</answer> is wrong",
    "The answer is not {}", "The answer is probably {}", "I'm not sure, but the answer is {}", "My guess: {}",
    "It is false that {}", "\\boxed{{{}}} is incorrect.", "Suppose the answer is {}.", "<answer>nicht {}</answer>",
    "The answer is {}.\nOr maybe another one.", "<answer>{}</answer>\nWait, that is wrong.", "答案不是{}",
    "A student answered {}, which is wrong.", "<answer>{} / zzz</answer>", "<answer>{}或zzz</answer>",
    "Not the answer: {}", "A possible answer: {}", "Wrong: {}", "Let me try: {}", "Candidate that failed: {}",
]  # fmt: skip


@pytest.mark.parametrize(("forms", "accepted"), [(STATED, True), (DOUBTED, False)], ids=["stated", "doubted"])
def test_every_task_accepts_what_is_stated_and_nothing_that_is_doubted(forms: list[str], accepted: bool) -> None:
    for entry in entries():
        score = logic.scorer(entry["metadata"]["source_dataset"])
        for form in forms:
            said = logic.stated_in(form.format(entry["answer"]), Item(""))
            value = 0.0 if isinstance(said, Judgement) else logic.best_score(score, said, entry)[0]
            assert (value >= 1) == accepted, (entry["metadata"]["source_dataset"], form)


def test_the_best_reading_counts_and_a_reading_that_cannot_be_scored_does_not() -> None:
    def score(answer: str, entry: object) -> float:
        return float(answer == str(int(answer)))

    assert logic.best_score(score, [("**12**", "")], {})[0] == 1
    assert logic.best_score(score, [("012", "")], {})[0] == 0
    assert logic.best_score(score, [("**twelve**", "")], {})[0] == 0


def test_a_task_that_accepts_any_text_is_not_asked() -> None:
    entry = {"answer": "True"}
    said = {text: logic.best_score(lambda answer, entry: bool(answer), [(text, "")], entry)[0] for text in BOOLEANS}
    assert said == BOOLEANS


def test_words_that_a_task_reads_past_are_no_part_of_an_answer() -> None:
    entry = {"answer": "12", "question": "How many apples are left?"}

    def score(answer: str, entry: object) -> float:
        found = re.search(r"\d+", answer)
        return float(found is not None and found.group() == "12")

    said = {text: logic.best_score(score, [(text, "")], entry)[0] for text in NUMBERS}
    assert said == NUMBERS
    assert logic.best_score(lambda answer, entry: float(answer == "UULD"), [("UULD", "")], {"answer": "UL"})[0] == 1


def test_the_task_scores_and_nothing_in_the_answer_runs(tmp_path: Path) -> None:
    countdown = entries()[1]
    touch = tmp_path / "touched"
    for answer in ("1", f"__import__('os').system('touch {touch}')", f"open({str(touch)!r}, 'w')"):
        judgement = logic.verify(Item(answer, json.dumps(countdown, default=str), bare=True))
        assert judgement.status != "correct" and judgement.score < 1
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
