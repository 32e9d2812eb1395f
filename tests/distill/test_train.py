"""Training: the same student however it is split, stopped or laid out; impossible settings fail before it starts."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from distill.models.loading import head_rows, load_tokenizer, tokenizer_size
from distill.score import score
from distill.settings import ScoreConfig, TrainConfig
from distill.train import Diverged, train
from distill.training.trainer import Trainer
from generators.contract.stage_protocol import Runtime

PAIRS = [(f"{i} + {i}?", f"<think>\nTwice {i}.\n</think>\nIt is {2 * i}.") for i in range(24)]
Corpus = tuple[Path, Path]


@pytest.fixture
def student(save: Callable[..., str], make_model: Callable[..., Any], make_tokenizer: Callable[..., Any]) -> str:
    return save(make_model(0), make_tokenizer())


@pytest.fixture
def files(write_corpus: Callable[..., Path]) -> Corpus:
    return write_corpus(PAIRS, "train.parquet"), write_corpus(PAIRS[:4], "validation.parquet")


def config(student: str, **settings: Any) -> TrainConfig:
    usual = {"batch_tokens": 150, "learning_rate": 3e-3, "device": "cpu", "validate_every": 3}
    length = {} if "tokens" in settings else {"epochs": 2}
    return TrainConfig.model_validate({"student": student, **usual, **length, **settings})


def trained(files: Corpus, out: Path, settings: TrainConfig, targets: Path | None = None) -> dict[str, torch.Tensor]:
    out.mkdir(exist_ok=True)
    train(*files, targets, out, settings)
    return load_file(out / "model" / "model.safetensors")


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def targets_of(files: Corpus, teacher: str, folder: Path, top_k: int, **more: Any) -> Path:
    score(files, folder, ScoreConfig(teacher=teacher, top_k=top_k, temperatures=(1.0, 2.0), device="cpu", **more))
    return folder / "targets"


def assert_close(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], tolerance: float) -> None:
    assert set(ours) == set(theirs)
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], atol=tolerance, rtol=tolerance)


def assert_same_log(ours: Path, theirs: Path, tolerance: float) -> None:
    for line, other in zip(log(ours), log(theirs), strict=True):
        assert line.keys() == other.keys()
        for key, value in line.items():
            assert value is other[key] if value is None else value == pytest.approx(other[key], rel=tolerance), key


@pytest.mark.parametrize("soft_targets", ["none", "stored"])
def test_killed_and_resumed_is_the_same_to_the_bit(
    files: Corpus, student: str, teacher: str, tmp_path: Path, soft_targets: str, dying_bar: Callable[[int], Any]
) -> None:
    more = {} if soft_targets == "none" else {"alpha": 0.5, "temperature": 2.0}
    settings = config(student, soft_targets=soft_targets, checkpoint_every_s=0, **more)
    targets = targets_of(files, teacher, tmp_path / "score", 16) if more else None
    whole = trained(files, tmp_path / "whole", settings, targets)
    out = tmp_path / "killed"
    out.mkdir()
    for updates in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            train(*files, targets, out, settings, runtime=Runtime(progress=dying_bar(updates)))
    counts = train(*files, targets, out, settings)
    resumed = load_file(out / "model" / "model.safetensors")
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())
    assert log(out) == log(tmp_path / "whole")
    assert counts.tokens == log(out)[-1]["tokens"] and not (out / "checkpoint.pt").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint_and_the_same_command_ends_with_the_same_bits(
    files: Corpus, student: str, tmp_path: Path, number: signal.Signals, acting_bar: Callable[..., Any]
) -> None:
    settings = config(student)
    whole = trained(files, tmp_path / "whole", settings)
    out = tmp_path / "stopped"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(
            *files, None, out, settings, runtime=Runtime(progress=acting_bar(3, lambda: os.kill(os.getpid(), number)))
        )
    assert (out / "checkpoint.pt").exists() and log(out)[-1]["step"] == 3
    resumed = trained(files, out, settings)
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())
    assert log(out) == log(tmp_path / "whole")


def test_a_step_without_a_finite_gradient_is_skipped_counted_and_named(
    files: Corpus, student: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finite, steps = Trainer.gradients, []

    def gradients(self: Trainer, examples: Any) -> dict[str, float]:
        facts = finite(self, examples)
        steps.append(len(steps) + 1)
        if steps[-1] == 2 or steps[-1] > 4:
            next(self.model.parameters()).grad[0] = torch.nan
        return facts

    monkeypatch.setattr(Trainer, "gradients", gradients)
    with pytest.raises(Diverged, match=r"no finite gradient in 10 steps in a row, the last 14; .* names their rows"):
        trained(files, tmp_path / "out", config(student, epochs=6))
    lines = [line for line in log(tmp_path / "out") if "loss" in line]
    assert ["skipped" in line for line in lines] == [False, True, False, False] + [True] * 10
    assert lines[1]["skipped"][0].startswith("t") and lines[1]["grad_norm"] is None
    assert (tmp_path / "out" / "checkpoint.pt").exists()


def test_micro_batches_and_packing_change_nothing(files: Corpus, student: str, tmp_path: Path) -> None:
    whole = trained(files, tmp_path / "whole", config(student, micro_batch_tokens=10_000))
    split = trained(files, tmp_path / "split", config(student, micro_batch_tokens=60))
    packed = trained(files, tmp_path / "packed", config(student, layout="packed", sequence_tokens=200))
    assert_close(split, whole, 2e-4)
    assert_close(packed, whole, 2e-4)
    for name in ("split", "packed"):
        assert_same_log(tmp_path / name, tmp_path / "whole", 1e-3)


def test_stored_targets_with_the_whole_vocabulary_train_as_the_online_teacher_does(
    files: Corpus, student: str, teacher: str, tmp_path: Path
) -> None:
    soft = {"alpha": 0.3, "temperature": 2.0}
    every = targets_of(files, teacher, tmp_path / "score", tokenizer_size(load_tokenizer(teacher)))
    assert head_rows(teacher) > tokenizer_size(load_tokenizer(teacher))  # both ways cut padding rows
    stored = trained(files, tmp_path / "stored", config(student, soft_targets="stored", **soft), every)
    online = trained(files, tmp_path / "online", config(student, soft_targets="online", teacher=teacher, **soft))
    assert_close(stored, online, 5e-3)  # the store keeps 8 bits of a logit
    assert_same_log(tmp_path / "stored", tmp_path / "online", 1e-2)


@pytest.mark.parametrize("top_k", [0, 6])
def test_sampled_targets_train_nearly_as_the_online_teacher_does(
    files: Corpus, student: str, teacher: str, tmp_path: Path, top_k: int
) -> None:
    soft = {"alpha": 0.3, "temperature": 2.0, "divergence": "forward_kl", "soft_targets": "stored"}
    drawn = targets_of(files, teacher, tmp_path / "score", top_k, sampled=3000, sampled_temperature=2.0)
    first = trained(files, tmp_path / "first", config(student, **soft), drawn)
    online = trained(
        files, tmp_path / "online", config(student, **{**soft, "soft_targets": "online", "teacher": teacher})
    )
    assert_close(first, online, 2e-2)
    assert_same_log(tmp_path / "first", tmp_path / "online", 5e-2)
    with pytest.raises(ValueError, match=r"divergence is jsd, and .* has sampled targets, which estimate forward_kl"):
        trained(files, tmp_path / "jsd", config(student, **{**soft, "divergence": "jsd"}), drawn)


@pytest.fixture
def stranger(save: Callable[..., str], make_model: Callable[..., Any]) -> str:
    """Return the folder of a student with another tokenizer, template and end of turn."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|eot|>", "<|endoftext|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([answer for _, answer in PAIRS], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|eot|>")
    fast.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
    return save(make_model(3, vocab_size=300), fast)


def test_a_teacher_of_another_tokenizer_teaches_by_spans(
    files: Corpus, stranger: str, teacher: str, tmp_path: Path
) -> None:
    soft = {"alpha": 0.0, "soft_targets": "online", "teacher": teacher}
    with pytest.raises(ValueError, match=r'disagree on token 0: .*divergence = "span_kl"'):
        train(*files, None, tmp_path, config(stranger, **soft))
    with pytest.raises(ValueError, match=r"span_kl and soft_targets is stored"):
        config(stranger, alpha=0.5, soft_targets="stored", divergence="span_kl")
    spans = config(stranger, divergence="span_kl", checkpoint_every_s=0, **(soft | {"epochs": 6}))
    whole = trained(files, tmp_path / "whole", spans)
    measured = [line["val_kl"] for line in log(tmp_path / "whole") if "val_kl" in line]
    assert 0 < measured[-1] < 0.9 * measured[0]
    packed = spans.model_copy(update={"layout": "packed", "sequence_tokens": 200, "micro_batch_tokens": 300})
    assert_close(trained(files, tmp_path / "packed", packed), whole, 2e-3)
    assert_same_log(tmp_path / "packed", tmp_path / "whole", 1e-2)


def test_spans_with_one_tokenizer_train_as_forward_kl_does(
    files: Corpus, student: str, teacher: str, tmp_path: Path
) -> None:
    soft = {"alpha": 0.3, "temperature": 2.0, "soft_targets": "online", "teacher": teacher}
    plain = trained(files, tmp_path / "plain", config(student, **soft))
    assert_close(trained(files, tmp_path / "spans", config(student, divergence="span_kl", **soft)), plain, 1e-4)
    assert_same_log(tmp_path / "spans", tmp_path / "plain", 1e-3)


def test_alpha_one_measures_the_teacher_and_learns_from_labels_alone(
    files: Corpus, teacher: str, save: Any, make_model: Any, make_tokenizer: Any, tmp_path: Path
) -> None:
    tokenizer = make_tokenizer()  # no padding rows: a teacher cuts them from the softmax, plain SFT keeps them
    student = save(make_model(0, vocab_size=len(tokenizer)), tokenizer)
    targets = targets_of(files, teacher, tmp_path / "score", 16)
    plain = trained(files, tmp_path / "plain", config(student, tokens=500))
    measured = trained(files, tmp_path / "measured", config(student, tokens=500, soft_targets="stored"), targets)
    assert log(tmp_path / "measured")[1]["kl"] > 0 == log(tmp_path / "plain")[1]["kl"]
    assert all(torch.equal(weight, measured[name]) for name, weight in plain.items())


def test_it_learns_and_leaves_a_model_anyone_loads(files: Corpus, student: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    trained(files, out, config(student, epochs=12))
    measured = [line["val_ce"] for line in log(out) if "val_ce" in line]
    assert measured[-1] < 0.7 * measured[0]
    model, tokenizer = (kind.from_pretrained(out / "model") for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert model.config.vocab_size == head_rows(student) and tokenizer.chat_template


def test_dropped_rows_are_counted(
    write_corpus: Callable[..., Path], student: str, files: Corpus, tmp_path: Path
) -> None:
    long, empty = ("q", "a" * 300), [{"role": "user", "content": "no answer"}]
    corpus = write_corpus([*PAIRS, long, empty])
    counts = train(corpus, files[1], None, tmp_path, config(student, epochs=1, sequence_tokens=100))
    assert (counts.rows_in, counts.rows_kept) == (len(PAIRS) + 2, len(PAIRS))
    assert counts.dropped == {"no_assistant_turn": 1, "too_long": 1}


def test_impossible_settings_fail_before_training(
    files: Corpus, student: str, teacher: str, tmp_path: Path, make_tokenizer: Any, make_model: Any, save: Any
) -> None:
    empty = tmp_path / "empty.parquet"
    pl.read_parquet(files[0]).clear().write_parquet(empty)
    with pytest.raises(ValueError, match=r"empty.parquet has no row to train on"):
        train(empty, files[1], None, tmp_path, config(student))
    stored = config(student, soft_targets="stored", alpha=0.5)
    with pytest.raises(ValueError, match="run score first"):
        train(*files, None, tmp_path, stored)
    some = targets_of((files[1], files[1]), teacher, tmp_path / "score", 8)
    with pytest.raises(ValueError, match=r"no targets for 20 rows, first t4"):
        train(*files, some, tmp_path, stored)
    stranger = save(make_model(2), make_tokenizer(think="<reason>"))
    with pytest.raises(ValueError, match="another tokenizer"):
        train(*files, some, tmp_path, config(stranger, soft_targets="stored", alpha=0.5))
    with pytest.raises(ValueError, match=r"soft_targets must be stored or online"):
        config(student, alpha=0.5)
