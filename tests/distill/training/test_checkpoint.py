"""Checkpoints: the last two are kept, damage is found by checksum and named, a signal waits for the end of a step."""

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from distill.training.checkpoint import NAME, PREVIOUS, drop_checkpoint, load_checkpoint, save_checkpoint, stopping
from generators.contract.errors import InputError


def state(seed: int) -> tuple[nn.Linear, torch.optim.AdamW]:
    torch.manual_seed(seed)
    model = nn.Linear(64, 64)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.randn(3, 64)).sum().backward()
    optimizer.step()
    return model, optimizer


def saved_twice(folder: Path) -> nn.Linear:
    first, optimizer = state(1)
    save_checkpoint(folder, first, optimizer, {"step": 1})
    second, optimizer = state(2)
    save_checkpoint(folder, second, optimizer, {"step": 2})
    return first


def test_without_a_checkpoint_there_is_nothing_to_restore(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, *state(0)) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "garbled"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = saved_twice(tmp_path)
    data = bytearray((tmp_path / NAME).read_bytes())
    flip = data.find(state(2)[0].weight.detach().numpy().tobytes()[:64])
    assert flip > 0
    data[flip] ^= 1
    cases = {"cut": data[: len(data) // 2], "flipped": data, "emptied": b"", "garbled": b"x" * len(data)}
    (tmp_path / NAME).write_bytes(cases[damage])
    model, optimizer = state(3)
    assert load_checkpoint(tmp_path, model, optimizer) == {"step": 1}
    assert torch.equal(model.weight, first.weight)
    assert f"{tmp_path / NAME} is damaged; training goes on from {PREVIOUS}" in capsys.readouterr().err


def test_two_damaged_checkpoints_are_an_error_that_names_one(tmp_path: Path) -> None:
    saved_twice(tmp_path)
    for name in (NAME, PREVIOUS):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"checkpoint\.previous\.pt is damaged, and there is no other checkpoint"):
        load_checkpoint(tmp_path, *state(3))


def test_a_kill_between_the_two_renames_leaves_the_one_before(tmp_path: Path) -> None:
    saved_twice(tmp_path)
    (tmp_path / NAME).unlink()
    assert load_checkpoint(tmp_path, *state(3)) == {"step": 1}
    drop_checkpoint(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_step_and_a_second_one_does_not(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stopping() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert stop.asked
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
