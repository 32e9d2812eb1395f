"""Measure the full cost of a sample over HTTP: a local server without latency, 24 KB replies, 256 requests in flight.

    python -m benchmarks.http_overhead 5000 20000 [--repeat 3]

For each number of samples the whole generate stage runs (prompts.parquet in, ledger and traces.parquet out). Bare loops
of HTTP clients that only parse the reply's JSON follow: aiohttp, and the official client where it is installed. Each of
them runs in its own process, against its own server.
"""

import argparse
import asyncio
import importlib.util
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.measure import PeakMemory, record
from generators.contract.engine import SamplingConfig
from generators.contract.files import frame, write_frame
from generators.contract.ids import prompt_id_of
from generators.contract.records import PROMPT
from generators.generate import generate
from generators.sampling.settings import GenerateConfig

CONCURRENCY = 256
MODEL = "bench"
Ask = Callable[[int], Awaitable[str]]


def question(number: int) -> str:
    """Return a prompt that begins with its number, which the server repeats."""
    return f"{number} squared is divided by 7. What is the remainder? Think step by step."


@contextmanager
def server(latency_ms: float = 0, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start a benchmark server and give (base URL, process)."""
    command = [sys.executable, "-m", "benchmarks.http_server", "--latency-ms", str(latency_ms), "--port"]
    process = subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1", process
    finally:
        process.kill()
        process.wait()


def ask(folder: Path, samples: int) -> Path:
    """Write prompts.parquet with one prompt for each sample."""
    rows = []
    for number in range(samples):
        messages = [{"role": "user", "content": question(number)}]
        rows.append({"prompt_id": prompt_id_of(messages), "messages": messages, "domain": "math", "split": "train"})
    write_frame(frame(rows, PROMPT), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def asking(url: str) -> GenerateConfig:
    """Return the settings for one sample per prompt from the server."""
    options = {"base_urls": [url], "concurrency": CONCURRENCY}
    return GenerateConfig(engine="openai", model=MODEL, sampling=SamplingConfig(n=1), options=options)


def check(folder: Path, samples: int) -> None:
    """Assert that every prompt has the answer to its own number."""
    asked = pl.read_parquet(folder / "prompts.parquet").select("prompt_id", pl.col("messages"))
    number = pl.col("messages").list.first().struct.field("content").str.extract(r"^(\d+)").cast(pl.Int64)
    said = pl.col("reasoning").str.slice(0, 20).cast(pl.Int64)
    traces = pl.scan_parquet(folder / "traces.parquet").select("prompt_id", said.alias("said")).collect()
    both = traces.join(asked.select("prompt_id", number.alias("number")), on="prompt_id")
    assert both.height == samples and (both["said"] == both["number"]).all(), "answers are mixed up or missing"


def run_stage(url: str, samples: int) -> dict[str, Any]:
    """Run the stage and return its time and memory."""
    folder = Path(tempfile.mkdtemp(prefix="http-overhead-"))
    try:
        asked = ask(folder, samples)
        with PeakMemory() as peak:
            start, cpu = time.perf_counter(), time.process_time()
            counts = generate(asked, folder, asking(url))
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        assert counts.rows_kept == samples
        check(folder, samples)
        return figures(seconds, cpu, samples) | {"peak_mib": round(peak.mib)}
    finally:
        shutil.rmtree(folder)


def run_loop(kind: str, url: str, samples: int) -> dict[str, Any]:
    """Run the bare loop of one client and return its time."""
    start, cpu = time.perf_counter(), time.process_time()
    asyncio.run({"aiohttp": aiohttp_loop, "openai": openai_loop}[kind](url, samples))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak_mib = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return figures(seconds, cpu, samples) | {"peak_mib": peak_mib}


def figures(seconds: float, cpu: float, samples: int) -> dict[str, Any]:
    return {"us_a_sample": round(seconds / samples * 1e6, 1), "cpu_us_a_sample": round(cpu / samples * 1e6, 1)}


async def aiohttp_loop(url: str, samples: int) -> None:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(number: int) -> str:
            body = {"model": MODEL, "messages": [{"role": "user", "content": question(number)}]}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                return str(json.loads(await response.read())["choices"][0]["message"]["content"])

        await pump(one, samples)


async def openai_loop(url: str, samples: int) -> None:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)

    async def one(number: int) -> str:
        messages: Any = [{"role": "user", "content": question(number)}]
        done = await client.chat.completions.create(model=MODEL, messages=messages)
        return done.choices[0].message.content or ""

    await pump(one, samples)


async def pump(one: Ask, samples: int) -> None:
    """Ask for all numbers with CONCURRENCY workers."""
    numbers = iter(range(samples))

    async def worker() -> None:
        for number in numbers:
            assert f"{number:020d}" in (await one(number))[:40]

    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))


def in_process(kind: str, samples: int) -> dict[str, Any]:
    """Run one kind in a fresh interpreter against a fresh server."""
    with server() as (url, _):
        command = [sys.executable, "-m", "benchmarks.http_overhead", "--in", kind, url, str(samples)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {"client": kind, "samples": samples, **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    """Measure each size and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=int, nargs="*", default=[5000, 20_000])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--in", nargs=3, dest="inner", metavar=("KIND", "URL", "SAMPLES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        kind, url, samples = options.inner
        print(json.dumps(run_stage(url, int(samples)) if kind == "stage" else run_loop(kind, url, int(samples))))
        return
    plain = ["aiohttp", *(["openai"] if importlib.util.find_spec("openai") else [])]
    runs = []
    for samples in options.samples:
        for kind in ["stage", *plain] * options.repeat:
            runs.append(in_process(kind, min(samples, 5000) if kind == "openai" else samples))
            print(runs[-1], flush=True)
    record("http_overhead", {"concurrency": CONCURRENCY, "runs": runs, "ratio_to_aiohttp": ratios(runs)})


def ratios(runs: list[dict[str, Any]]) -> dict[int, float]:
    """Return samples -> cost of the stage over the cost of the aiohttp loop, each its best run."""
    best: dict[tuple[str, int], float] = {}
    for run in runs:
        key = run["client"], run["samples"]
        best[key] = min(best.get(key, run["us_a_sample"]), run["us_a_sample"])
    sizes = [samples for kind, samples in best if kind == "stage"]
    return {samples: round(best["stage", samples] / best["aiohttp", samples], 2) for samples in sizes}


if __name__ == "__main__":
    main()
