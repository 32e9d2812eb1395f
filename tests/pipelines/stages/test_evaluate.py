"""Scores of one model from one evaluation, or from one for each training seed."""

import json
from pathlib import Path
from typing import Any

import pytest

from generators.contract.errors import InputError
from generators.contract.files import frame, write_frame
from generators.contract.records import PROMPT, TRACE, VERDICT
from pipelines.stages.evaluate import write_scores

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
