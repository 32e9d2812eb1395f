"""Where workers run: in this process (`local`) or as Ray actors (`ray`). The only module that knows Ray."""

import logging
import os
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from generators.contract.config import Config
from generators.contract.engine import DEATHS, Engine, Fleet, Outcome, SampleRequest, local_fleet
from generators.contract.stage_protocol import Stream, Worker, stream_local
from pipelines.doctor import PACKAGES, check_origin

FLUSH_ROWS, FLUSH_S = 64, 1.0  # results of one worker travel together, at most this many or this long
RETRIES = 3  # a shard whose worker died is given to another this often
COLLECT_S, LINGER_S = 5.0, 0.002  # an actor's answer is waited for so long; what finishes within a linger travels along
THREADS = 4  # of an actor: taking on samples while an answer is waited for
REASON_CHARACTERS = 300

log = logging.getLogger(__name__)


class ExecutionConfig(Config):
    """How the work is done; nothing here changes what comes out."""

    executor: Literal["local", "ray"] = "local"
    workers: int = Field(1, ge=1, description="Ray actors a stage; each holds one engine or one model")
    cpus_per_worker: float = Field(1.0, ge=0)
    gpus_per_worker: float = Field(0.0, ge=0, description="of one engine: tensor times pipeline parallel")
    across_nodes: bool = Field(False, description="an engine's GPUs may lie on several nodes (a placement group)")
    address: str | None = Field(None, description="of a running Ray cluster; none starts a local one")
    verify_workers: int = Field(2, ge=1, description="verifier processes")

    @model_validator(mode="after")
    def _check(self) -> "ExecutionConfig":
        if self.across_nodes and (self.gpus_per_worker < 2 or self.gpus_per_worker % 1):
            raise ValueError(f"across_nodes needs several whole gpus_per_worker; there are {self.gpus_per_worker:g}")
        return self


@dataclass(frozen=True)
class Executor:
    """How shards and samples reach their workers."""

    stream: Stream = stream_local
    fleet: Fleet = local_fleet


@contextmanager
def open_executor(config: ExecutionConfig) -> Iterator[Executor]:
    """The configured executor; a Ray started here is stopped at the end."""
    if config.executor == "local":
        yield Executor()
        return
    with _ray(config):
        yield Executor(_RayStream(config), lambda build: ray_fleet(config, build))


@contextmanager
def _ray(config: ExecutionConfig) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 else: a GPU would wait for an engine that yields to anybody
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
            yield
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


@contextmanager
def ray_fleet(config: ExecutionConfig, build: Callable[[], Engine]) -> Iterator[Engine]:
    """`workers` engines in actors of their own, driven as one; an engine that dies is started again elsewhere."""
    engines = _RayEngines(config, build)
    try:
        yield engines
    finally:
        engines.close()


@dataclass
class _Member:
    """One engine's actor, what it was asked for, and the answer that is waited for: that it is ready, or outcomes."""

    actor: Any
    group: Any  # its placement group
    answer: Any
    ready: bool = False
    slots: int = 0
    deaths: int = 0  # of its predecessors since a sample came out
    in_flight: dict[str, SampleRequest] = field(default_factory=dict)

    def free(self) -> int:
        return self.slots - len(self.in_flight)


class _RayEngines:
    """Several engines as one: each is topped up by itself, so a slow or dying one holds up nothing."""

    def __init__(self, config: ExecutionConfig, build: Callable[[], Engine]) -> None:
        self.config, self.build = config, build
        self.members: list[_Member] = []
        for _ in range(config.workers):
            self.members.append(self._start())

    def slots(self) -> int:
        return sum(member.slots for member in self.members)

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Hand samples to the engines with the most room."""
        waiting = deque(requests)
        while waiting:
            member = max(self.members, key=_Member.free)
            part = [waiting.popleft() for _ in range(min(len(waiting), max(1, self._share(member))))]
            member.in_flight |= {request.trace_id: request for request in part}
            member.actor.submit.remote(part)

    def _share(self, member: _Member) -> int:
        """How much it takes until the next one has as much room: neighbours, such as samples of a prompt, stay near."""
        if len(self.members) == 1:
            return member.free()
        others = [other.free() for other in self.members if other is not member and other.ready]
        return member.free() - max(others) if others and max(others) < member.free() else min(member.free(), 8)

    def collect(self, timeout_s: float) -> list[Outcome]:
        import ray

        members = {member.answer: member for member in self.members}
        ready, _ = ray.wait(list(members), num_returns=1, timeout=timeout_s)
        if ready:  # whatever else is there comes along
            ready, _ = ray.wait(list(members), num_returns=len(members), timeout=0)
        return [outcome for answer in ready for outcome in self._answered(members[answer])]

    def _answered(self, member: _Member) -> list[Outcome]:
        import ray

        try:
            member.slots, outcomes = ray.get(member.answer)
        except ray.exceptions.RayActorError as error:
            return self._replace(member, error)
        except ray.exceptions.RayTaskError as error:
            if not member.ready:  # it cannot be built, here or elsewhere
                raise error.cause if isinstance(error.cause, ValueError | RuntimeError | OSError) else error from None
            return self._replace(member, error)
        member.ready, member.answer = True, member.actor.collect.remote(COLLECT_S)
        member.deaths = 0 if outcomes else member.deaths
        for outcome in outcomes:
            member.in_flight.pop(outcome.request.trace_id, None)
        return outcomes

    def _replace(self, member: _Member, error: Exception) -> list[Outcome]:
        """Start another actor in place of a dead one, and give back what it had in flight."""
        reason = " ".join(str(error).split())[:REASON_CHARACTERS] or type(error).__name__
        if member.deaths + 1 >= DEATHS:
            raise RuntimeError(f"an engine died {DEATHS} times without finishing a sample; the last time: {reason}")
        log.warning("an engine died and is started again (%d samples go back into the queue): %s",
                    len(member.in_flight), reason)  # fmt: skip
        self._stop(member)
        self.members[self.members.index(member)] = self._start(member.deaths + 1)
        return [Outcome(request, error=f"its engine died: {reason}") for request in member.in_flight.values()]

    def _start(self, deaths: int = 0) -> _Member:
        import ray

        group, options = self._resources()
        actor: Any = ray.remote(**options)(_EngineActor).remote(self.build)
        return _Member(actor, group, actor.ready.remote(), deaths=deaths)

    def _resources(self) -> tuple[Any, Any]:
        """(placement group or None, an actor's options): one bundle a GPU where they may lie on several nodes."""
        cpus, gpus = self.config.cpus_per_worker, self.config.gpus_per_worker
        if not self.config.across_nodes:
            return None, {"num_cpus": cpus, "num_gpus": gpus, "max_concurrency": THREADS}
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        group = ray.util.placement_group([{"GPU": 1, "CPU": max(1.0, cpus)}] * int(gpus), strategy="PACK")
        strategy = PlacementGroupSchedulingStrategy(
            group, placement_group_bundle_index=0, placement_group_capture_child_tasks=True
        )
        options = {"num_cpus": cpus, "num_gpus": 0, "max_concurrency": THREADS, "scheduling_strategy": strategy}
        return group, options

    def _stop(self, member: _Member) -> None:
        import ray

        ray.kill(member.actor)
        if member.group is not None:
            ray.util.remove_placement_group(member.group)

    def close(self) -> None:
        for member in self.members:
            self._stop(member)


class _EngineActor:
    """An engine in an actor: one thread drives it, the actor's methods only pass samples in and outcomes out."""

    def __init__(self, build: Callable[[], Engine]) -> None:
        check_origin()
        self.build = build
        self.changed = threading.Condition()
        self.asked: list[SampleRequest] = []
        self.outcomes: list[Outcome] = []
        self.slots, self.failure = 0, None  # type: int, BaseException | None
        threading.Thread(target=self._drive, daemon=True).start()

    def ready(self) -> tuple[int, list[Outcome]]:
        """Return when the engine can be used; raise what kept it from being built."""
        return self._answer(lambda: self.slots > 0, None)

    def submit(self, requests: list[SampleRequest]) -> None:
        """Take on samples."""
        with self.changed:
            self.asked += requests
            self.changed.notify_all()

    def collect(self, timeout_s: float) -> tuple[int, list[Outcome]]:
        """(slots now, what has finished)."""
        return self._answer(lambda: bool(self.outcomes), timeout_s)

    def _answer(self, there: Callable[[], bool], timeout_s: float | None) -> tuple[int, list[Outcome]]:
        with self.changed:
            self.changed.wait_for(lambda: there() or self.failure is not None, timeout_s)
            if self.failure is not None:
                raise self.failure
        if self.outcomes:
            time.sleep(LINGER_S)
        with self.changed:
            finished, self.outcomes = self.outcomes, []
            return self.slots, finished

    def _drive(self) -> None:
        try:
            self._run(self.build())
        except BaseException as error:
            with self.changed:
                self.failure = error
                self.changed.notify_all()

    def _run(self, engine: Engine) -> None:
        in_flight = 0
        while True:
            with self.changed:
                self.slots = engine.slots()
                self.changed.notify_all()
                if not in_flight:
                    self.changed.wait_for(lambda: bool(self.asked))
                asked, self.asked = self.asked, []
            if asked:
                engine.submit(asked)
            finished = engine.collect(0.05)
            in_flight += len(asked) - len(finished)
            with self.changed:
                self.outcomes += finished
