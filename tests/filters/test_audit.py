import json
from pathlib import Path

import pytest

from filters.audit import ErrorRates, wilson
from filters.grade import audit_path, grade

ROWS = [
    {"gold": "1/2", "response": "\\boxed{0.5}", "label": True},
    {"gold": "7", "response": "\\boxed{7}", "label": True},
    {"gold": "7", "response": "\\boxed{8}", "label": False},
    {"gold": "x", "response": "\\boxed{x}"},
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_on_which_two_verifiers_differ_are_written_to_be_labelled(tmp_path: Path) -> None:
    summary = grade(write(tmp_path / "in.jsonl", ROWS), tmp_path / "out.jsonl", audit="exact", workers=1)
    assert summary.disagreements == 1
    assert summary.rates == {"math_answer": ErrorRates(0, 1, 0, 2), "exact": ErrorRates(0, 1, 1, 2)}
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == len(ROWS)
    (row,) = [json.loads(line) for line in audit_path(tmp_path / "out.jsonl").read_text().splitlines()]
    verdicts = {name: said["status"] for name, said in row.pop("verdicts").items()}
    assert (row, verdicts) == (ROWS[0], {"math_answer": "correct", "exact": "wrong"})


def test_labelled_disagreements_are_graded_as_any_file(tmp_path: Path) -> None:
    unlabelled = [{key: row[key] for key in ("gold", "response")} for row in ROWS]
    grade(write(tmp_path / "in.jsonl", unlabelled), tmp_path / "out.jsonl", audit="exact", workers=1)
    lines = [json.loads(line) for line in audit_path(tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["label"] for row in lines] == [None]
    labelled = write(tmp_path / "labelled.jsonl", [{**row, "label": True} for row in lines])
    assert grade(labelled, tmp_path / "again.jsonl", verifier="exact", workers=1).rates["exact"].wrong_refusals == 1


def test_a_verifier_is_not_audited_by_itself(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name another"):
        grade(write(tmp_path / "in.jsonl", ROWS), tmp_path / "out.jsonl", audit="math_answer")


@pytest.mark.parametrize(
    ("found", "of", "interval"),
    [(0, 10, (0.0, 0.2775)), (5, 10, (0.2366, 0.7634)), (10, 10, (0.7225, 1.0)), (0, 0, (0.0, 1.0))],
)
def test_intervals_are_wilsons(found: int, of: int, interval: tuple[float, float]) -> None:
    assert wilson(found, of) == pytest.approx(interval, abs=1e-4)


def test_a_leniency_is_an_option_of_the_verifier(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{"gold": "50", "response": "\\boxed{0.5}"}])
    strict = grade(file, tmp_path / "out.jsonl", workers=1)
    lenient = grade(file, tmp_path / "out.jsonl", options={"leniencies": ["percent"]}, workers=1)
    assert (strict.by_status, lenient.by_status) == ({"wrong": 1}, {"correct": 1})
    with pytest.raises(ValueError, match=r"leniencies = \['percents'\]: it must be a list of 'percent'"):
        grade(file, tmp_path / "out.jsonl", options={"leniencies": ["percents"]})
    with pytest.raises(ValueError, match="'exact' has no options; it was given 'leniencies'"):
        grade(file, tmp_path / "out.jsonl", verifier="exact", options={"leniencies": []})
