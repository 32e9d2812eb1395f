"""Compare adaptive sampling with n samples of every prompt: tokens per distinct correct trace, and prompts covered.

    python -m benchmarks.adaptive

The world is simulated; the Scheduler and the AdaptiveSource that sample it are the real ones:

- pass rates: a fifth of the prompts are hopeless (0), a fifth easy (Beta(12, 1.5)), the rest Beta(0.8, 1.2); the mean
  is 0.42;
- paths: a correct sample takes path j with a frequency proportional to (j + b)^-a. a, b and a mean pass rate are fitted
  to the number of distinct paths per question in Yuan et al. 2023 (arXiv 2308.01825): 1.17, 1.44, 2.20, 3.94 and 5.25
  at 1, 3, 12, 50 and 100 samples. That curve counts the question's given solution (its first value is above 1);
  therefore one more path is drawn from the same law here, and the samples add to it;
- lengths: lognormal with sigma 1.2; the prompt accounts for half of the variance, and hopeless prompts are longer than
  certain ones by a factor of exp(0.5); there are 256 slots, and a verdict takes the time of 50 tokens.

Each policy is compared twice: at the token budget of fixed n (how much more it finds) and at the yield of fixed n (how
many tokens it saves). Traces are counted as `select` keeps them, at most 4 distinct ones per prompt, and without that
limit.
"""

import bisect
import itertools
import math
import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from benchmarks.long_tail import InOrder
from benchmarks.measure import record
from benchmarks.simulation import Clock, SimulatedEngine, SimulatedJudge
from generators.contract.engine import SampleRequest
from generators.sampling.adaptive import AdaptiveConfig, AdaptiveSource
from generators.sampling.live_verdicts import LiveVerdict, LiveVerdicts, Row
from generators.sampling.sampling_plan import SamplingPlan
from generators.sampling.scheduler import Scheduler

CURVE = {1: 1.17, 3: 1.44, 12: 2.20, 50: 3.94, 100: 5.25}
Order = Literal["even", "likeliest"]
PATHS = 2000
PROMPTS, SLOTS, VERDICT_S = 1000, 256, 50.0
SIGMA, MEDIAN = 1.2, 1000
FIXED = (4, 16, 64)
CAP = 4  # traces kept per prompt
POLICIES: tuple[tuple[Order, int], ...] = (("even", 4), ("likeliest", 4), ("likeliest", 12))  # order, `correct`
REACH = 4  # max_samples over n

Law = npt.NDArray[np.float64]


def law_of(a: float, b: float) -> Law:
    """Return the frequency of each path, [PATHS]."""
    weights: Law = (np.arange(PATHS, dtype=np.float64) + 1 + b) ** -a
    law: Law = weights / weights.sum()
    return law


def distinct(samples: int, rate: float, law: Law) -> float:
    """Return the expected number of distinct paths among a given solution and `samples` samples of the same law."""
    return float(1 + ((1 - law) * (1 - (1 - rate * law) ** samples)).sum())


def fitted() -> tuple[Law, dict[str, Any]]:
    """Return the law fitted to CURVE, and the quality of the fit."""

    def curve(x: Sequence[float]) -> list[float]:
        law, rate = law_of(math.exp(x[0]), math.exp(x[1])), 1 / (1 + math.exp(-x[2]))
        return [distinct(samples, rate, law) for samples in CURVE]

    wanted = np.array(list(CURVE.values()))
    x = least_squares(lambda x: np.array(curve(x)) / wanted - 1, [0.7, -0.7, 0.0]).x
    found = curve(x)
    facts = {
        "a": round(math.exp(x[0]), 3),
        "b": round(math.exp(x[1]), 3),
        "pass_rate": round(1 / (1 + math.exp(-x[2])), 3),
        "paper": CURVE,
        "fitted": {samples: round(value, 3) for samples, value in zip(CURVE, found, strict=True)},
        "largest_relative_error": float(np.abs(np.array(found) / wanted - 1).max().round(4)),
    }
    return law_of(math.exp(x[0]), math.exp(x[1])), facts


class World:
    """Simulated prompts, and the verdict and length of each of their samples."""

    def __init__(self, law: Law, seed: int = 0) -> None:
        rng = random.Random(seed)
        self.cumulated = list(itertools.accumulate(law.tolist()))
        self.rates = [pass_rate(rng) for _ in range(PROMPTS)]
        self.common = [rng.gauss(0, 1) for _ in range(PROMPTS)]

    def finding(self, row: Row) -> LiveVerdict:
        """Return the verdict of a sample and, if it is correct, its path."""
        rng = random.Random(f"found {row['trace_id']}")
        if rng.random() >= self.rates[int(row["prompt_id"])]:
            return LiveVerdict("wrong")
        return LiveVerdict("correct", str(bisect.bisect(self.cumulated, rng.random())))

    def length(self, request: SampleRequest) -> int:
        """Return the number of tokens of a sample."""
        prompt = int(request.prompt_id)
        own = random.Random(f"length {request.trace_id}").gauss(0, 1)
        log = SIGMA * math.sqrt(0.5) * (self.common[prompt] + own) + 0.5 * (1 - self.rates[prompt])
        return max(1, round(MEDIAN * math.exp(log)))


def pass_rate(rng: random.Random) -> float:
    """Draw the pass rate of one prompt."""
    kind = rng.random()
    if kind < 0.2:
        return 0.0
    return rng.betavariate(12, 1.5) if kind < 0.4 else rng.betavariate(0.8, 1.2)


@dataclass(frozen=True)
class Yield:
    """Samples, tokens and distinct correct traces of one run."""

    samples: int
    tokens: int
    capped: int
    uncapped: int
    covered: int

    @classmethod
    def of(cls, samples: int, tokens: int, findings: Iterable[Sequence[LiveVerdict]]) -> "Yield":
        """Count distinct correct paths in the live verdicts of each prompt."""
        sizes = [len({finding.signature for finding in found if finding.correct}) for found in findings]
        return cls(samples, tokens, sum(min(CAP, size) for size in sizes), sum(sizes), sum(map(bool, sizes)))

    def row(self) -> dict[str, Any]:
        """Return the figures as they are recorded."""
        counts = {"samples": self.samples, "tokens": self.tokens, "prompts_covered": self.covered}
        return {
            **counts,
            f"distinct_at_most_{CAP}": self.capped,
            "distinct": self.uncapped,
            f"tokens_a_trace_at_most_{CAP}": round(self.tokens / self.capped),
            "tokens_a_trace": round(self.tokens / self.uncapped),
        }


def plan_of(n: int) -> SamplingPlan:
    """Return the plan of n samples of each prompt."""
    messages = [[{"role": "user", "content": "?"}]] * PROMPTS
    return SamplingPlan(list(map(str, range(PROMPTS))), messages, {"teacher": "", "revision": "", "sampling": ""}, n, 0)


def fixed(world: World, n: int) -> Yield:
    """Sample every prompt n times."""
    plan = plan_of(n)
    requests = [plan.request(prompt, index) for prompt in range(PROMPTS) for index in range(n)]
    engine = SimulatedEngine(Clock(), SLOTS, world.length)
    Scheduler(engine, InOrder(requests), lambda request, row: None).run()
    findings = ([world.finding(plan.request(p, index).row()) for index in range(n)] for p in range(PROMPTS))
    return Yield.of(len(plan), engine.tokens, findings)


def adaptive(world: World, n: int, policy: tuple[Order, int], budget: int) -> tuple[Yield, int]:
    """Return the yield of an adaptive run and its surplus: samples paid for after a prompt had enough."""
    clock = Clock()
    engine = SimulatedEngine(clock, SLOTS, world.length)
    judge = SimulatedJudge(clock, world.finding, lambda row: VERDICT_S)
    order, enough = policy
    config = AdaptiveConfig(correct=enough, max_samples=REACH * n, budget=max(PROMPTS, budget), order=order)
    with tempfile.TemporaryDirectory() as folder, LiveVerdicts(Path(folder) / "findings.jsonl", judge) as findings:
        source = AdaptiveSource(plan_of(n), config, findings)
        Scheduler(engine, source, lambda request, row: None).run()
    used = sum(tally.samples for tally in source.tallies())
    found = ([f for f in standing.verdicts if f] for standing in source.standings)
    return Yield.of(source.spent, engine.tokens, found), source.spent - used


def same_tokens(world: World, n: int, policy: tuple[Order, int], tokens: int) -> dict[str, Any]:
    """Return the yield of the largest budget that takes at most `tokens` tokens."""
    budget = n * PROMPTS
    for _ in range(5):
        found, surplus = adaptive(world, n, policy, budget)
        if found.samples < budget or 0.99 * tokens <= found.tokens <= tokens:
            break
        budget = int(budget * 0.998 * tokens / found.tokens)
    return {**found.row(), "surplus": surplus, "budget_binds": found.samples >= budget}


def same_yield(world: World, n: int, policy: tuple[Order, int], wanted: int) -> dict[str, Any] | None:
    """Return the yield of about the smallest budget that finds `wanted` traces (at most CAP per prompt), else None."""
    low, high, best = PROMPTS, REACH * n * PROMPTS, None
    while high - low > n * PROMPTS // 33:
        middle = (low + high) // 2
        found, surplus = adaptive(world, n, policy, middle)
        if found.capped >= wanted:
            best, high = {**found.row(), "surplus": surplus}, min(middle, found.samples)
        else:
            if found.samples < middle:
                break
            low = middle
    return best


def compare(world: World, n: int) -> dict[str, Any]:
    """Compare every policy with fixed n."""
    base = fixed(world, n)
    rows: dict[str, Any] = {"n": n, "max_samples": REACH * n, "fixed": base.row()}
    for policy in POLICIES:
        equal = same_tokens(world, n, policy, base.tokens)
        cheaper = same_yield(world, n, policy, base.capped)
        name = "{}, correct={}".format(*policy)
        rows[name] = {
            "same_tokens": equal,
            "same_yield": cheaper,
            "traces_over_fixed": round(equal[f"distinct_at_most_{CAP}"] / base.capped, 3),
            "traces_over_fixed_uncapped": round(equal["distinct"] / base.uncapped, 3),
            "covered_over_fixed": round(equal["prompts_covered"] / base.covered, 3),
            "tokens_over_fixed_at_same_yield": round(cheaper["tokens"] / base.tokens, 3) if cheaper else None,
        }
        print(n, name, {k: v for k, v in rows[name].items() if "over" in k}, flush=True)
    return rows


def main() -> None:
    """Measure each n and record the results."""
    law, facts = fitted()
    world = World(law)
    about = {"prompts": PROMPTS, "slots": SLOTS, "mean_pass_rate": round(sum(world.rates) / PROMPTS, 3)}
    record("adaptive", {**about, "path_law": facts, "against_fixed_n": [compare(world, n) for n in FIXED]})


if __name__ == "__main__":
    main()
