"""Verdicts while sampling goes on: the judge that adaptive sampling is handed, made of the verifiers' worker processes.

It says what `verify` and `select` will say later: the same pool and limits, and paths that are equal where `select`
takes two traces for one.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from filters.verification.pool import Pool
from filters.verification.verdicts import Item, Verdict, check_options
from filters.verify import VerifyConfig, item_of, prompts_by_id
from generators.contract.config import Config
from generators.sampling.live_verdicts import Finding, Judge, Row

PATHS = "filters.text.signature_id"


class Judging(Config):
    """Opens a judge (generators.sampling.live_verdicts.OpenJudge). A Config, so that other limits are another stage."""

    verify: VerifyConfig
    workers: int = Field(default=2, ge=1)

    EXECUTION = frozenset({"workers"})

    @contextmanager
    def __call__(self, prompts: Path) -> Iterator[Judge]:
        """A judge of the samples of `prompts`; a kept prompt without a verifier is a ValueError."""
        questions = prompts_by_id(prompts, self.verify)
        kept = pl.read_parquet(prompts).filter(pl.col("drop_reason").is_null())["prompt_id"].to_list()
        mute = sum(not questions[prompt_id]["verifier"] for prompt_id in kept)
        if mute:
            raise ValueError(
                f"generate.adaptive needs verdicts, and {mute} of {len(kept)} prompts have no verifier; "
                "name one in prompts.verifier or verify.default_verifier"
            )
        for name in sorted({questions[prompt_id]["verifier"] for prompt_id in kept}):
            check_options(name, self.verify.options.get(name, {}))
        limits = {"timeout_s": self.verify.timeout_s, "memory_mib": self.verify.memory_mib}
        with Pool(self.workers, **limits) as pool:  # type: ignore[arg-type]
            yield partial(judge, pool, questions)


def judge(pool: Pool, questions: Mapping[str, Mapping[str, Any]], row: Row) -> "Future[Finding]":
    """What one sample is; nothing waits."""
    asked = {**row, **questions[row["prompt_id"]]}
    text = row.get("reasoning") or row.get("answer") or ""
    found: Future[Finding] = Future()

    def verified(verdict: Verdict) -> None:
        if verdict.status == "correct":
            hear(pool.submit([(PATHS, Item(text))]), found, named)
        else:
            found.set_result(Finding(verdict.status))

    def named(path: Verdict) -> None:
        own = path.reason if path.status == "correct" else row["trace_id"]  # one that cannot be read is its own
        found.set_result(Finding("correct", own))

    hear(pool.submit([(asked["verifier"], item_of(asked))]), found, verified)
    return found


def hear(verdicts: "Future[list[Verdict]]", found: "Future[Finding]", then: Callable[[Verdict], None]) -> None:
    """Go on when there is a verdict; what is wrong with the pool is told to whoever waits for the finding."""

    def done(verdicts: "Future[list[Verdict]]") -> None:
        try:
            then(verdicts.result()[0])
        except BaseException as error:
            found.set_exception(error)

    verdicts.add_done_callback(done)
