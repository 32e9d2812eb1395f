"""One of the servers that samples are asked of: how much it takes at a time, and whether it is there at all.

What may be in flight grows and shrinks as in TCP (RFC 5681): it doubles until the server first refuses something, then
grows by steps, and a refusal takes a share away, once for all that was under way. A step is due after a round trip, but
after GROW_S at the latest: a reasoning model answers after minutes, and refuses within milliseconds.
"""

import math
import random
import time
from email.utils import parsedate_to_datetime

START = 8  # requests that an unknown server gets at a time
GROW_S = 1.0
LESS = 0.7
STEPS = 32  # from nothing to the most that is allowed, after a refusal
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
LONGEST_RETRY_AFTER_S = 600.0
MANY = 3  # samples in a row that fail: the server is in trouble, not they
DOUBT_S = 60.0  # but not for longer than that


class Server:
    """Counts what is in flight at one URL, and learns from what becomes of it. Times are time.monotonic()."""

    def __init__(self, url: str, most: int) -> None:
        self.url, self.most = url, most
        self.limit, self.threshold = float(min(START, most)), float(most)
        self.in_flight = self.peak = 0  # peak: since the limit last changed
        self.round_trip_s = GROW_S
        self.changed_at = self.opens_at = 0.0
        self.troubled_at = self.answered_at = self.recovered_at = -math.inf
        self.failing: dict[str, float] = {}  # samples that failed since the last answer, and when
        self.troubles = 0  # in a row

    def room(self) -> int:
        """How many more requests it may get now."""
        now = time.monotonic()
        if now < self.opens_at:
            return 0
        self._grow(now)
        return max(0, int(self.limit) - self.in_flight)

    def _grow(self, now: float) -> None:
        """Allow more when all that is allowed has been in use."""
        if self.peak < int(self.limit) or now - self.changed_at < min(self.round_trip_s, GROW_S):
            return
        if self.limit < self.threshold:
            self._set(min(2 * self.limit, self.threshold), now)
        else:
            self._set(self.limit + max(1.0, self.most / STEPS), now)

    def _set(self, limit: float, now: float) -> None:
        self.limit = min(max(1.0, limit), float(self.most))
        self.peak, self.changed_at = self.in_flight, now

    def begin(self) -> float:
        """A request is sent; the time."""
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        return time.monotonic()

    def answered(self, began: float) -> None:
        """A request that began then was answered as it should be."""
        self.answered_at = time.monotonic()
        self.round_trip_s += 0.1 * (self.answered_at - began - self.round_trip_s)
        self.troubles = 0
        if self._failing_all():
            self.recovered_at = self.answered_at
        self.failing.clear()

    def refused(self, began: float, after_s: float | None) -> None:
        """It has too much to do: ask for less at a time, and for nothing while it says so."""
        now = time.monotonic()
        if after_s:
            self.opens_at = max(self.opens_at, now + min(after_s, LONGEST_RETRY_AFTER_S))
        if began > self.troubled_at:
            self._set(LESS * min(self.limit, max(self.peak, self.in_flight)), now)
            self.threshold = self.limit
            self._trouble(now)

    def away(self, began: float) -> None:
        """It cannot be reached, or fails whatever it is asked: pause and begin anew, unless it answers others."""
        if began > max(self.troubled_at, self.answered_at):
            self._set(min(self.limit, START), time.monotonic())
            self._trouble(time.monotonic())

    def failed(self, trace_id: str, suspect: bool, began: float) -> bool:
        """A sample asked for then came to nothing; whether the server is to blame.

        A suspect is no witness against the server. A failure may be heard of after the answer that ended the trouble.
        """
        if began < self.recovered_at:
            return True
        if not suspect:
            self.failing.setdefault(trace_id, time.monotonic())
        return self._failing_all()

    def _failing_all(self) -> bool:
        return len(self.failing) >= MANY and time.monotonic() - next(iter(self.failing.values())) < DOUBT_S

    def _trouble(self, now: float) -> None:
        """Wait the longer, the more often in a row."""
        if self.troubles:
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self.troubles)
            self.opens_at = max(self.opens_at, now + pause * random.uniform(0.5, 1.0))
        self.troubled_at, self.peak = now, 0
        self.troubles = min(self.troubles + 1, 16)


def retry_after_s(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date; None where it says nothing."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
