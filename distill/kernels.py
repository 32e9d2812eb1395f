"""Triton kernels between the loss's matrix products on a GPU: sums of a chunk's exponentials, then its gradient.

Logits are transposed, [V, C], and relative to a reference of their token, so that near the top of a softmax bf16 loses
nothing that matters; the gradient takes their memory. Two reads and one write of the logits in all, where plain torch
makes a dozen passes. Reductions over V are summed program by program in a fixed order: two runs give the same bits.

Shape suffixes: C tokens of a chunk, V vocabulary, K targets of a token, P programs.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from distill.plain import SMALLEST_TAIL, Terms
from distill.teacher import SampledTargets, StoredTargets

PROGRAMS = 528  # 4 for each multiprocessor of an H100 or H200
ROWS = 1  # of the vocabulary that a program holds at once, for all tokens of the chunk
WARPS, MOMENT_WARPS = 16, 8  # of a program; with moments there is more to hold. Measured on an H200 for 1, 2 and 4 rows
ALIGNED = 16  # tokens: rows of memory that begin at multiples of 32 bytes
# Exponents are taken relative to the reference plus this: a token's top logit may exceed its reference by 80 nats more.
HEADROOM = tl.constexpr(40.0)
LOG2_E = tl.constexpr(1.4426950408889634)
SMALLEST = tl.constexpr(SMALLEST_TAIL)
LOG_SMALLEST = tl.constexpr(math.log(SMALLEST_TAIL))


@triton.jit
def _exponentials(x, cooling, power: tl.constexpr):  # type: ignore[no-untyped-def]
    """(exp x, exp(x / T)) up to constants; where T is 1, 2, 4 or 8 the first is a power of the second."""
    if power == 0:
        plain = tl.exp2((x - HEADROOM) * LOG2_E)
        tempered = tl.exp2((x * cooling - HEADROOM) * LOG2_E)
    else:
        tempered = tl.exp2((x - HEADROOM) * (cooling * LOG2_E))
        plain = tempered
        if power > 1:
            plain = plain * plain
        if power > 2:
            plain = plain * plain
        if power > 4:
            plain = plain * plain
    return plain, tempered


@triton.jit
def _logits(logits, bias, v, c, inside, width, scale, has_bias: tl.constexpr, size: tl.constexpr):  # type: ignore[no-untyped-def]
    """Those of some tokens of the vocabulary [ROWS, C], -inf outside it."""
    x = tl.load(logits + v.to(tl.int64)[:, None] * width + c[None, :], inside, other=-float("inf")).to(tl.float32)
    if has_bias:
        x += tl.load(bias + v, v < size, other=0.0).to(tl.float32)[:, None]
    return x * scale


@triton.jit
def _sums(  # type: ignore[no-untyped-def]
    student, student_bias, teacher, teacher_bias, partial,
    width, student_scale, teacher_scale, cooling,
    SIZE: tl.constexpr, STRIPE: tl.constexpr, C: tl.constexpr, ROWS: tl.constexpr, POWER: tl.constexpr,
    STUDENT_BIAS: tl.constexpr, TEACHER_BIAS: tl.constexpr, HAS_TEACHER: tl.constexpr,
):  # fmt: skip
    """Of a stripe of the vocabulary: sums of the student's exp x and exp(x / T) and the teacher's exp(x / T)."""
    stripe = tl.program_id(0)
    c = tl.arange(0, C)
    plain = tl.zeros((ROWS, C), tl.float32)
    tempered = tl.zeros((ROWS, C), tl.float32)
    theirs = tl.zeros((ROWS, C), tl.float32)
    for start in range(0, STRIPE, ROWS):
        v = stripe * STRIPE + start + tl.arange(0, ROWS)
        inside = (v < SIZE)[:, None] & (c < width)[None, :]
        x = _logits(student, student_bias, v, c, inside, width, student_scale, STUDENT_BIAS, SIZE)
        p_1, p_t = _exponentials(x, cooling, POWER)
        plain += p_1
        tempered += p_t
        if HAS_TEACHER:
            x = _logits(teacher, teacher_bias, v, c, inside, width, teacher_scale, TEACHER_BIAS, SIZE)
            theirs += _exponentials(x, cooling, POWER)[1]
    at = partial + stripe * 3 * C + c
    tl.store(at, tl.sum(plain, 0))
    tl.store(at + C, tl.sum(tempered, 0))
    tl.store(at + 2 * C, tl.sum(theirs, 0))


@triton.jit
def _gradient(  # type: ignore[no-untyped-def]
    student, student_bias, teacher, teacher_bias, labels, factors, divergence, energy, along, moment,
    tokens, width, student_scale, teacher_scale, cooling,
    SIZE: tl.constexpr, STRIPE: tl.constexpr, C: tl.constexpr, ROWS: tl.constexpr, POWER: tl.constexpr,
    STUDENT_BIAS: tl.constexpr, TEACHER_BIAS: tl.constexpr, HAS_TEACHER: tl.constexpr, WANTED: tl.constexpr,
    MOMENTS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Of a stripe: `a exp x + b exp(x / T) - soft q - hard [label]` over the logits, and its part of the divergence."""
    stripe = tl.program_id(0)
    c = tl.arange(0, C)
    label = tl.load(labels + c, c < tokens, other=-1).to(tl.int32)
    a = tl.load(factors + c)
    b = tl.load(factors + C + c)
    hard = tl.load(factors + 2 * C + c)
    if HAS_TEACHER:
        soft = tl.load(factors + 3 * C + c)
        q_share = tl.load(factors + 4 * C + c)
        log_ratio = tl.load(factors + 5 * C + c)
    kl = tl.zeros((ROWS, C), tl.float32)
    total = tl.zeros((ROWS, C), tl.float32)
    product = tl.zeros((ROWS, C), tl.float32)
    for start in range(0, STRIPE, ROWS):
        v = stripe * STRIPE + start + tl.arange(0, ROWS)
        inside = (v < SIZE)[:, None] & (c < width)[None, :]
        x = _logits(student, student_bias, v, c, inside, width, student_scale, STUDENT_BIAS, SIZE)
        p_1, p_t = _exponentials(x, cooling, POWER)
        g = p_1 * a[None, :] + p_t * b[None, :] - tl.where(v[:, None] == label[None, :], hard[None, :], 0.0)
        if HAS_TEACHER:
            t = _logits(teacher, teacher_bias, v, c, inside, width, teacher_scale, TEACHER_BIAS, SIZE)
            q = _exponentials(t, cooling, POWER)[1] * q_share[None, :]
            kl += tl.where(q > 0.0, q * ((t - x) * cooling + log_ratio[None, :]), 0.0)
            g -= q * soft[None, :]
        if WANTED:
            at = v.to(tl.int64)[:, None] * width + c[None, :]
            tl.store(student + at, g.to(student.dtype.element_ty), inside)
        if MOMENTS:
            g = tl.where(inside, g, 0.0)
            # Within warps alone: a sum over the whole row would make warps wait for each other in each round.
            squares = tl.sum(tl.reshape(g * g, (ROWS, PARTS, C // PARTS)), 2)
            at = v[:, None] * PARTS + tl.arange(0, PARTS)[None, :]
            tl.store(energy + at, squares, (v < SIZE)[:, None])
            total += g * tl.load(along + v, v < SIZE, other=0.0)[:, None]
            product += g * tl.where(inside, x, 0.0)
    if HAS_TEACHER:
        tl.store(divergence + stripe * C + c, tl.sum(kl, 0))
    if MOMENTS:
        at = moment + stripe * 2 * C + c
        tl.store(at, tl.sum(total, 0))
        tl.store(at + C, tl.sum(product, 0))


@triton.jit
def _factors(  # type: ignore[no-untyped-def]
    totals, at_label, unit, factors, sums, tokens, alpha, soft, C: tl.constexpr, HAS_TEACHER: tl.constexpr,
):  # fmt: skip
    """What `_gradient` multiplies by, and each token's cross-entropy, where no targets are kept apart."""
    c = tl.arange(0, C)
    inside = c < tokens
    scale = tl.where(inside, tl.load(unit), 0.0)
    plain = tl.load(totals + c)
    tempered = tl.load(totals + C + c)
    tl.store(sums + c, tl.log(plain) + HEADROOM - tl.load(at_label + c, inside, other=0.0), inside)
    tl.store(factors + c, alpha * scale / plain)
    tl.store(factors + C + c, soft * scale / tempered)
    tl.store(factors + 2 * C + c, alpha * scale)
    if HAS_TEACHER:
        theirs = tl.load(totals + 2 * C + c)
        tl.store(factors + 3 * C + c, soft * scale)
        tl.store(factors + 4 * C + c, 1.0 / theirs)
        tl.store(factors + 5 * C + c, tl.log(tempered) - tl.log(theirs))


@triton.jit
def _take(logits, ids, kept, width, COUNT: tl.constexpr, K: tl.constexpr, MASK: tl.constexpr):  # type: ignore[no-untyped-def]
    """A token's logits at its targets; MASK leaves -inf behind, so that `_sums` are of all others."""
    c = tl.program_id(0)
    k = tl.arange(0, K)
    at = logits + tl.load(ids + c * COUNT + k, k < COUNT, other=0) * width + c
    tl.store(kept + c * K + k, tl.load(at, k < COUNT, other=-float("inf")).to(tl.float32))
    if MASK:
        tl.debug_barrier()  # all are read before any is written: a token may be among the targets twice
        tl.store(at, -float("inf"), k < COUNT)


@triton.jit
def _kept_factors(  # type: ignore[no-untyped-def]
    totals, at_label, unit, factors, sums, labels, kept, ids, log_probs, weights, log_tail, bias,
    alpha, soft, scale, cooling,
    C: tl.constexpr, COUNT: tl.constexpr, K: tl.constexpr, POWER: tl.constexpr, HAS_BIAS: tl.constexpr,
    SAMPLED: tl.constexpr,
):  # fmt: skip
    """As `_factors` for one token with kept targets; its gradient at these takes the place of their logits."""
    c = tl.program_id(0)
    k = tl.arange(0, K)
    inside = k < COUNT
    at_k = tl.load(ids + c * COUNT + k, inside, other=-1)
    x = tl.load(kept + c * K + k)
    if HAS_BIAS:
        x += tl.load(bias + at_k, inside, other=0.0).to(tl.float32)
    x *= scale
    p_1, p_t = _exponentials(x, cooling, POWER)
    plain = tl.load(totals + c)
    tempered = tl.load(totals + C + c)
    log_q = tl.load(log_probs + c * COUNT + k, inside, other=0.0).to(tl.float32)
    q = tl.where(inside, tl.exp(log_q), 0.0)
    shift = HEADROOM if POWER == 0 else HEADROOM * cooling
    if SAMPLED:  # kept tokens are in the sums already, and may repeat
        q *= tl.load(weights + c * COUNT + k, inside, other=0.0).to(tl.float32)
        mass = tl.sum(q, 0)
        log_p = x * cooling - shift - tl.log(tempered)
        kl = tl.sum(tl.where(inside & (q > 0.0), q * (log_q - log_p), 0.0), 0)
        share = mass / tempered
        q = tl.sum(tl.where(at_k[:, None] == at_k[None, :], q[None, :], 0.0), 1)
    else:
        rest = tempered
        plain += tl.sum(p_1, 0)
        tempered += tl.sum(p_t, 0)
        log_p = x * cooling - shift - tl.log(tempered)
        kl = tl.sum(tl.where(inside & (q > 0.0), q * (log_q - log_p), 0.0), 0)
        tail = tl.maximum(rest / tempered, SMALLEST)
        log_q_tail = tl.maximum(tl.load(log_tail + c).to(tl.float32), LOG_SMALLEST)
        q_tail = tl.exp(log_q_tail)
        kl += q_tail * (log_q_tail - tl.log(tail))
        share = (1.0 - q_tail / tail) / tempered
    unit_scale = tl.load(unit)
    label = tl.load(labels + c)
    hard = alpha * unit_scale
    g = hard * (p_1 / plain - tl.where(at_k == label, 1.0, 0.0))
    if SAMPLED:
        g += soft * unit_scale * (p_t * share - q)
    else:
        g += soft * unit_scale * (p_t / tempered - q)
    tl.store(kept + c * K + k, g)
    tl.store(sums + c, tl.log(plain) + HEADROOM - tl.load(at_label + c))
    tl.store(sums + C + c, kl)
    tl.store(factors + c, hard / plain)
    tl.store(factors + C + c, soft * unit_scale * share)
    tl.store(factors + 2 * C + c, hard)


@triton.jit
def _put(gradient, ids, kept, width, COUNT: tl.constexpr, K: tl.constexpr):  # type: ignore[no-untyped-def]
    """A token's gradient at its targets; one that repeats is written with the same value."""
    c = tl.program_id(0)
    k = tl.arange(0, K)
    at = gradient + tl.load(ids + c * COUNT + k, k < COUNT, other=0) * width + c
    tl.store(at, tl.load(kept + c * K + k).to(gradient.dtype.element_ty), k < COUNT)


@triton.jit
def _dots(ids, hidden, weight, dots, H: tl.constexpr, WIDTH: tl.constexpr):  # type: ignore[no-untyped-def]
    """A token's hidden state times one row of the weight."""
    c = tl.program_id(0).to(tl.int64)
    h = tl.arange(0, H)
    left = tl.load(hidden + c * WIDTH + h, h < WIDTH, other=0.0).to(tl.float32)
    right = tl.load(weight + tl.load(ids + c) * WIDTH + h, h < WIDTH, other=0.0).to(tl.float32)
    tl.store(dots + c, tl.sum(left * right, 0))


@triton.jit
def _scale(values, factor, COUNT, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Multiply by a factor that is known on the GPU alone; by one, which is the rule, nothing is read or written."""
    by = tl.load(factor).to(tl.float32)
    if by != 1.0:
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        value = tl.load(values + at, at < COUNT).to(tl.float32)
        tl.store(values + at, (value * by).to(values.dtype.element_ty), at < COUNT)


@dataclass(frozen=True)
class Logits:
    """Of a chunk, as products: `scale * (values + bias)` is relative to a reference of each token.

    values_VC: [V, W], W being the chunk's tokens `padded`. at_label_C: [C] fp32, the products at the labels, exactly.
    """

    values_VC: Tensor
    at_label_C: Tensor
    bias_V: Tensor | None
    scale: float


@dataclass
class Moments:
    """What is asked about a chunk's gradient to the products: of each row of the vocabulary, and of each token.

    energy_V: [V] fp32, the sum of its squares over tokens. along_V: [V] fp32, given; along_C: [W] fp32, the sum over
    the vocabulary of it times the gradient; product_C: [W] fp32, the same of the products.
    """

    energy_V: Tensor
    along_V: Tensor
    along_C: Tensor
    product_C: Tensor


def padded(tokens: int) -> int:
    """Columns of logits in memory."""
    return -(-tokens // ALIGNED) * ALIGNED


def chunk_terms(
    student: Logits, teacher: Logits | StoredTargets | SampledTargets | None, labels_C: Tensor, unit: Tensor,
    terms: Terms, moments: Moments | None = None,
) -> Tensor:  # fmt: skip
    """Sums of CE and KL [2]. The gradient of `unit` times the chunk's loss takes the place of the student's products.

    `moments` are filled where there are no kept targets.
    """
    chunk = _Chunk(student, teacher if isinstance(teacher, Logits) else None, labels_C, unit * student.scale, terms)
    if isinstance(teacher, StoredTargets | SampledTargets):
        kept_CK = chunk.take(teacher)
        chunk.kept_factors(chunk.totals(), teacher, kept_CK)
        chunk.gradient(None)
        chunk.put(teacher, kept_CK)
    else:
        chunk.factors(chunk.totals())
        chunk.gradient(moments)
    return chunk.sums_2C[:, : len(labels_C)].sum(1)


class _Chunk:
    """A chunk's kernels and what they share."""

    def __init__(self, student: Logits, teacher: Logits | None, labels_C: Tensor, unit: Tensor, terms: Terms) -> None:
        self.student, self.labels_C, self.unit, self.terms = student, labels_C, unit, terms
        self.size, self.width = student.values_VC.shape
        self.columns = triton.next_power_of_2(self.width)
        self.stripe = triton.cdiv(triton.cdiv(self.size, PROGRAMS), ROWS) * ROWS
        self.programs = triton.cdiv(self.size, self.stripe)
        self.power = int(terms.temperature) if terms.temperature in (1.0, 2.0, 4.0, 8.0) else 0
        self.soft = (1.0 - terms.alpha) * terms.temperature  # T^2 of the loss, 1/T of the logits' derivative
        self.factors_6C = self._empty(6, self.columns)
        self.sums_2C = torch.zeros_like(self.factors_6C[:2])
        self.online, theirs = teacher is not None, teacher or student
        self.logits = student.values_VC, student.bias_V, theirs.values_VC, theirs.bias_V
        self.scales = self.width, student.scale, theirs.scale, 1.0 / terms.temperature
        self.options: dict[str, Any] = {
            "SIZE": self.size, "STRIPE": self.stripe, "C": self.columns, "ROWS": ROWS, "POWER": self.power,
            "STUDENT_BIAS": student.bias_V is not None, "TEACHER_BIAS": theirs.bias_V is not None,
            "HAS_TEACHER": self.online,
        }  # fmt: skip

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=self.unit.device)

    def totals(self) -> Tensor:
        """Sums over the vocabulary [3, C]."""
        partial_P3C = self._empty(self.programs, 3, self.columns)
        _sums[(self.programs,)](*self.logits, partial_P3C, *self.scales, **self.options, num_warps=WARPS)
        return partial_P3C.sum(0)

    def factors(self, totals_3C: Tensor) -> None:
        """Those of a chunk without kept targets."""
        _factors[(1,)](
            totals_3C, self.student.at_label_C, self.unit, self.factors_6C, self.sums_2C,
            len(self.labels_C), self.terms.alpha, self.soft, C=self.columns, HAS_TEACHER=self.online,
        )  # fmt: skip

    def gradient(self, moments: Moments | None) -> None:
        """Over the student's logits."""
        divergence_PC = self._empty(self.programs if self.online else 0, self.columns)
        moment_P2C = self._empty(self.programs if moments else 0, 2, self.columns)
        parts = min(MOMENT_WARPS, self.columns)
        energy_VP = self._empty(self.size if moments else 0, parts)
        _gradient[(self.programs,)](
            *self.logits, self.labels_C, self.factors_6C, divergence_PC, energy_VP,
            moments and moments.along_V, moment_P2C,
            len(self.labels_C), *self.scales, WANTED=self.terms.differentiate, MOMENTS=moments is not None, PARTS=parts,
            **self.options, num_warps=MOMENT_WARPS if moments else WARPS,
        )  # fmt: skip
        if self.online:
            torch.sum(divergence_PC, 0, out=self.sums_2C[1])
        if moments:
            torch.sum(energy_VP, 1, out=moments.energy_V)
            moments.along_C, moments.product_C = moment_P2C.sum(0)[:, : self.width]
            moments.product_C /= self.student.scale

    def take(self, teacher: StoredTargets | SampledTargets) -> Tensor:
        """Logits [C, K padded] at kept targets; of stored ones, which the tail is apart from, -inf is left behind."""
        count = teacher.token_ids.shape[1]
        kept_CK = self._empty(len(self.labels_C), triton.next_power_of_2(count))
        _take[(len(kept_CK),)](
            self.student.values_VC, teacher.token_ids, kept_CK, self.width,
            COUNT=count, K=kept_CK.shape[1], MASK=isinstance(teacher, StoredTargets),
        )  # fmt: skip
        return kept_CK

    def kept_factors(self, totals_3C: Tensor, teacher: StoredTargets | SampledTargets, kept_CK: Tensor) -> None:
        """Those of a chunk with kept targets, whose logits become their gradient."""
        self.factors_6C.zero_()  # also of columns that are no tokens
        sampled = isinstance(teacher, SampledTargets)
        weights = teacher.weights if isinstance(teacher, SampledTargets) else None
        log_tail = teacher.log_tail if isinstance(teacher, StoredTargets) else None
        _kept_factors[(len(kept_CK),)](
            totals_3C, self.student.at_label_C, self.unit, self.factors_6C, self.sums_2C, self.labels_C, kept_CK,
            teacher.token_ids, teacher.log_probs, weights, log_tail, self.student.bias_V,
            self.terms.alpha, self.soft, self.student.scale, 1.0 / self.terms.temperature,
            C=self.columns, COUNT=teacher.token_ids.shape[1], K=kept_CK.shape[1], POWER=self.power,
            HAS_BIAS=self.student.bias_V is not None, SAMPLED=sampled,
        )  # fmt: skip

    def put(self, teacher: StoredTargets | SampledTargets, kept_CK: Tensor) -> None:
        """The gradient at kept targets."""
        if self.terms.differentiate:
            _put[(len(kept_CK),)](
                self.student.values_VC, teacher.token_ids, kept_CK, self.width,
                COUNT=teacher.token_ids.shape[1], K=kept_CK.shape[1],
            )  # fmt: skip


def logits_at(ids_C: Tensor, hidden_CH: Tensor, weight_VH: Tensor) -> Tensor:
    """Of each token of the chunk the product at one id, [C] fp32; NaN where the id is outside the vocabulary."""
    rows, width = weight_VH.shape
    dots_C = torch.empty(len(ids_C), dtype=torch.float32, device=hidden_CH.device)
    inside_C = (ids_C >= 0) & (ids_C < rows)
    hidden_CH, weight_VH = hidden_CH.contiguous(), weight_VH.contiguous()
    _dots[(len(ids_C),)](
        torch.where(inside_C, ids_C, 0), hidden_CH, weight_VH, dots_C, H=triton.next_power_of_2(width), WIDTH=width
    )
    return dots_C.where(inside_C, torch.nan)


def scale_by(values: Tensor, factor: Tensor) -> None:
    """Multiply in place by a scalar on the GPU; nothing is read where it is one."""
    block = 4096
    _scale[(triton.cdiv(values.numel(), block),)](values, factor, values.numel(), BLOCK=block)
