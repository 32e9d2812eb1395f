"""A teacher's last hidden states from vLLM, for models that need several GPUs, with vLLM's own parallelism.

vLLM's `prompt_logprobs` are log-probabilities at T = 1; they do not give the mass of all other tokens at another T.
Its pooling runner returns each token's last hidden state after the final norm instead. That runner leaves out the
output head, which is read from the model's files and applied here, so that every T is as exact as with transformers.

Shape suffixes: N target positions, L tokens of a row, H hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from distill.loss.heads import Head
from distill.models.head_file import check_form, load_head
from distill.models.loading import longest_row
from distill.training.examples import Example
from generators.contract.errors import RecipeError
from generators.contract.models import model_path

# Arguments that make vLLM return hidden states, all of them, and in which dtype.
OURS = ("model", "runner", "convert", "pooler_config", "enable_prefix_caching", "dtype", "hf_overrides")
END_S = 30.0  # seconds for its processes to end by themselves; a killed engine's live on for a while
GPU_SHARE = 0.8  # share of a GPU's memory for vLLM; the head and its logits need some as well


def start_vllm(
    name: str, vllm_args: Mapping[str, Any], sequence_tokens: int, dtype: torch.dtype, device: torch.device
) -> "VllmForward":
    """Load the model `name` into vLLM with `vllm_args`, the arguments of vllm.LLM.

    ValueError: vLLM is not installed, it takes no such argument, or the model's form of head is unsupported.
    """
    check_vllm_args(vllm_args)
    check_form(name)
    from vllm import LLM
    from vllm.config import PoolerConfig

    given = {"max_model_len": longest_row(name, sequence_tokens), "gpu_memory_utilization": GPU_SHARE, **vllm_args}
    llm = LLM(
        model_path(name),
        runner="pooling",
        convert="embed",
        pooler_config=PoolerConfig(task="token_embed", use_activation=False),  # do not normalize to unit length
        enable_prefix_caching=False,  # cached tokens would have no hidden state
        dtype="bfloat16" if dtype == torch.bfloat16 else "float32",
        hf_overrides={"head_dtype": "model"},  # otherwise hidden states are sent as fp32, twice the size
        **given,
    )
    # Load the head after vLLM, which has downloaded the files. The result gets no name: vLLM keeps the frames that
    # called it, and a name in them would keep the engine alive.
    return VllmForward(llm, load_head(name, dtype, device))


class VllmForward:
    """A vLLM engine that runs forward passes over whole rows, and the output head next to it."""

    def __init__(self, llm: Any, head: Head) -> None:
        self.llm, self.head = llm, head

    def __del__(self) -> None:
        """Stop the engine's processes at once; until cyclic garbage collection they would hold the GPU's memory."""
        self.llm.llm_engine.engine_core.shutdown(timeout=END_S)

    def __call__(self, examples: Sequence[Example]) -> Tensor:
        """Return the last hidden states [N, H] on the head's device."""
        asked = [{"prompt_token_ids": example.token_ids.tolist()} for example in examples]
        outputs = self.llm.encode(asked, pooling_task="token_embed", use_tqdm=False)
        parts = []
        for example, output in zip(examples, outputs, strict=True):
            hidden_LH = output.outputs.data
            assert len(hidden_LH) == len(example.token_ids), f"{len(hidden_LH)} states, {len(example.token_ids)} tokens"
            parts.append(hidden_LH[example.target_start - 1 : -1])
        return torch.cat(parts).to(self.head.weight.device)


def check_vllm_args(vllm_args: Mapping[str, Any]) -> None:
    """Raise ValueError for an argument that vllm.LLM does not have, or that scoring itself sets."""
    try:
        from vllm import EngineArgs
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "vllm":
            raise
        raise RecipeError("score.engine = \"vllm\" needs vLLM: pip install 'distill-toolkit[vllm]'") from None
    known = [argument.name for argument in fields(EngineArgs) if argument.name not in OURS]
    for name in vllm_args:
        if name in OURS:
            raise RecipeError(f"score.options.vllm_args.{name} cannot be set; scoring sets {', '.join(OURS)}")
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            hint = f", did you mean {nearest[0]}?" if nearest else ""
            raise RecipeError(f"score.options.vllm_args.{name}: vllm.LLM takes no such argument here{hint}")
