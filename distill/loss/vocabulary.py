"""The vocabulary that a chunk's logits are over: whole on each rank, or each rank with its own rows of it.

A vocabulary-parallel head (Megatron-LM, arXiv 1909.08053) gives each rank the logits of its rows alone. All that a
loss needs of the others are sums over the vocabulary and single tokens' values, which are reduced here.

Shape suffixes: C tokens of one chunk, V this rank's part of the vocabulary, K ids a token.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

Total = Callable[[Tensor], Tensor]


def whole(part: Tensor) -> Tensor:
    """The sum over the vocabulary of which a rank has all."""
    return part


@dataclass(frozen=True)
class Shard:
    """A rank's rows of an output head: from row `first` on, of `rows` over all ranks of `group`."""

    group: dist.ProcessGroup
    first: int
    rows: int

    @classmethod
    def of(cls, rows: int, group: dist.ProcessGroup) -> "Shard":
        """Where this rank's `rows` lie, the ranks' rows following each other; a call on each rank."""
        counts: list[int] = [0] * group.size()
        dist.all_gather_object(counts, rows, group)
        return cls(group, sum(counts[: group.rank()]), sum(counts))


@dataclass(frozen=True)
class Vocabulary:
    """What is asked of a chunk's logits [C, V]; with a shard the answers are those of all ranks together."""

    shard: Shard | None = None

    def total(self, part: Tensor) -> Tensor:
        """The sum over ranks of each rank's part, which it may overwrite."""
        if self.shard is not None:
            dist.all_reduce(part, group=self.shard.group)
        return part

    def largest(self, logits_CV: Tensor) -> Tensor:
        """The largest logit [C, 1] of each token."""
        if self.shard is None:
            return logits_CV.amax(-1, keepdim=True)
        largest_C1 = logits_CV.new_full((logits_CV.shape[0], 1), -torch.inf)
        if logits_CV.shape[1]:  # a rank may have no row at all
            torch.amax(logits_CV, dim=-1, keepdim=True, out=largest_C1)
        dist.all_reduce(largest_C1, dist.ReduceOp.MAX, self.shard.group)
        return largest_C1

    def log_softmax(self, logits_CV: Tensor) -> Tensor:
        """Log-probabilities [C, V] in the whole vocabulary."""
        if self.shard is None:
            return torch.log_softmax(logits_CV, dim=-1)
        shifted_CV = logits_CV - self.largest(logits_CV)
        return shifted_CV.sub_(self.total(shifted_CV.exp().sum(-1, keepdim=True)).log_())

    def take(self, values_CV: Tensor, ids_CK: Tensor) -> Tensor:
        """The values [C, K] of some tokens."""
        if self.shard is None:
            return values_CV.gather(1, ids_CK)
        at, rows, columns = self._mine(values_CV, ids_CK)
        taken_CK = values_CV.new_zeros(ids_CK.shape)
        taken_CK[at] = values_CV[rows, columns]
        return self.total(taken_CK)

    def put_(self, values_CV: Tensor, ids_CK: Tensor, new_CK: Tensor) -> Tensor:
        """Overwrite the values of some tokens."""
        if self.shard is None:
            return values_CV.scatter_(1, ids_CK, new_CK)
        at, rows, columns = self._mine(values_CV, ids_CK)
        values_CV[rows, columns] = new_CK[at]
        return values_CV

    def add_(self, values_CV: Tensor, ids_CK: Tensor, new_CK: Tensor) -> Tensor:
        """Add to the values of some tokens, of which one may be named more than once."""
        if self.shard is None:
            return values_CV.scatter_add_(1, ids_CK, new_CK)
        at, rows, columns = self._mine(values_CV, ids_CK)
        return values_CV.index_put_((rows, columns), new_CK[at], accumulate=True)

    def _mine(self, values_CV: Tensor, ids_CK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(mask [C, K] of ids that are this rank's, and the rows and columns of values at which those lie)."""
        assert self.shard is not None
        own_CK = ids_CK - self.shard.first
        at_CK = (own_CK >= 0) & (own_CK < values_CV.shape[1])
        return at_CK, at_CK.nonzero()[:, 0], own_CK[at_CK]


WHOLE = Vocabulary()
