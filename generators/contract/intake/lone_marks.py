"""Closing marks of thinking that no opening mark precedes: by the share of rows that have one, what they mean.

A template that opens `<think>` leaves completions with a lone `</think>`; in such a file a row without one was cut. In
a file of plain chats, a row that holds one speaks of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from generators.contract.completions import read_text
from generators.contract.intake.values import is_chat

LEAST, WHOLE = 0.1, 100  # share of the rows; rows of a batch that counts by itself
CLOSINGS = ("</think", "</Think", "</THINK", "</thought", "[/THINK]", "◁/think▷", "<|end_of_thought|>")
OPENINGS = ("<think", "<Think", "<THINK", "<thought", "[THINK]", "◁think▷", "<|begin_of_thought|>", "<|channel")
FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")


class LoneMarks:
    """A tally of rows by their marks; a whole batch may settle what its own rows mean, as files are put together."""

    def __init__(self) -> None:
        self.rows = self.lone = self.opened = 0
        self.close, self.end_thinking = False, True

    def count(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the next rows, and settle what marks mean in them."""
        kinds = [_kind(row) for row in rows]
        lone, opened = kinds.count("lone"), kinds.count("opened")
        self.rows, self.lone, self.opened = self.rows + len(rows), self.lone + lone, self.opened + opened
        shares = [(self.lone, self.opened, self.rows), *([(lone, opened, len(rows))] if len(rows) >= WHOLE else [])]
        self.close = any(found and found >= LEAST * total for found, _, total in shares)
        self.end_thinking = any(found + other >= LEAST * total for found, other, total in shares)


def _kind(row: Mapping[str, Any]) -> str:
    """Return lone, opened or plain."""
    chat = next((value for value in row.values() if is_chat(value)), ())
    last = chat[-1] if chat else {}
    if any(isinstance(one.get(key), str) and one[key].strip() for one in (row, last) for key in FIELDS):
        return "opened"
    kind = "plain"
    for text in _texts((*row.values(), last.get("content"), last.get("value"))):
        if any(mark in text for mark in OPENINGS):
            return "opened"
        if any(mark in text for mark in CLOSINGS) and read_text(text).lone:
            kind = "lone"
    return kind


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Yield texts, and those of lists."""
    for value in values:
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str):
                yield text
