"""The check of references before sampling: a run whose references no verifier can read would sample for nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import polars as pl

from generators.contract.errors import InputError
from generators.contract.plugins import VERIFIER
from pipelines.stage_folder import read_manifest
from pipelines.stages.table import ASKED, GENERATE, PROMPTS

if TYPE_CHECKING:
    from filters.check_references import ReferenceSummary
    from filters.verify import VerifyConfig
    from pipelines.session import Session

MOST = 100  # references checked, spread over the prompts
SHOWN_REASONS, REASON_CHARS = 3, 160


def check_before_sampling(do: "Session") -> None:
    """Raise InputError, with the most frequent reasons, if no verifier can read any reference; say it if some cannot.

    Nothing is checked in a dry run, nor if these prompts were sampled already. With a [judge] section, which can decide
    by references that no rule reads, it is only said; so it is with a verifier of the user's own, which may fail on
    the answers that are tried here and read those that the model will give.
    """
    if do.runner.dry or sampled_already(do):
        return
    prompts = do.runner.folder / ASKED
    summary = ask(prompts, do.sections.verify, do.sections.execution.verify_workers)
    if summary is None or not summary.unreadable:
        return
    found = f"{reasons_of(summary)}. `distill check-references {prompts} --out defects.jsonl` lists all"
    if summary.unreadable == summary.rows and do.sections.judge is None and only_shipped(summary):
        raise InputError(
            f"{prompts}: no verifier can read any of the {summary.rows} references checked, so nothing was sampled: "
            f"{found}. prompts.verifier=none select.keep_unverified=true asks for no verdicts"
        )
    do.runner.say(
        f"references: {summary.unreadable} of {summary.rows} checked cannot be read by their verifier: {found}"
    )


def only_shipped(summary: "ReferenceSummary") -> bool:
    """Return whether all verifiers that were asked are the toolkit's."""
    return set(summary.by_verifier) <= set(VERIFIER.shipped())


def sampled_already(do: "Session") -> bool:
    """Return whether the generate stage is complete for the present prompts."""
    manifest = read_manifest(do.runner.folder / GENERATE.name)
    return manifest is not None and manifest["upstream"].get(PROMPTS.name) == do.runner.runs.get(PROMPTS.name)


def ask(prompts: Path, verify: "VerifyConfig", workers: int | None) -> "ReferenceSummary | None":
    """Return what the verifiers say of up to MOST references; None if no prompt will be verified."""
    from filters.check_references import check_references

    rows = verified_prompts(prompts, verify.default_verifier)
    if not rows.height:
        return None
    with TemporaryDirectory() as folder:
        rows.gather_every(-(-rows.height // MOST)).write_parquet(file := Path(folder) / "prompts.parquet")
        return check_references(
            file,
            Path(folder) / "defects.jsonl",
            options=verify.options,
            timeout_s=verify.timeout_s,
            memory_mib=verify.memory_mib,
            workers=workers,
        )


def verified_prompts(prompts: Path, default_verifier: str | None) -> pl.DataFrame:
    """Return the prompts that will be sampled and verified, with the default verifier where they name none."""
    verifier, reference = pl.col("verifier"), pl.col("reference")
    default = pl.when(reference.is_not_null()).then(pl.lit(default_verifier, pl.String))
    rows = pl.scan_parquet(prompts).filter(pl.col("drop_reason").is_null())
    named = rows.with_columns(verifier=verifier.fill_null(default)).filter(verifier.is_not_null())
    return named.select("prompt_id", "messages", "verifier", "reference").collect()


def reasons_of(summary: "ReferenceSummary") -> str:
    """Return the most frequent reasons with their counts."""
    from filters.verification.reasons import listed

    return listed(summary.reasons, SHOWN_REASONS, REASON_CHARS)
