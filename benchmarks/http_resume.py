"""Measure what a kill costs: a run over HTTP is killed (kill -9) halfway, and the same command is given again.

    python -m benchmarks.http_resume [--samples 5000] [--latency-ms 5] [--repeat 5]

The server counts requests that were answered before the kill and asked again after it; no sample may be missing or
duplicated. A row is handed to the operating system before the next sample is requested; therefore only replies that the
server had sent and this process had not yet read are asked for again.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.http_overhead import CONCURRENCY, ask, asking, check, server
from benchmarks.measure import record
from generators.generate import generate
from generators.ledger.ledger import FSYNC_S


def start(folder: Path, url: str) -> "subprocess.Popen[bytes]":
    """Start the stage in its own process."""
    command = [sys.executable, "-m", "benchmarks.http_resume", "--in", str(folder), url]
    return subprocess.Popen(command)


def answered(url: str) -> dict[str, int]:
    """Return prompt number -> how often the server has answered it."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/answered") as response:
        counts: dict[str, int] = json.load(response)
        return counts


def kill_half_way(process: "subprocess.Popen[bytes]", url: str, samples: int) -> None:
    """Kill the process when half of all samples are answered."""
    while sum(answered(url).values()) < samples // 2:
        assert process.poll() is None, "the stage ended before it was killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def measure(samples: int, latency_ms: float) -> dict[str, Any]:
    """Kill one run, let it continue, and return what the kill cost."""
    folder = Path(tempfile.mkdtemp(prefix="http-resume-"))
    try:
        ask(folder, samples)
        with server(latency_ms) as (url, _):
            kill_half_way(start(folder, url), url, samples)
            before = sum(answered(url).values())
            assert start(folder, url).wait() == 0
            times = answered(url)
        check(folder, samples)
        traces = pl.read_parquet(folder / "traces.parquet", columns=["trace_id", "finish_reason"])
        return {
            "answered_before_the_kill": before,
            "asked_again": sum(times.values()) - len(times),
            "missing": samples - int((traces["finish_reason"] == "stop").sum()),
            "duplicates": traces.height - traces["trace_id"].n_unique(),
        }
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure and record the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--latency-ms", type=float, default=5)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--in", nargs=2, dest="inner", metavar=("FOLDER", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        folder = Path(options.inner[0])
        generate(folder / "prompts.parquet", folder, asking(options.inner[1]))
        return
    runs = []
    for _ in range(options.repeat):
        runs.append(measure(options.samples, options.latency_ms))
        print(runs[-1], flush=True)
    about = {"samples": options.samples, "latency_ms": options.latency_ms, "concurrency": CONCURRENCY}
    record("http_resume", {**about, "commit_interval_s": FSYNC_S, "runs": runs})


if __name__ == "__main__":
    main()
