"""FlashAttention 4 over flat documents as an operator that torch can compile around.

The kernels are those of the package flash-attn-4. torch's own adapter (`activate_flash_attention_impl`) unpacks what a
given release of them returns and breaks with the next one; here only the output and its log-sum-exp are read.

Shape suffixes: T tokens, A attention heads, D head width.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula


@torch.library.custom_op("distill::flash4", mutates_args=())
def flash4(
    q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float | None, left: int
) -> tuple[Tensor, Tensor]:
    """Return causal attention within documents [T, A, D] and its log-sum-exp [A, T], float32.

    q [T, A, D], k and v [T, key heads, D], bf16. starts: [documents + 1] int32. longest: no document is longer.
    left: keys that a token sees before itself; -1 for all.
    """
    from flash_attn.cute import interface

    out, lse = interface._flash_attn_fwd(
        q, k, v, **_documents(starts, longest, left), softmax_scale=scale, return_lse=True
    )[:2]
    return out, lse


@flash4.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float | None, left: int
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(q), q.new_empty((q.shape[1], q.shape[0]), dtype=torch.float32)


@torch.library.custom_op("distill::flash4_backward", mutates_args=())
def flash4_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, starts: Tensor, longest: int,
    scale: float | None, left: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the gradients of q, k and v; in torch's deterministic mode always with the same bits."""
    from flash_attn.cute import interface

    dq, dk, dv = interface._flash_attn_bwd(
        q, k, v, out, grad.contiguous(), lse, softmax_scale=scale, **_documents(starts, longest, left),
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )  # fmt: skip
    return dq, dk, dv


@flash4_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, starts: Tensor, longest: int,
    scale: float | None, left: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _documents(starts: Tensor, longest: int, left: int) -> dict[str, object]:
    window = {"causal": True} if left < 0 else {"causal": False, "window_size_left": left, "window_size_right": 0}
    return {
        "cu_seqlens_q": starts, "cu_seqlens_k": starts, "max_seqlen_q": longest, "max_seqlen_k": longest, **window,
    }  # fmt: skip


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    q, k, v, starts, ctx.longest, ctx.scale, ctx.left = inputs
    ctx.save_for_backward(q, k, v, *output, starts)


def _backward(ctx, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
    q, k, v, out, lse, starts = ctx.saved_tensors
    grads = flash4_backward(grad, q, k, v, out, lse, starts, ctx.longest, ctx.scale, ctx.left)
    return *grads, None, None, None, None


flash4.register_autograd(_backward, setup_context=_remember)


@register_flop_formula(torch.ops.distill.flash4)
def _(q_TAD: Any, k: Any, v: Any, starts: Any, longest: int, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Return the operations of a forward pass if all documents are as long as `longest`.

    Without it, the planner of selective checkpointing takes attention for free and computes it again.
    """
    tokens, heads, width = q_TAD
    return int(2 * tokens * longest * heads * width)
