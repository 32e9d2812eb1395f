"""Out of GPU memory: the step is taken with less, its gradient is the same, and what is left to change is named."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from distill.settings import TrainConfig
from distill.training.examples import Example
from distill.training.trainer import Trainer

Fits = Callable[[int, str], bool]  # from the tokens of a micro-batch and how activations are recomputed
HALVED = [f"micro_batch_tokens = {2**n}" for n in range(11, 4, -1)]  # from 4096 down to below the 40 of one document
FULL = 'activation_checkpointing = "full"'


def trainer_of(model: Any, **settings: Any) -> Trainer:
    config = TrainConfig.model_validate({"student": "student", "device": "cpu", "layout": "padded", **settings})
    trainer = Trainer(config, model.train(), lambda batch: None, None, 0)
    trainer.prepare()
    return trainer


def gradients(trainer: Trainer, examples: list[Example]) -> tuple[float, dict[str, torch.Tensor]]:
    loss = trainer.gradients(examples)["loss"]
    return loss, {name: weight.grad for name, weight in trainer.model.named_parameters() if weight.grad is not None}


def exhaust(monkeypatch: pytest.MonkeyPatch, fits: Fits) -> None:
    """Let each micro-batch that does not fit run out of memory in its backward pass."""
    real = Trainer.loss

    def loss(self: Trainer, batch: Any, denominator: float) -> Any:
        output = real(self, batch, denominator)
        if not fits(batch.token_ids.numel(), self.recomputed):
            output.loss.backward()  # gradients are there when memory ends
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return output

    monkeypatch.setattr(Trainer, "loss", loss)


@pytest.mark.parametrize(
    ("settings", "fits", "said"),
    [
        ({}, lambda tokens, recomputed: True, []),
        ({}, lambda tokens, recomputed: tokens <= 64, HALVED[:6]),
        ({}, lambda tokens, recomputed: tokens <= 40, HALVED),
        ({}, lambda tokens, recomputed: recomputed == "full", [*HALVED, FULL]),
        ({"micro_batch_tokens": 120}, lambda tokens, recomputed: recomputed == "full", [FULL]),
        ({"activation_checkpointing": "none"}, lambda tokens, recomputed: tokens <= 64, HALVED[:6]),
        ({"activation_checkpointing": "full"}, lambda tokens, recomputed: tokens <= 64, HALVED[:6]),
        ({"layout": "packed", "sequence_tokens": 40}, lambda tokens, recomputed: tokens <= 64, HALVED[:6]),
    ],
)
def test_a_step_that_runs_out_is_taken_with_less_and_has_the_same_gradient(
    settings: dict[str, Any],
    fits: Fits,
    said: list[str],
    make_model: Callable[..., Any],
    examples: list[Example],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loss, expected = gradients(trainer_of(make_model(0)), examples)
    exhaust(monkeypatch, fits)
    trainer = trainer_of(make_model(0), **settings)
    capsys.readouterr()
    loss_with_less, found = gradients(trainer, examples)
    printed = capsys.readouterr().err.splitlines()
    assert printed == [f"train: out of GPU memory; {change} from here on" for change in said]
    assert loss_with_less == pytest.approx(loss, rel=1e-6) and found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert_close(found[name], gradient, atol=1e-5, rtol=1e-4)
    gradients(trainer, examples)
    assert not capsys.readouterr().err  # it stays with what fits


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"micro_batch_tokens": 120},
        {"activation_checkpointing": "none"},
        {"micro_batch_tokens": 120, "activation_checkpointing": "full"},
    ],
)
def test_a_step_that_never_fits_raises_the_error(
    settings: dict[str, Any],
    make_model: Callable[..., Any],
    examples: list[Example],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exhaust(monkeypatch, lambda tokens, recomputed: False)
    with pytest.raises(torch.OutOfMemoryError):
        gradients(trainer_of(make_model(0), **settings), examples)


def test_compiled_layers_are_recomputed_in_part_before_they_are_in_full(
    make_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(make_model(0), micro_batch_tokens=8)
    monkeypatch.setattr(Trainer, "device", torch.device("cuda"))
    steps = []
    while (lower := trainer._with_less(40)) is not None:
        steps.append((lower(), torch._functorch.config.activation_memory_budget < 1))
    assert steps == [('activation_checkpointing = "selective"', True), (FULL, False)]


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({}, ("lora.rank", 16)),
        ({"lora": {}}, ("sequence_tokens", 4096)),
        ({"activation_checkpointing": "none"}, ("activation_checkpointing", "full")),
        ({"activation_checkpointing": "full"}, ("lora.rank", 16)),
        ({"micro_batch_tokens": 32768}, ("micro_batch_tokens", 16384)),
        ({"micro_batch_tokens": 12000}, ("micro_batch_tokens", 8192)),
        ({"micro_batch_tokens": 8192}, ("micro_batch_tokens", 4096)),
        ({"micro_batch_tokens": 1}, ("lora.rank", 16)),
        ({"micro_batch_tokens": 8192, "activation_checkpointing": "none"}, ("activation_checkpointing", "full")),
        ({"ranks": 2}, ("micro_batch_tokens", 8192)),
        ({"ranks": 2, "micro_batch_tokens": 8192}, ("activation_checkpointing", "full")),
        ({"ranks": 2, "micro_batch_tokens": 1, "activation_checkpointing": "full"}, ("ranks", 4)),
    ],
)
def test_the_key_to_change_is_one_that_was_not_tried(settings: dict[str, Any], advice: tuple[str, Any]) -> None:
    config = TrainConfig.model_validate({"student": "student", **settings})
    assert config.less_memory() == advice
    changed = {**settings}
    section, _, key = advice[0].partition(".")
    changed[section] = {key: advice[1]} if key else advice[1]
    assert TrainConfig.model_validate({"student": "student", **changed}).less_memory() != advice
