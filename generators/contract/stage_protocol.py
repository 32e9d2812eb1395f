"""How a stage is called: what it may be handed (a way to run workers, a progress bar) and what it gives back.

A stage is a plain function `stage(inputs..., out, config, *, stream, progress) -> StageCounts`.
`pipelines` hands in its executors; called by itself a stage runs in this process, silently.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

# A worker turns one shard (any picklable value) into results, yielding each as soon as it is done.
Worker = Callable[[Any], Iterator[Any]]


class Stream(Protocol):
    """Runs workers over shards and yields their results in any order.

    `build` makes one worker where it will live (another process, another machine): it and the shards
    must be picklable. A result carries its own key, because order is not promised.
    """

    def __call__(self, build: Callable[[], Worker], shards: Iterable[Any]) -> Iterator[Any]: ...


def stream_local(build: Callable[[], Worker], shards: Iterable[Any]) -> Iterator[Any]:
    """One worker in this process. It is built at the first shard: a stage with nothing left loads no model."""
    worker: Worker | None = None
    try:
        for shard in shards:
            worker = worker or build()
            yield from worker(shard)
    finally:
        del worker  # a library may have kept this frame, and with it a model or an engine that nobody needs any more


class Bar(Protocol):
    """What a stage tells about its advance."""

    def update(self, n: int = 1, /) -> object: ...


class Progress(Protocol):
    """Opens a bar: `with progress("samples", total, done) as bar`. `done` was finished by an earlier run."""

    def __call__(self, unit: str, total: int, done: int = 0) -> AbstractContextManager[Bar]: ...


class _Silent:
    def update(self, n: int = 1, /) -> None:
        return None


@contextmanager
def no_progress(unit: str, total: int, done: int = 0) -> Iterator[Bar]:
    """A bar nobody sees."""
    yield _Silent()


@dataclass
class StageCounts:
    """What a stage reports of itself; rows in = rows kept + rows dropped by reason."""

    rows_in: int
    rows_kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    notes: dict[str, Any] = field(default_factory=dict)  # JSON values a report may show

    def __post_init__(self) -> None:
        lost = self.rows_in - self.rows_kept - sum(self.dropped.values())
        assert lost == 0, (
            f"{lost} rows unaccounted for: in {self.rows_in}, kept {self.rows_kept}, dropped {self.dropped}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def counts_by_reason(drop_reasons: Iterable[str | None], **more: Any) -> StageCounts:
    """StageCounts of a column of drop reasons, where None is a kept row."""
    counter = Counter(drop_reasons)
    kept = counter.pop(None, 0)
    dropped = {str(reason): n for reason, n in sorted(counter.items(), key=lambda item: str(item[0]))}
    return StageCounts(rows_in=kept + sum(dropped.values()), rows_kept=kept, dropped=dropped, **more)
