"""A small run, made by the corpus stage: five traces of each prompt, right, wrong and cut, and a row from elsewhere."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from generators.contract.files import frame, write_frame
from generators.contract.records import CORPUS, PROMPT, SELECTED
from pipelines.stages.corpus import CorpusConfig, corpus

PROMPTS = 12
LONG = "Let me add the numbers. " * 8


def asked(i: int) -> list[dict[str, str]]:
    """Return a question; every third one has a system text, every fourth one earlier turns."""
    earlier = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}] if i % 4 == 0 else []
    system = [{"role": "system", "content": "Answer briefly."}] if i % 3 == 0 else []
    return [*system, *earlier, {"role": "user", "content": f"What is {i} + 1?"}]


def trace(i: int, j: int) -> dict[str, Any]:
    """Return trace `j` of prompt `i`: 0 and 1 are right, 2 and 3 are wrong, 3 is longer, 4 was cut."""
    right, cut = j < 2, j == 4
    return {
        "trace_id": f"t{i}x{j}",
        "prompt_id": f"p{i}",
        "sample_index": j,
        "teacher": "some/teacher",
        "reasoning": (LONG if j == 3 else "") + f"{i} and 1 make {i + 1 if right else i + 2}.",
        "answer": "" if cut else f"It is \\boxed{{{i + 1 if right else i + 2}}}. Grüße, 你好 <b>",
        "finish_reason": "length" if cut else "stop",
        "completion_tokens": 9,
        "verifier": "math_answer",
        "status": "correct" if right else "unparseable" if cut else "wrong",
        "score": float(right),
        "drop_reason": None if right else "wrong",
    }


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run up to its corpus."""
    folder = tmp_path_factory.mktemp("exported") / "run"
    prompts = [
        {
            "prompt_id": f"p{i}", "messages": asked(i), "domain": "math", "verifier": "math_answer",
            "reference": str(i + 1), "source": "sums", "license": "MIT" if i % 2 else None,
        }
        for i in range(PROMPTS)
    ]  # fmt: skip
    unsolved = {**prompts[0], "prompt_id": "hard", "messages": [{"role": "user", "content": "What is 1/0?"}]}
    twice = {**prompts[0], "drop_reason": "duplicate"}
    write_frame(frame([*prompts, unsolved, twice], PROMPT), folder / "prompts" / "prompts.parquet")
    traces = [trace(i, j) for i in range(PROMPTS) for j in range(5) if i or j < 2]  # the first has no wrong trace
    write_frame(frame(traces, SELECTED), folder / "select" / "selected.parquet")
    config = CorpusConfig(validation_fraction=0.2, unfiltered=True)
    corpus(folder / "select/selected.parquet", folder / "prompts/prompts.parquet", folder / "corpus", config)
    said = [{"role": "user", "content": "Write a haiku."}, {"role": "assistant", "content": "Leaves fall."}]
    other = {"trace_id": "other", "prompt_id": "haiku", "messages": said, "domain": "general", "split": "train"}
    train = folder / "corpus" / "train.parquet"
    write_frame(pl.concat([pl.read_parquet(train), frame([other], CORPUS)]), train)
    (folder / "run.json").write_text("{}")
    (folder / "recipe.json").write_text('{"train": {"student": "some/student"}}')
    return folder


@pytest.fixture(scope="session")
def rows(run: Path) -> pl.DataFrame:
    """The rows of the run's corpus, of both splits."""
    return pl.concat([pl.read_parquet(run / "corpus" / f"{split}.parquet") for split in ("train", "validation")])
