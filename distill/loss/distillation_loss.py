"""The distillation loss `alpha * CE + (1 - alpha) * T^2 * D(teacher_T || student_T)`, from hidden states, in chunks.

Logits of all tokens never exist at once: each chunk's logits are formed, turned into gradients and dropped
(the idea of Liger's and Cut Cross-Entropy's fused linear losses), so memory grows with the chunk, not with N * V.

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
from distill.loss.targets import Batch
from distill.loss.targets import OnlineTeacher as OnlineTeacher
from distill.loss.targets import SampledTargets as SampledTargets
from distill.loss.targets import StoredTargets as StoredTargets
from distill.loss.targets import Teacher as Teacher
from distill.loss.torch_chunk import Terms as _Terms
from distill.loss.torch_chunk import chunk_terms as _chunk_terms
from distill.settings import Divergence


@dataclass(frozen=True)
class LossOutput:
    """loss: differentiable scalar. ce_sum, kl_sum: detached sums over `tokens` target tokens, kl_sum without T^2."""

    loss: Tensor
    ce_sum: Tensor
    kl_sum: Tensor
    tokens: int


Function = TypeVar("Function", bound=Callable[..., Any])


def _uncompiled(function: Function) -> Function:
    """A function compiled around it breaks its graph here: traced, the loop over chunks would be unrolled."""
    return torch.compiler.disable(function)


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
    """Loss of N tokens from hidden states [N, H], head (or its weight [V, H]) and labels [N].

    Differentiable to hidden states, weight and bias; of what needs no gradient, such as a frozen head, none is made.

    The sum over target tokens of `alpha * CE + (1 - alpha) * T^2 * D` (Hinton et al., arXiv 1503.02531; T^2 is
    in the gradient too), divided by `denominator`: pass the target tokens of the whole optimizer step, else this
    call's count is taken. `beta` is the teacher's share of the mixture in `jsd` (GKD, arXiv 2306.13649) and
    `skew_kl` (DistiLLM, arXiv 2402.03898). Labels equal to `ignore_index` are no targets; None promises there
    are none. `vocab_size` cuts rows beyond the shared tokenizer from both heads. Softmax statistics are fp32 (fp64
    for fp64 inputs); products run in the autocast dtype. A teacher with alpha=1 is only measured (kl_sum).

    On a GPU, CE and forward KL run through `distill.loss.fused_loss`. There `tolerance` lets rows of the
    vocabulary be left out
    of the gradient's products whose squares sum to at most tolerance^2 of all (0.002 suits bf16): faster where teacher
    and student are peaked, and found not worth it where they are not.

    A head that FSDP2 has sharded is gathered for the call (`Head.gathered`); as FSDP2 takes the mean over ranks,
    `denominator` is then all ranks' targets divided by the ranks. With a vocabulary-parallel head (`Head.shard`) all
    ranks of its group pass the same hidden states and labels. All get the same loss and the whole gradient to the
    hidden states, as from Megatron's column-parallel head, and each the gradient of its rows. The teacher's head is
    whole on each rank, or has the same rows. Such a loss is plain torch's also on a GPU.
    """
    head = Head.of(student_head).gathered()
    if isinstance(teacher, OnlineTeacher):
        teacher = OnlineTeacher(teacher.hidden, Head.of(teacher.head).gathered().along(head))
    _check(student_hidden, head, labels, alpha, temperature, teacher, divergence, beta, vocab_size)
    batch = Batch.of(labels, teacher, ignore_index)
    size = vocab_size or head.rows
    terms = _Terms(
        alpha, temperature, divergence, beta, size, chunk_tokens, head.scale, head.softcap,
        torch.is_grad_enabled(),  # asked here: it is off within forward
        head.shard, tolerance,
    )  # fmt: skip
    unit = 1.0 / (max(len(batch), 1) if denominator is None else denominator)
    loss, ce_sum, kl_sum = _ChunkedLoss.apply(student_hidden, head.weight, head.bias, batch, terms, unit)
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
    """Tokens a chunk: fp32 logits of 16 MiB near a CPU's caches, 512 MiB to fill a GPU; enough rows for a product."""
    return max(256, (2**22 if device.type == "cpu" else 2**27) // vocab_size)


class _ChunkedLoss(torch.autograd.Function):
    """Forms the gradients of the loss in the forward pass, chunk by chunk; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        batch: Batch,
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
                sums, *grads = _plain_loss(*inputs)
        ctx.unit = unit
        ctx.save_for_backward(*grads)
        ce_sum, kl_sum = sums.unbind()
        total = terms.alpha * ce_sum + (1.0 - terms.alpha) * terms.temperature**2 * kl_sum
        ctx.mark_non_differentiable(ce_sum, kl_sum)
        return total * unit, ce_sum, kl_sum

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        # Of a graph that is kept they are asked again; else a second copy of the head's gradient would be a waste.
        kept = torch._C._autograd._get_current_graph_task_keep_graph()
        grads = [grad.clone() if kept and grad is not None else grad for grad in ctx.saved_tensors]
        for grad in grads:
            if grad is not None and ctx.fused:
                _scale_fused(grad, grad_loss)
            elif grad is not None:
                grad.mul_((grad_loss * ctx.unit).to(grad.dtype))
        return *grads, None, None, None


def _fusable(device: str, dtype: torch.dtype, terms: _Terms) -> bool:
    """Whether Triton's kernels do it: CE, and forward KL to any teacher, without soft caps and sharded heads."""
    plain = terms.softcap is not None or terms.shard is not None or dtype == torch.float64
    return device == "cuda" and terms.divergence == "forward_kl" and not plain


def _scale_fused(grad: Tensor, factor: Tensor) -> None:
    from distill.loss.triton_chunk import scale_by

    scale_by(grad, factor)


def _plain_loss(
    hidden_NH: Tensor,
    head: Head,
    whole: Head,
    batch: Batch,
    terms: _Terms,
    needed: Sequence[bool],
) -> tuple[Tensor, *tuple[Tensor | None, ...]]:
    """(sums of CE and divergence [2], gradients of the summed loss to hidden states, weight and bias)."""
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
        del logits_CV, grad_CV  # before the next chunk's are made
    if terms.shard is not None and grads.hidden_NH is not None:
        dist.all_reduce(grads.hidden_NH, group=terms.shard.group)  # each rank's is that through its own rows
    return sums, *grads.finished(whole.weight, whole.bias)


@dataclass
class _Gradients:
    """Of the summed loss, those that are needed; sums over chunks stay in fp32 also when the products are bf16."""

    hidden_NH: Tensor | None
    weight_VH: Tensor | None
    bias_V: Tensor | None
    written: int = 0  # rows of the head

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
        """Those of one chunk, from its gradient to the products of hidden states and weight."""
        size, grad_CV_low = weight_VH.shape[0], grad_CV.to(hidden_CH.dtype)
        if self.hidden_NH is not None:
            self.hidden_NH[where] = (grad_CV_low @ weight_VH).to(self.hidden_NH.dtype)
        if self.weight_VH is not None:
            _accumulate(self.weight_VH[:size], grad_CV_low, hidden_CH, first=not self.written)
            self.written = size
        if self.bias_V is not None:
            self.bias_V[:size] += grad_CV.sum(0, dtype=self.bias_V.dtype)

    def finished(self, weight_VH: Tensor, bias_V: Tensor | None) -> tuple[Tensor | None, ...]:
        """In the dtypes of what they are gradients of."""
        if self.weight_VH is not None:
            self.weight_VH[self.written :] = 0.0  # of rows beyond the vocabulary, or of all where there was no token
        weight = None if self.weight_VH is None else self.weight_VH.to(weight_VH.dtype)
        return self.hidden_NH, weight, None if bias_V is None or self.bias_V is None else self.bias_V.to(bias_V.dtype)


def _accumulate(grad_head_VH: Tensor, grad_CV: Tensor, hidden_CH: Tensor, first: bool) -> None:
    """Add a chunk's head gradient, or write it; sums over chunks stay in fp32 also when the products are bf16."""
    if grad_head_VH.dtype == grad_CV.dtype:
        grad_head_VH.addmm_(grad_CV.T, hidden_CH, beta=0.0 if first else 1.0)
    elif grad_CV.is_cuda:  # in the product's own epilogue: a product apart would be written, read and rounded
        beta, dtype = 0.0 if first else 1.0, grad_head_VH.dtype
        torch.addmm(grad_head_VH, grad_CV.T, hidden_CH, beta=beta, out_dtype=dtype, out=grad_head_VH)
    elif first:
        grad_head_VH.copy_(grad_CV.T @ hidden_CH)
    else:
        grad_head_VH.add_(grad_CV.T @ hidden_CH)
