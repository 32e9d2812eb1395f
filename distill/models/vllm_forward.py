"""A teacher's last hidden states by vLLM: models that need several GPUs, with vLLM's own parallelism.

vLLM's `prompt_logprobs` are log probabilities at T = 1: the mass of all other tokens at another T cannot be had from
them. Its pooling runner gives each token's last hidden state instead, as the final norm leaves it. The output head,
which that runner leaves out, is read from the model's files and applied here, so that every T is as exact as in a pass
of transformers.

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
from generators.contract.models import model_path

# What decides that hidden states come out, all of them, and in which dtype.
OURS = ("model", "runner", "convert", "pooler_config", "enable_prefix_caching", "dtype", "hf_overrides")
END_S = 30.0  # for its processes to end by themselves; those of a killed one outlive it for a while
GPU_SHARE = 0.8  # of the memory; the head and its logits need some as well


def start(
    name: str, engine: Mapping[str, Any], sequence_tokens: int, dtype: torch.dtype, device: torch.device
) -> "VllmForward":
    """The model `name` in vLLM. `engine`: arguments of vllm.LLM.

    ValueError: vLLM is not installed, takes no such argument, or the model's head is of a form we do not know.
    """
    check_engine(engine)
    check_form(name)
    from vllm import LLM
    from vllm.config import PoolerConfig

    given = {"max_model_len": longest_row(name, sequence_tokens), "gpu_memory_utilization": GPU_SHARE, **engine}
    llm = LLM(
        model_path(name),
        runner="pooling",
        convert="embed",
        pooler_config=PoolerConfig(task="token_embed", use_activation=False),  # not made unit vectors
        enable_prefix_caching=False,  # tokens that are found in the cache have no hidden state
        dtype="bfloat16" if dtype == torch.bfloat16 else "float32",
        hf_overrides={"head_dtype": "model"},  # else they are sent as fp32, which is twice as much
        **given,
    )
    # The head after vLLM, which has brought the files here. No name for what is returned: vLLM keeps frames that it
    # was called from, and with a name in them the engine as well.
    return VllmForward(llm, load_head(name, dtype, device))


class VllmForward:
    """vLLM's engine as a pass over whole rows, and the head beside it."""

    def __init__(self, llm: Any, head: Head) -> None:
        self.llm, self.head = llm, head

    def __del__(self) -> None:
        """Stop the engine's processes at once: left to the collector of cycles, they would hold a GPU's memory."""
        self.llm.llm_engine.engine_core.shutdown(timeout=END_S)

    def __call__(self, examples: Sequence[Example]) -> Tensor:
        """Last hidden states [N, H] on the device of the head."""
        asked = [{"prompt_token_ids": example.token_ids.tolist()} for example in examples]
        outputs = self.llm.encode(asked, pooling_task="token_embed", use_tqdm=False)
        parts = []
        for example, output in zip(examples, outputs, strict=True):
            hidden_LH = output.outputs.data
            assert len(hidden_LH) == len(example.token_ids), f"{len(hidden_LH)} states, {len(example.token_ids)} tokens"
            parts.append(hidden_LH[example.target_start - 1 : -1])
        return torch.cat(parts).to(self.head.weight.device)


def check_engine(engine: Mapping[str, Any]) -> None:
    """An argument that vllm.LLM does not have, or that is not to be chosen, is a ValueError."""
    try:
        from vllm import EngineArgs
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "vllm":
            raise
        raise ValueError("score.engine = \"vllm\" needs vLLM: pip install 'distill-toolkit[vllm]'") from None
    known = [argument.name for argument in fields(EngineArgs) if argument.name not in OURS]
    for name in engine:
        if name in OURS:
            raise ValueError(f"score.options.engine.{name} is not to be set: scoring itself decides {', '.join(OURS)}")
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            hint = f", did you mean {nearest[0]}?" if nearest else ""
            raise ValueError(f"score.options.engine.{name}: vllm.LLM takes no such argument here{hint}")
