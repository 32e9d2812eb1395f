"""How a teacher is driven: samples go in one by one, and come out in any order as each is finished.

A teacher's `build(model, sampling, options)` makes an Engine where it will live: in this process, or in an actor on
another machine. There is no batch: whoever drives an engine tops it up whenever something comes out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from generators.sampling import SampleRequest


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt at a sample: `row`, the trace row that answers it, or why there is none."""

    request: SampleRequest
    row: Mapping[str, Any] | None = None
    error: str = ""
    final: bool = False  # it would fail the same way again
    blameless: bool = False  # the teacher as a whole is unavailable: not counted among the sample's own attempts
    after_s: float = 0.0  # not to be tried again before that


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


@contextmanager
def local_fleet(build: Callable[[], Engine]) -> Iterator[Engine]:
    """One engine in this process."""
    with closing(build()) as engine:
        yield engine
