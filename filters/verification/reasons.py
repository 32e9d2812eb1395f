"""Groups of reasons: those that differ only in the values that they quote are one."""

import re
from collections import Counter
from collections.abc import Mapping

VALUE = "..."
# Texts that a reason quotes, then the numbers in what is left.
QUOTES = (
    (re.compile(r"\b(got|reads|holds) .+?, (reference|expected) .+", re.DOTALL), rf"\1 {VALUE}, \2 {VALUE}"),
    (re.compile(r"^(the reference )?.+? (could not be read\b)", re.DOTALL), rf"\1{VALUE} \2"),
    (re.compile(r"^(AssertionError|tags\b|not followed)\b:? .+", re.DOTALL), rf"\1: {VALUE}"),
    (re.compile(r"(?<!\w)'(?:[^'\\]|\\.)*'(?!\w)|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|\$[^$]+\$", re.DOTALL), VALUE),
    (re.compile(r"(?<![\w.])-?\d[\d.,]*(?!\w)"), VALUE),
)


def kind_of(reason: str) -> str:
    """Return a reason with an ellipsis for each value that it quotes."""
    for pattern, replacement in QUOTES:
        reason = pattern.sub(replacement, reason)
    return reason


def grouped(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return (reason, rows) by frequency; reasons that differ only in their values are one, with ellipses."""
    rows, examples = Counter[str](), dict[str, set[str]]()
    for reason, number in reasons.items():
        rows[kind := kind_of(reason)] += number
        examples.setdefault(kind, set()).add(reason)
    return [(examples[kind].pop() if len(examples[kind]) == 1 else kind, number) for kind, number in rows.most_common()]


def listed(reasons: Mapping[str, int], most: int, chars: int) -> str:
    """Return the most frequent reasons with the rows of each, as a sentence shows them."""
    return "; ".join(
        f"{reason if len(reason) <= chars else reason[: chars - 3] + '...'} ({number:,})"
        for reason, number in grouped(reasons)[:most]
    )
