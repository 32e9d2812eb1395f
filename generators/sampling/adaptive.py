"""Adaptive rejection sampling: a prompt stops at enough distinct correct traces, and what it saves goes to hard ones.

Verdicts arrive while sampling continues, and no engine waits for one. A prompt has only as many samples in flight as
are sure to be used: one for each correct trace it still lacks. Prompts with the fewest samples go first, so each gets a
first sample before any gets a second, and a budget that runs out has been spread evenly over the prompts that still
need it; among equals the longest expected goes first. Samples that may prove superfluous are taken only when slots of
the engine would otherwise idle: as many as the prompt's pass rate suggests, a few at a time.

`order = "likeliest"` spends the budget where a new correct trace is likeliest instead, by the prompt's pass rate and by
how often prompts with as many solution signatures find another. That brings more traces of somewhat fewer prompts, and
leaves pass rates to be estimated from the few samples that every prompt has.

Samples of a prompt are requested in the order of their index, whether the ledger has them (then they cost nothing) or
not. So a prompt's result depends on its own samples alone, not on speed, kills or earlier runs, until a budget binds.
Samples in the ledger count as spent, so a run that is resumed or repeated stays within its budget.
"""

import heapq
import math
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl
from pydantic import Field, model_validator

from generators.contract.config import Config
from generators.contract.engine import SampleRequest
from generators.contract.errors import RecipeError
from generators.contract.files import frame
from generators.sampling.live_verdicts import LiveVerdict, LiveVerdicts, Row
from generators.sampling.pass_rates import PASS_RATE, Tally, level
from generators.sampling.sampling_plan import SamplingPlan, characters


class AdaptiveConfig(Config):
    """The stopping rule of a prompt. The default budget is `sampling.n` samples for each prompt."""

    correct: int = Field(default=4, ge=1, description="distinct correct traces at which a prompt stops")
    max_samples: int = Field(default=64, ge=1, description="samples at which a prompt stops in any case")
    budget: int | None = Field(
        default=None, ge=1, description="samples of one model in all, with those in the ledger; none: n per prompt"
    )
    look_ahead: int = Field(default=1, ge=0, description="samples of a prompt in flight beyond those sure to be used")
    order: Literal["even", "likeliest"] = Field(
        default="even", description="next prompt: fewest samples, or where a new correct trace is likeliest"
    )

    EXECUTION = frozenset({"look_ahead"})

    @model_validator(mode="after")
    def _check(self) -> "AdaptiveConfig":
        if self.correct > self.max_samples:
            raise ValueError(f"correct is {self.correct}, which max_samples = {self.max_samples} never reaches")
        return self


def budget_of(config: AdaptiveConfig, plan: SamplingPlan) -> int:
    """Return the samples of one model in all; RecipeError: too few for one sample of each prompt."""
    prompts = len(plan.prompt_ids)
    if config.budget is not None and config.budget < prompts:
        raise RecipeError(f"generate.adaptive.budget is {config.budget}; the {prompts} prompts need one sample each")
    return min(config.budget or plan.n * prompts, config.max_samples * prompts)


@dataclass(slots=True)
class Standing:
    """The verdicts of one prompt so far, and their counts."""

    verdicts: list[LiveVerdict | None] = field(default_factory=list)  # by sample index; None: requested, no verdict yet
    undecided: int = 0
    judged: int = 0
    correct: int = 0
    signatures: set[str] = field(default_factory=set)

    def take(self, index: int, verdict: LiveVerdict) -> None:
        """Record a verdict; they may come in any order."""
        assert self.verdicts[index] is None, f"sample {index} has two verdicts"
        self.verdicts[index] = verdict
        self.undecided -= 1
        self.judged += verdict.judged
        self.correct += verdict.correct
        if verdict.correct:
            self.signatures.add(verdict.signature)

    def expected(self, lacking: int) -> int:
        """Return the samples that `lacking` more correct ones take, at the posterior mean under a uniform prior."""
        return math.ceil(lacking * (self.judged + 2) / (self.correct + 1))


Place = tuple[float, float, int, int, int]  # rank, expected length and characters (negative), prompt, samples so far


@dataclass
class Experience:
    """An estimate of how likely a prompt's next sample is correct and new, learned from all prompts together."""

    judged: int = 0
    correct: int = 0
    correct_at: Counter[int] = field(default_factory=Counter)  # by the number of signatures that the prompt had before
    new_at: Counter[int] = field(default_factory=Counter)  # how many of these had a new signature

    def learn(self, standing: Standing, verdict: LiveVerdict) -> None:
        """Count a verdict of a prompt with this standing."""
        self.judged += verdict.judged
        self.correct += verdict.correct
        if verdict.correct:
            self.correct_at[len(standing.signatures)] += 1
            self.new_at[len(standing.signatures)] += verdict.signature not in standing.signatures

    def chance(self, standing: Standing) -> float:
        """Return the pass rate, shrunk to the mean by one sample's weight, times the chance of a new signature."""
        mean = (self.correct + 1) / (self.judged + 2)
        found = len(standing.signatures)
        new = (self.new_at[found] + 1) / (self.correct_at[found] + 1)
        return (standing.correct + mean) / (standing.judged + 1) * new


class AdaptiveSource:
    """A scheduler's Source: as many samples of each prompt of a plan as the prompt needs."""

    def __init__(
        self,
        plan: SamplingPlan,
        config: AdaptiveConfig,
        live: LiveVerdicts,
        kept: Collection[str] = frozenset(),
        lengths: Mapping[str, float] | None = None,
        cut: Mapping[str, SampleRequest] | None = None,
    ) -> None:
        """kept: ids in the ledger, with a verdict or in the backlog of `live`. cut: ids of those to be continued."""
        self.plan, self.config, self.live, self.kept, self.cut = plan, config, live, kept, cut or {}
        self.budget = budget_of(config, plan)
        self.spent = len(kept)  # samples in the ledger or requested
        self.totals = {prompt_id: (mean, 1) for prompt_id, mean in (lengths or {}).items()}
        self.solved = 0  # prompts with a correct sample
        self.experience = Experience()
        self.standings = [Standing() for _ in plan.prompt_ids]
        self.places: dict[str, tuple[int, int]] = {}  # trace_id -> prompt and index of samples without a verdict
        self.ahead: list[SampleRequest] = []  # taken by `lacks_nothing` and not handed out yet
        self.sure: list[Place] = []
        self.likely: list[Place] = []
        self.sizes = [-characters(messages) for messages in plan.messages]
        for prompt in range(len(plan.prompt_ids)):
            self._enqueue(prompt)

    def take(self, most: int) -> list[SampleRequest]:
        """Return samples to request now; none while the live verifier is far behind."""
        self._receive()
        taken, self.ahead = self.ahead[:most], self.ahead[most:]
        while len(taken) < most and self.live.room():
            prompt = self._next()
            if prompt is None:
                break
            request = self._ask(prompt)
            if request:
                taken.append(request)
        return taken

    def settled(self, request: SampleRequest, row: Row) -> None:
        """Have a finished sample verified."""
        total, count = self.totals.get(request.prompt_id, (0.0, 0))
        self.totals[request.prompt_id] = (total + (row.get("completion_tokens") or 0), count + 1)
        self.live.submit(row)

    def undecided(self) -> bool:
        """Return whether verdicts are pending."""
        self._receive()
        return self.live.unfinished()

    def lacks_nothing(self) -> bool:
        """Wait for the verdicts on existing samples; return whether these suffice."""
        while not self.ahead:
            waits = self.live.unfinished()
            self.ahead = self.take(1)
            if not self.ahead and not waits:
                return True
            time.sleep(0.0 if self.ahead else 0.01)
        return False

    def tallies(self) -> list[Tally]:
        """Return each prompt's tally of samples up to where it stopped; every sample must have its verdict."""
        assert not self.places, f"{len(self.places)} samples have no verdict"
        return [Tally.of(self._verdicts(prompt), self.config.correct) for prompt in range(len(self.standings))]

    def ids_of(self, prompt: int, tally: Tally) -> list[str]:
        """Return the ids of a prompt's samples up to where it stopped."""
        return [self.plan.trace_id(prompt, index) for index in range(tally.samples)]

    def pass_rates(self, tallies: Sequence[Tally]) -> pl.DataFrame:
        """Return a pass_rates.PASS_RATE frame."""
        most = self.config.max_samples
        until = level(tallies, most)
        rows = []
        for i, tally in enumerate(tallies):
            estimate = Tally.of(self._verdicts(i)[:until], self.config.correct)
            names = {"prompt_id": self.plan.prompt_ids[i], "teacher": self.plan.columns["teacher"]}
            rows.append({**names, **tally.row(estimate, most)})
        return frame(rows, PASS_RATE)

    def _verdicts(self, prompt: int) -> list[LiveVerdict]:
        return [verdict for verdict in self.standings[prompt].verdicts if verdict]

    def _receive(self) -> None:
        for trace_id, verdict in self.live.arrived():
            if trace_id in self.places:
                self._decide(trace_id, verdict)
            else:
                self.live.known[trace_id] = verdict

    def _decide(self, trace_id: str, verdict: LiveVerdict) -> None:
        prompt, index = self.places.pop(trace_id)
        self.experience.learn(self.standings[prompt], verdict)
        before = self.standings[prompt].correct
        self.standings[prompt].take(index, verdict)
        self.solved += not before and verdict.correct
        self._enqueue(prompt)

    def _next(self) -> int | None:
        """Return the next prompt to sample, None without one."""
        for queue, room in ((self.sure, self._sure), (self.likely, self._likely)):
            while queue:
                *_, prompt, samples = heapq.heappop(queue)
                if (
                    samples == len(self.standings[prompt].verdicts)
                    and room(prompt) > 0
                    and self._affordable(prompt, samples)
                ):
                    return prompt
        return None

    def _affordable(self, prompt: int, index: int) -> bool:
        return self.spent < self.budget or self.plan.trace_id(prompt, index) in self.kept

    def _ask(self, prompt: int) -> SampleRequest | None:
        """Return a request for the prompt's next sample; None where the ledger has it."""
        standing = self.standings[prompt]
        index = len(standing.verdicts)
        standing.verdicts.append(None)
        standing.undecided += 1
        trace_id = self.plan.trace_id(prompt, index)
        self.places[trace_id] = (prompt, index)
        self._enqueue(prompt)
        if trace_id in self.cut:
            return self.cut[trace_id]
        if trace_id not in self.kept:
            self.spent += 1
            return self.plan.request(prompt, index, trace_id=trace_id)
        if trace_id in self.live.known:
            self._decide(trace_id, self.live.known.pop(trace_id))
        return None

    def _enqueue(self, prompt: int) -> None:
        """Put a prompt into the queue that it belongs to now."""
        if self._sure(prompt) > 0:
            heapq.heappush(self.sure, self._place(prompt))
        elif self._likely(prompt) > 0:
            heapq.heappush(self.likely, self._place(prompt))

    def _place(self, prompt: int) -> Place:
        total, count = self.totals.get(self.plan.prompt_ids[prompt], (math.inf, 1))
        return self._rank(prompt), -total / count, self.sizes[prompt], prompt, len(self.standings[prompt].verdicts)

    def _rank(self, prompt: int) -> float:
        """Return the rank of a prompt, lowest first; a prompt without samples goes before all."""
        standing = self.standings[prompt]
        if self.config.order == "even" or not standing.verdicts:
            return len(standing.verdicts)
        return 2 - self.experience.chance(standing) / (1 + standing.undecided)  # those in flight may bring it

    def _sure(self, prompt: int) -> int:
        """Return how many more samples are sure to be used, whatever the pending verdicts are."""
        standing = self.standings[prompt]
        lacking = self.config.correct - len(standing.signatures)
        return min(lacking - standing.undecided, self.config.max_samples - len(standing.verdicts))

    def _likely(self, prompt: int) -> int:
        """Return how many more samples are likely to be used."""
        standing = self.standings[prompt]
        lacking = self.config.correct - len(standing.signatures)
        if lacking <= 0:
            return 0
        wanted = min(standing.expected(lacking), lacking + self.config.look_ahead)
        return min(wanted - standing.undecided, self.config.max_samples - len(standing.verdicts))
