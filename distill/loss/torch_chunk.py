"""The loss of a chunk of tokens and its gradient to the logits in plain torch: every divergence, every kind of teacher.

Shape suffixes: C tokens of one chunk (of one block of it in the inner functions), V vocabulary (this rank's part, if
the head is sharded), K stored targets, B buckets of a divergence (V, or K + 1 with a tail).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.loss.divergences import DIVERGENCES
from distill.loss.heads import Head
from distill.loss.targets import OnlineTeacher, SampledTargets, StoredTargets, Teacher
from distill.loss.vocabulary import Shard, Vocabulary
from distill.settings import Divergence

SMALLEST_TAIL = 1e-30  # keeps the logarithm of an empty tail finite; its terms then vanish
BLOCK = 2**22  # logits a CPU works on at once: few enough to stay in caches, enough to avoid many small steps


@dataclass(frozen=True)
class Terms:
    """The settings of a loss."""

    alpha: float
    temperature: float
    divergence: Divergence
    beta: float
    vocab_size: int
    chunk_tokens: int | None
    scale: float  # multiplies the student's logits
    softcap: float | None
    differentiate: bool
    shard: Shard | None = None
    tolerance: float = 0.0  # relative error of the gradient that a GPU may leave out


def chunk_terms(logits_CV: Tensor, labels_C: Tensor, teacher: Teacher | None, terms: Terms) -> tuple[Tensor, Tensor]:
    """Return (sums of CE and divergence [2], gradient of the chunk's summed loss to the logits [C, V]).

    A CPU works block by block, and in the logits' memory unless a soft cap needs them afterwards.
    """
    theirs = teacher_logits(teacher, terms).to(logits_CV.dtype) if isinstance(teacher, OnlineTeacher) else teacher
    tokens, block = logits_CV.shape[0], block_tokens(logits_CV)
    if block >= tokens:
        return _block_terms(logits_CV, labels_C, theirs, terms)
    sums, grad_CV = logits_CV.new_zeros(2), logits_CV if terms.softcap is None else torch.empty_like(logits_CV)
    for start in range(0, tokens, block):
        rows = slice(start, start + block)
        targets = theirs[rows] if isinstance(theirs, Tensor) else theirs and theirs.rows(rows)
        block_sums, block_grad = _block_terms(logits_CV[rows], labels_C[rows], targets, terms)
        sums += block_sums
        if block_grad.data_ptr() != grad_CV[rows].data_ptr():
            grad_CV[rows] = block_grad
    return sums, grad_CV


def block_tokens(logits_CV: Tensor) -> int:
    """Return the tokens of a block: all of them, except on a CPU."""
    tokens, size = logits_CV.shape
    return tokens if logits_CV.device.type != "cpu" else max(1, BLOCK // max(size, 1))


@torch.no_grad()
def teacher_logits(teacher: OnlineTeacher, terms: Terms) -> Tensor:
    """Return the teacher's logits [C, V], in fp32 at least."""
    return Head.of(teacher.head).first(terms.vocab_size).logits(teacher.hidden)


Targets = Tensor | StoredTargets | SampledTargets  # a Tensor holds an online teacher's logits


def _block_terms(logits_CV: Tensor, labels_C: Tensor, targets: Targets | None, terms: Terms) -> tuple[Tensor, Tensor]:
    alpha, temperature, vocabulary = terms.alpha, terms.temperature, Vocabulary(terms.shard)
    if isinstance(targets, Tensor) and terms.divergence == "forward_kl" and alpha < 1.0:
        return _forward_kl_terms(logits_CV, labels_C, targets, terms, vocabulary)
    log_p_CV = vocabulary.log_softmax(logits_CV)
    ce_sum = -vocabulary.take(log_p_CV, labels_C[:, None]).sum()
    kl_sum, grad_CV = torch.zeros_like(ce_sum), None
    if targets is not None:
        tempered_CV = log_p_CV if temperature == 1.0 else vocabulary.log_softmax(logits_CV / temperature)
        kl_sum, grad_CV = _divergence(tempered_CV, targets, terms, vocabulary)
    if grad_CV is None or alpha == 1.0:  # a teacher that is only measured changes no bit of the gradient
        return torch.stack([ce_sum, kl_sum]), _ce_gradient(log_p_CV, labels_C, vocabulary).mul_(alpha)
    grad_CV.mul_((1.0 - alpha) * temperature)  # T^2 of the loss, 1/T of the logits' derivative
    if alpha > 0.0:
        grad_CV.add_(log_p_CV.exp_(), alpha=alpha)
        vocabulary.add_(grad_CV, labels_C[:, None], _ones_column(grad_CV, -alpha))
    return torch.stack([ce_sum, kl_sum]), grad_CV


def _forward_kl_terms(
    logits_CV: Tensor, labels_C: Tensor, theirs_CV: Tensor, terms: Terms, vocabulary: Vocabulary
) -> tuple[Tensor, Tensor]:
    """Compute CE and forward KL to an online teacher, reusing both sides' memory; nothing is normalized before the end.

    With e = exp(logits - their largest), p and q the unnormalized exponentials of student and teacher at T, and g the
    gap between the exponents of q and p: KL = sum(q g) / sum(q) - log sum(q) + log sum(p). This is docs/equations.md,
    "Divergences", `forward_kl` from exponentials that are not normalized.
    """
    alpha, cooling = terms.alpha, 1.0 / terms.temperature
    largest_C1, theirs_C1 = vocabulary.largest(logits_CV), vocabulary.largest(theirs_CV)
    label_C1 = vocabulary.take(logits_CV, labels_C[:, None]) - largest_C1
    p_CV = torch.add(largest_C1 * -cooling, logits_CV, alpha=cooling)
    q_CV = torch.add(theirs_C1 * -cooling, theirs_CV, alpha=cooling)
    gap_CV = torch.sub(q_CV, p_CV, out=theirs_CV)
    p_CV.exp_(), q_CV.exp_()
    e_CV = logits_CV.sub_(largest_C1).exp_() if terms.softcap is None else (logits_CV - largest_C1).exp_()
    sums_4C1 = vocabulary.total(torch.stack([part.sum(-1, True) for part in (e_CV, p_CV, q_CV, gap_CV.mul_(q_CV))]))
    all_e_C1, all_p_C1, all_q_C1, all_gap_C1 = sums_4C1.unbind()
    ce_sum = (all_e_C1.log() - label_C1).sum()
    kl_sum = (all_gap_C1 / all_q_C1 - all_q_C1.log() + all_p_C1.log()).sum()
    soft = (1.0 - alpha) * terms.temperature  # T^2 of the loss, 1/T of the logits' derivative
    grad_CV = e_CV.mul_(alpha / all_e_C1).addcmul_(p_CV, soft / all_p_C1).addcmul_(q_CV, -soft / all_q_C1)
    return torch.stack([ce_sum, kl_sum]), vocabulary.add_(grad_CV, labels_C[:, None], _ones_column(grad_CV, -alpha))


def _ce_gradient(log_p_CV: Tensor, labels_C: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Return softmax minus the one-hot labels, in the log-softmax's memory."""
    return vocabulary.add_(log_p_CV.exp_(), labels_C[:, None], _ones_column(log_p_CV, -1.0))


def _ones_column(like_CV: Tensor, value: float) -> Tensor:
    return like_CV.new_full((like_CV.shape[0], 1), value)


def _divergence(log_p_CV: Tensor, targets: Targets, terms: Terms, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """Return (summed divergence, its gradient to the tempered logits)."""
    if isinstance(targets, Tensor):
        log_q_CV = vocabulary.log_softmax(targets / terms.temperature)
        return DIVERGENCES[terms.divergence](log_q_CV, log_p_CV, terms.beta, vocabulary.total)
    given = _stored if isinstance(targets, StoredTargets) else _sampled
    return given(log_p_CV, targets, terms, vocabulary)  # type: ignore[arg-type]


def _stored(log_p_CV: Tensor, teacher: StoredTargets, terms: Terms, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """Return the divergence over K + 1 buckets and its gradient (docs/equations.md, "Stored targets").

    Within the tail bucket the gradient follows the student's own probabilities. The tail's mass is summed from its
    probabilities, not computed as 1 - kept, which cancels for a peaked student.
    """
    ids_CK = teacher.token_ids
    rest_CV = vocabulary.put_(log_p_CV.exp(), ids_CK, torch.zeros_like(ids_CK, dtype=log_p_CV.dtype))
    tail_C1 = vocabulary.total(rest_CV.sum(dim=-1, keepdim=True)).clamp_min_(SMALLEST_TAIL)
    log_p_CB = torch.cat([vocabulary.take(log_p_CV, ids_CK), tail_C1.log()], dim=1)
    log_tail_C1 = teacher.log_tail[:, None].clamp_min(math.log(SMALLEST_TAIL))
    log_q_CB = torch.cat([teacher.log_probs, log_tail_C1], dim=1).to(log_p_CB.dtype)
    kl_sum, grad_CB = DIVERGENCES[terms.divergence](log_q_CB, log_p_CB, terms.beta)  # each rank has every bucket
    return kl_sum, vocabulary.put_(rest_CV.mul_(grad_CB[:, -1:] / tail_C1), ids_CK, grad_CB[:, :-1])


def _sampled(log_p_CV: Tensor, teacher: SampledTargets, terms: Terms, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """Return an unbiased estimate of KL(teacher || student), summed, and the estimate's gradient.

    docs/equations.md, "Sampled targets": the student's mass counts sum(q^) times, which is 1 only on average.
    """
    q_CK = (teacher.weights * teacher.log_probs.exp()).to(log_p_CV.dtype)
    kl_sum = (q_CK * (teacher.log_probs - vocabulary.take(log_p_CV, teacher.token_ids))).sum()
    mass_C1 = q_CK.sum(dim=-1, keepdim=True)
    return kl_sum, vocabulary.add_(log_p_CV.exp().mul_(mass_C1), teacher.token_ids, -q_CK)
