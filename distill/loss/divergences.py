"""Divergences between teacher and student: value and gradient of a chunk, from two normalised log-distributions.

Each gives (the value summed over tokens, its gradient to the logits that the student's log-softmax was taken of).
All it needs of the rest of the vocabulary, where a rank holds a part of it, are sums over buckets: `total` makes a
rank's sums [C, n] those over all ranks.

Shape suffixes: C tokens of one chunk, B buckets the distributions are over (the vocabulary, or K + 1 with a tail).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from distill.loss.vocabulary import Total, whole


def forward_kl(log_q_CB: Tensor, log_p_CB: Tensor, beta: float, total: Total = whole) -> tuple[Tensor, Tensor]:
    """KL(teacher || student), summed, and its gradient to the student's logits."""
    q_CB = log_q_CB.exp()
    return _sum(q_CB * (log_q_CB - log_p_CB), total), log_p_CB.exp().sub_(q_CB)


def reverse_kl(log_q_CB: Tensor, log_p_CB: Tensor, beta: float, total: Total = whole) -> tuple[Tensor, Tensor]:
    """KL(student || teacher), summed, and its gradient to the student's logits."""
    return _student_expectation(log_p_CB, log_p_CB - log_q_CB, total)


def generalised_jsd(log_q_CB: Tensor, log_p_CB: Tensor, beta: float, total: Total = whole) -> tuple[Tensor, Tensor]:
    """beta KL(teacher || m) + (1 - beta) KL(student || m), with m = beta teacher + (1 - beta) student."""
    log_m_CB = _log_mixture(log_q_CB, log_p_CB, beta)
    student, grad_CB = _student_expectation(log_p_CB, log_p_CB - log_m_CB, total)
    teacher = _sum(log_q_CB.exp() * (log_q_CB - log_m_CB), total)
    return beta * teacher + (1.0 - beta) * student, grad_CB.mul_(1.0 - beta)


def skew_kl(log_q_CB: Tensor, log_p_CB: Tensor, beta: float, total: Total = whole) -> tuple[Tensor, Tensor]:
    """KL(teacher || m), with m = beta teacher + (1 - beta) student: bounded where the student gives no mass."""
    log_m_CB = _log_mixture(log_q_CB, log_p_CB, beta)
    _, grad_CB = _student_expectation(log_p_CB, -(log_q_CB - log_m_CB).exp(), total)
    return _sum(log_q_CB.exp() * (log_q_CB - log_m_CB), total), grad_CB.mul_(1.0 - beta)


def _sum(terms_CB: Tensor, total: Total) -> Tensor:
    """The sum over tokens and buckets."""
    return total(terms_CB.sum())


def _student_expectation(log_p_CB: Tensor, score_CB: Tensor, total: Total) -> tuple[Tensor, Tensor]:
    """(sum of E_p[score], p * (score - E_p[score])): the latter is the chain rule through the student's softmax."""
    p_CB = log_p_CB.exp()
    expected_C1 = total((p_CB * score_CB).sum(dim=-1, keepdim=True))
    return expected_C1.sum(), p_CB.mul_(score_CB - expected_C1)


def _log_mixture(log_q_CB: Tensor, log_p_CB: Tensor, beta: float) -> Tensor:
    return torch.logaddexp(log_q_CB + math.log(beta), log_p_CB + math.log1p(-beta))


DIVERGENCES: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": generalised_jsd,
    "skew_kl": skew_kl,
}
