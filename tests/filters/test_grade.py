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
        ('{"gold": "1", "response": "1"}\n{"gold": "1"', "row 2: not valid JSON"),
        ("[1, 2]\n", "row 1: a row is a JSON object, this is int 1"),
        (
            '{"gold": "1", "response": "1"}\n{"gold": "1", "output": "1"}\n',
            "row 2 has no field 'response'; it has 'gold', ",
        ),
        ('{"gold": null, "response": "1"}\n', "row 1, field 'gold' is a NoneType"),
        ('{"gold": "1", "response": {"text": "1"}}\n', "row 1, field 'response' is a dict"),
        ("\n", "it has no rows to grade"),
    ],
)
def test_bad_files_are_refused_before_grading(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "in.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        graded(tmp_path / "in.jsonl", tmp_path)
    assert str(tmp_path / "in.jsonl") in str(caught.value)
    assert not (tmp_path / "out.jsonl").exists()


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
