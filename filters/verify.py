"""The verify stage: traces.parquet to verdicts.parquet, one verdict per trace of a prompt with a verifier.

A trace of a prompt without a verifier gets no verdict; `select` decides whether it is kept. A sample that failed
during generation gets the status `error` with its own reason, and no verifier sees it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from filters.verification.pool import Pool, Task
from filters.verification.rewards import Reward, check_rewards, combined, further
from filters.verification.verdicts import Item, Verdict, check_options
from generators.contract.config import Config
from generators.contract.errors import InputError
from generators.contract.files import frame, write_frame
from generators.contract.records import VERDICT
from generators.contract.stage_protocol import IN_PROCESS, Runtime, StageCounts, Worker

TRACE_COLUMNS = ["trace_id", "prompt_id", "reasoning", "answer", "finish_reason", "error"]
PROMPT_COLUMNS = ["prompt_id", "messages", "verifier", "reference"]


class VerifyConfig(Config):
    """Settings of `verify`."""

    timeout_s: float = Field(5.0, gt=0)
    """Wall-clock seconds per trace (five times as many for `code_tests`, which limits CPU time); after them it is
    `timeout`."""
    memory_mib: int = Field(2048, gt=0)
    """Resident memory of a verifier's process, in MiB; above it the status is `error`."""
    default_verifier: str | None = None
    """Verifier of prompts that have a reference and name no verifier; null: they get no verdict."""
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Options of verifiers, one table each: `[verify.options.math_answer] leniencies = ["percent"]`."""
    rewards: tuple[Reward, ...] = ()
    """Parts of the score, as in R1-Zero: `[{ name = "accuracy" }, { name = "think_format", weight = 0.5 }]`; without
    any, the score is the verifier's own. They do not change the status."""
    shard_rows: int = Field(1000, gt=0)
    """Traces per shard: a worker takes one shard at a time, and its verdicts are saved together."""


def verify(
    traces: Path,
    prompts: Path,
    out: Path,
    config: VerifyConfig,
    *,
    runtime: Runtime = IN_PROCESS,
) -> StageCounts:
    """Write `out`/verdicts.parquet (generators.contract.records.VERDICT), in the order of the traces.

    Finished shards stay in `out`/parts; a call after an interruption judges only the rest. Kept rows are the correct
    ones; the others are counted by status, or as `unverified` if the prompt has no verifier. A trace of an unknown
    prompt and an unknown verifier raise ValueError before anything is judged.
    """
    questions = prompts_by_id(prompts, config)
    verifiers = questions.verifiers()
    for name in verifiers:
        check_options(name, config.options.get(name, {}))
    check_rewards(config.rewards, verifiers, config.options)
    check_prompts(traces, prompts, questions)
    rows = int(pl.scan_parquet(traces).select(pl.len()).collect().item())
    starts = range(0, rows, config.shard_rows)
    parts = {start: out / "parts" / f"{start:09d}-{config.shard_rows}.parquet" for start in starts}
    todo = [start for start in starts if not parts[start].exists()]
    done = sum(min(config.shard_rows, rows - start) for start in starts if parts[start].exists())
    shards = (read_shard(traces, questions, start, config.shard_rows) for start in todo)
    build = partial(build_worker, config, runtime.verify_workers)
    with runtime.progress("traces", rows, done) as bar:
        for start, verdicts in runtime.stream(build, shards):
            write_frame(frame(verdicts, VERDICT), parts[start])
            bar.update(min(config.shard_rows, rows - start))
    judged = pl.concat([pl.read_parquet(path) for path in parts.values()]) if parts else frame([], VERDICT)
    write_frame(judged, out / "verdicts.parquet")
    return counts_of(judged, rows)


class Questions(Mapping[str, dict[str, Any]]):
    """Each prompt's messages, verifier, reference and the verifier's options by its id.

    They stay in a frame until they are asked for: as Python objects they would take ten times the memory.
    """

    def __init__(self, rows: pl.DataFrame, config: VerifyConfig) -> None:
        self.rows, self.options = rows, config.options
        self.places = {prompt_id: place for place, prompt_id in enumerate(rows["prompt_id"])}

    def __getitem__(self, prompt_id: str) -> dict[str, Any]:
        row = self.rows.row(self.places[prompt_id], named=True)
        return {**row, "options": self.options.get(row["verifier"], {})}

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def verifiers(self) -> list[str]:
        """Return the names of all verifiers, sorted."""
        return sorted(self.rows["verifier"].drop_nulls().unique().to_list())


def prompts_by_id(prompts: Path, config: VerifyConfig) -> Questions:
    """Return the prompts by their ids; the default verifier needs a reference.

    If a prompt has several rows, perhaps with different references, the first one counts.
    """
    rows = pl.read_parquet(prompts, columns=PROMPT_COLUMNS).unique("prompt_id", keep="first", maintain_order=True)
    default = pl.when(pl.col("reference").is_not_null()).then(pl.lit(config.default_verifier, pl.String))
    return Questions(rows.with_columns(verifier=pl.coalesce("verifier", default)), config)


def check_prompts(traces: Path, prompts: Path, questions: Questions) -> None:
    """Raise a ValueError that names the first trace whose prompt is missing, and the prompt."""
    known = questions.rows.lazy().select("prompt_id")
    asked = pl.scan_parquet(traces).select("trace_id", "prompt_id")
    lost = asked.join(known, on="prompt_id", how="anti").collect()
    if lost.height:
        trace_id, prompt_id = lost.row(0)
        raise InputError(
            f"{traces}: trace {trace_id} is of prompt {prompt_id}, which {prompts} does not hold "
            f"({lost.height} such traces); both must come from the same run"
        )


Shard = tuple[int, list[dict[str, Any]]]  # (first row, one dict per trace that has a verifier)


def read_shard(traces: Path, questions: Questions, start: int, rows: int) -> Shard:
    """Return `rows` traces from row `start` on, each with its prompt's messages, verifier, options and reference."""
    data = pl.scan_parquet(traces).select(TRACE_COLUMNS).slice(start, rows).collect()
    joined = [trace | questions[trace["prompt_id"]] for trace in data.iter_rows(named=True)]
    return start, [row for row in joined if row["verifier"]]


def build_worker(config: VerifyConfig, workers: int | None) -> Worker:
    """Return a worker with its own pool of processes, which ends when the worker is garbage-collected."""
    pool = Pool(workers, timeout_s=config.timeout_s, memory_mib=config.memory_mib)

    def judge(shard: Shard) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        start, rows = shard
        yield start, judge_rows(pool, rows, config)

    return judge


def judge_rows(pool: Pool, rows: Sequence[dict[str, Any]], config: VerifyConfig) -> list[dict[str, Any]]:
    """Return a VERDICT row for each trace, in order."""
    sampled = [tasks_of(row, config) for row in rows if row["finish_reason"] != "error"]
    verdicts = iter(pool.run([task for tasks in sampled for task in tasks]))
    judged = iter([[next(verdicts) for _ in tasks] for tasks in sampled])
    return [
        verdict_row(
            row, failed_sample(row) if row["finish_reason"] == "error" else whole_verdict(row, config, next(judged))
        )
        for row in rows
    ]


def tasks_of(row: dict[str, Any], config: VerifyConfig) -> list[Task]:
    """Return the trace's tasks: its prompt's verifier first, then the verifiers of further parts of its score."""
    item = item_of(row)
    others = [
        (part.name, replace(item, reference=part.reference, options=config.options.get(part.name, {})))
        for part in further(config.rewards, row["verifier"])
    ]
    return [(row["verifier"], item), *others]


def whole_verdict(row: dict[str, Any], config: VerifyConfig, verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict of the prompt's verifier, with the combined score if there are rewards."""
    accuracy, *others = verdicts
    return combined(config.rewards, row["verifier"], accuracy, others) if config.rewards else accuracy


def item_of(row: dict[str, Any]) -> Item:
    """Return a trace and its prompt as the verifier's item."""
    return Item(
        row["answer"] or "",
        row["reference"],
        row["reasoning"],
        row["messages"],
        row["finish_reason"],
        options=row["options"],
    )


def failed_sample(row: dict[str, Any]) -> Verdict:
    """Return the verdict on a sample that failed during generation."""
    return Verdict("error", 0.0, f"the sample failed: {row['error'] or 'no reason was recorded'}")


def verdict_row(row: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    """Return the VERDICT row of a trace."""
    return {
        "trace_id": row["trace_id"],
        "verifier": row["verifier"],
        "status": verdict.status,
        "score": verdict.score,
        "reason": verdict.reason,
        "seconds": verdict.seconds,
    }


def counts_of(verdicts: pl.DataFrame, rows_in: int) -> StageCounts:
    """Return the counts: correct rows are kept, the rest is dropped by status. Notes: verdicts by verifier."""
    by_status = Counter(verdicts["status"].to_list())
    kept = by_status.pop("correct", 0)
    by_status["unverified"] = rows_in - verdicts.height
    dropped = {status: n for status, n in sorted(by_status.items()) if n}
    by_verifier = dict(sorted(Counter(verdicts["verifier"].to_list()).items()))
    return StageCounts(rows_in, kept, dropped, notes={"verdicts_by_verifier": by_verifier})
