"""Measure what a corpus of many short rows costs a training at its start: time and memory, first and later starts.

    python -m benchmarks.token_store [ROWS]

`list` holds every row's tokens as an object of Python; `first` makes the token store; `second` finds it; `epoch` reads
every document of the store in the order of a training as well. Each runs in its own process, which imports the same.
Peaks are of resident memory, mapped pages of the store included; `private_mib` is what the system cannot take back.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import record
from distill.data.token_store import PLACE, lengths_of, open_tokens
from distill.models.loading import load_tokenizer
from distill.training.examples import load_examples
from distill.training.packing import plan_steps
from generators.contract.files import frame, write_batches
from generators.contract.records import CORPUS

ROWS, WORDS, AT_ONCE, SEED = 200_000, (4, 24), 5_000, 3
TOKENIZER, LONGEST, BATCH_TOKENS = "embedded:student", 8192, 65536


def write_corpus(path: Path, rows: int) -> None:
    """Write a corpus of short rows, all different."""
    chance = random.Random(SEED)

    def row(i: int) -> dict[str, Any]:
        said = " ".join(str(chance.randrange(1000)) for _ in range(chance.randint(*WORDS)))
        messages = [
            {"role": "user", "content": f"What is {i}?"},
            {"role": "assistant", "content": f"<think>\n{said}\n</think>\n{i}"},
        ]
        return {"trace_id": f"{i:024x}", "messages": messages}

    def frames() -> Any:
        for start in range(0, rows, AT_ONCE):
            yield frame(map(row, range(start, min(start + AT_ONCE, rows))), CORPUS)

    write_batches(frames(), path, CORPUS)


def starts(corpus: Path) -> dict[str, Callable[[], int]]:
    """Return what is measured by name; each returns the tokens of the corpus."""
    tokenizer = load_tokenizer(TOKENIZER)

    def epoch() -> int:
        store = open_tokens(corpus, tokenizer, LONGEST)
        plan = plan_steps(store.lengths, BATCH_TOKENS, SEED, epochs=1)
        return sum(len(store[i].token_ids) for step in plan for i in step.tolist() if store[i].token_ids.max())

    return {
        "nothing": lambda: 0,
        "list": lambda: int(lengths_of(load_examples(corpus, tokenizer, LONGEST)[0]).sum()),
        "first": lambda: int(open_tokens(corpus, tokenizer, LONGEST).lengths.sum()),
        "second": lambda: int(open_tokens(corpus, tokenizer, LONGEST).lengths.sum()),
        "epoch": epoch,
    }


def measured(name: str, corpus: Path) -> dict[str, float]:
    """Return the figures of one start, in this process."""
    start = starts(corpus)[name]
    clock = time.perf_counter()
    tokens = start()
    seconds = time.perf_counter() - clock
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "seconds": round(seconds, 2),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "private_mib": round(int(status["RssAnon"].split()[0]) / 1024),
        "tokens": tokens,
    }


def in_its_own_process(name: str, corpus: Path, cache: Path) -> dict[str, float]:
    """Return the figures of one start."""
    command = [sys.executable, "-m", "benchmarks.token_store", "--start", name, "--corpus", str(corpus)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, PLACE: str(cache)}
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=ROWS)
    parser.add_argument("--start")
    parser.add_argument("--corpus", type=Path)
    arguments = parser.parse_args()
    if arguments.start:
        print(json.dumps(measured(arguments.start, arguments.corpus)))
        return
    with tempfile.TemporaryDirectory() as folder:
        corpus, cache = Path(folder) / "corpus.parquet", Path(folder) / "cache"
        write_corpus(corpus, arguments.rows)
        names = ("nothing", "list", "first", "second", "epoch")
        found = {name: in_its_own_process(name, corpus, cache) for name in names}
        sizes = {
            "corpus_mib": round(corpus.stat().st_size / 2**20),
            "store_mib": round(sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) / 2**20),
        }
    per_s = {"tokens_per_s": round(found["first"]["tokens"] / found["first"]["seconds"])}
    record("token_store", {"rows": arguments.rows, **sizes, **per_s, "starts": found})


if __name__ == "__main__":
    main()
