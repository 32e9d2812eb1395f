# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""Tail kernels: Triton kernels for the mass outside a teacher's kept tokens, and for the largest logits of blocks.

The tail's mass at every temperature takes a single read of the logits.

Shape suffixes: C tokens of a chunk, V vocabulary, T temperatures.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 2048  # logits of one row that a program holds at once


@triton.jit
def _tails(
    logits, top, bound, cooling, tails, stride,
    SIZE: tl.constexpr, GRID: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sum one row's exponentials below `bound`, which no logit exceeds, so that a small tail does not vanish."""
    row = tl.program_id(0).to(tl.int64)
    highest = tl.load(bound + row)
    t = tl.arange(0, WIDTH)
    by = tl.load(cooling + t, t < GRID, other=1.0)
    sums = tl.zeros((WIDTH, BLOCK), tl.float32)
    for start in range(0, SIZE, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(logits + row * stride + at, at < SIZE, other=-float("inf")).to(tl.float32) - highest
        sums += tl.exp(x[None, :] * by[:, None])
    below = (highest - tl.load(top + row)) * by
    tl.store(tails + row * GRID + t, tl.log(tl.sum(sums, 1)) + below, t < GRID)


def log_tails(logits_CV: Tensor, top_C: Tensor, bound_C: Tensor, temperatures: Sequence[float]) -> Tensor:
    """Return logsumexp of (logit - top) / T over each row [C, T], fp32; -inf excludes a logit, all are <= `bound_C`."""
    rows, size = logits_CV.shape
    cooling_T = torch.tensor([1.0 / t for t in temperatures], device=logits_CV.device)
    tails_CT = torch.empty(rows, len(temperatures), device=logits_CV.device)
    _tails[(rows,)](
        logits_CV, top_C.float().contiguous(), bound_C.float().contiguous(), cooling_T, tails_CT, logits_CV.stride(0),
        SIZE=size, GRID=len(temperatures), WIDTH=triton.next_power_of_2(len(temperatures)), BLOCK=BLOCK,
    )  # fmt: skip
    return tails_CT


@triton.jit
def _maxima(logits, maxima, stride, BLOCKS: tl.constexpr, WITHIN: tl.constexpr, TILE: tl.constexpr):
    """Store the largest logit of each whole block of WITHIN logits of one row."""
    row = tl.program_id(0).to(tl.int64)
    within = tl.arange(0, WITHIN)
    for start in range(0, BLOCKS, TILE):
        block = start + tl.arange(0, TILE)
        at = logits + row * stride + block[:, None] * WITHIN + within[None, :]
        values = tl.load(at, (block < BLOCKS)[:, None], other=-float("inf"))
        tl.store(maxima + row * BLOCKS + block, tl.max(values, 1), block < BLOCKS)


def block_maxima(logits_CV: Tensor, within: int) -> Tensor:
    """Return the largest logit of each whole block of `within` logits [C, V // within]; `within` is a power of two."""
    rows, blocks = logits_CV.shape[0], logits_CV.shape[1] // within
    maxima = logits_CV.new_empty(rows, blocks)
    _maxima[(rows,)](logits_CV, maxima, logits_CV.stride(0), BLOCKS=blocks, WITHIN=within, TILE=max(1, BLOCK // within))
    return maxima
