"""The distillation loss against a teacher with another tokenizer: divergences over text-aligned spans.

The method is that of docs/cross_tokenizer.md.

At the start of a span both models have read the same text. There, the student's distribution over its next token is
compared with the teacher's distribution over its own; the span's further tokens count through the chain rule.
`span_kl` is the toolkit's own; `gold` is the hybrid loss of GOLD (Patino et al. 2025, TRL's GOLDTrainer); `uld` is
the Universal Logit Distillation loss (Boizard et al., arXiv 2402.12030) on GOLD's merged spans.

Shape suffixes: N student target tokens, M teacher target tokens, C tokens of one chunk, S spans of one chunk,
H student hidden, G teacher hidden, V vocabulary of either side, B buckets, K tokens that share a bucket.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.cross_tokenizer.alignment import SharedVocabulary, Side, Spans
from distill.loss.distillation_loss import LossOutput, default_chunk
from distill.loss.heads import Head
from distill.settings import SpanDivergence

MIN_CHUNK = 256  # tokens; enough rows for a matrix product
SMALLEST = 1e-30  # mass of an empty bucket; keeps its logarithm finite
NOTHING = -1e30  # logarithm of no mass; only ever added to other masses


@dataclass(frozen=True)
class SpanTeacher:
    """A teacher that runs on its own tokens: hidden states [M, G], head, token ids [M], spans and vocabularies."""

    hidden: Tensor
    head: Tensor | Head
    labels: Tensor
    spans: Spans
    sides: "Sides"


@dataclass(frozen=True)
class _Terms:
    alpha: float
    temperature: float
    divergence: SpanDivergence
    beta: float
    chunk_tokens: int
    differentiate: bool


@dataclass(frozen=True)
class Reading:
    """One side's view of S spans.

    log_p: [S, V], log-probabilities at the spans' first tokens. rest: [S], log-probability of all other tokens of a
    span. first: [S], ids of the first tokens. single: [S], whether a span is one token.
    """

    log_p: Tensor
    rest: Tensor
    first: Tensor
    single: Tensor

    @property
    def merged(self) -> Tensor:
        """The log of GOLD's merged distribution [S, V]: correct for the span's own tokens, not normalized."""
        return self.log_p + self.rest[:, None]


class SideTensors:
    """One side of the shared vocabulary on a device, with the index that sums its buckets."""

    def __init__(self, side: Side, device: torch.device) -> None:
        self.roots_B, self.buckets_V, self.matched_V = (
            torch.from_numpy(part).to(device) for part in (side.roots, side.buckets, side.matched)
        )
        self.size = side.size
        members_B = torch.bincount(self.buckets_V, minlength=len(self.roots_B) + 1)
        self.alone_B = members_B[:-1] == 1
        crowded_B = torch.cat([~self.alone_B, members_B.new_ones(1, dtype=torch.bool)])
        # Tokens that share a bucket or have no root, bucket by bucket, so sums have the same order on every device.
        order_V = self.buckets_V.argsort(stable=True)
        self.crowd = order_V[crowded_B[self.buckets_V[order_V]]]
        self.crowd_sizes_B = torch.where(crowded_B, members_B, 0)


@dataclass(frozen=True)
class Sides:
    """The shared vocabulary on a device."""

    student: SideTensors
    teacher: SideTensors

    @classmethod
    def of(cls, shared: SharedVocabulary, device: torch.device) -> "Sides":
        """Move both sides of a shared vocabulary to a device."""
        return cls(SideTensors(shared.student, device), SideTensors(shared.teacher, device))


def span_loss(
    student_hidden: Tensor,
    student_head: Tensor | Head,
    labels: Tensor,
    teacher: SpanTeacher,
    *,
    alpha: float = 0.0,
    temperature: float = 1.0,
    divergence: SpanDivergence = "span_kl",
    beta: float = 0.5,
    denominator: float | Tensor | None = None,
    chunk_tokens: int | None = None,
) -> LossOutput:
    """Return the loss of N tokens from hidden states [N, H], a head (or its weight [V, H]) and labels [N].

    The loss is `alpha * sum of CE + (1 - alpha) * T^2 * sum of D over aligned spans`, divided by `denominator` (default
    N), so that with one tokenizer it equals `distillation_loss`. It is differentiable with respect to the hidden
    states, weight and bias; no gradient is computed for an input that needs none. Logits exist for one chunk of whole
    spans at a time. `beta` is the teacher's share of the mixture in `gold`. Heads that FSDP2 has sharded are gathered;
    a vocabulary-parallel head is a ValueError.
    """
    spans, sides = teacher.spans, teacher.sides
    assert spans.student[-1] == len(labels) == len(student_hidden), f"{spans.student[-1]=} {student_hidden.shape=}"
    assert spans.teacher[-1] == len(teacher.labels) == len(teacher.hidden), f"{spans.teacher[-1]=}"
    head, teacher = Head.of(student_head).gathered(), replace(teacher, head=Head.of(teacher.head).gathered())
    if head.shard is not None or Head.of(teacher.head).shard is not None:
        raise ValueError("a vocabulary-parallel head; divergences over spans need all rows of both heads on a rank")
    # A quarter of the usual chunk: autograd computes the gradient and keeps some ten copies of a chunk's logits.
    usual = default_chunk(max(sides.student.size, sides.teacher.size), student_hidden.device)
    chunk = chunk_tokens or max(MIN_CHUNK, usual // 4)
    wanted = torch.is_grad_enabled()  # read here: inside forward gradients are always off
    terms = _Terms(alpha, temperature, divergence, beta, chunk, wanted)
    total, ce_sum, kl_sum = _ChunkedSpans.apply(  # type: ignore[no-untyped-call]
        student_hidden, head.weight, head.bias, head, labels, teacher, terms
    )
    tokens = len(labels)
    return LossOutput(total / (tokens if denominator is None else denominator), ce_sum, kl_sum, tokens)


class _ChunkedSpans(torch.autograd.Function):
    """The loss as an autograd function: forward computes the gradients chunk by chunk, backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        whole: Head,
        labels_N: Tensor,
        teacher: SpanTeacher,
        terms: _Terms,
    ) -> tuple[Tensor, Tensor, Tensor]:
        spans, sides = teacher.spans, teacher.sides
        device, size = hidden_NH.device.type, sides.student.size
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_NH.dtype
        statistics = torch.promote_types(dtype, torch.float32)
        head = replace(whole, weight=weight_VH, bias=bias_V).first(size, dtype)
        theirs = Head.of(teacher.head).first(sides.teacher.size)
        needed = [need and terms.differentiate for need in ctx.needs_input_grad]
        grad_hidden = torch.empty_like(hidden_NH) if needed[0] else None
        grad_weight = torch.zeros_like(weight_VH, dtype=statistics) if needed[1] else None
        grad_bias = torch.zeros_like(bias_V, dtype=statistics) if bias_V is not None and needed[2] else None
        sums = hidden_NH.new_zeros(3, dtype=statistics)
        with torch.autocast(device, enabled=False):
            for part, rows, teacher_rows in _chunks(spans, terms.chunk_tokens):
                hidden_CH = hidden_NH[rows].to(dtype)
                logits_CV = head.logits(hidden_CH)
                theirs_CV = theirs.logits(teacher.hidden[teacher_rows]).to(statistics)
                known = labels_N[rows], theirs_CV, teacher.labels[teacher_rows]
                chunk_sums, grad_CV = _chunk_terms(logits_CV, *known, part, sides, terms)
                sums += chunk_sums
                if grad_CV is None:
                    continue
                grad_CV = head.backward(grad_CV, logits_CV)
                low_CV = grad_CV.to(dtype)
                if grad_hidden is not None:
                    grad_hidden[rows] = low_CV @ head.weight
                if grad_weight is not None:
                    grad_weight[:size] += low_CV.T @ hidden_CH
                if grad_bias is not None:
                    grad_bias[:size] += grad_CV.sum(0)
        ctx.save_for_backward(
            grad_hidden,
            None if grad_weight is None else grad_weight.to(weight_VH.dtype),
            None if bias_V is None or grad_bias is None else grad_bias.to(bias_V.dtype),
        )
        total, ce_sum, kl_sum = sums.unbind()
        ctx.mark_non_differentiable(ce_sum, kl_sum)
        return total, ce_sum, kl_sum

    @staticmethod
    def backward(ctx: Any, grad_total: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        grads = (None if grad is None else grad * grad_total.to(grad.dtype) for grad in ctx.saved_tensors)
        return (*grads, *(None,) * 4)


def _chunks(spans: Spans, tokens: int) -> Iterator[tuple[Spans, slice, slice]]:
    """Yield (spans counted from the chunk's start, its student rows, its teacher rows): whole spans, at least one."""
    first = start_s = start_t = 0
    while first < len(spans.student):
        fits = (ends.searchsorted(start + tokens, "right") for ends, start in _starts(spans, start_s, start_t))
        stop = max(first + 1, min(int(n) for n in fits))
        stop_s, stop_t = int(spans.student[stop - 1]), int(spans.teacher[stop - 1])
        here = slice(first, stop)
        part = Spans(spans.student[here] - start_s, spans.teacher[here] - start_t, spans.aligned[here])
        yield part, slice(start_s, stop_s), slice(start_t, stop_t)
        first, start_s, start_t = stop, stop_s, stop_t


def _starts(spans: Spans, student: int, teacher: int) -> tuple[tuple[Any, int], tuple[Any, int]]:
    return (spans.student, student), (spans.teacher, teacher)


def _chunk_terms(
    logits_CV: Tensor,
    labels_C: Tensor,
    theirs_CV: Tensor,
    their_labels_C: Tensor,
    spans: Spans,
    sides: Sides,
    terms: _Terms,
) -> tuple[Tensor, Tensor | None]:
    """Return (sums of loss, CE and divergence [3], gradient of the chunk's loss to the student's logits [C, V])."""
    device, temperature = logits_CV.device, terms.temperature
    chosen = torch.from_numpy(spans.aligned.nonzero()[0]).to(device)
    ends, their_ends = (torch.from_numpy(side).to(device) for side in (spans.student, spans.teacher))
    with torch.no_grad():
        teacher = reading(torch.log_softmax(theirs_CV / temperature, -1), their_labels_C, their_ends, chosen)
    with torch.set_grad_enabled(terms.differentiate):
        leaf_CV = logits_CV.detach().requires_grad_()
        log_p_CV = torch.log_softmax(leaf_CV, -1)
        ce = -log_p_CV.gather(1, labels_C[:, None]).sum()
        tempered_CV = log_p_CV if temperature == 1.0 else torch.log_softmax(leaf_CV / temperature, -1)
        student = reading(tempered_CV, labels_C, ends, chosen)
        distance = SPAN_DIVERGENCES[terms.divergence](teacher, student, sides, terms.beta)
        soft = (1.0 - terms.alpha) * temperature**2
        total = terms.alpha * ce + soft * distance if soft else ce  # a teacher that is only measured has no gradient
        grad_CV = torch.autograd.grad(total, leaf_CV)[0] if terms.differentiate else None
    return torch.stack([total, ce, distance]).detach(), grad_CV


def reading(log_p_CV: Tensor, labels_C: Tensor, ends: Tensor, chosen: Tensor) -> Reading:
    """Return one side's view of the chosen spans, from its log-probabilities [C, V] and its tokens [C]."""
    starts = F.pad(ends[:-1], (1, 0))
    own_C = log_p_CV.gather(1, labels_C[:, None]).squeeze(1)
    later_C = own_C.new_ones(len(own_C)).index_fill(0, starts[ends > starts], 0.0)  # 1 past a span's first token
    rest_S = torch.segment_reduce(own_C * later_C, "sum", lengths=ends - starts, unsafe=True)
    firsts = starts[chosen]
    return Reading(log_p_CV.index_select(0, firsts), rest_S[chosen], labels_C[firsts], (ends - starts)[chosen] == 1)


def span_kl(teacher: Reading, student: Reading, sides: Sides, beta: float) -> Tensor:
    """Return KL(teacher || student) over the possible continuations, summed over spans (cross_tokenizer.md, `span_kl`).

    Buckets: each shared token together with all tokens that start with it in the other side's spelling; the tokens
    without a shared start; and the span itself, whose mass by the chain rule leaves the bucket of its first token. Both
    sides partition the same space, so the sum is at least 0; with one vocabulary it is the ordinary forward KL.
    """
    target_S = _target(teacher, student, sides)
    log_p_SB = _bucketed(student, sides.student, target_S)
    log_q_SB = _bucketed(teacher, sides.teacher, target_S)
    return (log_q_SB.exp() * (log_q_SB - log_p_SB)).sum()


def _target(teacher: Reading, student: Reading, sides: Sides) -> Tensor:
    """Return the bucket of each whole span: that of the shared token that writes it on one side, otherwise its own."""
    target_S = torch.full_like(student.first, len(sides.student.roots_B) + 1)
    for side, read in ((sides.teacher, teacher), (sides.student, student)):
        alone_S = read.single & side.matched_V[read.first]
        target_S = torch.where(alone_S, side.buckets_V[read.first], target_S)
    return target_S


def _bucketed(read: Reading, side: SideTensors, target_S: Tensor) -> Tensor:
    """Return the log-masses [S, B + 2] of the shared tokens, of the tokens without a root, and of the spans."""
    first_S1, target_S1 = read.first[:, None], target_S[:, None]
    in_place_S = read.single & side.matched_V[read.first] & (side.buckets_V[read.first] == target_S)
    joint_S = read.log_p.gather(1, first_S1).squeeze(1) + read.rest
    joint_S = joint_S.masked_fill(in_place_S, NOTHING)
    others_S = _log1mexp(read.rest).masked_fill(in_place_S, 0.0)  # share of the first token outside the span
    log_p_SV = read.log_p.scatter_add(1, first_S1, others_S[:, None])
    crowd_SK = log_p_SV.index_select(1, side.crowd).exp()
    crowd_SB = torch.segment_reduce(crowd_SK.T.contiguous(), "sum", lengths=side.crowd_sizes_B, unsafe=True).T
    crowd_SB = crowd_SB.clamp_min(SMALLEST).log()
    roots_SB = torch.where(side.alone_B, log_p_SV.index_select(1, side.roots_B), crowd_SB[:, :-1])
    log_SB = torch.cat([roots_SB, crowd_SB[:, -1:], torch.full_like(crowd_SB[:, :1], NOTHING)], dim=1)
    log_SB = log_SB.scatter(1, target_S1, torch.logaddexp(log_SB.gather(1, target_S1), joint_S[:, None]))
    return log_SB.clamp_min(torch.finfo(log_SB.dtype).min / 1e6)


def _log1mexp(x: Tensor) -> Tensor:
    """Return log(1 - exp(x)) for x <= 0; where nothing is left, as much as rounding hides."""
    return (-torch.expm1(x.clamp_max(-torch.finfo(x.dtype).eps))).log()


def gold(teacher: Reading, student: Reading, sides: Sides, beta: float) -> Tensor:
    """Return GOLD's hybrid loss, summed over spans.

    It is the generalized JSD of the merged probabilities of shared tokens (in GOLD `beta` = 0 is forward KL; here
    0 < beta < 1), plus ULD of all other tokens. The two are weighted by the share of the teacher's vocabulary that is
    shared, and the rest.
    """
    q_SV, p_SV = teacher.merged, student.merged
    log_q_SB, log_p_SB = q_SV[:, sides.teacher.roots_B], p_SV[:, sides.student.roots_B]
    share = torch.tensor(beta, dtype=log_p_SB.dtype, device=log_p_SB.device)
    log_m_SB = torch.logaddexp(log_q_SB + share.log(), log_p_SB + torch.log1p(-share))
    to_teacher = (log_q_SB.exp() * (log_q_SB - log_m_SB)).sum()
    to_student = (log_p_SB.exp() * (log_p_SB - log_m_SB)).sum()
    matched = len(sides.teacher.roots_B) / sides.teacher.size
    unmatched = _sorted_distance(q_SV[:, ~sides.teacher.matched_V].exp(), p_SV[:, ~sides.student.matched_V].exp())
    return matched * (beta * to_teacher + (1.0 - beta) * to_student) + (1.0 - matched) * unmatched


def uld(teacher: Reading, student: Reading, sides: Sides, beta: float) -> Tensor:
    """Return the L1 distance of the sorted merged probabilities, summed over spans; no token is matched by text."""
    return _sorted_distance(teacher.merged.exp(), student.merged.exp())


def _sorted_distance(q_SV: Tensor, p_SV: Tensor) -> Tensor:
    width = max(q_SV.shape[1], p_SV.shape[1])
    q_SV, p_SV = (F.pad(x.sort(dim=-1, descending=True).values, (0, width - x.shape[1])) for x in (q_SV, p_SV))
    return (q_SV - p_SV).abs().sum()


SPAN_DIVERGENCES: dict[str, Callable[[Reading, Reading, Sides, float], Tensor]] = {
    "span_kl": span_kl,
    "gold": gold,
    "uld": uld,
}
