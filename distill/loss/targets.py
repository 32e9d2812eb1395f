"""The teacher's side of the loss: an online teacher, its stored top-K probabilities, or tokens sampled from it.

Shape suffixes: N target tokens, G teacher hidden, V vocabulary, K stored or sampled targets.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.loss.heads import Head


@dataclass(frozen=True)
class OnlineTeacher:
    """A teacher that runs next to the student: its hidden states [N, G], and its head or the head's weight [V, G]."""

    hidden: Tensor
    head: Tensor | Head

    def rows(self, index: Tensor | slice) -> "OnlineTeacher":
        """Return the same teacher at some of the tokens."""
        return OnlineTeacher(self.hidden[index], self.head)


@dataclass(frozen=True)
class StoredTargets:
    """A teacher's K largest probabilities at temperature T, and ONE bucket for all other tokens.

    token_ids: [N, K] int64. log_probs: [N, K], their log q_T. log_tail: [N], log of the mass of all other tokens.
    """

    token_ids: Tensor
    log_probs: Tensor
    log_tail: Tensor

    def rows(self, index: Tensor | slice) -> "StoredTargets":
        """Return the same targets at some of the tokens."""
        return StoredTargets(self.token_ids[index], self.log_probs[index], self.log_tail[index])


@dataclass(frozen=True)
class SampledTargets:
    """K tokens sampled from a teacher: an unbiased estimate of its whole distribution (arXiv 2503.16870).

    token_ids: [N, K] int64, may repeat. log_probs: [N, K], their log q_T, finite. weights: [N, K], chosen so that
    `weights * exp(log_probs)` estimates q_T without bias: 1 / (K r) for draws from r, 1 for a token that is always
    kept, 0 for an unused slot.
    """

    token_ids: Tensor
    log_probs: Tensor
    weights: Tensor

    def rows(self, index: Tensor | slice) -> "SampledTargets":
        """Return the same targets at some of the tokens."""
        return SampledTargets(self.token_ids[index], self.log_probs[index], self.weights[index])


Teacher = OnlineTeacher | StoredTargets | SampledTargets


@dataclass(frozen=True)
class LossBatch:
    """The labels and teacher of N tokens, and the tokens that are targets: an index, or None if all of them are.

    Nothing is computed for masked tokens, and only the current chunk is copied.
    """

    labels: Tensor
    teacher: Teacher | None
    targets: Tensor | None

    @classmethod
    def of(cls, labels: Tensor, teacher: Teacher | None, ignore_index: int | None) -> "LossBatch":
        """Make every token a target whose label is not `ignore_index`."""
        targets = None if ignore_index is None else (labels != ignore_index).nonzero().squeeze(1)
        return cls(labels, teacher, None if targets is not None and len(targets) == len(labels) else targets)

    def __len__(self) -> int:
        return len(self.labels if self.targets is None else self.targets)

    def chunks(self, tokens: int) -> Iterator[tuple[Tensor | slice, Tensor, Teacher | None]]:
        """Yield (where, labels, teacher) of one chunk of targets after another."""
        for start in range(0, len(self), tokens):
            rows = slice(start, min(start + tokens, len(self)))
            where = rows if self.targets is None else self.targets[rows]
            yield where, self.labels[where], self.teacher and self.teacher.rows(where)

    def gradient_like(self, hidden: Tensor) -> Tensor:
        """Return memory for a gradient that is written at the targets only."""
        return torch.empty_like(hidden) if self.targets is None else torch.zeros_like(hidden)
