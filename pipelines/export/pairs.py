"""Preference pairs: a correct completion of a prompt against a wrong one, chosen the same way every time.

The pairs are planned from the light columns alone, and their texts are read forward once: memory does not grow with
the texts, as long as both files have their prompts in the same order, which those of a run have.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from generators.contract.completions import join_reasoning
from generators.contract.errors import InputError
from pipelines.export.corpus_files import Corpus, read_rows

NOT_CORRECT, REWRITTEN = "not_correct", "rewritten"
NO_WRONG, NO_WRONG_LEFT, OVER = "no_wrong_trace", "no_wrong_trace_left", "over_pairs_per_prompt"
TEXTS = ("trace_id", "messages", "reasoning", "answer", "wrapping")


@dataclass
class Plan:
    """Row numbers of the pairs of a corpus file, and of the rows without one the reason."""

    wrong_of: dict[int, int] = field(default_factory=dict)  # row of the corpus file -> row of the file of wrong traces
    left_out: dict[int, str] = field(default_factory=dict)


def wrong_traces(corpus: Corpus, file: Path) -> Path:
    """Return the file with the wrong traces: the run's selection, the corpus' unfiltered rows, or `file` itself."""
    selected = corpus.run / "select" / "selected.parquet" if corpus.run else None
    if selected and selected.exists():
        return selected
    beside = file.with_name("unfiltered.parquet")
    return beside if beside.exists() else file


def plan_pairs(file: Path, wrong: Path, pairs_per_prompt: int) -> Plan:
    """Pair each correct row with the unused wrong trace of its prompt that is nearest in length; of two, the earlier.

    Near lengths, so that a preference for long or short answers is not what is learned.
    """
    if "verdict" not in pl.read_parquet_schema(file):
        raise InputError(f"{file} has no column 'verdict': it is of an older version; make the corpus again")
    candidates = _wrong_by_prompt(wrong)
    plan, made, seen = Plan(), defaultdict[str, int](int), set[str]()
    for index, prompt, verdict, rewritten, length in _outline(file).iter_rows():
        left = candidates.get(prompt)
        if verdict != "correct" or rewritten:
            plan.left_out[index] = REWRITTEN if rewritten else NOT_CORRECT
        elif made[prompt] == pairs_per_prompt:
            plan.left_out[index] = OVER
        elif not left:
            plan.left_out[index] = NO_WRONG_LEFT if prompt in seen else NO_WRONG
        else:
            nearest = min(left, key=lambda pair: (abs(pair[1] - length), pair[0]))
            left.remove(nearest)
            plan.wrong_of[index] = nearest[0]
            made[prompt] += 1
            seen.add(prompt)
    return plan


def _outline(file: Path) -> pl.DataFrame:
    """Return row number, prompt, verdict, whether the row is a rewrite, and the bytes of the completion."""
    rewritten = "rewritten_from" in pl.read_parquet_schema(file)
    columns = (
        "prompt_id",
        "verdict",
        (pl.col("rewritten_from").is_not_null() if rewritten else pl.lit(False)).alias("rewritten"),
        pl.col("messages").list.last().struct.field("content").str.len_bytes().alias("length"),
    )
    return pl.scan_parquet(file).with_row_index().select("index", *columns).collect(engine="streaming")


def _wrong_by_prompt(file: Path) -> dict[str, list[tuple[int, int]]]:
    """Return (row number, bytes) of the wrong traces that ended by themselves and have an answer, by prompt."""
    names = pl.read_parquet_schema(file)
    rows = pl.scan_parquet(file).with_row_index()
    if "status" in names:
        length = pl.col("reasoning").fill_null("").str.len_bytes() + pl.col("answer").str.len_bytes()
        answered = (pl.col("finish_reason") == "stop") & (pl.col("answer").str.strip_chars() != "")
        rows = rows.filter((pl.col("status") == "wrong") & answered)
    else:
        length = pl.col("messages").list.last().struct.field("content").str.len_bytes()
        rows = rows.filter(pl.col("verdict") == "wrong")
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for prompt, index, size in rows.select("prompt_id", "index", length).collect(engine="streaming").iter_rows():
        found[prompt].append((index, size))
    return found


class Texts:
    """The completions of some rows of a file, read forward once; one that was passed is kept until it is taken."""

    def __init__(self, file: Path, wanted: Sequence[int]) -> None:
        self._rows = enumerate(read_rows(file, TEXTS))
        self._wanted = set(wanted)
        self._passed: dict[int, tuple[str, str]] = {}

    def take(self, index: int) -> tuple[str, str]:
        """Return (trace_id, text of the assistant's message) of a row."""
        while index not in self._passed:
            number, row = next(self._rows)
            if number in self._wanted:
                self._passed[number] = (row["trace_id"], _text(row))
        return self._passed.pop(index)


def _text(row: dict[str, Any]) -> str:
    if "answer" not in row:
        content: str = row["messages"][-1]["content"]
        return content
    return join_reasoning(row["reasoning"], row["answer"])


def paired_rows(
    file: Path, wrong: Path, plan: Plan, columns: Sequence[str]
) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield (corpus row, wrong trace's id, its text) for each row; for a row without a pair ("", reason)."""
    texts = Texts(wrong, list(plan.wrong_of.values()))
    for index, row in enumerate(read_rows(file, columns)):
        if index in plan.wrong_of:
            yield row, *texts.take(plan.wrong_of[index])
        else:
            yield row, "", plan.left_out[index]
