"""Rows from elsewhere that repeat each other or a reasoning row of the corpus, and the split of the others.

The split is by question. Rows whose questions are the same but for a few words (same_question.py) are on one side.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from filters.text.dedupe import all_shingles, exact_duplicates, jaccard, near_duplicates
from pipelines.stages.same_question import Questions, normal_text

Messages = Sequence[Mapping[str, str]]
SplitOf = Callable[[str], str]  # the prompt's id -> train or validation


def drop_repeated(
    rows: list[dict[str, Any]], reasoning: pl.DataFrame, threshold: float | None, split_of: SplitOf
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return (the rows that repeat none, each with its `split`; the number of the others by reason).

    reasoning: rows of records.CORPUS, which keep their split. threshold: Jaccard similarity of 5-word shingles from
    which texts are near duplicates; None: only rows that are equal but for white space are dropped.
    """
    dropped: Counter[str] = Counter()
    if not rows:
        return rows, dropped
    exact = exact_duplicates([text_of(row["messages"]) for row in rows])
    rows = _keep(rows, [index == leader for index, leader in enumerate(exact)], "exact_duplicate", dropped)
    texts = [normal_text(text_of(row["messages"])) or text_of(row["messages"]) for row in rows]
    if threshold is not None:
        near = near_duplicates(texts, threshold)
        distinct = [index == leader for index, leader in enumerate(near)]
        texts = [text for text, kept in zip(texts, distinct, strict=True) if kept]
        rows = _keep(rows, distinct, "near_duplicate", dropped)
    taught = Taught(reasoning, [question_of(row["messages"][:-1]) for row in rows])
    kept = []
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        split = taught.split(number, rows, split_of)
        if split is None or (threshold is not None and taught.repeated(number, text, threshold)):
            dropped["near_duplicate"] += 1
        else:
            kept.append({**row, "split": split})
    return kept, dropped


def _keep(rows: list[dict[str, Any]], kept: Sequence[bool], reason: str, dropped: Counter[str]) -> list[dict[str, Any]]:
    if not all(kept):
        dropped[reason] += len(kept) - sum(kept)
    return [row for row, keep in zip(rows, kept, strict=True) if keep]


def text_of(messages: Messages) -> str:
    """Return what user and assistant say; one system message for all rows would make short ones alike."""
    return "\n".join(message["content"] for message in messages if message["role"] != "system")


def question_of(messages: Messages) -> str:
    """Return what a prompt says, without its spelling."""
    asked = text_of(messages)
    return normal_text(asked) or asked


class Taught:
    """The reasoning rows by their questions, and the groups that the questions of other rows form with them."""

    def __init__(self, reasoning: pl.DataFrame, asked: Sequence[str]) -> None:
        by_prompt = reasoning.with_row_index("row").group_by("prompt_id", maintain_order=True)
        first = by_prompt.agg("row", pl.col("split", "messages").first())
        before = pl.col("messages").list.slice(0, pl.col("messages").list.len() - 1)
        taught = [question_of(messages) for messages in first.select(before)["messages"].to_list()]
        self.start = len(taught)
        self.rows, self.splits = first["row"].to_list(), first["split"].to_list()
        self.messages = reasoning["messages"]
        self.questions = Questions([*taught, *asked])
        for number in range(self.start):
            self.questions.add(number)
        for number in range(self.start, self.start + len(asked)):
            self.questions.join(number)
            self.questions.add(number)
        self.members: dict[int, list[int]] = defaultdict(list)
        for number in range(self.start):
            self.members[self.questions.of(number)].append(number)

    def split(self, number: int, rows: Sequence[Mapping[str, Any]], split_of: SplitOf) -> str | None:
        """Return the split of a row's group; None: its question stands on both sides already."""
        group = self.questions.of(self.start + number)
        if group >= self.start:
            return split_of(rows[group - self.start]["prompt_id"])
        sides = {self.splits[member] for member in self.members[group]}
        return sides.pop() if len(sides) == 1 else None

    def repeated(self, number: int, text: str, threshold: float) -> bool:
        """Return whether a row is a near duplicate of a reasoning row whose question is the same."""
        members = self.members.get(self.questions.of(self.start + number))
        if not members:
            return False
        same = [row for member in members for row in self.rows[member]]
        texts = [normal_text(text_of(messages)) for messages in self.messages.gather(same).to_list()]
        own, *others = all_shingles([text, *texts])
        return any(jaccard(other, own, threshold) >= threshold for other in others)
