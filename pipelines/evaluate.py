"""The evaluate stage: pass@1 over several samples and cons@k on held-out problems, as DeepSeek-R1's Table 10 does.

It samples and verifies with the code of the generate and verify stages, so a student is graded by the
same engine and the same verifier that graded its teacher.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from filters.stats import majority_scores, mean_interval
from filters.verify import VerifyConfig, verify
from generators.generate import GenerateConfig, generate
from generators.prompts import PromptsConfig
from generators.records import Config, write_frame, write_text
from generators.sampling import SamplingConfig
from generators.work import Progress, StageCounts, Stream, no_progress, stream_local


class EvaluateConfig(Config):
    """What is asked, and how often. R1 samples at temperature 0.6, top-p 0.95, up to 32,768 tokens, k = 64."""

    prompts: PromptsConfig
    engine: str = Field("transformers_local", description="teacher plug-in that runs the evaluated models")
    options: dict[str, Any] = Field({}, description="of the engine")
    sampling: SamplingConfig = SamplingConfig(n=4)

    EXECUTION = frozenset({"prompts", "options"})  # the prompts are a stage of their own

    def generation(self, model: str) -> GenerateConfig:
        """How `model` is sampled."""
        return GenerateConfig(teacher=self.engine, model=model, sampling=self.sampling, options=self.options)


def evaluate(
    model: str,
    prompts: Path,
    out: Path,
    config: EvaluateConfig,
    verifying: VerifyConfig,
    *,
    stream: Stream = stream_local,
    progress: Progress = no_progress,
    workers: int = 2,
    facts: Mapping[str, Any] | None = None,
) -> StageCounts:
    """Sample `model` on `prompts`, verify, and write out/scores.json and out/problems.parquet.

    `facts` (name, label, train_tokens) go into scores.json as they are.
    """
    sampled = generate(prompts, out, config.generation(model), stream=stream, progress=progress)
    counts = verify(out / "traces.parquet", prompts, out, verifying, stream=stream, progress=progress, workers=workers)
    write_scores([out], prompts, out, facts or {})
    return StageCounts(counts.rows_in, counts.rows_kept, counts.dropped, sampled.tokens, sampled.notes)


def write_scores(runs: Sequence[Path], prompts: Path, out: Path, facts: Mapping[str, Any]) -> StageCounts:
    """Scores of one model from one evaluation, or from one a training seed, over the same problems."""
    samples = pl.concat([_samples(run, prompts) for run in runs])
    problems = samples.group_by("prompt_id", maintain_order=True).agg(
        pl.col("source").first(), pl.col("correct").mean().alias("pass@1"), pl.len().alias("samples")
    )
    write_frame(problems, out / "problems.parquet")
    by_seed = [float(_samples(run, prompts)["correct"].mean() or 0.0) for run in runs]
    scores = {
        **facts,
        **_interval(problems),
        **_majority(samples),
        "problems": len(problems),
        "samples": len(samples) // max(1, len(problems)),
        "mean_completion_tokens": round(float(samples["completion_tokens"].mean() or 0), 1),
        "truncated": int((samples["finish_reason"] == "length").sum()),
        "by_group": {str(group[0]): _group(rows) for group, rows in problems.group_by("source", maintain_order=True)},
        "seeds": len(runs),
        "pass@1_by_seed": by_seed,
    }
    write_text(json.dumps(scores, indent=1), out / "scores.json")
    return StageCounts(len(samples), len(samples), tokens=int(samples["completion_tokens"].sum() or 0))


def _samples(run: Path, prompts: Path) -> pl.DataFrame:
    """One row a sample: its problem, its answer and whether it is correct."""
    traces, verdicts = pl.read_parquet(run / "traces.parquet"), pl.read_parquet(run / "verdicts.parquet")
    rows = traces.join(verdicts, on="trace_id").join(pl.read_parquet(prompts), on="prompt_id")
    correct = (pl.col("status") == "correct").cast(pl.Float64)
    columns = ("prompt_id", "source", "answer", "reference", "completion_tokens", "finish_reason")
    return rows.select(*columns, correct.alias("correct"))


def _interval(problems: pl.DataFrame) -> dict[str, Any]:
    mean, low, high = mean_interval(problems["pass@1"].to_numpy())
    return {"pass@1": mean, "ci95": [low, high], "half_width": (high - low) / 2}


def _group(problems: pl.DataFrame) -> dict[str, Any]:
    return {**_interval(problems), "problems": len(problems)}


def _majority(samples: pl.DataFrame) -> dict[str, Any]:
    """cons@k; with fewer than three samples a problem there is no majority to speak of."""
    k = int(samples.group_by("prompt_id").len()["len"].min() or 0)
    if k < 3:
        return {"cons@k": None, "k": k}
    return {"cons@k": majority_scores(samples["prompt_id"], samples["answer"], samples["correct"]), "k": k}
