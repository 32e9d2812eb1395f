"""The evaluate stage: pass@1 over several samples and cons@k on held-out problems, as in DeepSeek-R1's Table 10.

It samples and verifies with the code of the generate and verify stages, so that a student is graded by the same engine
and the same verifier as its teacher.
"""

import json
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from filters.stats import majority, pass_at_1
from filters.text.final_answer import marked_answer
from filters.verify import VerifyConfig, verify
from generators.contract.engine import SamplingConfig
from generators.contract.errors import InputError
from generators.contract.files import write_frame, write_text
from generators.contract.stage_protocol import IN_PROCESS, Runtime, StageCounts
from generators.generate import generate
from generators.prompt_settings import PromptsConfig
from generators.sampling.settings import GenerateConfig, SamplerConfig

log = logging.getLogger(__name__)
FEWEST_VOTES = 3  # with fewer samples a problem, a majority means nothing


class EvaluateConfig(SamplerConfig):
    """The evaluation. DeepSeek-R1 is sampled at temperature 0.6, top-p 0.95, up to 32,768 tokens, with k = 64."""

    prompts: PromptsConfig | None = Field(None, description="the problems, as in [prompts]; a run needs them")
    engine: str = Field("transformers", description="plug-in that runs the evaluated models")
    sampling: SamplingConfig = Field(SamplingConfig(n=4), description="decoding parameters")

    EXECUTION = SamplerConfig.EXECUTION | {"prompts"}  # the prompts are a stage of their own

    def like(self, sampler: GenerateConfig) -> "EvaluateConfig":
        """Return this evaluation with the engine of `sampler`: the teacher may be known to a server alone."""
        if sampler.loaded().imports_traces:
            return self
        unwanted = ("sampled_logprobs",)  # no student is trained on these samples
        options = {key: value for key, value in sampler.options.items() if key not in unwanted}
        return self.model_copy(update={"engine": sampler.engine, "options": options})

    def generation(self, model: str) -> GenerateConfig:
        """Return the settings by which `model` is sampled."""
        kept = {key: getattr(self, key) for key in ("engine", "sampling", "options", "max_attempts", "give_up_after_s")}
        return GenerateConfig(model=model, **kept)


def evaluate(
    model: str | Path,
    prompts: Path,
    out: Path,
    config: EvaluateConfig,
    verifying: VerifyConfig,
    *,
    runtime: Runtime = IN_PROCESS,
) -> StageCounts:
    """Sample `model` on `prompts`, verify, and write out/scores.json and out/problems.parquet."""
    say_equal(config.sampling)
    sampled = generate(prompts, out, config.generation(str(model)), runtime=runtime)
    counts = verify(out / "traces.parquet", prompts, out, verifying, runtime=runtime)
    write_scores([out], prompts, out)
    return StageCounts(counts.rows_in, counts.rows_kept, counts.dropped, sampled.tokens, sampled.notes)


@cache
def say_equal(sampling: SamplingConfig) -> None:
    """Say, once for all models, that samples at temperature 0 are equal, so that more of them tell nothing new."""
    if sampling.temperature == 0 and sampling.n > 1:
        log.warning(
            "evaluate: at temperature 0 the %d samples of a problem are equal: one is enough, evaluate.sampling.n=1; "
            "several need a temperature such as evaluate.sampling.temperature=0.6", sampling.n,
        )  # fmt: skip


def write_scores(runs: Sequence[Path], prompts: Path, out: Path) -> StageCounts:
    """Write out/scores.json and out/problems.parquet of one model.

    runs: folders of evaluations on the same problems, one for each training seed.
    """
    by_run = [_samples(run, prompts) for run in runs]
    samples = pl.concat(by_run)
    if samples.is_empty():
        raise InputError(f"{prompts} holds no problem to evaluate on")
    problems = samples.group_by("prompt_id", maintain_order=True).agg(
        pl.col("source").first(), pl.col("correct").mean().alias("pass@1"), pl.len().alias("samples")
    )
    write_frame(problems, out / "problems.parquet")
    k = len(by_run[0]) // max(1, by_run[0]["prompt_id"].n_unique())
    tokens = samples["completion_tokens"].sum() or 0
    scores = {
        **_interval(problems),
        "cons@k": sum(map(_consensus, by_run)) / len(runs) if k >= FEWEST_VOTES else None,
        "k": k,
        "problems": len(problems),
        "samples": len(samples) // len(problems),
        "mean_completion_tokens": round(tokens / len(samples), 1),
        "truncated": int((samples["finish_reason"] == "length").sum()),
        "by_group": {str(group[0]): _group(rows) for group, rows in problems.group_by("source", maintain_order=True)},
        "seeds": len(runs),
        "pass@1_by_seed": [float(np.mean(rows["correct"].to_numpy())) for rows in by_run],
    }
    write_text(json.dumps(scores, indent=1), out / "scores.json")
    return StageCounts(len(samples), len(samples), tokens=int(tokens))


def _samples(run: Path, prompts: Path) -> pl.DataFrame:
    """Return a row for each sample: its problem, its answer and whether it is correct."""
    traces, verdicts = pl.read_parquet(run / "traces.parquet"), pl.read_parquet(run / "verdicts.parquet")
    asked = pl.read_parquet(prompts).filter(pl.col("drop_reason").is_null())
    rows = traces.join(verdicts, on="trace_id", validate="1:1").join(asked, on="prompt_id", validate="m:1")
    correct = (pl.col("status") == "correct").cast(pl.Float64)
    columns = ("prompt_id", "source", "answer", "completion_tokens", "finish_reason")
    return rows.select(*columns, correct.alias("correct"))


def _interval(problems: pl.DataFrame) -> dict[str, Any]:
    estimate = pass_at_1(problems["pass@1"].to_numpy())
    facts = {"pass@1": estimate.value, "ci95": [estimate.low, estimate.high]}
    return {**facts, "half_width": (estimate.high - estimate.low) / 2, "interval_note": estimate.note}


def _group(problems: pl.DataFrame) -> dict[str, Any]:
    return {**_interval(problems), "problems": len(problems)}


def _consensus(samples: pl.DataFrame) -> float:
    """Return cons@k: the share of problems whose most frequent answer is correct. All correct answers count as one."""
    votes = samples.group_by("prompt_id", maintain_order=True).agg("answer", pl.col("correct").cast(pl.Boolean))
    shares = [majority(_keys(answers, right), right) for _, answers, right in votes.iter_rows()]
    return sum(shares) / len(shares)


def _keys(answers: Sequence[str], correct: Sequence[bool]) -> list[str | bool | None]:
    return [True if right else marked_answer(text)[0] for text, right in zip(answers, correct, strict=True)]
