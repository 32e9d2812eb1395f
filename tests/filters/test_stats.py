import itertools
import math

import numpy as np
import pytest

from filters.stats import cons_at_k, pass_at_1, pass_at_k, wilson_interval

CORRECT = np.random.default_rng(0).random((6, 5)) < np.linspace(0, 1, 6)[:, None]


@pytest.mark.parametrize("k", range(1, 6))
def test_pass_at_k_is_the_share_of_draws_with_a_correct_sample(k: int) -> None:
    draws = [[any(row[list(draw)]) for draw in itertools.combinations(range(5), k)] for row in CORRECT]
    assert pass_at_k(CORRECT, k) == pytest.approx(np.mean(draws))


def test_pass_at_1_is_the_mean_with_the_spread_between_problems() -> None:
    estimate = pass_at_1(CORRECT)
    means = CORRECT.mean(axis=1)
    error = math.sqrt(sum((m - means.mean()) ** 2 for m in means) / 5 / 6)
    assert estimate.value == pytest.approx(CORRECT.mean())
    assert estimate.standard_error == pytest.approx(error)
    assert estimate.high - estimate.value == pytest.approx(min(1.959964 * error, 1 - estimate.value), rel=1e-5)
    assert estimate.note == "6 problems are few: the interval is wide"


def test_more_samples_of_the_same_problems_do_not_narrow_the_interval() -> None:
    once, many = pass_at_1(CORRECT), pass_at_1(np.repeat(CORRECT, 10, axis=1))
    assert many.standard_error == pytest.approx(once.standard_error)


def test_the_interval_has_its_nominal_coverage() -> None:
    draw = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        rates = draw.beta(1, 1, size=200)  # true mean 0.5
        estimate = pass_at_1(draw.random((200, 4)) < rates[:, None])
        covered += estimate.low <= 0.5 <= estimate.high
        assert estimate.note is None
    assert 930 <= covered <= 970


def test_weak_estimates_carry_a_note() -> None:
    assert pass_at_1([[True, False]]).note == "one problem says nothing about others"
    assert "cannot be seen" in (pass_at_1([True] * 50).note or "")


def test_majority_vote() -> None:
    answers: list[list[str | None]] = [["12", "12", "13"], ["7", "8", None], [None, None, None], ["a", "b", "b"]]
    correct = [[True, True, False], [True, False, False], [False] * 3, [True, False, False]]
    assert cons_at_k(answers, correct) == (1 + 0.5 + 0 + 0) / 4


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (3, 10), (10, 10), (50, 200)])
def test_wilson_bounds_solve_its_equation(successes: int, trials: int) -> None:
    share = successes / trials
    for bound in wilson_interval(successes, trials):
        distance, scale = abs(share - bound), math.sqrt(bound * (1 - bound) / trials)
        assert distance == pytest.approx(1.959964 * scale, abs=1e-6)


def test_impossible_figures_are_refused() -> None:
    with pytest.raises(ValueError, match="k is 6; with 5 samples a problem"):
        pass_at_k(CORRECT, 6)
    with pytest.raises(ValueError, match="at least one of each"):
        pass_at_1(np.empty((0, 4)))
    with pytest.raises(ValueError, match="at least one trial"):
        wilson_interval(0, 0)
    with pytest.raises(ValueError, match="confidence is 95"):
        wilson_interval(1, 2, confidence=95)


def test_no_problem_solved_of_few_is_no_certainty() -> None:
    none, all_of_them = pass_at_1([False] * 20), pass_at_1([True] * 20)
    assert (none.low, none.high) == pytest.approx(wilson_interval(0, 20))
    assert (all_of_them.low, all_of_them.high) == pytest.approx(wilson_interval(20, 20))
