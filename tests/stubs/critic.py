"""A stub judge engine: it reads numbers written as words, replies in many spellings, and fails for certain numbers.

Of two answers it prefers the one with the larger number; if the question says `bias`, it takes the first.
"""

import re
from collections.abc import Sequence
from typing import Any

from generators.contract.engine import EngineOptions, Outcome, SampleRequest, SamplingConfig

# Words that stand for numbers and that no rule reads as such; those at 4, 5 and 6 are read as products of letters.
WORDS = (
    *("nihil", "sex", "octo", "quattuor", "unus", "duo", "tria", "septem", "novem", "quinque", "decem", "undecim"),
    *("duodecim", "tredecim", "quattuordecim", "quindecim"),
)
SPELLINGS = (
    "<verdict>{}</verdict>",
    "<Verdict> **{}** </Verdict>",
    "**Verdict:** <verdict>{}</verdict>",
    "So they are:\n\n<verdict>{}</verdict>.",
)
FAILED, CUT, MUMBLED = 13, 14, 15  # references for which no verdict comes

asked: list[SampleRequest] = []  # requests to all engines in this process


class Options(EngineOptions):
    """`stop_after`: requests until it behaves as if somebody pressed Ctrl-C."""

    REMOTE = True
    EXECUTION = frozenset({"stop_after"})

    stop_after: int | None = None


class Critic:
    """An engine that answers at once, the last request first."""

    def __init__(self, stop_after: int | None) -> None:
        self.waiting: list[SampleRequest] = []
        self.stop_after, self.answered = stop_after, 0

    def slots(self) -> int:
        return 3

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        asked.extend(requests)
        self.waiting += requests

    def collect(self, timeout_s: float) -> list[Outcome]:
        if self.answered == self.stop_after:
            raise KeyboardInterrupt
        self.answered += bool(self.waiting)
        return [answer(self.waiting.pop())] if self.waiting else []

    def close(self) -> None:
        return None


def build(model: str, sampling: SamplingConfig, options: Options) -> Critic:
    """Build the engine; any model name works."""
    return Critic(options.stop_after)


def text_of(name: str, request: SampleRequest) -> str:
    """Return the text between the tags of this name."""
    found = re.search(rf"^\[{name} (\w+)\]\n(.*?)\n\[/{name} \1\]$", request.messages[-1]["content"], re.S | re.M)
    return found.group(2) if found else ""


def answer(request: SampleRequest) -> Outcome:
    """Return the outcome of one question."""
    if "[first " in request.messages[-1]["content"]:
        return replied(request, f"<verdict>{choice(request)}</verdict>")
    reference, candidate = text_of("reference", request), text_of("candidate", request)
    number = int(reference)
    if number == FAILED:
        return Outcome(request, error="the server refuses it", final=True)
    if number == MUMBLED:
        return replied(request, "They are equivalent, or different.")
    word = WORDS[number] if number < len(WORDS) else reference
    same = candidate in (reference, word, f"{word} apples")
    spelling = SPELLINGS[number % len(SPELLINGS)]
    reply = spelling.format("EQUIVALENT" if same else "DIFFERENT")
    return replied(request, reply, "length" if number == CUT else "stop")


def choice(request: SampleRequest) -> str:
    """Return the preferred one of two answers."""
    if "bias" in text_of("question", request):
        return "FIRST"
    first, second = (int(re.findall(r"\d+", text_of(name, request))[-1]) for name in ("first", "second"))
    return "TIE" if first == second else "FIRST" if first > second else "SECOND"


def replied(request: SampleRequest, text: str, finish_reason: str = "stop") -> Outcome:
    row: dict[str, Any] = {"prompt_tokens": 100, "completion_tokens": 10, "token_ids": None}
    return Outcome(request, request.row(reasoning="Hm.", answer=text, finish_reason=finish_reason, **row))
