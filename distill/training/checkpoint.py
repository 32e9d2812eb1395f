"""Checkpoints of a training run: all state that decides how it goes on, written atomically, the last two of them."""

import os
import random
import signal
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch

from generators.contract.errors import InputError
from generators.contract.files import replace_durably

NAME, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"


class Weights(Protocol):
    """The weights that the optimizer works on: a model, or the masters of one."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, saved: Any) -> Any: ...


def save_checkpoint(folder: Path, weights: Weights, optimizer: torch.optim.Optimizer, advance: dict[str, int]) -> None:
    """Write the folder's checkpoint and keep the one before. `advance`: steps and tokens done, bytes of the log."""
    partial = folder / (NAME + ".partial")
    torch.save(
        {
            "advance": advance,
            "model": weights.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": {"torch": torch.get_rng_state(), "cuda": _cuda_states()},
        },
        partial,
    )
    if (folder / NAME).exists():
        (folder / NAME).replace(folder / PREVIOUS)
    replace_durably(partial, folder / NAME)


def load_checkpoint(folder: Path, weights: Weights, optimizer: torch.optim.Optimizer) -> dict[str, int] | None:
    """Restore weights, optimizer and random generators; return the checkpoint's `advance`, or None without one.

    A damaged checkpoint is named on stderr and the one before is used; if no other is there, it is an InputError.
    """
    paths = [path for path in (folder / NAME, folder / PREVIOUS) if path.exists()]
    for path, after in zip_longest(paths, paths[1:]):
        saved = _read(path)
        if saved is not None:
            return _restore(saved, weights, optimizer)
        if after is None:
            raise InputError(f"{path} is damaged, and there is no other checkpoint; remove it to train from the start")
        print(f"{path} is damaged; training goes on from {after.name}", file=sys.stderr)
    return None


def _read(path: Path) -> dict[str, Any] | None:
    """Return a checkpoint's contents; None if a byte of them is missing or fails its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return saved
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError):
        return None


def _restore(saved: dict[str, Any], weights: Weights, optimizer: torch.optim.Optimizer) -> dict[str, int]:
    weights.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["random"]["torch"])
    if torch.cuda.is_available() and saved["random"]["cuda"]:
        torch.cuda.set_rng_state_all(saved["random"]["cuda"])
    advance: dict[str, int] = saved["advance"]
    return advance


def refuse_other_form(folder: Path) -> None:
    """Raise InputError if the folder's last checkpoint is that of one process, which several do not read."""
    if (folder / NAME).exists():
        raise InputError(
            f"{folder / NAME} was written by a training on one process; go on with train.ranks = 1, or remove it"
        )


def drop_checkpoint(folder: Path) -> None:
    """Remove the checkpoints of a finished run."""
    for name in (NAME, PREVIOUS, NAME + ".partial"):
        (folder / name).unlink(missing_ok=True)


class Stop:
    """A request to stop that SIGINT or SIGTERM made: `asked` is read between two steps."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Remember a first signal; a second one stops at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stopping() -> Iterator[Stop]:
    """Hold SIGINT and SIGTERM back until the step ends. Outside the main thread, signals are left as they are."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    kept = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seed every generator that a model's dropout or initialization may draw from.

    deterministic: let a GPU take operations whose result does not depend on the order of its threads.
    """
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _cuda_states() -> list[torch.Tensor]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
