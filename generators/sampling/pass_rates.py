"""Pass rates of prompts, estimated without bias although sampling stops because of successes.

Sampling ends at the sample that brings the k-th distinct correct trace, or at a cap. The share of correct samples is
then too high on average: the last one is correct by construction. Take the samples in the order of their index, which
is fixed before any is drawn. Let s be the count at which the rule stopped, c the correct ones among these.

The first sample alone is correct with probability p, so it is an unbiased estimate of p; so is its expectation given
(how it stopped, s, c), with less variance (Rao-Blackwell; for binomial plans Girshick, Mosteller and Savage 1946). If
the rule stopped it, the last sample is correct and new, and the s-1 before it hold c-1 correct ones with k-1 distinct
signatures. Any order of these is a run that stops at s too, and has the same probability, so the first is correct with
probability (c-1)/(s-1). If the cap stopped it, all orders of all s are equally likely: c/s. When every correct trace
is distinct, c = k and (k-1)/(s-1) is Haldane's estimate for inverse binomial sampling (Biometrika 33, 1945). With
k = 1 the rule may stop at the first sample, where s-1 = 0: that sample alone says 1; later stops say (1-1)/(s-1) = 0.

- Samples that cannot be judged (a verifier's time-out, an engine's failure) are left out of the sequence, and the
  estimate is of the rate among samples that can be judged. The positions of the others stay random.
- Samples in flight when the rule stopped are beyond s and not used: whether they exist depends on speed.
- A budget that ran out is not a cap by itself: the number of samples it left to a prompt depends on the prompt's own
  results, through those in flight. So every estimate then takes one level as the cap: the fewest samples of any prompt
  that the budget ended. A single prompt among many hardly moves it. Prompts with the fewest samples go first, so the
  level is close to what the others have, unless the engines hold a large part of the prompts at once. (With
  `order = "likeliest"` the level is low, and the estimates use the few samples below it.)
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from generators.sampling.live_verdicts import LiveVerdict

PASS_RATE: dict[str, Any] = {
    "prompt_id": pl.String,
    "teacher": pl.String,
    "samples": pl.Int32,  # up to where the rule stopped
    "judged": pl.Int32,  # right or wrong
    "correct": pl.Int32,
    "distinct": pl.Int32,  # correct traces with different solution signatures
    "pass_rate": pl.Float64,  # unbiased; null = nothing was judged
    "estimated_from": pl.Int32,  # number of first samples that `pass_rate` uses
    "band": pl.String,
    "outcome": pl.String,
}
OUTCOMES = ("solved", "capped", "hopeless", "budget")
BANDS = ("0", "0-25%", "25-50%", "50-75%", "75-100%", "100%", "unknown")


@dataclass(frozen=True)
class Tally:
    """Counts of a prompt's samples up to where the rule stopped."""

    samples: int
    judged: int
    correct: int
    distinct: int
    solved: bool

    @classmethod
    def of(cls, verdicts: Sequence[LiveVerdict], enough: int) -> "Tally":
        """Count `verdicts`, in the order of the sample index, until `enough` distinct correct ones."""
        judged = correct = 0
        signatures: set[str] = set()
        for count, verdict in enumerate(verdicts, start=1):
            judged += verdict.judged
            correct += verdict.correct
            signatures |= {verdict.signature} if verdict.correct else set()
            if len(signatures) == enough:
                return cls(count, judged, correct, enough, True)
        return cls(len(verdicts), judged, correct, len(signatures), False)

    def pass_rate(self) -> float | None:
        """Return the unbiased estimate; None where nothing was judged."""
        if self.solved:
            return (self.correct - 1) / (self.judged - 1) if self.judged > 1 else 1.0
        return self.correct / self.judged if self.judged else None

    def outcome(self, most: int) -> str:
        """Return one of OUTCOMES; `most` samples are the cap."""
        if self.solved:
            return "solved"
        if self.samples < most:
            return "budget"
        return "capped" if self.correct else "hopeless"

    def row(self, estimate: "Tally", most: int) -> dict[str, Any]:
        """Return the columns of a PASS_RATE row; `estimate` is the tally of the first samples, which the rate uses."""
        counts = {"samples": self.samples, "judged": self.judged, "correct": self.correct, "distinct": self.distinct}
        rate = estimate.pass_rate()
        rates = {"pass_rate": rate, "estimated_from": estimate.samples, "band": band_of(rate)}
        return {**counts, **rates, "outcome": self.outcome(most)}


def level(tallies: Sequence[Tally], most: int) -> int:
    """Return the cap of all estimates: `most`, or the fewest samples of a prompt that the budget ended."""
    return min((tally.samples for tally in tallies if tally.outcome(most) == "budget"), default=most)


def band_of(rate: float | None) -> str:
    """Return the difficulty band of a pass rate."""
    if rate is None:
        return "unknown"
    return BANDS[0 if rate == 0 else 5 if rate == 1 else 1 + int(rate * 4)]


def summary(rates: pl.DataFrame, fixed: int, most: int) -> dict[str, Any]:
    """Return what the policy used and saved, compared with `fixed` samples of each prompt; most: its cap."""
    used = rates["samples"].cast(pl.Int64)
    total, prompts = int(used.sum()), len(rates)
    return {
        "prompts": prompts,
        "samples": total,
        "samples_fixed": fixed * prompts,
        "samples_most": most * prompts,
        "moved": int((used - fixed).clip(lower_bound=0).sum()),
        "spared": int((fixed - used).clip(lower_bound=0).sum()),
        "distinct_correct": int(rates["distinct"].sum()),
        "covered": int((rates["correct"] > 0).sum()),
        "unjudged": total - int(rates["judged"].sum()),
        "outcomes": _counted(rates["outcome"], OUTCOMES),
        "bands": _counted(rates["band"], BANDS),
        "mean_pass_rate": rates["pass_rate"].mean(),
        "naive_pass_rate": (rates["correct"] / rates["judged"]).fill_nan(None).mean(),
    }


def _counted(values: pl.Series, names: Sequence[str]) -> Mapping[str, int]:
    found = Counter(values.to_list())
    return {name: found[name] for name in names}
