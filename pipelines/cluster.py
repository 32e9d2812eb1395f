"""Where workers run: in this process (`local`) or as Ray actors (`ray`). The only module that knows Ray."""

import logging
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from generators.records import Config
from generators.work import Stream, Worker, stream_local
from pipelines.doctor import PACKAGES, check_origin

FLUSH_ROWS, FLUSH_S = 64, 1.0  # results of one worker travel together, at most this many or this long
RETRIES = 3  # a shard whose worker died is given to another this often


class ExecutionConfig(Config):
    """How the work is done; nothing here changes what comes out."""

    executor: Literal["local", "ray"] = "local"
    workers: int = Field(1, ge=1, description="Ray actors a stage; each holds one engine or one model")
    cpus_per_worker: float = Field(1.0, ge=0)
    gpus_per_worker: float = Field(0.0, ge=0)
    address: str | None = Field(None, description="of a running Ray cluster; none starts a local one")
    verify_workers: int = Field(2, ge=1, description="verifier processes")


@contextmanager
def open_stream(config: ExecutionConfig) -> Iterator[Stream]:
    """The stream of the configured executor; a Ray started here is stopped at the end."""
    if config.executor == "local":
        yield stream_local
        return
    with _ray(config) as stream:
        yield stream


@contextmanager
def _ray(config: ExecutionConfig) -> Iterator[Stream]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    # Ray puts the driver's directory first on its workers' path, where a stranger's `filters/` would
    # shadow ours: a working_dir that holds just our four packages takes that place on every node.
    with tempfile.TemporaryDirectory() as folder:
        already = ray.is_initialized()
        if not already:
            ray.init(
                address=config.address,
                runtime_env=_runtime_env(Path(folder)),
                include_dashboard=False,
                log_to_driver=True,
                logging_level=logging.WARNING,
            )
        try:
            yield _RayStream(config)
        finally:
            if not already:
                ray.shutdown()


def _runtime_env(folder: Path) -> dict[str, Any]:
    home = check_origin()
    for package in PACKAGES:
        shutil.copytree(home / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return {"working_dir": str(folder), "env_vars": {"TOKENIZERS_PARALLELISM": "false"}}


class _RayStream:
    """Gives each of `workers` actors one shard at a time, refilled as each ends; yields results as they come."""

    def __init__(self, config: ExecutionConfig) -> None:
        self.config = config

    def __call__(self, build: Callable[[], Worker], shards: Iterable[Any]) -> Iterator[Any]:
        import ray

        waiting = deque((shard, RETRIES) for shard in shards)
        actors = [self._actor(build) for _ in range(min(self.config.workers, len(waiting)))]
        running: dict[Any, Any] = {}
        try:
            ray.get([actor.ready.remote() for actor in actors])  # a worker that cannot be built says so once
            for actor, (shard, retries) in zip(actors, islice(waiting, len(actors)), strict=True):
                running[actor.work.remote(shard)] = (actor, shard, retries)
            for _ in running:
                waiting.popleft()
            while running:
                ready, _ = ray.wait(list(running), num_returns=1, fetch_local=False)
                yield from self._advance(ready[0], running, waiting, build)
        finally:
            for actor in actors:
                ray.kill(actor)

    def _advance(self, generator: Any, running: dict[Any, Any], waiting: deque[Any], build: Any) -> Iterator[Any]:
        """One step of one worker: its next results, or its next shard when it has ended or died."""
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
                raise RuntimeError(f"a shard's worker died {RETRIES + 1} times; the last time: {error}") from error
            # What the dead worker had yielded is known by its key; the stage drops the repeats.
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
    """An actor that builds its worker once, in its own process, and streams what it yields in small batches."""

    def __init__(self, build: Callable[[], Worker]) -> None:
        check_origin()
        self.worker = build()

    def ready(self) -> bool:
        return True

    def work(self, shard: Any) -> Iterator[list[Any]]:
        """Results of one shard, in batches bounded by number and by time."""
        batch: list[Any] = []
        last = time.monotonic()
        for result in self.worker(shard):
            batch.append(result)
            if len(batch) >= FLUSH_ROWS or time.monotonic() - last > FLUSH_S:
                yield batch
                batch, last = [], time.monotonic()
        if batch:
            yield batch
