"""Live verifier: verdicts while sampling continues, for adaptive sampling, from the verifiers' worker processes.

Its verdicts are those that `verify` and `select` will give later: it uses the same pool and limits, and two traces have
the same solution signature where `select` counts them as one solution.
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
from generators.contract.errors import RecipeError
from generators.sampling.live_verdicts import LiveVerdict, LiveVerify, Row

SIGNATURES = "filters.text.signature_id"


class LiveVerifier(Config):
    """An opener of live verifiers (live_verdicts.OpenVerifier); as a Config it counts in a stage's identity."""

    verify: VerifyConfig = Field(description="the settings of [verify]")
    workers: int = Field(default=2, ge=1, description="verifier processes")

    EXECUTION = frozenset({"workers"})

    @contextmanager
    def __call__(self, prompts: Path) -> Iterator[LiveVerify]:
        """Open a verifier for samples of `prompts`; RecipeError where a prompt that was not dropped has no verifier."""
        questions = prompts_by_id(prompts, self.verify)
        kept = pl.read_parquet(prompts).filter(pl.col("drop_reason").is_null())["prompt_id"].to_list()
        without = sum(not questions[prompt_id]["verifier"] for prompt_id in kept)
        if without:
            raise RecipeError(
                f"generate.adaptive needs verdicts, and {without} of {len(kept)} prompts have no verifier; "
                "name one in prompts.verifier or verify.default_verifier"
            )
        for name in sorted({questions[prompt_id]["verifier"] for prompt_id in kept}):
            check_options(name, self.verify.options.get(name, {}))
        limits = {"timeout_s": self.verify.timeout_s, "memory_mib": self.verify.memory_mib}
        with Pool(self.workers, **limits) as pool:  # type: ignore[arg-type]
            yield partial(verify_live, pool, questions)


def verify_live(pool: Pool, questions: Mapping[str, Mapping[str, Any]], row: Row) -> "Future[LiveVerdict]":
    """Return the future verdict on one sample; this function does not wait."""
    asked = {**row, **questions[row["prompt_id"]]}
    text = row.get("reasoning") or row.get("answer") or ""
    found: Future[LiveVerdict] = Future()

    def verified(verdict: Verdict) -> None:
        if verdict.status == "correct":
            when_judged(pool.submit([(SIGNATURES, Item(text))]), found, signed)
        else:
            found.set_result(LiveVerdict(verdict.status))

    def signed(signature: Verdict) -> None:
        # A trace whose signature cannot be read counts as a solution of its own.
        found.set_result(LiveVerdict("correct", signature.reason if signature.status == "correct" else row["trace_id"]))

    when_judged(pool.submit([(asked["verifier"], item_of(asked))]), found, verified)
    return found


def when_judged(
    verdicts: "Future[list[Verdict]]", found: "Future[LiveVerdict]", then: Callable[[Verdict], None]
) -> None:
    """Call `then` with the verdict once it is there; an exception of the pool becomes that of `found`."""

    def done(verdicts: "Future[list[Verdict]]") -> None:
        try:
            then(verdicts.result()[0])
        except BaseException as error:
            found.set_exception(error)

    verdicts.add_done_callback(done)
