"""The scheduler: engines kept full, failures retried, outages waited for, every sample settled."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from generators.contract.engine import Outcome, SampleRequest
from generators.sampling.sampling_plan import LongestFirst, SamplingPlan
from generators.sampling.scheduler import Persistence, Row, Scheduler


def request(index: int) -> SampleRequest:
    return SampleRequest(f"t{index}", f"p{index}", [{"role": "user", "content": "?"}], 0, index)


def done(request: SampleRequest, tokens: int = 1, finish: str = "stop") -> Outcome:
    ids = [*request.prefix, *range(tokens)]
    return Outcome(request, request.row(answer="4", finish_reason=finish, completion_tokens=len(ids), token_ids=ids))


class Scripted:
    """An engine with some slots and scripted answers, newest first."""

    def __init__(self, answer: Callable[[SampleRequest], Outcome], slots: int = 4) -> None:
        self.answer, self.most = answer, slots
        self.waiting: list[SampleRequest] = []
        self.asked: list[str] = []
        self.fullest = 0

    def slots(self) -> int:
        return self.most

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        self.waiting += requests
        self.asked += [request.trace_id for request in requests]
        self.fullest = max(self.fullest, len(self.waiting))

    def collect(self, timeout_s: float) -> list[Outcome]:
        return [self.answer(self.waiting.pop())] if self.waiting else []

    def close(self) -> None:
        pass


class Listed:
    """A source of given requests that records the settled ones."""

    def __init__(self, count: int) -> None:
        self.requests = iter([request(i) for i in range(count)])
        self.settlements: list[tuple[str, str]] = []

    def take(self, most: int) -> list[SampleRequest]:
        return list(itertools.islice(self.requests, most))

    def settled(self, request: SampleRequest, row: Row) -> None:
        self.settlements.append((request.trace_id, row["finish_reason"]))

    def undecided(self) -> bool:
        return False


def run(engine: Scripted, count: int, **more: Any) -> tuple[Listed, list[Row]]:
    source, kept = Listed(count), list[Row]()
    Scheduler(engine, source, lambda request, row: kept.append(row), **more).run()
    assert len(source.settlements) == len({trace_id for trace_id, _ in source.settlements}) == count
    return source, kept


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generators.sampling.scheduler.BACKOFF_S", 0.001)


def test_the_engine_is_full_and_never_fuller() -> None:
    engine = Scripted(done)
    _, kept = run(engine, 50)
    assert engine.fullest == 4 and len(kept) == 50


def test_a_failure_is_tried_again_and_given_up_after_its_attempts() -> None:
    tries: Counter[str] = Counter()

    def flaky(request: SampleRequest) -> Outcome:
        tries[request.trace_id] += 1
        bad = request.trace_id == "t3" or (request.trace_id == "t5" and tries["t5"] < 3)
        return Outcome(request, error="no luck") if bad else done(request)

    source, kept = run(Scripted(flaky), 10, persistence=Persistence(max_attempts=4))
    assert (tries["t3"], tries["t5"], tries["t1"]) == (4, 3, 1)
    assert dict(source.settlements) == {f"t{i}": "error" if i == 3 else "stop" for i in range(10)}
    assert [row["error"] for row in kept if row["finish_reason"] == "error"] == ["no luck"]


def test_what_cannot_succeed_is_tried_once() -> None:
    engine = Scripted(lambda request: Outcome(request, error="too long", final=True))
    run(engine, 6)
    assert Counter(engine.asked) == dict.fromkeys((f"t{i}" for i in range(6)), 1)


def test_an_outage_costs_no_sample_its_attempts() -> None:
    until = time.monotonic() + 0.3

    def away(request: SampleRequest) -> Outcome:
        return Outcome(request, error="away", blameless=True) if time.monotonic() < until else done(request)

    _, kept = run(Scripted(away), 8, persistence=Persistence(max_attempts=1))
    assert {row["finish_reason"] for row in kept} == {"stop"}


def test_an_engine_that_stays_away_is_given_up() -> None:
    engine = Scripted(lambda request: Outcome(request, error="away", blameless=True))
    _, kept = run(engine, 8, persistence=Persistence(give_up_after_s=0.2))
    assert len(kept) == 8 and all(row["error"].endswith("away") for row in kept)


def test_an_engine_that_is_away_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("generators.sampling.scheduler.SILENT_S", 0.05)
    run(
        Scripted(lambda request: Outcome(request, error="no connection to URL", blameless=True)),
        8,
        persistence=Persistence(give_up_after_s=0.4),
    )
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("no connection to URL; it is tried again until ") and "0.4 s after the last sample" in said


def test_a_cut_sample_goes_on_and_every_part_is_kept() -> None:
    def cut(request: SampleRequest) -> Outcome:
        return done(request, 3, "stop" if len(request.prefix) >= 6 else "length")

    def go_on(request: SampleRequest, row: Row) -> SampleRequest:
        return SampleRequest(request.trace_id, request.prompt_id, [], 0, 0, prefix=tuple(row["token_ids"]))

    _, kept = run(Scripted(cut), 3, go_on=go_on)
    assert Counter((row["finish_reason"], row["completion_tokens"]) for row in kept) == {
        ("length", 3): 3,
        ("length", 6): 3,
        ("stop", 9): 3,
    }


def test_a_cut_sample_that_cannot_go_on_stays_as_it_was() -> None:
    def cut(request: SampleRequest) -> Outcome:
        return Outcome(request, error="full", final=True) if request.prefix else done(request, 3, "length")

    def go_on(request: SampleRequest, row: Row) -> SampleRequest:
        return SampleRequest(request.trace_id, request.prompt_id, [], 0, 0, prefix=tuple(row["token_ids"]))

    _, kept = run(Scripted(cut), 3, go_on=go_on)
    assert [row["finish_reason"] for row in kept] == ["length"] * 3


def plan(prompts: int, n: int) -> SamplingPlan:
    columns = {"teacher": "m", "revision": "", "sampling": "{}"}
    ids = [f"p{i}" for i in range(prompts)]
    return SamplingPlan(ids, [[{"role": "user", "content": "?" * (i + 1)}] for i in range(prompts)], columns, n, 0)


def taken(source: LongestFirst, lengths: dict[str, int]) -> Iterator[str]:
    """Return the prompts in the order of their requests, each answered at once."""
    while asked := source.take(1):
        source.settled(asked[0], {"completion_tokens": lengths[asked[0].prompt_id]})
        yield asked[0].prompt_id


def test_the_longest_expected_start_first_once_every_prompt_has_been_tried() -> None:
    lengths = {"p0": 10, "p1": 50, "p2": 30}
    order = list(taken(LongestFirst(plan(3, 3), set(), {}), lengths))
    assert order == ["p2", "p1", "p0", "p1", "p1", "p2", "p2", "p0", "p0"]


def test_lengths_known_from_before_need_no_trial_and_what_is_done_is_not_asked() -> None:
    known = plan(3, 2)
    source = LongestFirst(known, {known.trace_ids[2]}, {"p0": 5.0, "p1": 9.0, "p2": 7.0})
    assert list(taken(source, {"p0": 5, "p1": 9, "p2": 7})) == ["p1", "p2", "p2", "p0", "p0"]
