"""An engine whose samples are coroutines on an event loop, which runs while the engine is asked to collect.

No thread: whoever drives the engine and the coroutines take turns, so nothing contends for the interpreter.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from generators.contract.engine import Outcome, SampleRequest

Sample = Callable[[SampleRequest], Awaitable[Outcome]]


class AsyncEngine:
    """Runs `sample(request)` for each request. `slots()` of them may be in flight."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sample: Sample, slots: Callable[[], int]) -> None:
        self.loop, self.sample, self.slots = loop, sample, slots
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
            self.done.append(outcome)  # in a line of its own: `done` is another list after the wait
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # not the sample's: a wrong key, a dead engine
            self.broken = error
        if self.collecting:  # a stop while the engine is being closed would leave that half done
            self.loop.stop()

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Run the loop until a sample finishes; what broke the engine as a whole is raised once nothing is left."""
        if not (self.done or self.broken):
            self._turn(timeout_s)
        if self.broken and not self.done:
            raise self.broken
        done, self.done = self.done, []
        self.in_flight -= len(done)
        return done

    def _turn(self, most_s: float) -> None:
        timer = self.loop.call_later(most_s, self.loop.stop)
        self.collecting = True
        try:
            self.loop.run_forever()
        finally:  # also after Ctrl-C
            self.collecting = False
            timer.cancel()

    def close(self) -> None:
        """Cancel what is in flight and let go."""
        self.loop.run_until_complete(self._cancel())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _cancel(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.release()

    async def release(self) -> None:
        """Close what was opened on the loop."""
