"""Accuracy estimates with their uncertainty: pass@1 with an interval, pass@k, majority vote, Wilson interval.

Arrays are P problems by n samples, True if the sample is correct.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FEW_PROBLEMS = 30
FEW_SOLVED = 5  # or unsolved; with fewer the mean is far from normal


@dataclass(frozen=True, slots=True)
class Estimate:
    """A proportion and its confidence interval; `note` says why the interval may be off."""

    value: float
    low: float
    high: float
    standard_error: float
    problems: int
    note: str | None = None


def pass_at_1(correct: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """Return the mean over problems of their share of correct samples, with the interval of the central limit theorem.

    `correct`: (P, n), or (P,) for one sample per problem. Samples of one problem are not independent, so the standard
    error is that of the P problem means (Miller 2024, arXiv 2411.00640). With under 30 problems, fewer than 5 of them
    solved or unsolved, or equal means, their spread cannot be trusted: the interval is at least Wilson's, and the note
    says where it is wide.
    """
    means = problem_means(correct)
    problems, value = len(means), float(means.mean())
    if problems == 1:
        return Estimate(value, 0.0, 1.0, math.nan, 1, "one problem says nothing about others")
    standard_error = float(means.std(ddof=1)) / math.sqrt(problems)
    margin = quantile(confidence) * standard_error
    low, high, note = value - margin, value + margin, None
    if reason := few(value, standard_error, problems):
        low, high = few_problems_interval(value, problems, confidence, (low, high))
        note = reason
    return Estimate(value, max(0.0, low), min(1.0, high), standard_error, problems, note)


def few(value: float, standard_error: float, problems: int) -> str | None:
    """Return why the spread between problems cannot be trusted; None where it can."""
    if standard_error == 0:
        return "all problems have the same mean: the spread between problems cannot be seen"
    if problems < FEW_PROBLEMS:
        return f"{problems} problems are few: the interval is wide"
    if min(value, 1 - value) * problems < FEW_SOLVED:
        return f"{'solved' if value < 0.5 else 'unsolved'} problems are few: the interval is wide"
    return None


def few_problems_interval(
    value: float, problems: int, confidence: float, normal: tuple[float, float]
) -> tuple[float, float]:
    """Return Wilson's interval of a mean of shares, as if each problem were sampled once.

    That is the widest spread a mean can have, so the interval covers `normal` except where that one leaves [0, 1].
    """
    wilson = wilson_interval(value * problems, problems, confidence)
    return min(wilson[0], max(0.0, normal[0])), max(wilson[1], min(1.0, normal[1]))


def problem_means(correct: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the (P,) share of correct samples of each problem; raise ValueError without problems or samples."""
    array = np.asarray(correct, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"correct has shape {array.shape}; it must be (problems, samples) with at least one of each")
    means: npt.NDArray[np.float64] = array.mean(axis=1)
    return means


def pass_at_k(correct: npt.ArrayLike, k: int) -> float:
    """Return the mean over problems of the chance that at least one of k samples is correct.

    `correct`: (P, n); the k samples are drawn without replacement from the n. The unbiased estimator
    1 - C(n - c, k) / C(n, k) of Chen et al. 2021 (arXiv 2107.03374).
    """
    array = np.atleast_2d(np.asarray(correct, dtype=bool))
    n = array.shape[1]
    if not 1 <= k <= n:
        raise ValueError(f"k is {k}; with {n} samples a problem it must be from 1 to {n}")
    return float(np.mean([1 - math.comb(n - int(c), k) / math.comb(n, k) for c in array.sum(axis=1)]))


def cons_at_k(answers: Sequence[Sequence[Hashable | None]], correct: npt.ArrayLike) -> float:
    """Return the share of problems whose most frequent answer is correct; equal answers must be equal keys.

    `answers`, `correct`: (P, n). None is an answer that could not be read and has no vote. A tie counts as the mean
    correctness of the tied answers, that is, as a fair draw.
    """
    array = np.atleast_2d(np.asarray(correct, dtype=bool))
    shape = (len(answers), len(answers[0]) if answers else 0)
    if shape != array.shape or 0 in shape:
        raise ValueError(f"answers are {shape} and correct is {array.shape}; both must be (problems, samples)")
    return float(np.mean([majority(*pair) for pair in zip(answers, array.tolist(), strict=True)]))


def majority(answers: Sequence[Hashable | None], correct: Sequence[bool]) -> float:
    """Return 1 if the most frequent answer is correct, 0 if it is not or there is none, a value between at a tie."""
    votes = Counter(answer for answer in answers if answer is not None)
    if not votes:
        return 0.0
    most = max(votes.values())
    rights = [correct[answers.index(answer)] for answer, count in votes.items() if count == most]
    return sum(rights) / len(rights)


def wilson_interval(successes: float, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a proportion of independent trials (Wilson 1927); sound for few trials, near 0 and 1."""
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes:g} successes in {trials} trials; there must be at least one trial")
    z = quantile(confidence)
    share = successes / trials
    scale = 1 + z * z / trials
    center = (share + z * z / (2 * trials)) / scale
    margin = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, center - margin), min(1.0, center + margin)


def quantile(confidence: float) -> float:
    """Return the two-sided normal quantile: 1.96 for 0.95."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
