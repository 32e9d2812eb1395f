"""Measure the generate stage's own cost per sample: an instant engine in this process, 24 KB traces, with a ledger.

    python -m benchmarks.sampling_overhead 100000 800000 [--peer PYTHON]

For each number of samples (8 per prompt) the whole stage runs in its own process: prompts.parquet in, ledger and
traces.parquet out. Another process then opens the ledger. `--peer` names an interpreter that has distilabel installed;
it does the same work for comparison (5,000 rows, instant model in process, traces written to disk).
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import PeakMemory, record
from generators.contract.engine import EngineOptions, Outcome, SampleRequest, SamplingConfig
from generators.contract.files import frame, write_frame
from generators.contract.ids import prompt_id_of
from generators.contract.records import PROMPT
from generators.generate import generate
from generators.ledger.ledger import Ledger
from generators.sampling.settings import GenerateConfig

PEER = Path(__file__).parent / "peers" / "distilabel_instant.py"
PEER_ROWS = 5000
SAMPLES_A_PROMPT = 8
TRACE_CHARACTERS = 24_000
WORDS = ["let", "us", "check", "the", "sum", "so", "wait", "$x^2$", "\\frac{1}{2}", "modulo", "prime", "if", "12 = 5"]


class Options(EngineOptions):
    """An engine without options."""


def build(model: str, sampling: SamplingConfig, options: Options) -> "Instant":
    """Build an engine that needs no time."""
    return Instant()


class Instant:
    """An engine that answers every sample at once with a text of its own."""

    def __init__(self) -> None:
        self.texts = [text_of(seed) for seed in range(64)]
        self.waiting: list[SampleRequest] = []

    def slots(self) -> int:
        return 256

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        self.waiting += requests

    def collect(self, timeout_s: float) -> list[Outcome]:
        outcomes = [Outcome(request, self.row(request)) for request in self.waiting]
        self.waiting.clear()
        return outcomes

    def row(self, request: SampleRequest) -> dict[str, Any]:
        text = f"{request.trace_id} {self.texts[request.seed % 64]}"
        counts = {"prompt_tokens": 40, "completion_tokens": len(text) // 4}
        return request.row(reasoning=text, answer="The answer is \\boxed{42}.", finish_reason="stop", **counts)

    def close(self) -> None:
        pass


def text_of(seed: int) -> str:
    """Return about 24,000 characters of words."""
    rng = random.Random(seed)
    words: list[str] = []
    length = 0
    while length < TRACE_CHARACTERS:
        words.append(rng.choice(WORDS))
        length += len(words[-1]) + 1
    return " ".join(words)


def ask(folder: Path, samples: int) -> Path:
    """Write prompts.parquet."""
    rows = []
    for i in range(samples // SAMPLES_A_PROMPT):
        messages = [{"role": "user", "content": f"What is the remainder of {i} squared divided by 7?"}]
        rows.append({"prompt_id": prompt_id_of(messages), "messages": messages, "domain": "math", "split": "train"})
    write_frame(frame(rows, PROMPT), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def run_stage(folder: Path, samples: int) -> dict[str, Any]:
    """Run the stage and return its time and memory."""
    (folder / "config.json").write_text("{}")
    asked = ask(folder, samples)
    sampling = SamplingConfig(n=SAMPLES_A_PROMPT)
    config = GenerateConfig(engine=__spec__.name if __spec__ else __name__, model=str(folder), sampling=sampling)
    with PeakMemory() as peak:
        start = time.perf_counter()
        counts = generate(asked, folder, config)
        seconds = time.perf_counter() - start
    assert counts.rows_kept == samples
    size = sum(file.stat().st_size for file in (folder / "ledger").iterdir())
    return {
        "samples": samples,
        "us_a_sample": round(seconds / samples * 1e6, 1),
        "peak_mib": round(peak.mib),
        "ledger_mib": round(size / 2**20),
    }


def open_ledger(folder: Path) -> dict[str, Any]:
    """Open the ledger and return time and memory."""
    with PeakMemory() as peak:
        start = time.perf_counter()
        held = len(Ledger(folder / "ledger"))
        seconds = time.perf_counter() - start
    return {"opened_samples": held, "open_s": round(seconds, 2), "open_peak_mib": round(peak.mib)}


def in_process(work: str, folder: Path, samples: int) -> dict[str, Any]:
    """Run `work` in a fresh interpreter, so that memory of earlier work does not count."""
    command = [sys.executable, "-m", "benchmarks.sampling_overhead", "--in", work, str(folder), str(samples)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def peer_of(python: str) -> dict[str, Any]:
    """Run distilabel on the same work."""
    done = subprocess.run([python, str(PEER), str(PEER_ROWS)], check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure each size and record the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=int, nargs="*", default=[100_000])
    parser.add_argument("--peer")
    parser.add_argument("--in", nargs=3, dest="inner", metavar=("WORK", "FOLDER", "SAMPLES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        work, folder, samples = options.inner
        print(json.dumps(run_stage(Path(folder), int(samples)) if work == "stage" else open_ledger(Path(folder))))
        return
    sizes = []
    for samples in options.samples:
        folder = Path(tempfile.mkdtemp(prefix="overhead-"))
        try:
            sizes.append({**in_process("stage", folder, samples), **in_process("open", folder, samples)})
            print(sizes[-1], flush=True)
        finally:
            shutil.rmtree(folder)
    peer = {"distilabel": peer_of(options.peer)} if options.peer else {}
    record("sampling_overhead", {"characters_a_trace": TRACE_CHARACTERS, "sizes": sizes, **peer})


if __name__ == "__main__":
    main()
