"""Rows of a corpus that are not reasoning traces, such as writing, facts and chat, read from files.

No question of the evaluation is among them, and no row twice. Every completion that is left out is counted by its
reason: unreadable, no_assistant_turn, error, truncated, stray_marks, empty, wrong_in_file, over_cap,
in_evaluation_set, exact_duplicate or near_duplicate.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from generators.contract.chat import check_template_kwargs
from generators.contract.completions import join_reasoning
from generators.contract.config import Config, FileName
from generators.contract.errors import InputError
from generators.contract.ids import canonical_json, prompt_id_of
from generators.contract.intake import (
    ABSENT,
    EMPTY,
    NO_RESPONSE,
    Answered,
    BadRow,
    Conversation,
    Shape,
    Shaped,
    file_says,
    lookup,
    missing,
    read_conversation,
    read_rows,
    without_non_answers,
)
from pipelines.stages.repeated_rows import drop_repeated
from pipelines.stages.same_question import Exam, normal_text

SHOWN_CHARS = 120
log = logging.getLogger(__name__)
Messages = list[dict[str, str]]


class OtherFields(Config):
    """Column names of the file; dots reach into nested columns. A key left out: recognized by the usual names."""

    question: str | None = Field(None, description="column of the question")
    messages: str | None = Field(None, description="column of the chat, in place of a question")
    system: str | None = Field(None, description="column of the system message")
    response: str | None = Field(None, description="column of the answer, where it is not in the chat")
    reasoning: str | None = Field(None, description="column of the reasoning, where it is not in the answer")
    finish_reason: str | None = Field(None, description="column of stop or length")


class OtherRows(Config):
    """Rows that are not reasoning traces: writing, facts, chat (the other 200k of DeepSeek-R1)."""

    path: FileName = Field(description="file of conversations, such as JSONL or parquet with `messages`")
    rows: int | None = Field(None, ge=1, description="how many rows to read; all when left out")
    fields: OtherFields = Field(OtherFields(), description="names of the columns")
    max_per_row: int = Field(
        1, ge=1, description="completions to take of a row that holds several: those first that the file calls right"
    )
    domain: str = Field("general", description="domain of the rows, as the dataset card counts them")
    license: str | None = Field(None, description="license of rows that name none, as the dataset card counts it")


@dataclass
class FoundRows:
    """The rows to use, and those left out: their number by reason, and a sentence on the first of each kind of loss.

    first: unreadable and in_evaluation_set -> a sentence that names the row.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    @property
    def rows_in(self) -> int:
        """The number of completions that were read."""
        return len(self.rows) + sum(self.dropped.values())

    def drop(self, reason: str, sentence: str | None = None) -> None:
        """Count a row that is left out."""
        self.dropped[reason] += 1
        if sentence is not None:
            self.first.setdefault(reason, sentence)


def read_other_rows(
    others: Sequence[OtherRows],
    evaluation: Path | None,
    reasoning: pl.DataFrame,
    threshold: float | None,
    split_of: Callable[[str], str],
) -> FoundRows:
    """Return the rows of all files, in order, each with its split, without the evaluation's and without duplicates.

    evaluation: parquet of records.PROMPT, or None. reasoning: the corpus's rows of records.CORPUS, which are not
    repeated. threshold: Jaccard similarity of 5-word shingles from which rows are near duplicates; None keeps them.
    split_of: the split of a question, by its prompt's id. InputError: a file cannot be read, or holds no usable row.
    """
    found = FoundRows()
    exam = Exam.read(evaluation)
    for other in others:
        _read_file(other, exam, found)
    found.rows, repeated = drop_repeated(found.rows, reasoning, threshold, split_of)
    found.dropped += repeated
    for reason, sentence in found.first.items():
        log.warning("corpus.other: %d left out as %s; the first: %s", found.dropped[reason], reason, sentence)
    return found


def _read_file(other: OtherRows, exam: Exam, found: FoundRows) -> None:
    told, usable, faults = set[str](), 0, Counter[str]()
    first = None
    for each in read_rows(other.path, other.rows):
        shape = _with_fields(each.shape, other.fields)
        if str(shape) not in told:
            told.add(str(shape))
            file = each.place.rpartition(", row ")[0]
            log.warning("%s: recognized as %s; name others with fields = {...} of corpus.other", file, shape)
        try:
            read, lost = _rows(each, shape, other)
        except InputError as error:
            found.drop("unreadable", str(error))
            first = first or str(error)
            continue
        for reason in lost:
            found.drop(reason)
        faults += Counter(lost)
        usable += len(read)
        for one in read:
            if _asks(exam, one["messages"]):
                asked = one["messages"][-2]["content"][:SHOWN_CHARS]
                found.drop("in_evaluation_set", f"{each.place}, {asked!r}")
            else:
                found.rows.append(one)
    if not usable:
        lost_by = ", ".join(f"{count} {reason}" for reason, count in faults.most_common())
        why = "; ".join(filter(None, (lost_by, first and f"the first fault: {first}"))) or "it is empty"
        raise InputError(f"{other.path} holds no usable row: {why}")


def _with_fields(shape: Shape, fields: OtherFields) -> Shape:
    """Return the shape with the columns that the settings name."""
    question = (fields.question,) if fields.question else None
    response = (fields.response,) if fields.response else None
    kept = ("messages", "system", "reasoning", "finish_reason")
    return shape.using(questions=question, responses=response, **{name: getattr(fields, name) for name in kept})


def _rows(each: Shaped, shape: Shape, other: OtherRows) -> tuple[list[dict[str, Any]], list[str]]:
    """Return (the corpus rows of a row of a file, the reasons of its completions that are none)."""
    row, place = each.row, each.place
    if isinstance(row, BadRow):
        raise row
    _check_columns(row, shape, other.fields, place)
    found = without_non_answers(read_conversation(row, shape, place))
    if not any(message["role"] == "user" and message["content"].strip() for message in found.messages):
        return [], ["empty"] * max(1, len(found.answers))
    switches = _template_kwargs(row.get("chat_template_kwargs"), place)
    judged = [(answer, _loss(answer), file_says(answer.verdicts)) for answer in found.answers]
    sound = [(answer, right) for answer, loss, right in judged if loss is None and right is not False]
    taken = sorted(sound, key=lambda one: not one[1])[: other.max_per_row]
    lost = [loss or "wrong_in_file" for _, loss, right in judged if loss is not None or right is False]
    lost += ["over_cap"] * (len(sound) - len(taken)) + [] if judged else ["no_assistant_turn"]
    return [_row(found, answer, switches, other) for answer, _ in taken], lost


def _check_columns(row: Mapping[str, Any], shape: Shape, fields: OtherFields, place: str) -> None:
    """Raise an InputError that names a column which the settings name and the row lacks, or the key to set."""
    for use, name in fields:
        if name is not None and lookup(row, name) is ABSENT:
            raise InputError(missing(row, name, f"the {use}", place))
    if shape.messages is None and not shape.questions:
        raise InputError(f"{missing(row, 'question', 'the prompt', place)}; set fields.question or fields.messages")
    if shape.messages is None and not shape.responses and shape.reasoning is None:
        likely = shape.spoken or next((name for name in row if name not in shape.questions), "response")
        raise InputError(
            f"{place}: no column of a completion is known; there are {', '.join(map(repr, row))}; set"
            f' fields = {{response = "{likely}"}}'
        )


def _loss(answer: Answered) -> str | None:
    """Return the reason not to learn a completion, whatever the file says of it."""
    said = answer.completion
    if answer.finish_reason == "error":
        return {NO_RESPONSE: "no_assistant_turn", EMPTY: "empty"}.get(answer.error or "", "error")
    if answer.finish_reason != "stop":
        return "truncated"
    if not said.answer.strip():
        return "empty"
    return "stray_marks" if said.fault else None


def _row(found: Conversation, answer: Answered, switches: str | None, other: OtherRows) -> dict[str, Any]:
    said = answer.completion
    text = join_reasoning(said.reasoning, said.answer, said.wrapping)
    with_system = found.system and found.messages[0]["role"] != "system"
    head = [{"role": "system", "content": found.system}] if with_system else []
    asked: Messages = [*head, *found.messages]  # type: ignore[list-item]
    messages = [*asked, {"role": "assistant", "content": text}]
    return {
        "trace_id": prompt_id_of(messages),
        "prompt_id": prompt_id_of(asked),
        "messages": messages,
        "domain": other.domain,
        "source": found.source or Path(other.path).name,
        "license": found.license or other.license,
        "teacher": found.teacher,
        "verifier": found.verifier,
        "reference": found.reference,
        "chat_template_kwargs": switches,
    }


def _asks(exam: Exam, messages: Messages) -> bool:
    """Return whether a message is a question of the evaluation or holds one."""
    return bool(exam.whole) and any(
        exam.asks(normal_text(message["content"]), message["role"] == "user") for message in messages
    )


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
