"""Preference pairs: a correct completion of a prompt against a wrong one, chosen the same way every time.

The pairs are planned from the light columns alone, and their texts are read forward once: memory does not grow with
the texts, as long as both files have their prompts in the same order, which those of a run have.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.contract.completions import join_reasoning
from generators.contract.errors import InputError
from pipelines.export.corpus_files import Corpus, read_frames, read_rows

NOT_CORRECT, REWRITTEN = "not_correct", "rewritten"
NO_WRONG, NO_WRONG_LEFT, OVER = "no_wrong_trace", "no_wrong_trace_left", "over_pairs_per_prompt"
REASONS = ("", NOT_CORRECT, REWRITTEN, NO_WRONG, NO_WRONG_LEFT, OVER)  # why a row has no pair
PAIRED = 0
LAST_BYTES = pl.col("messages").list.last().struct.field("content").str.len_bytes().cast(pl.Int64).alias("bytes")
TRACE_BYTES = (
    (pl.col("reasoning").fill_null("").str.len_bytes() + pl.col("answer").str.len_bytes()).cast(pl.Int64).alias("bytes")
)
ENDED_WRONG = (
    (pl.col("status") == "wrong") & (pl.col("finish_reason") == "stop") & (pl.col("answer").str.strip_chars() != "")
)
# 64 bits: a table of the ids themselves would be ten times as large.
PROMPT_HASH = pl.col("prompt_id").hash(seed=0).alias("prompt")
TEXTS = ("trace_id", "messages", "reasoning", "answer", "wrapping")


@dataclass(frozen=True)
class Plan:
    """The pairs of a corpus file, by its row numbers; arrays, because there may be millions of rows.

    wrong_of: the row of the file of wrong traces, or -1 where a row has no pair. reasons: then the index in REASONS.
    """

    wrong_of: NDArray[np.int64]
    reasons: NDArray[np.int8]

    def reason(self, row: int) -> str:
        """Return why a row has no pair."""
        return REASONS[self.reasons[row]]


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
    right, others = _outline(file), _wrong_outline(wrong).sort("prompt", "row")
    prompts, numbers, sizes = (others[name].to_numpy() for name in ("prompt", "row", "bytes"))
    lengths = right["bytes"].to_numpy()
    starts = np.searchsorted(prompts, right["prompt"].to_numpy(), "left")
    ends = np.searchsorted(prompts, right["prompt"].to_numpy(), "right")
    free, made = np.ones(len(prompts), bool), np.zeros(len(prompts) + 1, np.int32)
    plan = Plan(np.full(len(right), -1, np.int64), right["reason"].to_numpy().copy())
    for row in np.flatnonzero(plan.reasons == PAIRED):
        start, end = starts[row], ends[row]
        left = start + np.flatnonzero(free[start:end])
        if made[start] == pairs_per_prompt and start < end:
            plan.reasons[row] = REASONS.index(OVER)
        elif not len(left):
            plan.reasons[row] = REASONS.index(NO_WRONG_LEFT if start < end else NO_WRONG)
        else:
            nearest = left[np.abs(sizes[left] - lengths[row]).argmin()]
            free[nearest], plan.wrong_of[row] = False, numbers[nearest]
            made[start] += 1
    return plan


def _outline(file: Path) -> pl.DataFrame:
    """Return the hash of each row's prompt, the bytes of its completion, and the reason why it cannot be in a pair."""
    parts = []
    for rows in read_frames(file, ("prompt_id", "verdict", "rewritten_from", "messages")):
        rewritten = pl.col("rewritten_from").is_not_null() if "rewritten_from" in rows.columns else pl.lit(False)
        judged = pl.when(pl.col("verdict").eq_missing("correct")).then(PAIRED).otherwise(REASONS.index(NOT_CORRECT))
        reason = pl.when(rewritten).then(REASONS.index(REWRITTEN)).otherwise(judged).cast(pl.Int8).alias("reason")
        parts.append(rows.select(PROMPT_HASH, LAST_BYTES, reason))
    return pl.concat(parts)


def _wrong_outline(file: Path) -> pl.DataFrame:
    """Return row number, hash of the prompt and bytes of the wrong traces that ended by themselves with an answer."""
    of_traces = "status" in pl.read_parquet_schema(file)
    columns = ("prompt_id", "status", "finish_reason", "reasoning", "answer", "fault")
    wrong, size = (ENDED_WRONG, TRACE_BYTES) if of_traces else (pl.col("verdict") == "wrong", LAST_BYTES)
    parts, seen = [pl.DataFrame(schema={"row": pl.UInt32, "prompt": pl.UInt64, "bytes": pl.Int64})], 0
    for rows in read_frames(file, columns if of_traces else ("prompt_id", "verdict", "messages")):
        sound = pl.col("fault").is_null() if "fault" in rows.columns else pl.lit(True)
        parts.append(rows.with_row_index("row", offset=seen).filter(wrong, sound).select("row", PROMPT_HASH, size))
        seen += len(rows)
    return pl.concat(parts)


class Texts:
    """The completions of some rows of a file, read forward once; one that was passed is kept until it is taken."""

    def __init__(self, file: Path, wanted: NDArray[np.int64]) -> None:
        self._rows = enumerate(read_rows(file, TEXTS))
        self._wanted = np.zeros(int(wanted.max(initial=-1)) + 1, bool)
        self._wanted[wanted] = True
        self._passed: dict[int, tuple[str, str]] = {}

    def take(self, index: int) -> tuple[str, str]:
        """Return (trace_id, text of the assistant's message) of a row."""
        while index not in self._passed:
            number, row = next(self._rows)
            if self._wanted[number]:
                self._passed[number] = (row["trace_id"], _text(row))
        return self._passed.pop(index)


def _text(row: dict[str, Any]) -> str:
    if "answer" not in row:
        content: str = row["messages"][-1]["content"]
        return content
    return join_reasoning(row["reasoning"], row["answer"], row.get("wrapping"))


def paired_rows(
    file: Path, wrong: Path, plan: Plan, columns: Sequence[str]
) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield (corpus row, wrong trace's id, its text) for each row; for a row without a pair ("", reason)."""
    texts = Texts(wrong, plan.wrong_of[plan.wrong_of >= 0])
    for index, row in enumerate(read_rows(file, columns)):
        place = int(plan.wrong_of[index])
        yield (row, *texts.take(place)) if place >= 0 else (row, "", plan.reason(index))
