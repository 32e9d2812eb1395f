"""The loss on a GPU: matrix products in the inputs' dtype, with Triton kernels between them, chunk by chunk.

Logits are stored transposed, [V, C], because a product's epilogue can then subtract a reference from each token's
logits before they are rounded. With the reference near the token's largest logit, bf16 costs the gradient about as
much as rounding the gradient itself does; unshifted bf16 logits of 20 or 30 would cost ten times that.

The method is that of docs/equations.md, "On a GPU".

Shape suffixes: N tokens, C tokens of a chunk, H hidden, V vocabulary, A active rows of V (those with a gradient).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.loss import triton_chunk
from distill.loss.heads import Head
from distill.loss.targets import LossBatch, OnlineTeacher, SampledTargets, StoredTargets, Teacher
from distill.loss.torch_chunk import Terms

# Logits in memory at once: 1.16 GiB, that is 4,096 tokens at V = 151,936 in bf16. The student takes three
# quarters of it, or all without a teacher: each of its chunks rounds, reads and writes the head's gradient once.
LOGITS_BYTES, MOST_TOKENS = 4096 * 151_936 * 2, 4096
CANDIDATES = 512  # labels of the chunk whose logits are candidates for each token's reference
ROUNDED_SUMS = 12  # most chunks whose head gradients are summed in bf16, which costs 0.4% of it; beyond, in fp32
FEW_SUMS, COMMON_ROWS = 4, 1024  # above FEW_SUMS chunks, the COMMON_ROWS most common labels are summed in fp32
WORTH_SKIPPING = 0.5  # share of active rows above which gathering them costs more than it saves
ACTIVE_ROWS = 2**13  # active rows gathered and multiplied at once
SAMPLE_ROWS, POWER_STEPS = 2048, 8  # enough for a useful principal direction


def fused_loss(
    hidden_NH: Tensor, head: Head, whole: Head, batch: LossBatch, terms: Terms, needed: Sequence[bool], unit: Tensor
) -> tuple[Tensor, *tuple[Tensor | None, ...]]:
    """Return (sums of CE and KL [2] fp32, gradients of `unit` times the summed loss to hidden states, weight and bias).

    `head` holds the first rows of `whole` in the products' dtype; `unit` is a scalar on the GPU.
    """
    online = isinstance(batch.teacher, OnlineTeacher)
    quarter = quarter_tokens(head.weight)
    tokens = terms.chunk_tokens or (3 if online else 4) * quarter
    part = min(tokens, quarter) if online else tokens
    student = _Model(head, min(tokens, len(batch)))
    out = _Output(hidden_NH, head, whole, batch, needed, chunks=-(-len(batch) // tokens))
    skip = _Skip(head.weight, hidden_NH, terms.tolerance if skippable(head, batch.teacher) else 0.0)
    sums = hidden_NH.new_zeros(2, dtype=torch.float32)
    parts = _parts(batch, tokens, part, head.weight.dtype, terms.vocab_size)
    targets = next(parts, None)
    for where, labels_C, _ in batch.chunks(tokens):
        logits = student.logits(hidden_NH[where], labels_C)
        skip.begin()
        for rows in split(len(labels_C), part):
            sums += triton_chunk.chunk_terms(logits.of(rows), targets, labels_C[rows], unit, terms, skip.moments)
            if rows.stop == len(labels_C):
                skip.sort()
            targets = next(parts, None)  # the teacher's next products run while `skip` waits for its count
        if any(needed):
            out.add(where, logits.values_VC, student.hidden_CH, skip)
    if skip.tolerance and out.weight_VH is not None:  # a row left out gets (sum of its gradient) * mean hidden
        out.weight_VH[: len(head.weight)].addr_(*(v.to(out.weight_VH.dtype) for v in (skip.left_V, skip.hidden_H)))
    return sums, *out.finished(whole)


def quarter_tokens(weight_VH: Tensor) -> int:
    """Return the tokens whose logits take at most a quarter of `LOGITS_BYTES`: a power of two."""
    tokens = min(MOST_TOKENS, LOGITS_BYTES // (weight_VH.shape[0] * weight_VH.element_size()))
    return 1 << (max(tokens // 4, triton_chunk.ALIGNED).bit_length() - 1)


def split(tokens: int, part: int) -> Iterator[slice]:
    """Yield the parts of a chunk."""
    return (slice(start, min(start + part, tokens)) for start in range(0, tokens, part))


def _parts(
    batch: LossBatch, tokens: int, part: int, dtype: torch.dtype, vocab_size: int
) -> Iterator[triton_chunk.Logits | StoredTargets | SampledTargets | None]:
    """Yield the teacher of each part of each chunk; an online teacher's logits overwrite those of the part before."""
    online, model = batch.teacher, None
    if isinstance(online, OnlineTeacher):
        model = _Model(Head.of(online.head).first(vocab_size, dtype), min(part, len(batch)))
    for _, labels_C, teacher in batch.chunks(tokens):
        for rows in split(len(labels_C), part):
            if isinstance(teacher, OnlineTeacher):
                assert model is not None
                yield model.logits(teacher.hidden[rows], labels_C[rows])
            else:
                yield teacher


def skippable(head: Head, teacher: Teacher | None) -> bool:
    """Return whether `_Skip` applies: it handles neither kept targets, whose gradient is written apart, nor a bias."""
    return head.bias is None and (teacher is None or isinstance(teacher, OnlineTeacher))


class _Model:
    """A head with memory that holds the logits of one chunk after another."""

    def __init__(self, head: Head, tokens: int) -> None:
        self.head = head if head.bias is None else replace(head, bias=head.bias.contiguous())
        self.memory = head.weight.new_empty(head.weight.shape[0] * triton_chunk.padded(tokens))
        self.hidden_CH = head.weight

    def logits(self, hidden_CH: Tensor, labels_C: Tensor) -> triton_chunk.Logits:
        """Return the chunk's logits; tokens are padded with zeros until the rows of memory are aligned."""
        head = self.head
        hidden_CH = hidden_CH.to(head.weight.dtype)
        at_label_C = triton_chunk.logits_at(labels_C, hidden_CH, head.weight)
        among_C = (hidden_CH @ head.weight[labels_C[:CANDIDATES]].T).amax(dim=1)
        reference_C = torch.maximum(among_C, at_label_C.to(among_C.dtype))
        at_label_C -= reference_C
        if head.bias is not None:
            at_label_C += head.bias[labels_C]
        below_C = -reference_C
        if missing := triton_chunk.padded(len(labels_C)) - len(labels_C):
            hidden_CH, below_C = F.pad(hidden_CH, (0, 0, 0, missing)), F.pad(below_C, (0, missing))
        self.hidden_CH = hidden_CH
        values_VC = self.memory[: head.weight.shape[0] * len(below_C)].view(-1, len(below_C))
        torch.addmm(below_C, head.weight, hidden_CH.T, out=values_VC)
        return triton_chunk.Logits(values_VC, at_label_C * head.scale, head.bias, head.scale)


class _Output:
    """The gradients, summed over chunks."""

    def __init__(
        self, hidden_NH: Tensor, head: Head, whole: Head, batch: LossBatch, needed: Sequence[bool], chunks: int
    ) -> None:
        self.head, size, self.empty = head, head.weight.shape[0], True
        self.hidden_NH = batch.gradient_like(hidden_NH) if needed[0] else None
        self.weight_VH = self.bias_V = self.common = None
        if needed[1]:
            same = chunks <= ROUNDED_SUMS and whole.weight.dtype == head.weight.dtype
            self.weight_VH = torch.empty_like(whole.weight, dtype=None if same else torch.float32)
            self.weight_VH[size:] = 0.0
            if same and chunks > FEW_SUMS:
                self.common = _CommonRows(batch, head.weight)
        if needed[2] and whole.bias is not None:
            self.bias_V = torch.zeros_like(whole.bias, dtype=torch.float32)

    def add(self, where: slice | Tensor, grad_VC: Tensor, hidden_CH: Tensor, skip: "_Skip") -> None:
        """Add one chunk, given its gradient to the products of hidden states and weight."""
        size, active_A = self.head.weight.shape[0], skip.active()
        if self.bias_V is not None:
            self.bias_V[:size] += grad_VC.sum(1, dtype=torch.float32)
        if active_A is None:
            if self.hidden_NH is not None:
                self._put_hidden(where, grad_VC.T @ self.head.weight)
            if self.weight_VH is not None:
                add_product(self.weight_VH[:size], grad_VC, hidden_CH, first=self.empty)
        else:
            self._add_active(where, grad_VC, hidden_CH, active_A, skip)
        if self.common is not None:
            self.common.add(grad_VC, hidden_CH)
        self.empty = False

    def _add_active(
        self, where: slice | Tensor, grad_VC: Tensor, hidden_CH: Tensor, active_A: Tensor, skip: "_Skip"
    ) -> None:
        """Add one chunk through the active rows of the vocabulary only, block by block."""
        if self.weight_VH is not None and self.empty:
            self.weight_VH.zero_()
        back_CH = hidden_CH.new_zeros(hidden_CH.shape, dtype=torch.float32)
        sums_2C = back_CH.new_zeros(2, len(back_CH))
        for part_A in active_A.split(ACTIVE_ROWS):
            grad_AC = grad_VC[part_A]
            if self.hidden_NH is not None:
                add_product(back_CH, grad_AC.T, self.head.weight[part_A])
                sums_2C += skip.ones_and_along(part_A) @ grad_AC.float()
            if self.weight_VH is not None:
                sum_AH = self.weight_VH[part_A]
                add_product(sum_AH, grad_AC, hidden_CH)
                self.weight_VH[part_A] = sum_AH
        if self.hidden_NH is not None:
            self._put_hidden(where, skip.completed(back_CH, sums_2C, hidden_CH.float()))

    def _put_hidden(self, where: slice | Tensor, grad_CH: Tensor) -> None:
        assert self.hidden_NH is not None
        count = where.stop - where.start if isinstance(where, slice) else len(where)
        self.hidden_NH[where] = grad_CH[:count].to(self.hidden_NH.dtype)

    def finished(self, whole: Head) -> tuple[Tensor | None, ...]:
        """Return the gradients in the dtypes of their inputs."""
        if self.empty and self.weight_VH is not None:  # there were no targets
            self.weight_VH.zero_()
        if self.common is not None and self.weight_VH is not None:
            self.weight_VH[self.common.rows_R] = self.common.sum_RH.to(self.weight_VH.dtype)
        weight_VH = None if self.weight_VH is None else self.weight_VH.to(whole.weight.dtype)
        bias_V = None if self.bias_V is None or whole.bias is None else self.bias_V.to(whole.bias.dtype)
        return self.hidden_NH, weight_VH, bias_V


class _CommonRows:
    """The most common labels' rows of the head's gradient, in fp32: they get most of the gradient, in every chunk."""

    def __init__(self, batch: LossBatch, weight_VH: Tensor) -> None:
        labels_N = batch.labels if batch.targets is None else batch.labels[batch.targets]
        count_V = torch.zeros(len(weight_VH), dtype=torch.int32, device=weight_VH.device)
        count_V.index_add_(0, labels_N, torch.ones_like(labels_N, dtype=torch.int32))
        self.rows_R = count_V.topk(min(COMMON_ROWS, len(count_V))).indices
        self.sum_RH = weight_VH.new_zeros(len(self.rows_R), weight_VH.shape[1], dtype=torch.float32)

    def add(self, grad_VC: Tensor, hidden_CH: Tensor) -> None:
        """Add one chunk."""
        add_product(self.sum_RH, grad_VC[self.rows_R], hidden_CH)


def add_product(total: Tensor, left: Tensor, right: Tensor, *, first: bool = False) -> None:
    """Add left @ right to total in the product's own epilogue; the first product overwrites total."""
    if total.dtype == left.dtype:
        torch.addmm(total, left, right, beta=0.0 if first else 1.0, out=total)
    elif total.is_cuda:
        torch.addmm(total, left, right, beta=0.0 if first else 1.0, out_dtype=total.dtype, out=total)
    else:
        total.mul_(0.0 if first else 1.0).add_(left @ right)


class _Skip:
    """Leave out rows of the vocabulary whose gradients, over a whole chunk, are together below a tolerance.

    Cut Cross-Entropy (arXiv 2411.09009) leaves out blocks below bf16's rounding. That is no bound: where probability is
    spread out, all of it lies in entries that small. Here the squares of what is left out are at most tolerance^2 of
    the sum of all squares. Rows and hidden states have much in common, so what is left out adds up. A row that is left
    out therefore still counts towards the hidden states' gradient as the mean row plus its part along the rows'
    principal direction, and its own gradient is the one that the mean hidden state gives.
    """

    def __init__(self, weight_VH: Tensor, hidden_NH: Tensor, tolerance: float) -> None:
        self.tolerance, self.moments = tolerance, None
        if tolerance:
            self.counted = torch.cuda.Event() if weight_VH.is_cuda else None
            self.hidden_H = hidden_NH.mean(0, dtype=torch.float32)
            self.left_V = weight_VH.new_zeros(len(weight_VH), dtype=torch.float32)
            self.mean_H, self.direction_H, along_V = principal(weight_VH)
            self.mean_H -= (self.mean_H @ self.direction_H) * self.direction_H
            self.moments = triton_chunk.Moments(along_V)

    def begin(self) -> None:
        """Start a new chunk."""
        if self.moments is not None:
            self.moments.begin()

    def sort(self) -> None:
        """Start to find the active rows of the last chunk, without waiting for the GPU."""
        if self.moments is None:
            return
        energy_V, self.order_V = self.moments.energy_V.sort()
        left_out = (energy_V.cumsum(0) <= self.tolerance**2 * energy_V.sum()).sum()
        self.left_out = left_out.to("cpu", non_blocking=True)
        if self.counted:  # wait for the count alone, not for work queued after it
            self.counted.record()

    def active(self) -> Tensor | None:
        """Return the rows to multiply, or None for all rows; None from then on once nearly all have a gradient."""
        if self.moments is None:
            return None
        if self.counted:
            self.counted.synchronize()
        active_A: Tensor = self.order_V[int(self.left_out) :].sort().values
        if len(active_A) > WORTH_SKIPPING * len(self.order_V):
            self.moments = None
            return None
        self.left_V += self.moments.sum_V.index_fill(0, active_A, 0.0)
        return active_A

    def ones_and_along(self, rows_A: Tensor) -> Tensor:
        """Return a row's weights in two sums of gradients [2, A]: 1, and its part along the principal direction."""
        assert self.moments is not None
        along_A = self.moments.along_V[rows_A]
        return torch.stack([torch.ones_like(along_A), along_A])

    def completed(self, back_CH: Tensor, sums_2C: Tensor, hidden_CH: Tensor) -> Tensor:
        """Return the gradient to hidden states of all rows, given that of the active rows and its sums.

        Two of its products are known exactly: the one with the principal direction, and the one with the hidden state
        itself, towards which the rows of a softmax lean (their probability grows with their product with it).
        """
        assert self.moments is not None
        # A softmax's gradient sums to zero over the vocabulary, so the left-out rows sum to minus the others.
        back_CH -= sums_2C[0][:, None] * self.mean_H
        back_CH += (self.moments.along_C - sums_2C[1])[:, None] * self.direction_H
        lacking_C = self.moments.product_C - (back_CH * hidden_CH).sum(1)
        return back_CH.addcmul_((lacking_C / hidden_CH.square().sum(1).clamp_min(1e-30))[:, None], hidden_CH)


def principal(weight_VH: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (mean row [H], unit vector [H] along which rows vary most, the rows' parts along it [V]), in fp32.

    Power iteration: most steps use a sample of the rows, the last one uses all rows.
    """
    some_SH = weight_VH[:: max(1, len(weight_VH) // SAMPLE_ROWS)].float()
    some_SH -= some_SH.mean(0)
    direction_H = some_SH[some_SH.norm(dim=1).argmax()]
    for _ in range(POWER_STEPS):
        direction_H = F.normalize(some_SH.T @ (some_SH @ direction_H), dim=0)
    along_V = weight_VH @ direction_H.to(weight_VH.dtype)
    pair_2V = torch.stack([torch.ones_like(along_V), along_V - along_V.mean(dtype=torch.float32)]).to(along_V.dtype)
    sum_H, direction_H = (pair_2V @ weight_VH).float()
    direction_H = F.normalize(direction_H, dim=0).to(weight_VH.dtype)
    return sum_H / len(weight_VH), direction_H.float(), (weight_VH @ direction_H).float()
