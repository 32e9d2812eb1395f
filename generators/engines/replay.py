"""Import existing completions: nothing is sampled, every completion in a file or dataset becomes a trace.

The intake recognizes where questions and completions stand (docs/importing.md); a row may hold several completions. The
prompts stage reads the questions from the same rows.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from generators.contract.engine import EngineOptions
from generators.contract.errors import InputError
from generators.contract.files import frame
from generators.contract.ids import canonical_json, prompt_id_of, trace_id_of
from generators.contract.intake import ABSENT, BadRow, Conversation, Shape, Shaped, lookup, missing, read_conversation
from generators.contract.intake.conversations import NO_RESPONSE
from generators.contract.records import TRACE
from generators.prompt_settings import DatasetPrompts, FilePrompts
from generators.prompts import (
    UNREADABLE,
    Faults,
    Verifiers,
    check_columns,
    check_shape,
    conversation_of,
    read_rows,
    source_of,
)

BATCH = 4096


class Options(EngineOptions):
    """Source of the completions. Columns that are not named are recognized by their usual names."""

    rows: Annotated[FilePrompts | DatasetPrompts, Field(discriminator="source")] = Field(
        description="the rows and their question column, as in [prompts]"
    )
    response: str | None = Field(default=None, description="column of the completion; none: recognized")
    reasoning: str | None = Field(
        default=None, description="column of the reasoning, where it is not in the completion; none: recognized"
    )
    teacher: str | None = Field(default=None, description="column of the model that wrote it; none: `model`")
    finish_reason: str | None = Field(default=None, description="column of stop or length; none: told from <think>")


def import_traces(prompts: pl.DataFrame, model: str, options: Options) -> tuple[Iterator[pl.DataFrame], dict[str, int]]:
    """Return (batches of records.TRACE of every completion whose prompt is kept, numbers of dropped ones by reason).

    The numbers are complete once the batches are exhausted. `model` fills the column `teacher` where the rows have
    none. Equal texts stay separate samples: sample_index counts the completions of a prompt.
    """
    reasons = dict(prompts.sort("drop_reason", nulls_last=True).select("prompt_id", "drop_reason").iter_rows())
    dropped: dict[str, int] = {}
    return _batches(reasons, dropped, _traces(model, options, dropped)), dropped


def _batches(
    reasons: dict[str, str | None], dropped: dict[str, int], rows: Iterator[dict[str, Any]]
) -> Iterator[pl.DataFrame]:
    while batch := list(islice(rows, BATCH)):
        kept = []
        for row in batch:
            reason = reasons.get(row["prompt_id"], "no_prompt")
            if reason is None:
                kept.append(row)
            else:
                dropped[reason] = dropped.get(reason, 0) + 1
        yield frame(kept, TRACE)


def _traces(model: str, options: Options, dropped: dict[str, int]) -> Iterator[dict[str, Any]]:
    sampling = canonical_json({"replay": source_of(options.rows.path)})
    samples: Counter[bytes] = Counter()
    faults = Faults(options.rows.strict)
    answered = False
    for _, found in read_traced(options, faults):
        answered = answered or any(one.error != NO_RESPONSE for one in found.answers)
        yield from _samples(found, model, sampling, samples)
    if samples and not answered:
        raise InputError(
            f"{options.rows.path}: no row has a completion; name its column: set generate.options.response"
        )
    if faults.kinds:
        dropped[UNREADABLE] = faults.kinds.total()


def read_traced(options: Options, faults: Faults) -> Iterator[tuple[Shaped, Conversation]]:
    """Yield each row that can be read, with its shape and its conversation; the others are added to `faults`.

    InputError: a named column is missing, or no column can hold a question or a completion.
    """
    verifiers = Verifiers()
    for one in read_rows(options.rows):
        shape = completed(one.shape, options)
        try:
            if isinstance(one.row, BadRow):
                raise one.row
            check_shape(one.row, shape, one.place)
            check_columns(one.row, options.rows.fields, one.place)
            _check_completion(one.row, shape, options, one.place)
            found = conversation_of(read_conversation(one.row, shape, one.place), shape, options.rows)
            verifiers.check(found.verifier, one.place)
        except BadRow as fault:
            faults.add(fault)
            continue
        yield Shaped(one.place, one.row, shape), found


def completed(shape: Shape, options: Options) -> Shape:
    """Return the shape with the columns of completions that the options name."""
    return shape.using(
        responses=(options.response,) if options.response else None,
        reasoning=options.reasoning,
        finish_reason=options.finish_reason,
        teacher=options.teacher,
    )


def _samples(found: Conversation, model: str, sampling: str, samples: Counter[bytes]) -> Iterator[dict[str, Any]]:
    prompt_id = prompt_id_of(found.messages)
    teacher = found.teacher or model or "unknown"
    for answer in found.answers:
        index = samples[bytes.fromhex(prompt_id)]
        samples[bytes.fromhex(prompt_id)] += 1
        yield {
            "trace_id": trace_id_of(prompt_id, teacher, "", sampling, index),
            "prompt_id": prompt_id,
            "sample_index": index,
            "teacher": teacher,
            "revision": "",
            "sampling": sampling,
            **answer.columns(),
        }


def _check_completion(row: dict[str, object], shape: Shape, options: Options, place: str) -> None:
    """Raise an InputError that names the key to set where no column can hold a completion."""
    for name, use in ((options.response, "response"), (options.reasoning, "reasoning"), (options.teacher, "teacher")):
        if name and lookup(row, name) is ABSENT:
            raise InputError(missing(row, name, f"the {use}", place))
    if shape.responses or shape.messages or shape.reasoning:
        return
    likely = shape.spoken or next((name for name in row if name not in shape.questions), "response")
    there = ", ".join(map(repr, row))
    raise InputError(
        f'{place}: no column of a completion is known; there are {there}; set generate.options.response = "{likely}"'
    )
