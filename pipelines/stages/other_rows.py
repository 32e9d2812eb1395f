"""Rows of a corpus that are not reasoning traces, such as writing, facts and chat, read from files.

No question of the evaluation is among them, and no row twice. Every row that is left out is counted by its reason:
unreadable, no_assistant_turn, in_evaluation_set, exact_duplicate or near_duplicate.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from filters.text.dedupe import WORD, exact_duplicates, near_duplicates
from generators.contract.chat import check_template_kwargs
from generators.contract.completions import join_reasoning
from generators.contract.config import Config, FileName
from generators.contract.errors import InputError
from generators.contract.ids import canonical_json, prompt_id_of
from generators.contract.intake import BadRow, Shape, Shaped, read_conversation, read_rows

QUOTED_WORDS = 8  # an evaluation question of at least so many words is also found inside a longer message
Messages = list[dict[str, str]]


class OtherRows(Config):
    """Rows that are not reasoning traces: writing, facts, chat (the other 200k of DeepSeek-R1)."""

    path: FileName = Field(description="file of conversations, such as JSONL or parquet with `messages`")
    rows: int | None = Field(None, ge=1, description="how many rows to read; all when left out")
    domain: str = Field("general", description="domain of the rows, as the dataset card counts them")
    license: str | None = Field(None, description="license of the rows, as the dataset card counts it")


@dataclass
class FoundRows:
    """The rows to use, and those left out: their number by reason, and a sentence on the first unreadable one."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    first_fault: str | None = None

    @property
    def rows_in(self) -> int:
        """The number of rows that were read."""
        return len(self.rows) + sum(self.dropped.values())


def read_other_rows(others: Sequence[OtherRows], evaluation: Path | None, threshold: float | None) -> FoundRows:
    """Return the rows of all files, in order, without those of the evaluation and without duplicates.

    evaluation: parquet of records.PROMPT, or None. threshold: Jaccard similarity of 5-word shingles from which rows
    are near duplicates; None keeps them. InputError: a file cannot be read, or holds no usable row.
    """
    found = FoundRows()
    exam = Exam.read(evaluation)
    for other in others:
        usable = 0
        for each in read_rows(other.path, other.rows):
            try:
                one = _row(each, other)
            except InputError as error:
                found.dropped["unreadable"] += 1
                found.first_fault = found.first_fault or str(error)
                continue
            if one is None:
                found.dropped["no_assistant_turn"] += 1
                continue
            usable += 1
            if exam.asked_in(one["messages"]):
                found.dropped["in_evaluation_set"] += 1
            else:
                found.rows.append(one)
        if not usable:
            fault = found.first_fault or "no conversation ends with a message of the assistant"
            raise InputError(f"{other.path} holds no usable row; the first fault: {fault}")
    _drop_repeated(found, threshold)
    return found


def _row(each: Shaped, other: OtherRows) -> dict[str, Any] | None:
    """Return a corpus row; None: the conversation does not end with an answer."""
    row, place = each.row, each.place
    if isinstance(row, BadRow):
        raise row
    messages = _conversation(row, each.shape, place)
    if messages is None:
        return None
    return {
        "trace_id": prompt_id_of(messages),
        "prompt_id": prompt_id_of(messages[:-1]),
        "messages": messages,
        "domain": other.domain,
        "source": Path(other.path).name,
        "license": other.license,
        "chat_template_kwargs": _template_kwargs(row.get("chat_template_kwargs"), place),
    }


def _conversation(row: Mapping[str, Any], shape: Shape, place: str) -> Messages | None:
    """Return the messages with the answer at the end, reasoning between `<think>` tags; None: there is no answer."""
    found = read_conversation(row, shape, place)
    answer = found.answers[0] if found.answers else None
    if answer is None or answer.finish_reason == "error" or not any(m["content"].strip() for m in found.messages):
        return None
    if answer.finish_reason != "stop" or answer.completion.fault:
        raise InputError(f"{place}: the answer is cut or has stray marks: {answer.completion.fault or 'length'}")
    said = answer.completion
    text = join_reasoning(said.reasoning, said.answer, said.wrapping)
    head = (
        [{"role": "system", "content": found.system}] if found.system and found.messages[0]["role"] != "system" else []
    )
    return [*head, *found.messages, {"role": "assistant", "content": text}] if text.strip() else None


def _template_kwargs(given: Any, place: str) -> str | None:
    """Return a row's own template variables as JSON; a parquet column fills in null for keys of other rows."""
    try:
        value = json.loads(given) if isinstance(given, str) and given else given
        return (
            canonical_json(check_template_kwargs({k: v for k, v in value.items() if v is not None})) if value else None
        )
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{place}: chat_template_kwargs is {given!r}; accepted is a JSON object of template variables: {error}"
        ) from None


class Exam:
    """The questions of an evaluation, found again in other spelling of case and space, or inside a longer message."""

    def __init__(self, questions: Sequence[str]) -> None:
        words = [WORD.findall(question.casefold()) for question in questions]
        self.whole = {tuple(one) for one in words if one}
        self.long: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
        for one in self.whole:
            if len(one) >= QUOTED_WORDS:
                self.long[one[:QUOTED_WORDS]].append(one)

    @classmethod
    def read(cls, path: Path | None) -> "Exam":
        """Read the questions of a prompts file; without a file there are none."""
        if path is None or not path.exists():
            return cls([])
        kept = pl.read_parquet(path).filter(pl.col("drop_reason").is_null())
        asked = [[m["content"] for m in messages if m["role"] == "user"] for messages in kept["messages"].to_list()]
        return cls([texts[-1] for texts in asked if texts])

    def asked_in(self, messages: Messages) -> bool:
        """Return whether a message of the user asks one of the questions."""
        if not self.whole:
            return False
        return any(self._asks(message["content"]) for message in messages if message["role"] == "user")

    def _asks(self, text: str) -> bool:
        words = tuple(WORD.findall(text.casefold()))
        if words in self.whole:
            return True
        return any(
            words[start : start + len(one)] == one
            for start in range(len(words) - QUOTED_WORDS + 1)
            for one in self.long.get(words[start : start + QUOTED_WORDS], ())
        )


def _drop_repeated(found: FoundRows, threshold: float | None) -> None:
    texts = ["\n".join(_spoken(row["messages"])) for row in found.rows]
    exact = exact_duplicates(texts)
    first = [index for index, leader in enumerate(exact) if index == leader]
    found.dropped["exact_duplicate"] += len(texts) - len(first)
    if threshold is not None:
        leaders = near_duplicates([texts[index] for index in first], threshold)
        distinct = [index for place, index in enumerate(first) if leaders[place] == place]
        found.dropped["near_duplicate"] += len(first) - len(distinct)
        first = distinct
    found.rows = [found.rows[index] for index in first]
    found.dropped = +found.dropped


def _spoken(messages: Messages) -> Iterator[str]:
    """Yield what user and assistant say; one system message for all rows would make short ones alike."""
    return (message["content"] for message in messages if message["role"] != "system")
