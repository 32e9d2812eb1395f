"""Measure what keeping top-K log-probabilities while sampling costs, and the scoring pass that it saves: real vLLM.

    python -m benchmarks.capture_cost                                    # the embedded teacher, on a CPU
    python -m benchmarks.capture_cost --model random --prompts 256 --n 8 --tokens 512    # on a GPU

Sampling: the generate stage in this process, with its ledger. Throughput is tokens over the time from the first request
to the last sample kept. CPU time is that of all its processes from the first sample kept; other work on the machine
disturbs it less. Bytes per token are those of the file of sampled log-probabilities. Scoring: forward passes of
transformers over the same tokens, top-K and tail at T = 1, after the model is loaded. Every measurement runs in its own
process, in turn; the best of each counts. `--model random` has the shape of Qwen2.5-1.5B.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import record
from benchmarks.vllm_throughput import ENGINE as GPU_ENGINE
from benchmarks.vllm_throughput import SAMPLING, ask

CPU_ENGINE = {"enforce_eager": True, "kv_cache_memory_bytes": 2**28, "max_num_seqs": 32, "max_model_len": 1024}
WIDTHS = (0, 20, 50)
PASS_TOKENS = 16384


def sample(model: str, folder: Path, width: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run the generate stage and keep `width` log-probabilities per position; 0 keeps none."""
    from generators.contract.engine import SamplingConfig
    from generators.contract.sampled_logprobs import FILE, FOLDER
    from generators.contract.stage_protocol import Runtime
    from generators.generate import generate
    from generators.sampling.settings import GenerateConfig

    out = folder / f"sampled-{width}"
    config = GenerateConfig(
        engine="vllm",
        model=model,
        sampling=SamplingConfig(n=options.n, max_new_tokens=options.tokens, **SAMPLING),
        options={"vllm_args": vllm_args(model, options), "sampled_logprobs": width or None},
    )
    ledger = Path(tempfile.mkdtemp(dir=folder))
    out.mkdir(exist_ok=True)
    cpu: list[float] = []
    runtime = Runtime(progress=partial(noting, cpu))
    counts = generate(folder / "prompts.parquet", out, config, ledger=ledger, runtime=runtime)
    file = ledger / FOLDER / FILE
    kept = {"bytes_per_token": file.stat().st_size / counts.tokens} if width else {}
    spent = {"cpu_us_per_token": (cpu[-1] - cpu[0]) / counts.tokens * 1e6}
    return {"tokens": counts.tokens, "tokens_per_second": counts.notes["tokens_per_second"], **spent, **kept}


@contextmanager
def noting(cpu: list[float], unit: str, total: int, done: int = 0) -> Iterator[Any]:
    """A progress bar that records the CPU time when the first and when the last sample is kept."""
    count = 0

    class Noting:
        def update(self, n: int = 1) -> None:
            nonlocal count
            count += n
            if count in (1, total):
                cpu.append(cpu_seconds())

        def show(self, **facts: object) -> None:
            pass

    yield Noting()


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its descendants."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return float(sum(time.user + time.system for time in times))


def score(model: str, folder: Path, width: int) -> dict[str, Any]:
    """Score the tokens that were sampled without log-probabilities."""
    import polars as pl
    from transformers import AutoTokenizer

    from distill.models.forward import load_forward
    from distill.models.loading import tokenizer_size
    from distill.score import row_targets
    from distill.settings import ScoreConfig
    from distill.training.packing import groups_by_length
    from generators.contract.chat import prompt_ids
    from generators.contract.models import model_path

    tokenizer = AutoTokenizer.from_pretrained(model_path(model))
    asked = dict(pl.read_parquet(folder / "prompts.parquet").select("prompt_id", "messages").iter_rows())
    prompts = {key: prompt_ids(tokenizer, messages) for key, messages in asked.items()}
    traces = pl.read_parquet(folder / "sampled-0" / "traces.parquet").select("prompt_id", "token_ids")
    examples = [example(prompts[prompt_id], ids) for prompt_id, ids in traces.iter_rows()]
    config = ScoreConfig(teacher=model, top_k=width, temperatures=(1.0,))
    forward, vocab_size = load_forward(config), tokenizer_size(tokenizer)
    groups = groups_by_length([len(one.token_ids) for one in examples], PASS_TOKENS)
    clock, cpu = time.perf_counter(), cpu_seconds()
    for group in groups:
        row_targets(forward, config, vocab_size, [examples[i] for i in group], ["00" * 12] * len(group))
    seconds, tokens = time.perf_counter() - clock, sum(one.targets for one in examples)
    spent = {"cpu_us_per_token": (cpu_seconds() - cpu) / tokens * 1e6}
    return {"tokens": tokens, "tokens_per_second": round(tokens / seconds), **spent}


def example(prompt: list[int], completion: list[int]) -> Any:
    """Return one row to score."""
    import numpy as np

    from distill.training.examples import Example

    return Example("", np.array([*prompt, *completion], np.int32), len(prompt))


def vllm_args(model: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return vLLM's arguments: the defaults of this kind of machine, overridden by those given."""
    given: dict[str, Any] = json.loads(options.vllm_args)
    return (CPU_ENGINE if model.startswith("embedded:") else GPU_ENGINE) | given


def in_process(work: str, folder: Path, model: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one measurement in a fresh interpreter."""
    sizes = [f"--n={options.n}", f"--tokens={options.tokens}", f"--vllm-args={options.vllm_args}", f"--model={model}"]
    command = [sys.executable, "-m", "benchmarks.capture_cost", *sizes, "--in", work, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not found:
        raise RuntimeError(f"{work} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    result: dict[str, Any] = {"work": work, **json.loads(found[-1].removeprefix("RESULT "))}
    print(result, flush=True)
    return result


def random_model(folder: Path) -> str:
    """Make a model with random weights in a process that then releases the GPU; return its folder."""
    code = "import sys; from pathlib import Path; from benchmarks.vllm_throughput import make_model; "
    subprocess.run([sys.executable, "-c", f"{code}make_model(Path(sys.argv[1]))", str(folder / "model")], check=True)
    return str(folder / "model")


def main() -> None:
    """Measure in turn and record the results with the throughput lost."""
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # on a CPU the engine's process then computes itself
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded:teacher", help="embedded:NAME, a folder, or random")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--n", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--vllm-args", default="{}", help="JSON of arguments of vllm.LLM")
    parser.add_argument("--in", nargs=2, dest="inner", metavar=("WORK", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        (kind, _, width), folder = options.inner[0].partition("-"), Path(options.inner[1])
        work = {"sample": lambda: sample(options.model, folder, int(width), options)}
        work["score"] = lambda: score(options.model, folder, int(width))
        print("RESULT", json.dumps(work[kind]()))
        return
    folder = Path(tempfile.mkdtemp(prefix="capture-"))
    ask(folder, options.prompts)
    model = random_model(folder) if options.model == "random" else options.model
    works = [*(f"sample-{width}" for width in WIDTHS), f"score-{WIDTHS[1]}"]
    runs = [in_process(work, folder, model, options) for _ in range(options.rounds) for work in works]
    best = {work: max(run["tokens_per_second"] for run in runs if run["work"] == work) for work in works}
    cpu = {work: min(run["cpu_us_per_token"] for run in runs if run["work"] == work) for work in works}
    cost = {work: 1 - best[work] / best["sample-0"] for work in works[1 : len(WIDTHS)]}
    size = {"model": options.model, "prompts": options.prompts, "n": options.n, "max_new_tokens": options.tokens}
    name = "capture_cost_cpu" if options.model.startswith("embedded:") else "capture_cost"
    record(
        name,
        {**size, "engine": vllm_args(model, options), "runs": runs, "best": best, "cpu_us": cpu, "sampling_lost": cost},
    )


if __name__ == "__main__":
    main()
