"""The toy recipe end to end at a reduced size: kills, shards and executors do not change its results."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

DISTILL = [sys.executable, "-c", "from pipelines.cli.main import main; raise SystemExit(main())"]
SMALL = [
    *("prompts.count=30", "generate.sampling.n=3", "train.tokens=6000", "score.top_k=16"),
    *("evaluate.prompts.count=30", "evaluate.sampling.n=2", "corpus.validation_fraction=0.2"),
]


def distill(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*DISTILL, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def manifests(run: Path) -> dict[str, dict[str, Any]]:
    return {str(p.parent.relative_to(run)): json.loads(p.read_text()) for p in sorted(run.rglob("manifest.json"))}


def verdicts(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "verify" / "verdicts.parquet").drop("seconds")


def traces(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "generate" / "traces.parquet", columns=["trace_id", "prompt_id"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    distill(folder, "run", "toy", *SMALL)
    return folder / "runs" / "toy"


def test_every_stage_is_complete_and_adds_up(finished: Path) -> None:
    found = manifests(finished)
    students = ("sft_unfiltered", "sft_rejection", "kl")
    expected = {"prompts", "generate", "verify", "select", "corpus", "score", *(f"train/{s}" for s in students)}
    expected |= {f"evaluate/{model}" for model in ("teacher", "start", *students)}
    assert expected <= set(found)
    for stage, manifest in found.items():
        counts = manifest["counts"]
        assert counts["rows_in"] == counts["rows_kept"] + sum(counts["dropped"].values()), stage
    assert found["generate"]["counts"]["rows_in"] == 90
    assert found["verify"]["counts"]["rows_in"] == 90
    assert found["select"]["counts"]["rows_kept"] == found["corpus"]["counts"]["rows_in"]


def test_the_report_holds_every_model(finished: Path) -> None:
    html = (finished / "report" / "report.html").read_text()
    for label in (
        "teacher",
        "student before",
        "SFT on unfiltered traces",
        "SFT on rejection-sampled traces",
        "SFT + KL",
    ):
        assert label in html
    assert "http://" not in html.replace("http://www.w3.org", "") and "<script src" not in html


def test_students_are_in_hugging_face_form_and_changed(finished: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = finished / "train" / "kl" / "model"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    start = AutoModelForCausalLM.from_pretrained(Path(__file__).parent.parent / "generators/toy/student")
    assert tokenizer.chat_template
    assert any(not (a == b).all() for a, b in zip(model.parameters(), start.parameters(), strict=True))


def test_no_training_question_is_an_evaluation_question(finished: Path) -> None:
    asked = set(pl.read_parquet(finished / "prompts" / "prompts.parquet")["prompt_id"])
    assert not asked & set(pl.read_parquet(finished / "prompts" / "eval_prompts.parquet")["prompt_id"])


def test_the_second_run_does_nothing(finished: Path) -> None:
    before = {stage: manifest["run_id"] for stage, manifest in manifests(finished).items()}
    done = distill(finished.parent.parent, "run", "toy", *SMALL)
    assert {stage: manifest["run_id"] for stage, manifest in manifests(finished).items()} == before
    assert done.stderr.count("finished before, skipped") == len(before)


def test_a_changed_setting_reruns_exactly_what_depends_on_it(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "runs" / "toy")
    done = distill(tmp_path, "run", "toy", *SMALL, "select.max_per_prompt=1", "--until", "corpus")
    for stage in ("prompts", "generate", "verify"):
        assert f"{stage}: finished before, skipped" in done.stderr
    assert "select: runs again (max_per_prompt 4 -> 1)" in done.stderr
    assert "corpus: runs again (made from select, which ran again)" in done.stderr


def test_more_samples_pay_only_for_the_new_ones(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "runs" / "toy")
    distill(tmp_path, "run", "toy", *SMALL, "generate.sampling.n=4", "--until", "generate")
    notes = manifests(tmp_path / "runs" / "toy")["generate"]["counts"]["notes"]
    assert (notes["reused"], notes["sampled"]) == (90, 30)


def test_killed_and_resumed_equals_uninterrupted(finished: Path, tmp_path: Path) -> None:
    """After SIGKILL at random moments, the same command gives the same ids, verdicts and corpus bytes."""
    command = [*DISTILL, "run", "toy", *SMALL, "--until", "corpus"]
    dice = random.Random(0)
    for _ in range(4):
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True) as run:
            time.sleep(dice.uniform(2, 9))
            os.killpg(run.pid, signal.SIGKILL)
    distill(tmp_path, "run", "toy", *SMALL, "--until", "corpus")
    resumed = tmp_path / "runs" / "toy"
    assert verdicts(resumed).equals(verdicts(finished))
    for name in ("train", "validation", "unfiltered"):
        file = f"corpus/{name}.parquet"
        assert (resumed / file).read_bytes() == (finished / file).read_bytes()


def test_ray_gives_the_same_as_local(finished: Path, tmp_path: Path) -> None:
    ray = ["execution.executor=ray", "execution.workers=2", "execution.cpus_per_worker=0.5"]
    distill(tmp_path, "run", "toy", *SMALL, *ray, "--until", "corpus")
    assert verdicts(tmp_path / "runs" / "toy").equals(verdicts(finished))
    assert (tmp_path / "runs/toy/corpus/train.parquet").read_bytes() == (finished / "corpus/train.parquet").read_bytes()


def test_adaptive_sampling_from_recipe_to_report(tmp_path: Path) -> None:
    command = ["run", "toy-adaptive", "prompts.count=24", "generate.sampling.n=5", "generate.adaptive.max_samples=8"]
    distill(tmp_path, *command)
    run = tmp_path / "runs" / "toy-adaptive"
    counts = manifests(run)["generate"]["counts"]
    note = counts["notes"]["adaptive"]["embedded:teacher"]
    rates = pl.read_parquet(run / "generate" / "pass_rates.parquet")
    assert counts["rows_kept"] == note["samples"] == rates["samples"].sum() < note["samples_most"]
    assert counts["rows_in"] == counts["rows_kept"] + note["surplus"] <= 5 * 24
    correct = verdicts(run).filter(status="correct").join(traces(run), on="trace_id")
    by_prompt = correct.group_by("prompt_id").len().rename({"len": "verified"})
    joined = rates.join(by_prompt, on="prompt_id", how="left").with_columns(pl.col("verified").fill_null(0))
    assert joined["correct"].equals(joined["verified"].cast(pl.Int32), check_names=False)  # one verifier, twice
    assert rates.filter(outcome="solved")["distinct"].unique().to_list() == [2]
    html = (run / "report" / "report.html").read_text()
    assert "Adaptive sampling" in html and "unbiased" in html
    again = distill(tmp_path, *command, "--redo", "generate", "--until", "generate")
    assert "generate: runs again (asked to)" in again.stderr
    assert manifests(run)["generate"]["counts"]["notes"]["sampled"] == 0
    refused = [*DISTILL, "run", "toy-adaptive", "generate.adaptive.correct=99"]
    done = subprocess.run(refused, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode and "correct is 99, which max_samples = 24 never reaches" in done.stderr


def test_an_ablation_shares_corpus_and_soft_targets(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "runs" / "toy")
    done = distill(tmp_path, "ablate", "toy", *SMALL, "train.alpha=0.5,1", "train.temperature=1,2")
    run = tmp_path / "runs" / "toy"
    cells = json.loads((run / "ablate" / "cells.json").read_text())
    assert [cell["values"]["train.alpha"] for cell in cells] == [0.5, 0.5, 1, 1]
    assert all(0 <= cell["scores"]["pass@1"] <= 1 for cell in cells)
    assert "score: finished before, skipped" in done.stderr
    assert "alpha" in (run / "report" / "report.html").read_text()
