"""Scores of one model from one evaluation, or from one for each training seed."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from generators.contract.errors import InputError
from generators.contract.files import frame, write_frame
from generators.contract.records import PROMPT, TRACE, VERDICT
from generators.contract.stage_protocol import StageCounts
from pipelines.stages.evaluate import write_scores
from pipelines.standalone import run_stage

Right = dict[str, list[bool]]  # source of a problem -> whether each of its samples is correct


def problems(folder: Path, sources: Right) -> Path:
    rows = [{"prompt_id": name, "messages": [{"role": "user", "content": name}], "source": name} for name in sources]
    write_frame(frame(rows, PROMPT), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def evaluated(folder: Path, right: Right) -> Path:
    """Write the traces and verdicts of one evaluation; a wrong answer is the same one every time."""
    samples = [(f"{name}-{i}", name, correct) for name, found in right.items() for i, correct in enumerate(found)]
    traces = [
        {
            "trace_id": trace_id,
            "prompt_id": name,
            "answer": f"\\boxed{{{int(correct)}}}",
            "finish_reason": "stop" if correct else "length",
            "completion_tokens": 10,
        }
        for trace_id, name, correct in samples
    ]
    verdicts = [{"trace_id": trace_id, "status": "correct" if right else "wrong"} for trace_id, _, right in samples]
    write_frame(frame(traces, TRACE), folder / "traces.parquet")
    write_frame(frame(verdicts, VERDICT), folder / "verdicts.parquet")
    return folder


def scored(folder: Path, *runs: Right) -> dict[str, Any]:
    prompts = problems(folder, runs[0])
    folders = [evaluated(folder / f"seed-{i}", run) for i, run in enumerate(runs)]
    write_scores(folders, prompts, folder)
    scores: dict[str, Any] = json.loads((folder / "scores.json").read_text())
    return scores


def test_scores_are_figures_alone(tmp_path: Path) -> None:
    scores = scored(tmp_path, {"a": [True, True, False, True], "b": [False, False, True, False]})
    assert (scores["pass@1"], scores["cons@k"], scores["k"]) == (0.5, 0.5, 4)
    assert (scores["problems"], scores["samples"], scores["truncated"]) == (2, 4, 4)
    assert {name: group["pass@1"] for name, group in scores["by_group"].items()} == {"a": 0.75, "b": 0.25}
    assert not {"name", "label", "train_tokens"} & scores.keys()


def test_seeds_are_averaged_over_the_same_problems(tmp_path: Path) -> None:
    scores = scored(tmp_path, {"a": [True, True], "b": [False, True]}, {"a": [False, True], "b": [False, False]})
    assert scores["pass@1_by_seed"] == [0.75, 0.25] and scores["pass@1"] == 0.5
    assert (scores["seeds"], scores["k"], scores["samples"], scores["cons@k"]) == (2, 2, 4, None)


def test_an_evaluation_without_problems_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prompts\.parquet holds no problem to evaluate on"):
        scored(tmp_path, {})


SHAPES = {  # files of tests/data/imports -> the verifier that their references need
    "question_short_answer.jsonl": "math_answer",
    "openr1_math.jsonl": "math_answer",
    "deepmath.jsonl": "math_answer",
    "verl.jsonl": "math_answer",
    "rows.parquet": "exact",
    "table.csv": "exact",
    "packed.jsonl.gz": "exact",
    "own_traces": "math_answer",
    "corpus.jsonl": "math_answer",
}


@pytest.mark.parametrize("name", SHAPES)
def test_problems_are_read_from_files_of_any_form(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(prompts: Path, out: Path, config: Any, *, runtime: Any) -> StageCounts:
        rows = [
            {"trace_id": f"t{i}", "prompt_id": row["prompt_id"], "answer": f"It is \\boxed{{{row['reference']}}}."}
            for i, row in enumerate(pl.read_parquet(prompts).filter(pl.col("drop_reason").is_null()).to_dicts())
        ]
        traces = [{**row, "sample_index": 0, "finish_reason": "stop", "completion_tokens": 1} for row in rows]
        write_frame(frame(traces, TRACE), out / "traces.parquet")
        return StageCounts(len(traces), len(traces))

    monkeypatch.setattr("pipelines.stages.evaluate.generate", answers)
    file = Path(__file__).parents[2] / "data" / "imports" / name
    asked, said = [f"prompts.verifier={SHAPES[name]}"], list[str]()
    for expected in ("starts", "finished before, skipped"):
        run_stage("evaluate", {"prompts": file}, tmp_path / "e", asked, model="embedded:student", say=said.append)
        assert f"prompts (e/problems): {expected}" in said and f"evaluate (e): {expected}" in said
    assert json.loads((tmp_path / "e" / "scores.json").read_text())["problems"] > 0
    made = pl.read_parquet(tmp_path / "e" / "problems" / "prompts.parquet")
    assert set(made["verifier"]) == {SHAPES[name]} and made["reference"].drop_nulls().len()
    verdicts = pl.read_parquet(tmp_path / "e" / "verdicts.parquet")
    assert "correct" in verdicts["status"].to_list()


def test_problems_without_a_verifier_say_which_key_to_set(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    with pytest.raises(InputError, match=r"p\.jsonl: no problem names a verifier; .*prompts.verifier=math_answer"):
        run_stage("evaluate", {"prompts": tmp_path / "p.jsonl"}, tmp_path / "e", model="embedded:student", say=str)
    with pytest.raises(InputError, match=r"--prompts: .*p\.jsonl is not a parquet file"):
        run_stage("generate", {"prompts": tmp_path / "p.jsonl"}, tmp_path / "g", ["engine=toy"], say=str)
