"""Soft targets of a teacher at Qwen2.5-1.5B's shape on one GPU, beside its forward pass alone and the plain way.

python -m benchmarks.score_throughput. Random weights; K = 50, three temperatures; rows of 2,048 and 8,192
tokens; layers compiled, as `score` does on a GPU. `plain` is what one writes first: the model's logits, their
log-softmax and `topk`, one temperature, no tail.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks.measure import record
from distill.models.forward import TransformersForward, compile_layers
from distill.score import row_targets, write_all
from distill.settings import ScoreConfig
from distill.soft_targets.store import StoreMetadata, TargetStore
from distill.training.examples import Example
from generators.contract.stage_protocol import no_progress

V, PROMPT = 151_936, 100
CONFIG = ScoreConfig(teacher="random", top_k=50, temperatures=(1.0, 2.0, 4.0))


def make_model() -> Any:
    """A model of random weights."""
    config = Qwen2Config(
        hidden_size=1536, num_hidden_layers=28, num_attention_heads=12, num_key_value_heads=2,
        intermediate_size=8960, vocab_size=V, tie_word_embeddings=True, max_position_embeddings=32_768,
    )  # fmt: skip
    with torch.device("cuda"):
        return Qwen2ForCausalLM(config).bfloat16().eval()


def make_rows(rows: int, length: int) -> list[Example]:
    """Documents of random tokens."""
    draw = np.random.default_rng(0)
    return [Example(str(i), draw.integers(0, V, length).astype(np.int32), PROMPT) for i in range(rows)]


@torch.inference_mode()
def plain(model: Any, examples: list[Example]) -> None:
    """Logits of the model, log-softmax, topk; two rows at a time, as their logits are large."""
    ids = torch.stack([torch.from_numpy(example.token_ids).long() for example in examples]).cuda()
    for some in ids.split(max(1, 4096 // ids.shape[1])):
        log_probs = torch.log_softmax(model(some, use_cache=False).logits.float(), -1)
        [part.cpu() for part in log_probs.topk(CONFIG.top_k, -1)]


def store_rows(forward: TransformersForward, shards: list[list[Example]]) -> None:
    """All that `score` does with rows: forward, targets, encoding, writing."""
    metadata = StoreMetadata(
        teacher="random", revision="0", tokenizer="none", vocab_size=V, top_k=50, temperatures=CONFIG.temperatures
    )
    keys = ([f"{part:012x}{i:012x}" for i in range(len(shard))] for part, shard in enumerate(shards))
    rows = (
        pair
        for names, shard in zip(keys, shards, strict=True)
        for pair in zip(names, row_targets(forward, CONFIG, V, shard, names), strict=True)
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        TargetStore(Path(folder) / "targets", "a", metadata) as store,
        no_progress("rows", 0) as bar,
    ):
        write_all(store, rows, bar)


def rate(tokens: int, work: Callable[..., object], *arguments: Any) -> int:
    """Tokens a second, the median of 3 after one."""
    work(*arguments)
    times = []
    for _ in range(3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work(*arguments)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return round(tokens / statistics.median(times))


def main() -> None:
    """Measure and write results/score_throughput.json."""
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name()}
    untuned, model = make_model(), make_model()
    compile_layers(model)
    forward = TransformersForward(model)
    for rows, length in ((16, 2048), (4, 8192)):
        shard = make_rows(rows, length)
        tokens, names = rows * length, [f"{i:024x}" for i in range(rows)]
        figures[f"rows of {length}"] = {
            "untuned_forward_alone": rate(tokens, TransformersForward(untuned), shard),
            "forward_alone": rate(tokens, forward, shard),
            "targets": rate(tokens, row_targets, forward, CONFIG, V, shard, names),
            "targets_stored": rate(8 * tokens, store_rows, forward, [shard] * 8),
            "plain": rate(tokens, plain, untuned, shard),
        }
        print(length, figures[f"rows of {length}"], flush=True)
    record("score_throughput", figures)


if __name__ == "__main__":
    main()
