"""The calling convention of a stage, and its result.

A stage is a plain function `stage(inputs..., out, config, *, runtime) -> StageCounts`. `pipelines` passes its
executors and progress bars as the runtime; without one, a stage runs in this process and shows no progress.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from generators.contract.engine import Fleet, local_fleet

# A worker turns one shard (any picklable value) into results, and yields each as soon as it is done.
Worker = Callable[[Any], Iterator[Any]]


class Stream(Protocol):
    """A function that runs workers over shards and yields their results in any order.

    `build` makes one worker in the process that runs it, perhaps on another machine; it and the shards must be
    picklable. A result carries its own key, because the order is not guaranteed.
    """

    def __call__(self, build: Callable[[], Worker], shards: Iterable[Any]) -> Iterator[Any]: ...


def stream_local(build: Callable[[], Worker], shards: Iterable[Any]) -> Iterator[Any]:
    """Run one worker in this process. It is built at the first shard: a finished stage loads no model."""
    worker: Worker | None = None
    try:
        for shard in shards:
            worker = worker or build()
            yield from worker(shard)
    finally:
        del worker  # a library may keep this frame alive, and with it a model or an engine that is no longer needed


class Bar(Protocol):
    """The part of a progress bar that a stage uses."""

    def update(self, n: int = 1, /) -> object: ...

    def show(self, **facts: object) -> object:
        """Show facts behind the rate, such as `loss="0.42"`; each call replaces those before."""


class Progress(Protocol):
    """A function that opens a bar: `with progress("samples", total, done) as bar`. An earlier run finished `done`."""

    def __call__(self, unit: str, total: int, done: int = 0) -> AbstractContextManager[Bar]: ...


class _Silent:
    def update(self, n: int = 1, /) -> None:
        return None

    def show(self, **facts: object) -> None:
        return None


@contextmanager
def no_progress(unit: str, total: int, done: int = 0) -> Iterator[Bar]:
    """Open a bar that shows nothing."""
    yield _Silent()


@dataclass(frozen=True)
class Runtime:
    """Executors and progress bars of a stage; they do not change its result."""

    stream: Stream = stream_local  # runs workers over shards
    fleet: Fleet = local_fleet  # starts engines and drives them as one
    progress: Progress = no_progress
    verify_workers: int | None = None  # verifier processes of each worker; None: one per core


IN_PROCESS = Runtime()  # one worker or engine in this process, and no progress bar


@dataclass
class StageCounts:
    """The counts of a stage; rows in = rows kept + rows dropped by reason."""

    rows_in: int
    rows_kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    notes: dict[str, Any] = field(default_factory=dict)  # JSON values that a report may show

    def __post_init__(self) -> None:
        lost = self.rows_in - self.rows_kept - sum(self.dropped.values())
        assert lost == 0, (
            f"{lost} rows unaccounted for: in {self.rows_in}, kept {self.rows_kept}, dropped {self.dropped}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return asdict(self)


def counts_by_reason(drop_reasons: Iterable[str | None], **more: Any) -> StageCounts:
    """Return the StageCounts of a column of drop reasons; None marks a kept row."""
    counter = Counter(drop_reasons)
    kept = counter.pop(None, 0)
    dropped = {str(reason): n for reason, n in sorted(counter.items(), key=lambda item: str(item[0]))}
    return StageCounts(rows_in=kept + sum(dropped.values()), rows_kept=kept, dropped=dropped, **more)
