"""How a teacher is driven: samples go in one by one, and come out in any order as each is finished.

A teacher's `build(model, sampling, options)` makes an Engine where it will live: in this process, or in an actor on
another machine. There is no batch: whoever drives an engine tops it up whenever something comes out.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import Field

from generators.contract.config import Config
from generators.contract.ids import canonical_json
from generators.contract.sampled_logprobs import Capture

DEATHS = 5  # of an engine, with no sample between them, before a run is given up

log = logging.getLogger(__name__)


class SamplingConfig(Config):
    """Decoding parameters. The defaults are those DeepSeek-R1 was evaluated with (arXiv 2501.12948)."""

    temperature: float = Field(default=0.6, ge=0, le=10, allow_inf_nan=False, description="0 is greedy")
    top_p: float = Field(default=0.95, gt=0, le=1, description="probability mass of the nucleus; 1 cuts nothing")
    max_new_tokens: int = Field(default=2048, ge=1, description="longer completions are cut and end with `length`")
    n: int = Field(default=4, ge=1, description="samples a prompt; more of them keep those there are")
    seed: int = Field(default=0, ge=0, description="each sample's own seed is made from it")

    def canonical(self, **more: Any) -> str:
        """JSON of all that decides what a sample is, `more` of it included, and so not `n`."""
        return canonical_json({**self.model_dump(exclude={"n"}), **more})


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One sample a teacher owes."""

    trace_id: str
    prompt_id: str
    messages: Sequence[dict[str, str]]
    sample_index: int
    seed: int
    prefix: tuple[int, ...] = ()  # token ids of a completion that was cut off and goes on
    room: int | None = None  # tokens that may follow the prefix; none: as many as the settings say

    def row(self, **columns: Any) -> dict[str, Any]:
        """A trace row that answers this request."""
        key = {"trace_id": self.trace_id, "prompt_id": self.prompt_id}
        return {**key, "sample_index": self.sample_index, "seed": self.seed, "error": None, **columns}

    def failed(self, error: str) -> dict[str, Any]:
        """The row of a sample that could not be made, and why."""
        return self.row(reasoning=None, answer="", finish_reason="error", error=error)


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
