import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from filters.check_references import check_references

REFERENCES = {
    "12": [],
    "\\frac{1}{2}": [],
    "[0, 1)": [],
    "She has 3*4 = 12\n#### 12": [],
    "": ["empty"],
    "   ": ["empty"],
    "\\frac{1}{": ["mangled"],
    "\\frac{}{2}": ["mangled"],
    "1, 2": ["multi-valued"],
    "3 \\pm 2\\sqrt{2}": ["multi-valued"],
    "0.050.6": ["mangled"],
    "\\omegat": ["mangled"],
    "5 &lt; 6": ["mangled"],
}


def defects(path: Path) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        found.setdefault(row["row"], []).append(row["defect"])
    return found


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_defects_of_references_are_named_before_sampling(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{"gold": reference} for reference in REFERENCES])
    summary = check_references(file, tmp_path / "out.jsonl", verifier="math_answer", reference_field="gold", workers=1)
    found = defects(tmp_path / "out.jsonl")
    assert {reference: sorted(set(found.get(i, []))) for i, reference in enumerate(REFERENCES, 1)} == REFERENCES
    assert (summary.rows, summary.faulty) == (13, 7)
    assert summary.by_verifier["math_answer"]["multi-valued"] == 2


def test_a_deeply_nested_reference_does_not_stop_the_check(tmp_path: Path) -> None:
    rows = [{"reference": "[" * 100_000, "verifier": "exact"}, {"reference": "12", "verifier": "math_answer"}]
    summary = check_references(write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl", workers=1)
    assert (summary.rows, summary.by_verifier["exact"]["fine"], summary.by_verifier["math_answer"]["fine"]) == (2, 1, 1)


def test_prompts_as_the_stage_writes_them_name_their_own_verifiers(tmp_path: Path) -> None:
    rows = [
        {"prompt_id": "a", "verifier": "math_answer", "reference": "12"},
        {"prompt_id": "b", "verifier": "choice", "reference": "B"},
        {"prompt_id": "c", "verifier": "choice", "reference": "12"},
        {"prompt_id": "d", "verifier": None, "reference": None},
        {"prompt_id": "e", "verifier": "choice", "reference": '{"answer": "B", "options": ["1", "2"]}'},
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "prompts.parquet")
    summary = check_references(tmp_path / "prompts.parquet", tmp_path / "out.jsonl", workers=1)
    (line,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert (line["prompt_id"], line["defect"]) == ("c", "unparsable")
    assert line["reason"].startswith("the reference '12' is not a letter")
    assert (summary.rows, summary.faulty, summary.unverified) == (5, 1, 1)


REFUSING = """
from filters.verification.verdicts import wrong
def verify(item):
    return wrong("never")
"""


def test_a_verifier_that_refuses_its_own_reference_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "refusing_package").mkdir()
    (tmp_path / "refusing_package" / "__init__.py").touch()
    (tmp_path / "refusing_package" / "never.py").write_text(REFUSING)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = write(tmp_path / "in.jsonl", [{"reference": "12", "verifier": "refusing_package.never"}])
    check_references(file, tmp_path / "out.jsonl", workers=1)
    (line,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert (line["defect"], line["reason"]) == ("refused", "as an answer it is wrong: never")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"gold": "1"}, "row 1 has no field 'reference'; it has 'gold'"),
        ({"reference": "1"}, "no row names a verifier; say which with --verifier"),
        ({"reference": "1", "verifier": "exakt"}, "did you mean 'exact'"),
    ],
)
def test_a_file_that_cannot_be_checked_is_refused(tmp_path: Path, row: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_references(write(tmp_path / "in.jsonl", [row]), tmp_path / "out.jsonl")


def test_every_reference_of_the_benchmarks_is_accepted_by_its_verifier(tmp_path: Path, shared_data: Path) -> None:
    references = [
        json.loads(line).get("answer")
        for name in ("math500", "aime24", "amc23")
        for path in sorted((shared_data / "benchmarks").glob(f"*{name}*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    file = write(tmp_path / "in.jsonl", [{"gold": reference} for reference in references if reference is not None])
    summary = check_references(file, tmp_path / "out.jsonl", verifier="math_answer", reference_field="gold")
    assert summary.rows > 500
    assert not summary.by_verifier["math_answer"].keys() & {"refused", "unparsable"}
