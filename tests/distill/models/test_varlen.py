"""Attention within the documents of a flat row equals that of each document alone, in every architecture with it."""

from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM

from distill.models import varlen
from distill.models.loading import hidden_states
from distill.training.examples import Example
from distill.training.packing import collate

LENGTHS = (9, 1, 17, 5)
SMALL: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "qwen3": {},
    "llama": {},
    "mistral": {"sliding_window": 4},
    "gemma3_text": {"sliding_window": 4, "query_pre_attn_scalar": 8},
    "phi3": {},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_flat_documents_are_read_as_each_alone(name: str) -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model(name, **SMALL, **ARCHITECTURES[name])
    assert varlen.unsupported(config) is None
    usual = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    ours = AutoModelForCausalLM.from_config(config, attn_implementation=varlen.NAME).eval()
    ours.load_state_dict(usual.state_dict())
    draw = torch.Generator().manual_seed(1)
    examples = [Example(str(n), torch.randint(1, 60, (n,), generator=draw).int().numpy(), 1) for n in LENGTHS]
    batch = collate([examples], pad_id=0, multiple=8)
    assert batch.starts is not None and batch.starts.tolist() == [0, 9, 10, 27, 32] and batch.longest == 17
    with torch.no_grad():
        flat = hidden_states(ours, batch)
        alone = [
            usual.base_model(input_ids=torch.tensor(e.token_ids[None]).long()).last_hidden_state[0] for e in examples
        ]
    assert_close(flat, torch.cat([hidden[:-1] for hidden in alone]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "more", "missing"),
    [
        ("gemma2", {}, "attention logits with a soft cap"),
        ("gpt_oss", {}, "attention sinks"),
        ("deepseek_v3", {}, "latent attention"),
        ("qwen2", {"hidden_size": 2048, "num_attention_heads": 4, "head_dim": None}, "heads of width 512"),
        ("qwen3_next", {}, "layers of type linear_attention"),
    ],
)
def test_what_the_kernel_lacks_is_named(name: str, more: dict[str, Any], missing: str) -> None:
    assert varlen.unsupported(AutoConfig.for_model(name, **more)) == missing
