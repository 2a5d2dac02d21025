"""What stands between a request and Cal.com: the limiter that grants it, and the breaker that refuses it."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from calcom_pipeline.app.calls import Lane

TOO_MANY = 429
# A grant that could not be used at once (a stopped process, a machine that slept) is void: its moment has passed.
GRANT_SECONDS = 1.0

#: What came of a request, for the breaker.
Verdict = Literal["ok", "failed", "unclear"]


@dataclass(frozen=True, slots=True)
class NamedLimit:
    """What an answer told of a limit: requests per window, requests left, whole seconds until window or block ends."""

    limit: int
    left: int
    reset_seconds: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A request that may be sent now. `local` ones were given without Redis."""

    id: str
    waited_seconds: float
    local: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """A request that the breaker let through; its outcome is reported with it."""

    group: str
    id: str
    epoch: int


class Errand(Protocol):
    """A question or a word to the breaker that the limiter takes along: both keep their state on one server.

    `answer` is None until it has run.
    """

    answer: Any

    def run(self) -> None:
        """Run it alone."""
        ...


class Limiter(Protocol):
    """Grants a request when it may be sent now."""

    def acquire(self, lane: Lane, *, deadline_seconds: float | None = None, errand: Errand | None = None) -> Grant:
        """Block until the request may be sent. Raises RateLimited past the deadline."""
        ...

    def complete(
        self, grant: Grant, *, status: int | None, named_limit: NamedLimit | None, errand: Errand | None = None
    ) -> None:
        """The request is over; `status` is None when no answer came. Learns from what the answer told of its limit."""
        ...

    def give_back(self, grant: Grant) -> None:
        """The request was never sent."""
        ...

    def seconds_until_available(self, lane: Lane = "interactive") -> float:
        """About how long a request of this lane would wait now."""
        ...


class Breaker(Protocol):
    """Refuses what is bound to fail."""

    def looking(self, group: str) -> Errand | None:
        """The errand to look before anything is waited for; None where it has been looked. Raises CircuitOpen."""
        ...

    def enter(self, group: str, *, longest_seconds: float, looked: Errand | None = None) -> Passage | None:
        """Let one request through; `looked` is the errand of the look, run since or not. Raises CircuitOpen."""
        ...

    def reporting(self, passage: Passage | None, outcome: Verdict) -> Errand | None:
        """The errand to report what came of it."""
        ...
