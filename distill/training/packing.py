"""The documents of each optimizer step, and their layout in the rows of a batch.

Two layouts give the same loss and gradient. `padded`: one document per row, rows of similar length together, padding
on the right; causal attention never looks there, so it needs no mask and takes the fused causal kernel. `packed`:
several documents per row; positions restart at each document, from which transformers makes a block-diagonal mask
(dense, so a row costs its length squared).
Measured on one CPU core, 1.8M parameters, documents of 50-130 tokens, forward and backward without optimizer:
padded 5,500 tokens/s; packed into rows of 256 4,700, of 512 3,800, of 1,024 2,800. Hence `padded` is the default.

Shape suffixes: B rows, L tokens of a row, N target tokens.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.training.examples import Example


@dataclass(frozen=True)
class Batch:
    """The input of one forward pass: `examples` in row order, and the positions of their targets.

    token_ids: [B, L]. position_ids: [B, L], or None if each row is one document. sources: [N], flat positions in
    [B * L] whose hidden states predict `labels` [N].
    """

    examples: list[Example]
    token_ids: Tensor
    position_ids: Tensor | None
    sources: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Move the batch to a device, through pinned memory without waiting."""
        if device.type == "cpu":
            return self
        tensors = (self.token_ids, self.position_ids, self.sources, self.labels)
        moved = [None if t is None else t.pin_memory().to(device, non_blocking=True) for t in tensors]
        return Batch(self.examples, *moved)  # type: ignore[arg-type]


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
    """Pack documents into rows, best fit decreasing: longest first, each into the fullest row that still holds it."""
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (tokens free, row), ascending
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        assert lengths[i] <= row_tokens, f"a document of {lengths[i]} tokens in rows of {row_tokens}"
        place = bisect_left(free, (lengths[i], 0))
        space, row = free.pop(place) if place < len(free) else (row_tokens, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(i)
        insort(free, (space - lengths[i], row))
    return rows


def collate(rows: Sequence[Sequence[Example]], pad_id: int) -> Batch:
    """Return rows of documents as tensors as wide as the longest row; padding is last, where nothing attends to it."""
    width = max(sum(len(example.token_ids) for example in row) for row in rows)
    packed = any(len(row) > 1 for row in rows)
    token_ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    position_ids = np.tile(np.arange(width), (len(rows), 1)) if packed else None
    sources, labels = [], []
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
    return Batch(
        [example for row in rows for example in row],
        torch.from_numpy(token_ids),
        None if position_ids is None else torch.from_numpy(position_ids),
        torch.from_numpy(np.concatenate(sources)),
        torch.from_numpy(np.concatenate(labels).astype(np.int64)),
    )
