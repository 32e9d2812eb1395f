"""Output heads: how the last hidden states become logits, and how gradients come back from them.

Shape suffixes: C tokens of a chunk, H hidden, V vocabulary.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Head:
    """logits = cap(scale * (hidden @ weight.T + bias)), with cap(z) = softcap * tanh(z / softcap) where there is one.

    GPT-J and Phi have a bias, Cohere, Granite and Falcon-H1 a scale, Gemma 2 (arXiv 2408.00118) a soft cap.
    """

    weight: Tensor  # [V, H]
    bias: Tensor | None = None  # [V]
    scale: float = 1.0
    softcap: float | None = None

    @classmethod
    def of(cls, head: "Tensor | Head") -> "Head":
        """A head of which only the weight [V, H] is given is a plain one."""
        return head if isinstance(head, Head) else cls(head)

    def first(self, rows: int, dtype: torch.dtype | None = None) -> "Head":
        """The head of the first tokens of the vocabulary, in another dtype."""
        weight, bias = (
            None if part is None else part[:rows].to(dtype or part.dtype) for part in (self.weight, self.bias)
        )
        assert weight is not None
        return replace(self, weight=weight, bias=bias)

    def logits(self, hidden_CH: Tensor) -> Tensor:
        """Logits [C, V] in fp32 at least."""
        logits_CV = products(hidden_CH, self.weight)
        if self.bias is not None:
            logits_CV += self.bias
        if self.scale != 1.0:
            logits_CV *= self.scale
        if self.softcap is not None:
            logits_CV = logits_CV.div_(self.softcap).tanh_().mul_(self.softcap)
        return logits_CV

    def backward(self, grad_CV: Tensor, logits_CV: Tensor) -> Tensor:
        """From the gradient to the logits that to `hidden @ weight.T + bias`, in its memory."""
        if self.softcap is not None:
            grad_CV *= 1.0 - (logits_CV / self.softcap) ** 2
        if self.scale != 1.0:
            grad_CV *= self.scale
        return grad_CV


def products(hidden_CH: Tensor, weight_VH: Tensor) -> Tensor:
    """hidden @ weight.T in fp32 at least; where the device can, bf16 products are not rounded to bf16 on their way."""
    statistics = torch.promote_types(hidden_CH.dtype, torch.float32)
    if hidden_CH.device.type == "cuda" and hidden_CH.dtype != statistics:
        return torch.mm(hidden_CH, weight_VH.T, out_dtype=statistics)
    return (hidden_CH @ weight_VH.T).to(statistics)
