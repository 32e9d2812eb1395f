"""A tiny random model with a tokenizer and a chat template."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
)

from generators.contract.engine import Engine, Outcome, SampleRequest

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# <|endoftext|>: loading a Qwen2 folder would add it where it is missing, beyond the model's head
SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>"]
HEADS = {"num_attention_heads": 6, "num_key_value_heads": 2}
SHAPE = {"hidden_size": 192, "num_hidden_layers": 2, "intermediate_size": 96, **HEADS}


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes, roles, `<think>` and `</think>`, unchanged when saved and loaded with a Qwen2."""
    qwen = Qwen2Tokenizer().backend_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, "<think>", "</think>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.normalizer, tokenizer.pre_tokenizer = qwen.normalizer, qwen.pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(["<think>", "</think>"])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    wrapped.chat_template = TEMPLATE
    return wrapped


def tiny_model(kind: str = "qwen2", seed: int = 0) -> Any:
    """Return a random model whose next-token distributions are neither flat nor certain."""
    torch.manual_seed(seed)
    kinds: dict[str, tuple[Any, Any]] = {
        "qwen2": (Qwen2Config, Qwen2ForCausalLM),
        "llama": (LlamaConfig, LlamaForCausalLM),
    }
    config_of, model_of = kinds[kind]
    vocabulary = len(tiny_tokenizer())
    config = config_of(vocab_size=vocabulary, max_position_embeddings=256, bos_token_id=None, eos_token_id=0, **SHAPE)
    model = model_of(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6)
    return model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random model, as transformers saves one."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model = tiny_model()
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    assert len(AutoTokenizer.from_pretrained(folder)) == model.config.vocab_size
    return folder


@pytest.fixture(scope="session")
def make_model() -> Callable[[str], Any]:
    """A function that makes a tiny random model of a kind (qwen2, llama)."""
    return tiny_model


def _drive(engine: Engine, requests: Sequence[SampleRequest]) -> dict[str, Outcome]:
    """Drive an engine until all requests are answered; return trace_id -> outcome, each once."""
    engine.submit(requests)
    outcomes: list[Outcome] = []
    while len(outcomes) < len(requests):
        outcomes += engine.collect(1.0)
    assert sorted(o.request.trace_id for o in outcomes) == sorted(request.trace_id for request in requests)
    return {outcome.request.trace_id: outcome for outcome in outcomes}


@pytest.fixture(scope="session")
def drive() -> Callable[[Engine, Sequence[SampleRequest]], dict[str, Outcome]]:
    """A function that drives an engine until all requests are answered."""
    return _drive
