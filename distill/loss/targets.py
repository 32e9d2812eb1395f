"""What a student learns from: a teacher beside it, its stored largest probabilities, or tokens drawn from it.

Shape suffixes: N target tokens, G teacher hidden, V vocabulary, K stored or drawn targets.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.loss.heads import Head


@dataclass(frozen=True)
class OnlineTeacher:
    """A teacher run beside the student: its hidden states [N, G] and its output head, or the weight [V, G] of one."""

    hidden: Tensor
    head: Tensor | Head

    def rows(self, index: Tensor | slice) -> "OnlineTeacher":
        """The same teacher at some tokens."""
        return OnlineTeacher(self.hidden[index], self.head)


@dataclass(frozen=True)
class StoredTargets:
    """A teacher's K largest probabilities at temperature T, and ONE bucket for all other tokens.

    token_ids: [N, K] int64. log_probs: [N, K], log q_T of these. log_tail: [N], log of the mass of the rest.
    """

    token_ids: Tensor
    log_probs: Tensor
    log_tail: Tensor

    def rows(self, index: Tensor | slice) -> "StoredTargets":
        """The same targets at some tokens."""
        return StoredTargets(self.token_ids[index], self.log_probs[index], self.log_tail[index])


@dataclass(frozen=True)
class SampledTargets:
    """K tokens drawn from a teacher: an unbiased estimate of its whole distribution (arXiv 2503.16870).

    token_ids: [N, K] int64, which may repeat. log_probs: [N, K], log q_T of these, finite. weights: [N, K], so that
    `weights * exp(log_probs)` estimates q_T without bias: 1 / (K r) for draws from r, 1 for a token that is certain
    to be kept, 0 for an unused place.
    """

    token_ids: Tensor
    log_probs: Tensor
    weights: Tensor

    def rows(self, index: Tensor | slice) -> "SampledTargets":
        """The same targets at some tokens."""
        return SampledTargets(self.token_ids[index], self.log_probs[index], self.weights[index])


Teacher = OnlineTeacher | StoredTargets | SampledTargets


@dataclass(frozen=True)
class Batch:
    """N tokens' labels and teacher, and which of the tokens are targets: an index, or None where all are.

    Of masked tokens nothing is computed, and nothing is copied but the chunk at hand.
    """

    labels: Tensor
    teacher: Teacher | None
    targets: Tensor | None

    @classmethod
    def of(cls, labels: Tensor, teacher: Teacher | None, ignore_index: int | None) -> "Batch":
        """All but those whose label is `ignore_index`."""
        targets = None if ignore_index is None else (labels != ignore_index).nonzero().squeeze(1)
        return cls(labels, teacher, None if targets is not None and len(targets) == len(labels) else targets)

    def __len__(self) -> int:
        return len(self.labels if self.targets is None else self.targets)

    def chunks(self, tokens: int) -> Iterator[tuple[Tensor | slice, Tensor, Teacher | None]]:
        """(where, labels, teacher) of some targets after another."""
        for start in range(0, len(self), tokens):
            rows = slice(start, min(start + tokens, len(self)))
            where = rows if self.targets is None else self.targets[rows]
            yield where, self.labels[where], self.teacher and self.teacher.rows(where)

    def gradient_like(self, hidden: Tensor) -> Tensor:
        """Memory for a gradient that will be written at targets."""
        return torch.empty_like(hidden) if self.targets is None else torch.zeros_like(hidden)
