"""Curves: every step is shown once, also after a stop; wrong names of places are told before training."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from distill.settings import TrainConfig
from distill.train import train
from distill.training import reports
from distill.training.speed import matmul_rate
from generators.contract.errors import RecipeError
from generators.contract.stage_protocol import Runtime

PAIRS = [(f"{i} + {i}?", f"<think>\nTwice {i}.\n</think>\nIt is {2 * i}.") for i in range(16)]
STEP = {
    "loss",
    "ce",
    "grad_norm",
    "learning_rate",
    "tokens_per_s",
    "mfu",
    "memory_gib",
    "fill",
    "mean_tokens",
    "longest",
}


@pytest.fixture
def run(
    save: Callable[..., str], make_model: Callable[..., Any], make_tokenizer: Callable[..., Any],
    write_corpus: Callable[..., Path], tmp_path: Path,
) -> Callable[..., Path]:  # fmt: skip
    student = save(make_model(0), make_tokenizer())
    files = write_corpus(PAIRS, "train.parquet"), write_corpus(PAIRS[:3], "validation.parquet")

    def run(runtime: Runtime | None = None, **settings: Any) -> Path:
        usual = {"batch_tokens": 150, "device": "cpu", "epochs": 1, "validate_every": 2, "checkpoint_every_s": 0}
        config = TrainConfig.model_validate({"student": student, **usual, **settings})
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        train(*files, None, out, config, **({"runtime": runtime} if runtime else {}))
        return out

    return run


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_a_stopped_and_resumed_training_shows_each_step_once(
    run: Callable[..., Path], dying_bar: Callable[[int], Any]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(runtime=Runtime(progress=dying_bar(3)))
    time.sleep(1.1)  # event files of the same second are read in the order of their names
    out = run()
    shown = curves(out / "tensorboard")
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    assert [step for step, _ in shown["train/loss"]] == [step for step, _ in losses]
    assert [value for _, value in shown["train/loss"]] == pytest.approx([value for _, value in losses])
    assert {f"train/{name}" for name in STEP} < shown.keys() and "validation/ce" in shown
    assert all(0 < value <= 1 for _, value in shown["train/fill"])
    assert all(value > 0 for _, value in shown["train/mfu"])


def test_the_formula_of_the_mfu_is_printed_with_its_rate(
    run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run(report_to=[])
    said = capsys.readouterr().err
    assert "MFU = operations / seconds / " in said and "6 n x " in said
    assert matmul_rate(torch.device("cpu"), torch.float32, 2) > 1e8


def test_nothing_is_shown_where_none_is_asked_for(run: Callable[..., Path]) -> None:
    assert not (run(report_to="none") / "tensorboard").exists()


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("tb", ("tensorboard",)),
        (["TensorBoard", "wandb.ai"], ("tensorboard", "wandb")),
        ("Weights & Biases", ("wandb",)),
    ],
)
def test_names_that_people_type_are_understood(given: Any, names: tuple[str, ...]) -> None:
    assert TrainConfig(student="x", report_to=given).report_to == names


@pytest.mark.parametrize("given", ["mlflow", ["tensorboard", 3], 7])
def test_other_places_are_refused_with_those_there_are(given: Any) -> None:
    with pytest.raises(ValidationError):
        TrainConfig(student="x", report_to=given)


def test_a_place_that_is_not_installed_is_told_before_training(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "find_spec", lambda name: None if name == "trackio" else object())
    with pytest.raises(RecipeError, match="trackio is not installed: pip install trackio"):
        run(report_to=["tensorboard", "trackio"])
