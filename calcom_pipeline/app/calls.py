"""One small Protocol per collaborator. Use cases ask for these; adapters answer them, tests bring stateful fakes.

A port that reaches Cal.com may raise any `CalcomError`; one that reaches PostgreSQL `StoreError`; one that reaches
Redis `CacheError`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from calcom_pipeline.domain.errors import CalcomError
from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.domain.models import Profile, Schedule, Team

#: Who goes first when requests have to wait. Lower lanes keep a tenth each of what is not interactive.
Lane = Literal["interactive", "sync", "warm", "backfill"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What talking to Cal.com has cost so far: calls sent, calls refused with 429, seconds waited for a turn."""

    calls: int = 0
    refused: int = 0
    waited_seconds: float = 0.0

    def since(self, earlier: "Spent") -> "Spent":
        """The difference to an earlier reading."""
        return Spent(
            self.calls - earlier.calls,
            self.refused - earlier.refused,
            round(self.waited_seconds - earlier.waited_seconds, 3),
        )


class CallMeter(Protocol):
    """Counts what was spent on Cal.com by this client."""

    def spent(self) -> Spent:
        """The totals of this client since it was opened."""
        ...


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One request to Cal.com, fit for a log: nothing of its query or its body.

    `outcome` is `started`, `ok`, or the name of the error. `sent` is False for one that was refused on our side.
    """

    started_at: datetime
    operation: str
    endpoint_group: str
    method: str
    lane: Lane
    attempt: int
    outcome: str
    sent: bool
    status: int | None
    request_id: str | None
    waited_seconds: float
    duration_seconds: float


class CallObserver(Protocol):
    """Told of every request. What it raises never reaches the call."""

    def started(self, record: CallRecord) -> None:
        """A request is about to wait for its turn."""
        ...

    def completed(self, record: CallRecord) -> None:
        """A successful answer is here."""
        ...

    def failed(self, record: CallRecord) -> None:
        """No answer, or an unsuccessful one."""
        ...


#: For an error tracker: called with the error and with what a log may know of it, when a call has failed for good.
ErrorHook = Callable[[CalcomError, Mapping[str, object]], None]


class AccountApi(Protocol):
    """Who the key belongs to and what it may see."""

    def me(self) -> Profile:
        """The key's own user."""
        ...

    def teams(self) -> Listed[Team]:
        """The teams that user belongs to."""
        ...

    def schedules(self) -> Listed[Schedule]:
        """The user's own schedules; those of other hosts cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Changes:
    """What a write did to a mirror. `written` counts rows touched; an unchanged row is never touched."""

    added: int = 0
    changed: int = 0
    gone: int = 0
    unchanged: int = 0

    @property
    def written(self) -> int:
        """Rows that were written."""
        return self.added + self.changed + self.gone

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(
            self.added + other.added,
            self.changed + other.changed,
            self.gone + other.gone,
            self.unchanged + other.unchanged,
        )


class Progress(Protocol):
    """Told about steps of a longer job, for a bar on a terminal or a line in a log."""

    def __call__(self, done: int, total: int | None, what: str) -> None:
        """`total` is None while nobody knows it."""
        ...
