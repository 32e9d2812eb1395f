"""How a teacher is driven: samples go in one by one, and come out in any order as each is finished.

A teacher's `build(model, sampling, options)` makes an Engine where it will live: in this process, or in an actor on
another machine. There is no batch: whoever drives an engine tops it up whenever something comes out.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from generators.captures import Capture
from generators.sampling import SampleRequest

DEATHS = 5  # of an engine, with no sample between them, before a run is given up

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt at a sample: `row`, the trace row that answers it, or why there is none."""

    request: SampleRequest
    row: Mapping[str, Any] | None = None
    error: str = ""
    final: bool = False  # it would fail the same way again
    blameless: bool = False  # the teacher as a whole is unavailable: not counted among the sample's own attempts
    after_s: float = 0.0  # not to be tried again before that
    capture: Capture | None = None  # what the teacher's distributions were, where that is asked for


def refused(request: SampleRequest, tokens: int, context: int | None) -> Outcome:
    """A sample whose prompt (and what it continues) leaves no room in the model's context."""
    error = f"the prompt has {tokens} tokens, the model takes {context} in all"
    return Outcome(request, error=error, final=True)


class Engine(Protocol):
    """Samples in the background of `submit` and `collect`, which one thread calls."""

    def slots(self) -> int:
        """How many samples it can use in flight at this moment."""

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Take on samples; more than `slots` of them wait inside."""

    def collect(self, timeout_s: float) -> list[Outcome]:
        """What has finished since the last call; waits at most `timeout_s` for the first."""

    def close(self) -> None:
        """Drop what is in flight and let go of the model."""


Fleet = Callable[[Callable[[], Engine]], AbstractContextManager[Engine]]  # several engines are driven as one


class EngineDied(RuntimeError):
    """The engine as a whole is gone, such as a process that it had; another one can take its place."""


@contextmanager
def local_fleet(build: Callable[[], Engine]) -> Iterator[Engine]:
    """One engine in this process; one that dies is started again."""
    with closing(Restarted(build)) as engine:
        yield engine


class Restarted:
    """An engine that is built anew when it dies; what it had in flight fails, and so is asked for again."""

    def __init__(self, build: Callable[[], Engine]) -> None:
        self.build = build
        self.engine = build()
        self.deaths = 0  # since a sample came out
        self.in_flight: dict[str, SampleRequest] = {}

    def slots(self) -> int:
        """The engine's."""
        return self.engine.slots()

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Hand samples on."""
        self.in_flight |= {request.trace_id: request for request in requests}
        self.engine.submit(requests)

    def collect(self, timeout_s: float) -> list[Outcome]:
        """What has finished; after DEATHS deaths without a sample between them the last one is raised."""
        try:
            outcomes = self.engine.collect(timeout_s)
        except EngineDied as error:
            return self._replace(error)
        self.deaths = 0 if outcomes else self.deaths
        for outcome in outcomes:
            self.in_flight.pop(outcome.request.trace_id, None)
        return outcomes

    def _replace(self, error: EngineDied) -> list[Outcome]:
        self.deaths += 1
        if self.deaths >= DEATHS:
            raise RuntimeError(f"an engine died {DEATHS} times without finishing a sample; the last time: {error}")
        log.warning("an engine died and is started again (%d samples): %s", len(self.in_flight), error)
        self.close()
        self.engine = self.build()
        lost, self.in_flight = self.in_flight, {}
        return [Outcome(request, error=f"its engine died: {error}") for request in lost.values()]

    def close(self) -> None:
        """Close the engine there is."""
        self.engine.close()
