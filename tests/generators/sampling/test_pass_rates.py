"""Estimates of pass rates are unbiased although sampling stops at enough successes; the share correct is biased."""

import itertools
import math
import random
from collections.abc import Sequence

import pytest

from generators.sampling.live_verdicts import LiveVerdict
from generators.sampling.pass_rates import Tally, band_of

WRONG = LiveVerdict("wrong")
PATHS = {"all distinct": None, "even": [1.0] * 6, "steep": [0.7, 0.15, 0.08, 0.05, 0.02], "one": [1.0]}
RUNS = 8000


def stream(
    rng: random.Random, p: float, paths: Sequence[float] | None, most: int, lost: float = 0.0
) -> list[LiveVerdict]:
    """Return a prompt's verdicts up to the cap; a share `lost` of them cannot be judged."""
    verdicts = []
    for index in range(most):
        if rng.random() < lost:
            verdicts.append(LiveVerdict("timeout"))
        elif rng.random() < p:
            path = str(index) if paths is None else str(rng.choices(range(len(paths)), paths)[0])
            verdicts.append(LiveVerdict("correct", path))
        else:
            verdicts.append(WRONG)
    return verdicts


@pytest.mark.parametrize("paths", PATHS)
@pytest.mark.parametrize(("enough", "most"), [(1, 8), (2, 8), (4, 16), (4, 4)])
@pytest.mark.parametrize("p", [0.05, 0.3, 0.8])
def test_the_mean_estimate_is_the_pass_rate(p: float, enough: int, most: int, paths: str) -> None:
    rng = random.Random(f"{p} {enough} {most} {paths}")
    estimates = [Tally.of(stream(rng, p, PATHS[paths], most), enough).pass_rate() or 0.0 for _ in range(RUNS)]
    mean = math.fsum(estimates) / RUNS
    error = math.sqrt(math.fsum((x - mean) ** 2 for x in estimates)) / RUNS
    assert abs(mean - p) < 4 * error


@pytest.mark.parametrize("p", [0.3, 0.8])
def test_the_share_of_correct_samples_is_too_high(p: float) -> None:
    rng = random.Random(0)
    tallies = [Tally.of(stream(rng, p, None, 16), 2) for _ in range(RUNS)]
    share = math.fsum(tally.correct / tally.judged for tally in tallies) / RUNS
    assert share > p + 0.05


def test_exactly_unbiased_by_enumeration() -> None:
    """Enumerate all sequences of wrong, signature a and signature b, weighted by their probability."""
    p, weights = 0.4, {"a": 0.3, "b": 0.1}
    chances = {WRONG: 1 - p, **{LiveVerdict("correct", path): weight for path, weight in weights.items()}}
    for enough, most in [(1, 5), (2, 5), (2, 7), (3, 4)]:
        total = 0.0
        for sequence in itertools.product(chances, repeat=most):
            rate = Tally.of(sequence, enough).pass_rate()
            assert rate is not None
            total += rate * math.prod(chances[verdict] for verdict in sequence)
        assert total == pytest.approx(p, abs=1e-12)


def test_what_cannot_be_judged_is_not_wrong() -> None:
    rng = random.Random(1)
    tallies = [Tally.of(stream(rng, 0.5, None, 12, lost=0.3), 3) for _ in range(RUNS)]
    assert sum(tally.samples - tally.judged for tally in tallies) > RUNS
    rates = [rate for tally in tallies if (rate := tally.pass_rate()) is not None]
    assert math.fsum(rates) / len(rates) == pytest.approx(0.5, abs=0.01)
    assert Tally.of([LiveVerdict("error"), LiveVerdict("failed")], 2).pass_rate() is None


def test_samples_beyond_the_stop_are_not_used() -> None:
    right = [LiveVerdict("correct", path) for path in "abc"]
    tally = Tally.of([WRONG, right[0], right[0], right[1], WRONG, right[2]], 2)
    assert (tally.samples, tally.judged, tally.correct, tally.distinct, tally.solved) == (4, 4, 3, 2, True)
    assert tally.pass_rate() == pytest.approx(2 / 3)


def test_outcomes_and_bands() -> None:
    right = LiveVerdict("correct", "a")
    assert Tally.of([right], 1).outcome(8) == "solved"
    assert Tally.of([right, WRONG, WRONG], 2).outcome(3) == "capped"
    assert Tally.of([WRONG] * 3, 2).outcome(3) == "hopeless"
    assert Tally.of([WRONG] * 2, 2).outcome(3) == "budget"
    rates = [0.0, 0.1, 0.25, 0.5, 0.74, 0.75, 0.99, 1.0, None]
    expected = ["0", "0-25%", "25-50%", "50-75%", "50-75%", "75-100%", "75-100%", "100%", "unknown"]
    assert list(map(band_of, rates)) == expected
