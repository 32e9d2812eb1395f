"""Models to train or score with: loading, hidden states, output heads, and the check that two vocabularies agree."""

import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from distill.data.token_store import largest_of
from distill.loss.heads import Head
from distill.models import varlen
from distill.settings import DType
from distill.training.examples import Example
from distill.training.packing import Batch
from generators.contract.chat import stop_ids
from generators.contract.errors import InputError, RecipeError
from generators.contract.ids import content_id
from generators.contract.models import model_path

# Configuration keys with which transformers models scale or cap their logits.
SCALES, DIVISORS = ("logit_scale", "lm_head_multiplier"), ("logits_scaling",)
CAPS = ("final_logit_softcapping", "logits_soft_cap")


def load_tokenizer(name: str) -> Any:
    """Load the tokenizer of a model folder, an embedded model or a hub name."""
    return AutoTokenizer.from_pretrained(model_path(name))


def longest_row(name: str, sequence_tokens: int) -> int:
    """Return the tokens that a row may have: `sequence_tokens`, or the model's positions if it has fewer."""
    positions = getattr(architecture(name), "max_position_embeddings", None)
    return min(sequence_tokens, positions or sequence_tokens)


def head_rows(name: str) -> int:
    """Return the rows of a model's output head, read from its configuration alone."""
    rows: int = architecture(name).vocab_size
    return rows


def architecture(name: str) -> Any:
    """Return the configuration of a model's language part."""
    return AutoConfig.from_pretrained(model_path(name)).get_text_config()


def load_model(
    name: str, dtype: torch.dtype, device: torch.device, *, flat: bool = False, quantization: Any = None
) -> Any:
    """Load a causal language model without dropout; an unsupported form of head is a ValueError.

    flat: attention that stays within the documents of flat rows, where the model has no other kind of it.
    quantization: transformers' configuration of weights in fewer bits.
    """
    own = flat and varlen.unsupported(architecture(name)) is None
    more: dict[str, Any] = {"attn_implementation": varlen.NAME} if own else {}
    if quantization is not None:
        more |= {"quantization_config": quantization, "device_map": {"": device}}
    model: Any = AutoModelForCausalLM.from_pretrained(model_path(name), dtype=dtype, **more)
    model.to(device)
    check_head(model, name)
    return model


def pick_device(name: str) -> torch.device:
    """Return the device of a setting; auto is the GPU if there is one."""
    return torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def pick_dtype(name: DType, device: torch.device) -> torch.dtype:
    """Return the dtype of a setting; auto is bfloat16 on a GPU and float32 on a CPU."""
    chosen = name if name != "auto" else "float32" if device.type == "cpu" else "bfloat16"
    return torch.bfloat16 if chosen == "bfloat16" else torch.float32


def hidden_states(model: Any, batch: Batch) -> Tensor:
    """Return the last hidden states [N, H] at the positions that predict the batch's labels."""
    more: dict[str, Any] = {}
    if batch.starts is not None and model.config._attn_implementation == varlen.NAME:
        longest = 1 << (batch.longest - 1).bit_length()  # few values: a kernel's grid, which compiled layers depend on
        more = {"cu_seq_lens_q": batch.starts, "max_length_q": longest}
        more |= {"cu_seq_lens_k": batch.starts, "max_length_k": longest}
    output = model.base_model(input_ids=batch.token_ids, position_ids=batch.position_ids, use_cache=False, **more)
    hidden: Tensor = output.last_hidden_state.flatten(0, 1)
    return hidden[batch.sources]


def output_head(model: Any) -> Head:
    """Return the whole output head: the weight, and the bias, scale and soft cap that the architecture has."""
    layer, config = model.get_output_embeddings(), model.config.get_text_config()
    scale = math.prod(getattr(config, key, None) or 1.0 for key in SCALES)
    scale /= math.prod(getattr(config, key, None) or 1.0 for key in DIVISORS)
    caps = [cap for key in CAPS if (cap := getattr(config, key, None))]
    return Head(layer.weight, getattr(layer, "bias", None), scale, caps[0] if caps else None)


@torch.no_grad()
def check_head(model: Any, name: str) -> None:
    """Check that the model's own logits are those of its `output_head`; otherwise ValueError."""
    ids = torch.tensor([[0, 1]], device=model.device)
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0]
    ours, theirs = output_head(model).logits(hidden), model(input_ids=ids, use_cache=False).logits[0].float()
    rounding = 1e-4 if model.dtype == torch.float32 else 2e-2
    if not torch.allclose(ours, theirs, rtol=rounding, atol=rounding * float(theirs.abs().max())):
        raise RecipeError(
            f"{name}: {type(model).__name__} computes its logits in a way that is not supported; a head may have a "
            f"bias, a scale ({', '.join(SCALES + DIVISORS)}) and a soft cap ({', '.join(CAPS)})"
        )


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Return 24 hex digits over every token and its id."""
    return content_id(sorted(tokenizer.get_vocab().items()))


def tokenizer_size(tokenizer: Any) -> int:
    """Return one more than the largest token id; a head may have padding rows beyond it."""
    largest: int = max(tokenizer.get_vocab().values())
    return largest + 1


def check_vocabularies(student: Any, teacher: Any, student_rows: int, teacher_rows: int) -> int:
    """Return the size of the vocabulary that two tokenizers share; both heads are cut to it.

    Rows beyond the tokenizer are padding (Qwen2.5 has 151,936 or 152,064 rows for one tokenizer). Added
    tokens beyond the rows of a head, such as one for padding, are in no distribution; `check_tokens` refuses a row
    that holds one. Tokenizers that differ in another token, or a head with fewer rows than tokens, are a ValueError.
    """
    ours, theirs = ({i: token for token, i in tokenizer.get_vocab().items()} for tokenizer in (student, teacher))
    whole: int = max(*ours, *theirs) + 1
    size = min(whole, student_rows, teacher_rows)
    for i in range(size):
        if ours.get(i) != theirs.get(i):
            raise RecipeError(
                f"student and teacher disagree on token {i}: {ours.get(i)!r} and {theirs.get(i)!r}; "
                'soft targets need one vocabulary, or an online teacher and divergence = "span_kl"'
            )
    if size < whole and not _only_added((student, teacher), size):
        whose, rows = ("student", student_rows) if student_rows == size else ("teacher", teacher_rows)
        raise RecipeError(f"the {whose}'s head has {rows} rows for a vocabulary of {whole} tokens")
    return size


def _only_added(tokenizers: Iterable[Any], size: int) -> bool:
    """Return whether all tokens from the id `size` on were added to the tokenizers, such as one for padding."""
    return all(
        i in tokenizer.added_tokens_decoder
        for tokenizer in tokenizers
        for i in tokenizer.get_vocab().values()
        if i >= size
    )


def check_tokens(examples: Sequence[Example], rows: int, name: str, tokenizer: Any) -> None:
    """Raise InputError for the first example with a token beyond the `rows` of the model `name`."""
    largest = largest_of(examples)
    for i in np.flatnonzero(largest >= rows)[:1].tolist():
        token = tokenizer.convert_ids_to_tokens(int(largest[i]))
        raise InputError(
            f"row {examples[i].trace_id} holds the token {largest[i]} ({token!r}), but {name} has {rows} rows of "
            "embedding; resize it first (resize_token_embeddings of transformers), or use a chat template of "
            "tokens that it knows"
        )


def padding_id(tokenizer: Any, rows: int) -> int:
    """Return the token that fills rows of a batch, which no position reads: the tokenizer's, else token 0."""
    pad = tokenizer.pad_token_id
    return pad if pad is not None and pad < rows else 0


def stored_dtype(name: str) -> torch.dtype:
    """Return the dtype in which a model's weights are stored, from its configuration; float32 if it does not say."""
    dtype: torch.dtype | None = architecture(name).dtype
    return dtype or torch.float32


def with_ends(model: Any, tokenizer: Any) -> GenerationConfig:
    """Return the model's generation config with all tokens that end a completion: its own, and those learned."""
    config: GenerationConfig = model.generation_config or GenerationConfig()
    ends = [i for i in stop_ids(tokenizer, config) if i < model.get_input_embeddings().weight.shape[0]]
    if ends:
        config.eos_token_id = ends[0] if len(ends) == 1 else ends
    return config


def save_model(
    model: Any,
    tokenizer: Any,
    folder: Path,
    card: str,
    *,
    write: Callable[[Path], None] | None = None,
    first: bool = True,
) -> None:
    """Write a model folder in the Hugging Face format with safetensors; it appears complete or not at all.

    Its generation_config names every token that ends a completion, the learned end of turn among them. write: writes
    the model's own files, where its weights are spread over ranks; then all ranks call this, and `first` is one.
    """
    model.generation_config = with_ends(model, tokenizer)
    partial = folder.with_name(folder.name + ".partial")
    if first:
        shutil.rmtree(partial, ignore_errors=True)  # left by a run that was stopped while saving
    (write or model.save_pretrained)(partial)
    if not first:
        return
    tokenizer.save_pretrained(partial)
    (partial / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that was stopped right after saving
    partial.rename(folder)
