"""The distillation loss `alpha * CE + (1 - alpha) * T^2 * D(teacher_T || student_T)`, from hidden states, in chunks.

The logits of all tokens never exist at once: the logits of one chunk are formed, turned into gradients and dropped
(the idea of the fused linear losses of Liger and Cut Cross-Entropy), so memory grows with the chunk, not with N * V.

Shape suffixes: N target tokens, C tokens of one chunk, H student hidden, G teacher hidden, V vocabulary,
K stored targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from distill.loss.divergences import DIVERGENCES as DIVERGENCES
from distill.loss.heads import Head
from distill.loss.targets import LossBatch
from distill.loss.targets import OnlineTeacher as OnlineTeacher
from distill.loss.targets import SampledTargets as SampledTargets
from distill.loss.targets import StoredTargets as StoredTargets
from distill.loss.targets import Teacher as Teacher
from distill.loss.torch_chunk import Terms as _Terms
from distill.loss.torch_chunk import chunk_terms as _chunk_terms
from distill.settings import Divergence


@dataclass(frozen=True)
class LossOutput:
    """The loss and its parts.

    loss: differentiable scalar. ce_sum, kl_sum: detached sums over the `tokens` target tokens, kl_sum without T^2.
    """

    loss: Tensor
    ce_sum: Tensor
    kl_sum: Tensor
    tokens: int


Function = TypeVar("Function", bound=Callable[..., Any])


def _uncompiled(function: Function) -> Function:
    """Keep torch.compile out of the function: a trace would unroll the loop over chunks."""
    disabled: Function = torch.compiler.disable(function)
    return disabled


@_uncompiled
def distillation_loss(
    student_hidden: Tensor,
    student_head: Tensor | Head,
    labels: Tensor,
    *,
    alpha: float = 1.0,
    temperature: float = 1.0,
    teacher: Teacher | None = None,
    divergence: Divergence = "forward_kl",
    beta: float = 0.5,
    ignore_index: int | None = -100,
    denominator: float | Tensor | None = None,
    vocab_size: int | None = None,
    chunk_tokens: int | None = None,
    tolerance: float = 0.0,
) -> LossOutput:
    """Return the loss of N tokens from hidden states [N, H], a head (or its weight [V, H]) and labels [N].

    The result is differentiable with respect to the hidden states, weight and bias. No gradient is computed for an
    input that needs none, such as a frozen head.

    The loss is the sum over target tokens of `alpha * CE + (1 - alpha) * T^2 * D` (Hinton et al., arXiv 1503.02531; T^2
    is in the gradient too), divided by `denominator`. Pass the number of target tokens of the whole optimizer step as
    the denominator; without one, this call's number is used. `beta` is the teacher's share of the mixture in `jsd`
    (GKD, arXiv 2306.13649) and `skew_kl` (DistiLLM, arXiv 2402.03898). Labels equal to `ignore_index` are not targets;
    None promises that there are none. `vocab_size` cuts both heads' rows beyond the shared tokenizer. Softmax
    statistics are fp32 (fp64 for fp64 inputs); products run in the autocast dtype. With alpha=1 a teacher is only
    measured (kl_sum).

    On a GPU, CE and forward KL run through `distill.loss.fused_loss`. There, `tolerance` leaves rows of the vocabulary
    out of the gradient's products as long as their squares sum to at most tolerance^2 of the total (0.002 suits bf16).
    This is faster where teacher and student are peaked; where they are not, it is detected and switched off.

    A head that FSDP2 has sharded is gathered for the call (`Head.gathered`). FSDP2 averages over ranks, so
    `denominator` is then the targets of all ranks divided by the number of ranks. With a vocabulary-parallel head
    (`Head.shard`) all ranks of its group pass the same hidden states and labels. Every rank gets the same loss and the
    whole gradient of the hidden states, as from Megatron's column-parallel head, and the gradient of its own rows. The
    teacher's head is either whole on each rank or has the same rows. Such a loss runs in plain torch, on a GPU too.

    Arguments outside their range, or heads that do not belong together, raise ValueError.
    """
    head = Head.of(student_head).gathered()
    if isinstance(teacher, OnlineTeacher):
        teacher = OnlineTeacher(teacher.hidden, Head.of(teacher.head).gathered().along(head))
    _check(student_hidden, head, labels, alpha, temperature, teacher, divergence, beta, vocab_size)
    batch = LossBatch.of(labels, teacher, ignore_index)
    size = vocab_size or head.rows
    terms = _Terms(
        alpha, temperature, divergence, beta, size, chunk_tokens, head.scale, head.softcap,
        torch.is_grad_enabled(),  # read here: inside forward gradients are always off
        head.shard, tolerance,
    )  # fmt: skip
    unit = 1.0 / (max(len(batch), 1) if denominator is None else denominator)
    loss, ce_sum, kl_sum = _ChunkedLoss.apply(  # type: ignore[no-untyped-call]
        student_hidden, head.weight, head.bias, batch, terms, unit
    )
    return LossOutput(loss, ce_sum, kl_sum, len(batch))


def _check(
    hidden: Tensor,
    head: Head,
    labels: Tensor,
    alpha: float,
    temperature: float,
    teacher: Teacher | None,
    divergence: str,
    beta: float,
    vocab_size: int | None,
) -> None:
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha is {alpha}; it must lie in [0, 1]")
    if not temperature > 0.0:
        raise ValueError(f"temperature is {temperature}; it must be above 0")
    if alpha < 1.0 and teacher is None:
        raise ValueError(f"alpha is {alpha}, so the loss has a teacher term, but there is no teacher")
    if divergence not in DIVERGENCES:
        raise ValueError(f"divergence is {divergence!r}; it must be one of {', '.join(DIVERGENCES)}")
    if isinstance(teacher, SampledTargets) and divergence != "forward_kl":
        raise ValueError(f"divergence is {divergence!r}; sampled targets estimate forward_kl alone without bias")
    if divergence in ("jsd", "skew_kl") and not 0.0 < beta < 1.0:
        raise ValueError(f"beta is {beta}; {divergence} needs it inside (0, 1)")
    width = head.weight.shape[1]
    assert hidden.shape == (labels.shape[0], width), f"{hidden.shape=} {head.weight.shape=} {labels.shape=}"
    rows = head.rows
    theirs = Head.of(teacher.head).rows if isinstance(teacher, OnlineTeacher) else rows
    if theirs != rows and vocab_size is None:
        raise ValueError(
            f"the student's head has {rows} rows and the teacher's {theirs}: "
            "check that their tokenizers agree and pass vocab_size, the shared tokenizer's size"
        )
    smallest = min(rows, theirs)
    if vocab_size is not None and not 0 < vocab_size <= smallest:
        raise ValueError(f"vocab_size is {vocab_size}; the smaller head has {smallest} rows")


def default_chunk(vocab_size: int, device: torch.device) -> int:
    """Return the tokens of a chunk: fp32 logits of 16 MiB, near a CPU's caches, or 512 MiB on a GPU; at least 256."""
    return max(256, (2**22 if device.type == "cpu" else 2**27) // vocab_size)


class _ChunkedLoss(torch.autograd.Function):
    """The loss as an autograd function: forward computes the gradients chunk by chunk, backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        batch: LossBatch,
        terms: _Terms,
        unit: float | Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        device = hidden_NH.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_NH.dtype
        whole = Head(weight_VH, bias_V, terms.scale, terms.softcap, terms.shard)
        needed = [need and terms.differentiate for need in ctx.needs_input_grad[:3]]
        inputs = hidden_NH, whole.first(terms.vocab_size, dtype), whole, batch, terms, needed
        ctx.fused = _fusable(device, dtype, terms)
        with torch.autocast(device, enabled=False):
            if ctx.fused:
                from distill.loss.fused_loss import fused_loss

                unit = torch.as_tensor(unit, dtype=torch.float32).to(hidden_NH.device, non_blocking=True)
                sums, *grads = fused_loss(*inputs, unit)
            else:
                sums, *grads = _torch_loss(*inputs)
        ctx.unit = unit
        ctx.save_for_backward(*grads)
        ce_sum, kl_sum = sums.unbind()
        # docs/equations.md, "The loss"
        total = terms.alpha * ce_sum + (1.0 - terms.alpha) * terms.temperature**2 * kl_sum
        ctx.mark_non_differentiable(ce_sum, kl_sum)
        return total * unit, ce_sum, kl_sum

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        # A retained graph runs backward again, so its gradients must survive. Otherwise a second copy of the head's
        # gradient would be wasted memory.
        kept = torch._C._autograd._get_current_graph_task_keep_graph()
        grads = [grad.clone() if kept and grad is not None else grad for grad in ctx.saved_tensors]
        for grad in grads:
            if grad is not None and ctx.fused:
                _scale_fused(grad, grad_loss)
            elif grad is not None:
                grad.mul_((grad_loss * ctx.unit).to(grad.dtype))
        return *grads, None, None, None


def _fusable(device: str, dtype: torch.dtype, terms: _Terms) -> bool:
    """Return whether the Triton kernels support the loss: CE, or forward KL, without soft cap or shards."""
    unsupported = terms.softcap is not None or terms.shard is not None or dtype == torch.float64
    return device == "cuda" and terms.divergence == "forward_kl" and not unsupported


def _scale_fused(grad: Tensor, factor: Tensor) -> None:
    from distill.loss.triton_chunk import scale_by

    scale_by(grad, factor)


def _torch_loss(
    hidden_NH: Tensor,
    head: Head,
    whole: Head,
    batch: LossBatch,
    terms: _Terms,
    needed: Sequence[bool],
) -> tuple[Tensor, *tuple[Tensor | None, ...]]:
    """Return (sums of CE and divergence [2], gradients of the summed loss to hidden states, weight and bias)."""
    dtype = head.weight.dtype
    sums = hidden_NH.new_zeros(2, dtype=torch.promote_types(dtype, torch.float32))
    grads = _Gradients.of(batch.gradient_like(hidden_NH), whole.weight, whole.bias, needed, sums.dtype)
    tokens = terms.chunk_tokens or default_chunk(terms.vocab_size, hidden_NH.device)
    for where, labels_C, teacher in batch.chunks(tokens):
        hidden_CH = hidden_NH[where].to(dtype)
        logits_CV = head.logits(hidden_CH)
        chunk_sums, grad_CV = _chunk_terms(logits_CV, labels_C, teacher, terms)
        sums += chunk_sums
        grads.add(where, head.backward(grad_CV, logits_CV), hidden_CH, head.weight)
        del logits_CV, grad_CV  # free them before the next chunk's are made
    if terms.shard is not None and grads.hidden_NH is not None:
        dist.all_reduce(grads.hidden_NH, group=terms.shard.group)  # each rank has the part through its own rows
    return sums, *grads.finished(whole.weight, whole.bias)


@dataclass
class _Gradients:
    """The needed gradients of the summed loss. Sums over chunks stay in fp32 even when the products are bf16."""

    hidden_NH: Tensor | None
    weight_VH: Tensor | None
    bias_V: Tensor | None
    written: int = 0  # rows of the head's gradient written so far

    @classmethod
    def of(
        cls,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        needed: Sequence[bool],
        statistics: torch.dtype,
    ) -> "_Gradients":
        return cls(
            hidden_NH if needed[0] else None,
            torch.empty_like(weight_VH, dtype=statistics) if needed[1] else None,  # written by the first chunk
            torch.zeros_like(bias_V, dtype=statistics) if bias_V is not None and needed[2] else None,
        )

    def add(self, where: slice | Tensor, grad_CV: Tensor, hidden_CH: Tensor, weight_VH: Tensor) -> None:
        """Add one chunk, given its gradient to the products of hidden states and weight."""
        size, grad_CV_low = weight_VH.shape[0], grad_CV.to(hidden_CH.dtype)
        if self.hidden_NH is not None:
            self.hidden_NH[where] = (grad_CV_low @ weight_VH).to(self.hidden_NH.dtype)
        if self.weight_VH is not None:
            _accumulate(self.weight_VH[:size], grad_CV_low, hidden_CH, first=not self.written)
            self.written = size
        if self.bias_V is not None:
            self.bias_V[:size] += grad_CV.sum(0, dtype=self.bias_V.dtype)

    def finished(self, weight_VH: Tensor, bias_V: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients in the dtypes of their inputs."""
        if self.weight_VH is not None:
            self.weight_VH[self.written :] = 0.0  # rows beyond the vocabulary; all rows if there was no token
        weight = None if self.weight_VH is None else self.weight_VH.to(weight_VH.dtype)
        return self.hidden_NH, weight, None if bias_V is None or self.bias_V is None else self.bias_V.to(bias_V.dtype)


def _accumulate(grad_head_VH: Tensor, grad_CV: Tensor, hidden_CH: Tensor, first: bool) -> None:
    """Add a chunk to the head's gradient; the first chunk is written. The sum stays in fp32 when products are bf16."""
    if grad_head_VH.dtype == grad_CV.dtype:
        grad_head_VH.addmm_(grad_CV.T, hidden_CH, beta=0.0 if first else 1.0)
    elif grad_CV.is_cuda:  # add in the product's epilogue: a separate product would be written, read and rounded
        beta, dtype = 0.0 if first else 1.0, grad_head_VH.dtype
        torch.addmm(grad_head_VH, grad_CV.T, hidden_CH, beta=beta, out_dtype=dtype, out=grad_head_VH)
    elif first:
        grad_head_VH.copy_(grad_CV.T @ hidden_CH)
    else:
        grad_head_VH.add_(grad_CV.T @ hidden_CH)
