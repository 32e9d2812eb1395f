"""The rewrite stage: a model puts each kept trace into readable form, and the rewritten trace is verified again.

DeepSeek-R1 refined raw outputs of R1-Zero in this way for its cold start (arXiv 2501.12948, section 2.3.1): reasoning
that people can follow, and a summary after it. The replies are samples like any other, from the engines, the scheduler
and the ledger of the generate stage: up to `max_rewrites` of a trace until one is correct, each checked while the next
ones are sampled.

Nothing is lost: the original, every reply and the reason against it are rows of rewritten.parquet.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from filters.text.readability import READABLE, TEXTS, ReadabilityConfig, questions, reason_against, reasons_against
from filters.verification.pool import Pool
from filters.verify import VerifyConfig, build_worker, check_prompts, prompts_by_id
from generators.contract.completions import CLOSE, OPEN
from generators.contract.config import ModelName
from generators.contract.engine import SamplingConfig
from generators.contract.files import frame, replace_durably, scan_rows, write_frame
from generators.contract.ids import content_id, prompt_id_of
from generators.contract.records import PROMPT, REWRITTEN, SELECTED
from generators.contract.stage_protocol import IN_PROCESS, Runtime, StageCounts, Stream, Worker, counts_by_reason
from generators.generate import generate
from generators.sampling.adaptive import AdaptiveConfig
from generators.sampling.live_verdicts import LiveVerdict, LiveVerify, Row
from generators.sampling.settings import GenerateConfig, SamplerConfig
from pipelines.live_verifier import verify_live

TAGS = ("<reasoning>", "</reasoning>", "<summary>", "</summary>")
PARTS = re.compile(r"<reasoning>(.*)</reasoning>\s*<summary>(.*)</summary>", re.DOTALL)
SHARD_ROWS = 1000  # replies that a worker verifies at a time
SCRATCH = ("requests.parquet", "traces.parquet", "pass_rates.parquet", "live_verdicts.jsonl")
INSTRUCTIONS = """\
You edit the worked solutions of a reasoning model so that people can follow them easily. You are given a question, \
the model's raw reasoning and its answer. Rewrite them.

The reasoning:
- Keep the line of thought, in its order and in the first person: every step that the result rests on, the doubts and \
checks, and those wrong turns from which something was learned.
- Leave out loops, repetitions, broken sentences and what leads nowhere.
- Write in the language of the question and in no other, in short paragraphs, one thought each. Use no code blocks \
unless the question is about code.
- Add no ideas of your own, and do not change the result, even if you believe that it is wrong.

The summary: the solution in a few sentences for somebody who has not read the reasoning. It ends with the final \
answer in the form in which the raw answer gives it, such as \\boxed{...}.

Reply in exactly this form, with nothing before or after it:
<reasoning>
...
</reasoning>
<summary>
...
</summary>"""


class RewriteConfig(SamplerConfig):
    """The rewriting model, its attempts, and the treatment of traces that it cannot rewrite."""

    model: ModelName = Field(description="a model folder, or the name of a model on the Hugging Face hub or a server")
    sampling: SamplingConfig = Field(SamplingConfig(max_new_tokens=16384), description="decoding parameters")
    max_rewrites: int = Field(default=2, ge=1, description="most rewrites of one trace, until one is correct")
    on_failure: Literal["original", "drop"] = Field(
        default="drop", description="treatment of a trace without a correct rewrite: keep the original, or drop it"
    )
    readability: ReadabilityConfig = Field(
        default=READABLE, description="limits of readable text; a table here replaces all of the defaults"
    )

    @model_validator(mode="after")
    def _check(self) -> "RewriteConfig":
        if "n" in self.sampling.model_fields_set:
            raise ValueError(f"sampling.n is {self.sampling.n}; set max_rewrites instead, and leave n out")
        return self

    def generation(self) -> GenerateConfig:
        """Return the settings of sampling: one more rewrite where the last is wrong, up to `max_rewrites`."""
        again = AdaptiveConfig(correct=1, max_samples=self.max_rewrites, look_ahead=0)
        kept = {key: getattr(self, key) for key in ("engine", "model", "options", "max_attempts", "give_up_after_s")}
        sampling = self.sampling.model_copy(update={"n": self.max_rewrites})
        return GenerateConfig(**kept, sampling=sampling, adaptive=again)

    def identity(self) -> dict[str, Any]:
        """Return the values that decide the result, our instructions included."""
        own = {"on_failure": self.on_failure, "readability": self.readability.identity()}
        return self.generation().identity() | own | {"instructions": content_id(INSTRUCTIONS)}


@dataclass(frozen=True, slots=True)
class Task:
    """A trace to rewrite; `prompt` holds its messages, verifier and reference."""

    original: str  # trace_id
    messages: Sequence[dict[str, str]]  # what the model is asked
    prompt: Mapping[str, Any]
    question: str
    domain: str


Tasks = Mapping[str, Task]  # by the prompt_id of the request
Reply = tuple[Task, dict[str, Any]]  # with a records.REWRITTEN row


def rewrite(
    selected: Path,
    prompts: Path,
    out: Path,
    config: RewriteConfig,
    verifying: VerifyConfig,
    *,
    runtime: Runtime = IN_PROCESS,
) -> StageCounts:
    """Write out/rewritten.parquet (records.REWRITTEN): all rows of `selected`, then a row for each reply.

    A trace that was rewritten has the drop_reason `rewritten`, and the reply is kept in its place, with the rewritten
    reasoning, and the summary as the answer. A reply that is not used has the drop_reason `rewrite_...`: error,
    truncated, malformed, wrong, unparseable, timeout, verifier_error, surplus, or a reason of text/readability.py.
    Where no reply is used, `rewrite_failure` of the original is the reason of the last reply; the original stays kept,
    or is dropped for that reason. A trace whose prompt has no verifier takes the first readable rewrite. Rows in are
    the kept rows of `selected`.
    """
    tasks = read_tasks(selected, prompts, verifying)
    asked = ({"prompt_id": name, "messages": task.messages, "domain": task.domain} for name, task in tasks.items())
    write_frame(frame(asked, PROMPT), out / "requests.parquet")
    live_verifier = partial(open_verifier, tasks, config.readability, verifying, runtime.verify_workers)
    how: dict[str, Any] = {"runtime": runtime, "live_verifier": live_verifier, "thinking": False}
    sampled = generate(out / "requests.parquet", out, config.generation(), **how)
    replies = read_replies(out / "traces.parquet", tasks)
    verify_replies(replies, partial(build_worker, verifying, runtime.verify_workers), runtime.stream)
    failures = label(replies, config)
    assert len(failures) == len(tasks), f"{len(tasks) - len(failures)} traces had no reply"
    write_rewritten(selected, replies, failures, config, out / "rewritten.parquet")
    for name in SCRATCH:  # the ledger has the replies as they came
        (out / name).unlink(missing_ok=True)
    return counts(out / "rewritten.parquet", failures, config, sampled)


def read_tasks(selected: Path, prompts: Path, verifying: VerifyConfig) -> dict[str, Task]:
    """Return the requests to the model: a task for each kept trace."""
    verifiable = prompts_by_id(prompts, verifying)
    check_prompts(selected, prompts, verifiable)
    about = {prompt_id: (text, domain) for prompt_id, domain, text in questions(prompts).iter_rows()}
    kept = pl.scan_parquet(selected).filter(pl.col("drop_reason").is_null())
    rows = kept.select("trace_id", "prompt_id", "reasoning", "answer").collect()
    tasks = {}
    for row in rows.iter_rows(named=True):
        prompt = verifiable[row["prompt_id"]]
        messages = request_messages(prompt["messages"], row["reasoning"], row["answer"])
        tasks[prompt_id_of(messages)] = Task(row["trace_id"], messages, prompt, *about[row["prompt_id"]])
    assert len(tasks) == rows.height, f"{rows.height - len(tasks)} kept traces of {selected} occur twice"
    return tasks


def request_messages(prompt: Sequence[Mapping[str, str]], reasoning: str | None, answer: str) -> list[dict[str, str]]:
    """Return the question, the raw reasoning and the answer, with our instructions."""
    alone = len(prompt) == 1
    question = "\n\n".join(m["content"] if alone else f"{m['role']}: {m['content']}" for m in prompt)
    parts = {"question": question, "raw_reasoning": reasoning or "", "raw_answer": answer}
    text = "\n\n".join(f"<{name}>\n{part}\n</{name}>" for name, part in parts.items())
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": text}]


def parse(reply: str) -> tuple[str, str] | None:
    """Return (reasoning, summary) of a reply; None where a tag is missing or doubled, or a part is empty or thinks."""
    found = PARTS.search(reply)
    if not found or any(reply.count(tag) != 1 for tag in TAGS):
        return None
    reasoning, summary = (part.strip() for part in found.groups())
    broken = not reasoning or not summary or any(tag in reasoning + summary for tag in (OPEN, CLOSE))
    return None if broken else (reasoning, summary)


@contextmanager
def open_verifier(
    tasks: Tasks, readability: ReadabilityConfig, verifying: VerifyConfig, workers: int | None, requests: Path
) -> Iterator[LiveVerify]:
    """Open the live verifier of replies (live_verdicts.OpenVerifier)."""
    with Pool(workers, timeout_s=verifying.timeout_s, memory_mib=verifying.memory_mib) as pool:
        yield partial(verify_reply, pool, tasks, readability)


def verify_reply(pool: Pool, tasks: Tasks, readability: ReadabilityConfig, row: Row) -> "Future[LiveVerdict]":
    """Return the future verdict on one reply: readability first, then the verifier of its prompt."""
    task, parts = tasks[row["prompt_id"]], parse(row["answer"])
    reason = "malformed"
    if parts:
        reason = reason_against(*parts, readability, question=task.question, domain=task.domain) or "correct"
    if parts and reason == "correct" and task.prompt["verifier"]:
        return verify_live(pool, {row["prompt_id"]: task.prompt}, {**row, "reasoning": parts[0], "answer": parts[1]})
    found: Future[LiveVerdict] = Future()
    found.set_result(LiveVerdict(reason))
    return found


def read_replies(traces: Path, tasks: Tasks) -> list[Reply]:
    """Return the replies as rows under the prompt of their original; a parsed reply has reasoning and answer."""
    replies = []
    for row in pl.scan_parquet(traces).drop("token_ids").collect().iter_rows(named=True):
        task = tasks[row["prompt_id"]]
        own = {"prompt_id": task.prompt["prompt_id"], "rewritten_from": task.original, "cluster_id": row["trace_id"]}
        parts = parse(row["answer"]) if row["finish_reason"] == "stop" else None
        failed = {"error": "error", "length": "truncated"}.get(row["finish_reason"], "malformed")
        written = as_written(row, *parts) if parts else {"drop_reason": f"rewrite_{failed}"}
        replies.append((task, {"drop_reason": None, **row, **own, **written}))
    return replies


def as_written(row: Mapping[str, Any], reasoning: str, summary: str) -> dict[str, Any]:
    """Return the columns of a rewritten trace; its tokens are its share, by characters, of the whole completion."""
    share = (len(reasoning) + len(summary)) / (len(row["reasoning"] or "") + len(row["answer"]))
    tokens = row["completion_tokens"]
    length = {"completion_tokens": round(tokens * share)} if tokens is not None else {}
    return {"reasoning": reasoning, "answer": summary, "wrapping": None, "fault": None, "drop_reason": None, **length}


def verify_replies(replies: Sequence[Reply], build: Callable[[], Worker], stream: Stream) -> None:
    """Add verdicts to the parsed replies, as the verify stage does."""
    parsed = [(task, row) for task, row in replies if row["drop_reason"] is None and task.prompt["verifier"]]
    items = [row | dict(task.prompt) for task, row in parsed]
    shards = [(start, items[start : start + SHARD_ROWS]) for start in range(0, len(items), SHARD_ROWS)]
    rows = {row["trace_id"]: row for _, row in parsed}
    for _, verdicts in stream(build, shards):
        for verdict in verdicts:
            said = {name: verdict[name] for name in ("verifier", "status", "score")}
            rows[verdict["trace_id"]].update(said, verdict_reason=verdict["reason"])


def label(replies: Sequence[Reply], config: RewriteConfig) -> dict[str, str | None]:
    """Set the drop_reason of each unused reply; return original's trace_id -> its failure, None if rewritten."""
    texts = [
        {"question": task.question, "domain": task.domain, "reasoning": row["reasoning"], "answer": row["answer"]}
        for task, row in replies
    ]
    unreadable = reasons_against(pl.DataFrame(texts, schema=TEXTS), config.readability)
    failures: dict[str, str | None] = {}
    for (task, row), unread in zip(replies, unreadable, strict=True):
        status, done = row.get("status"), failures.get(task.original, "") is None
        wrong = None if status in (None, "correct") else {"error": "verifier_error"}.get(status, status)
        reason = wrong or unread or ("surplus" if done else None)
        row["drop_reason"] = row["drop_reason"] or (f"rewrite_{reason}" if reason else None)
        if not done:
            failures[task.original] = row["drop_reason"] and row["drop_reason"].removeprefix("rewrite_")
    return failures


def write_rewritten(
    selected: Path, replies: Sequence[Reply], failures: Mapping[str, str | None], config: RewriteConfig, out: Path
) -> None:
    """Write the labeled rows of `selected`, then the replies, without holding the former in memory."""
    kept = {"trace_id": list(failures), "rewrite_failure": list(failures.values())}
    labels = pl.LazyFrame(kept, schema={"trace_id": pl.String, "rewrite_failure": pl.String})
    failed = pl.format("rewrite_{}", "rewrite_failure") if config.on_failure == "drop" else None
    became = labels.with_columns(
        became=pl.when(pl.col("rewrite_failure").is_null()).then(pl.lit("rewritten")).otherwise(failed)
    )
    originals = (
        scan_rows(selected, SELECTED)
        .join(became, on="trace_id", how="left", maintain_order="left")
        .with_columns(pl.coalesce("drop_reason", "became").alias("drop_reason"), rewritten_from=pl.lit(None, pl.String))
    )
    both = [
        rows.select(*REWRITTEN).cast(pl.Schema(REWRITTEN))
        for rows in (originals, frame((row for _, row in replies), REWRITTEN).lazy())
    ]
    partial_file = out.with_name(out.name + ".partial")
    pl.concat(both).sink_parquet(partial_file, compression="zstd")
    replace_durably(partial_file, out)


def counts(
    rewritten: Path, failures: Mapping[str, str | None], config: RewriteConfig, sampled: StageCounts
) -> StageCounts:
    """Return the counts: traces in = rewritten + left as they were + dropped. Notes count replies by drop_reason."""
    rows = pl.scan_parquet(rewritten).select("drop_reason", "rewritten_from", "completion_tokens").collect()
    replies = rows.filter(pl.col("rewritten_from").is_not_null())["drop_reason"]
    unused = dict(replies.drop_nulls().value_counts(sort=True).iter_rows())
    done = sum(failure is None for failure in failures.values())
    kept = config.on_failure == "original"
    dropped = [None if kept or failure is None else f"rewrite_{failure}" for failure in failures.values()]
    notes: dict[str, Any] = {
        "rewritten": done,
        "left_as_they_were": len(failures) - done if kept else 0,
        "replies": len(replies),
    }
    notes |= {"replies_not_used": unused, "sampled": sampled.notes["sampled"], "reused": sampled.notes["reused"]}
    tokens = rows.filter(pl.col("drop_reason").is_null())["completion_tokens"].sum()
    return counts_by_reason(dropped, tokens=int(tokens), notes=notes)
