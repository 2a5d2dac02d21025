"""What is asked about requests to Cal.com: the limiter, the circuits, the record of calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CallTotals:
    """Requests to Cal.com: all, those it refused (429), those without a usable answer (5xx, none)."""

    sent: int = 0
    refused: int = 0
    failed: int = 0


class LimiterReading(Protocol):
    """The limiter as it stands; requests, seconds."""

    @property
    def used(self) -> int:
        """Requests of ours in the last window."""
        ...

    @property
    def spendable(self) -> int:
        """Requests that a window has for us."""
        ...

    @property
    def others(self) -> int:
        """Requests that somebody else makes with the same key."""
        ...

    @property
    def waiting(self) -> Mapping[str, int]:
        """Callers that wait, by lane."""
        ...

    @property
    def paused_seconds(self) -> float:
        """How long nothing is sent."""
        ...


class LimiterLook(Protocol):
    """Something that knows the limiter."""

    def view(self) -> LimiterReading:
        """As it stands. Raises CacheError."""
        ...


class CircuitLook(Protocol):
    """Something that knows the circuits."""

    def states(self, groups: list[str]) -> Mapping[str, str]:
        """By endpoint group. Raises CacheError."""
        ...


class CallTotalsStore(Protocol):
    """The rows of requests that were sent."""

    def call_totals(self, *, since: datetime) -> CallTotals:
        """Counted since then, UTC."""
        ...
