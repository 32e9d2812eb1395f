"""Audit of a verifier: its error rates against labels, with intervals, and rows on which two verifiers disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from filters.stats import wilson_interval
from filters.verification.verdicts import Verdict


def wilson(found: int, of: int) -> tuple[float, float]:
    """Return the 95% interval of a share; without any trials, everything from 0 to 1."""
    return wilson_interval(found, of) if of else (0.0, 1.0)


@dataclass
class ErrorRates:
    """Counts of one verifier's verdicts on labeled rows."""

    wrong_accepts: int = 0  # correct here, label false
    labelled_false: int = 0
    wrong_refusals: int = 0  # label true, not correct here
    labelled_true: int = 0

    def add(self, correct: bool, label: bool) -> None:
        """Count one row."""
        if label:
            self.labelled_true += 1
            self.wrong_refusals += not correct
        else:
            self.labelled_false += 1
            self.wrong_accepts += correct


def rates_table(rates: Mapping[str, ErrorRates]) -> Table:
    """Return a table with one line per verifier: both error rates with their 95% intervals."""
    table = Table("verifier", box=None)
    for heading in ("wrong accepts", "95%", "wrong refusals", "95%"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, found in rates.items():
        accepts = share_of(found.wrong_accepts, found.labelled_false)
        table.add_row(name, *accepts, *share_of(found.wrong_refusals, found.labelled_true))
    return table


def share_of(found: int, of: int) -> tuple[str, str]:
    """Return `3/4000 0.07%` and `0.03-0.22%`."""
    if not of:
        return "no such label", ""
    low, high = wilson(found, of)
    return f"{found}/{of} {found / of:.2%}", f"{100 * low:.2f}-{high:.2%}"


def disagreement(row: Mapping[str, Any], verdicts: Mapping[str, Verdict]) -> dict[str, Any] | None:
    """Return the row for a person to label, with each verifier's verdict; None if all agree on correctness."""
    if len({verdict.status == "correct" for verdict in verdicts.values()}) < 2:
        return None
    said = {name: {"status": verdict.status, "reason": verdict.reason} for name, verdict in verdicts.items()}
    return {**row, "label": row.get("label"), "verdicts": said}
