"""An engine and a live verifier on a simulated clock for the real Scheduler: one token takes one second, nothing waits.

Length, verdict and path of a sample depend only on its prompt and index; therefore all policies meet the same world.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from generators.contract.engine import Outcome, SampleRequest
from generators.sampling.live_verdicts import LiveVerdict, Row

Draw = Callable[[SampleRequest], Any]


@dataclass
class Clock:
    """A queue of events by simulated time. `happen` advances to the next event and runs it."""

    now: float = 0.0
    due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    ticket: Iterator[int] = field(default_factory=itertools.count)

    def after(self, delay: float, happening: Callable[[], None]) -> None:
        heapq.heappush(self.due, (self.now + delay, next(self.ticket), happening))

    def happen(self) -> None:
        self.now, _, happening = heapq.heappop(self.due)
        happening()


@dataclass
class SimulatedEngine:
    """An Engine whose samples take one second per token."""

    clock: Clock
    places: int
    length: Callable[[SampleRequest], int]
    done: list[Outcome] = field(default_factory=list)
    running: int = 0
    tokens: int = 0
    longest: int = 0

    def slots(self) -> int:
        """Return the slots; if no sample is running, let other events (verdicts) happen first."""
        while not self.running and not self.done and self.clock.due:
            self.clock.happen()
        return self.places

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Start samples."""
        for request in requests:
            tokens = self.length(request)
            self.running += 1
            self.tokens += tokens
            self.longest = max(self.longest, tokens)
            self.clock.after(tokens, lambda request=request, tokens=tokens: self._end(request, tokens))  # type: ignore[misc]

    def _end(self, request: SampleRequest, tokens: int) -> None:
        self.running -= 1
        text = {"reasoning": None, "answer": "", "finish_reason": "stop", "completion_tokens": tokens}
        self.done.append(Outcome(request, request.row(**text)))

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Advance to the next sample that ends."""
        while not self.done and self.clock.due:
            self.clock.happen()
        done, self.done = self.done, []
        return done

    def close(self) -> None:
        """Hold nothing, so there is nothing to release."""


@dataclass
class SimulatedJudge:
    """A Judge whose verdicts come `delay(row)` seconds later."""

    clock: Clock
    finding: Callable[[Row], LiveVerdict]
    delay: Callable[[Row], float]
    judged: list[str] = field(default_factory=list)

    def __call__(self, row: Row) -> "Future[LiveVerdict]":
        """Return a future that is set `delay(row)` seconds later."""
        future: Future[LiveVerdict] = Future()
        self.judged.append(row["trace_id"])
        self.clock.after(self.delay(row), lambda: future.set_result(self.finding(row)))
        return future
