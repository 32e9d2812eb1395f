# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""Triton kernels between the loss's matrix products on a GPU: sums of a chunk's exponentials, then its gradient.

Logits are transposed, [V, C], and relative to a reference of their token, so that bf16 loses nothing that matters
near the top of a softmax; the gradient overwrites them. The kernels read the logits twice and write them once, where
plain torch makes a dozen passes. Reductions over V are summed program by program in a fixed order: two runs give the
same bits. Equations: docs/equations.md, "On a GPU".

Shape suffixes: C tokens of a chunk, V vocabulary, K targets of a token, P programs.
"""

import math

import triton
import triton.language as tl

from distill.loss.torch_chunk import SMALLEST_TAIL

# Exponents are relative to the reference plus this, so a token's top logit may exceed its reference by 80 nats more.
HEADROOM = tl.constexpr(40.0)
STAGES = tl.constexpr(4)  # loads in flight at once: as fast as a copy, 30% faster than one load
LOG2_E = tl.constexpr(1.4426950408889634)
SMALLEST = tl.constexpr(SMALLEST_TAIL)
LOG_SMALLEST = tl.constexpr(math.log(SMALLEST_TAIL))


@triton.jit
def exponentials(x, cooling, power: tl.constexpr):
    """Return (exp x, exp(x / T)) up to constants; for T of 1, 2, 4 or 8 the first is a power of the second."""
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
def load(logits, bias, v, c, inside, stride, scale, has_bias: tl.constexpr, size: tl.constexpr):
    """Load the logits of some rows of the vocabulary [ROWS, C], -inf outside it."""
    x = tl.load(logits + v.to(tl.int64)[:, None] * stride + c[None, :], inside, other=-float("inf")).to(tl.float32)
    if has_bias:
        x += tl.load(bias + v, v < size, other=0.0).to(tl.float32)[:, None]
    return x * scale


@triton.jit
def sums(
    student, student_bias, teacher, teacher_bias, partial,
    width, student_stride, teacher_stride, student_scale, teacher_scale, cooling,
    SIZE: tl.constexpr, STRIPE: tl.constexpr, C: tl.constexpr, ROWS: tl.constexpr, POWER: tl.constexpr,
    STUDENT_BIAS: tl.constexpr, TEACHER_BIAS: tl.constexpr, HAS_TEACHER: tl.constexpr,
):  # fmt: skip
    """Sum a stripe of the vocabulary: the student's exp x and exp(x / T), and the teacher's exp(x / T)."""
    stripe = tl.program_id(0)
    c = tl.arange(0, C)
    plain = tl.zeros((ROWS, C), tl.float32)
    tempered = tl.zeros((ROWS, C), tl.float32)
    theirs = tl.zeros((ROWS, C), tl.float32)
    for start in tl.range(0, STRIPE, ROWS, num_stages=STAGES):
        v = stripe * STRIPE + start + tl.arange(0, ROWS)
        inside = (v < SIZE)[:, None] & (c < width)[None, :]
        x = load(student, student_bias, v, c, inside, student_stride, student_scale, STUDENT_BIAS, SIZE)
        p_1, p_t = exponentials(x, cooling, POWER)
        plain += p_1
        tempered += p_t
        if HAS_TEACHER:
            x = load(teacher, teacher_bias, v, c, inside, teacher_stride, teacher_scale, TEACHER_BIAS, SIZE)
            theirs += exponentials(x, cooling, POWER)[1]
    at = partial + stripe * 3 * C + c
    tl.store(at, tl.sum(plain, 0))
    tl.store(at + C, tl.sum(tempered, 0))
    tl.store(at + 2 * C, tl.sum(theirs, 0))


@triton.jit
def gradient(
    student, student_bias, teacher, teacher_bias, labels, factors, divergence, energy, row_sums, along, moment,
    tokens, width, student_stride, teacher_stride, student_scale, teacher_scale, cooling,
    SIZE: tl.constexpr, STRIPE: tl.constexpr, C: tl.constexpr, ROWS: tl.constexpr, POWER: tl.constexpr,
    STUDENT_BIAS: tl.constexpr, TEACHER_BIAS: tl.constexpr, HAS_TEACHER: tl.constexpr, WANTED: tl.constexpr,
    MOMENTS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Overwrite a stripe's logits with `a exp x + b exp(x / T) - soft q - hard [label]`; sum its part of forward KL."""
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
    for start in tl.range(0, STRIPE, ROWS, num_stages=STAGES):
        v = stripe * STRIPE + start + tl.arange(0, ROWS)
        inside = (v < SIZE)[:, None] & (c < width)[None, :]
        x = load(student, student_bias, v, c, inside, student_stride, student_scale, STUDENT_BIAS, SIZE)
        p_1, p_t = exponentials(x, cooling, POWER)
        # Gradient of alpha CE + (1 - alpha) T^2 KL to the logits.
        g = p_1 * a[None, :] + p_t * b[None, :] - tl.where(v[:, None] == label[None, :], hard[None, :], 0.0)
        if HAS_TEACHER:
            t = load(teacher, teacher_bias, v, c, inside, teacher_stride, teacher_scale, TEACHER_BIAS, SIZE)
            q = exponentials(t, cooling, POWER)[1] * q_share[None, :]
            kl += tl.where(q > 0.0, q * ((t - x) * cooling + log_ratio[None, :]), 0.0)
            g -= q * soft[None, :]
        if WANTED:
            at = v.to(tl.int64)[:, None] * student_stride + c[None, :]
            tl.store(student + at, g.to(student.dtype.element_ty), inside)
        if MOMENTS:
            g = tl.where(inside, g, 0.0)
            # Sum within warps only: a sum over the whole row would make warps wait for each other in every iteration.
            at = v[:, None] * PARTS + tl.arange(0, PARTS)[None, :]
            squares = tl.sum(tl.reshape(g * g, (ROWS, PARTS, C // PARTS)), 2)
            tl.store(energy + at, squares, (v < SIZE)[:, None])
            sums_of_rows = tl.sum(tl.reshape(g, (ROWS, PARTS, C // PARTS)), 2)
            tl.store(row_sums + at, sums_of_rows, (v < SIZE)[:, None])
            total += g * tl.load(along + v, v < SIZE, other=0.0)[:, None]
            product += g * tl.where(inside, x, 0.0)
    if HAS_TEACHER:
        tl.store(divergence + stripe * C + c, tl.sum(kl, 0))
    if MOMENTS:
        at = moment + stripe * 2 * C + c
        tl.store(at, tl.sum(total, 0))
        tl.store(at + C, tl.sum(product, 0))


@triton.jit
def factors(
    totals, at_label, unit, factors, sums, tokens, alpha, soft, C: tl.constexpr, HAS_TEACHER: tl.constexpr,
):  # fmt: skip
    """Compute the factors of `gradient` and each token's cross-entropy, for chunks without kept targets."""
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
def take(logits, ids, kept, stride, COUNT: tl.constexpr, K: tl.constexpr, MASK: tl.constexpr):
    """Copy a token's logits at its targets; with MASK leave -inf behind, so that `sums` covers all other tokens."""
    c = tl.program_id(0)
    k = tl.arange(0, K)
    at = logits + tl.load(ids + c * COUNT + k, k < COUNT, other=0) * stride + c
    tl.store(kept + c * K + k, tl.load(at, k < COUNT, other=-float("inf")).to(tl.float32))
    if MASK:
        tl.debug_barrier()  # read all before writing any: a token may be among the targets twice
        tl.store(at, -float("inf"), k < COUNT)


@triton.jit
def kept_factors(
    totals, at_label, unit, factors, sums, labels, kept, ids, log_probs, weights, log_tail, bias,
    alpha, soft, scale, cooling,
    C: tl.constexpr, COUNT: tl.constexpr, K: tl.constexpr, POWER: tl.constexpr, HAS_BIAS: tl.constexpr,
    SAMPLED: tl.constexpr,
):  # fmt: skip
    """Compute the factors of `gradient` for one token with kept targets, whose logits become their gradient."""
    c = tl.program_id(0)
    k = tl.arange(0, K)
    inside = k < COUNT
    at_k = tl.load(ids + c * COUNT + k, inside, other=-1)
    x = tl.load(kept + c * K + k)
    if HAS_BIAS:
        x += tl.load(bias + at_k, inside, other=0.0).to(tl.float32)
    x *= scale
    p_1, p_t = exponentials(x, cooling, POWER)
    plain = tl.load(totals + c)
    tempered = tl.load(totals + C + c)
    log_q = tl.load(log_probs + c * COUNT + k, inside, other=0.0).to(tl.float32)
    q = tl.where(inside, tl.exp(log_q), 0.0)
    shift = HEADROOM if POWER == 0 else HEADROOM * cooling
    if SAMPLED:  # kept tokens are in the sums already, and may repeat ("Sampled targets")
        q *= tl.load(weights + c * COUNT + k, inside, other=0.0).to(tl.float32)
        mass = tl.sum(q, 0)
        log_p = x * cooling - shift - tl.log(tempered)
        kl = tl.sum(tl.where(inside & (q > 0.0), q * (log_q - log_p), 0.0), 0)
        share = mass / tempered
        q = tl.sum(tl.where(at_k[:, None] == at_k[None, :], q[None, :], 0.0), 1)
    else:
        # "Stored targets": K + 1 buckets, the tail's mass is the sum over all tokens that are not kept.
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
def put(gradient, ids, kept, stride, COUNT: tl.constexpr, K: tl.constexpr):
    """Write a token's gradient at its targets; a repeated target is written with the same value each time."""
    c = tl.program_id(0)
    k = tl.arange(0, K)
    at = gradient + tl.load(ids + c * COUNT + k, k < COUNT, other=0) * stride + c
    tl.store(at, tl.load(kept + c * K + k).to(gradient.dtype.element_ty), k < COUNT)


@triton.jit
def dots(ids, hidden, weight, dots, H: tl.constexpr, WIDTH: tl.constexpr):
    """Multiply a token's hidden state by one row of the weight."""
    c = tl.program_id(0).to(tl.int64)
    h = tl.arange(0, H)
    left = tl.load(hidden + c * WIDTH + h, h < WIDTH, other=0.0).to(tl.float32)
    right = tl.load(weight + tl.load(ids + c) * WIDTH + h, h < WIDTH, other=0.0).to(tl.float32)
    tl.store(dots + c, tl.sum(left * right, 0))


@triton.jit
def scale(values, factor, COUNT, BLOCK: tl.constexpr):
    """Multiply by a factor that only the GPU knows; if it is one, as usual, nothing is read or written."""
    by = tl.load(factor).to(tl.float32)
    if by != 1.0:
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        value = tl.load(values + at, at < COUNT).to(tl.float32)
        tl.store(values + at, (value * by).to(values.dtype.element_ty), at < COUNT)
