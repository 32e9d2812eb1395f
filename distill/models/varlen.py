"""Attention within the documents of a flat row: torch's variable-length kernel on a GPU, document by document on a CPU.

Shape suffixes: B rows, L tokens of a row, T = B * L tokens, A attention heads, D head width.
"""

import inspect
import sys
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import activate_flash_attention_impl, restore_flash_attention_impl
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface

from distill.models.flash4 import flash4

NAME = "within_documents"
WIDEST_HEAD = 256  # that the kernels take
PARAMETERS = frozenset(inspect.signature(varlen_attn).parameters)  # they differ between versions of torch
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


def choose_kernel() -> str:
    """Use the fastest attention kernel that is installed for this GPU; return its name.

    FA4 is the package flash-attn-4, FA3 flash_attn_interface; torch itself brings FlashAttention 2. A kernel that
    does not run here is left out, with its reason on stderr.
    """
    for name, module in (("FA4", "flash_attn.cute"), ("FA3", "flash_attn_interface")):
        if find_spec(module.partition(".")[0]) is None or find_spec(module) is None:
            continue
        try:
            _use(name)
            _try_kernel()
        except Exception as error:  # a compiler's or a driver's: any of them means the same here
            _use("FA2")
            print(f"train: {name} does not run here ({type(error).__name__}: {error})", file=sys.stderr)
            continue
        return name
    return "FA2"


def _use(name: str) -> None:
    global _kernel
    restore_flash_attention_impl()
    if name == "FA3":
        activate_flash_attention_impl(name)
    _kernel = _flash4 if name == "FA4" else _torch_kernel


def _try_kernel() -> None:
    q, k, v = (torch.ones(64, 2, 64, dtype=torch.bfloat16, device="cuda", requires_grad=True) for _ in range(3))
    starts = torch.tensor([0, 24, 64], dtype=torch.int32, device="cuda")
    _kernel(q, k, v, starts, 64, None, (-1, 0)).sum().backward()
    torch.cuda.synchronize()


def _flash4(
    q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float | None, window: tuple[int, int]
) -> Tensor:
    out: Tensor = flash4(q, k, v, starts, longest, scale, window[0])[0]
    return out


def _torch_kernel(
    q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float | None, window: tuple[int, int]
) -> Tensor:
    more: dict[str, Any] = {"scale": scale}
    if "window_size" in PARAMETERS:
        more["window_size"] = window
    else:
        more["is_causal"] = True
    if "enable_gqa" in PARAMETERS:
        more["enable_gqa"] = True
    out = varlen_attn(q, k, v, starts, starts, longest, longest, **more)
    assert isinstance(out, Tensor)  # a pair only where the log-sum-exp is asked for
    return out


_kernel = _torch_kernel


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
