"""How often a teacher solves a prompt, estimated without bias although sampling stopped because it did.

Sampling ends at the sample that brings the k-th distinct correct trace, or at a cap. The share of correct samples is
then too high on average: the last one is correct by construction. Take the samples in the order of their index, which
is fixed before any is drawn. Let s be the count at which the rule stopped, c the correct ones among these.

The first sample alone is correct with probability p, so it is an unbiased estimate of p; so is its expectation given
(how it stopped, s, c), with less variance (Rao-Blackwell; for binomial plans Girshick, Mosteller and Savage 1946). If
the rule stopped it, the last sample is correct and new, and the s-1 before it hold c-1 correct ones of k-1 distinct
paths. Any order of these is a run that stops at s as well, and has the same probability, so the first is correct with
probability (c-1)/(s-1). If the cap stopped it, all orders of all s are equally likely: c/s. When every correct trace
is distinct, c = k and (k-1)/(s-1) is Haldane's estimate for inverse binomial sampling (Biometrika 33, 1945). With
k = 1 the rule may stop at the first sample, where s-1 = 0: that sample alone says 1; later stops say (1-1)/(s-1) = 0.

- What cannot be judged (a verifier's time-out, a teacher's failure) is left out of the sequence, and the estimate is
  of the rate among samples that can be judged. Positions of the others are as random as before.
- Samples under way when the rule stopped are beyond s and not used: whether they exist depends on speed.
- A budget that ran out is no cap by itself: how many samples it left to a prompt depends on the prompt's own, by as
  many as were under way. So every estimate then takes one level as the cap: the fewest samples that a prompt which the
  budget ended has. One among many prompts hardly moves it. Prompts of fewest samples go first, so it is close to what
  the others have, unless the engines hold a large part of the prompts at once. (With `order = "likeliest"` the level is
  low, and the estimates are of the few samples below it.)
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
    "judged": pl.Int32,  # of these, right or wrong
    "correct": pl.Int32,
    "distinct": pl.Int32,  # correct traces of different paths
    "pass_rate": pl.Float64,  # unbiased; null = nothing was judged
    "estimated_from": pl.Int32,  # the first samples, of which `pass_rate` is
    "band": pl.String,
    "outcome": pl.String,
}
OUTCOMES = ("solved", "capped", "hopeless", "budget")
BANDS = ("0", "0-25%", "25-50%", "50-75%", "75-100%", "100%", "unknown")


@dataclass(frozen=True)
class Tally:
    """A prompt's samples up to where the rule stopped."""

    samples: int
    judged: int
    correct: int
    distinct: int
    solved: bool

    @classmethod
    def of(cls, findings: Sequence[LiveVerdict], enough: int) -> "Tally":
        """`findings` in the order of the sample index; `enough` distinct correct ones end it."""
        judged = correct = 0
        paths: set[str] = set()
        for count, finding in enumerate(findings, start=1):
            judged += finding.judged
            correct += finding.correct
            paths |= {finding.path} if finding.correct else set()
            if len(paths) == enough:
                return cls(count, judged, correct, enough, True)
        return cls(len(findings), judged, correct, len(paths), False)

    def pass_rate(self) -> float | None:
        """The unbiased estimate."""
        if self.solved:
            return (self.correct - 1) / (self.judged - 1) if self.judged > 1 else 1.0
        return self.correct / self.judged if self.judged else None

    def outcome(self, most: int) -> str:
        """One of OUTCOMES; `most` samples are the cap."""
        if self.solved:
            return "solved"
        if self.samples < most:
            return "budget"
        return "capped" if self.correct else "hopeless"

    def row(self, estimate: "Tally", most: int) -> dict[str, Any]:
        """The counts of a PASS_RATE row, with the rate of its first samples."""
        counts = {"samples": self.samples, "judged": self.judged, "correct": self.correct, "distinct": self.distinct}
        rate = estimate.pass_rate()
        rates = {"pass_rate": rate, "estimated_from": estimate.samples, "band": band_of(rate)}
        return {**counts, **rates, "outcome": self.outcome(most)}


def level(tallies: Sequence[Tally], most: int) -> int:
    """Samples that every prompt was given which still needed them: the cap `most`, or less where a budget ended it."""
    return min((tally.samples for tally in tallies if tally.outcome(most) == "budget"), default=most)


def band_of(rate: float | None) -> str:
    """The difficulty band of a pass rate."""
    if rate is None:
        return "unknown"
    return BANDS[0 if rate == 0 else 5 if rate == 1 else 1 + int(rate * 4)]


def summary(rates: pl.DataFrame, fixed: int, most: int) -> dict[str, Any]:
    """What the policy used and saved. fixed: samples a prompt that it is compared with; most: its cap."""
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
