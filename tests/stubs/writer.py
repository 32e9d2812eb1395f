"""A stub engine: it adds numbers, and makes each mistake that a real model makes, chosen by the question.

As a solver it answers `a + b = ?`; as an editor (instructions that ask for `<reasoning>`) it rewrites its input. The
mistake depends only on a % 10 and on the sample's index.
"""

import re
from collections.abc import Sequence
from typing import Any

from generators.contract.engine import EngineOptions, Outcome, SampleRequest, SamplingConfig

SUM = re.compile(r"(\d+) \+ (\d+) = \?")
RAW = re.compile(r"<raw_reasoning>\n(.*)\n</raw_reasoning>", re.DOTALL)
LOOP = "Wait, I should add the numbers once more to be really sure about this sum. "
MALFORMED, WRONG, MIXED, CUT, FAILED, CHATTY, DOUBLED, LOOPED, NO_ANSWER = range(1, 10)  # 0 is a good reply

asked: list[SampleRequest] = []  # requests to all engines in this process


class Options(EngineOptions):
    """`stop_after`: requests until it behaves as if somebody pressed Ctrl-C."""

    REMOTE = True
    EXECUTION = frozenset({"stop_after"})

    stop_after: int | None = None


class Writer:
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


def build(model: str, sampling: SamplingConfig, options: Options) -> Writer:
    """Build the engine; any model name works."""
    return Writer(options.stop_after)


def answer(request: SampleRequest) -> Outcome:
    """Return the outcome of one sample."""
    question = request.messages[-1]["content"]
    a, b = map(int, SUM.findall(question)[-1])
    if "<raw_reasoning>" not in question:
        return Outcome(request, row(request, *solved(a, b, request.sample_index)))
    if a % 10 == FAILED:
        return Outcome(request, error="the server refuses it", final=True)
    if a % 10 == CUT and request.sample_index == 0:
        return Outcome(request, row(request, None, "<reasoning>First", "length"))
    return Outcome(request, row(request, "How do I say this?", edited(a, b, question, request.sample_index)))


def row(request: SampleRequest, reasoning: str | None, text: str, finish_reason: str = "stop") -> dict[str, Any]:
    tokens = len(f"{reasoning or ''}{text}") // 4
    counts = {"prompt_tokens": 9, "completion_tokens": tokens, "token_ids": list(range(tokens))}
    return request.row(reasoning=reasoning, answer=text, finish_reason=finish_reason, **counts)


def solved(a: int, b: int, index: int) -> tuple[str, str]:
    """Return (reasoning, answer); each fourth sample is wrong, and one kind of question causes a loop."""
    total = a + b + (index % 4 == 3)
    steps = f"I start at {a} and count on, {'one by one ' * (index + 1)}up to {a + b - 1} + 1 = {total}."
    return (LOOP * 20 if a % 10 == LOOPED else f"{steps}\n\n{a} + {b} = {total}."), f"The sum is \\boxed{{{total}}}."


def edited(a: int, b: int, question: str, index: int) -> str:
    """Return the editor's reply."""
    found = RAW.search(question)
    kind, total = a % 10, a + b + (a % 10 == WRONG)
    text = f"I add {b} to {a}.\n\n{' 先把它们加起来。' if kind == MIXED else ''}{a} + {b} = {total}. It holds."
    reply = f"<reasoning>\n{text}\n</reasoning>\n<summary>\nAdding gives \\boxed{{{total}}}.\n</summary>"
    if (kind == MALFORMED and index == 0) or not found:
        return text
    if kind == NO_ANSWER:
        return reply.replace(f"\\boxed{{{total}}}", "the sum")
    return {CHATTY: f"Gladly!\n{reply}\nAnything else?", DOUBLED: f"<reasoning>{reply}"}.get(kind, reply)
