"""The pace of one process while Redis is away: its share of the limit, evenly spread, without a burst.

No process knows of the others then. Each takes one turn per `window x processes / requests`, the first only after such
an interval, so that all of them together stay inside the pace that the shared limiter kept until a moment ago.
"""

import threading
import time
from collections.abc import Callable

_FIRST_PAUSE_SECONDS = 1.0
_MOST_DOUBLINGS = 20  # no pause is that long; keeps the power small


class LocalPace:
    """Hands out turns one by one. Safe to use from several threads."""

    def __init__(
        self,
        *,
        requests: int,
        window_seconds: float,
        processes: int,
        longest_pause_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval_seconds = window_seconds * processes / requests
        self._clock = clock
        self._lock = threading.Lock()
        self._due = clock()
        self._longest_pause_seconds = longest_pause_seconds
        self._paused_until = self._due
        self._strikes = 0

    def begin(self) -> None:
        """Redis has just gone: what was granted by it until now still counts, so the first turn is an interval away."""
        with self._lock:
            self._due = max(self._due, self._clock() + self.interval_seconds)

    def refused(self, seconds: float) -> None:
        """Cal.com has blocked the key for so long: no turn before that is over.

        Never for less than a second, twice as long each time that a pause was not enough, and bounded.
        """
        with self._lock:
            now = self._clock()
            if now >= self._paused_until or not self._strikes:
                self._strikes += 1
            least = _FIRST_PAUSE_SECONDS * 2 ** min(self._strikes - 1, _MOST_DOUBLINGS)
            pause = min(self._longest_pause_seconds, max(least, seconds))
            self._paused_until = max(self._paused_until, now + pause)
            self._due = max(self._due, self._paused_until)

    def answered(self) -> None:
        """Cal.com has answered otherwise: the next pause is a first one."""
        with self._lock:
            if self._clock() >= self._paused_until:
                self._strikes = 0

    def seconds_until_free(self) -> float:
        """How long a caller that asks now would wait."""
        with self._lock:
            return max(0.0, self._due - self._clock())

    def reserve(self, longest_seconds: float) -> float | None:
        """Take the next turn: the seconds until it is due, or None (and no turn) if that is past `longest_seconds`."""
        with self._lock:
            now = self._clock()
            wait = max(0.0, self._due - now)
            if wait > longest_seconds:
                return None
            self._due = max(self._due, now) + self.interval_seconds
            return wait
