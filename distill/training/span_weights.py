"""Weights of target tokens by the span they are in: the prompt, the reasoning, or the answer.

The reasoning ends with the mark that closes it (`</think>`, or another that templates use); without one, a completion
that opens reasoning is all reasoning, and any other is all answer.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.settings import SpanSettings
from distill.training.examples import Example
from generators.contract.chat import MARKS

OPENS = re.compile(rf"\s*(?:{'|'.join(map(re.escape, MARKS))})")
CLOSES = re.compile("|".join(map(re.escape, MARKS.values())))


@dataclass(frozen=True)
class WeightedExample(Example):
    """A document with the weight of each target [targets]."""

    weights: NDArray[np.float64]


class SpanWeights:
    """Gives documents the weights of the settings."""

    def __init__(self, spans: SpanSettings, tokenizer: Any) -> None:
        self.spans, self.tokenizer = spans, tokenizer
        self.texts: dict[int, str] = {}

    def __call__(self, examples: Sequence[Example]) -> list[WeightedExample]:
        """Return the documents with weights; if prompts have a weight, all tokens but the first are targets."""
        return [self._weighted(example) for example in examples]

    def _weighted(self, example: Example) -> WeightedExample:
        spans, completion = self.spans, example.token_ids[example.target_start :]
        thought = self.thought_tokens(completion.tolist())
        start = 1 if spans.prompt else example.target_start
        counts = (example.target_start - start, thought, len(completion) - thought)
        weights = np.repeat(np.array((spans.prompt, spans.think, spans.answer)), counts)
        return WeightedExample(example.trace_id, example.token_ids, start, weights)

    def thought_tokens(self, completion: Sequence[int]) -> int:
        """Return how many tokens of a completion are reasoning, the mark that closes it included."""
        pieces = [self._text(i) for i in completion]
        text = "".join(pieces)
        closed = CLOSES.search(text)
        if closed is None:
            return len(completion) if OPENS.match(text) else 0
        ends = accumulate(map(len, pieces))
        return next(n for n, end in enumerate(ends, start=1) if end >= closed.end())

    def _text(self, token: int) -> str:
        """Return a token's text, which is exact for marks; bytes of other letters need not be."""
        if token not in self.texts:
            self.texts[token] = self.tokenizer.decode([token], skip_special_tokens=False)
        return self.texts[token]


def total_weight(examples: Sequence[Example]) -> float:
    """Return the sum of the targets' weights; without weights each is one."""
    return sum(float(e.weights.sum()) if isinstance(e, WeightedExample) else e.targets for e in examples)


def equal_weights(examples: Sequence[Example]) -> Iterator[tuple[float, NDArray[np.int64] | None]]:
    """Yield each weight above zero and the targets of a batch that have it; None: all of them."""
    weights = [e.weights for e in examples if isinstance(e, WeightedExample)]
    if not weights:
        yield 1.0, None
        return
    weights_N = np.concatenate(weights)
    for weight in np.unique(weights_N[weights_N > 0]).tolist():
        chosen = np.flatnonzero(weights_N == weight)
        yield weight, None if len(chosen) == len(weights_N) else chosen
