"""A model's output head alone, read from its files, for a teacher whose other weights another engine holds.

Shape suffixes: H hidden, V vocabulary.
"""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils.hub import cached_file

from distill.loss.heads import Head
from distill.models.loading import check_head, output_head
from generators.contract.errors import RecipeError
from generators.contract.models import model_path

INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"
TRIED_ROWS = 64  # vocabulary of the model without layers that is tried


def load_head(name: str, dtype: torch.dtype, device: torch.device) -> Head:
    """Read the head of the model `name` from its local files; files without that head are a ValueError."""
    path = model_path(name)
    config = AutoConfig.from_pretrained(path)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)
    layer, form = model.get_output_embeddings(), output_head(model)
    weight = _read(path, _names(model, layer.weight)).to(device, dtype)
    bias = form.bias if form.bias is None else _read(path, _names(model, form.bias)).to(device, dtype)
    if weight.shape != layer.weight.shape:
        raise RecipeError(f"{name}: its files hold a head of {list(weight.shape)}, not {list(layer.weight.shape)}")
    return replace(form, weight=weight, bias=bias)


def check_form(name: str) -> None:
    """Run `check_head` on a model of the same kind without layers; an unsupported form of head is a ValueError."""
    config = copy.deepcopy(AutoConfig.from_pretrained(model_path(name)))
    text = config.get_text_config()
    text.num_hidden_layers, text.vocab_size = 0, TRIED_ROWS
    for key in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(text, key, TRIED_ROWS - 1)
    if getattr(text, "layer_types", None):
        text.layer_types = []
    check_head(AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval(), name)


def _names(model: nn.Module, parameter: Tensor) -> list[str]:
    """Return all names of a parameter: a head tied to the embeddings is stored under their name."""
    return [name for name, other in model.named_parameters(remove_duplicate=False) if other is parameter]


def _read(path: str, names: list[str]) -> Tensor:
    """Return the tensor stored in the safetensors files under one of the names, or under a name that ends in one."""
    files = _files(path)
    for name in names:
        found = [stored for stored in files if stored == name or stored.endswith("." + name)]
        if len(found) == 1:
            with safe_open(files[found[0]], "pt") as opened:
                tensor: Tensor = opened.get_tensor(found[0])
            if tensor.is_floating_point() and tensor.element_size() > 1:
                return tensor
            raise RecipeError(f"{path}: {found[0]} is {tensor.dtype}; a quantized head is not supported")
    raise RecipeError(f"{path}: no safetensors file has {' or '.join(names)}, the weights of the output head")


def _files(path: str) -> dict[str, str]:
    """Map the name of each stored tensor to its file."""
    index = _file(path, INDEX)
    if index:
        places = json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"]
        return {name: str(Path(index).parent / file) for name, file in places.items()}
    whole = _file(path, WHOLE)
    if not whole:
        raise RecipeError(f"{path} has neither {INDEX} nor {WHOLE}")
    with safe_open(whole, "pt") as opened:
        return dict.fromkeys(opened.keys(), whole)


def _file(path: str, name: str) -> str | None:
    return cached_file(path, name, _raise_exceptions_for_missing_entries=False)
