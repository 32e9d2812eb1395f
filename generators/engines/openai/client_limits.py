"""How many samples may be in flight so that this process can take up all of them at once.

What a server has answered and this process has not yet kept is lost when it is killed, and paid for twice: replies that
lie unread, and those that still come while a killed process is taken down. Where this process has spare time, replies
do not wait for it. Once it has not, more in flight makes nothing faster, it only makes the line longer.
"""

import selectors
import time

LEAST = 4  # below this the server waits for us as often as we for it
BUSY = 0.3  # share of its time that this process works for a server with some latency: 750 long replies a second
WINDOW_S = 0.1


class Watch(selectors.DefaultSelector):
    """An event loop's selector that adds up how long it waited: the rest of the time the loop's thread was at work."""

    waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As the selector does."""
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        began = time.perf_counter()
        events = super().select(timeout)
        self.waited_s += time.perf_counter() - began
        return events


class Intake:
    """Sets the number in flight so that the thread of the watched loop works a share BUSY of its time."""

    def __init__(self, watch: Watch, most: int) -> None:
        self.watch, self.most, self.limit = watch, most, min(2 * LEAST, most)
        self._begin(time.perf_counter(), 0)

    def _begin(self, now: float, used: int) -> None:
        self.began, self.waited_s, self.used = now, self.watch.waited_s, used

    def allows(self, in_flight: int) -> int:
        """How many samples may be in flight now."""
        now = time.perf_counter()
        self.used = max(self.used, in_flight)
        if now - self.began >= WINDOW_S:
            if self.used:
                self._adapt(1 - (self.watch.waited_s - self.waited_s) / (now - self.began))
            self._begin(now, in_flight)
        return self.limit

    def _adapt(self, busy: float) -> None:
        """With more or fewer in flight, this thread has proportionally more or less to do."""
        wanted = self.used * BUSY / max(busy, 0.01)
        bounded = min(max(wanted, 0.7 * self.limit), 1.3 * self.limit + 1)
        self.limit = round(min(max(bounded, LEAST), self.most))
