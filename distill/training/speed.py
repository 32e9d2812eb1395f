"""Speed of a training: tokens per second, and the share of the device's matmul rate that its operations reach (MFU)."""

import statistics
import time
from collections.abc import Sequence

import psutil
import torch

from distill.training.examples import Example
from distill.training.trainer import Trainer

SIDE = {"cuda": 8192, "cpu": 512}  # of the square product that is timed
REPEATS, WARM_UP = 10, 3


def matmul_rate(device: torch.device, dtype: torch.dtype, repeats: int = REPEATS) -> float:
    """Return the operations per second of a square product (8192 on a GPU, 512 on a CPU): the median of `repeats`."""
    side, own = SIDE[device.type], torch.Generator(device)  # the training's own random numbers stay as they are
    a, b = (torch.randn(side, side, device=device, generator=own).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(WARM_UP + repeats):
        _wait(device)
        start = time.perf_counter()
        a @ b
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(seconds[WARM_UP:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Speed:
    """The clock of a training's steps."""

    def __init__(self, trainer: Trainer, dtype: torch.dtype) -> None:
        self.trainer, self.dtype = trainer, dtype
        self.rate = matmul_rate(trainer.device, dtype)
        self.restart()

    def restart(self) -> None:
        """Begin the next step's time now."""
        self.last = time.perf_counter()

    def __str__(self) -> str:
        """Return how the share of the matmul rate is computed, with this model's and this device's figures."""
        side, name = SIDE[self.trainer.device.type], str(self.dtype).removeprefix("torch.")
        return (
            f"MFU = operations / seconds / {self.rate / 1e12:.3g} TFLOP/s, the rate of a product of {side} x {side} in "
            f"{name} here; a document of n tokens has {self.trainer.formula()} operations"
        )

    def facts(self, examples: Sequence[Example]) -> dict[str, float]:
        """Return the figures of the step that has just ended; the time since the last call is the step's."""
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        lengths = [len(example.token_ids) for example in examples]
        return {
            "tokens_per_s": sum(lengths) / seconds,
            "mfu": sum(map(self.trainer.flops, lengths)) / seconds / self.rate,
            "memory_gib": _memory(self.trainer.device) / 2**30,
            "fill": sum(lengths) / max(self.trainer.laid_out, 1),
            "documents": len(lengths),
            "mean_tokens": sum(lengths) / len(lengths),
            "longest": max(lengths),
        }


def _memory(device: torch.device) -> int:
    """Return the bytes held at most so far: by torch on a GPU, else by the process at this moment."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    resident: int = psutil.Process().memory_info().rss
    return resident
