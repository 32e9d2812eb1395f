"""Reductions over the vocabulary of a chunk's logits: whole on each rank, or split into each rank's rows.

A vocabulary-parallel head (Megatron-LM, arXiv 1909.08053) gives each rank only the logits of its own rows. From the
other ranks a loss needs only sums over the vocabulary and single tokens' values, which are reduced here.

Shape suffixes: C tokens of one chunk, V this rank's part of the vocabulary, K ids per token.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

Total = Callable[[Tensor], Tensor]


def whole(part: Tensor) -> Tensor:
    """Return the sum unchanged: the rank has the whole vocabulary."""
    return part


@dataclass(frozen=True)
class Shard:
    """A rank's rows of an output head: they start at row `first` of the `rows` rows over all ranks of `group`."""

    group: dist.ProcessGroup
    first: int
    rows: int

    @classmethod
    def of(cls, rows: int, group: dist.ProcessGroup) -> "Shard":
        """Locate this rank's `rows` among the ranks' rows in rank order; every rank must call it."""
        counts: list[int] = [0] * group.size()
        dist.all_gather_object(counts, rows, group)
        return cls(group, sum(counts[: group.rank()]), sum(counts))


@dataclass(frozen=True)
class Vocabulary:
    """Operations on a chunk's logits [C, V]; with a shard, results are those of all ranks together."""

    shard: Shard | None = None

    def total(self, part: Tensor) -> Tensor:
        """Return the sum of all ranks' parts; `part` may be overwritten."""
        if self.shard is not None:
            dist.all_reduce(part, group=self.shard.group)
        return part

    def largest(self, logits_CV: Tensor) -> Tensor:
        """Return each token's largest logit [C, 1]."""
        if self.shard is None:
            return logits_CV.amax(-1, keepdim=True)
        largest_C1 = logits_CV.new_full((logits_CV.shape[0], 1), -torch.inf)
        if logits_CV.shape[1]:  # a rank may have no row at all
            torch.amax(logits_CV, dim=-1, keepdim=True, out=largest_C1)
        dist.all_reduce(largest_C1, dist.ReduceOp.MAX, self.shard.group)
        return largest_C1

    def log_softmax(self, logits_CV: Tensor) -> Tensor:
        """Return log-probabilities [C, V] over the whole vocabulary."""
        if self.shard is None:
            return torch.log_softmax(logits_CV, dim=-1)
        shifted_CV = logits_CV - self.largest(logits_CV)
        return shifted_CV.sub_(self.total(shifted_CV.exp().sum(-1, keepdim=True)).log_())

    def take(self, values_CV: Tensor, ids_CK: Tensor) -> Tensor:
        """Return the values [C, K] at the given token ids."""
        if self.shard is None:
            return values_CV.gather(1, ids_CK)
        at, rows, columns = self._mine(values_CV, ids_CK)
        taken_CK = values_CV.new_zeros(ids_CK.shape)
        taken_CK[at] = values_CV[rows, columns]
        return self.total(taken_CK)

    def put_(self, values_CV: Tensor, ids_CK: Tensor, new_CK: Tensor) -> Tensor:
        """Overwrite the values at the given token ids."""
        if self.shard is None:
            return values_CV.scatter_(1, ids_CK, new_CK)
        at, rows, columns = self._mine(values_CV, ids_CK)
        values_CV[rows, columns] = new_CK[at]
        return values_CV

    def add_(self, values_CV: Tensor, ids_CK: Tensor, new_CK: Tensor) -> Tensor:
        """Add to the values at the given token ids, which may repeat."""
        if self.shard is None:
            return values_CV.scatter_add_(1, ids_CK, new_CK)
        at, rows, columns = self._mine(values_CV, ids_CK)
        return values_CV.index_put_((rows, columns), new_CK[at], accumulate=True)

    def _mine(self, values_CV: Tensor, ids_CK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (mask [C, K] of the ids that are this rank's, and the rows and columns of their values)."""
        assert self.shard is not None
        own_CK = ids_CK - self.shard.first
        at_CK = (own_CK >= 0) & (own_CK < values_CV.shape[1])
        return at_CK, at_CK.nonzero()[:, 0], own_CK[at_CK]


WHOLE = Vocabulary()
