"""Memory of full fine-tuning with FSDP2 by size and number of GPUs, counted on the real layers, without a GPU.

    python -m benchmarks.training_memory > docs/training_memory.md

The model is built on the meta device and spread by the trainer's own `shard` over a process group without processes,
so the slices are those that a rank holds, padding of uneven ones included.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoConfig, AutoModelForCausalLM

from distill.parallel.sharding import shard

GIB = 2**30
GPU_GIB = 79.6  # of an H100 of 80 GB, as torch.cuda.get_device_properties reports it
ROOM = 0.9  # share of it that is planned for
TOKENS = 16384  # of a micro-batch
RANKS = (1, 2, 4, 8, 16, 32)
STATES = 4 * 4  # bytes of a weight's fp32 value, gradient and two moments
GATHERED = 2  # bytes of a weight that is gathered for products
QWEN = {"vocab_size": 152064, "num_key_value_heads": 8, "tie_word_embeddings": False}
SHAPES = {  # from the models' config.json
    "Qwen2.5-1.5B": (
        "qwen2",
        QWEN | {"vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
        "num_attention_heads": 12, "num_key_value_heads": 2, "tie_word_embeddings": True},
    ),
    "Qwen2.5-7B": (
        "qwen2",
        QWEN | {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
        "num_key_value_heads": 4},
    ),
    "Qwen2.5-14B": (
        "qwen2",
        QWEN | {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 48, "num_attention_heads": 40},
    ),
    "Qwen2.5-32B": (
        "qwen2",
        QWEN | {"hidden_size": 5120, "intermediate_size": 27648, "num_hidden_layers": 64, "num_attention_heads": 40},
    ),
    "Llama-3.3-70B": (
        "llama",
        {"vocab_size": 128256, "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
        "num_attention_heads": 64, "num_key_value_heads": 8, "tie_word_embeddings": False},
    ),
}  # fmt: skip


def model_of(name: str) -> Any:
    """Return a model of a published shape on the meta device."""
    kind, shape = SHAPES[name]
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **shape), dtype=torch.float32)
    return model


def held(name: str, ranks: int) -> tuple[int, float]:
    """Return (weights of the whole model, bytes of rank 0 while it trains): see the page that `main` prints."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    try:
        model = model_of(name)
        layers = model.base_model.layers
        layer, size = _size(layers[0]), _size(model)
        activations = _activations(model, layers)
        shard(model, init_device_mesh("cpu", (ranks,)), lower=True)
        own = sum(_own(weight) for weight in model.parameters())
    finally:
        dist.destroy_process_group()
    rest = size - len(layers) * layer  # embedding, last norm and head: gathered for the whole step
    return size, STATES * own + GATHERED * (rest + 2 * layer) + 4 * rest + activations


def _size(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _own(weight: torch.Tensor) -> int:
    assert isinstance(weight, DTensor)
    return weight.to_local().numel()


def _activations(model: Any, layers: nn.ModuleList) -> float:
    """Return the bytes of activations with full checkpointing: each layer's input, and one layer's products, in bf16.

    A product's input and its gradient and output and its gradient are counted.
    """
    products = [module for module in layers[0].modules() if isinstance(module, nn.Linear)]
    widths = sum(product.in_features + product.out_features for product in products)
    inputs: int = len(layers) * model.config.hidden_size
    return 2.0 * TOKENS * (inputs + 2 * widths)


def table() -> str:
    """Return GiB of a rank for each shape and number of GPUs; bold where it fits."""
    lines = [
        "| model | weights | " + " | ".join(f"{n} GPU{'s' * (n > 1)}" for n in RANKS) + " |",
        "|---|---|" + "---|" * len(RANKS),
    ]
    for name in SHAPES:
        sizes, cells = [], []
        for ranks in RANKS:
            size, needed = held(name, ranks)
            sizes.append(size)
            gib = f"{needed / GIB:.1f}"
            cells.append(f"**{gib}**" if needed / GIB < ROOM * GPU_GIB else gib)
        lines.append(f"| {name} | {sizes[0] / 1e9:.2f}e9 | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page() -> str:
    """Return the page of the documentation."""
    return f"""# Memory of training

GiB of each GPU for full fine-tuning with `train.ranks` GPUs, `activation_checkpointing = "full"` and micro-batches of
{TOKENS:,} tokens. Bold fits into {ROOM:.0%} of an H100 of 80 GB ({GPU_GIB} GiB).

{table()}

The table is computed, not measured: `python -m benchmarks.training_memory` builds each model on the meta device, shards
it with the trainer's own code and counts rank 0. It counts {STATES} bytes for each weight of the rank's slices (fp32
value, gradient, two moments of AdamW), two layers and the embeddings gathered in bf16 with the embeddings' gradient in
fp32, each layer's input, and one layer's products with their gradients. Not counted: the loss's chunks of logits,
NCCL's buffers (1 to 2 GiB) and fragmentation. The column for one GPU is FSDP2 on one rank; with `ranks = 1`, fp32
masters next to bf16 weights take 2 more bytes for each weight.
"""


if __name__ == "__main__":
    print(page(), end="")
