"""bf16 weights for the products and fp32 copies of them, the masters, for the optimizer.

The bits that bf16 rounds away are where most optimizer steps are, so they are kept: gradients of micro-batches are
summed in fp32, the optimizer works on the masters, and the bf16 weights are rounded from them after each step.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


class Masters:
    """The fp32 masters of a model's trainable weights; their `grad` sums what each backward pass leaves."""

    def __init__(self, model: Any) -> None:
        """Round the weights of an fp32 model to bf16, in place, and keep the fp32 values."""
        self.model = model
        self.of: dict[str, Tensor] = {}
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                self.of[name] = weight.detach().clone().float()
            if weight.is_floating_point():  # weights in 4 bits stay as they are
                weight.data = weight.data.bfloat16()
        self.weights = {name: weight for name, weight in model.named_parameters() if name in self.of}
        for name, weight in self.weights.items():
            weight.register_post_accumulate_grad_hook(self._collector(self.of[name]))

    @staticmethod
    def _collector(master: Tensor) -> Any:
        def collect(weight: Tensor) -> None:
            assert weight.grad is not None
            if master.grad is None:
                master.grad = weight.grad.float()
            else:
                master.grad += weight.grad
            weight.grad = None

        return collect

    def parameters(self) -> Iterator[Tensor]:
        """Yield the masters, which the optimizer works on."""
        yield from self.of.values()

    @torch.no_grad()
    def publish(self) -> None:
        """Round the masters into the model's weights."""
        torch._foreach_copy_(list(self.weights.values()), list(self.of.values()))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the masters by the names of their weights."""
        return self.of

    @torch.no_grad()
    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Restore the masters, and round them into the model's weights."""
        for name, master in self.of.items():
            master.copy_(saved[name])
        self.publish()

    def unround(self) -> None:
        """Give the trained weights their masters, for saving them alone."""
        for name, weight in self.weights.items():
            weight.data = self.of[name]

    @torch.no_grad()
    def restore(self, dtype: torch.dtype) -> None:
        """Give the model its weights in `dtype`, rounded once, for saving."""
        for name, weight in self.model.named_parameters():
            weight.data = self.of.get(name, weight.data).to(dtype)
