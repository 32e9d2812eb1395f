"""Checkpoints of a training on several ranks: each writes its slices, and any number of ranks can go on from them.

A checkpoint is a folder of torch.distributed.checkpoint. It gets its name when it is whole, with a hash of each file;
the last two are kept. Weights and optimizer states are stored by name, so that one process and several read the same.
"""

import json
import shutil
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import Tensor
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor

from distill.parallel.ranks import Ranks
from generators.contract.errors import InputError

NAME, PREVIOUS = "checkpoint", "checkpoint.previous"
ADVANCE = "advance.json"  # steps and tokens done, bytes of the log, and a hash of each file
CHUNK = 2**24


def save_sharded(
    folder: Path, weights: dict[str, Tensor], optimizer: torch.optim.Optimizer, advance: dict[str, int], ranks: Ranks
) -> None:
    """Write the folder's checkpoint and keep the one before; all ranks call it."""
    partial = folder / (NAME + ".partial")
    if ranks.first:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    ranks.wait()
    save(_state(weights, optimizer), checkpoint_id=partial)
    torch.save(_random_state(), partial / f"random-{ranks.rank}.pt")
    ranks.wait()
    if ranks.first:
        hashes = {path.name: _hash(path) for path in sorted(partial.iterdir())}
        about = {"advance": advance, "ranks": ranks.count, "hashes": hashes}
        (partial / ADVANCE).write_text(json.dumps(about), encoding="utf-8")
        shutil.rmtree(folder / PREVIOUS, ignore_errors=True)
        if (folder / NAME).exists():
            (folder / NAME).rename(folder / PREVIOUS)
        partial.rename(folder / NAME)
    ranks.wait()


def load_sharded_checkpoint(
    folder: Path, weights: dict[str, Tensor], optimizer: torch.optim.Optimizer, ranks: Ranks
) -> dict[str, int] | None:
    """Restore weights and optimizer; return the checkpoint's `advance`, or None without one. All ranks call it.

    A damaged checkpoint is named on stderr and the one before is used; if no other is there, it is an InputError.
    """
    chosen, said = ranks.from_first(_choose(folder) if ranks.first else None)
    if said and ranks.first:
        print(said, file=sys.stderr)
    if chosen is None:
        if said:
            raise InputError(said)
        return None
    about = json.loads((chosen / ADVANCE).read_text(encoding="utf-8"))
    _prepare(weights, optimizer)
    state = _state(weights, optimizer)
    load(state, checkpoint_id=chosen)
    own = chosen / f"random-{ranks.rank}.pt"
    if about["ranks"] == ranks.count and own.exists():
        _restore_random(torch.load(own, weights_only=True))
    advance: dict[str, int] = about["advance"]
    return advance


def there_is_one(folder: Path) -> bool:
    """Return whether the folder has a checkpoint of several ranks."""
    return any((folder / name).exists() for name in (NAME, PREVIOUS))


def drop_sharded(folder: Path) -> None:
    """Remove the checkpoints of a finished run."""
    for name in (NAME, PREVIOUS, NAME + ".partial"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _choose(folder: Path) -> tuple[Path | None, str]:
    """Return the newest whole checkpoint, and what to say of a damaged one."""
    paths = [path for path in (folder / NAME, folder / PREVIOUS) if path.exists()]
    said = ""
    for path, after in zip_longest(paths, paths[1:]):
        if _whole(path):
            return path, said
        if after is None:
            return None, f"{path} is damaged, and there is no other checkpoint; remove it to train from the start"
        said = f"{path} is damaged; training goes on from {after.name}"
    return None, said


def _whole(path: Path) -> bool:
    try:
        hashes = json.loads((path / ADVANCE).read_text(encoding="utf-8"))["hashes"]
        return all(_hash(path / name) == digest for name, digest in hashes.items())
    except (OSError, ValueError, KeyError):
        return False


def _hash(path: Path) -> str:
    digest = xxhash.xxh3_64()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _state(weights: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return all tensors of a checkpoint, by name; loading writes into them."""
    state: dict[str, Any] = {f"model.{name}": weight.detach() for name, weight in weights.items()}
    for name, weight in weights.items():
        for key, value in optimizer.state.get(weight, {}).items():
            state[f"optimizer.{name}.{key}"] = value
    return state


def _prepare(weights: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    """Give AdamW an empty state for each weight, for loading into."""
    for weight in weights.values():
        own = weight.to_local() if isinstance(weight, DTensor) else weight
        optimizer.state[weight] = {
            "step": torch.zeros((), dtype=torch.float32, device=own.device),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else torch.empty(0, dtype=torch.uint8)
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _restore_random(saved: dict[str, Tensor]) -> None:
    torch.set_rng_state(saved["cpu"])
    if torch.cuda.is_available() and saved["cuda"].numel():
        torch.cuda.set_rng_state(saved["cuda"])
