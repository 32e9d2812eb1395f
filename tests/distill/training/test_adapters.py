"""Adapters and frozen parts: only what should be trained changes, and what is saved is what was trained."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import AutoModelForCausalLM

from distill.models.loading import load_model
from distill.score import score
from distill.settings import ScoreConfig, TrainConfig
from distill.train import train
from generators.contract.errors import InputError, RecipeError
from generators.contract.stage_protocol import Runtime

peft = pytest.importorskip("peft")
PAIRS = [(f"{i} + {i}?", f"<think>\nTwice {i}.\n</think>\nIt is {2 * i}.") for i in range(12)]
Run = Callable[..., dict[str, torch.Tensor]]


@pytest.fixture
def student(save: Callable[..., str], make_model: Callable[..., Any], make_tokenizer: Callable[..., Any]) -> str:
    return save(make_model(0), make_tokenizer())


@pytest.fixture
def run(student: str, write_corpus: Callable[..., Path], tmp_path: Path) -> Run:
    corpus = write_corpus(PAIRS, "train.parquet")

    def run(name: str, targets: Path | None = None, runtime: Runtime | None = None, **settings: Any) -> Any:
        usual = {"batch_tokens": 150, "learning_rate": 3e-3, "device": "cpu", "epochs": 1}
        config = TrainConfig.model_validate({"student": student, **usual, **settings})
        (tmp_path / name).mkdir(exist_ok=True)
        train(corpus, None, targets, tmp_path / name, config, **({"runtime": runtime} if runtime else {}))
        return load_file(tmp_path / name / "model" / "model.safetensors")

    return run


def test_the_saved_model_is_the_base_with_the_saved_adapters(run: Run, student: str, tmp_path: Path) -> None:
    trained = run("out", lora={"rank": 4})
    base = load_file(Path(student) / "model.safetensors")
    changed = {name for name, weight in trained.items() if not torch.equal(weight, base[name])}
    assert trained.keys() == base.keys()
    assert changed and all("_proj" in name and name.endswith("weight") for name in changed)
    ids = torch.tensor([[7, 8, 9, 10]])
    with torch.no_grad():
        adapted = peft.PeftModel.from_pretrained(
            load_model(student, torch.float32, torch.device("cpu")), tmp_path / "out" / "adapter"
        )
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model")
        assert_close(merged(input_ids=ids).logits, adapted(input_ids=ids).logits, atol=1e-3, rtol=1e-4)


def test_packed_and_padded_rows_train_the_same_adapters(run: Run) -> None:
    padded, packed = (
        run(layout, layout=layout, lora={"targets": ["q_proj", "down_proj"]}) for layout in ("padded", "packed")
    )
    for name, weight in padded.items():
        assert_close(weight, packed[name], atol=1e-5, rtol=1e-5)


def test_stopped_and_resumed_adapters_are_the_same_to_the_bit(run: Run, dying_bar: Callable[..., Any]) -> None:
    settings = {"lora": {"dropout": 0.2}, "checkpoint_every_s": 0}
    whole = run("whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", runtime=Runtime(progress=dying_bar(3)), **settings)
    resumed = run("stopped", **settings)
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())


def test_adapters_learn_from_stored_targets(
    run: Run, student: str, write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = write_corpus(PAIRS, "scored.parquet"), write_corpus(PAIRS[:2], "held_out.parquet")
    score(corpus, tmp_path / "score", ScoreConfig(teacher=student, temperatures=(1.0,), device="cpu"))
    hard = run("hard", lora={})
    soft = run("soft", tmp_path / "score" / "targets", lora={}, soft_targets="stored", alpha=0.0)
    assert any(not torch.equal(weight, soft[name]) for name, weight in hard.items())


def test_frozen_weights_stay_as_they_are(run: Run, student: str) -> None:
    trained, base = run("out", freeze=["*embed*", "model.layers.0.*"]), load_file(Path(student) / "model.safetensors")
    for name, weight in trained.items():
        frozen = "embed" in name or "layers.0." in name
        assert torch.equal(weight, base[name]) == frozen, name


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"freeze": ["model.layer.*"]}, r'no weight is called "model.layer\.\*"; the model has model.embed_tokens'),
        ({"freeze": ["*"]}, "leaves no weight to train"),
        ({"lora": {"targets": ["query"]}}, "train.lora.targets is .'query'."),
        ({"lora": {"targets": "query"}}, "train.lora.targets is query"),
    ],
)
def test_a_wrong_choice_of_weights_is_told_by_name(run: Run, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run("out", **settings)


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_four_bits_without_the_package_say_what_to_install(run: Run) -> None:
    with pytest.raises(RecipeError, match=r"pip install \"distill-toolkit\[qlora\]\""):
        run("out", lora={"quantize": "nf4"})


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_adapters_beside_weights_in_four_bits_are_merged_into_the_whole_ones(run: Run, student: str) -> None:
    trained, base = run("out", lora={"quantize": "nf4"}), load_file(Path(student) / "model.safetensors")
    moved = [float((weight - base[name]).abs().max()) for name, weight in trained.items()]
    assert 0 < max(moved) < 0.5  # what 4 bits round away would move each weight
    assert all(torch.equal(weight, base[name]) for name, weight in trained.items() if "_proj" not in name)
