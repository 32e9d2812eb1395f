"""Combined rewards, as used to train DeepSeek-R1-Zero (arXiv 2501.12948, sections 2.2.2 and 2.3.2).

A reward is a weighted list of verifiers: whether the answer is right, whether the format was kept, whether the language
stayed the prompt's. The status of a verdict remains that of the prompt's own verifier; its score becomes the weighted
mean.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from filters.verification.verdicts import Verdict, check_options
from generators.contract.config import Config
from generators.contract.errors import RecipeError

ACCURACY = "accuracy"
UNJUDGED = ("timeout", "error")  # these say nothing about the sample


class Reward(Config):
    """One part of the score."""

    name: str
    """A verifier; `accuracy`, or its own name, is the verifier that each prompt names."""
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Its share of the score is this over the sum of all weights."""
    reference: str | None = None
    """The reference for a further verifier in place of the prompt's reference answer: think_format takes "answer"."""

    def is_accuracy(self, verifier: str) -> bool:
        """Return whether this part is the prompt's own verifier."""
        return self.name in (ACCURACY, verifier)


Rewards = Sequence[Reward]


def check_rewards(rewards: Rewards, verifiers: Iterable[str], options: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ValueError if a part is not a verifier, has wrong options, or if a prompt's own verifier is missing."""
    if not rewards:
        return
    names = [reward.name for reward in rewards]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise RecipeError(f"rewards names {twice[0]!r} twice; each part has one weight")
    for name in names:
        if name != ACCURACY:
            check_options(name, options.get(name, {}))
    for verifier in verifiers:
        own = sum(reward.is_accuracy(verifier) for reward in rewards)
        if own != 1:
            said = "names the prompts' verifier" if own else "lacks the prompts' verifier"
            more = " and 'accuracy', which is the same" if own else "; add it, or 'accuracy', which stands for any"
            raise RecipeError(f"rewards ({', '.join(names)}) {said} {verifier!r}{more}")


def further(rewards: Rewards, verifier: str) -> list[Reward]:
    """Return the parts other than the prompt's own verifier."""
    return [reward for reward in rewards if not reward.is_accuracy(verifier)]


def combined(rewards: Rewards, verifier: str, accuracy: Verdict, others: Sequence[Verdict]) -> Verdict:
    """Return the verdict with the weighted mean as its score; `others` are those of `further`, in order.

    A part that timed out or failed is left out of the mean. If the accuracy did, the score stays 0.
    """
    left = iter(others)
    parts = [(reward, accuracy if reward.is_accuracy(verifier) else next(left)) for reward in rewards]
    judged = [(reward.weight, verdict.score) for reward, verdict in parts if verdict.status not in UNJUDGED]
    sure = accuracy.status not in UNJUDGED
    score = sum(weight * value for weight, value in judged) / sum(weight for weight, _ in judged) if sure else 0.0
    reasons = [part_reason(reward, verifier, verdict) for reward, verdict in parts]
    seconds = sum(verdict.seconds for _, verdict in parts)
    return Verdict(accuracy.status, score, f"score {score:.3g}: {'; '.join(reasons)}", seconds)


def part_reason(reward: Reward, verifier: str, verdict: Verdict) -> str:
    """Return `0.5 x think_format 0 (empty thinking)`."""
    name = verifier if reward.is_accuracy(verifier) else reward.name
    value = verdict.status if verdict.status in UNJUDGED else f"{verdict.score:.3g}"
    return f"{reward.weight:g} x {name} {value} ({verdict.reason})"


def with_accuracy(score: float, rewards: Rewards, verifier: str) -> float:
    """Return the score of a refused sample that turns out to be correct."""
    total = sum(reward.weight for reward in rewards)
    own = sum(reward.weight for reward in rewards if reward.is_accuracy(verifier))
    return min(1.0, score + own / total) if total else 1.0
