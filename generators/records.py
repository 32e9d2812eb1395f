"""The one schema of the toolkit: what a prompt, a trace, a verdict and a corpus row hold.

Every stage reads and writes these as parquet (zstd), readable with polars or `datasets`.
Columns are only ever added after a stage: nothing is deleted, a dropped row gains a `drop_reason`.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))

PROMPT: dict[str, Any] = {
    "prompt_id": pl.String,  # content_id of the messages
    "messages": MESSAGES,
    "domain": pl.String,  # math, code, stem, logic, general
    "verifier": pl.String,  # module name in filters/verifiers, or a dotted path; null = not verifiable
    "reference": pl.String,  # gold answer, tests or constraints (JSON where structured); null = none
    "source": pl.String,
    "license": pl.String,
    "split": pl.String,  # train, eval
    "drop_reason": pl.String,  # null = kept
}

TRACE: dict[str, Any] = {
    "trace_id": pl.String,  # content_id of prompt_id, teacher, revision, sampling, sample_index
    "prompt_id": pl.String,
    "sample_index": pl.Int32,
    "teacher": pl.String,  # model name or path as written in the recipe
    "revision": pl.String,  # content hash of a local model folder, or hub commit
    "sampling": pl.String,  # all decoding parameters, canonical JSON
    "seed": pl.Int64,  # this sample's own seed
    "reasoning": pl.String,  # inside <think>; null = the completion had none
    "answer": pl.String,  # after </think>; "" when thinking never ended
    "finish_reason": pl.String,  # stop, length, error
    "error": pl.String,  # why a sample failed; null otherwise
    "prompt_tokens": pl.Int32,
    "completion_tokens": pl.Int32,
    "token_ids": pl.List(pl.Int32),  # completion ids where the teacher gives them
}

STATUSES = ("correct", "wrong", "unparseable", "timeout", "error")

VERDICT: dict[str, Any] = {
    "trace_id": pl.String,
    "verifier": pl.String,
    "status": pl.String,  # one of STATUSES; a time-out is never "wrong"
    "score": pl.Float64,  # 1.0 correct, 0.0 otherwise, or a verifier's own in [0, 1]
    "reason": pl.String,  # one clause a person understands
    "seconds": pl.Float64,
}

JUDGED: dict[str, Any] = {  # a verdict of a rule, or what a model that was asked after it made of it
    **VERDICT,
    "decided_by": pl.String,  # rule, judge
    "rule_status": pl.String,  # what the rule said, whoever decided
    "rule_reason": pl.String,
    "judge_status": pl.String,  # correct, wrong, unparseable, error; withheld = not shown to it; null = not asked
    "judge_reason": pl.String,
}

SELECTED: dict[str, Any] = {  # a trace with its verdict and what select made of it
    **TRACE,
    "verifier": pl.String,
    "status": pl.String,
    "score": pl.Float64,
    "verdict_reason": pl.String,
    "cluster_id": pl.String,  # trace_id of the first trace of its near-duplicate cluster
    "drop_reason": pl.String,  # null = kept
}

REWRITTEN: dict[str, Any] = {  # a row of SELECTED, or what a model made of one
    **SELECTED,
    "rewritten_from": pl.String,  # trace_id of the original; null = as it was sampled
    "rewrite_failure": pl.String,  # of an original: why no rewrite of it is used; null otherwise
}

CORPUS: dict[str, Any] = {
    "trace_id": pl.String,
    "prompt_id": pl.String,
    "messages": MESSAGES,  # the last one is the assistant's: <think>...</think> and the answer
    "domain": pl.String,
    "source": pl.String,
    "license": pl.String,
    "teacher": pl.String,
    "completion_tokens": pl.Int32,
    "rewritten_from": pl.String,  # trace_id of the trace that a model put into readable form; null = as sampled
    "split": pl.String,  # train, validation
    "token_ids": pl.List(pl.Int32),  # the completion as it was sampled, where `corpus.token_ids` asks for it
}


class Config(BaseModel):
    """Base of every recipe section: unknown keys are refused, values do not change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Keys that say how the work is done, not what comes out: changing one reruns nothing.
    EXECUTION: ClassVar[frozenset[str]] = frozenset()

    def identity(self) -> dict[str, Any]:
        """The JSON values that decide what comes out; a stage reruns when they change."""
        values = self.model_dump(mode="json", exclude=set(self.EXECUTION))
        nested = {key: getattr(self, key) for key in values}
        return {k: v.identity() if isinstance(v, Config) else values[k] for k, v in nested.items()}


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text on every machine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_id(value: Any) -> str:
    """24 hex digits (96 bits) of BLAKE2b over the canonical JSON of `value`."""
    return hashlib.blake2b(canonical_json(value).encode(), digest_size=12).hexdigest()


def prompt_id_of(messages: Sequence[Mapping[str, str]]) -> str:
    """Id of a prompt: its messages alone, so a corrected reference samples nothing again."""
    return content_id([{"role": m["role"], "content": m["content"]} for m in messages])


def trace_id_of(prompt_id: str, teacher: str, revision: str, sampling: str, sample_index: int) -> str:
    """Id of one sample: n 4->8 keeps the first four, another temperature keeps none."""
    return content_id([prompt_id, teacher, revision, sampling, sample_index])


def seed_of(run_seed: int, trace_id: str) -> int:
    """A sample's own 62-bit seed, so that sharding, order and resuming do not change what is drawn."""
    return int.from_bytes(hashlib.blake2b(f"{run_seed}:{trace_id}".encode(), digest_size=8).digest(), "big") >> 2


def frame(rows: Iterable[Mapping[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Rows as a frame of exactly `schema`; a key that is not in the schema is an AssertionError."""
    rows = list(rows)
    unknown = {key for row in rows for key in row} - set(schema)
    assert not unknown, f"columns {sorted(unknown)} are not in the schema {list(schema)}"
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


def write_frame(data: pl.DataFrame, path: Path, *, compression: Literal["zstd", "lz4"] = "zstd") -> None:
    """Write parquet so that `path` either holds all of `data` or does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    level = 1 if compression == "zstd" else None
    data.write_parquet(partial, compression=compression, compression_level=level, statistics=True)
    replace_durably(partial, path)


def write_text(text: str, path: Path) -> None:
    """Write a small text file so that `path` holds the old or the new text, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    replace_durably(partial, path)


def replace_durably(partial: Path, path: Path) -> None:
    """Rename after the bytes are on disk; a rename before that can leave an empty file after a power cut."""
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(partial, path)
