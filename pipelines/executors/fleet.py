"""Engines on Ray actors, driven as one."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from generators.contract.engine import DEATHS, Engine, Outcome, SampleRequest
from generators.contract.errors import EngineFailed
from pipelines.doctor import check_origin
from pipelines.executors.settings import ExecutionConfig
from pipelines.executors.stream import far_error

COLLECT_S = 5.0  # how long an actor waits for its first outcome before it answers
LINGER_S = 0.002  # outcomes that finish within this time of the first travel with it
THREADS = 4  # of an actor, so that it takes on samples while its answer is awaited
REASON_CHARACTERS = 300

log = logging.getLogger(__name__)


@contextmanager
def ray_fleet(config: ExecutionConfig, build: Callable[[], Engine]) -> Iterator[Engine]:
    """Drive `workers` engines, each in an actor of its own, as one; one that dies is started again elsewhere."""
    engines = _RayEngines(config, build)
    try:
        yield engines
    finally:
        engines.close()


@dataclass
class _Member:
    """One engine's actor, its samples in flight, and its pending answer."""

    actor: Any
    group: Any  # its placement group
    answer: Any  # of `ready` at first, then of `collect`
    ready: bool = False
    slots: int = 0
    deaths: int = 0  # of its predecessors since the last finished sample
    in_flight: dict[str, SampleRequest] = field(default_factory=dict)

    def free(self) -> int:
        """Return how many more samples it can use."""
        return self.slots - len(self.in_flight)


class _RayEngines:
    """Several engines as one: each is topped up by itself, so that a slow or dying one delays no other."""

    def __init__(self, config: ExecutionConfig, build: Callable[[], Engine]) -> None:
        self.config, self.build = config, build
        self.members: list[_Member] = []
        for _ in range(config.workers):
            self.members.append(self._start())

    def slots(self) -> int:
        """Return the slots of all engines together."""
        return sum(member.slots for member in self.members)

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Hand samples to the engines with the most free slots."""
        waiting = deque(requests)
        while waiting:
            member = max(self.members, key=_Member.free)
            part = [waiting.popleft() for _ in range(min(len(waiting), max(1, self._share(member))))]
            member.in_flight |= {request.trace_id: request for request in part}
            member.actor.submit.remote(part)

    def _share(self, member: _Member) -> int:
        """Return how many samples it takes until another has as many free slots.

        Neighbors, such as the samples of one prompt, thus go to one engine, whose prefix cache they share.
        """
        if len(self.members) == 1:
            return member.free()
        others = [other.free() for other in self.members if other is not member and other.ready]
        return member.free() - max(others) if others and max(others) < member.free() else min(member.free(), 8)

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Return what has finished; EngineFailed after DEATHS deaths of one engine without a sample between them."""
        import ray

        members = {member.answer: member for member in self.members}
        ready, _ = ray.wait(list(members), num_returns=1, timeout=timeout_s)
        if ready:  # other answers that have arrived come along
            ready, _ = ray.wait(list(members), num_returns=len(members), timeout=0)
        return [outcome for answer in ready for outcome in self._answered(members[answer])]

    def _answered(self, member: _Member) -> list[Outcome]:
        import ray

        try:
            member.slots, outcomes = ray.get(member.answer)
        except ray.exceptions.RayActorError as error:
            return self._replace(member, error)
        except ray.exceptions.RayTaskError as error:
            if not member.ready:  # it cannot be built, on this node or any other
                raise far_error(error) from None
            return self._replace(member, error)
        member.ready, member.answer = True, member.actor.collect.remote(COLLECT_S)
        member.deaths = 0 if outcomes else member.deaths
        for outcome in outcomes:
            member.in_flight.pop(outcome.request.trace_id, None)
        finished: list[Outcome] = outcomes
        return finished

    def _replace(self, member: _Member, error: Exception) -> list[Outcome]:
        """Start another actor in place of a dead one, and return the samples that were in flight as failed attempts."""
        reason = " ".join(str(error).split())[:REASON_CHARACTERS] or type(error).__name__
        if member.deaths + 1 >= DEATHS:
            raise EngineFailed(f"an engine died {DEATHS} times without finishing a sample; the last time: {reason}")
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
        """Return (placement group or None, an actor's options): one bundle a GPU where they may be on several nodes."""
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
        """Stop all engines."""
        for member in self.members:
            self._stop(member)


class _EngineActor:
    """An engine in an actor: one thread drives it; the actor's methods only pass samples in and outcomes out."""

    def __init__(self, build: Callable[[], Engine]) -> None:
        check_origin()
        self.build = build
        self.changed = threading.Condition()
        self.asked: list[SampleRequest] = []
        self.outcomes: list[Outcome] = []
        self.slots, self.failure = 0, None  # type: int, BaseException | None
        threading.Thread(target=self._drive, daemon=True).start()

    def ready(self) -> tuple[int, list[Outcome]]:
        """Return once the engine can be used; raise the exception that kept it from being built."""
        return self._answer(lambda: self.slots > 0, None)

    def submit(self, requests: list[SampleRequest]) -> None:
        """Take on samples."""
        with self.changed:
            self.asked += requests
            self.changed.notify_all()

    def collect(self, timeout_s: float) -> tuple[int, list[Outcome]]:
        """Return (slots at this moment, finished samples), after at most `timeout_s` without any."""
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
