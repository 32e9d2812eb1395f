"""Time training steps on one GPU and on two with FSDP2, with random weights of Qwen2.5's shapes.

    python -m benchmarks.sft_ranks            # 1.5B on one GPU and on two, 7B on two, adapters of 7B and 14B on one
    python -m torch.distributed.run --nproc-per-node 2 -m benchmarks.sft_ranks --case 7B   # one case, by hand

A rank's step has 65,536 tokens in full rows of 8,192. The share of the matmul rate is a GPU's, as in
benchmarks.sft_step; weights that adapters leave frozen count 4 operations a token, not 6.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from benchmarks.measure import record
from benchmarks.sft_soft_labels import TEACHER as SEVEN_B
from benchmarks.sft_step import SHAPE, VOCABULARY, Figures, lengths_of, matmul_rate, model, timed
from distill.models import varlen
from distill.models.forward import compile_layers
from distill.parallel.ranks import join
from distill.parallel.sharding import mesh_of, shard
from distill.settings import TrainConfig
from distill.train import make_optimizer, take_step
from distill.training.adapters import with_adapters
from distill.training.examples import Example
from distill.training.trainer import Trainer

FOURTEEN_B = {
    "hidden_size": 5120, "intermediate_size": 13_824, "num_hidden_layers": 48, "num_attention_heads": 40,
    "num_key_value_heads": 8, "tie_word_embeddings": False,
}  # fmt: skip
ADAPTERS = {"lora": {"rank": 16}, "micro_batch_tokens": 8192}
CASES: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {  # ranks, changes of the shape, settings
    "1.5B": (1, {}, {}),
    "1.5B x 2": (2, {}, {}),
    "7B x 2": (2, SEVEN_B, {"activation_checkpointing": "full", "micro_batch_tokens": 8192}),
    "7B x 2, selective": (2, SEVEN_B, {"activation_checkpointing": "selective", "micro_batch_tokens": 8192}),
    "7B LoRA": (1, SEVEN_B, ADAPTERS),
    "14B LoRA": (1, FOURTEEN_B, {**ADAPTERS, "activation_checkpointing": "full"}),
}
SECONDS = 300  # for one case


def random_sharded(shape: dict[str, Any], ranks: int) -> Any:
    """Return a random model of a shape, spread over the ranks."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    with torch.device("meta"):
        made = Qwen2ForCausalLM._from_config(
            Qwen2Config(**{**SHAPE, **shape}), attn_implementation=varlen.NAME, dtype=torch.float32
        )
    made.config.use_cache = False
    compile_layers(made)
    whole = shard(made, mesh_of(torch.device("cuda"), ranks), lower=True)
    made.to_empty(device="cuda")
    made.initialize_weights()
    return whole


def measured(name: str) -> Figures:
    """Time the steps of one case on this rank."""
    ranks, shape, settings = CASES[name]
    own = join(cuda=True)
    rate = matmul_rate()
    config = TrainConfig(
        student="random", device="cuda", sequence_tokens=8192, epochs=1, **{"micro_batch_tokens": 16_384, **settings}
    )
    whole = random_sharded(shape, ranks) if ranks > 1 else None
    student = (
        whole.model.train() if whole else model(torch.bfloat16 if config.lora else torch.float32, varlen.NAME, shape)
    )
    if config.lora:
        with_adapters(student, config.lora, "random")
    trainer = Trainer(config, student, lambda batch: None, None, 0, ranks=own, whole=whole)
    trainer.prepare()
    optimizer = make_optimizer(trainer.weights, config)
    draw = np.random.default_rng(1)
    lengths = lengths_of("full") * ranks
    step = [Example(str(i), draw.integers(0, VOCABULARY, n, dtype=np.int32), 1) for i, n in enumerate(lengths)]
    losses: list[float] = []
    flops = sum(map(trainer.flops, lengths))
    found = timed(
        lambda: losses.append(take_step(trainer, optimizer, step, 1e-5)["loss"]), sum(lengths), flops, rate * ranks
    )
    return {**found, "ranks": ranks, "matmul_tflops": round(rate / 1e12), "losses": [round(loss, 4) for loss in losses]}


def run(name: str) -> Figures:
    """Run one case in processes of its own."""
    ranks = CASES[name][0]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            str(ranks),
            "-m",
            "benchmarks.sft_ranks",
        ]
        ended = subprocess.run(
            [*command, "--case", name, "--to", str(file)],
            timeout=SECONDS,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if ended.returncode:
            return {"error": ended.stderr[-1500:]}
        found: Figures = json.loads(file.read_text())
        return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cases and record them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, help="one case, in this process")
    parser.add_argument("--to", type=Path, help="file for its figures")
    options = parser.parse_args(arguments)
    if options.case:
        found = measured(options.case)
        if dist.is_initialized() and dist.get_rank():
            return
        (options.to or Path("/dev/stdout")).write_text(json.dumps(found))
        return
    results: Figures = {"gpu": torch.cuda.get_device_name()}
    for name in CASES:
        try:
            results[name] = run(name)
        except subprocess.TimeoutExpired:
            results[name] = {"error": f"no result within {SECONDS} s"}
        print(name, results[name], flush=True)
    one, two = (results[name].get("tokens_per_s") for name in ("1.5B", "1.5B x 2"))
    if one and two:
        results["1.5B, 2 GPUs over 1"] = round(two / one, 3)
    record("sft_ranks", results)


if __name__ == "__main__":
    main()
