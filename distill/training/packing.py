"""The documents of each optimizer step, and their layout in the rows of a batch.

Two layouts give the same loss and gradient. `padded`: one document per row, rows of similar length together, padding
on the right; causal attention never looks there, so it needs no mask and takes the fused causal kernel. `packed`:
the documents of a micro-batch in one flat row; positions restart at each document, and attention stays within it
(distill/models/varlen.py), so a document costs what it costs alone. Models that varlen.py does not support get rows
with a block-diagonal mask (dense, so a row costs its length squared).

Shape suffixes: B rows, L tokens of a row, N target tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.training.examples import Example


@dataclass(frozen=True)
class Batch:
    """The input of one forward pass: `examples` in row order, and the positions of their targets.

    token_ids: [B, L]. position_ids: [B, L], or None if each row is one document. sources: [N], flat positions in
    [B * L] whose hidden states predict `labels` [N]. starts: [documents + 1] int32, where each document of [B * L]
    starts, padding counted as one, and B * L; None if each row is one document. longest: no document is longer.
    """

    examples: list[Example]
    token_ids: Tensor
    position_ids: Tensor | None
    sources: Tensor
    labels: Tensor
    starts: Tensor | None = None
    longest: int = 0

    def to(self, device: torch.device) -> "Batch":
        """Move the batch to a device, through pinned memory without waiting."""
        if device.type == "cpu":
            return self
        names = ("token_ids", "position_ids", "sources", "labels", "starts")
        tensors: dict[str, Tensor | None] = {name: getattr(self, name) for name in names}
        moved: dict[str, Any] = {
            name: None if tensor is None else tensor.pin_memory().to(device, non_blocking=True)
            for name, tensor in tensors.items()
        }
        return replace(self, **moved)


def plan_steps(
    lengths: NDArray[np.int64], batch_tokens: int, seed: int, *, epochs: int | None = None, tokens: int | None = None
) -> list[NDArray[np.int64]]:
    """Return the indices of the documents of each optimizer step; every epoch has its own order, drawn from `seed`.

    A step ends with the document that brings it to `batch_tokens`. The plan ends after `epochs`, or with the first
    document that brings the sum of lengths to `tokens`.
    """
    assert lengths.size and (epochs is None) != (tokens is None), f"{lengths.size=} {epochs=} {tokens=}"
    rounds = epochs if epochs is not None else -(-(tokens or 0) // int(lengths.sum()))
    draw = np.random.default_rng(seed)
    order = np.concatenate([draw.permutation(lengths.size) for _ in range(rounds)])
    ends = np.cumsum(lengths[order])
    if tokens is not None:
        order = order[: int(np.searchsorted(ends, tokens)) + 1]
    steps, start, done = [], 0, 0
    while start < order.size:
        stop = min(int(np.searchsorted(ends, done + batch_tokens)) + 1, order.size)
        steps.append(order[start:stop])
        start, done = stop, int(ends[stop - 1])
    return steps


def batches(
    examples: Sequence[Example], micro_batch_tokens: int, pad_id: int, row_tokens: int | None = None
) -> Iterator[Batch]:
    """Yield batches of at most `micro_batch_tokens`, padding included, but of at least one row.

    `row_tokens`: pack documents into rows of at most this many tokens; None keeps one document per row.
    """
    lengths = [len(example.token_ids) for example in examples]
    if row_tokens is None:
        for group in groups_by_length(lengths, micro_batch_tokens):
            yield collate([[examples[i]] for i in group], pad_id)
        return
    rows = pack(lengths, row_tokens)
    at_once = max(1, micro_batch_tokens // row_tokens)
    for start in range(0, len(rows), at_once):
        yield collate([[examples[i] for i in row] for row in rows[start : start + at_once]], pad_id)


def groups_by_length(lengths: Sequence[int], padded_tokens: int) -> Iterator[list[int]]:
    """Yield documents by increasing length, in groups of at most `padded_tokens` when padded to the group's longest."""
    group: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if group and (len(group) + 1) * lengths[i] > padded_tokens:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def pack(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Pack documents into rows, best fit decreasing: longest first, each into the fullest row that still holds it.

    A document longer than `row_tokens` is an AssertionError. 800,000 documents take seconds: `free` has bit n set if
    `with_free[n]`, the rows with n tokens free, is not empty, so the fullest row that fits is its lowest bit.
    """
    rows: list[list[int]] = []
    with_free: list[list[int]] = [[] for _ in range(row_tokens + 1)]
    free = 0
    sizes = np.asarray(lengths, dtype=np.int64)
    assert not sizes.size or sizes.max() <= row_tokens, f"a document of {sizes.max()} tokens in rows of {row_tokens}"
    for i in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[i])
        fitting = free >> size
        if fitting:
            space = size + (fitting & -fitting).bit_length() - 1
            row = with_free[space].pop()
            if not with_free[space]:
                free ^= 1 << space
        else:
            space, row = row_tokens, len(rows)
            rows.append([])
        rows[row].append(i)
        if not with_free[space - size]:
            free |= 1 << (space - size)
        with_free[space - size].append(row)
    return rows


def balance(
    lengths: Sequence[int], costs: Sequence[float], micro_batch_tokens: int, ranks: int = 1
) -> list[list[list[int]]]:
    """Deal the documents of a step to each rank's micro-batches, [ranks][micro-batches]; each rank gets as many.

    A micro-batch has at most `micro_batch_tokens`, or one longer document. The costliest document first goes to the
    cheapest micro-batch with room for it (longest processing time first), so that those that run at the same time on
    the ranks cost about the same. With few documents a micro-batch can be empty.
    """
    count = max(1, -(-sum(lengths) // (micro_batch_tokens * ranks)))
    order = sorted(range(len(lengths)), key=lambda i: (-costs[i], i))
    while (dealt := _deal(order, lengths, costs, micro_batch_tokens, count * ranks)) is None:
        count += 1
    return [dealt[rank::ranks] for rank in range(ranks)]


def _deal(
    order: Sequence[int], lengths: Sequence[int], costs: Sequence[float], limit: int, parts: int
) -> list[list[int]] | None:
    """Return the documents of each part, the costliest part first; None if they do not fit."""
    dealt: list[list[int]] = [[] for _ in range(parts)]
    tokens = [0] * parts
    cheapest = [(0.0, part) for part in range(parts)]
    for i in order:
        passed = []
        while cheapest and dealt[cheapest[0][1]] and tokens[cheapest[0][1]] + lengths[i] > limit:
            passed.append(heappop(cheapest))
        if not cheapest:
            return None
        cost, part = heappop(cheapest)
        dealt[part].append(i)
        tokens[part] += lengths[i]
        for entry in (*passed, (cost + costs[i], part)):
            heappush(cheapest, entry)
    return [dealt[part] for _, part in sorted(cheapest, key=lambda entry: (-entry[0], entry[1]))]


def collate(rows: Sequence[Sequence[Example]], pad_id: int, multiple: int = 1) -> Batch:
    """Return rows of documents as tensors as wide as the longest row; padding is last, where nothing attends to it.

    The width is rounded up to a multiple of `multiple` tokens.
    """
    width = max(sum(len(example.token_ids) for example in row) for row in rows)
    width = -(-width // multiple) * multiple
    packed = any(len(row) > 1 for row in rows)
    token_ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    position_ids = np.tile(np.arange(width), (len(rows), 1)) if packed else None
    sources, labels, starts = [], [], [0]
    for r, row in enumerate(rows):
        start = 0
        for example in row:
            stop = start + len(example.token_ids)
            token_ids[r, start:stop] = example.token_ids
            if position_ids is not None:
                position_ids[r, start:] = np.arange(width - start)
            first = r * width + start + example.target_start
            sources.append(np.arange(first - 1, r * width + stop - 1))
            labels.append(example.token_ids[example.target_start :])
            start = stop
            starts.append(r * width + stop)
        if start < width:
            starts.append((r + 1) * width)
    return Batch(
        [example for row in rows for example in row],
        torch.from_numpy(token_ids),
        None if position_ids is None else torch.from_numpy(position_ids),
        torch.from_numpy(np.concatenate(sources)),
        torch.from_numpy(np.concatenate(labels).astype(np.int64)),
        torch.tensor(starts, dtype=torch.int32) if packed else None,
        max(b - a for a, b in pairwise(starts)),
    )


def without_targets(batch: Batch) -> Batch:
    """Return a batch that is read without being learned from."""
    return replace(batch, examples=[], sources=batch.sources[:0], labels=batch.labels[:0])
