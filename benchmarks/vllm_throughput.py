"""Compare the generate stage (Ray actor, ledger) with plain `LLM.generate` on the same prompts: one GPU, real vLLM.

    python -m benchmarks.vllm_throughput [--rounds 2] [--prompts 256] [--n 8] [--tokens 512]

The model has the shape of Qwen2.5-1.5B and random weights, which do for speed; completions nearly always run to their
limit. Plain is one call with n samples per prompt and without detokenization. Ours is tokens over the time from the
first request to the last sample kept; traces.parquet is written after that. Neither is warmed up. Each runs in its own
process, in the order given; the first one on a machine compiles kernels that the later ones find.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import record

SHAPE: dict[str, Any] = {
    **{"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "vocab_size": 151_936},
    **{"num_attention_heads": 12, "num_key_value_heads": 2, "tie_word_embeddings": True},
}
ENGINE: dict[str, Any] = {"max_model_len": 4096, "gpu_memory_utilization": 0.85, "max_num_seqs": 512}
SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_p": 0.95}
WORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ours": {},
    "local": {"executor": "local"},
    "stats": {"executor": "local", "vllm_args": {"disable_log_stats": False}},
    "seeded": {"seeded": True},
}


def make_model(folder: Path) -> None:
    """Save a model with random weights and the embedded teacher's tokenizer and chat template."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from generators.contract.models import model_path

    with torch.device("cuda"):
        config = Qwen2Config(**SHAPE, max_position_embeddings=32768, dtype=torch.bfloat16)
        model: Any = Qwen2ForCausalLM(config)
        model.to(torch.bfloat16)
    model.save_pretrained(folder)
    for file in Path(model_path("embedded:teacher")).iterdir():
        if file.name.startswith("tokenizer") or file.suffix == ".jinja":
            shutil.copy(file, folder)


def ask(folder: Path, count: int) -> Path:
    """Write prompts.parquet with questions of about 200 tokens."""
    from generators.contract.files import frame, write_frame
    from generators.contract.ids import prompt_id_of
    from generators.contract.records import PROMPT

    rows = []
    for i in range(count):
        text = " ".join(f"{i * 7919 % 997 + j} + {j}" for j in range(25))
        messages = [{"role": "user", "content": f"What is {text}?"}]
        rows.append({"prompt_id": prompt_id_of(messages), "messages": messages, "domain": "math", "split": "train"})
    write_frame(frame(rows, PROMPT), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def plain(model: Path, asked: Path, n: int, tokens: int) -> dict[str, Any]:
    """Sample with vLLM's own batch interface."""
    import polars as pl
    from transformers import AutoTokenizer

    from generators.contract.chat import prompt_ids
    from generators.engines.vllm import batch_engine

    tokenizer = AutoTokenizer.from_pretrained(model)
    prompts: Any = [
        {"prompt_token_ids": prompt_ids(tokenizer, messages)} for messages in pl.read_parquet(asked)["messages"]
    ]
    llm, params = batch_engine(str(model), ENGINE, n=n, max_tokens=tokens, **SAMPLING)
    clock = time.perf_counter()
    done = llm.generate(prompts, params, use_tqdm=False)
    seconds = time.perf_counter() - clock
    made = sum(len(completion.token_ids) for output in done for completion in output.outputs)
    return {"tokens": made, "seconds": seconds, "prompt_tokens": len(prompts[0]["prompt_token_ids"])}


def ours(
    model: Path,
    asked: Path,
    n: int,
    tokens: int,
    seeded: bool = False,
    executor: Any = "ray",
    vllm_args: Any = None,
) -> dict[str, Any]:
    """Sample with the generate stage on one Ray actor, or in this process."""
    from generators.contract.engine import SamplingConfig
    from generators.contract.stage_protocol import Runtime
    from generators.generate import generate
    from generators.sampling.settings import GenerateConfig
    from pipelines.executors import ExecutionConfig, open_executor

    config = GenerateConfig(
        engine="vllm",
        model=str(model),
        sampling=SamplingConfig(n=n, max_new_tokens=tokens, **SAMPLING),
        options={"vllm_args": ENGINE | (vllm_args or {}), "seeded": seeded},
    )
    out = Path(tempfile.mkdtemp(prefix="ours-"))
    times: list[float] = []
    execution = ExecutionConfig(executor=executor, gpus_per_worker=1)
    with open_executor(execution) as opened:
        clock, cpu = time.perf_counter(), time.process_time()
        runtime = Runtime(fleet=opened.fleet, progress=partial(noting, times))
        counts = generate(asked, out, config, runtime=runtime)
        whole = time.perf_counter() - clock
    seconds = counts.tokens / counts.notes["tokens_per_second"]
    start = times[-1] - seconds
    tenths = [round(times[min(len(times) - 1, i * len(times) // 10)] - start, 2) for i in range(11)]
    return {
        "tokens": counts.tokens,
        "seconds": seconds,
        "whole_stage_s": whole,
        "tenths_s": tenths,
        "cpu_s": time.process_time() - cpu,
    }


@contextmanager
def noting(times: list[float], unit: str, total: int, done: int = 0) -> Iterator[Any]:
    """A progress bar that records when each sample is kept."""

    class Noting:
        def update(self, n: int = 1) -> None:
            times.append(time.perf_counter())

        def show(self, **facts: object) -> None:
            pass

    yield Noting()


def in_process(work: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run one measurement in a fresh interpreter, which releases the GPU at its end."""
    sizes = [f"--prompts={options.prompts}", f"--n={options.n}", f"--tokens={options.tokens}"]
    command = [sys.executable, "-m", "benchmarks.vllm_throughput", *sizes, "--in", work, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not found:
        raise RuntimeError(f"{work} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    result = json.loads(found[-1].removeprefix("RESULT "))
    result["tokens_per_second"] = round(result["tokens"] / result["seconds"])
    print(work, result, flush=True)
    return {"work": work, **result}


def main() -> None:
    """Alternate the two and record the results and their ratio."""
    os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--works", nargs="+", default=["plain", "ours"], choices=WORKS)
    parser.add_argument("--in", nargs=2, dest="inner", metavar=("WORK", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        work, folder = options.inner[0], Path(options.inner[1])
        asked = folder / "prompts.parquet"
        function = plain if work == "plain" else ours
        print("RESULT", json.dumps(function(folder / "model", asked, options.n, options.tokens, **WORKS[work])))
        return
    folder = Path(tempfile.mkdtemp(prefix="vllm-"))
    made = "from pathlib import Path; from benchmarks.vllm_throughput import make_model; "
    subprocess.run([sys.executable, "-c", f"{made}make_model(Path({str(folder / 'model')!r}))"], check=True)
    ask(folder, options.prompts)
    results = [in_process(work, folder, options) for _ in range(options.rounds) for work in options.works]
    best = {
        work: max(result["tokens_per_second"] for result in results if result["work"] == work) for work in options.works
    }
    ratio = best["ours"] / best["plain"] if {"ours", "plain"} <= set(best) else None
    size = {"prompts": options.prompts, "n": options.n, "max_new_tokens": options.tokens}
    record("vllm_throughput", {**size, "engine": ENGINE, "runs": results, "best": best, "ours_over_plain": ratio})


if __name__ == "__main__":
    main()
