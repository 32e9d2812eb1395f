"""Closing marks of thinking that no opening mark precedes: by the share of rows that have one, what they mean.

A template that opens `<think>` leaves completions with a lone `</think>`; in such a file a row without one was cut. In
a file of plain chats, a row that holds one speaks of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from generators.contract.completions import read_text
from generators.contract.intake.values import is_chat

LEAST, WHOLE = 0.1, 100  # share of the rows; rows of a batch that counts by itself
CLOSINGS = ("</think", "</Think", "</THINK", "</thought", "[/THINK]", "◁/think▷", "<|end_of_thought|>")
OPENINGS = (
    "<think", "<Think", "<THINK", "<thought", "[THINK]", "◁think▷", "<|begin_of_thought|>", "<|channel", "< think",
    "<|START_THINKING|>", "<seed:think", "<|think", "<reasoning>", "<unused94>", "## Thinking", "&lt;think",
)  # fmt: skip
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
        self.close = any(found and found >= LEAST * (total - other) for found, other, total in shares)
        self.end_thinking = any(found + other >= LEAST * total for found, other, total in shares)


def _kind(row: Mapping[str, Any]) -> str:
    """Return lone, opened or plain."""
    kind = "plain"
    for text in _texts(row):
        if any(mark in text for mark in OPENINGS):
            return "opened"
        if any(mark in text for mark in CLOSINGS) and read_text(text).lone:
            kind = "lone"
    return kind


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a row, a message or a list; of a conversation those of its last message.

    Reasoning in a field of its own counts as opened.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        if any(isinstance(said := value.get(key), str) and said.strip() for key in FIELDS):
            yield OPENINGS[0]
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value[-1:] if is_chat(value) else value:
            yield from _texts(inner)
