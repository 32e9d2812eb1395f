"""Engines of coroutines: no outcome is lost while they are driven, break, are interrupted or closed."""

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from generators.contract.engine import Outcome, SampleRequest
from generators.sampling.async_engine import AsyncEngine, OwnLoop


def requests(count: int) -> list[SampleRequest]:
    return [SampleRequest(f"t{i}", f"p{i}", [], 0, i) for i in range(count)]


def engine_of(sample: Callable[[SampleRequest], Awaitable[Outcome]]) -> AsyncEngine:
    return AsyncEngine(OwnLoop(asyncio.new_event_loop()), sample, lambda: 100)


def done(request: SampleRequest) -> Outcome:
    return Outcome(request, request.row(answer="4", finish_reason="stop"))


def test_all_samples_come_out_once_in_the_order_they_end() -> None:
    async def later(request: SampleRequest) -> Outcome:
        await asyncio.sleep((20 - request.seed) / 400)
        return done(request)

    engine = engine_of(later)
    engine.submit(requests(20))
    seen: list[int] = []
    while len(seen) < 20:
        seen += [outcome.request.seed for outcome in engine.collect(1.0)]
    assert sorted(seen) == list(range(20)) and seen[0] > seen[-1]
    engine.close()


def test_collecting_waits_no_longer_than_asked() -> None:
    async def never(request: SampleRequest) -> Outcome:
        await asyncio.sleep(3600)
        return done(request)

    engine = engine_of(never)
    engine.submit(requests(3))
    assert engine.collect(0.01) == []
    engine.close()


def test_what_is_done_comes_out_before_what_broke_the_engine_is_raised() -> None:
    async def breaking(request: SampleRequest) -> Outcome:
        await asyncio.sleep(0.01 * request.seed)
        if request.seed == 2:
            raise RuntimeError("a wrong key")
        return done(request)

    engine = engine_of(breaking)
    engine.submit(requests(3))
    seen: list[Outcome] = []
    with pytest.raises(RuntimeError, match="a wrong key"):
        while True:
            seen += engine.collect(1.0)
    assert len(seen) == 2
    engine.close()


def test_samples_that_fail_while_the_engine_is_closed_do_not_stop_the_closing() -> None:
    released = []

    async def failing(request: SampleRequest) -> Outcome:
        try:
            await asyncio.sleep(0 if request.seed == 0 else 3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            raise RuntimeError("broken while closing") from None
        raise RuntimeError("a wrong key")

    class Releasing(AsyncEngine):
        async def release(self) -> None:
            released.append(True)

    engine = Releasing(OwnLoop(asyncio.new_event_loop()), failing, lambda: 100)
    engine.submit(requests(5))
    with pytest.raises(RuntimeError, match="a wrong key"):
        while True:
            engine.collect(1.0)
    engine.close()
    assert released and engine.loop.is_closed()


def thread_names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("engine-loop")]


def test_an_engine_is_driven_from_a_thread_that_runs_a_loop() -> None:
    async def later(request: SampleRequest) -> Outcome:
        await asyncio.sleep(0.001 * request.seed)
        return done(request)

    async def main() -> list[int]:
        engine = engine_of(later)
        engine.submit(requests(20))
        seen: list[int] = []
        while len(seen) < 20:
            seen += [outcome.request.seed for outcome in engine.collect(1.0)]
        assert len(thread_names()) == 1
        engine.close()
        return seen

    assert sorted(asyncio.run(main())) == list(range(20))
    assert thread_names() == []


def test_without_a_running_loop_there_is_no_thread() -> None:
    async def at_once(request: SampleRequest) -> Outcome:
        return done(request)

    engine = engine_of(at_once)
    engine.submit(requests(1))
    assert len(engine.collect(1.0)) == 1 and thread_names() == []
    engine.close()


def test_ctrl_c_under_a_running_loop_ends_the_turn_and_the_engine_closes() -> None:
    async def never(request: SampleRequest) -> Outcome:
        await asyncio.sleep(3600)
        return done(request)

    engine = engine_of(never)

    async def main() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a notebook: Ctrl-C raises at once
        engine.submit(requests(3))
        timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
        timer.start()
        try:
            engine.collect(60.0)
        except KeyboardInterrupt:
            assert not engine.loop.is_running()
            assert engine.collect(0.01) == []  # the next turn is a whole one
            engine.close()
            raise

    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert time.monotonic() - before < 5 and engine.loop.is_closed() and thread_names() == []


def test_the_first_ctrl_c_under_asyncio_run_is_not_lost_even_between_two_turns() -> None:
    async def never(request: SampleRequest) -> Outcome:
        await asyncio.sleep(3600)
        return done(request)

    engine = engine_of(never)

    async def main() -> None:
        engine.submit(requests(3))
        assert engine.collect(0.01) == []
        signal.raise_signal(signal.SIGINT)  # asyncio.run cancels the task, which does not await anything
        try:
            engine.collect(60.0)
        finally:
            engine.close()

    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert time.monotonic() - before < 5 and engine.loop.is_closed() and thread_names() == []


def test_ctrl_c_ends_no_task_of_a_library(caplog: pytest.LogCaptureFixture) -> None:
    async def inner() -> None:
        while True:
            time.sleep(0.005)  # this task runs when the signal comes
            await asyncio.sleep(0)

    async def sample(request: SampleRequest) -> Outcome:
        asyncio.get_running_loop().create_task(inner())  # nobody asks for its exception
        await asyncio.sleep(3600)
        return done(request)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    engine = engine_of(sample)
    engine.submit(requests(3))
    threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        engine.collect(30.0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, handler)
    for task in asyncio.all_tasks(engine.loop):
        task.cancel()
    engine.close()
    gc.collect()
    assert "never retrieved" not in caplog.text
