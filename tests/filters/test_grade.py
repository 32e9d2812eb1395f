import gzip
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from filters.grade import Agreement, grade

ROWS = [
    {"id": "a", "gold": "12", "response": "<think>3*4</think>So \\boxed{12}.", "suite": "easy", "label": True},
    {"id": "b", "gold": "12", "response": "so the answer is 13", "suite": "easy", "label": False},
    {"id": "c", "gold": "#### 7", "response": "<think>and so on", "suite": "hard", "label": True},
    {"id": "d", "gold": 0.5, "response": "It is $\\frac{1}{2}$", "suite": "hard", "label": True},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def graded(file: Path, tmp_path: Path, **more: Any) -> list[dict[str, Any]]:
    grade(file, tmp_path / "out.jsonl", verifier="math_answer", workers=1, **more)
    return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]


def test_one_line_a_row_and_a_summary_by_suite(tmp_path: Path) -> None:
    summary = grade(write(tmp_path / "in.jsonl", ROWS), tmp_path / "out.jsonl", verifier="math_answer", workers=1)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["row"], line["id"], line["status"]) for line in lines] == [
        (1, "a", "correct"),
        (2, "b", "wrong"),
        (3, "c", "unparseable"),
        (4, "d", "correct"),
    ]
    assert [line["reason"] for line in lines[1:3]] == ["got 13, reference 12", "thinking never ended"]
    assert set(lines[0]) == {"row", "id", "status", "score", "reason", "seconds"}
    assert (summary.rows, summary.by_status) == (4, {"correct": 2, "unparseable": 1, "wrong": 1})
    assert summary.by_suite["hard"] == {"correct": 1, "unparseable": 1}
    assert summary.agreement == {"easy": Agreement(2, 2), "hard": Agreement(2, 1, 0, 1)}


def test_the_table_shows_statuses_and_agreement_within_80_columns(tmp_path: Path) -> None:
    summary = grade(write(tmp_path / "in.jsonl", ROWS), tmp_path / "out.jsonl", verifier="math_answer", workers=1)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary.table())
    assert [line.split() for line in console.export_text().splitlines()] == [
        ["suite", "correct", "wrong", "unparseable", "timeout", "error"],
        ["easy", "1", "1", "0", "0", "0"],
        ["hard", "1", "0", "1", "0", "0"],
        ["all", "2", "1", "1", "0", "0"],
        ["suite", "labelled", "agree", "correct", "here", "only", "by", "label", "only"],
        ["easy", "2", "100.00%", "0", "0"],
        ["hard", "2", "50.00%", "0", "1"],
        ["all", "4", "75.00%", "0", "1"],
    ]


def test_every_format_gives_the_same_lines(tmp_path: Path) -> None:
    rows = [{**row, "gold": str(row["gold"])} for row in ROWS]
    plain = write(tmp_path / "in.jsonl", rows)
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    pl.DataFrame(rows).write_parquet(tmp_path / "in.parquet")
    found = [graded(tmp_path / name, tmp_path) for name in ("in.jsonl", "in.jsonl.gz", "in.parquet")]
    for lines in found:
        for line in lines:
            del line["seconds"]
    assert found[0] == found[1] == found[2]


def test_nested_fields_and_bare_answers(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{"meta": {"gold": "x^2+x"}, "out.text": "x(x+1)"}])
    fields = {"reference_field": "meta.gold", "response_field": "out.text"}
    assert graded(file, tmp_path, **fields, answer_only=True)[0]["status"] == "correct"
    assert graded(file, tmp_path, **fields)[0]["status"] != "correct"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]\n", "no row can be graded: row 1: a row is a JSON object, this is int 1"),
        ('{"gold": null, "response": "1"}\n', "row 1: the row has no reference: its field 'gold' is null"),
        ('{"question": "1?", "response": "1"}\n', "'question', 'response'; none of them is known to hold references"),
        ('{"gold": "1", "thing": "1"}\n', "row 1: .* 'gold', 'thing'; none of them is known to hold completions"),
        ("\n", "it has no rows to grade"),
    ],
)
def test_files_without_a_row_to_grade_are_refused_before_grading(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "in.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        graded(tmp_path / "in.jsonl", tmp_path)
    assert str(tmp_path / "in.jsonl") in str(caught.value)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"question": "1?", "response": "1"}], "fields are 'question', 'response'; none of them is known to hold ref"),
        ([{"reference": "1", "response": "1"}], "the references seem to be in 'reference'"),
    ],
)
def test_a_missing_reference_field_is_answered_with_those_there_are(
    tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        graded(write(tmp_path / "in.jsonl", rows), tmp_path, reference_field="gold")
    assert "row 1: the row has no field 'gold'" in str(caught.value)


def test_a_row_that_cannot_be_graded_is_counted_and_named_and_stops_a_strict_run(tmp_path: Path) -> None:
    good = json.dumps({"gold": "1", "response": "1"})
    bad = {
        '{"gold": null, "response": "1"}': "the row has no reference: its field 'gold' is null",
        '{"gold": NaN, "response": "1"}': "the row has no reference: its field 'gold' is null",
        '{"gold": " ", "response": "1"}': "the row has no reference: its field 'gold' is empty",
        '{"response": "1"}': "the row has no field 'gold'",
        '{"gold": "1", "thing": "1"}': "the row has no field 'response'",
        '{"gold": "1"': "not valid JSON",
    }
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join([good, *bad, good, *bad]) + "\n")
    summary = grade(file, tmp_path / "out.jsonl", workers=1)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == list(range(1, 15))
    assert [line["status"] for line in lines[:8]] == ["correct", *["error"] * 6, "correct"]
    for line, reason in zip(lines[1:7], bad.values(), strict=True):
        assert reason in line["reason"], line
    assert summary.by_status == {"correct": 2, "error": 12}
    assert "error: the row has no field 'gold' (2, the first in row 5)" in summary.error_lines()
    with pytest.raises(ValueError, match="row 2: the row has no reference: its field 'gold' is null; without strict"):
        grade(file, tmp_path / "strict.jsonl", workers=1, strict=True)
    assert not (tmp_path / "strict.jsonl").exists()


def test_one_verdict_for_each_of_several_completions(tmp_path: Path) -> None:
    openr1 = {
        "problem": "What is 1 + 1?",
        "answer": "2",
        "generations": ["<think>Two.</think>\\boxed{2}", "<think>Three.</think>\\boxed{3}", "<think>Hm"],
        "is_reasoning_complete": [True, True, False],
        "correctness_math_verify": [True, False, False],
    }
    lines = graded(write(tmp_path / "in.jsonl", [openr1, {**openr1, "generations": ["\\boxed{2}"]}]), tmp_path)
    assert [(line["row"], line.get("completion"), line["status"]) for line in lines] == [
        (1, 1, "correct"),
        (1, 2, "wrong"),
        (1, 3, "unparseable"),
        (2, None, "correct"),
    ]
    row = {"gold": "2", "response": ["\\boxed{2}", "3"], "label": [True, True], "finish_reason": ["stop", "stop"]}
    summary = grade(write(tmp_path / "in.jsonl", [row]), tmp_path / "out.jsonl", workers=1)
    assert summary.agreement == {"all": Agreement(2, 1, 0, 1)}


@pytest.mark.parametrize(
    ("finish_reason", "status"),
    [
        ("stop", "correct"),
        ("length", "unparseable"),
        ("MAX_TOKENS", "unparseable"),
        ("content_filter", "error"),
        ("tool_calls", "error"),
        (None, "correct"),
        ("abort", "error"),
    ],
)
def test_the_end_of_a_completion_is_minded_as_in_a_run(tmp_path: Path, finish_reason: str | None, status: str) -> None:
    row = {"gold": "2", "response": "So the answer comes to 2", "finish_reason": finish_reason}
    rows: list[dict[str, Any]] = [row, {"gold": "2", "response": "\\boxed{2}", "finish_reason": "stop"}]
    first, _ = graded(write(tmp_path / "in.jsonl", rows), tmp_path)
    assert first["status"] == status, first
    assert first["reason"].startswith("the sample failed: ") == (status == "error")


def test_a_verifier_that_needs_no_reference_gets_none(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{"response": "<think>so</think>1", "question": "?"}, {"response": "1"}])
    summary = grade(file, tmp_path / "out.jsonl", verifier="think_format", workers=1)
    assert summary.by_status == {"correct": 1, "wrong": 1}


def test_rows_of_other_shapes_are_graded(tmp_path: Path) -> None:
    chat = [
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "<think>\nTwo.\n</think>\n\\boxed{2}"},
    ]
    rows = [{"messages": chat, "answer": "2"}, {"messages": chat, "answer": "3"}]
    assert [row["status"] for row in graded(write(tmp_path / "in.jsonl", rows), tmp_path)] == ["correct", "wrong"]


def test_a_missing_file_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        graded(tmp_path / "in.jsonl", tmp_path)
    (tmp_path / "in.txt").touch()
    with pytest.raises(ValueError, match=r"accepted are .parquet, "):
        graded(tmp_path / "in.txt", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.parquet", b"no parquet", "cannot be read"),
        ("a.jsonl.gz", b"no gzip", "cannot be read"),
        ("a.jsonl.gz", gzip.compress(b'{"gold": "1", "response": "1"}')[:-12], "cannot be read"),
        ("a.jsonl", b"{\xff\xfa}", "is not UTF-8 text"),
    ],
    ids=["parquet", "gzip", "cut short", "encoding"],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as failure:
        grade(tmp_path / name, tmp_path / "out.jsonl")
    assert name in str(failure.value)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.timeout(120)
def test_real_outputs_are_graded_as_their_labels_say(tmp_path: Path, shared_data: Path) -> None:
    with gzip.open(shared_data / "labelled_outputs_dev.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    fast = [row for row in rows if row["suite"] in ("gsm8k_2021", "qwen_gsm8k", "qwen_math_cot_100", "qwen_amc23")]
    file = write(tmp_path / "in.jsonl", [row for row in fast if row["gold"]])
    summary = grade(file, tmp_path / "out.jsonl", verifier="math_answer", workers=1)
    assert {suite: found.rows - found.agree for suite, found in summary.agreement.items()} == {
        "gsm8k_2021": 0,
        "qwen_gsm8k": 0,
        "qwen_amc23": 0,
        "qwen_math_cot_100": 1,  # the gold is written 10{,}000 and its label calls 10000 wrong
    }
