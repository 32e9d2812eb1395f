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
from generators.contract.intake import (
    ABSENT,
    NO_RESPONSE,
    Answered,
    BadRow,
    Conversation,
    Shape,
    Shaped,
    lookup,
    missing,
    read_conversation,
    without_non_answers,
)
from generators.contract.records import IMPORTED
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
    teacher: str | None = Field(
        default=None, description="column of the model that wrote it; none: recognized, else `generate.model`"
    )
    finish_reason: str | None = Field(default=None, description="column of stop or length; none: told from <think>")


def import_traces(prompts: pl.DataFrame, model: str, options: Options) -> tuple[Iterator[pl.DataFrame], dict[str, int]]:
    """Return (batches of records.IMPORTED of every completion whose prompt is kept, numbers of dropped ones by reason).

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
        yield frame(kept, IMPORTED)


def _traces(model: str, options: Options, dropped: dict[str, int]) -> Iterator[dict[str, Any]]:
    sampling = canonical_json({"replay": source_of(options.rows.path)})
    samples: Counter[bytes] = Counter()
    faults = Faults(options.rows.strict)
    answered, shape = False, Shape("columns")
    for one, found in read_traced(options, faults):
        shape = one.shape
        answered = answered or any(one.error != NO_RESPONSE for one in found.answers)
        yield from _samples(found, model, sampling, samples)
    if samples and not answered:
        raise InputError(f"{options.rows.path}: {shape.how_to_answer()}")
    if faults.kinds:
        dropped[UNREADABLE] = faults.kinds.total()


def read_traced(options: Options, faults: Faults) -> Iterator[tuple[Shaped, Conversation]]:
    """Yield each row that can be read, with its shape and its conversation; the others are added to `faults`.

    InputError: a named column is missing, or no column can hold a question or a completion.
    """
    verifiers, good = Verifiers(), False
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
            if fault.kind == "missing_column" and not good:  # a setting is wrong, not a row
                raise
            faults.add(fault)
            continue
        good = True
        yield Shaped(one.place, one.row, shape), without_non_answers(found)


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
            "file_verdicts": file_verdicts(answer),
        }


def file_verdicts(answer: Answered) -> str | None:
    """Return the file's own verdicts of a completion as JSON; None where it has none."""
    said = {name: value for name, value in answer.verdicts.items() if value is not None}
    return canonical_json(said) if said else None


def _check_completion(row: dict[str, object], shape: Shape, options: Options, place: str) -> None:
    """Raise an InputError that names the key to set where no column can hold a completion, or a named one is missing.

    A row may lack the columns of reasoning, model and end if others have them. BadRow: it lacks that of the completion.
    """
    for use in ("response", "reasoning", "teacher", "finish_reason"):
        name = getattr(options, use)
        if name is None or lookup(row, name) is not ABSENT:
            continue
        sentence = f"{missing(row, name, f'the {use}', place)} (generate.options.{use})"
        if use == "response":
            raise BadRow("missing_column", sentence)
        if name.partition(".")[0] not in shape.columns:
            raise InputError(sentence)
    if not (shape.responses or shape.messages or shape.reasoning):
        raise InputError(f"{place}: {shape.how_to_answer()}")
