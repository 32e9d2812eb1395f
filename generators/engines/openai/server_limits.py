"""Limits of one server: an AIMD limiter of the requests in flight, and a circuit breaker for outages.

The limiter works like TCP's congestion control (RFC 5681). It doubles until the server first refuses a request, then
grows by steps; a refusal cuts it by a factor, once for all requests then in flight. A step is due after a round trip,
but after GROW_S at the latest: a reasoning model answers after minutes, and refuses within milliseconds.
"""

import math
import random
import time
from email.utils import parsedate_to_datetime

START = 8  # requests that an unknown server gets at a time
GROW_S = 1.0
DECREASE = 0.7
STEPS = 32  # increases from zero to the maximum, after a refusal
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
LONGEST_RETRY_AFTER_S = 600.0
MANY = 3  # samples that fail in a row: the server is to blame, not the samples
DOUBT_S = 60.0  # but the server is blamed for no longer than that


class AimdLimiter:
    """Additive increase, multiplicative decrease of the requests in flight. Times are time.monotonic()."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit, self.threshold = float(min(START, most)), float(most)  # below the threshold the limit doubles
        self.in_flight = self.peak = 0  # peak: since the limit last changed
        self.round_trip_s = GROW_S
        self.changed_at = 0.0

    def begin(self) -> float:
        """Count a request as sent; return the time."""
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        return time.monotonic()

    def learn_round_trip(self, seconds: float) -> None:
        """Update the moving average of round trips."""
        self.round_trip_s += 0.1 * (seconds - self.round_trip_s)

    def grow(self, now: float) -> None:
        """Raise the limit when all of it has been in use."""
        if self.peak < int(self.limit) or now - self.changed_at < min(self.round_trip_s, GROW_S):
            return
        if self.limit < self.threshold:
            self.set_limit(min(2 * self.limit, self.threshold), now)
        else:
            self.set_limit(self.limit + max(1.0, self.most / STEPS), now)

    def decrease(self, now: float) -> None:
        """Cut the limit after a refusal; from here on it grows by steps."""
        self.set_limit(DECREASE * min(self.limit, max(self.peak, self.in_flight)), now)
        self.threshold = self.limit

    def restart(self, now: float) -> None:
        """Lower the limit to that of an unknown server."""
        self.set_limit(min(self.limit, START), now)

    def set_limit(self, limit: float, now: float) -> None:
        """Change the limit, within 1 and the maximum."""
        self.limit = min(max(1.0, limit), float(self.most))
        self.peak, self.changed_at = self.in_flight, now


class Server(AimdLimiter):
    """One URL: its limiter, and a circuit breaker that pauses an overloaded or dead server with exponential backoff.

    `began` is the time that `begin` returned for a request.
    """

    def __init__(self, url: str, most: int) -> None:
        super().__init__(most)
        self.url = url
        self.opens_at = 0.0  # no request before that
        self.tripped_at = self.answered_at = self.recovered_at = -math.inf
        self.failing: dict[str, float] = {}  # trace_id -> time, of samples that failed since the last answer
        self.trips = 0  # of the circuit breaker, in a row

    def room(self) -> int:
        """Return how many more requests the server may get now."""
        now = time.monotonic()
        if now < self.opens_at:
            return 0
        self.grow(now)
        return max(0, int(self.limit) - self.in_flight)

    def answered(self, began: float) -> None:
        """Record a proper answer: it closes the circuit breaker."""
        self.answered_at = time.monotonic()
        self.learn_round_trip(self.answered_at - began)
        self.trips = 0
        if self._fails_everything():
            self.recovered_at = self.answered_at
        self.failing.clear()

    def overloaded(self, began: float, after_s: float | None) -> None:
        """Record a refusal for overload: cut the limit, and send nothing for the time the server asks for."""
        now = time.monotonic()
        if after_s:
            self.opens_at = max(self.opens_at, now + min(after_s, LONGEST_RETRY_AFTER_S))
        if began > self.tripped_at:
            self.decrease(now)
            self._trip(now)

    def unavailable(self, began: float) -> None:
        """Record that the server is down or fails every request: pause it and restart, unless it answers others."""
        if began > max(self.tripped_at, self.answered_at):
            self.restart(time.monotonic())
            self._trip(time.monotonic())

    def failed(self, trace_id: str, suspect: bool, began: float) -> bool:
        """Record a failed sample; return whether the server is to blame.

        A suspect sample, which failed while others were answered, does not count against the server. The failure may
        arrive after the answer that ended the outage.
        """
        if began < self.recovered_at:
            return True
        if not suspect:
            self.failing.setdefault(trace_id, time.monotonic())
        return self._fails_everything()

    def _fails_everything(self) -> bool:
        return len(self.failing) >= MANY and time.monotonic() - next(iter(self.failing.values())) < DOUBT_S

    def _trip(self, now: float) -> None:
        """Open the circuit breaker; from the second time in a row on, with a pause that doubles each time."""
        if self.trips:
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self.trips)
            self.opens_at = max(self.opens_at, now + pause * random.uniform(0.5, 1.0))
        self.tripped_at, self.peak = now, 0
        self.trips = min(self.trips + 1, 16)


def retry_after_s(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or a date; None: no or a malformed header."""
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
