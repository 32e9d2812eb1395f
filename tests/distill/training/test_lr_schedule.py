"""The learning rate over a run."""

from itertools import pairwise

import pytest

from distill.settings import TrainConfig
from distill.training.lr_schedule import learning_rate


def rates(steps: int, **settings: float) -> list[float]:
    config = TrainConfig(student="s", learning_rate=2.0, **settings)
    return [learning_rate(step, steps, config) for step in range(1, steps + 1)]


def test_linear_warm_up_then_half_a_cosine_to_the_final_rate() -> None:
    got = rates(110, warmup_ratio=10 / 110, final_lr_ratio=0.1)
    assert got[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert got[59] == pytest.approx((2.0 + 0.2) / 2)  # half of the cosine's way
    assert got[-1] == pytest.approx(0.2)
    assert all(later < earlier for earlier, later in pairwise(got[9:]))


@pytest.mark.parametrize("warmup", [0.0, 0.03, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_short_runs_and_extreme_warm_ups_stay_between_nothing_and_the_peak(warmup: float, steps: int) -> None:
    got = rates(steps, warmup_ratio=warmup, final_lr_ratio=0.0)
    assert len(got) == steps and all(0.0 <= rate <= 2.0 for rate in got)
    if warmup == 1.0:
        assert got == pytest.approx([2.0 * step / steps for step in range(1, steps + 1)])


def test_a_final_ratio_of_one_is_a_constant_rate() -> None:
    assert rates(9, warmup_ratio=0.0, final_lr_ratio=1.0) == pytest.approx([2.0] * 9)
