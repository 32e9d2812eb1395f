"""Divergences between teacher and student: the value and gradient of a chunk, from two normalized log-distributions.

Each function returns (the value summed over tokens, its gradient to the logits before the student's log-softmax).
Where a rank holds only a part of the vocabulary, `total` turns the rank's sums [C, n] over its buckets into the sums
over all ranks; a divergence needs nothing else from the other ranks.

The equations are those of docs/equations.md, "Divergences": q is the teacher, p the student, and
m = beta q + (1 - beta) p their mixture.

Shape suffixes: C tokens of one chunk, B buckets of the distributions (the vocabulary, or K + 1 with a tail).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from distill.loss.vocabulary import Total, whole


def forward_kl(log_q_CB: Tensor, log_p_CB: Tensor, beta: float, total: Total = whole) -> tuple[Tensor, Tensor]:
    """Return KL(teacher || student) (arXiv 1503.02531); the gradient is p - q."""
    q_CB = log_q_CB.exp()
    return _sum(q_CB * (log_q_CB - log_p_CB), total), log_p_CB.exp().sub_(q_CB)


def reverse_kl(log_q_CB: Tensor, log_p_CB: Tensor, beta: float, total: Total = whole) -> tuple[Tensor, Tensor]:
    """Return KL(student || teacher) (MiniLLM, arXiv 2306.08543)."""
    return _student_expectation(log_p_CB, log_p_CB - log_q_CB, total)


def generalized_jsd(log_q_CB: Tensor, log_p_CB: Tensor, beta: float, total: Total = whole) -> tuple[Tensor, Tensor]:
    """Return beta KL(teacher || m) + (1 - beta) KL(student || m), m the mixture (GKD, arXiv 2306.13649)."""
    log_m_CB = _log_mixture(log_q_CB, log_p_CB, beta)
    student, grad_CB = _student_expectation(log_p_CB, log_p_CB - log_m_CB, total)
    teacher = _sum(log_q_CB.exp() * (log_q_CB - log_m_CB), total)
    return beta * teacher + (1.0 - beta) * student, grad_CB.mul_(1.0 - beta)


def skew_kl(log_q_CB: Tensor, log_p_CB: Tensor, beta: float, total: Total = whole) -> tuple[Tensor, Tensor]:
    """Return KL(teacher || m), bounded where the student has no mass (DistiLLM, arXiv 2402.03898)."""
    log_m_CB = _log_mixture(log_q_CB, log_p_CB, beta)
    _, grad_CB = _student_expectation(log_p_CB, -(log_q_CB - log_m_CB).exp(), total)
    return _sum(log_q_CB.exp() * (log_q_CB - log_m_CB), total), grad_CB.mul_(1.0 - beta)


def _sum(terms_CB: Tensor, total: Total) -> Tensor:
    return total(terms_CB.sum())


def _student_expectation(log_p_CB: Tensor, score_CB: Tensor, total: Total) -> tuple[Tensor, Tensor]:
    """Return (sum of E_p[score], p * (score - E_p[score])); the latter is the chain rule through softmax."""
    p_CB = log_p_CB.exp()
    expected_C1 = total((p_CB * score_CB).sum(dim=-1, keepdim=True))
    return expected_C1.sum(), p_CB.mul_(score_CB - expected_C1)


def _log_mixture(log_q_CB: Tensor, log_p_CB: Tensor, beta: float) -> Tensor:
    return torch.logaddexp(log_q_CB + math.log(beta), log_p_CB + math.log1p(-beta))


DIVERGENCES: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": generalized_jsd,
    "skew_kl": skew_kl,
}
