"""Compare schedulers when completions differ a hundredfold in length: makespan over its lower bound.

    python -m benchmarks.long_tail

10,000 samples (1,250 prompts x 8) have lognormal lengths (sigma 1.2); there are 256 slots with one token per second
each. Part of the variance of log length belongs to the prompt and can be known in advance, the rest to each sample. The
clock is simulated; Scheduler and LongestFirst are the real ones. The bound is max(sum / slots, longest sample): no
scheduler can beat it, and none that does not know the lengths can reach it. Compared are:

- longest expected first: the order of the generate stage on an empty ledger, which first has to try each prompt once;
- longest expected first, prompts known: the same on a ledger with eight other samples of each prompt (n goes from 8 to
  16);
- first in, first out: the same Scheduler, slots refilled at once, prompts in their order;
- batches of 512: one batch at a time over all slots; the next one starts when the whole batch has ended;
- batches of 32: eight workers of 32 slots, each of which takes a new batch when its whole last batch has ended;
- lengths known: the Scheduler with all samples sorted by true length, the best that LPT (longest processing time first)
  could do.
"""

import heapq
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from statistics import mean
from typing import Any

from benchmarks.measure import record
from benchmarks.simulation import Clock, SimulatedEngine
from generators.contract.engine import SampleRequest
from generators.sampling.sampling_plan import LongestFirst, SamplingPlan
from generators.sampling.scheduler import Row, Scheduler, Source

PROMPTS, SAMPLES, SLOTS = 1250, 8, 256
SIGMA, MEDIAN = 1.2, 1000
SHARES = (1.0, 0.8, 0.5, 0.0)  # of the variance of log length that belong to the prompt
SEEDS = range(10)
TARGET = 1.05


class InOrder:
    """A Source of all samples in a given order."""

    def __init__(self, requests: Iterable[SampleRequest]) -> None:
        self.requests = list(requests)[::-1]

    def take(self, most: int) -> list[SampleRequest]:
        """Return the next requests."""
        return [self.requests.pop() for _ in range(min(most, len(self.requests)))]

    def settled(self, request: SampleRequest, row: Row) -> None:
        """Ignore the result."""

    def undecided(self) -> bool:
        """Return False: no decision is ever pending."""
        return False


def lengths_of(plan: SamplingPlan, share: float, seed: int) -> tuple[dict[str, int], dict[str, float]]:
    """Return (trace_id -> tokens, prompt_id -> mean tokens of as many other samples)."""
    rng = random.Random(f"{share} {seed}")
    lengths: dict[str, int] = {}
    earlier: dict[str, float] = {}
    for prompt, prompt_id in enumerate(plan.prompt_ids):
        common = rng.gauss(0, 1) * math.sqrt(share)
        own = [rng.gauss(0, 1) * math.sqrt(1 - share) for _ in range(2 * plan.n)]
        drawn = [max(1, round(MEDIAN * math.exp(SIGMA * (common + part)))) for part in own]
        lengths |= dict(zip(plan.ids_of(prompt), drawn[: plan.n], strict=True))
        earlier[prompt_id] = mean(drawn[plan.n :])
    return lengths, earlier


def makespan(source_at: Callable[[Clock], Source], lengths: dict[str, int]) -> float:
    """Return the seconds until the real Scheduler has everything."""
    clock = Clock()
    source = source_at(clock)
    engine = SimulatedEngine(clock, SLOTS, lambda request: lengths[request.trace_id])
    Scheduler(engine, source, lambda request, row: None).run()
    assert engine.tokens == sum(lengths.values())
    return clock.now


def longest_first(plan: SamplingPlan, earlier: Mapping[str, float], clock: Clock) -> LongestFirst:
    """Return the source that the generate stage uses, on the simulated clock."""
    return LongestFirst(plan, set(), earlier, lambda: clock.now)


def refilled(lengths: Sequence[int], slots: int) -> float:
    """Return the seconds for samples that are started in order as slots become free."""
    ends = [0.0] * slots
    for length in lengths:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def batched(lengths: Sequence[int], size: int) -> float:
    """Return the seconds with a barrier after each batch; batches smaller than the slots run on several workers."""
    batches = [lengths[start : start + size] for start in range(0, len(lengths), size)]
    workers = max(1, SLOTS // size)
    return refilled([round(refilled(batch, SLOTS // workers)) for batch in batches], workers)


def measure(share: float, seed: int) -> dict[str, float]:
    """Return makespan over bound for each way to schedule."""
    messages = [[{"role": "user", "content": "?"}]] * PROMPTS
    columns = {"teacher": "simulated", "revision": "", "sampling": "{}"}
    plan = SamplingPlan([f"p{i}" for i in range(PROMPTS)], messages, columns, SAMPLES, seed)
    lengths, earlier = lengths_of(plan, share, seed)
    in_order = [lengths[trace_id] for trace_id in plan.trace_ids]
    requests = [plan.request(prompt, index) for prompt in range(PROMPTS) for index in range(SAMPLES)]
    by_length = sorted(requests, key=lambda request: -lengths[request.trace_id])
    bound = max(sum(in_order) / SLOTS, max(in_order))
    ways: dict[str, Callable[[], float]] = {
        "longest expected first": lambda: makespan(partial(longest_first, plan, {}), lengths),
        "longest expected first, prompts known": lambda: makespan(partial(longest_first, plan, earlier), lengths),
        "lengths known": lambda: makespan(lambda clock: InOrder(by_length), lengths),
        "first in, first out": lambda: makespan(lambda clock: InOrder(requests), lengths),
        "batches of 512": lambda: batched(in_order, 512),
        "batches of 32": lambda: batched(in_order, 32),
    }
    return {
        **{name: way() / bound for name, way in ways.items()},
        "longest over sum/slots": max(in_order) * SLOTS / sum(in_order),
    }


def main() -> None:
    """Measure each share over several seeds and record the results."""
    rows: list[dict[str, Any]] = []
    for share in SHARES:
        runs = [measure(share, seed) for seed in SEEDS]
        over_seeds = {name: round(mean(run[name] for run in runs), 4) for name in runs[0]}
        worst = round(max(run["longest expected first"] for run in runs), 4)
        rows.append({"prompt_share_of_variance": share, **over_seeds, "longest expected first, worst seed": worst})
        print(rows[-1], flush=True)
    world = {"prompts": PROMPTS, "samples_a_prompt": SAMPLES, "slots": SLOTS, "sigma": SIGMA, "seeds": len(SEEDS)}
    record("long_tail", {**world, "target": TARGET, "makespan_over_bound": rows})


if __name__ == "__main__":
    main()
