"""Output heads: they turn the last hidden states into logits and pass gradients back.

Shape suffixes: C tokens of a chunk, H hidden, V vocabulary (this rank's rows of it, if the head is sharded).
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Replicate
from torch.distributed.tensor import Shard as ShardOf

from distill.loss.vocabulary import Shard


@dataclass(frozen=True)
class Head:
    """An output head: logits = cap(scale * (hidden @ weight.T + bias)), cap(z) = softcap * tanh(z / softcap) or z.

    GPT-J and Phi have a bias; Cohere, Granite and Falcon-H1 a scale; Gemma 2 (arXiv 2408.00118) a soft cap.

    With a `shard` the head is vocabulary-parallel: weight and bias are this rank's rows. A DTensor as weight is one
    that FSDP2 has sharded: each rank has its own tokens and needs all rows for them.
    """

    weight: Tensor  # [V, H]
    bias: Tensor | None = None  # [V]
    scale: float = 1.0
    softcap: float | None = None
    shard: Shard | None = None

    @classmethod
    def of(cls, head: "Tensor | Head") -> "Head":
        """Wrap a bare weight [V, H] as a head without bias, scale or cap; return a head unchanged."""
        return head if isinstance(head, Head) else cls(head)

    @classmethod
    def vocabulary_parallel(
        cls, weight: Tensor, bias: Tensor | None = None, scale: float = 1.0, softcap: float | None = None
    ) -> "Head":
        """Return the head of DTensors cut by rows over a one-dimensional mesh, as ColwiseParallel cuts them.

        Any other weight is a ValueError. For plain tensors that hold one rank's rows, use
        `Head(weight, shard=Shard.of(...))`.
        """
        if not isinstance(weight, DTensor) or tuple(weight.placements) != (ShardOf(0),):
            raise ValueError(
                f"the weight is a {type(weight).__name__} placed {getattr(weight, 'placements', None)}; a "
                "vocabulary-parallel head has a DTensor placed (Shard(0),), or plain rows and Head(..., shard=...)"
            )
        rows, group = weight.shape[0], weight.device_mesh.get_group()
        first = min(group.rank() * -(-rows // group.size()), rows)  # DTensor cuts like torch.chunk
        own = bias.to_local() if isinstance(bias, DTensor) else bias
        return cls(weight.to_local(), own, scale, softcap, Shard(group, first, rows))

    @property
    def rows(self) -> int:
        """The number of rows over all ranks."""
        return self.shard.rows if self.shard else self.weight.shape[0]

    @property
    def bounds(self) -> tuple[int, int]:
        """This rank's first row and the row after its last."""
        first = self.shard.first if self.shard else 0
        return first, first + self.weight.shape[0]

    def first(self, rows: int, dtype: torch.dtype | None = None) -> "Head":
        """Return the head of the first `rows` tokens of the vocabulary, optionally in another dtype."""
        own = max(rows - self.shard.first, 0) if self.shard else rows
        weight, bias = (
            None if part is None else part[:own].to(dtype or part.dtype) for part in (self.weight, self.bias)
        )
        assert weight is not None
        return replace(self, weight=weight, bias=bias)

    def along(self, other: "Head") -> "Head":
        """Cut this head to the rows that `other` has on this rank.

        This head must be whole or have those rows already; otherwise ValueError.
        """
        if other.shard is None and self.shard is None:
            return self
        if other.shard is None:
            raise ValueError("the teacher's head is vocabulary-parallel and the student's is not")
        first, own = other.shard.first, other.weight.shape[0]
        if self.shard is None:
            weight, bias = (part if part is None else part[first : first + own] for part in (self.weight, self.bias))
            assert weight is not None
            return replace(self, weight=weight, bias=bias, shard=replace(other.shard, rows=self.rows))
        shared = min(self.rows, other.rows)
        ours, theirs = (tuple(min(row, shared) for row in head.bounds) for head in (other, self))
        if ours != theirs:
            raise ValueError(
                f"this rank has rows {ours} of the student's head and {theirs} of the teacher's: recut the teacher's, "
                "once, by teacher_head.recut(student_head), or give each rank the whole of it"
            )
        return self

    def recut(self, other: "Head") -> "Head":
        """Exchange rows so that each rank has those that `other` has there; every rank must call it."""
        assert self.shard is not None and other.shard is not None
        group, (first, stop) = self.shard.group, other.bounds
        bounds: list[tuple[int, int]] = [(0, 0)] * group.size()
        dist.all_gather_object(bounds, self.bounds, group)

        def exchange(own: Tensor) -> Tensor:
            kept = []
            for source, (low, high) in enumerate(bounds):
                rows = own if source == group.rank() else own.new_empty(high - low, *own.shape[1:])
                rows = rows.detach().contiguous()
                dist.broadcast(rows, group=group, group_src=source)
                kept.append(rows[max(first - low, 0) : max(stop - low, 0)].clone())
            return torch.cat(kept)

        bias = None if self.bias is None else exchange(self.bias)
        return replace(self, weight=exchange(self.weight), bias=bias, shard=replace(self.shard, first=first))

    def gathered(self) -> "Head":
        """Return the head with all rows of an FSDP2-sharded weight and bias.

        Gradients flow back to the shards as their mean over ranks, as FSDP2 does with all other parameters.
        """
        if not isinstance(self.weight, DTensor):
            return self
        bias = _gather(self.bias) if isinstance(self.bias, DTensor) else self.bias
        return replace(self, weight=_gather(self.weight), bias=bias)

    def logits(self, hidden_CH: Tensor) -> Tensor:
        """Return the logits [C, V], in fp32 at least."""
        logits_CV = products(hidden_CH, self.weight)
        if self.bias is not None:
            logits_CV += self.bias
        if self.scale != 1.0:
            logits_CV *= self.scale
        if self.softcap is not None:
            logits_CV = logits_CV.div_(self.softcap).tanh_().mul_(self.softcap)
        return logits_CV

    def backward(self, grad_CV: Tensor, logits_CV: Tensor) -> Tensor:
        """Turn the gradient to the logits into the one to `hidden @ weight.T + bias`, in place."""
        if self.softcap is not None:
            # docs/equations.md, "The head": s (1 - (z / c)^2) g
            grad_CV *= 1.0 - (logits_CV / self.softcap) ** 2
        if self.scale != 1.0:
            grad_CV *= self.scale
        return grad_CV


def products(hidden_CH: Tensor, weight_VH: Tensor) -> Tensor:
    """Return hidden @ weight.T in fp32 at least; on a GPU, bf16 products are not rounded to bf16 first."""
    statistics = torch.promote_types(hidden_CH.dtype, torch.float32)
    if hidden_CH.device.type == "cuda" and hidden_CH.dtype != statistics:
        return torch.mm(hidden_CH, weight_VH.T, out_dtype=statistics)
    return (hidden_CH @ weight_VH.T).to(statistics)


def _gather(sharded: DTensor) -> Tensor:
    whole: Tensor = _Gathered.apply(sharded)  # type: ignore[no-untyped-call]
    return whole


class _Gathered(torch.autograd.Function):
    """A DTensor's whole value on each rank; backward shards the mean of the ranks' gradients again."""

    @staticmethod
    def forward(ctx: Any, sharded: DTensor) -> Tensor:
        ctx.mesh, ctx.placements = sharded.device_mesh, sharded.placements
        return sharded.redistribute(placements=[Replicate()] * sharded.device_mesh.ndim).to_local()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        parts = DTensor.from_local(grad / ctx.mesh.size(), ctx.mesh, [Partial()] * ctx.mesh.ndim, run_check=False)
        return parts.redistribute(placements=ctx.placements)
