"""The parquet schemas of the toolkit: prompts, traces, verdicts and corpus rows.

Every stage reads and writes them as parquet (zstd), readable with polars or `datasets`. Later stages only add columns:
no row is deleted, a dropped row gains a `drop_reason`.
"""

from typing import Any

import polars as pl

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))

PROMPT: dict[str, Any] = {
    "prompt_id": pl.String,  # content_id of the messages
    "messages": MESSAGES,
    "domain": pl.String,  # math, code, stem, logic, general
    "verifier": pl.String,  # module name in filters/verifiers, or a dotted path; null = not verifiable
    "reference": pl.String,  # reference answer, tests or constraints (JSON where structured); null = none
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
    "token_ids": pl.List(pl.Int32),  # of the completion, where the engine returns them
    "wrapping": pl.List(pl.String),  # texts before the reasoning, between it and the answer, after it; null = unknown
    "fault": pl.String,  # why the text is never learned, such as a thinking mark inside the answer; null = none
}

IMPORTED: dict[str, Any] = {  # a trace that was read from a file
    **TRACE,
    "file_verdicts": pl.String,  # JSON object of the file's own verdicts, such as correctness_math_verify; null = none
}

STATUSES = ("correct", "wrong", "unparseable", "timeout", "error")

VERDICT: dict[str, Any] = {
    "trace_id": pl.String,
    "verifier": pl.String,
    "status": pl.String,  # one of STATUSES; a time-out is never "wrong"
    "score": pl.Float64,  # 1.0 correct, 0.0 otherwise, or a verifier's own in [0, 1]
    "reason": pl.String,  # one clause in plain English
    "seconds": pl.Float64,
}

JUDGED: dict[str, Any] = {  # a rule's verdict, possibly overruled by a judge model that was asked afterwards
    **VERDICT,
    "decided_by": pl.String,  # rule, judge
    "rule_status": pl.String,  # of the rule, also where the judge decided
    "rule_reason": pl.String,
    "judge_status": pl.String,  # correct, wrong, unparseable, error; withheld = not shown to it; null = not asked
    "judge_reason": pl.String,
}

SELECTED: dict[str, Any] = {  # a trace with its verdict and the decision of select
    **TRACE,
    "verifier": pl.String,
    "status": pl.String,
    "score": pl.Float64,
    "verdict_reason": pl.String,
    "cluster_id": pl.String,  # trace_id of the first trace of its near-duplicate cluster
    "drop_reason": pl.String,  # null = kept
}

REWRITTEN: dict[str, Any] = {  # a row of SELECTED, or a model's rewrite of one
    **SELECTED,
    "rewritten_from": pl.String,  # trace_id of the original; null = not a rewrite
    "rewrite_failure": pl.String,  # why no rewrite of this original is used; null otherwise
}

CORPUS: dict[str, Any] = {
    "trace_id": pl.String,
    "prompt_id": pl.String,
    "messages": MESSAGES,  # the last one is the assistant's: <think>...</think> and the answer
    "domain": pl.String,
    "source": pl.String,
    "license": pl.String,
    "teacher": pl.String,
    "verifier": pl.String,  # of the prompt; null = not verifiable, or a row from elsewhere
    "reference": pl.String,  # of the prompt: reference answer, tests or constraints
    "verdict": pl.String,  # one of STATUSES
    "reward": pl.Float64,  # the verdict's score, in [0, 1]
    "solve_rate": pl.Float64,  # correct verdicts over all verdicts of the prompt's samples
    "chat_template_kwargs": pl.String,  # JSON object: switches of the chat template; null = the template's defaults
    "completion_tokens": pl.Int32,
    "rewritten_from": pl.String,  # trace_id of the original of a rewrite; null = as sampled
    "split": pl.String,  # train, validation
    "token_ids": pl.List(pl.Int32),  # of the completion as sampled, with `corpus.token_ids`
}
