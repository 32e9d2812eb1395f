"""Models to train or to score with: loading, their hidden states and heads, and whether two vocabularies agree."""

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from distill.packing import Batch
from distill.settings import DType
from generators.models import model_path
from generators.records import content_id

# Settings by which models of transformers scale or cap the product of hidden states and head.
LOGIT_CHANGES = (
    "final_logit_softcapping", "logits_soft_cap", "logit_scale", "logits_scaling", "lm_head_multiplier",
)  # fmt: skip


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a model folder, an embedded model or a hub name."""
    return AutoTokenizer.from_pretrained(model_path(name))


def longest_row(name: str, sequence_tokens: int) -> int:
    """Tokens a row may have: `sequence_tokens`, or the model's positions where it has fewer."""
    config = AutoConfig.from_pretrained(model_path(name)).get_text_config()
    positions = getattr(config, "max_position_embeddings", None)
    return min(sequence_tokens, positions or sequence_tokens)


def head_rows(name: str) -> int:
    """Rows of a model's output head, from its configuration alone."""
    return AutoConfig.from_pretrained(model_path(name)).get_text_config().vocab_size


def load_model(name: str, dtype: torch.dtype, device: torch.device) -> Any:
    """A causal language model, its dropout off, whose logits are `hidden @ head.T`; any other head is a ValueError."""
    model: Any = AutoModelForCausalLM.from_pretrained(model_path(name), dtype=dtype)
    if getattr(model.get_output_embeddings(), "bias", None) is not None:
        raise ValueError(f"the output head of {name} has a bias; the distillation loss works on heads without")
    for key in LOGIT_CHANGES:
        if getattr(model.config.get_text_config(), key, None) not in (None, 1.0):
            raise ValueError(f"{name} changes its logits by {key}; the distillation loss works on plain heads")
    return model.to(device)


def pick_device(name: str) -> torch.device:
    """The device of a setting, where auto is the GPU if there is one."""
    return torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def pick_dtype(name: DType, device: torch.device) -> torch.dtype:
    """The dtype of a setting, where auto is bfloat16 on a GPU and float32 on a CPU."""
    chosen = name if name != "auto" else "float32" if device.type == "cpu" else "bfloat16"
    return torch.bfloat16 if chosen == "bfloat16" else torch.float32


def hidden_states(model: Any, batch: Batch) -> Tensor:
    """Last hidden states [N, H] at the places that predict the batch's labels."""
    output = model.base_model(input_ids=batch.token_ids, position_ids=batch.position_ids, use_cache=False)
    return output.last_hidden_state.flatten(0, 1)[batch.sources]


def head(model: Any) -> Tensor:
    """The output head's weight [V, H]."""
    return model.get_output_embeddings().weight


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """24 hex digits over every token and its id."""
    return content_id(sorted(tokenizer.get_vocab().items()))


def tokenizer_size(tokenizer: Any) -> int:
    """One more than the largest token id; a head may have padding rows beyond it."""
    return max(tokenizer.get_vocab().values()) + 1


def check_vocabularies(student: Any, teacher: Any, student_rows: int, teacher_rows: int) -> int:
    """The size of the vocabulary that two tokenizers share, to which both heads are cut.

    Rows beyond the tokenizer are padding (Qwen2.5 has 151,936 or 152,064 rows for one tokenizer). Tokenizers that
    differ in a token, or a head with fewer rows than tokens, are a ValueError.
    """
    ours, theirs = ({i: token for token, i in tokenizer.get_vocab().items()} for tokenizer in (student, teacher))
    size = max(*ours, *theirs) + 1
    for i in range(size):
        if ours.get(i) != theirs.get(i):
            raise ValueError(
                f"student and teacher disagree on token {i}: {ours.get(i)!r} and {theirs.get(i)!r}; "
                "soft targets need one vocabulary"
            )
    for whose, rows in (("student", student_rows), ("teacher", teacher_rows)):
        if rows < size:
            raise ValueError(f"the {whose}'s head has {rows} rows for a vocabulary of {size} tokens")
    return size


def stored_dtype(name: str) -> torch.dtype:
    """The dtype a model's weights are stored in, from its configuration; float32 where that does not say."""
    return AutoConfig.from_pretrained(model_path(name)).get_text_config().dtype or torch.float32


def save_model(model: Any, tokenizer: Any, folder: Path, card: str) -> None:
    """A model folder in the Hugging Face format with safetensors; it appears whole, or not at all."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was stopped while saving
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    (partial / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped right after saving
    partial.rename(folder)
