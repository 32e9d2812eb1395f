"""Attention within the documents of a flat row: torch's variable-length kernel on a GPU, document by document on a CPU.

Shape suffixes: B rows, L tokens of a row, T = B * L tokens, A attention heads, D head width.
"""

import inspect
from functools import cache
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface

NAME = "within_documents"
WIDEST_HEAD = 256  # of the built-in kernel, FlashAttention 2
PLAIN_LAYERS = {"full_attention", "sliding_attention"}


def unsupported(config: Any) -> str | None:
    """Return the feature of a model's attention that the kernel lacks; None if the model can use it."""
    if getattr(config, "attn_logit_softcapping", None):
        return "attention logits with a soft cap"
    if getattr(config, "kv_lora_rank", None):
        return "latent attention"
    if kinds := set(getattr(config, "layer_types", None) or ()) - PLAIN_LAYERS:
        return f"layers of type {', '.join(sorted(kinds))}"
    if config.model_type == "gpt_oss":
        return "attention sinks"
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return f"heads of width {width}" if width > WIDEST_HEAD else None


def attend(
    module: Any,
    query_BALD: Tensor,
    key_BALD: Tensor,
    value_BALD: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Return causal attention within each document, [B, L, A, D], as transformers calls it.

    cu_seq_lens_q: [documents + 1] int32, where each document of the flat tokens starts, and their number; without it,
    each row is one document. max_length_q: at least the longest document's tokens.
    """
    rows, _heads, length, _width = query_BALD.shape
    q, k, v = (part.transpose(1, 2).flatten(0, 1) for part in (query_BALD, key_BALD, value_BALD))
    if cu_seq_lens_q is None or max_length_q is None:
        cu_seq_lens_q = torch.arange(0, (rows + 1) * length, length, dtype=torch.int32, device=q.device)
        max_length_q = length
    window = (sliding_window - 1 if sliding_window else -1, 0)
    run = _kernel if q.is_cuda else _document_by_document
    out_TAD = run(q, k, v, cu_seq_lens_q, max_length_q, scaling, window)
    return out_TAD.unflatten(0, (rows, length)), None


@cache
def _parameters() -> frozenset[str]:
    """Return the parameters of torch's function, which differ between versions."""
    from torch.nn.attention.varlen import varlen_attn

    return frozenset(inspect.signature(varlen_attn).parameters)


def _kernel(
    q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float | None, window: tuple[int, int]
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    more: dict[str, Any] = {"scale": scale}
    if "window_size" in _parameters():
        more["window_size"] = window
    else:
        more["is_causal"] = True
    if "enable_gqa" in _parameters():
        more["enable_gqa"] = True
    out = varlen_attn(q, k, v, starts, starts, longest, longest, **more)
    assert isinstance(out, Tensor)  # a pair only where the log-sum-exp is asked for
    return out


def _document_by_document(
    q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float | None, window: tuple[int, int]
) -> Tensor:
    bounds = starts.tolist()
    parts = [
        _causal(_heads(q[first:stop]), _heads(k[first:stop]), _heads(v[first:stop]), scale, window[0] + 1)
        for first, stop in pairwise(bounds)
    ]
    return torch.cat([part[0].transpose(0, 1) for part in parts])


def _heads(part_TAD: Tensor) -> Tensor:
    return part_TAD.transpose(0, 1)[None]


def _causal(q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int) -> Tensor:
    """Return causal attention of one document; `window`: keys that a token sees, itself included, or 0 for all."""
    length = q.shape[-2]
    if not 0 < window < length:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=True)
    place = torch.arange(length)
    behind = place[:, None] - place
    seen = (behind >= 0) & (behind < window)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale, enable_gqa=True)


AttentionInterface.register(NAME, attend)  # transformers finds an attention function by its name
