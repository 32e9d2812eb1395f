"""A model whose weights are spread over the ranks with FSDP2, and its files, read and written a part at a time.

Every rank holds a slice of each weight and its optimizer state. A layer's weights are gathered when it runs, in bf16 on
a GPU, and its gradients are summed in fp32 over the ranks. No rank ever holds the whole model.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset
from transformers import AutoConfig, AutoModelForCausalLM

from distill.models import varlen
from distill.models.forward import compile_layers
from generators.contract.errors import InputError
from generators.contract.models import model_path

INDEX, WHOLE_FILE = "model.safetensors.index.json", "model.safetensors"
FILE_BYTES = 5 * 2**30  # of one safetensors file


class Sharded(nn.Module):
    """A sharded model with all that reads its weights in one forward, for which FSDP2 gathers them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, run: Callable[[], Any]) -> Any:
        """Return what `run` returns; it may read the weights that no layer owns, such as the output head."""
        return run()

    def sync(self, now: bool) -> None:
        """Say whether the next backward pass sums its gradients over the ranks, or leaves that to a later one."""
        set_requires_gradient_sync: Any = self.set_requires_gradient_sync  # a method that fully_shard adds
        set_requires_gradient_sync(now)

    def release(self) -> None:
        """Let go of the weights that a forward pass without a backward pass left gathered."""
        reshard: Any = self.reshard  # a method that fully_shard adds
        reshard()


def mesh_of(device: torch.device, ranks: int) -> DeviceMesh:
    """Return the ranks as a mesh of one dimension."""
    return init_device_mesh(device.type, (ranks,))


def load_sharded(
    name: str,
    mesh: DeviceMesh,
    *,
    flat: bool,
    lower: bool,
    compiled: bool,
    before: Callable[[Any], None] = lambda model: None,
) -> Sharded:
    """Load a causal language model, each rank its slices.

    flat: attention through `varlen`, as in `load_model`. lower: products in bf16. compiled: compile the layers.
    before: called with the model before its weights are spread, such as to freeze some.
    """
    path = Path(model_path(name))
    config = AutoConfig.from_pretrained(path)
    more = {"attn_implementation": varlen.NAME} if flat else {}
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32, **more)
    before(model)
    if compiled:
        compile_layers(model)
    whole = shard(model, mesh, lower=lower)
    model.to_empty(device=mesh.device_type)
    for weight in model.parameters():
        weight._is_hf_initialized = True
    model.initialize_weights()  # buffers that no file holds, such as the frequencies of rotary positions
    _fill(model, path)
    return whole


def shard(model: Any, mesh: DeviceMesh, *, lower: bool) -> Sharded:
    """Spread the weights of a model over a mesh, layer by layer, and the rest as one group."""
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if lower else MixedPrecisionPolicy()
    for layer in model.base_model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    whole = Sharded(model)
    fully_shard(whole, mesh=mesh, mp_policy=policy)
    return whole


@torch.no_grad()
def _fill(model: Any, path: Path) -> None:
    files = _files_by_weight(path)
    missing = [name for name, _ in model.named_parameters() if name not in files]
    if missing:
        _fill_from_first(model, path, missing[0])
        return
    for name, weight in model.named_parameters():
        with safe_open(files[name], "pt") as opened:
            own_slice(weight).copy_(_slice_of(opened.get_slice(name), weight))
    for name, buffer in model.named_buffers():
        if name in files:
            with safe_open(files[name], "pt") as opened:
                buffer.copy_(opened.get_tensor(name))


def _files_by_weight(path: Path) -> dict[str, Path]:
    if (path / INDEX).exists():
        weights: dict[str, str] = json.loads((path / INDEX).read_text(encoding="utf-8"))["weight_map"]
        return {name: path / file for name, file in weights.items()}
    if not (path / WHOLE_FILE).exists():
        raise InputError(f"{path} has no safetensors files; several ranks read those alone: save it as safetensors")
    with safe_open(path / WHOLE_FILE, "pt") as opened:
        return dict.fromkeys(opened.keys(), path / WHOLE_FILE)


def own_slice(weight: Tensor) -> Tensor:
    """Return this rank's part of a weight, as memory to write to; all of a weight that is not sharded."""
    return (weight.to_local() if isinstance(weight, DTensor) else weight).detach()


def _slice_of(whole: Any, weight: Tensor) -> Tensor:
    """Return this rank's part of a tensor, or of a slice of an open file, that is as large as all of `weight`."""
    if not isinstance(weight, DTensor):
        return torch.as_tensor(whole[:])
    shape, offset = compute_local_shape_and_global_offset(weight.shape, weight.device_mesh, weight.placements)
    return torch.as_tensor(whole[offset[0] : offset[0] + shape[0]])


def _fill_from_first(model: Any, path: Path, missing: str) -> None:
    """Let rank 0 read the whole model and send the slices: its files name weights in another way than the model."""
    state: dict[str, Any] = {}
    if dist.get_rank() == 0:
        print(f"train: {missing} is stored in parts, so rank 0 reads all of {path}", file=sys.stderr)
        state = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).state_dict()
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, state, options=options)


def gathered(model: Any, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Yield each weight as a whole, one at a time, on the CPU of rank 0; other ranks get an empty tensor."""
    seen: set[int] = set()
    for name, weight in [*model.named_parameters(), *_stored_buffers(model)]:
        if id(weight) in seen:
            continue
        seen.add(id(weight))
        whole = weight.full_tensor() if isinstance(weight, DTensor) else weight
        yield name, whole.detach().to(dtype if whole.is_floating_point() else whole.dtype).cpu()


def _stored_buffers(model: Any) -> list[tuple[str, Tensor]]:
    stored = model.state_dict().keys()
    return [(name, buffer) for name, buffer in model.named_buffers() if name in stored]


def save_gathered(model: Any, folder: Path, *, dtype: torch.dtype, write: bool) -> None:
    """Write a sharded model in the Hugging Face format in files of at most 5 GiB; all ranks call it, one writes."""
    if write:
        folder.mkdir(parents=True)
        model.config.dtype = dtype
        model.config.save_pretrained(folder)
        if model.generation_config is not None:
            model.generation_config.save_pretrained(folder)
    files: list[list[str]] = []
    part: dict[str, Tensor] = {}
    size = total = 0
    for name, weight in gathered(model, dtype):
        if not write:
            continue
        if part and size + weight.nbytes > FILE_BYTES:
            files.append(_write_part(part, folder, len(files)))
            part, size = {}, 0
        part[name] = weight.contiguous()
        size, total = size + weight.nbytes, total + weight.nbytes
    if write:
        files.append(_write_part(part, folder, len(files)))
        _name_files(folder, files, total)


def _write_part(part: dict[str, Tensor], folder: Path, number: int) -> list[str]:
    save_file(part, folder / f"part-{number}.safetensors", metadata={"format": "pt"})
    return list(part)


def _name_files(folder: Path, files: list[list[str]], total: int) -> None:
    """Give the written parts the names that transformers looks for, with an index if there are several."""
    if len(files) == 1:
        (folder / "part-0.safetensors").rename(folder / WHOLE_FILE)
        return
    where: dict[str, str] = {}
    for number, names in enumerate(files):
        called = f"model-{number + 1:05d}-of-{len(files):05d}.safetensors"
        (folder / f"part-{number}.safetensors").rename(folder / called)
        where |= dict.fromkeys(names, called)
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")
