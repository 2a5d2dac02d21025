"""The sandbox's clock: the real one, shifted, frozen or moved on by a test."""

import time
from collections.abc import Callable

NS_PER_MS = 1_000_000


def real_now_ms() -> int:
    """Milliseconds since 1970 by this machine's clock."""
    return time.time_ns() // NS_PER_MS


class Clock:
    """What the time is. Everything in the sandbox asks it: bookings, limiter, caches, headers.

    `source` gives the real milliseconds; `start_ms` lets the clock begin at another moment and run on from there.
    """

    def __init__(self, source: Callable[[], int] = real_now_ms, *, start_ms: int | None = None) -> None:
        self._source = source
        self._shift = 0 if start_ms is None else start_ms - source()
        self._frozen: int | None = None

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self._source() + self._shift if self._frozen is None else self._frozen

    @property
    def is_frozen(self) -> bool:
        """Whether time stands still."""
        return self._frozen is not None

    def set(self, at_ms: int) -> None:
        """Makes it `at_ms` now; a frozen clock stays frozen, a running one runs on from there."""
        if self._frozen is None:
            self._shift = at_ms - self._source()
        else:
            self._frozen = at_ms

    def freeze(self, at_ms: int | None = None) -> None:
        """Stops the clock, at `at_ms` or where it is."""
        self._frozen = self.now() if at_ms is None else at_ms

    def advance(self, by_ms: int) -> None:
        """Moves the clock on."""
        self.set(self.now() + by_ms)

    def resume(self) -> None:
        """Lets a frozen clock run on from where it stands."""
        if self._frozen is not None:
            self._shift = self._frozen - self._source()
            self._frozen = None
