"""Time a student's step with soft labels beside plain SFT on one GPU, in one process.

    python -m benchmarks.sft_soft_labels

The student has the shape of Qwen2.5-1.5B, the teacher that of 7B, both with random weights; a step has 65,536 tokens in
documents of lognormal length. `stored` reads targets (top 32 of each position) from a store; `online` runs the teacher
on each batch, and is compared with the sum of the SFT step and the teacher's forward pass with its head.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import record
from benchmarks.sft_step import SHAPE, VOCABULARY, Figures, attempt, lengths_of, matmul_rate, model, timed
from distill.loss.distillation_loss import OnlineTeacher
from distill.models import varlen
from distill.models.forward import compile_layers
from distill.models.loading import hidden_states, output_head
from distill.settings import TrainConfig
from distill.soft_targets.lookup import key_of, stored_targets
from distill.soft_targets.store import RowTargets, StoreMetadata, TargetStore
from distill.train import make_optimizer, take_step
from distill.training.examples import Example
from distill.training.trainer import Trainer

K = 32
TEACHER = {
    "hidden_size": 3584, "intermediate_size": 18_944, "num_attention_heads": 28, "num_key_value_heads": 4,
    "tie_word_embeddings": False,
}  # fmt: skip
MICRO = 8192  # tokens of a micro-batch: room for the teacher on 80 GB


def examples() -> list[Example]:
    """Return the documents of one step."""
    draw = np.random.default_rng(1)
    return [
        Example(str(i), draw.integers(0, VOCABULARY, n, dtype=np.int32), 1) for i, n in enumerate(lengths_of("mixed"))
    ]


def written_store(folder: Path, step: list[Example]) -> TargetStore:
    """Return a store with random targets of each document."""
    draw = np.random.default_rng(2)
    metadata = StoreMetadata(
        teacher="random", revision="none", tokenizer="none", vocab_size=SHAPE["vocab_size"], top_k=K,
        temperatures=(1.0,), sampled=0,
    )  # fmt: skip
    with TargetStore(folder, "a", metadata) as store:
        for example in step:
            n = example.targets
            first = draw.integers(0, VOCABULARY - K, (n, 1))
            logits = -np.sort(draw.exponential(4, (n, K)), axis=1)
            logits -= logits[:, :1]
            ids = (first + np.arange(K)).astype(np.uint32)
            store.append(
                key_of(store, example),
                RowTargets(ids, logits.astype(np.float16), np.full((n, 1), -9.0, np.float32), (1.0,)),
            )
    return TargetStore(folder)


def step_of(rate: float, step: list[Example], teacher_of: Callable[[Any], Any], **settings: Any) -> Figures:
    """Time the optimizer steps of `distill train`."""
    config = TrainConfig(student="random", device="cuda", micro_batch_tokens=MICRO, epochs=1, **settings)
    student = model(torch.float32, varlen.NAME)
    trainer = Trainer(config, student, teacher_of, SHAPE["vocab_size"], 0)
    trainer.prepare()
    optimizer = make_optimizer(trainer.weights, config)
    tokens = sum(len(example.token_ids) for example in step)
    flops = sum(trainer.flops(len(example.token_ids)) for example in step)
    return timed(lambda: take_step(trainer, optimizer, step, 1e-5), tokens, flops, rate)


def forward_of(rate: float, step: list[Example], teacher: Any) -> Figures:
    """Time the teacher's forward pass over a step, its head included."""
    config = TrainConfig(student="random", device="cuda", micro_batch_tokens=MICRO, epochs=1)
    trainer = Trainer(config, teacher, lambda batch: None, None, 0)
    tokens = sum(len(example.token_ids) for example in step)

    @torch.no_grad()
    def work() -> None:
        for batch in trainer.batches(step):
            hidden = hidden_states(teacher, batch)
            for part in hidden.split(1024):
                part @ teacher.get_output_embeddings().weight.T

    return timed(work, tokens, sum(trainer.flops(len(e.token_ids)) for e in step) / 3, rate)


def main() -> None:
    """Run the cases and record them."""
    rate = matmul_rate()
    results: Figures = {"gpu": torch.cuda.get_device_name(), "matmul_tflops": round(rate / 1e12), "micro_batch": MICRO}
    step = examples()
    attempt(results, "sft", lambda: step_of(rate, step, lambda batch: None))
    with tempfile.TemporaryDirectory() as folder:
        store = written_store(Path(folder) / "store", step)
        soft: dict[str, Any] = {"alpha": 0.5, "soft_targets": "stored"}
        attempt(
            results, "stored targets",
            lambda: step_of(rate, step, lambda batch: stored_targets(store, batch, 1.0), **soft),
        )  # fmt: skip
    teacher = model(torch.bfloat16, varlen.NAME, TEACHER).eval().requires_grad_(False)
    compile_layers(teacher)
    attempt(results, "teacher's forward pass", lambda: forward_of(rate, step, teacher))

    @torch.no_grad()
    def online(batch: Any) -> OnlineTeacher:
        return OnlineTeacher(hidden_states(teacher, batch), output_head(teacher))

    soft = {"alpha": 0.5, "soft_targets": "online", "teacher": "random"}
    attempt(results, "online teacher", lambda: step_of(rate, step, online, **soft))
    seconds = {name: 1 / found["tokens_per_s"] for name, found in results.items() if "tokens_per_s" in str(found)}
    if len(seconds) == 4:
        sft, stored, forward, both = seconds.values()
        results["stored over sft"] = round(stored / sft, 3)
        results["online over sft and forward pass"] = round(both / (sft + forward), 3)
    print({name: found for name, found in results.items() if " over " in name})
    record("sft_soft_labels", results)


if __name__ == "__main__":
    main()
