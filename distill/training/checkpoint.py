"""Checkpoints of a training run: all state that decides how it goes on, written atomically."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generators.contract.files import replace_durably

NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, model: Any, optimizer: torch.optim.Optimizer, advance: dict[str, int]) -> None:
    """Replace the folder's checkpoint. `advance`: steps and tokens done, bytes of the log."""
    partial = folder / (NAME + ".partial")
    torch.save(
        {
            "advance": advance,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": {"torch": torch.get_rng_state(), "cuda": _cuda_states()},
        },
        partial,
    )
    replace_durably(partial, folder / NAME)


def load_checkpoint(folder: Path, model: Any, optimizer: torch.optim.Optimizer) -> dict[str, int] | None:
    """Restore model, optimizer and random generators from the checkpoint; return its `advance`, or None without one."""
    path = folder / NAME
    if not path.exists():
        return None
    saved = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["random"]["torch"])
    if torch.cuda.is_available() and saved["random"]["cuda"]:
        torch.cuda.set_rng_state_all(saved["random"]["cuda"])
    advance: dict[str, int] = saved["advance"]
    return advance


def drop_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a finished run."""
    (folder / NAME).unlink(missing_ok=True)


def seed_everything(seed: int) -> None:
    """Seed every generator that a model's dropout or initialization may draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _cuda_states() -> list[torch.Tensor]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
