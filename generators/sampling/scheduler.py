"""The scheduler of samples: it keeps engines full, stores each finished sample, and retries failed ones.

There is no batch and no barrier: one long completion delays nothing but its own slot. Finished samples go to `keep`
before new ones are requested, so a slow disk slows the engines down instead of filling the memory.
"""

import heapq
import itertools
import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from generators.contract.engine import Engine, Outcome, SampleRequest
from generators.contract.sampled_logprobs import SampledLogprobs

COLLECT_S = 0.5  # longest wait for an engine before retries, verdicts and Ctrl-C are handled
BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 60.0
SILENT_S = 2.0  # without a sample, after which an unavailable engine is reported
GIVEN_UP_AT_ONCE = 256  # samples that fail at a time once the engine is given up

Row = Mapping[str, Any]
log = logging.getLogger(__name__)


class Source(Protocol):
    """An ordered supply of samples to request; it may depend on finished samples."""

    def take(self, most: int) -> list[SampleRequest]:
        """Return up to `most` samples to request now."""

    def settled(self, request: SampleRequest, row: Row) -> None:
        """Record a sample that will not be requested again."""

    def undecided(self) -> bool:
        """Return whether pending verdicts may lead to more samples although none is in flight."""


@dataclass(frozen=True)
class Persistence:
    """Limits of retries."""

    max_attempts: int = 5  # at a sample whose failures are its own
    give_up_after_s: float = 900.0  # without any result the engine is given up


@dataclass
class Scheduler:
    """Requests all samples of a source from an engine, and hands each finished row to `keep`.

    `go_on(request, row)` returns the continuation of a truncated sample, or None where it ends there.
    """

    engine: Engine
    source: Source
    keep: Callable[[SampleRequest, Row], None]
    persistence: Persistence = Persistence()
    go_on: Callable[[SampleRequest, Row], SampleRequest | None] = lambda request, row: None
    keep_logprobs: Callable[[SampledLogprobs], object] = lambda logprobs: None  # called before `keep`
    in_flight: int = 0
    failures: dict[str, int] = field(default_factory=dict)  # trace_id -> failed attempts of unsettled samples
    retries: list[tuple[float, int, SampleRequest]] = field(default_factory=list)  # heap of (time, ticket, request)
    at_once: list[SampleRequest] = field(default_factory=list)
    heard_at: float = field(default_factory=time.monotonic)  # time of the last finished sample, or when none was wanted
    given_up: str = ""  # the reason, once the engine is given up
    reported_at: float = -math.inf  # time of the last report that the engine is unavailable
    ticket: Iterator[int] = field(default_factory=itertools.count)

    def run(self) -> None:
        """Run until every sample is settled: finished, or failed with a reason."""
        while self.refill():
            if self.in_flight or not self.engine.slots():
                for outcome in self.engine.collect(self.wait_s()):
                    self.advance(outcome)
            else:
                time.sleep(min(self.wait_s(), 0.02))

    def refill(self) -> bool:
        """Top the engine up; return False when nothing is in flight, waiting or undecided."""
        room = GIVEN_UP_AT_ONCE if self.given_up else self.engine.slots() - self.in_flight
        if room <= 0:  # also while engines are starting
            return True
        if not (self.in_flight or self.retries or self.at_once):
            self.heard_at = time.monotonic()
        due = self.due(room)
        asked = [*due, *self.source.take(room - len(due))] if room > len(due) else due
        self.in_flight += len(asked)
        if self.given_up:
            for request in asked:
                self.advance(Outcome(request, error=self.given_up, final=True))
        elif asked:
            self.engine.submit(asked)
        return bool(asked or self.in_flight or self.retries or self.at_once or self.source.undecided())

    def due(self, most: int) -> list[SampleRequest]:
        """Return the retries and continuations that are due."""
        due, self.at_once = self.at_once[:most], self.at_once[most:]
        while self.retries and len(due) < most and (self.given_up or self.retries[0][0] <= time.monotonic()):
            due.append(heapq.heappop(self.retries)[2])
        return due

    def wait_s(self) -> float:
        """Return for how long there is nothing else to do."""
        if self.source.undecided():
            return 0.02
        until_retry = self.retries[0][0] - time.monotonic() if self.retries else 0
        return max(0.001, min(COLLECT_S, until_retry)) if until_retry > 0 else COLLECT_S  # below 0: no room for it

    def advance(self, outcome: Outcome) -> None:
        """Store a finished sample; queue the retry of a failed one or the continuation of a truncated one."""
        self.in_flight -= 1
        request = outcome.request
        if outcome.row is None:
            self.failed(outcome)
            return
        self.heard_at = time.monotonic()
        self.failures.pop(request.trace_id, None)
        if outcome.logprobs is not None:
            self.keep_logprobs(outcome.logprobs)
        self.keep(request, outcome.row)
        longer = self.go_on(request, outcome.row) if outcome.row["finish_reason"] == "length" else None
        if longer:
            self.at_once.append(longer)
        else:
            self.source.settled(request, outcome.row)

    def report(self, error: str, now: float) -> None:
        """Say once in each silence what fails, and until when it is tried again."""
        if now - self.heard_at < SILENT_S or self.reported_at > self.heard_at:
            return
        self.reported_at = now
        left = self.persistence.give_up_after_s - (now - self.heard_at)
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
        log.warning(
            "%s; it is tried again until %s, %g s after the last sample (give_up_after_s)",
            error, until, self.persistence.give_up_after_s,
        )  # fmt: skip

    def failed(self, outcome: Outcome) -> None:
        """Retry later with backoff, or settle the sample as failed; a truncated one that cannot go on stays."""
        request, now = outcome.request, time.monotonic()
        failures = self.failures.get(request.trace_id, 0) + (not outcome.blameless)
        if outcome.blameless and not self.in_flight:
            self.report(outcome.error, now)
        if outcome.blameless and not self.in_flight and now - self.heard_at > self.persistence.give_up_after_s:
            self.given_up = f"nothing came for {self.persistence.give_up_after_s:g} s: {outcome.error}"
        if not (outcome.final or self.given_up or failures >= self.persistence.max_attempts):
            self.failures[request.trace_id] = failures
            wait = min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** max(0, failures - 1)) * random.uniform(0.75, 1.25)
            heapq.heappush(self.retries, (now + max(outcome.after_s, wait), next(self.ticket), request))
            return
        self.failures.pop(request.trace_id, None)
        row = request.failed(self.given_up or outcome.error)
        if not request.prefix:
            self.keep(request, row)
        self.source.settled(request, row)
