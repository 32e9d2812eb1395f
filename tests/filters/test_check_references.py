import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from filters.check_references import KINDS, check_references
from filters.verifiers import logic

REFERENCES = {
    "12": [],
    "\\frac{1}{2}": [],
    "[0, 1)": [],
    "She has 3*4 = 12\n#### 12": [],
    "": ["empty"],
    "   ": ["empty"],
    "\\frac{1}{": ["mangled", "unparsable"],
    "\\frac{}{2}": ["mangled", "unparsable"],
    "1, 2": ["multi-valued"],
    "3 \\pm 2\\sqrt{2}": ["multi-valued"],
    "0.050.6": ["mangled", "unparsable"],
    "\\omegat": ["mangled"],
    "5 &lt; 6": ["mangled", "unparsable"],
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


def mbpp(*lines: str) -> str:
    return json.dumps({"test_list": list(lines), "test_imports": [], "test_setup_code": ""})


def options(answer: object, *values: str) -> str:
    return json.dumps({"answer": answer, "options": values})


INSTRUCTION = '{"instruction_id_list": ["%s"], "kwargs": [{}]}'
BY_VERIFIER = [  # verifier, reference, kind of its first defect
    ("math_answer", "\\frac{1}{0}", ["mangled"]),
    ("math_answer", "1/0", ["mangled"]),
    ("math_answer", "see solution", ["empty"]),
    ("math_answer", "\\text{See the solution.}", ["empty"]),
    ("math_answer", "Answers may vary", ["empty"]),
    ("math_answer", "N/A", ["empty"]),
    ("math_answer", "1/10", []),
    ("math_answer", "None", ["empty"]),
    ("math_answer", "null", ["empty"]),
    ("math_answer", "NaN", ["empty"]),
    ("math_answer", "Proved.", ["empty"]),
    ("math_answer", "参见答案", ["empty"]),
    ("math_answer", "证明见解析", ["empty"]),
    ("math_answer", "略", ["empty"]),
    ("math_answer", "[image]", ["empty"]),
    ("math_answer", "None of these", []),
    ("math_answer", "无解", []),
    ("math_answer", "AC", []),
    ("math_answer", "x=2,3", ["multi-valued"]),
    ("exact", "None", []),
    ("exact", "see above", ["empty"]),
    ("exact", "the sea", []),
    ("judge", "proof omitted", ["empty"]),
    ("judge", "Paris", []),
    ("choice", "B", []),
    ("choice", "A or B", []),
    ("choice", "A, C", ["multi-valued"]),
    ("choice", "ACD", ["multi-valued"]),
    ("choice", options("E", "1", "2"), ["unparsable"]),
    ("choice", options("B", "1", "2"), []),
    ("choice", options("2", "1", "2"), []),
    ("choice", options(["A", "B"], "1", "2", "3"), ["multi-valued"]),
    ("think_format", "answer", []),
    ("think_format", "", []),
    ("think_format", "tags", ["unparsable"]),
    ("language", "whatever", []),
    ("instruction", INSTRUCTION % "punctuation:no_comma", []),
    ("instruction", INSTRUCTION % "punctuation:none", ["unparsable"]),
    ("code_tests", mbpp("assert f(1) == 2"), []),
    ("code_tests", mbpp("assert Solution().f(1) == 2"), []),
    ("code_tests", mbpp("assert f(1 =="), ["unparsable"]),
    ("code_tests", mbpp(), ["unparsable"]),
    ("code_tests", mbpp("# nothing"), ["unparsable"]),
    ("code_tests", mbpp("def test_it():\n    pass"), ["unparsable"]),
    ("code_tests", mbpp("import no_such_package", "assert f(1) == 2"), ["unparsable"]),
    ("code_tests", mbpp("f(1)"), ["unparsable"]),
    ("code_tests", json.dumps({"fn_name": "f", "inputs": [[1]], "outputs": [2]}), []),
    ("code_tests", json.dumps({"inputs": ["1"], "outputs": ["2"]}), []),
]


def test_defects_of_each_verifiers_references(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{"verifier": name, "reference": text} for name, text, _ in BY_VERIFIER])
    summary = check_references(file, tmp_path / "out.jsonl", workers=1)
    found = defects(tmp_path / "out.jsonl")
    seen = [(name, text, found.get(place, [])[:1]) for place, (name, text, _) in enumerate(BY_VERIFIER, 1)]
    assert seen == BY_VERIFIER
    unread = sum(bool({"empty", "mangled", "unparsable", "vacuous"} & set(kinds)) for kinds in found.values())
    assert summary.unreadable == summary.reasons.total() == unread > 10


def test_tests_that_every_program_passes_are_found(tmp_path: Path) -> None:
    skipped = mbpp("import pytest", "@pytest.mark.skip\ndef test_f():\n    assert f(1) == 2")
    tests = [mbpp("assert f(1) or True"), skipped]
    file = write(tmp_path / "in.jsonl", [{"verifier": "code_tests", "reference": text} for text in tests])
    summary = check_references(file, tmp_path / "out.jsonl", workers=1)
    assert (summary.faulty, summary.unreadable) == (2, 2)


def test_the_letters_of_a_reference_are_compared_with_the_options_of_its_prompt(tmp_path: Path) -> None:
    questions = ["Which?\nA. 1\nB. 2\nC. 3", "Which is right? (A) 1 (B) 2 (C) 3", "Which?\nA) 1, B) 2, C) 3"]
    rows: list[dict[str, Any]] = [
        {"question": text, "reference": letter} for text in questions for letter in ("C", "E", "3", "Z")
    ]
    rows += [{"messages": [{"role": "user", "content": questions[0]}], "reference": letter} for letter in "CE"]
    check_references(write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl", verifier="choice", workers=1)
    assert sorted(defects(tmp_path / "out.jsonl")) == [2, 4, 6, 8, 10, 12, 14]


def test_several_values_are_fine_and_the_table_fits_into_80_columns(tmp_path: Path) -> None:
    rows = [("choice", "AC"), ("choice", "A, C"), ("math_answer", "x=2,3"), ("think_format", "answer"), ("exact", "")]
    file = write(tmp_path / "in.jsonl", [{"verifier": name, "reference": text} for name, text in rows])
    summary = check_references(file, tmp_path / "out.jsonl", workers=1)
    assert (summary.faulty, summary.unreadable) == (1, 1)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary.table())
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines[0] == ["verifier", "all", "fine", *KINDS]
    assert lines[1:] == [
        ["choice", "2", "2", "0", "0", "0", "0", "0", "0", "2"],
        ["exact", "1", "0", "1", "0", "0", "0", "0", "0", "0"],
        ["math_answer", "1", "1", "0", "0", "0", "0", "0", "0", "1"],
        ["think_format", "1", "1", "0", "0", "0", "0", "0", "0", "0"],
    ]


def test_a_task_must_accept_the_answer_of_its_own_entry(tmp_path: Path) -> None:
    reasoning_gym = pytest.importorskip("reasoning_gym", reason="needs the extra `logic`")
    entry = reasoning_gym.create_dataset("countdown", size=1, seed=3)[0]
    rows = [logic.reference_of(entry), logic.reference_of({**entry, "answer": "no number"}), '{"a": 1}']
    file = write(tmp_path / "in.jsonl", [{"reference": reference} for reference in rows])
    check_references(file, tmp_path / "out.jsonl", verifier="logic", workers=1)
    assert defects(tmp_path / "out.jsonl") == {2: ["refused"], 3: ["unparsable"]}


def test_a_row_that_cannot_be_read_or_lacks_its_reference_is_counted(tmp_path: Path) -> None:
    lines = ['{"reference": "1"}', '{"reference": null}', '{"question": "?"}', "no JSON", '{"reference": ["A"]}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    summary = check_references(tmp_path / "in.jsonl", tmp_path / "out.jsonl", verifier="exact", workers=1)
    assert (summary.rows, summary.faulty) == (5, 3)
    assert defects(tmp_path / "out.jsonl") == {2: ["empty"], 3: ["empty"], 4: ["unparsable"]}


def test_only_so_many_references_are_checked_spread_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{"reference": "12" if i < 50 else ""} for i in range(100)])
    summary = check_references(file, tmp_path / "out.jsonl", verifier="math_answer", most=10, workers=1)
    assert (summary.rows, summary.unreadable) == (10, 5)
    assert sorted(defects(tmp_path / "out.jsonl")) == [51, 61, 71, 81, 91]


def test_options_reach_the_verifiers(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{"reference": mbpp("assert f(1) == 2"), "verifier": "code_tests"}])
    with pytest.raises(ValueError, match="code_tests"):
        check_references(file, tmp_path / "out.jsonl", options={"code_tests": {"no_such_option": 1}}, workers=1)


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
        ({"gold": "1"}, "no row has the field 'reference'; row 1 has 'gold'"),
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
