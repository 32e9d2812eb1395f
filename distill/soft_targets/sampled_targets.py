"""Sampled targets: tokens drawn from a teacher, in addition to its most probable tokens or instead (arXiv 2503.16870).

A row's random numbers come from its key alone, so neither shards nor an interruption change the draws. The draws of a
position are stratified: draw i falls into the i-th of n equal parts of the distribution. A token's expected number of
draws is that of independent draws, and its variance is smaller.

Shape suffixes: C positions of one chunk, V vocabulary, n draws per position.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def sampling_points(key: str, positions: int, draws: int) -> NDArray[np.float64]:
    """Return the points [positions, n] of a row's draws in the cumulative distributions: in [0, 1), ascending."""
    if not draws:
        return np.zeros((positions, 0))
    uniform = np.random.default_rng(int(key, 16)).random((positions, draws))
    return (np.arange(draws) + uniform) / draws


def sample_tokens(below_top_CV: Tensor, temperature: float, points_Cn: Tensor, lowest_C1: Tensor) -> tuple[Tensor, ...]:
    """Return (token ids [C, n] int64, logits [C, n], numbers of draws [C, n]) at T, each distinct token in one slot.

    below_top_CV: logits relative to a position's largest; -inf excludes a token. Logits fall along a position. Unused
    slots have 0 draws and repeat the last logit, or `lowest_C1` if nothing can be drawn.
    """
    if not points_Cn.shape[1]:
        return points_Cn.long(), below_top_CV[:, :0], points_Cn.long()
    cdf_CV = (below_top_CV.double() / temperature).exp_().cumsum_(dim=1)  # fp32 would lose tokens with little mass
    total_C1 = cdf_CV[:, -1:].clone()
    ids_Cn = torch.searchsorted(cdf_CV, points_Cn * total_C1, right=True).clamp_(max=cdf_CV.shape[1] - 1)
    ids_Cn, draws_Cn = _counted(ids_Cn)
    draws_Cn *= total_C1 > 0
    unused_Cn = draws_Cn == 0
    logits_Cn, order_Cn = (
        below_top_CV.gather(1, ids_Cn).masked_fill_(unused_Cn, -torch.inf).sort(dim=1, descending=True)
    )
    ids_Cn, draws_Cn, unused_Cn = (part.gather(1, order_Cn) for part in (ids_Cn, draws_Cn, unused_Cn))
    last_C1 = logits_Cn.masked_fill(unused_Cn, torch.inf).amin(dim=1, keepdim=True)
    last_C1 = torch.where(last_C1.isinf(), lowest_C1, last_C1)
    return ids_Cn.masked_fill_(unused_Cn, 0), torch.where(unused_Cn, last_C1, logits_Cn), draws_Cn


def _counted(ids_Cn: Tensor) -> tuple[Tensor, Tensor]:
    """Return (the distinct ids of each row, left-aligned, then zeros; each one's count), given ascending ids."""
    fresh_Cn = torch.ones_like(ids_Cn, dtype=torch.bool)
    fresh_Cn[:, 1:] = ids_Cn[:, 1:] != ids_Cn[:, :-1]
    place_Cn = fresh_Cn.cumsum(dim=1) - 1
    times_Cn = torch.zeros_like(ids_Cn, dtype=torch.int32).scatter_add_(
        1, place_Cn, fresh_Cn.new_ones(ids_Cn.shape).int()
    )
    return torch.zeros_like(ids_Cn).scatter_(1, place_Cn, ids_Cn), times_Cn
