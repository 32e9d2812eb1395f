"""Limit of the samples in flight, so that this process can take up all of their replies at once.

When this process is killed, replies that it has not kept yet are lost and paid for twice: those that lie unread, and
those that still arrive meanwhile. While the process has spare time, no reply waits for it. Once it has none, more
samples in flight make nothing faster, they only lengthen the queue.
"""

import selectors
import time

LEAST = 4  # below this the server waits for us as often as we for it
BUSY = 0.3  # busy share of this process with a server of some latency: 750 long replies a second
WINDOW_S = 0.1


class WaitClock(selectors.DefaultSelector):
    """An event loop's selector that adds up its waiting time; the rest of the time the loop's thread was busy."""

    waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Select, and measure how long it takes."""
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        began = time.perf_counter()
        events = super().select(timeout)
        self.waited_s += time.perf_counter() - began
        return events


class ClientLimits:
    """Adapts the number in flight so that the loop's thread is busy for a share BUSY of its time."""

    def __init__(self, clock: WaitClock, most: int) -> None:
        self.clock, self.most, self.limit = clock, most, min(2 * LEAST, most)
        self._begin(time.perf_counter(), 0)

    def _begin(self, now: float, used: int) -> None:
        self.began, self.waited_s, self.used = now, self.clock.waited_s, used

    def allows(self, in_flight: int) -> int:
        """Return how many samples may be in flight now; `in_flight` are."""
        now = time.perf_counter()
        self.used = max(self.used, in_flight)
        if now - self.began >= WINDOW_S:
            if self.used:
                self._adapt(1 - (self.clock.waited_s - self.waited_s) / (now - self.began))
            self._begin(now, in_flight)
        return self.limit

    def _adapt(self, busy: float) -> None:
        """Scale the limit: the thread's busy time is proportional to the samples in flight."""
        wanted = self.used * BUSY / max(busy, 0.01)
        bounded = min(max(wanted, 0.7 * self.limit), 1.3 * self.limit + 1)
        self.limit = round(min(max(bounded, LEAST), self.most))
