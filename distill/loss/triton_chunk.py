"""The loss of a chunk on a GPU: kernels launched in order for sums of exponentials, factors and gradient.

Shape suffixes: C tokens of a chunk, W the same padded to aligned rows of memory, V vocabulary, K targets of a token,
P programs.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
import triton
from torch import Tensor

from distill.loss import kernels
from distill.loss.targets import SampledTargets, StoredTargets
from distill.loss.torch_chunk import Terms

PROGRAMS = 528  # 4 per multiprocessor of an H100 or H200
ROWS = 1  # rows of the vocabulary that a program holds at once, for all tokens of the chunk
WARP_TOKENS = 256  # tokens of a warp; measured on an H200 for 1 to 4 rows and 128 and 256 tokens
ALIGNED = 16  # tokens; rows of memory then start at multiples of 32 bytes


@dataclass(frozen=True)
class Logits:
    """The logits of one chunk, still as matrix products.

    `scale * (values + bias)` is a logit relative to a reference of its token. values_VC: [V, W], where W is the padded
    number of tokens. at_label_C: [C] fp32, the exact products at the labels.
    """

    values_VC: Tensor
    at_label_C: Tensor
    bias_V: Tensor | None
    scale: float

    def of(self, tokens: slice) -> "Logits":
        """Return the logits of some tokens; the slice starts at a multiple of `ALIGNED`."""
        columns = slice(tokens.start, tokens.start + padded(tokens.stop - tokens.start))
        return replace(self, values_VC=self.values_VC[:, columns], at_label_C=self.at_label_C[tokens].contiguous())


class Moments:
    """Sums over a chunk's gradient to the products, per row of the vocabulary and per token.

    energy_V, sum_V: [V] fp32, the sums of its squares and of itself over tokens. along_V: [V] fp32, given. along_C: [W]
    fp32, the sum over the vocabulary of along_V times the gradient. product_C: [W] fp32, the sum of the products times
    the gradient.
    """

    def __init__(self, along_V: Tensor) -> None:
        self.along_V = along_V
        self.begin()

    def begin(self) -> None:
        """Clear the sums of the last chunk."""
        self.energy_V, self.sum_V = self.along_V.new_zeros(2, len(self.along_V))
        self.along_C, self.product_C = self.along_V.new_empty(2, 0)

    def add(self, energy_VP: Tensor, sums_VP: Tensor, moment_P2C: Tensor, scale: float) -> None:
        """Append some of the chunk's tokens, in the layout that the kernel writes."""
        self.energy_V += energy_VP.sum(1)
        self.sum_V += sums_VP.sum(1)
        along_C, product_C = moment_P2C.sum(0)
        self.along_C = torch.cat([self.along_C, along_C])
        self.product_C = torch.cat([self.product_C, product_C / scale])


def padded(tokens: int) -> int:
    """Return the columns that the logits of so many tokens take in memory."""
    return -(-tokens // ALIGNED) * ALIGNED


def chunk_terms(
    student: Logits, teacher: Logits | StoredTargets | SampledTargets | None, labels_C: Tensor, unit: Tensor,
    terms: Terms, moments: Moments | None = None,
) -> Tensor:  # fmt: skip
    """Return the sums of CE and KL [2] of a chunk; overwrite the student's products with the gradient.

    The gradient is that of `unit` times the chunk's loss. `moments` are filled unless there are kept targets.
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
    """A chunk's kernel launches and the arguments they share."""

    def __init__(self, student: Logits, teacher: Logits | None, labels_C: Tensor, unit: Tensor, terms: Terms) -> None:
        self.student, self.labels_C, self.unit, self.terms = student, labels_C, unit, terms
        self.size, self.width = student.values_VC.shape
        self.columns = triton.next_power_of_2(self.width)
        self.stripe = triton.cdiv(triton.cdiv(self.size, PROGRAMS), ROWS) * ROWS
        self.programs = triton.cdiv(self.size, self.stripe)
        self.warps = max(1, min(32, self.columns // WARP_TOKENS))
        self.power = int(terms.temperature) if terms.temperature in (1.0, 2.0, 4.0, 8.0) else 0
        self.soft = (1.0 - terms.alpha) * terms.temperature  # T^2 of the loss, 1/T of the logits' derivative
        self.factors_6C = self._empty(6, self.columns)
        self.sums_2C = torch.zeros_like(self.factors_6C[:2])
        self.online, theirs = teacher is not None, teacher or student
        self.logits = student.values_VC, student.bias_V, theirs.values_VC, theirs.bias_V
        strides = student.values_VC.stride(0), theirs.values_VC.stride(0)
        self.scales = self.width, *strides, student.scale, theirs.scale, 1.0 / terms.temperature
        self.options: dict[str, Any] = {
            "SIZE": self.size, "STRIPE": self.stripe, "C": self.columns, "ROWS": ROWS, "POWER": self.power,
            "STUDENT_BIAS": student.bias_V is not None, "TEACHER_BIAS": theirs.bias_V is not None,
            "HAS_TEACHER": self.online,
        }  # fmt: skip

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=self.unit.device)

    def totals(self) -> Tensor:
        """Return the sums over the vocabulary [3, C]."""
        partial_P3C = self._empty(self.programs, 3, self.columns)
        kernels.sums[(self.programs,)](*self.logits, partial_P3C, *self.scales, **self.options, num_warps=self.warps)
        return partial_P3C.sum(0)

    def factors(self, totals_3C: Tensor) -> None:
        """Compute the factors of a chunk without kept targets."""
        kernels.factors[(1,)](
            totals_3C, self.student.at_label_C, self.unit, self.factors_6C, self.sums_2C,
            len(self.labels_C), self.terms.alpha, self.soft, C=self.columns, HAS_TEACHER=self.online,
        )  # fmt: skip

    def gradient(self, moments: Moments | None) -> None:
        """Overwrite the student's logits with the gradient."""
        divergence_PC = self._empty(self.programs if self.online else 0, self.columns)
        moment_P2C = self._empty(self.programs if moments else 0, 2, self.columns)
        energy_VP, sums_VP = self._empty(2, self.size if moments else 0, self.warps)
        kernels.gradient[(self.programs,)](
            *self.logits, self.labels_C, self.factors_6C, divergence_PC, energy_VP, sums_VP,
            moments and moments.along_V, moment_P2C, len(self.labels_C), *self.scales,
            WANTED=self.terms.differentiate, MOMENTS=moments is not None, PARTS=self.warps,
            **self.options, num_warps=self.warps,
        )  # fmt: skip
        if self.online:
            torch.sum(divergence_PC, 0, out=self.sums_2C[1])
        if moments:
            moments.add(energy_VP, sums_VP, moment_P2C[:, :, : self.width], self.student.scale)

    def take(self, teacher: StoredTargets | SampledTargets) -> Tensor:
        """Return the logits [C, K padded] at kept targets; stored ones become -inf, as the tail excludes them."""
        count = teacher.token_ids.shape[1]
        kept_CK = self._empty(len(self.labels_C), triton.next_power_of_2(count))
        kernels.take[(len(kept_CK),)](
            self.student.values_VC, teacher.token_ids, kept_CK, self.student.values_VC.stride(0),
            COUNT=count, K=kept_CK.shape[1], MASK=isinstance(teacher, StoredTargets),
        )  # fmt: skip
        return kept_CK

    def kept_factors(self, totals_3C: Tensor, teacher: StoredTargets | SampledTargets, kept_CK: Tensor) -> None:
        """Compute the factors of a chunk with kept targets, and overwrite their logits with their gradient."""
        self.factors_6C.zero_()  # including the columns of padding
        sampled = isinstance(teacher, SampledTargets)
        weights = teacher.weights if isinstance(teacher, SampledTargets) else None
        log_tail = teacher.log_tail if isinstance(teacher, StoredTargets) else None
        kernels.kept_factors[(len(kept_CK),)](
            totals_3C, self.student.at_label_C, self.unit, self.factors_6C, self.sums_2C, self.labels_C, kept_CK,
            teacher.token_ids, teacher.log_probs, weights, log_tail, self.student.bias_V,
            self.terms.alpha, self.soft, self.student.scale, 1.0 / self.terms.temperature,
            C=self.columns, COUNT=teacher.token_ids.shape[1], K=kept_CK.shape[1], POWER=self.power,
            HAS_BIAS=self.student.bias_V is not None, SAMPLED=sampled,
        )  # fmt: skip

    def put(self, teacher: StoredTargets | SampledTargets, kept_CK: Tensor) -> None:
        """Write the gradient at kept targets."""
        if self.terms.differentiate:
            kernels.put[(len(kept_CK),)](
                self.student.values_VC, teacher.token_ids, kept_CK, self.student.values_VC.stride(0),
                COUNT=teacher.token_ids.shape[1], K=kept_CK.shape[1],
            )  # fmt: skip


def logits_at(ids_C: Tensor, hidden_CH: Tensor, weight_VH: Tensor) -> Tensor:
    """Return each token's product at one id, [C] fp32; NaN where the id is outside the vocabulary."""
    rows, width = weight_VH.shape
    dots_C = torch.empty(len(ids_C), dtype=torch.float32, device=hidden_CH.device)
    inside_C = (ids_C >= 0) & (ids_C < rows)
    hidden_CH, weight_VH = hidden_CH.contiguous(), weight_VH.contiguous()
    kernels.dots[(len(ids_C),)](
        torch.where(inside_C, ids_C, 0), hidden_CH, weight_VH, dots_C, H=triton.next_power_of_2(width), WIDTH=width
    )
    return dots_C.where(inside_C, torch.nan)


def scale_by(values: Tensor, factor: Tensor) -> None:
    """Multiply in place by a scalar on the GPU; a factor of one reads nothing."""
    block = 4096
    kernels.scale[(triton.cdiv(values.numel(), block),)](values, factor, values.numel(), BLOCK=block)
