"""Rows from elsewhere: what is learned of them, and what is left out and counted."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generators.contract.errors import InputError
from generators.contract.files import frame, write_frame
from generators.contract.records import PROMPT, SELECTED
from pipelines.stages.corpus import CorpusConfig, corpus
from pipelines.stages.same_question import Exam, Questions, common_words, normal_text, same

EXAM = (
    "A farmer named Tom went to the market on Monday with twelve baskets of red apples and sold seven of them before "
    "noon, then bought three baskets of pears; how many baskets did he carry home in the evening of that day?"
)
SHORT_EXAM = "What is 12 * 7 + 5?"
LEAKS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "letter case": str.upper,
    "no punctuation": lambda text: text.replace(",", "").replace(";", "").replace("?", ""),
    "digits": lambda text: text.replace("twelve", "12").replace("seven", "7"),
    "a word changed": lambda text: text.replace("Monday", "Friday"),
    "three words changed": lambda text: text.replace("Tom", "Tim").replace("red", "green").replace("noon", "three"),
    "a word left out": lambda text: text.replace(" evening of that", ""),
    "a word added": lambda text: text.replace("apples", "fresh sweet apples"),
    "lines": lambda text: text.replace(" ", "\n"),
    "around it": lambda text: f"Please solve this.\nQ: {text}\nA:",
    "a template": lambda text: text + " Please reason step by step, and put your final answer within \\boxed{}.",
    "between other words": lambda text: "word " * 300 + text + " word" * 300,
}


def run(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    exam: Sequence[str] = (),
    taught: Sequence[tuple[str, str, str]] = (("What is 2 + 2?", "It is four.", "4"),),
    validation_fraction: float = 0.0,
    **settings: Any,
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return (counts of dropped rows, rows of the corpus). taught: question, reasoning and answer of the traces."""
    file = folder / "other.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [{"prompt_id": f"p{i}", "messages": [{"role": "user", "content": q}]} for i, (q, _, _) in enumerate(taught)]
    traces = [
        {"trace_id": f"t{i}", "prompt_id": f"p{i}", "reasoning": why, "answer": answer, "finish_reason": "stop"}
        for i, (_, why, answer) in enumerate(taught)
    ]
    posed = [{"prompt_id": f"e{i}", "messages": [{"role": "user", "content": q}]} for i, q in enumerate(exam)]
    write_frame(frame(asked, PROMPT), folder / "prompts.parquet")
    write_frame(frame(traces, SELECTED), folder / "selected.parquet")
    write_frame(frame(posed, PROMPT), folder / "exam.parquet")
    config = CorpusConfig.model_validate(
        {"other": [{"path": str(file), **settings}], "validation_fraction": validation_fraction}
    )
    counts = corpus(
        folder / "selected.parquet",
        folder / "prompts.parquet",
        folder / "c",
        config,
        evaluation=folder / "exam.parquet",
    )
    assert counts.rows_in == counts.rows_kept + sum(counts.dropped.values())
    files = [pl.read_parquet(folder / "c" / f"{split}.parquet") for split in ("train", "validation")]
    return dict(counts.dropped), pl.concat(files).to_dicts()


def chat(*turns: str) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(turns)
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]}


def answers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the last messages of the rows that came from elsewhere."""
    return [row["messages"][-1]["content"] for row in rows if not row["trace_id"].startswith("t")]


@pytest.mark.parametrize("change", LEAKS.values(), ids=LEAKS)
def test_a_question_of_the_evaluation_is_left_out(
    change: Callable[[str], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [chat("Hello", "Hello!"), chat(change(EXAM), "Eight."), chat("Hi", "Hi!", change(EXAM), "Eight.")]
    rows.append(chat("Pose a problem.", change(EXAM)))
    dropped, kept = run(tmp_path, rows, [EXAM, SHORT_EXAM])
    assert dropped == {"in_evaluation_set": 3} and answers(kept) == ["Hello!"]
    assert "3 left out as in_evaluation_set; the first: " in caplog.text and "row 2" in caplog.text


@pytest.mark.parametrize("asked", ["what is 12*7+5", "What is twelve * 7 + 5 ?", "WHAT IS **12 * 7 + 5**"])
def test_a_short_question_is_left_out_in_any_spelling(asked: str, tmp_path: Path) -> None:
    assert run(tmp_path, [chat("Hello", "Hello!"), chat(asked, "89")], [SHORT_EXAM])[0] == {"in_evaluation_set": 1}


@pytest.mark.parametrize(
    "asked",
    [
        "What is 12 * 7 - 5?",
        "What is 13 * 7 + 5?",
        "Write a story of a farmer named Tom who went to the market on Monday with twelve baskets of red apples.",
        "How many baskets did he carry home in the evening of that day?",
        "",
    ],
)
def test_other_questions_stay(asked: str) -> None:
    assert not Exam([EXAM, SHORT_EXAM]).asks(normal_text(asked))


def test_the_template_of_an_evaluation_is_no_question() -> None:
    frame = "Solve the task. {} Please reason step by step, and put your final answer within a box."
    asked = [frame.format(text) for text in (EXAM, "Name the capital of the largest country in Europe.", SHORT_EXAM)]
    exam = Exam(asked)
    assert exam.asks(normal_text(EXAM)) and exam.asks(normal_text(frame.format(EXAM)))
    assert not exam.asks(normal_text(frame.format("How tall is the oldest tree of the city park?")))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=8, max_size=40), st.data())
def test_a_question_is_found_whatever_words_are_changed(words: list[str], data: st.DataObject) -> None:
    changed = list(words)
    for _ in range(len(words) // 8):
        place = data.draw(st.integers(0, len(changed) - 1))
        kind = data.draw(st.sampled_from(["replace", "insert", "delete"]))
        changed[place : place + (kind != "insert")] = [] if kind == "delete" else ["x"]
    text = " ".join(["before", "it", *changed, "and", "after"])
    assert Exam([" ".join(words)]).asks(text)
    questions = Questions([" ".join(words), " ".join(changed)])
    questions.add(0)
    questions.join(1)
    assert (questions.of(1) == 0) == same(words, changed)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=9), st.lists(st.sampled_from("abc"), max_size=9))
def test_common_words_are_those_of_the_definition(one: list[str], other: list[str]) -> None:
    lengths = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, word in enumerate(one):
        for j, second in enumerate(other):
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if word == second else max(lengths[i][j + 1], lengths[i + 1][j])
    assert common_words(one, other) == lengths[-1][-1]


STORY = "Write a short story about a lonely lighthouse keeper who finds a message in a bottle after a winter storm."
TOLD = "Once upon a time there was a keeper of a lighthouse who had not seen a ship for seven long years."
REPEATS = {
    "exactly": (STORY, TOLD, "exact_duplicate"),
    "white space": (STORY.replace(" ", "  "), TOLD, "exact_duplicate"),
    "case": (STORY.lower(), TOLD.upper(), "near_duplicate"),
    "punctuation": (STORY.rstrip("."), TOLD.replace(".", "!"), "near_duplicate"),
    "digits": (STORY, TOLD.replace("seven", "7"), "near_duplicate"),
    "two words at the end": (STORY, TOLD + " The end.", "near_duplicate"),
}


@pytest.mark.parametrize("asked, said, reason", REPEATS.values(), ids=REPEATS)
def test_repeated_rows_are_left_out(asked: str, said: str, reason: str, tmp_path: Path) -> None:
    dropped, kept = run(tmp_path, [chat(STORY, TOLD), chat(asked, said), chat("Hello", "Hello!")])
    assert dropped == {reason: 1} and answers(kept) == [TOLD, "Hello!"]


@pytest.mark.parametrize("asked, said, reason", REPEATS.values(), ids=REPEATS)
def test_a_row_that_repeats_a_reasoning_row_is_left_out(asked: str, said: str, reason: str, tmp_path: Path) -> None:
    thought = {"role": "assistant", "content": said, "reasoning_content": "I think of the sea."}
    rows = [{"messages": [{"role": "user", "content": asked}, thought]}, chat("Hello", "Hello!")]
    dropped, _ = run(tmp_path, rows, taught=[(STORY, "I think of the sea.", TOLD)])
    assert dropped == {"near_duplicate": 1}


def test_the_same_question_never_stands_on_both_sides(tmp_path: Path) -> None:
    questions = [f"Write a short story about a lonely keeper of lighthouse {n} and his cat {n}." for n in "abcdefghij"]
    changes: list[Callable[[str], str]] = [
        str.upper, lambda q: q.rstrip("."), lambda q: q.replace("lonely", "sad"), lambda q: q.replace("short ", ""),
    ]  # fmt: skip
    rows = [chat(change(q), f"{n} {q[::-1]}") for q in questions[2:] for n, change in enumerate(changes)]
    rows += [chat(change(q), f"{n} {q[::-1]}") for q in questions[:2] for n, change in enumerate(changes)]
    for fraction in (0.3, 0.5, 0.7):
        taught = [(q, "Why not.", "No.") for q in (*questions[:2], "x", "y", "z", "u", "v", "w")]
        _, kept = run(tmp_path, rows, taught=taught, validation_fraction=fraction)
        sides: dict[str, set[str]] = {}
        for row in kept:
            key = row["messages"][-2]["content"].lower().rstrip(".").replace("sad", "lonely").replace(" short", "")
            sides.setdefault(key, set()).add(row["split"])
        assert all(len(found) == 1 for found in sides.values()), sides
        assert {"train", "validation"} == {row["split"] for row in kept}


def generations(*texts: str, **columns: Any) -> dict[str, Any]:
    thought = [f"<think>\nHm.\n</think>\n\n{text}" for text in texts]
    return {"problem": "Which number is it?", "answer": "4", "generations": thought, **columns}


@pytest.mark.parametrize(
    "row, taken, dropped",
    [
        (generations("5", "4", correctness_math_verify=[False, True]), ["4"], {"wrong_in_file": 1}),
        (generations("5", "4", correctness=["no", "Yes"]), ["4"], {"wrong_in_file": 1}),
        (generations("5", "4", correct=[0, 1]), ["4"], {"wrong_in_file": 1}),
        (generations("5", "4", correctness_math_verify=[None, True]), ["4"], {"over_cap": 1}),
        (generations("5", "4"), ["5"], {"over_cap": 1}),
        (generations("5", correctness_math_verify=[False]), [], {"wrong_in_file": 1}),
        (
            generations("4", "4.0", correctness_math_verify=[False, False], correctness_llama=[True, None]),
            ["4"],
            {"wrong_in_file": 1},
        ),
        (generations("5", "4", finish_reasons=["length", "stop"]), ["4"], {"truncated": 1}),
        (generations("", "4"), ["4"], {"truncated": 1}),
        (
            {"question": "q", "deepseek_thinking_trajectory": "t", "deepseek_attempt": "4", "deepseek_grade": "No"},
            [],
            {"wrong_in_file": 1},
        ),
        (
            {"question": "q", "deepseek_thinking_trajectory": "t", "deepseek_attempt": "4", "deepseek_grade": "Yes"},
            ["4"],
            {},
        ),
    ],
)
def test_of_several_completions_the_first_right_one_is_taken(
    row: dict[str, Any], taken: list[str], dropped: dict[str, int], tmp_path: Path
) -> None:
    second = {**row, ("problem" if "problem" in row else "question"): "Is it another one?"}
    for key, value in row.items():
        if key == "deepseek_grade":
            second[key] = "Yes"
        elif key in ("generations", "finish_reasons") or key.startswith("correct"):
            second[key] = {"generations": value[-1:], "finish_reasons": ["stop"]}.get(key, [True])
    found, kept = run(tmp_path, [row, second])
    assert found == dropped
    assert [text.rpartition("</think>")[2].strip() for text in answers(kept)[:-1]] == taken


def test_as_many_completions_are_taken_as_the_setting_says(tmp_path: Path) -> None:
    row = generations("four", "5", "it is 4", "4.0 is the number", correctness_math_verify=[None, False, True, True])
    for most, taken in (
        (1, ["it is 4"]),
        (2, ["it is 4", "4.0 is the number"]),
        (9, ["it is 4", "4.0 is the number", "four"]),
    ):
        dropped, kept = run(tmp_path, [row], max_per_row=most)
        assert [text.rpartition("</think>")[2].strip() for text in answers(kept)] == taken
        assert dropped == {"wrong_in_file": 1} | ({"over_cap": 3 - most} if most < 3 else {})


def test_what_was_recognized_is_said_and_other_columns_can_be_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = {"question": "Which?", "response": "This.", "ask": "What is it?", "say": "It is that."}
    assert answers(run(tmp_path, [row])[1]) == ["This."]
    assert "recognized as columns (questions = question, responses = response)" in caplog.text
    assert "fields = {...}" in caplog.text
    _, kept = run(tmp_path, [row], fields={"question": "ask", "response": "say"})
    assert [m["content"] for m in kept[-1]["messages"]] == ["What is it?", "It is that."]
    with pytest.raises(InputError, match=r"no column 'tell' for the response; there are .*'say'"):
        run(tmp_path, [row], fields={"response": "tell"})


@pytest.mark.parametrize(
    "row, said",
    [
        ({"zz": "a", "yy": "b"}, "set fields.question"),
        ({"question": "a", "yy": "b"}, 'set fields = {response = "yy"}'),
        (chat("Hello", ""), "1 empty"),
        (chat("Hello"), "1 no_assistant_turn"),
        (chat("", "Hello!"), "1 empty"),
        ({"messages": [{"role": r, "content": "Hello!"} for r in ("system", "assistant")]}, "1 empty"),
        (chat("Hello", "<think>Hm"), "1 truncated"),
    ],
)
def test_a_file_without_a_usable_row_says_why(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        run(tmp_path, [row])
    assert said in str(caught.value) and "holds no usable row" in str(caught.value)


def test_a_text_of_repetitions_is_searched_in_little_time() -> None:
    exam = Exam(["la " * 300 + "uh " * 300, "la " * 30 + "one two three four five six seven eight nine ten"])
    started = time.process_time()
    assert not exam.asks(normal_text("la " * 30_000 + " oh " * 30_000))
    assert exam.asks(normal_text("oh " * 10_000 + "la " * 300 + "uh " * 300 + "oh " * 10_000))
    assert time.process_time() - started < 10


def test_rows_keep_their_reference_source_and_teacher(tmp_path: Path) -> None:
    about = {"reference": "Paris", "verifier": "exact", "source": "atlas", "teacher": "m", "license": "mit"}
    _, rows = run(tmp_path, [{"question": "What is the capital of France?", "response": "Paris", **about}])
    (row,) = (row for row in rows if row["source"] == "atlas")
    assert {name: row[name] for name in about} == about
