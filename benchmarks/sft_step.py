"""Compare the training step on one GPU with TRL's SFTTrainer and a bare transformers loop, both with Liger.

    python -m benchmarks.sft_step [--peers] [--profile FILE] [--only PART ...]

The shape of Qwen2.5-1.5B with random weights. A step has 65,536 tokens: full rows of 8,192, or documents of lognormal
length (300 to 8,100 tokens). The share of the matmul rate is

    sum over documents of (6 * products + 6 * layers * heads * width * tokens) * tokens / seconds / rate

where `products` are the weights that take part in products with each token, and `rate` is that of an 8192^3 product in
bf16 on the same GPU in the same process. Here the weights have fp32 masters and AdamW's states are fp32; the peers
train in pure bf16.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import record
from distill.models.varlen import choose_kernel
from distill.training import speed

STEP, ROW, VOCABULARY = 65_536, 8192, 151_000
SHAPE: dict[str, Any] = {
    "vocab_size": 151_936, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
    "num_attention_heads": 12, "num_key_value_heads": 2, "tie_word_embeddings": True,
    "max_position_embeddings": 32_768,
}  # fmt: skip
Figures = dict[str, Any]


def matmul_rate() -> float:
    """Return the operations per second of an 8192^3 product in bf16, as `distill train` measures it."""
    return speed.matmul_rate(torch.device("cuda"), torch.bfloat16, 20)


def lengths_of(kind: str, longest: int = ROW) -> list[int]:
    """Return the documents of one step: `full` rows, or `mixed` lengths that sum to about as many tokens."""
    if kind == "full":
        return [longest] * (STEP // longest)
    drawn = np.clip(np.random.default_rng(0).lognormal(7.9, 0.8, 200), 300, longest - 92).astype(int)
    lengths: list[int] = drawn[: int(np.searchsorted(np.cumsum(drawn), STEP))].tolist()
    return lengths


def model(dtype: torch.dtype, attention: str, shape: Mapping[str, Any] | None = None) -> Any:
    """Return a random model of the shape, changed by `shape`, on the GPU."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    with torch.device("cuda"):
        made = Qwen2ForCausalLM._from_config(
            Qwen2Config(**{**SHAPE, **(shape or {})}), attn_implementation=attention, dtype=dtype
        )
    made.config.use_cache = False
    return made.train()


def ours(kind: str, micro: int, rate: float, longest: int = ROW, **settings: Any) -> Figures:
    """Time the optimizer steps of `distill train`."""
    from distill.models import varlen
    from distill.settings import TrainConfig
    from distill.train import make_optimizer, take_step
    from distill.training.examples import Example
    from distill.training.trainer import Trainer

    config = TrainConfig(
        student="random", device="cuda", micro_batch_tokens=micro, sequence_tokens=longest, epochs=1, **settings
    )
    trainer = Trainer(config, model(torch.float32, varlen.NAME), lambda batch: None, None, 0)
    trainer.prepare()
    optimizer = make_optimizer(trainer.weights, config)
    draw = np.random.default_rng(1)
    lengths = lengths_of(kind, longest)
    step = [Example(str(i), draw.integers(0, VOCABULARY, n, dtype=np.int32), 1) for i, n in enumerate(lengths)]
    flops = sum(trainer.flops(n) for n in lengths)
    losses = []

    def work() -> None:
        losses.append(take_step(trainer, optimizer, step, 1e-5)["loss"])

    found = timed(work, sum(lengths), flops, rate)
    return {**found, "losses": [round(loss, 4) for loss in losses]}


def bare_loop(rate: float, rows: int = 4) -> Figures:
    """Time a transformers loop with Liger's kernels on full rows: bf16 weights, no masters."""
    from liger_kernel.transformers import apply_liger_kernel_to_qwen2

    apply_liger_kernel_to_qwen2()
    student = model(torch.bfloat16, "sdpa")
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-5, fused=True)
    ids = torch.randint(0, VOCABULARY, (STEP // ROW, ROW), device="cuda")

    def work() -> None:
        for part in ids.split(rows):
            student(input_ids=part, labels=part).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return timed(work, STEP, full_flops(student), rate)


def full_flops(student: Any) -> float:
    """Return the operations of a step of full rows."""
    products: int = sum(weight.numel() for weight in student.parameters())
    per_token: float = products + SHAPE["num_hidden_layers"] * SHAPE["hidden_size"] * ROW
    return 6.0 * STEP * per_token


def trl(rate: float, rows: int = 2) -> Figures:
    """Time TRL's SFTTrainer with Liger's kernels on full rows."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined, unused-ignore]

    words = {f"w{i}": i for i in range(1000)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="w0")))
    tokenizer.pad_token = tokenizer.eos_token = "w1"
    steps = 5
    drawn = np.random.default_rng(1).integers(2, 1000, (steps * STEP // ROW, ROW)).tolist()
    ended: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            torch.cuda.synchronize()
            ended.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder, per_device_train_batch_size=rows, gradient_accumulation_steps=STEP // ROW // rows,
            max_steps=steps, max_length=ROW, bf16=True, gradient_checkpointing=False, use_liger_kernel=True,
            save_strategy="no", report_to=[], optim="adamw_torch_fused",
        )  # fmt: skip
        student = model(torch.bfloat16, "sdpa")
        torch.cuda.reset_peak_memory_stats()
        trainer = SFTTrainer(
            model=student, args=arguments, train_dataset=Dataset.from_dict({"input_ids": drawn}),
            processing_class=tokenizer, callbacks=[Clock()],
        )  # fmt: skip
        trainer.train()
    seconds = statistics.median(b - a for a, b in pairwise(ended[1:]))
    return figures(seconds, STEP, full_flops(student), rate)


def timed(work: Callable[[], object], tokens: int, flops: float, rate: float, steps: int = 4) -> Figures:
    """Return the figures of the median step after two that compile and warm up."""
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(steps + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return figures(statistics.median(seconds[2:]), tokens, flops, rate) | {"first_step_s": round(seconds[0], 1)}


def figures(seconds: float, tokens: int, flops: float, rate: float) -> Figures:
    """Return tokens per second, the share of the matmul rate and the peak memory."""
    return {
        "tokens_per_s": round(tokens / seconds),
        "tflops": round(flops / seconds / 1e12),
        "share": round(flops / seconds / rate, 3),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1),
    }


def curve(how: str, steps: int = 100) -> Figures:
    """Return losses of a small model on a Markov chain: in `float32`, with `masters`, or in bf16 weights `alone`."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from distill.models import varlen
    from distill.settings import TrainConfig
    from distill.train import make_optimizer, take_step
    from distill.training.examples import Example
    from distill.training.trainer import Trainer

    torch.manual_seed(0)
    sizes = {"vocab_size": 2048, "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 4}
    shape = Qwen2Config(**{**SHAPE, **sizes, "num_attention_heads": 8})
    attention = "sdpa" if how == "float32" else varlen.NAME
    student = Qwen2ForCausalLM._from_config(shape, attn_implementation=attention, dtype=torch.float32).cuda().train()
    dtype: Any = "float32" if how == "float32" else "bfloat16"
    config = TrainConfig(student="random", device="cuda", micro_batch_tokens=4096, epochs=1, dtype=dtype)
    trainer = Trainer(config, student.bfloat16() if how == "alone" else student, lambda batch: None, None, 0)
    if how == "masters":
        trainer.prepare()
    optimizer = make_optimizer(trainer.weights, config)
    draw, losses = np.random.default_rng(3), []
    successors = draw.integers(0, 2048, (2048, 4))
    for _ in range(steps):
        walks = [[int(draw.integers(2048))] for _ in range(16)]
        for walk in walks:
            walk.extend(0 for _ in range(int(draw.integers(100, 900))))
            for i in range(1, len(walk)):
                walk[i] = int(successors[walk[i - 1], draw.integers(4)])
        step = [Example(str(i), np.array(walk, dtype=np.int32), 1) for i, walk in enumerate(walks)]
        losses.append(take_step(trainer, optimizer, step, 1e-4)["loss"])
    return {"losses": [round(loss, 4) for loss in losses[9::10]]}


def profiled(micro: int, rate: float) -> str:
    """Return a table of the GPU time of one step by kernel."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as found:
        ours("mixed", micro, rate)
    return str(found.key_averages().table(sort_by="self_device_time_total", row_limit=30, max_name_column_width=90))


def attempt(results: Figures, name: str, work: Callable[[], Figures]) -> None:
    """Run one case; a case that fails is recorded with its error."""
    try:
        results[name] = work()
    except Exception as error:
        results[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
    print(name, results[name], flush=True)
    torch._dynamo.reset()
    gc.collect()
    torch.cuda.empty_cache()


def attempt_one_of(parts: Sequence[str], results: Figures, name: str, work: Callable[[], Figures]) -> None:
    """Run a case whose name has one of the parts."""
    if any(part in name for part in parts):
        attempt(results, name, work)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cases and record them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="TRL and the bare loop too (pip install trl liger-kernel)")
    parser.add_argument("--profile", type=Path, help="write a table of kernels to this file")
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the names of the cases to run")
    options = parser.parse_args(arguments)
    rate, kernel = matmul_rate(), choose_kernel()
    results: Figures = {
        "gpu": torch.cuda.get_device_name(), "matmul_tflops": round(rate / 1e12), "attention": kernel,
        "only": options.only,
    }  # fmt: skip
    attempt = partial(attempt_one_of, options.only)
    print(results, flush=True)
    for kind in ("full", "mixed"):
        for micro in (16_384, 32_768):
            attempt(results, f"ours, {kind}, {micro}", lambda k=kind, m=micro: ours(k, m, rate))  # type: ignore[misc]
    attempt(results, "ours, eager, mixed, 16384", lambda: ours("mixed", 16_384, rate, compile=False))
    for how in ("selective", "full"):
        attempt(
            results, f"ours, rows of 32768, {how} checkpointing",
            lambda h=how: ours("full", 32_768, rate, longest=32_768, activation_checkpointing=h),  # type: ignore[misc]
        )  # fmt: skip
        torch._functorch.config.activation_memory_budget = 1.0
    for how in ("float32", "masters", "alone"):
        attempt(results, f"loss curve, {how}", lambda h=how: curve(h))  # type: ignore[misc]
    if options.profile:
        options.profile.write_text(profiled(16_384, rate))
    if options.peers:
        attempt(results, "TRL SFTTrainer with Liger, full", lambda: trl(rate))
        attempt(results, "transformers loop with Liger, full", lambda: bare_loop(rate))
    name = "sft_step" if kernel == "FA2" else f"sft_step_{kernel.lower()}"
    record(name, {**results, "matmul_tflops_after": round(matmul_rate() / 1e12)})


if __name__ == "__main__":
    main()
