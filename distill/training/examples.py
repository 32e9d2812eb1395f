"""Corpus rows as token ids: the prompt as the chat template renders it, and the completion to learn."""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from generators.contract.chat import (
    assistant_turn,
    check_template_kwargs,
    closed_by_template,
    completion_text,
    opened_by_template,
    render_prompt,
    row_kwargs,
)
from generators.contract.completions import split_reasoning
from generators.contract.errors import InputError, TemplateRefuses

log = logging.getLogger(__name__)
AS_IT_IS = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
ROWS_AT_ONCE = 256  # rows tokenized in one call: enough for every core; a token takes about 150 bytes meanwhile
SWITCH = "chat_template_kwargs"  # the column of template variables, a JSON object


class Refused(str):
    """The reason `template_refuses`, with the template's own words."""

    said: str

    @classmethod
    def by(cls, error: TemplateRefuses) -> "Refused":
        """Return the reason with the error's sentence."""
        reason = cls("template_refuses")
        reason.said = str(error)
        return reason


@dataclass(frozen=True)
class Example:
    """One document: token_ids [L] int32; those from `target_start` on are targets."""

    trace_id: str
    token_ids: NDArray[np.int32]
    target_start: int

    @property
    def targets(self) -> int:
        """The number of target tokens."""
        return len(self.token_ids) - self.target_start


@dataclass
class Dropped:
    """The rows of a corpus file that give no example: their number by reason, and the first refusal of the template."""

    reasons: Counter[str] = field(default_factory=Counter)
    refused: str = ""

    def warn(self, path: Path) -> None:
        """Name the first row that the chat template refuses in a warning."""
        if self.refused:
            count = self.reasons["template_refuses"]
            log.warning("%s: %d rows are dropped as template_refuses; the first, %s", path, count, self.refused)


def load_examples(path: Path, tokenizer: Any, max_tokens: int) -> tuple[list[Example], Counter[str]]:
    """Return the examples of a corpus file in its order, and the number of dropped rows by reason.

    The first row that the chat template refuses is named in a warning.
    """
    dropped = Dropped()
    examples = list(kept_examples(path, tokenizer, max_tokens, dropped))
    dropped.warn(path)
    return examples, dropped.reasons


def kept_examples(path: Path, tokenizer: Any, max_tokens: int, dropped: Dropped) -> Iterator[Example]:
    """Yield the examples of a corpus file in its order, and count the other rows in `dropped`."""
    for row, encoded in enumerate(encode_file(path, tokenizer, max_tokens), start=1):
        if isinstance(encoded, Example):
            yield encoded
            continue
        dropped.reasons[str(encoded)] += 1
        if isinstance(encoded, Refused) and not dropped.refused:
            dropped.refused = f"row {row}: {encoded.said}"


def encode_file(path: Path, tokenizer: Any, max_tokens: int, own_tokens: bool = True) -> Iterator[Example | str]:
    """Yield the result of `encode` for each row of a corpus file; without `own_tokens`, from its text alone."""
    wanted = ("token_ids", SWITCH) if own_tokens else (SWITCH,)
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
        there = file.schema_arrow.names
        columns = ["trace_id", "messages", *(name for name in wanted if name in there)]
        for part in file.iter_batches(ROWS_AT_ONCE, columns=columns):
            yield from encode(part.to_pylist(), tokenizer, max_tokens)


def encode(rows: Sequence[Mapping[str, Any]], tokenizer: Any, max_tokens: int) -> list[Example | str]:
    """Return an Example for each corpus row, or the reason to drop it.

    The reasons: `no_assistant_turn`, `template_refuses`, `thinking_closed` (a row with reasoning whose template
    variables switch thinking off), `no_tokens` and `too_long`. Only the last turn is learned. It is tokenized
    separately from the prompt, as the model writes it, and ends with the template's end of turn. If a row has
    `token_ids` that say the same in the teacher's own tokens, those are learned.
    """
    rendered = [rendered_row(row, tokenizer) for row in rows]
    wanted = [(row, one) for row, one in zip(rows, rendered, strict=True) if not isinstance(one, str)]
    kept, prompts = [row for row, _ in wanted], [prompt for _, (prompt, _) in wanted]
    ids = _tokenize(tokenizer, prompts + [completion for _, (_, completion) in wanted])
    sampled = _sampled(kept, prompts, tokenizer) if wanted else []
    learned = [own or retokenized for own, retokenized in zip(sampled, ids[len(kept) :], strict=True)]
    pairs = zip(ids[: len(kept)], learned, strict=True)
    return [
        one if isinstance(one, str) else _example(row, *next(pairs), max_tokens)
        for row, one in zip(rows, rendered, strict=True)
    ]


def rendered_row(row: Mapping[str, Any], tokenizer: Any) -> tuple[str, str] | str:
    """Return (prompt, completion) of a row as texts, or the reason to drop it."""
    if not _ends_with_assistant(row):
        return "no_assistant_turn"
    *before, last = row["messages"]
    switches = _switches(row)
    if switches is None:
        switches = row_kwargs(tokenizer, last["content"])
    try:
        prompt = render_prompt(tokenizer, before, switches)
    except TemplateRefuses as error:
        return Refused.by(error)
    reasoning, answer = split_reasoning(last["content"])
    if reasoning and closed_by_template(prompt):
        return "thinking_closed"
    if not reasoning and not answer:
        return "no_tokens"
    return prompt, completion_text(tokenizer, prompt, last["content"])


def _switches(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the row's own template variables; None: it has none."""
    given = row.get(SWITCH)
    if given is None:
        return None
    try:
        return check_template_kwargs(json.loads(given) if isinstance(given, str) else given)
    except (ValueError, AttributeError) as error:
        raise InputError(f"row {row['trace_id']}: {SWITCH} is {given!r}; accepted is a JSON object: {error}") from None


def _sampled(rows: Sequence[Mapping[str, Any]], prompts: Sequence[str], tokenizer: Any) -> list[list[int] | None]:
    """Return each row's own token ids if, in this tokenizer, they end its turn and say the same as its message.

    They may differ in whitespace around the reasoning, or spell the same text in other tokens.
    """
    given, end_id = [row.get("token_ids") or [] for row in rows], assistant_turn(tokenizer).end_id
    texts = iter(tokenizer.batch_decode([ids[:-1] for ids in given if _ends(ids, end_id, tokenizer)], **AS_IT_IS))
    return [
        ids if _ends(ids, end_id, tokenizer) and _says(next(texts), prompt, row["messages"][-1]["content"]) else None
        for ids, prompt, row in zip(given, prompts, rows, strict=True)
    ]


def _ends(ids: Sequence[int], end_id: int, tokenizer: Any) -> bool:
    return bool(ids) and ids[-1] == end_id and max(ids) < len(tokenizer)


def _says(text: str, prompt: str, content: str) -> bool:
    (thought, said), (reasoning, answer) = split_reasoning(text, opened_by_template(prompt)), split_reasoning(content)
    return (thought or "", said) == (reasoning or "", answer)


def _ends_with_assistant(row: Mapping[str, Any]) -> bool:
    messages = row["messages"]
    return len(messages) > 1 and messages[-1]["role"] == "assistant" and bool(messages[-1]["content"])


def _tokenize(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    return ids


def _example(row: Mapping[str, Any], prompt: list[int], completion: list[int], max_tokens: int) -> Example | str:
    if not prompt or not completion:
        return "no_tokens"  # the first target is predicted from the prompt's last token
    if len(prompt) + len(completion) > max_tokens:
        return "too_long"
    return Example(row["trace_id"], np.array(prompt + completion, dtype=np.int32), len(prompt))
