"""Measure how much memory prompts, replay, verify and select need by the row: peaks at two numbers of rows.

    OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 python -m benchmarks.stage_memory [FEW MANY]

Rows are questions with a reference and a completion of 4 KB, all different. Each stage runs in its own process. Its
peak is that of its resident memory, without the workers of verify, whose number does not depend on the rows.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import record
from filters.select import SelectConfig, select
from filters.text.readability import READABLE
from filters.verify import VerifyConfig, verify
from generators.generate import generate
from generators.prompt_settings import FilePrompts
from generators.prompts import prompts
from generators.sampling.settings import GenerateConfig

FEW, MANY = 20_000, 100_000
LINES, LINE, VOCABULARY, SEED = 35, 20, 5000, 3


def write_rows(path: Path, rows: int) -> None:
    """Write a file of questions, references and completions."""
    chance = random.Random(SEED)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 8))) for _ in range(VOCABULARY)]
    with path.open("w", encoding="utf-8") as lines:
        for row in range(rows):
            starts = [chance.randrange(VOCABULARY - LINE) for _ in range(LINES)]
            said = "\n".join(" ".join(words[start : start + LINE]) for start in starts)
            response = f"<think>\n{said}\n</think>\n\nThe answer is \\boxed{{{row}}}."
            lines.write(json.dumps({"question": f"What is {row}?", "reference": str(row), "response": response}) + "\n")


def stages(folder: Path) -> Mapping[str, Callable[[], object]]:
    """Return the stages by name, in order."""
    source = FilePrompts(source="file", path=str(folder / "rows.jsonl"), verifier="math_answer")
    asked, traces, verdicts = (folder / f"{name}.parquet" for name in ("prompts", "traces", "verdicts"))
    replay = GenerateConfig(engine="replay", model="any", options={"rows": source.model_dump(exclude_unset=True)})
    return {
        "prompts": lambda: prompts(folder, source, imported=True),
        "replay": lambda: generate(asked, folder, replay),
        "verify": lambda: verify(traces, asked, folder, VerifyConfig()),
        "select": lambda: select(traces, verdicts, asked, folder, SelectConfig(readability=READABLE)),
    }


def peak_mib(folder: Path, name: str) -> float:
    """Return the peak of one stage in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.stage_memory", "--stage", name, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=[FEW, MANY])
    parser.add_argument("--stage")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.stage:
        stages(options.folder)[options.stage]()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    peaks: dict[str, list[float]] = {name: [] for name in stages(Path())}
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_rows(Path(folder) / "rows.jsonl", rows)
            for name, found in peaks.items():
                found.append(round(peak_mib(Path(folder), name)))
                print(rows, name, found[-1], file=sys.stderr, flush=True)
    few, many = options.rows
    figures: dict[str, Any] = {"rows": [few, many], "peak_mib": peaks}
    figures["kb_per_row"] = {name: round((b - a) * 1024 / (many - few), 2) for name, (a, b) in peaks.items()}
    record("stage_memory", figures)


if __name__ == "__main__":
    main()
