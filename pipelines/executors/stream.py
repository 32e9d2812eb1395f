"""Shards on Ray actors, and the sentence of an error that one of them raised."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from generators.contract.errors import DistillError, Failed, PluginError
from generators.contract.plugins import plugin_files
from generators.contract.stage_protocol import Worker
from pipelines.doctor import check_origin
from pipelines.executors.settings import ExecutionConfig

FLUSH_ROWS, FLUSH_S = 64, 1.0  # results of one worker travel together, at most this many or this long
RETRIES = 3  # a shard whose worker died is given to another one this often


def far_error(error: Any) -> BaseException:
    """Return the cause of a RayTaskError where its message says everything, else the error with the far traceback."""
    found: BaseException = error.cause if isinstance(error.cause, DistillError | OSError) else error
    return found


class RayStream:
    """A stream on `workers` actors: each has one shard at a time, and results are yielded as they come."""

    def __init__(self, config: ExecutionConfig, shipped: frozenset[Path] | None) -> None:
        self.config, self.shipped = config, shipped

    def __call__(self, build: Callable[[], Worker], shards: Iterable[Any]) -> Iterator[Any]:
        import ray

        self._check_plugins()
        waiting = deque((shard, RETRIES) for shard in shards)
        actors = [self._actor(build) for _ in range(min(self.config.workers, len(waiting)))]
        running: dict[Any, Any] = {}
        try:
            ray.get([actor.ready.remote() for actor in actors])  # a worker that cannot be built is one error, not many
            for actor, (shard, retries) in zip(actors, islice(waiting, len(actors)), strict=True):
                running[actor.work.remote(shard)] = (actor, shard, retries)
            for _ in running:
                waiting.popleft()
            while running:
                ready, _ = ray.wait(list(running), num_returns=1, fetch_local=False)
                yield from self._advance(ready[0], running, waiting, build)
        except ray.exceptions.RayTaskError as error:
            raise far_error(error) from None
        finally:
            for actor in actors:
                ray.kill(actor)

    def _check_plugins(self) -> None:
        """Raise a PluginError for a plug-in that was loaded after Ray had started: its workers do not have the file."""
        late = [] if self.shipped is None else [file for file in plugin_files() if file not in self.shipped]
        if late:
            raise PluginError(
                f"the plug-in {late[0]} is named by rows alone, so Ray was started without it: name it in the recipe "
                'too, for example a verifier by verify.options."./mine.py" = {}'
            )

    def _advance(self, generator: Any, running: dict[Any, Any], waiting: deque[Any], build: Any) -> Iterator[Any]:
        """Take one step of one worker: its next results, or its next shard when it has ended or died."""
        import ray

        actor, shard, retries = running[generator]
        try:
            yield from ray.get(next(generator))
            return
        except StopIteration:
            del running[generator]
        except ray.exceptions.RayActorError as error:
            del running[generator]
            if not retries:
                raise Failed(f"a shard's worker died {RETRIES + 1} times; the last time: {error}") from error
            # Results that the dead worker had yielded come again; the stage knows them by their keys and drops them.
            waiting.appendleft((shard, retries - 1))
            actor = self._actor(build)
        if waiting:
            shard, retries = waiting.popleft()
            running[actor.work.remote(shard)] = (actor, shard, retries)

    def _actor(self, build: Callable[[], Worker]) -> Any:
        import ray

        options: Any = {"num_cpus": self.config.cpus_per_worker, "num_gpus": self.config.gpus_per_worker}
        return ray.remote(**options)(_Worker).remote(build)


class _Worker:
    """An actor that builds its worker once, in its own process, and streams its results in small batches."""

    def __init__(self, build: Callable[[], Worker]) -> None:
        check_origin()
        self.build = build
        self.worker: Worker | None = None

    def ready(self) -> bool:
        """Build the worker; an exception reaches the driver as it is, which one of __init__ would not."""
        self.worker = self.worker or self.build()
        return True

    def work(self, shard: Any) -> Iterator[list[Any]]:
        """Yield the results of one shard, in batches bounded by number and by time."""
        self.worker = self.worker or self.build()
        batch: list[Any] = []
        last = time.monotonic()
        for result in self.worker(shard):
            batch.append(result)
            if len(batch) >= FLUSH_ROWS or time.monotonic() - last > FLUSH_S:
                yield batch
                batch, last = [], time.monotonic()
        if batch:
            yield batch
