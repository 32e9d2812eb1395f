"""The trained part of a student: all weights, all but frozen ones, or low-rank adapters beside frozen weights (LoRA).

The adapters are peft's (Hu et al., LoRA, arXiv 2106.09685; Dettmers et al., QLoRA, arXiv 2305.14314 for a base in 4
bits), and are saved in peft's own form, which vLLM and transformers load.
"""

import gc
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from distill.models.loading import load_model
from distill.settings import LoraSettings
from generators.contract.errors import InputError, RecipeError

EXAMPLES = 3  # names of weights that an error shows


def with_adapters(model: Any, settings: LoraSettings, student: str) -> Any:
    """Put adapters into a model, in place, and freeze all else; return peft's model around it.

    A target that names no layer is an InputError.
    """
    peft = _peft()
    targets = settings.targets if isinstance(settings.targets, str) else list(settings.targets)
    config = peft.LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=targets,
        task_type="CAUSAL_LM", base_model_name_or_path=student,
    )  # fmt: skip
    try:
        return peft.get_peft_model(model, config)
    except ValueError as error:
        raise InputError(f"train.lora.targets is {targets}: {error}") from None


def freeze(model: Any, patterns: Sequence[str]) -> None:
    """Keep the weights whose name fits a pattern (`*` and `?` as in file names) as they are.

    A pattern without a weight, and patterns that leave nothing to train, are an InputError.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            shown = ", ".join([*names[:EXAMPLES], "..."])
            raise InputError(f'train.freeze: no weight is called "{pattern}"; the model has {shown}')
    for name, weight in model.named_parameters():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            weight.requires_grad_(False)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise InputError(f"train.freeze is {list(patterns)}, which leaves no weight to train")


def save_adapter(adapted: Any, folder: Path) -> None:
    """Write the adapters alone, in peft's form."""
    adapted.save_pretrained(folder)


def merged(student: str, adapter: Path, dtype: torch.dtype) -> Any:
    """Return the student, read again in `dtype`, with the adapters of a folder added to its weights, on the CPU.

    It is read again since its weights in memory may be rounded to bf16 or to 4 bits.
    """
    gc.collect()
    base = load_model(student, dtype, torch.device("cpu"))
    return _peft().PeftModel.from_pretrained(base, adapter).merge_and_unload()


def four_bits() -> Any:
    """Return how transformers loads weights in 4-bit NormalFloat with quantized scales, products in bf16."""
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise RecipeError(
            'train.lora.quantize is "nf4", which needs bitsandbytes: pip install "distill-toolkit[qlora]"'
        ) from None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise RecipeError('train.lora needs peft: pip install "distill-toolkit[lora]"') from None
    return peft
