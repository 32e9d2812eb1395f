"""Adaptive sampling in the report: samples used and saved, and the difficulty of the prompts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from generators.sampling.pass_rates import BANDS, OUTCOMES


def adaptive(run: Path, notes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return an entry for each model that was sampled adaptively: its policy, its savings, and its prompts by band.

    notes: those of the generate stage, whose pass_rates.parquet is read from the run folder.
    """
    policies = notes.get("adaptive")
    if not policies:
        return []
    rates = pl.read_parquet(run / "generate" / "pass_rates.parquet")
    return [_entry(model, policy, rates.filter(teacher=model)) for model, policy in policies.items()]


def _entry(model: str, policy: Mapping[str, Any], rates: pl.DataFrame) -> dict[str, Any]:
    paid = policy["samples"] + policy["surplus"]
    saved = {
        "paid": paid,
        "of_fixed": paid / policy["samples_fixed"] if policy["samples_fixed"] else None,
        "of_most": paid / policy["samples_most"] if policy["samples_most"] else None,
    }
    shown = [band for band in BANDS if band != "unknown" or policy["bands"][band]]
    return {"model": model, **policy, **saved, "by_band": [_band(band, rates) for band in shown]}


def _band(band: str, rates: pl.DataFrame) -> dict[str, Any]:
    """Return the counts of one band's prompts."""
    rows = rates.filter(band=band)
    outcomes = {outcome: len(rows.filter(outcome=outcome)) for outcome in OUTCOMES}
    means = {"mean_samples": rows["samples"].mean(), "mean_distinct": rows["distinct"].mean()}
    return {"band": band, "prompts": len(rows), "samples": int(rows["samples"].sum()), **means, "outcomes": outcomes}
