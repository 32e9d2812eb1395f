"""The notes of the judge stage as sentences of the report."""

from collections.abc import Mapping
from typing import Any

from filters.stats import wilson_interval


def judge_note(notes: Mapping[str, Any]) -> str:
    """Return sentences on the rows shown, those recovered, the agreement with the rule, and the cost."""
    withheld, recovered = sum(notes["withheld"].values()), notes["recovered"]
    by_status = ", ".join(f"{status} {n:,}" for status, n in recovered.items())
    unclear = notes["unclear"] + notes["failed"]
    spent = notes["prompt_tokens"] + notes["completion_tokens"]
    each = f", {notes['tokens_per_recovered']:,} for each recovered" if notes["tokens_per_recovered"] else ""
    return (
        f"of {notes['rows']:,} rows that the rule did not accept {notes['rows'] - withheld:,} were shown to the judge: "
        f"{sum(recovered.values()):,} recovered ({by_status}), {notes['refused']:,} refused, {unclear:,} without a "
        f"verdict; {withheld:,} withheld. {agreement_note(notes['agreement'])} "
        f"{notes['questions']:,} questions, {spent:,} tokens{each}."
    )


def agreement_note(agreement: Mapping[str, Mapping[str, int]]) -> str:
    """Return a sentence on the agreement on control rows, with its 95% interval."""
    shares = [
        f"{found['agree']} of {found['rows']} {status} ones ({percent_interval(found['agree'], found['rows'])})"
        for status, found in agreement.items()
        if found["rows"]
    ]
    return f"On a sample it agrees with the rule on {' and '.join(shares)}." if shares else "No sample was compared."


def percent_interval(found: int, rows: int) -> str:
    """Return the 95% Wilson interval of a share, such as 89% to 100%."""
    low, high = wilson_interval(found, rows)
    return f"{100 * low:.0f}% to {100 * high:.0f}%"
