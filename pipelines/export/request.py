"""The request that an export answers, and the parts that it writes."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.export.corpus_files import ABOUT, KWARGS, Corpus, count, read_frames
from pipelines.export.rendering import Renderer
from pipelines.export.soft_targets import SoftTargets

Ending = Literal["jsonl", "parquet"]
Row = dict[str, Any]
Convert = Callable[[list[Row]], list[Row | str]]  # corpus rows -> the columns of their form, or why one is left out

NO_TURN, NO_CONTENT = "no_assistant_turn", "no_content"


@dataclass(frozen=True)
class Request:
    """A corpus and how it is to be written.

    renderer: of the student's chat template, where one is given. notes: sentences that a user should read.
    """

    corpus: Corpus
    ending: Ending = "jsonl"
    renderer: Renderer | None = None
    soft_targets: SoftTargets | None = None
    pairs_per_prompt: int = 1
    notes: list[str] = field(default_factory=list)


def warn_of_messages(asked: Request) -> None:
    """Add the note that some chat templates lose the reasoning of messages; it names the run's student."""
    student = asked.corpus.student or "NAME"
    asked.notes.append(
        "chat templates of the DeepSeek-R1-Distill kind drop all text before </think> from the messages they render, "
        f"and then a trainer learns no reasoning at all; with --student {student} the rows are rendered here, which "
        "keeps it"
    )


@dataclass(frozen=True)
class Part:
    """A file of an export, or a folder of `sessions`: its rows, and for each row that is left out the reason."""

    name: str  # train, validation, prompts
    total: int  # rows and reasons that `rows` will yield
    rows: Iterable[Row | str]
    schema: Mapping[str, Any]
    sessions: bool = False


def corpus_parts(asked: Request, convert: Convert, schema: Mapping[str, Any], *, about: bool = True) -> list[Part]:
    """Return one part a split: each corpus row converted, with the columns that say what it is if `about` is on."""
    corpus, targets = asked.corpus, asked.soft_targets
    types = dict(schema) | (corpus.about if about else {}) | (targets.schema if targets else {})
    if schema and corpus.switches and asked.renderer is None and KWARGS not in schema:
        asked.notes.append(
            f"some rows set {', '.join(corpus.switches)} of the chat template, for which this form has no place: set "
            "what most rows need in the trainer, or split the corpus"
        )
    columns = ("messages", KWARGS, *ABOUT, *(("token_ids",) if targets or asked.renderer else ()))

    def rows(split: str) -> Iterator[Row | str]:
        for frame in read_frames(corpus.files[split], columns):
            several = frame.to_dicts()
            yield from _whole(several, asked, convert, about)

    return [Part(split, count(file), rows(split), types) for split, file in corpus.files.items()]


def _whole(rows: list[Row], asked: Request, convert: Convert, about: bool) -> Iterator[Row | str]:
    faults = [unfit(row["messages"]) for row in rows]
    fit = [row for row, fault in zip(rows, faults, strict=True) if fault is None]
    soft = asked.soft_targets.columns(fit) if asked.soft_targets else [{}] * len(fit)
    found = zip(fit, convert(fit), soft, strict=True)
    for row, fault in zip(rows, faults, strict=True):
        if fault is not None:
            yield fault
            continue
        _, made, targets = next(found)
        if isinstance(made, str) or isinstance(targets, str):
            yield made if isinstance(made, str) else str(targets)
        else:
            yield made | (asked.corpus.about_row(row) if about else {}) | targets


def each(convert: Callable[[Row], Row | str]) -> Convert:
    """Return a function that converts rows one by one."""
    return lambda rows: [convert(row) for row in rows]


def unfit(messages: list[Row] | None) -> str | None:
    """Return why a conversation is no prompt with the assistant's message after it; None where it is."""
    if not messages or len(messages) < 2 or messages[-1]["role"] != "assistant" or not messages[-1]["content"]:
        return NO_TURN
    return NO_CONTENT if any(message["content"] is None for message in messages) else None


def turns(messages: list[Row]) -> tuple[str | None, list[Row]] | None:
    """Split a conversation into its system text and turns user, assistant, user, ...; None if they do not alternate."""
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    rest = messages if system is None else messages[1:]
    wanted = ["user" if i % 2 == 0 else "assistant" for i in range(len(rest))]
    return (system, rest) if [message["role"] for message in rest] == wanted else None


def json_text(value: Any) -> str:
    """Return a value as readable JSON, for settings files."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
