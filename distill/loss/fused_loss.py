"""The loss on a GPU: a chunk's products in the inputs' dtype, and Triton's kernels between them.

Logits lie transposed, [V, C], because a product's epilogue can then subtract a reference from each token's before they
are rounded. With the reference near the token's largest logit, bf16 costs the gradient about what rounding the gradient
itself costs; bf16 logits of 20 or 30 as they are would cost ten times that.

Shape suffixes: N tokens, C tokens of a chunk, H hidden, V vocabulary, A its tokens with
a gradient.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.loss import triton_chunk as fused_chunk
from distill.loss.heads import Head
from distill.loss.targets import Batch, OnlineTeacher, SampledTargets, StoredTargets, Teacher
from distill.loss.torch_chunk import Terms

# Of logits at once, as of 4,096 tokens at V = 151,936 in bf16: 1.16 GiB. The student has three quarters of it, or all
# without a teacher: each of its chunks rounds the gradient of the head once, and reads and writes it.
LOGITS_BYTES, MOST_TOKENS = 4096 * 151_936 * 2, 4096
CANDIDATES = 512  # labels of the chunk among which each token's reference is looked for
ROUNDED_SUMS = 12  # chunks whose head gradients may be summed in bf16, which costs 0.4% of it; more are summed in fp32
FEW_SUMS, APART_ROWS = 4, 1024  # beyond so many, the rows of so many labels are summed in fp32 all the same
WORTH_SKIPPING = 0.5  # the share of the vocabulary beyond which gathering its rows costs more than it saves
ACTIVE_ROWS = 2**13  # of the vocabulary, gathered and multiplied at once
SAMPLE_ROWS, POWER_STEPS = 2048, 8  # enough for a direction that is worth having


def fused_loss(
    hidden_NH: Tensor, head: Head, whole: Head, batch: Batch, terms: Terms, needed: Sequence[bool], unit: Tensor
) -> tuple[Tensor, *tuple[Tensor | None, ...]]:
    """(sums of CE and KL [2] fp32, gradients of `unit` times the summed loss to hidden states, weight and bias).

    `head` is the `whole` one's first rows in the products' dtype; `unit` is a scalar on the GPU.
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
            sums += fused_chunk.chunk_terms(logits.of(rows), targets, labels_C[rows], unit, terms, skip.moments)
            if rows.stop == len(labels_C):
                skip.sort()
            targets = next(parts, None)  # the teacher's next products are under way while `skip` waits for its count
        if any(needed):
            out.add(where, logits.values_VC, student.hidden_CH, skip)
    if skip.tolerance and out.weight_VH is not None:  # a row left out counts by its gradient's sum over tokens
        out.weight_VH[: len(head.weight)].addr_(*(v.to(out.weight_VH.dtype) for v in (skip.left_V, skip.hidden_H)))
    return sums, *out.finished(whole)


def quarter_tokens(weight_VH: Tensor) -> int:
    """Tokens whose logits take at most a quarter of `LOGITS_BYTES`: a power of two."""
    tokens = min(MOST_TOKENS, LOGITS_BYTES // (weight_VH.shape[0] * weight_VH.element_size()))
    return 2 ** (max(tokens // 4, fused_chunk.ALIGNED).bit_length() - 1)


def split(tokens: int, part: int) -> Iterator[slice]:
    """Parts of a chunk."""
    return (slice(start, min(start + part, tokens)) for start in range(0, tokens, part))


def _parts(
    batch: Batch, tokens: int, part: int, dtype: torch.dtype, vocab_size: int
) -> Iterator[fused_chunk.Logits | StoredTargets | SampledTargets | None]:
    """The teacher of each part of each chunk: an online one's logits, in the memory of those before."""
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
    """Whether `_Skip` knows how: targets that are kept have their gradient written apart, a bias is no product."""
    return head.bias is None and (teacher is None or isinstance(teacher, OnlineTeacher))


class _Model:
    """A head, and memory in which it puts the logits of one chunk after another."""

    def __init__(self, head: Head, tokens: int) -> None:
        self.head = head if head.bias is None else replace(head, bias=head.bias.contiguous())
        self.memory = head.weight.new_empty(head.weight.shape[0] * fused_chunk.padded(tokens))
        self.hidden_CH = head.weight

    def logits(self, hidden_CH: Tensor, labels_C: Tensor) -> fused_chunk.Logits:
        """The chunk's; tokens are padded with zeros until rows of memory are aligned."""
        head = self.head
        hidden_CH = hidden_CH.to(head.weight.dtype)
        at_label_C = fused_chunk.logits_at(labels_C, hidden_CH, head.weight)
        among_C = (hidden_CH @ head.weight[labels_C[:CANDIDATES]].T).amax(dim=1)
        reference_C = torch.maximum(among_C, at_label_C.to(among_C.dtype))
        at_label_C -= reference_C
        if head.bias is not None:
            at_label_C += head.bias[labels_C]
        below_C = -reference_C
        if missing := fused_chunk.padded(len(labels_C)) - len(labels_C):
            hidden_CH, below_C = F.pad(hidden_CH, (0, 0, 0, missing)), F.pad(below_C, (0, missing))
        self.hidden_CH = hidden_CH
        values_VC = self.memory[: head.weight.shape[0] * len(below_C)].view(-1, len(below_C))
        torch.addmm(below_C, head.weight, hidden_CH.T, out=values_VC)
        return fused_chunk.Logits(values_VC, at_label_C * head.scale, head.bias, head.scale)


class _Output:
    """Gradients, summed over chunks."""

    def __init__(
        self, hidden_NH: Tensor, head: Head, whole: Head, batch: Batch, needed: Sequence[bool], chunks: int
    ) -> None:
        self.head, size, self.empty = head, head.weight.shape[0], True
        self.hidden_NH = batch.gradient_like(hidden_NH) if needed[0] else None
        self.weight_VH = self.bias_V = self.apart = None
        if needed[1]:
            same = chunks <= ROUNDED_SUMS and whole.weight.dtype == head.weight.dtype
            self.weight_VH = torch.empty_like(whole.weight, dtype=None if same else torch.float32)
            self.weight_VH[size:] = 0.0
            if same and chunks > FEW_SUMS:
                self.apart = _Apart(batch, head.weight)
        if needed[2] and whole.bias is not None:
            self.bias_V = torch.zeros_like(whole.bias, dtype=torch.float32)

    def add(self, where: slice | Tensor, grad_VC: Tensor, hidden_CH: Tensor, skip: "_Skip") -> None:
        """Those of one chunk, from its gradient to the products of hidden states and weight."""
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
        if self.apart is not None:
            self.apart.add(grad_VC, hidden_CH)
        self.empty = False

    def _add_active(
        self, where: slice | Tensor, grad_VC: Tensor, hidden_CH: Tensor, active_A: Tensor, skip: "_Skip"
    ) -> None:
        """The same of the rows of the vocabulary that have a gradient, block by block."""
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
        """In the dtypes of what they are gradients of."""
        if self.empty and self.weight_VH is not None:  # there were no targets
            self.weight_VH.zero_()
        if self.apart is not None and self.weight_VH is not None:
            self.weight_VH[self.apart.rows_R] = self.apart.sum_RH.to(self.weight_VH.dtype)
        weight_VH = None if self.weight_VH is None else self.weight_VH.to(whole.weight.dtype)
        bias_V = None if self.bias_V is None or whole.bias is None else self.bias_V.to(whole.bias.dtype)
        return self.hidden_NH, weight_VH, bias_V


class _Apart:
    """The commonest labels' rows of the head's gradient, summed in fp32: they have most of it, and in each chunk."""

    def __init__(self, batch: Batch, weight_VH: Tensor) -> None:
        labels_N = batch.labels if batch.targets is None else batch.labels[batch.targets]
        count_V = torch.zeros(len(weight_VH), dtype=torch.int32, device=weight_VH.device)
        count_V.index_add_(0, labels_N, torch.ones_like(labels_N, dtype=torch.int32))
        self.rows_R = count_V.topk(min(APART_ROWS, len(count_V))).indices
        self.sum_RH = weight_VH.new_zeros(len(self.rows_R), weight_VH.shape[1], dtype=torch.float32)

    def add(self, grad_VC: Tensor, hidden_CH: Tensor) -> None:
        """A chunk's."""
        add_product(self.sum_RH, grad_VC[self.rows_R], hidden_CH)


def add_product(total: Tensor, left: Tensor, right: Tensor, *, first: bool = False) -> None:
    """total += left @ right, in the product's own epilogue; the first product is written, not added to zeros."""
    if total.dtype == left.dtype:
        torch.addmm(total, left, right, beta=0.0 if first else 1.0, out=total)
    elif total.is_cuda:
        torch.addmm(total, left, right, beta=0.0 if first else 1.0, out_dtype=total.dtype, out=total)
    else:
        total.mul_(0.0 if first else 1.0).add_(left @ right)


class _Skip:
    """Leaves out rows of the vocabulary whose gradient, in a whole chunk, is together under a tolerance.

    Cut Cross-Entropy (arXiv 2411.09009) leaves out blocks under bf16's rounding. That is no bound: where probability is
    spread, all of it lies in entries so small. Here the squares of what is left out are at most tolerance^2 of the sum.
    As rows and hidden states have much in common, what is left out adds up. So a row left out still counts towards the
    hidden states' gradient as the mean row plus its part along the rows' principal direction, and its own gradient is
    that which the mean hidden state gives.
    """

    def __init__(self, weight_VH: Tensor, hidden_NH: Tensor, tolerance: float) -> None:
        self.tolerance, self.moments = tolerance, None
        if tolerance:
            self.counted = torch.cuda.Event() if weight_VH.is_cuda else None
            self.hidden_H = hidden_NH.mean(0, dtype=torch.float32)
            self.left_V = weight_VH.new_zeros(len(weight_VH), dtype=torch.float32)
            self.mean_H, self.direction_H, along_V = principal(weight_VH)
            self.mean_H -= (self.mean_H @ self.direction_H) * self.direction_H
            self.moments = fused_chunk.Moments(along_V)

    def begin(self) -> None:
        """A chunk."""
        if self.moments is not None:
            self.moments.begin()

    def sort(self) -> None:
        """Begin to find the rows of the chunk that was last."""
        if self.moments is None:
            return
        energy_V, self.order_V = self.moments.energy_V.sort()
        left_out = (energy_V.cumsum(0) <= self.tolerance**2 * energy_V.sum()).sum()
        self.left_out = left_out.to("cpu", non_blocking=True)
        if self.counted:  # what is queued afterwards need not be waited for
            self.counted.record()

    def active(self) -> Tensor | None:
        """The rows to multiply, or None for all; also from then on, where nearly all have a gradient."""
        if self.moments is None:
            return None
        if self.counted:
            self.counted.synchronize()
        active_A = self.order_V[int(self.left_out) :].sort().values
        if len(active_A) > WORTH_SKIPPING * len(self.order_V):
            self.moments = None
            return None
        self.left_V += self.moments.sum_V.index_fill(0, active_A, 0.0)
        return active_A

    def ones_and_along(self, rows_A: Tensor) -> Tensor:
        """What a row's gradient is summed with [2, A]: one, and the row's part along the principal direction."""
        assert self.moments is not None
        along_A = self.moments.along_V[rows_A]
        return torch.stack([torch.ones_like(along_A), along_A])

    def completed(self, back_CH: Tensor, sums_2C: Tensor, hidden_CH: Tensor) -> Tensor:
        """The gradient to hidden states of all rows, of which that of some, and their sums, are given.

        Known exactly are its products with the principal direction and with the hidden state itself, towards which
        the rows of a softmax lean: their probability grows with their product with it.
        """
        assert self.moments is not None
        # A softmax's gradient sums to zero over the vocabulary: what is left out sums to minus the rest.
        back_CH -= sums_2C[0][:, None] * self.mean_H
        back_CH += (self.moments.along_C - sums_2C[1])[:, None] * self.direction_H
        lacking_C = self.moments.product_C - (back_CH * hidden_CH).sum(1)
        return back_CH.addcmul_((lacking_C / hidden_CH.square().sum(1).clamp_min(1e-30))[:, None], hidden_CH)


def principal(weight_VH: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(mean row [H], unit vector [H] along which rows vary most, the rows' parts along it [V]), in fp32.

    By the power method: most steps on a sample, the last on all rows.
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
