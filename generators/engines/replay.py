"""Import existing completions: nothing is sampled, every row of a file or dataset becomes a trace.

Rows are chats (`messages`, or ShareGPT's `conversations`) whose last assistant message is the completion, or a
question and a response in separate columns. The prompts stage reads the questions from the same rows.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from generators.contract.completions import split_reasoning
from generators.contract.engine import EngineOptions
from generators.contract.errors import InputError
from generators.contract.files import frame
from generators.contract.ids import canonical_json, prompt_id_of, trace_id_of
from generators.contract.records import TRACE
from generators.contract.rows import chat_messages, chat_of, column, missing, text_of
from generators.prompts import DatasetPrompts, FilePrompts, prompt_messages, read_rows

BATCH = 10_000
FINISHES = {"stop": "stop", "eos": "stop", "end_turn": "stop", "length": "length", "max_tokens": "length"}


class Options(EngineOptions):
    """Source of the completions. Without `response` they are the last assistant messages of `rows.fields.messages`."""

    rows: Annotated[FilePrompts | DatasetPrompts, Field(discriminator="source")] = Field(
        description="the rows and their question column, as in [prompts]"
    )
    response: str | None = Field(default=None, description="column of the completion; none: the last assistant message")
    teacher: str | None = Field(default=None, description="column of the model that wrote it; none: `model`")
    finish_reason: str | None = Field(default=None, description="column of stop or length; none: told from <think>")


def import_traces(prompts: pl.DataFrame, model: str, options: Options) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return (a records.TRACE frame of every row whose prompt is kept, numbers of dropped rows by reason).

    `model` fills the column `teacher` where the rows have none. Equal texts stay separate samples: sample_index counts
    the rows of a prompt.
    """
    reasons = dict(prompts.sort("drop_reason", nulls_last=True).select("prompt_id", "drop_reason").iter_rows())
    dropped: Counter[str | None] = Counter()
    traces = [frame([], TRACE)]
    rows = _traces(model, options)
    while batch := list(islice(rows, BATCH)):
        kept = [row for row in batch if reasons.get(row["prompt_id"], "no_prompt") is None]
        dropped.update(reasons.get(row["prompt_id"], "no_prompt") for row in batch)
        traces.append(frame(kept, TRACE))
    return pl.concat(traces), {reason: n for reason, n in dropped.items() if reason is not None}


def _traces(model: str, options: Options) -> Iterator[dict[str, Any]]:
    where = options.rows.path
    sampling = canonical_json({"replay": Path(where).name})
    samples: Counter[str] = Counter()
    for number, row in enumerate(read_rows(options.rows), start=1):
        place = f"{where}, row {number}"
        prompt_id = prompt_id_of(prompt_messages(row, options.rows, place))
        teacher = text_of(column(row, options.teacher, "teacher", place), "the teacher", place) or model or "unknown"
        index = samples[prompt_id]
        samples[prompt_id] += 1
        yield {
            "trace_id": trace_id_of(prompt_id, teacher, "", sampling, index),
            "prompt_id": prompt_id,
            "sample_index": index,
            "teacher": teacher,
            "revision": "",
            "sampling": sampling,
            **_completion(row, options, place),
        }


def _completion(row: Mapping[str, Any], options: Options, place: str) -> dict[str, Any]:
    text = _response(row, options, place)
    if text is None:
        return {"answer": "", "finish_reason": "error", "error": "the row has no response"}
    reasoning, answer = split_reasoning(text)
    cut = reasoning is not None and not answer  # thinking that never ended
    stated = text_of(column(row, options.finish_reason, "finish_reason", place), "finish_reason", place)
    finish = FINISHES.get(stated.lower(), "stop") if stated else ("length" if cut else "stop")
    return {"reasoning": reasoning, "answer": answer, "finish_reason": finish}


def _response(row: Mapping[str, Any], options: Options, place: str) -> str | None:
    if options.response is not None:
        return text_of(column(row, options.response, "response", place), "the response", place)
    chat = chat_of(row, options.rows.fields.messages, place)
    if chat is None:
        raise InputError(missing(row, "messages", "the completion (or name its column in options.response)", place))
    messages = chat_messages(chat, place)
    return messages[-1]["content"] if messages[-1]["role"] == "assistant" else None
