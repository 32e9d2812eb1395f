"""Corpus rows as token ids: the prompt as the chat template renders it, and the completion to learn."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.contract.chat import completion_text, opened_by_template, render_prompt
from generators.contract.completions import split_reasoning

AS_IT_IS = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
ROWS_AT_ONCE = 2048  # rows tokenized in one call: enough for every core; ids as Python lists take ten times an array


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


def load_examples(path: Path, tokenizer: Any, max_tokens: int) -> tuple[list[Example], Counter[str]]:
    """Return the examples of a corpus file in its order, and the number of dropped rows by reason."""
    examples: list[Example] = []
    dropped: Counter[str] = Counter()
    for encoded in encode_file(path, tokenizer, max_tokens):
        if isinstance(encoded, Example):
            examples.append(encoded)
        else:
            dropped[encoded] += 1
    return examples, dropped


def encode_file(path: Path, tokenizer: Any, max_tokens: int, own_tokens: bool = True) -> Iterator[Example | str]:
    """Yield the result of `encode` for each row of a corpus file; without `own_tokens`, from its text alone."""
    columns = ["trace_id", "messages"]
    if own_tokens and "token_ids" in pl.read_parquet_schema(path):
        columns.append("token_ids")
    rows = pl.read_parquet(path, columns=columns)
    for part in rows.iter_slices(ROWS_AT_ONCE):
        yield from encode(part.to_dicts(), tokenizer, max_tokens)


def encode(rows: Sequence[Mapping[str, Any]], tokenizer: Any, max_tokens: int) -> list[Example | str]:
    """Return an Example for each corpus row, or the reason to drop it: `no_assistant_turn`, `no_tokens` or `too_long`.

    Only the last turn is learned. It is tokenized separately from the prompt, as the model writes it. If a row has
    `token_ids` that say the same in the teacher's own tokens, those are learned.
    """
    wanted = [row for row in rows if _ends_with_assistant(row)]
    prompts = [render_prompt(tokenizer, row["messages"][:-1]) for row in wanted]
    completions = [
        completion_text(tokenizer, prompt, row["messages"][-1]["content"])
        for prompt, row in zip(prompts, wanted, strict=True)
    ]
    ids = _tokenize(tokenizer, prompts + completions)
    sampled = _sampled(wanted, prompts, tokenizer)
    learned = [own or retokenized for own, retokenized in zip(sampled, ids[len(wanted) :], strict=True)]
    pairs = zip(ids[: len(wanted)], learned, strict=True)
    return [
        _example(row, *next(pairs), max_tokens) if _ends_with_assistant(row) else "no_assistant_turn" for row in rows
    ]


def _sampled(rows: Sequence[Mapping[str, Any]], prompts: Sequence[str], tokenizer: Any) -> list[list[int] | None]:
    """Return each row's own token ids if, in this tokenizer, they end its turn and say the same as its message.

    They may differ in whitespace around the reasoning, or spell the same text in other tokens.
    """
    given = [row.get("token_ids") or [] for row in rows]
    texts = iter(tokenizer.batch_decode([ids[:-1] for ids in given if _ends(ids, tokenizer)], **AS_IT_IS))
    return [
        ids if _ends(ids, tokenizer) and _says(next(texts), prompt, row["messages"][-1]["content"]) else None
        for ids, prompt, row in zip(given, prompts, rows, strict=True)
    ]


def _ends(ids: Sequence[int], tokenizer: Any) -> bool:
    return bool(ids) and ids[-1] == tokenizer.eos_token_id and max(ids) < len(tokenizer)


def _says(text: str, prompt: str, content: str) -> bool:
    return split_reasoning(text, opened_by_template(prompt)) == split_reasoning(content)


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
