"""Measure select with all readability checks: milliseconds a trace, and the ratio to an earlier version.

    OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 python -m benchmarks.select_speed FOLDER --earlier COPY

FOLDER holds labelled_outputs_dev.jsonl.gz. A trace's reasoning is JOINED consecutive outputs of a suite, so that its
text has the length of a reasoning model's; `uncommon` are the same traces with characters of other scripts, tags and
fences strewn in. COPY is the root of another version of the project (`git archive COMMIT | tar x -C COPY`). Each
version runs in a process of its own, in turn, best of PASSES, in CPU time, which others disturb least. The files
that they write must be equal byte for byte.
"""

import argparse
import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.measure import record
from filters.select import SelectConfig, select
from filters.text.readability import READABLE
from generators.contract.completions import read_text
from generators.contract.files import frame, write_frame
from generators.contract.ids import content_id, prompt_id_of
from generators.contract.records import IMPORTED, PROMPT, VERDICT

ROOT = Path(__file__).resolve().parents[1]
JOINED = 3
PASSES = 3
SHORT_SUITE = "gsm8k_2021"  # its outputs have 280 bytes
STREWN = (
    "\uff0c所以答案是",
    " поэтому ",
    "<think>",
    "</answer>",
    "\n```python\nx = 1\n```\n",
    "`",
    "“",
    "é",
    "—",
    "\U0001d538",
)
STREWN_SHARE, SEED = 0.5, 7


def outputs(folder: Path) -> list[dict[str, Any]]:
    """Return the outputs, those of a question next to each other."""
    with gzip.open(folder / "labelled_outputs_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["suite"] != SHORT_SUITE]
    return sorted(rows, key=lambda row: (row["suite"], row["question"], row["id"]))


def write_inputs(rows: list[dict[str, Any]], out: Path, strewn: random.Random | None) -> None:
    """Write prompts, traces and verdicts, all of them correct."""
    messages = [[{"role": "user", "content": row["question"]}] for row in rows]
    ids = [prompt_id_of(each) for each in messages]
    asked = {
        key: {"prompt_id": key, "messages": each, "domain": "math", "verifier": "math_answer", "reference": row["gold"]}
        for key, each, row in zip(ids, messages, rows, strict=True)
    }
    traces = list(traces_of(rows, ids, strewn))
    verdicts = [
        {"trace_id": trace["trace_id"], "verifier": "math_answer", "status": "correct", "score": 1.0, "reason": "equal"}
        for trace in traces
    ]
    write_frame(frame(asked.values(), PROMPT), out / "prompts.parquet")
    write_frame(frame(traces, IMPORTED), out / "traces.parquet")
    write_frame(frame(verdicts, VERDICT), out / "verdicts.parquet")


def traces_of(rows: list[dict[str, Any]], ids: list[str], strewn: random.Random | None) -> Iterator[dict[str, Any]]:
    """Yield a trace for each output, which goes on with the reasoning of the outputs after it."""
    said = [read_text(row["response"]) for row in rows]
    for index, key in enumerate(ids):
        following = [said[(index + further) % len(said)] for further in range(JOINED)]
        reasoning = "\n\n".join(each.reasoning or each.answer for each in following)
        if strewn and strewn.random() < STREWN_SHARE:
            reasoning = with_strewn(reasoning, strewn)
        yield {
            "trace_id": content_id({"row": index}),
            "prompt_id": key,
            "sample_index": index,
            "teacher": "many",
            "sampling": "{}",
            "reasoning": reasoning,
            "answer": said[index].answer,
            "finish_reason": "stop",
            "completion_tokens": len(reasoning) // 3,
        }


def with_strewn(text: str, chance: random.Random) -> str:
    """Return the text with a few of STREWN at places drawn by chance."""
    for piece in chance.choices(STREWN, k=chance.randint(1, 6)):
        place = chance.randrange(len(text) + 1)
        text = text[:place] + piece + text[place:]
    return text


def run_once(inputs: Path, out: Path) -> None:
    """Run select in this process and print the CPU seconds that it took."""
    out.mkdir(parents=True, exist_ok=True)
    config = SelectConfig(readability=READABLE)
    started = time.process_time()
    select(inputs / "traces.parquet", inputs / "verdicts.parquet", inputs / "prompts.parquet", out, config)
    print(time.process_time() - started)


def timed(version: Path, inputs: Path, out: Path) -> tuple[float, str]:
    """Return (seconds, hash of the file written) of one version in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), str(inputs), "--once", str(out)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(version)}, check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[-1]), hashlib.sha256((out / "selected.parquet").read_bytes()).hexdigest()


def compared(versions: dict[str, Path], inputs: Path) -> dict[str, Any]:
    """Return milliseconds a trace of each version, their ratio, and whether they write the same bytes."""
    traces = pl.read_parquet(inputs / "traces.parquet", columns=["reasoning", "answer"])
    size = int(traces.select(pl.sum_horizontal(pl.all().str.len_bytes().sum())).item())
    runs: dict[str, list[tuple[float, str]]] = {name: [] for name in versions}
    for _ in range(PASSES):
        for name, version in versions.items():
            runs[name].append(timed(version, inputs, inputs / name))
    fastest = {name: min(seconds for seconds, _ in each) for name, each in runs.items()}
    figures: dict[str, Any] = {"traces": traces.height, "bytes_per_trace": round(size / traces.height)}
    figures["ms_per_trace"] = {name: round(1000 * each / traces.height, 3) for name, each in fastest.items()}
    if "earlier" in fastest:
        figures["ratio"] = round(fastest["earlier"] / fastest["here"], 2)
        figures["same_bytes"] = len({said for each in runs.values() for _, said in each}) == 1
    return figures


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--earlier", type=Path, help="root of another version of the project")
    parser.add_argument("--once", type=Path, help="run select of FOLDER once into this folder")
    options = parser.parse_args()
    if options.once:
        run_once(options.folder, options.once)
        return
    versions = ({"earlier": options.earlier.resolve()} if options.earlier else {}) | {"here": ROOT}
    rows, figures = outputs(options.folder), dict[str, Any]()
    with tempfile.TemporaryDirectory() as folder:
        for name, strewn in (("common", None), ("uncommon", random.Random(SEED))):
            inputs = Path(folder) / name
            inputs.mkdir()
            write_inputs(rows, inputs, strewn)
            figures[name] = compared(versions, inputs)
    record("select_speed", {"threads": pl.thread_pool_size(), "readability": "READABLE", **figures})


if __name__ == "__main__":
    main()
