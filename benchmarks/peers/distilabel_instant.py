"""Do the work of benchmarks.sampling_overhead with distilabel: an instant model in process, 24 KB traces, rows on disk.

`sampling_overhead --peer PYTHON` runs it with an interpreter that has distilabel: `PYTHON distilabel_instant.py ROWS`.
"""

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distilabel.models import LLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

TRACE_CHARACTERS = 24_000
WORDS = ["let", "us", "check", "the", "sum", "so", "wait", "$x^2$", "\\frac{1}{2}", "modulo", "prime", "if", "12 = 5"]


def text_of(seed: int) -> str:
    """Return about 24,000 characters of words."""
    rng = random.Random(seed)
    words: list[str] = []
    length = 0
    while length < TRACE_CHARACTERS:
        words.append(rng.choice(WORDS))
        length += len(words[-1]) + 1
    return " ".join(words)


class Instant(LLM):  # type: ignore[misc]  # the peer is not installed here
    """A model that answers at once."""

    def load(self) -> None:
        super().load()
        self._texts = [text_of(seed) for seed in range(64)]

    @property
    def model_name(self) -> str:
        return "instant"

    def generate(self, inputs: Any, num_generations: int = 1) -> Any:
        texts = self._texts
        return [
            {"generations": [f"{number} {texts[number % 64]}" for number in range(num_generations)],
             "statistics": {"input_tokens": [40], "output_tokens": [6000] * num_generations}}
            for _ in inputs
        ]  # fmt: skip


def main(rows: int) -> None:
    """Time one pipeline from rows in memory to parquet on disk."""
    data = [{"instruction": f"What is the remainder of {i} squared divided by 7?"} for i in range(rows)]
    with tempfile.TemporaryDirectory() as folder:
        with Pipeline(name=f"instant-{time.time_ns()}", cache_dir=str(Path(folder) / "cache")) as pipeline:
            load = LoadDataFromDicts(data=data, batch_size=500)
            task = TextGeneration(llm=Instant(), input_batch_size=50)
            load >> task
        start = time.perf_counter()
        made = pipeline.run(use_cache=False)
        made["default"]["train"].to_parquet(str(Path(folder) / "rows.parquet"))
        seconds = time.perf_counter() - start
        assert len(made["default"]["train"]) == rows
    print(json.dumps({"samples": rows, "us_a_sample": round(seconds / rows * 1e6, 1)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
