"""The processes that train one student together, each on a device of its own."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """The number of this process among those of a training; a process by itself is rank 0 of 1."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Return whether this process writes the files that all have in common."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of all ranks' values, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def any(self, flags: Sequence[bool]) -> list[bool]:
        """Return which flags at least one rank has set."""
        if self.count == 1:
            return list(flags)
        counts = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(counts)
        return [bool(count) for count in counts.tolist()]

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.count > 1:
            dist.barrier()

    def from_first(self, value: Any) -> Any:
        """Return rank 0's value."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]


def launched() -> bool:
    """Return whether this process was started as one of several, by torchrun, Ray Train or `distill` itself."""
    return dist.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) > 1


def join(cuda: bool) -> Ranks:
    """Join the process group that the launcher's environment describes; without one, be a process by itself.

    cuda: each rank of a host takes the GPU of its number there. Tensors on the CPU go through gloo.
    """
    if not launched():
        return Ranks()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    return Ranks(dist.get_rank(), dist.get_world_size())
