"""The generate stage: every kept prompt n times through a teacher, each finished sample kept in the ledger at once.

The unit of work is one sample. Its trace_id is made of prompt, teacher, revision, decoding parameters and
sample index, so whatever the ledger holds is never sampled again: not after a crash, not when n grows, not
when prompts are added.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from generators.collect import collect
from generators.engine import Fleet, local_fleet
from generators.ledger import Ledger
from generators.models import model_path
from generators.plan import LongestFirst, Plan
from generators.records import write_frame
from generators.sampling import SampleRequest
from generators.schedule import Persistence, Row, Scheduler
from generators.settings import GenerateConfig, load_teacher
from generators.work import Bar, Progress, StageCounts, no_progress

EMPTY: Mapping[str, Any] = MappingProxyType({})
COUNTED = ("finish_reason", "completion_tokens")
log = logging.getLogger(__name__)


def generate(
    prompts: Path,
    out: Path,
    config: GenerateConfig,
    *,
    ledger: Path | None = None,
    fleet: Fleet = local_fleet,
    progress: Progress = no_progress,
) -> StageCounts:
    """Write out/traces.parquet: a records.TRACE row for each of `sampling.n` samples of each kept prompt.

    Samples are kept in `ledger` (out/ledger) as each is finished; those it holds already are not made again.
    A sample that failed is a row with finish_reason "error", and is tried again when the stage runs again.
    """
    module, options = load_teacher(config.teacher, config.options)
    asked = pl.read_parquet(prompts)
    if hasattr(module, "import_traces"):
        traces, dropped = module.import_traces(asked, config.model, options)
        write_frame(traces, out / "traces.parquet")
        return count(out / "traces.parquet", dropped, conflicts(asked, traces))
    teachers = config.each()
    plans = [plan_of(asked, teacher) for teacher in teachers]
    wanted = in_order(plans)
    with Ledger(ledger or out / "ledger", write=True) as kept:
        done = sum(trace_id in kept for trace_id in wanted)
        with progress("samples", len(wanted), done) as bar:
            passes = [Sampling(teacher, plan, kept, bar) for teacher, plan in zip(teachers, plans, strict=True)]
            for one in passes:
                one.run(fleet)
        truncated = collect(kept, wanted, out / "traces.parquet", drop_truncated=config.truncated == "drop")
    notes = {"sampled": len(wanted) - done, "reused": done, **notes_of(passes)}
    return count(out / "traces.parquet", {"truncated": truncated} if truncated else {}, notes)


def plan_of(asked: pl.DataFrame, config: GenerateConfig) -> Plan:
    """What one teacher is asked."""
    if not config.model:
        raise ValueError(f"generate.model is missing: the teacher {config.teacher} samples with a model")
    return Plan.of(asked, config.signature(), config.sampling.n, config.sampling.seed)


def in_order(plans: Sequence[Plan]) -> list[str]:
    """Ids of all samples: prompt by prompt, of each prompt teacher by teacher."""
    if len(plans) == 1:
        return plans[0].trace_ids
    prompts = range(len(plans[0].prompt_ids))
    ids = [trace_id for prompt in prompts for plan in plans for trace_id in plan.ids_of(prompt)]
    if len(set(ids)) < len(ids):
        raise ValueError("two of generate.teachers are the same model with the same sampling; name each once")
    return ids


class Sampling:
    """One pass over what a plan still lacks."""

    def __init__(self, config: GenerateConfig, plan: Plan, kept: Ledger, bar: Bar) -> None:
        self.config, self.plan, self.kept, self.bar = config, plan, kept, bar
        self.tokens, self.seconds, self.continued = 0, 0.0, 0

    def run(self, fleet: Fleet) -> None:
        """Ask until every sample is settled; a plan that lacks nothing loads no model."""
        cut = list(self.cut_off())
        if not cut and all(trace_id in self.kept for trace_id in self.plan.trace_ids):
            return
        module, options = load_teacher(self.config.teacher, self.config.options)
        model = self.config.model if self.config.is_remote() else model_path(self.config.model)
        source = LongestFirst(self.plan, self.kept, mean_lengths(self.kept))
        persistence = Persistence(self.config.attempts, self.config.patience_s)
        with fleet(partial(module.build, model, self.config.sampling, options)) as engine:
            clock = time.perf_counter()
            Scheduler(engine, source, self.keep, persistence, self.go_on, at_once=cut).run()
            self.seconds = time.perf_counter() - clock

    def keep(self, request: SampleRequest, row: Row) -> None:
        """Write a row into the ledger, where a later one of the same sample replaces it."""
        self.kept.append({**row, **self.plan.columns})
        self.tokens += (row.get("completion_tokens") or 0) - len(request.prefix)
        if not request.prefix:
            self.bar.update()

    def go_on(self, request: SampleRequest, row: Row) -> SampleRequest | None:
        """How a sample that was cut off continues: its own tokens are the beginning of the next answer."""
        ids, most = row["token_ids"], self.config.most_tokens()
        if self.config.truncated != "continue" or not ids or len(request.prefix) == len(ids) or len(ids) >= most:
            return None
        self.continued += 1
        return replace(request, prefix=tuple(ids), room=most - len(ids))

    def cut_off(self) -> Iterator[SampleRequest]:
        """Samples that an earlier run left cut off, and that this one takes up."""
        if self.config.truncated != "continue":
            return
        places = {trace_id: place for place, trace_id in enumerate(self.plan.trace_ids)}
        newest: dict[str, list[int] | None] = {}
        for _, rows in self.kept.scan("trace_id", "finish_reason", "token_ids"):
            cut = pl.col("finish_reason") == "length"
            newest.update(rows.select("trace_id", pl.when(cut).then("token_ids")).iter_rows())
        for trace_id, ids in newest.items():
            if ids and trace_id in places:
                request = self.plan.request(*divmod(places[trace_id], self.plan.n))
                longer = self.go_on(request, {"token_ids": ids})
                if longer:
                    yield longer


def notes_of(passes: Sequence[Sampling]) -> dict[str, Any]:
    """What was done now, all teachers together."""
    tokens, seconds = sum(one.tokens for one in passes), sum(one.seconds for one in passes)
    continued = sum(one.continued for one in passes)
    rate = round(tokens / seconds) if seconds else None
    return {"tokens_per_second": rate, **({"continued": continued} if continued else {})}


def mean_lengths(kept: Ledger) -> dict[str, float]:
    """prompt_id -> mean tokens of its completions, where the ledger has any."""
    sums = [
        rows.group_by("prompt_id").agg(pl.col("completion_tokens").sum(), pl.len())
        for _, rows in kept.scan("prompt_id", "completion_tokens")
    ]
    if not sums:
        return {}
    total = pl.concat(sums).group_by("prompt_id").sum()
    return dict(total.select("prompt_id", pl.col("completion_tokens") / pl.col("len")).iter_rows())


def conflicts(prompts: pl.DataFrame, traces: pl.DataFrame) -> dict[str, int]:
    """How many traces answer a question for which the prompts' source holds several references."""
    doubtful = prompts.filter(pl.col("drop_reason") == "conflicting_reference")["prompt_id"].unique()
    return {"conflicting_reference": int(traces["prompt_id"].is_in(doubtful.to_list()).sum())}


def count(traces: Path, dropped: Mapping[str, int] = EMPTY, notes: Mapping[str, Any] = EMPTY) -> StageCounts:
    """What the report says of the samples; a run without any reasoning, or with failures, is warned of."""
    silent = pl.col("reasoning").is_null().alias("silent")
    rows = pl.scan_parquet(traces).select(*COUNTED, silent, "error").collect()
    good = rows.filter(pl.col("finish_reason") != "error")
    failed = len(rows) - len(good)
    if len(good) and good["silent"].all():
        log.warning("none of %d completions has reasoning: the teacher did not think between <think> tags", len(good))
    if failed:
        example = rows.filter(pl.col("finish_reason") == "error")["error"][0]
        log.warning("%d of %d samples failed, for example: %s", failed, len(rows), example)
    reasons = {**dropped, **({"error": failed} if failed else {})}
    return StageCounts(
        rows_in=len(rows) + sum(dropped.values()),
        rows_kept=len(good),
        dropped=reasons,
        tokens=int(good["completion_tokens"].sum() or 0),
        notes={
            "truncated": int((good["finish_reason"] == "length").sum()),
            "without_reasoning": int(good["silent"].sum()),
            "sampled": 0,
            "reused": len(rows),
            "tokens_per_second": None,
            **notes,
        },
    )
