"""Adaptive rejection sampling: a prompt stops at enough distinct correct traces, and what it saves goes to hard ones.

Verdicts come back while sampling goes on, and no engine waits for one. Of each prompt only as many samples are under
way as are sure to be used: one for each correct trace it still lacks. Prompts of fewest samples go first, so each gets
a first sample before any gets a second, and a budget that runs out has been spread evenly over those that still need
it; among equals the longest expected goes first. Only where all of that leaves slots of the engine idle are samples
taken that may turn out to be superfluous: as many as the prompt's pass rate lets expect, few at a time.

`order = "likeliest"` spends a budget where a new correct trace is likeliest instead, by the prompt's pass rate and by
how often prompts with as many paths find another. That brings more traces of somewhat fewer prompts, and leaves pass
rates to be estimated from the few samples that every prompt has.

A sample is asked for by its index, in order, whether the ledger has it (then it costs nothing) or not. So what
a prompt ends with depends on its own samples alone, not on speed, kills or earlier runs, until a budget binds. What the
ledger has counts as spent, so that a run which goes on, or runs again, stays within its budget.
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
from generators.contract.files import frame
from generators.sampling.live_verdicts import LiveVerdict, LiveVerdicts, Row
from generators.sampling.pass_rates import PASS_RATE, Tally, level
from generators.sampling.sampling_plan import SamplingPlan, characters


class AdaptiveConfig(Config):
    """When a prompt has enough. `sampling.n` becomes the samples a prompt that the budget is made of."""

    correct: int = Field(default=4, ge=1, description="correct and distinct traces at which a prompt stops")
    max_samples: int = Field(default=64, ge=1, description="samples at which a prompt stops without them")
    budget: int | None = Field(
        default=None, ge=1, description="samples of a teacher in all, with those there are; none: n a prompt"
    )
    look_ahead: int = Field(default=1, ge=0, description="samples of a prompt under way beyond those sure to be used")
    order: Literal["even", "likeliest"] = Field(
        default="even", description="who is next: fewest samples, or where a new correct trace is likeliest"
    )

    EXECUTION = frozenset({"look_ahead"})

    @model_validator(mode="after")
    def _check(self) -> "AdaptiveConfig":
        if self.correct > self.max_samples:
            raise ValueError(f"correct is {self.correct}, which max_samples = {self.max_samples} never reaches")
        return self


def budget_of(config: AdaptiveConfig, plan: SamplingPlan) -> int:
    """Samples of one teacher in all; one that leaves a prompt without any is a ValueError."""
    prompts = len(plan.prompt_ids)
    if config.budget is not None and config.budget < prompts:
        raise ValueError(f"generate.adaptive.budget is {config.budget}; the {prompts} prompts need one sample each")
    return min(config.budget or plan.n * prompts, config.max_samples * prompts)


@dataclass(slots=True)
class Standing:
    """What is known of one prompt."""

    findings: list[LiveVerdict | None] = field(default_factory=list)  # by sample index; None: asked for, not judged yet
    undecided: int = 0
    judged: int = 0
    correct: int = 0
    paths: set[str] = field(default_factory=set)

    def take(self, index: int, finding: LiveVerdict) -> None:
        """A verdict, in any order."""
        assert self.findings[index] is None, f"sample {index} is judged twice"
        self.findings[index] = finding
        self.undecided -= 1
        self.judged += finding.judged
        self.correct += finding.correct
        if finding.correct:
            self.paths.add(finding.path)

    def expected(self, lacking: int) -> int:
        """Samples until `lacking` more are correct, at the posterior mean of a pass rate that was uniform before."""
        return math.ceil(lacking * (self.judged + 2) / (self.correct + 1))


Place = tuple[float, float, int, int, int]  # rank, expected length and characters (negative), prompt, samples so far


@dataclass
class Experience:
    """How likely the next sample of a prompt is correct and new, learnt from all prompts together."""

    judged: int = 0
    correct: int = 0
    correct_at: Counter[int] = field(default_factory=Counter)  # by how many distinct ones the prompt had before
    new_at: Counter[int] = field(default_factory=Counter)  # of these, how many were another

    def learn(self, standing: Standing, finding: LiveVerdict) -> None:
        """One more finding of a prompt that stands like this."""
        self.judged += finding.judged
        self.correct += finding.correct
        if finding.correct:
            self.correct_at[len(standing.paths)] += 1
            self.new_at[len(standing.paths)] += finding.path not in standing.paths

    def chance(self, standing: Standing) -> float:
        """Its pass rate, drawn towards the mean of all by one sample's weight, times the chance that it is new."""
        mean = (self.correct + 1) / (self.judged + 2)
        paths = len(standing.paths)
        new = (self.new_at[paths] + 1) / (self.correct_at[paths] + 1)
        return (standing.correct + mean) / (standing.judged + 1) * new


class AdaptiveSource:
    """A plan's samples, as many of each prompt as it needs. A Source of generators/sampling/scheduler.py."""

    def __init__(
        self,
        plan: SamplingPlan,
        config: AdaptiveConfig,
        findings: LiveVerdicts,
        kept: Collection[str] = frozenset(),
        lengths: Mapping[str, float] | None = None,
        cut: Mapping[str, SampleRequest] | None = None,
    ) -> None:
        """kept: ids the ledger has, which are judged or in the backlog of `findings`. cut: those that go on."""
        self.plan, self.config, self.findings, self.kept, self.cut = plan, config, findings, kept, cut or {}
        self.budget = budget_of(config, plan)
        self.spent = len(kept)  # samples there are or have been asked for
        self.totals = {prompt_id: (mean, 1) for prompt_id, mean in (lengths or {}).items()}
        self.experience = Experience()
        self.standings = [Standing() for _ in plan.prompt_ids]
        self.places: dict[str, tuple[int, int]] = {}  # trace_id -> prompt and index of what is not decided
        self.ahead: list[SampleRequest] = []  # taken to see whether there is anything, and not given out
        self.sure: list[Place] = []
        self.likely: list[Place] = []
        self.sizes = [-characters(messages) for messages in plan.messages]
        for prompt in range(len(plan.prompt_ids)):
            self._line_up(prompt)

    def take(self, most: int) -> list[SampleRequest]:
        """Samples to ask for now; none while the judge is far behind."""
        self._hear()
        taken, self.ahead = self.ahead[:most], self.ahead[most:]
        while len(taken) < most and self.findings.room():
            prompt = self._next()
            if prompt is None:
                break
            request = self._ask(prompt)
            if request:
                taken.append(request)
        return taken

    def settled(self, request: SampleRequest, row: Row) -> None:
        """A sample is there: have it judged."""
        total, count = self.totals.get(request.prompt_id, (0.0, 0))
        self.totals[request.prompt_id] = (total + (row.get("completion_tokens") or 0), count + 1)
        self.findings.submit(row)

    def undecided(self) -> bool:
        """Whether verdicts are under way."""
        self._hear()
        return self.findings.unfinished()

    def lacks_nothing(self) -> bool:
        """Whether the samples there are suffice; waits for the verdicts on them."""
        while not self.ahead:
            waits = self.findings.unfinished()
            self.ahead = self.take(1)
            if not self.ahead and not waits:
                return True
            time.sleep(0.0 if self.ahead else 0.01)
        return False

    def tallies(self) -> list[Tally]:
        """Each prompt's samples up to where it stopped, when all is done."""
        assert not self.places, f"{len(self.places)} samples have no finding"
        return [Tally.of(self._findings(prompt), self.config.correct) for prompt in range(len(self.standings))]

    def ids_of(self, prompt: int, tally: Tally) -> list[str]:
        """Ids of a prompt's samples up to where it stopped."""
        return [self.plan.trace_id(prompt, index) for index in range(tally.samples)]

    def pass_rates(self, tallies: Sequence[Tally]) -> pl.DataFrame:
        """A PASS_RATE frame."""
        most = self.config.max_samples
        until = level(tallies, most)
        rows = []
        for i, tally in enumerate(tallies):
            estimate = Tally.of(self._findings(i)[:until], self.config.correct)
            names = {"prompt_id": self.plan.prompt_ids[i], "teacher": self.plan.columns["teacher"]}
            rows.append({**names, **tally.row(estimate, most)})
        return frame(rows, PASS_RATE)

    def _findings(self, prompt: int) -> list[LiveVerdict]:
        return [finding for finding in self.standings[prompt].findings if finding]

    def _hear(self) -> None:
        for trace_id, finding in self.findings.arrived():
            if trace_id in self.places:
                self._decide(trace_id, finding)
            else:
                self.findings.known[trace_id] = finding

    def _decide(self, trace_id: str, finding: LiveVerdict) -> None:
        prompt, index = self.places.pop(trace_id)
        self.experience.learn(self.standings[prompt], finding)
        self.standings[prompt].take(index, finding)
        self._line_up(prompt)

    def _next(self) -> int | None:
        """The prompt whose turn it is."""
        for queue, room in ((self.sure, self._sure), (self.likely, self._likely)):
            while queue:
                *_, prompt, samples = heapq.heappop(queue)
                if (
                    samples == len(self.standings[prompt].findings)
                    and room(prompt) > 0
                    and self._affordable(prompt, samples)
                ):
                    return prompt
        return None

    def _affordable(self, prompt: int, index: int) -> bool:
        return self.spent < self.budget or self.plan.trace_id(prompt, index) in self.kept

    def _ask(self, prompt: int) -> SampleRequest | None:
        """The prompt's next sample; None where there is one already."""
        standing = self.standings[prompt]
        index = len(standing.findings)
        standing.findings.append(None)
        standing.undecided += 1
        trace_id = self.plan.trace_id(prompt, index)
        self.places[trace_id] = (prompt, index)
        self._line_up(prompt)
        if trace_id in self.cut:
            return self.cut[trace_id]
        if trace_id not in self.kept:
            self.spent += 1
            return self.plan.request(prompt, index, trace_id=trace_id)
        if trace_id in self.findings.known:
            self._decide(trace_id, self.findings.known.pop(trace_id))
        return None

    def _line_up(self, prompt: int) -> None:
        """Put a prompt into the queue that it may be taken from now."""
        if self._sure(prompt) > 0:
            heapq.heappush(self.sure, self._place(prompt))
        elif self._likely(prompt) > 0:
            heapq.heappush(self.likely, self._place(prompt))

    def _place(self, prompt: int) -> Place:
        total, count = self.totals.get(self.plan.prompt_ids[prompt], (math.inf, 1))
        return self._rank(prompt), -total / count, self.sizes[prompt], prompt, len(self.standings[prompt].findings)

    def _rank(self, prompt: int) -> float:
        """The lowest goes first; a prompt without any sample goes before all."""
        standing = self.standings[prompt]
        if self.config.order == "even" or not standing.findings:
            return len(standing.findings)
        return 2 - self.experience.chance(standing) / (1 + standing.undecided)  # those under way may bring it already

    def _sure(self, prompt: int) -> int:
        """How many more samples are sure to be used, whatever comes of those under way."""
        standing = self.standings[prompt]
        lacking = self.config.correct - len(standing.paths)
        return min(lacking - standing.undecided, self.config.max_samples - len(standing.findings))

    def _likely(self, prompt: int) -> int:
        """How many more are likely to be."""
        standing = self.standings[prompt]
        lacking = self.config.correct - len(standing.paths)
        if lacking <= 0:
            return 0
        wanted = min(standing.expected(lacking), lacking + self.config.look_ahead)
        return min(wanted - standing.undecided, self.config.max_samples - len(standing.findings))
