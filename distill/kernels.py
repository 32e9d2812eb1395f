"""Triton kernels between the loss's matrix products on a GPU: a row's softmax statistics, then its gradient in place.

Two reads of the logits and one write, where plain torch makes a dozen passes (the two-pass form of Liger's and
Cut Cross-Entropy's kernels). The gradient takes the memory of the student's logits: fp32 logits become a gradient in
the products' dtype in the first half of each row's bytes.

Shape suffixes: C tokens of a chunk, V vocabulary.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 4096  # logits of one row that a program holds at once


@triton.jit
def _statistics(logits, stats, row_stride, cooling, SIZE: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """For one row: its largest logit m, sum exp(l - m), sum exp((l - m) cooling), where cooling is 1 / T."""
    row = tl.program_id(0).to(tl.int64)
    largest = -float("inf")
    plain = 0.0
    tempered = 0.0
    for start in range(0, SIZE, BLOCK):
        at = start + tl.arange(0, BLOCK)
        block = tl.load(logits + row * row_stride + at, at < SIZE, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(largest, tl.max(block, 0))
        plain = plain * tl.exp(largest - higher) + tl.sum(tl.exp(block - higher), 0)
        tempered = tempered * tl.exp((largest - higher) * cooling)
        tempered += tl.sum(tl.exp((block - higher) * cooling), 0)
        largest = higher
    tl.store(stats + row * 3, largest)
    tl.store(stats + row * 3 + 1, plain)
    tl.store(stats + row * 3 + 2, tempered)


@triton.jit
def _gradient(  # type: ignore[no-untyped-def]
    student, teacher, gradient, student_stats, teacher_stats, labels, sums,
    student_stride, teacher_stride, gradient_stride, cooling, hard, soft,
    SIZE: tl.constexpr, HAS_TEACHER: tl.constexpr, WANTED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """For one row: `hard (p_1 - label) + soft (p_T - q_T)` over its logits, and its CE and KL(q_T || p_T)."""
    row = tl.program_id(0).to(tl.int64)
    label = tl.load(labels + row)
    m = tl.load(student_stats + row * 3)
    plain = tl.load(student_stats + row * 3 + 1)
    tempered = tl.load(student_stats + row * 3 + 2)
    at_label = tl.load(student + row * student_stride + label).to(tl.float32)
    plain_share = 1.0 / plain
    tempered_share = 1.0 / tempered
    kl = 0.0
    log_ratio = 0.0
    if HAS_TEACHER:
        teacher_m = tl.load(teacher_stats + row * 3)
        teacher_tempered = tl.load(teacher_stats + row * 3 + 2)
        teacher_share = 1.0 / teacher_tempered
        log_ratio = (m - teacher_m) * cooling + tl.log(tempered) - tl.log(teacher_tempered)
    for start in range(0, SIZE, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < SIZE
        s = tl.load(student + row * student_stride + at, inside, other=-float("inf")).to(tl.float32)
        g = hard * (tl.exp(s - m) * plain_share - tl.where(at == label, 1.0, 0.0))
        if HAS_TEACHER:
            t = tl.load(teacher + row * teacher_stride + at, inside, other=-float("inf")).to(tl.float32)
            q = tl.exp((t - teacher_m) * cooling) * teacher_share
            kl += tl.sum(tl.where(inside, q * ((t - s) * cooling + log_ratio), 0.0), 0)
            g += soft * (tl.exp((s - m) * cooling) * tempered_share - q)
        if WANTED:
            tl.debug_barrier()  # every logit of the block is read before the gradient is written over it
            tl.store(gradient + row * gradient_stride + at, g.to(gradient.dtype.element_ty), inside)
    tl.store(sums + row * 2, m + tl.log(plain) - at_label)
    tl.store(sums + row * 2 + 1, kl)


def fused_terms(
    logits_CV: Tensor, teacher_CV: Tensor | None, labels_C: Tensor, alpha: float, temperature: float,
    dtype: torch.dtype, differentiate: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(sums of CE and forward KL [2] fp32, gradient [C, V] in `dtype`), of logits that the gradient overwrites.

    The gradient is of `alpha CE + (1 - alpha) T^2 KL`. Rows of `logits_CV` and `teacher_CV` are contiguous.
    """
    rows, size = logits_CV.shape
    gradient_CV = logits_CV.view(dtype)[:, :size]
    student_stats = _row_statistics(logits_CV, temperature)
    teacher_stats = student_stats if teacher_CV is None else _row_statistics(teacher_CV, temperature)
    sums_C2 = torch.empty(rows, 2, device=logits_CV.device, dtype=torch.float32)
    theirs = logits_CV if teacher_CV is None else teacher_CV
    _gradient[(rows,)](
        logits_CV, theirs, gradient_CV, student_stats, teacher_stats, labels_C, sums_C2,
        logits_CV.stride(0), theirs.stride(0), gradient_CV.stride(0), 1.0 / temperature,
        alpha, (1.0 - alpha) * temperature,
        SIZE=size, HAS_TEACHER=teacher_CV is not None, WANTED=differentiate, BLOCK=BLOCK, num_warps=8,
    )  # fmt: skip
    return sums_C2.sum(0), gradient_CV


def _row_statistics(logits_CV: Tensor, temperature: float) -> Tensor:
    rows, size = logits_CV.shape
    stats: Any = torch.empty(rows, 3, device=logits_CV.device, dtype=torch.float32)
    _statistics[(rows,)](logits_CV, stats, logits_CV.stride(0), 1.0 / temperature, SIZE=size, BLOCK=BLOCK, num_warps=8)
    return stats
