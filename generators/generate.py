"""The generate stage: sample every kept prompt n times, and write each finished sample to the ledger at once.

The unit of work is one sample. Its trace_id is a hash of prompt, model, revision, decoding parameters and sample index,
so a sample in the ledger is never made again: not after a crash, not when n grows, not when prompts are added.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from generators.contract.engine import EngineOptions, Fleet, SampleRequest, build_engine, local_fleet
from generators.contract.errors import MissingFile, RecipeError
from generators.contract.files import frame, write_batches, write_frame
from generators.contract.models import model_path
from generators.contract.plugins import ENGINE, blaming, plugin_file
from generators.contract.records import IMPORTED, TRACE
from generators.contract.sampled_logprobs import FOLDER, SampledLogprobs, SampledLogprobsFile
from generators.contract.stage_protocol import IN_PROCESS, Bar, Runtime, StageCounts
from generators.ledger.export import export, outline, sum_of
from generators.ledger.ledger import Ledger
from generators.sampling.adaptive import AdaptiveConfig, AdaptiveSource, budget_of
from generators.sampling.live_verdicts import LiveVerdicts, LiveVerify, OpenVerifier
from generators.sampling.pass_rates import Tally, summary
from generators.sampling.sampling_plan import LongestFirst, SamplingPlan
from generators.sampling.scheduler import COLLECT_S, Persistence, Row, Scheduler, Source
from generators.sampling.settings import GenerateConfig

EMPTY: Mapping[str, Any] = MappingProxyType({})
log = logging.getLogger(__name__)


def generate(
    prompts: Path,
    out: Path,
    config: GenerateConfig,
    *,
    ledger: Path | None = None,
    runtime: Runtime = IN_PROCESS,
    live_verifier: OpenVerifier | None = None,
    thinking: bool = True,
) -> StageCounts:
    """Write out/traces.parquet: a records.TRACE row for each of `sampling.n` samples of each kept prompt.

    Each finished sample goes to `ledger` (default out/ledger); samples it holds already are not made again. A failed
    sample is a row with finish_reason "error", and is retried when the stage runs again. With `adaptive` settings the
    `live_verifier` verifies samples while sampling continues: each prompt has as many rows as it needed,
    out/pass_rates.parquet (pass_rates.PASS_RATE) has its pass rate, and out/live_verdicts.jsonl the verdicts.
    thinking: warn where no completion contains reasoning.

    RecipeError or PluginError: settings that cannot be run. ServerRefuses, EngineFailed: sampling could not go on.
    """
    engine = config.loaded()
    check_adaptive(config, live_verifier)
    if not prompts.exists():
        raise MissingFile(f"there is no file {prompts} of prompts, which the stage prompts writes")
    asked = pl.read_parquet(prompts)
    if engine.imports_traces:
        with blaming(ENGINE, config.engine):
            traces, dropped = engine.module.import_traces(asked, config.model, engine.options)
            return imported(traces, dropped, asked, out)
    models = config.each()
    plans = [plan_of(asked, model) for model in models]
    check_distinct(plans)
    with Ledger(ledger or out / "ledger", write=True) as kept, verifying(config, live_verifier, prompts) as verify:
        passes = [pass_of(*each, kept, out, verify) for each in zip(models, plans, strict=True)]
        done = sum(len(one.held) for one in passes)
        say_kept(config, done)
        with runtime.progress("samples", max(done, sum(one.most() for one in passes)), done) as bar:
            for one in passes:
                one.run(runtime.fleet, bar)
        wanted = in_order(passes)
        traces = export(kept, wanted, out / "traces.parquet", drop_truncated=config.truncated == "drop")
    adaptive = [one for one in passes if isinstance(one, AdaptiveSampling)]
    if adaptive:
        write_frame(pl.concat([one.pass_rates() for one in adaptive]), out / "pass_rates.parquet")
    surplus = sum(one.surplus() for one in adaptive)
    dropped = {"truncated": len(wanted) - int(traces["traces"].sum()), "surplus": surplus}
    return count(traces, {k: n for k, n in dropped.items() if n}, notes_of(passes), thinking)


def imported(
    traces: pl.DataFrame | Iterable[pl.DataFrame], dropped: Mapping[str, int], asked: pl.DataFrame, out: Path
) -> StageCounts:
    """Write imported traces a batch at a time, and count them."""
    outlines, doubtful = [outline(frame([], TRACE))], 0
    conflicting = asked.filter(pl.col("drop_reason") == "conflicting_reference")["prompt_id"].unique().to_list()

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal doubtful
        for batch in [traces] if isinstance(traces, pl.DataFrame) else traces:
            outlines.append(outline(batch))
            doubtful += int(batch["prompt_id"].is_in(conflicting).sum())
            yield batch

    write_batches(counted(), out / "traces.parquet", IMPORTED)
    return count(sum_of(outlines), dropped, {"conflicting_reference": doubtful})


def say_kept(config: GenerateConfig, done: int) -> None:
    """Say that samples are kept although an engine of the user's own, whose code may have changed, made them."""
    if done and plugin_file(ENGINE, config.engine) is not None:
        log.warning(
            "%d samples of the engine %s are kept: they are keyed by its decoding(), not by its code; change that, or "
            "remove the ledger, to sample again", done, config.engine,
        )  # fmt: skip


def check_adaptive(config: GenerateConfig, live_verifier: OpenVerifier | None) -> None:
    """Raise a RecipeError where adaptive sampling lacks an engine that samples, or a verifier."""
    for each in config.each():
        each.check_adaptive()
        if each.adaptive and live_verifier is None:
            raise RecipeError(
                "generate.adaptive needs verdicts while it samples: generate() was handed no live_verifier"
            )


def check_distinct(plans: Sequence[SamplingPlan]) -> None:
    """Raise a RecipeError where the same samples are asked for twice."""
    firsts = [plan.trace_id(0, 0) for plan in plans if plan.prompt_ids]
    if len(set(firsts)) < len(firsts):
        raise RecipeError("two of generate.models are the same model with the same sampling; name each once")


def verifying(
    config: GenerateConfig, live_verifier: OpenVerifier | None, prompts: Path
) -> AbstractContextManager[LiveVerify] | AbstractContextManager[None]:
    """Open the live verifier of these prompts, where one is needed."""
    return live_verifier(prompts) if live_verifier and config.is_adaptive() else nullcontext()


def plan_of(asked: pl.DataFrame, config: GenerateConfig) -> SamplingPlan:
    """Return the sampling plan of one model."""
    if not config.model:
        raise RecipeError(f"generate.model is missing: the engine {config.engine} samples with a model")
    config.check_truncated()
    plan = SamplingPlan.of(asked, config.signature(), config.sampling.n, config.sampling.seed)
    return replace(plan, messages=config.asking().over(plan.messages))


def in_order(passes: "Sequence[Sampling]") -> Sequence[str]:
    """Return the ids of all samples, ordered by prompt and then by model."""
    if len(passes) == 1 and not passes[0].config.adaptive:
        return passes[0].plan.trace_ids
    prompts = range(len(passes[0].plan.prompt_ids))
    return [trace_id for prompt in prompts for one in passes for trace_id in one.ids_of(prompt)]


class Sampling:
    """One model's pass over the samples that its plan still lacks."""

    def __init__(self, config: GenerateConfig, plan: SamplingPlan, kept: Ledger) -> None:
        self.config, self.plan, self.kept = config, plan, kept
        self.held = self.find()  # trace_id -> prompt and index of samples in the ledger
        self.bar: Bar | None = None
        self.tokens, self.seconds, self.sampled, self.continued = 0, 0.0, 0, 0

    def find(self) -> Mapping[str, tuple[int, int]]:
        """Return the plan's samples that the ledger has."""
        ids = enumerate(self.plan.trace_ids)
        return {trace_id: divmod(place, self.plan.n) for place, trace_id in ids if trace_id in self.kept}

    def most(self) -> int:
        """Return how many samples there may be in all."""
        return len(self.plan)

    def ids_of(self, prompt: int) -> Sequence[str]:
        """Return the ids of a prompt's samples that go into the traces."""
        return self.plan.ids_of(prompt)

    def reused(self) -> int:
        """Return the number of samples that were in the ledger before."""
        return len(self.held)

    def run(self, fleet: Fleet, bar: Bar) -> None:
        """Sample until every sample is settled; a complete plan loads no model."""
        cut = list(self.cut_off())
        if cut or len(self.held) < len(self.plan):
            self.sample(fleet, bar, LongestFirst(self.plan, self.kept, mean_lengths(self.kept)), cut)

    def sample(self, fleet: Fleet, bar: Bar, source: Source, at_once: list[SampleRequest]) -> None:
        """Start the engine, and run the scheduler until the source is exhausted."""
        self.bar = bar
        config, plugin = self.config, self.config.loaded()
        model = config.model if plugin.remote else model_path(config.model)
        fleet = local_fleet if plugin.remote else fleet  # one driver: each answer must reach the ledger at once
        persistence = Persistence(config.max_attempts, config.give_up_after_s)
        build = partial(build_engine, config.engine, config.options, model, config.sampling)
        with blaming(ENGINE, config.engine), fleet(build) as engine:
            while not engine.slots():  # engines are starting
                engine.collect(COLLECT_S)
            clock = time.perf_counter()
            with self.keeping_logprobs(plugin.options) as keep_logprobs:
                Scheduler(engine, source, self.keep, persistence, self.go_on, keep_logprobs, at_once=at_once).run()
            self.seconds = time.perf_counter() - clock

    @contextmanager
    def keeping_logprobs(self, options: EngineOptions) -> Iterator[Callable[[SampledLogprobs], object]]:
        """Open the file of log-probabilities next to the ledger, where the engine returns them."""
        if not options.kept_logprobs():
            yield lambda logprobs: None
            return
        with SampledLogprobsFile(self.kept.folder / FOLDER, write=True) as file:
            yield lambda logprobs: file.add(logprobs, self.plan.columns)

    def keep(self, request: SampleRequest, row: Row) -> None:
        """Write a row to the ledger, where a later row of the same sample replaces it."""
        self.kept.append({**row, **self.plan.columns})
        self.tokens += (row.get("completion_tokens") or 0) - len(request.prefix)
        if not request.prefix:
            self.sampled += 1
            assert self.bar
            self.bar.update()

    def go_on(self, request: SampleRequest, row: Row) -> SampleRequest | None:
        """Return the continuation of a truncated sample from its own tokens; None where it ends here."""
        ids, most = row.get("token_ids"), self.config.most_tokens()
        if self.config.truncated != "continue" or not ids or len(request.prefix) == len(ids) or len(ids) >= most:
            return None
        self.continued += 1
        return replace(request, prefix=tuple(ids), room=most - len(ids))

    def cut_off(self) -> Iterator[SampleRequest]:
        """Yield the continuations of samples that an earlier run left truncated."""
        if self.config.truncated != "continue":
            return
        newest: dict[str, list[int] | None] = {}
        for _, rows in self.kept.scan("trace_id", "finish_reason", "token_ids"):
            cut = pl.col("finish_reason") == "length"
            newest.update(rows.select("trace_id", pl.when(cut).then("token_ids")).iter_rows())
        for trace_id, ids in newest.items():
            if ids and trace_id in self.held:
                request = self.plan.request(*self.held[trace_id], trace_id=trace_id)
                longer = self.go_on(request, {"token_ids": ids})
                if longer:
                    yield longer


class AdaptiveSampling(Sampling):
    """One model's pass that takes as many samples of each prompt as the prompt needs."""

    def __init__(self, config: GenerateConfig, plan: SamplingPlan, kept: Ledger, out: Path, verify: LiveVerify) -> None:
        assert config.adaptive
        self.settings: AdaptiveConfig = config.adaptive
        super().__init__(config, plan, kept)
        self.budget = budget_of(self.settings, plan)
        self.file, self.verify = out / "live_verdicts.jsonl", verify
        self.source: AdaptiveSource
        self.tallies: list[Tally] = []

    def find(self) -> Mapping[str, tuple[int, int]]:
        """Return the samples in the ledger with an index below `max_samples`."""
        places = {prompt_id: prompt for prompt, prompt_id in enumerate(self.plan.prompt_ids)}
        held = {}
        for _, rows in self.kept.scan("trace_id", "prompt_id", "sample_index", "finish_reason"):
            good = (pl.col("finish_reason") != "error") & (pl.col("sample_index") < self.settings.max_samples)
            for trace_id, prompt_id, index in rows.filter(good).select(rows.columns[:3]).iter_rows():
                prompt = places.get(prompt_id)
                if prompt is not None and self.plan.trace_id(prompt, index) == trace_id:
                    held[trace_id] = (prompt, index)
        return held

    def most(self) -> int:
        """Return the budget."""
        return self.budget

    def ids_of(self, prompt: int) -> Sequence[str]:
        """Return the ids of a prompt's samples up to where it stopped."""
        return self.source.ids_of(prompt, self.tallies[prompt])

    def run(self, fleet: Fleet, bar: Bar) -> None:
        """Sample until no prompt needs more, or the budget is spent."""
        cut = {request.trace_id: request for request in self.cut_off()}
        held = self.held.keys()
        backlog = (row for row in self.kept.rows() if row["trace_id"] in held and row["trace_id"] not in cut)
        with LiveVerdicts(self.file, self.verify, backlog) as verdicts:
            lengths = mean_lengths(self.kept)
            self.source = AdaptiveSource(self.plan, self.settings, verdicts, held, lengths, cut)
            if not self.source.lacks_nothing():
                self.sample(fleet, bar, self.source, [])
        self.tallies = self.source.tallies()

    def keep(self, request: SampleRequest, row: Row) -> None:
        """Write a row to the ledger, and show how many prompts have a correct sample so far."""
        super().keep(request, row)
        if self.bar:
            self.bar.show(solved=f"{self.source.solved}/{len(self.plan.prompt_ids)} prompts")

    def surplus(self) -> int:
        """Return the number of samples beyond their prompts' needs: the ledger keeps them, the traces lack them."""
        return self.source.spent - sum(tally.samples for tally in self.tallies)

    def pass_rates(self) -> pl.DataFrame:
        """Return a pass_rates.PASS_RATE frame."""
        return self.source.pass_rates(self.tallies)

    def notes(self) -> dict[str, Any]:
        """Return the policy and what it saved."""
        policy = {**self.settings.model_dump(), "budget": self.budget, "surplus": self.surplus()}
        return {**policy, **summary(self.pass_rates(), self.plan.n, self.settings.max_samples)}


def pass_of(config: GenerateConfig, plan: SamplingPlan, kept: Ledger, out: Path, verify: LiveVerify | None) -> Sampling:
    """Return one model's pass."""
    if config.adaptive:
        assert verify
        return AdaptiveSampling(config, plan, kept, out, verify)
    return Sampling(config, plan, kept)


def notes_of(passes: Sequence[Sampling]) -> dict[str, Any]:
    """Return the work of this run, summed over models."""
    tokens, seconds = sum(one.tokens for one in passes), sum(one.seconds for one in passes)
    continued = sum(one.continued for one in passes)
    rate = round(tokens / seconds) if seconds else None
    notes = {"sampled": sum(one.sampled for one in passes), "reused": sum(one.reused() for one in passes)}
    policies = {one.config.model: one.notes() for one in passes if isinstance(one, AdaptiveSampling)}
    more = {"continued": continued, "adaptive": policies}
    return {**notes, "tokens_per_second": rate, **{key: value for key, value in more.items() if value}}


def mean_lengths(kept: Ledger) -> dict[str, float]:
    """Return prompt_id -> mean completion tokens, for prompts with samples in the ledger."""
    sums = [
        rows.group_by("prompt_id").agg(pl.col("completion_tokens").sum(), pl.len())
        for _, rows in kept.scan("prompt_id", "completion_tokens")
    ]
    if not sums:
        return {}
    total = pl.concat(sums).group_by("prompt_id").sum()
    return dict(total.select("prompt_id", pl.col("completion_tokens") / pl.col("len")).iter_rows())


def count(
    rows: pl.DataFrame, dropped: Mapping[str, int] = EMPTY, notes: Mapping[str, Any] = EMPTY, thinking: bool = True
) -> StageCounts:
    """Return the stage's counts from an `outline`; log a warning for failures or where no completion has reasoning."""
    good, bad = rows.filter(pl.col("finish_reason") != "error"), rows.filter(pl.col("finish_reason") == "error")
    total, kept, failed = (int(some["traces"].sum()) for some in (rows, good, bad))
    silent = int(good.filter("silent")["traces"].sum())
    if thinking and kept and silent == kept:
        log.warning("none of %d completions has reasoning: the model did not think between <think> tags", kept)
    if failed:
        log.warning("%d of %d samples failed, for example: %s", failed, total, bad["error"].drop_nulls().first())
    reasons = {**dropped, **({"error": failed} if failed else {})}
    return StageCounts(
        rows_in=total + sum(dropped.values()),
        rows_kept=kept,
        dropped=reasons,
        tokens=int(good["tokens"].sum()),
        notes={
            "truncated": int(good.filter(pl.col("finish_reason") == "length")["traces"].sum()),
            "without_reasoning": silent,
            "sampled": 0,
            "reused": total,
            "tokens_per_second": None,
            **notes,
        },
    )
