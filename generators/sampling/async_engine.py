"""An engine whose samples are coroutines on an event loop of its own, which runs only while the engine collects.

Normally there is no thread: the driver and the coroutines take turns, so nothing contends for the interpreter. A
thread that already runs a loop, such as a notebook's, cannot run a second one; a helper thread then takes the turns.
"""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from generators.contract.engine import Outcome, SampleRequest

Sample = Callable[[SampleRequest], Awaitable[Outcome]]
T = TypeVar("T")

CANCEL_CHECK_S = 0.1  # between two checks for a cancellation of the calling task


class OwnLoop:
    """An engine's event loop. `run(turn)` calls a function that runs it, in a thread where it may run."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.helper: ThreadPoolExecutor | None = None  # started at the first turn that needs it, kept until `close`
        self.cancelled = _times_cancelled()  # of the calling task, as far as it was told by a CancelledError

    def run(self, turn: Callable[[], T]) -> T:
        """Return turn(), called in this thread, or in the helper thread where this one already runs a loop.

        After Ctrl-C, or when the calling task was cancelled, the loop is stopped and the turn waited for first.
        """
        if not _runs_a_loop():
            return turn()
        self.helper = self.helper or ThreadPoolExecutor(1, "engine-loop")
        running = self.helper.submit(turn)
        try:
            self._wait(running)
        except (KeyboardInterrupt, asyncio.CancelledError):
            stop = self.loop.call_soon_threadsafe(self.loop.stop)
            wait([running])
            stop.cancel()  # a turn that ended by itself leaves the stop behind, which would end the next turn
            raise
        return running.result()

    def _wait(self, running: Future[T]) -> None:
        """Wait for a turn; raise a CancelledError when the calling task has been cancelled.

        Under asyncio.run the first Ctrl-C raises nothing: it cancels the main task, which is waiting here.
        """
        while not wait([running], CANCEL_CHECK_S).done:
            if _times_cancelled() > self.cancelled:
                self.cancelled = _times_cancelled()
                raise asyncio.CancelledError

    def close(self) -> None:
        """Close the loop and end the helper thread."""
        self.loop.close()
        if self.helper:
            self.helper.shutdown()


@contextmanager
def interruptible(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM that is to act like it) stop the loop and be raised outside; a second is raised.

    Raised inside, it would end whatever task runs at that moment, a library's own included, with nobody to ask for its
    exception. Other handlers than Python's own, and other threads than the main one, are left as they are.
    """
    main = threading.current_thread() is threading.main_thread()
    both = (signal.SIGINT, signal.SIGTERM)
    numbers = [number for number in both if main and signal.getsignal(number) is signal.default_int_handler]
    pressed: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            signal.default_int_handler(number, frame)
        loop.call_soon_threadsafe(loop.stop)

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _times_cancelled() -> int:
    task = asyncio.current_task() if _runs_a_loop() else None
    return task.cancelling() if task else 0


class AsyncEngine:
    """Runs `sample(request)` for each request. At most `slots()` of them may be in flight."""

    def __init__(self, own: OwnLoop, sample: Sample, slots: Callable[[], int]) -> None:
        self.own, self.loop, self.sample, self.slots = own, own.loop, sample, slots
        self.in_flight = 0
        self.collecting = False
        self.done: list[Outcome] = []
        self.broken: BaseException | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Start a coroutine for each sample."""
        self.in_flight += len(requests)
        for request in requests:
            task = self.loop.create_task(self._run(request))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _run(self, request: SampleRequest) -> None:
        try:
            outcome = await self.sample(request)
            self.done.append(outcome)  # on its own line: `done` is another list after the wait
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # concerns the engine, not the sample: a wrong key, a dead engine
            self.broken = error
        if self.collecting:  # a stop during `close` would leave the closing half done
            self.loop.stop()

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Run the loop until a sample finishes; once no outcome is left, raise what broke the engine as a whole."""
        if not (self.done or self.broken):
            self.own.run(lambda: self._turn(timeout_s))
        if self.broken and not self.done:
            raise self.broken
        done, self.done = self.done, []
        self.in_flight -= len(done)
        return done

    def _turn(self, most_s: float) -> None:
        timer = self.loop.call_later(most_s, self.loop.stop)
        self.collecting = True
        try:
            with interruptible(self.loop):
                self.loop.run_forever()
        finally:  # also after Ctrl-C
            self.collecting = False
            timer.cancel()

    def close(self) -> None:
        """Cancel what is in flight, release what was opened on the loop, and close the loop."""
        self.own.run(self._end)
        self.own.close()

    def _end(self) -> None:
        self.loop.run_until_complete(self._cancel())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())

    async def _cancel(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.release()

    async def release(self) -> None:
        """Close what was opened on the loop."""
