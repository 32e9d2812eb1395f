"""An engine of one's own: a calculator that answers arithmetic, and slips as often as it is told to.

    cd examples/custom_engine && distill run recipe.toml      # the recipe names it: engine = "./calculator.py"

An engine plug-in is a module with a class `Options(EngineOptions)` and a function `build(model, sampling, options)`.
What `build` returns is driven by submit and collect: whoever drives it keeps `slots()` samples in flight and takes
them back in any order. A real engine would call a model in the background; this one answers in `collect`.
"""

import random
import re
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from generators.contract.engine import EngineOptions, Outcome, SampleRequest, SamplingConfig

FORMULA = re.compile(r"[\d(][\d+*() -]*[\d)]")
SLOTS = 64


class Options(EngineOptions):
    """The `options` of [generate]. An unknown key or a wrong value is refused before any work starts."""

    slips: float = Field(0.2, ge=0, le=1, description="share of samples that are off by one")

    # The model is known by its name alone: there is no folder to load or to hash.
    REMOTE: ClassVar[bool] = True

    def decoding(self) -> dict[str, float]:
        """Return what shapes a sample: it becomes part of the sample's id, so another value samples again."""
        return {"slips": self.slips}


def build(model: str, sampling: SamplingConfig, options: Options) -> "Calculator":
    """Start the engine."""
    return Calculator(options.slips)


class Calculator:
    """Answer "What is (3 + 6) * 9?" in one line of reasoning."""

    def __init__(self, slips: float) -> None:
        self.slips = slips
        self.waiting: deque[SampleRequest] = deque()

    def slots(self) -> int:
        """Return how many samples may be in flight."""
        return SLOTS

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Take on samples; nothing is computed here."""
        self.waiting += requests

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Return what has finished: one outcome for each request, a sample or the reason why there is none."""
        outcomes = [self.answer(request) for request in self.waiting]
        self.waiting.clear()
        return outcomes

    def answer(self, request: SampleRequest) -> Outcome:
        """Return the sample of one request. All chance comes from its seed, so a sample can be made again."""
        formula = FORMULA.search(request.messages[-1]["content"])
        if formula is None:  # another attempt would fail the same way
            return Outcome(request, error="the question has no formula", final=True)
        value = evaluate(formula[0])
        if random.Random(request.seed).random() < self.slips:
            value += 1
        reasoning = f"{formula[0]} = {value}"
        row = request.row(
            reasoning=reasoning,
            answer=f"The answer is \\boxed{{{value}}}.",
            finish_reason="stop",
            prompt_tokens=len(request.messages[-1]["content"].split()),
            completion_tokens=len(reasoning.split()),
        )
        return Outcome(request, row)

    def close(self) -> None:
        """Drop what is in flight."""
        self.waiting.clear()


def evaluate(formula: str) -> int:
    """Return the value of sums, differences, products and brackets of integers."""
    tokens = deque(re.findall(r"\d+|[-+*()]", formula))

    def factor() -> int:
        token = tokens.popleft()
        if token != "(":
            return int(token)
        value = total()
        tokens.popleft()  # the closing bracket
        return value

    def product() -> int:
        value = factor()
        while tokens and tokens[0] == "*":
            tokens.popleft()
            value *= factor()
        return value

    def total() -> int:
        value = product()
        while tokens and tokens[0] in "+-":
            sign = 1 if tokens.popleft() == "+" else -1
            value += sign * product()
        return value

    return total()
