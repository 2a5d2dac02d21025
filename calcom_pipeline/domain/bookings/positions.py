"""How far reads of booking lists have come: the values that reading (`app/bookings/`) and the mirror share."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

#: Streams of committed positions, in the table `watermarks`.
CHANGES_STREAM = "bookings"
FULL_STREAM = "bookings_full"
HISTORY_STREAM = "bookings_history"

#: How far clocks that are set by NTP may differ at most, with the time an answer takes. What lies further ahead of now
#: was written by a clock that was wrong.
CLOCK_TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Position:
    """How far one read by creation time or start has come. `started_at` (`BookingPage.read_at`) names the read."""

    stream: str
    partition: str
    reached: datetime
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Covered:
    """Keys that a page shows completely, from `low` to below `high` (None: open), with the uids that are there.

    A mirrored booking of the listing whose key lies inside and whose uid is not among them is no longer shown.
    """

    sort: Literal["createdAt", "start"]
    low: datetime | None
    high: datetime | None
    uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scope:
    """What the key could see at the last look: its teams, and the roles in them (None: not looked up yet)."""

    teams: tuple[int, ...]
    roles: tuple[tuple[int, str], ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """For the database."""
        return {"teams": self.teams, "roles": self.roles}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Scope":
        """What `as_json` wrote."""
        roles = value.get("roles")
        return cls(tuple(value["teams"]), None if roles is None else tuple((team, role) for team, role in roles))

    def difference(self, earlier: "Scope") -> str | None:
        """What changed since an earlier look, as the reason for a full read; None if nothing."""
        if set(self.teams) != set(earlier.teams):
            return "the key's teams changed"
        if self.roles is not None and earlier.roles is not None and dict(self.roles) != dict(earlier.roles):
            return "the key's roles changed"
        return None


@dataclass(frozen=True, slots=True)
class ListingState:
    """What is known of one listing. `needs_full` says why the next read must be a full one."""

    watermark: datetime | None = None
    scope: Scope | None = None
    roles_looked_at: datetime | None = None
    needs_full: str | None = None
    polled_at: datetime | None = None
    full_done_at: datetime | None = None
    filters_changes: bool | None = None
    policy: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class ReadEnd:
    """A read of a listing that has ended. `polled_at` is when it began.

    A full one settles the reason it was made for (`full_because`). `watermark` is where reading changes goes on.
    `needs_full`: what was seen makes a full read necessary.
    """

    polled_at: datetime
    total: int | None = None
    watermark: datetime | None = None
    full: bool = False
    full_because: str | None = None
    filters_changes: bool | None = None
    needs_full: str | None = None


#: What Cal.com takes for a page of 250 bookings (fact sheet 11).
SECONDS_PER_PAGE = 0.6
_MINUTE = 60.0
_CONFIRMATIONS = 2
_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Forecast:
    """What reading so many bookings will cost, at most: rows are counted as if every page repeated one."""

    bookings: int
    calls: int
    minutes: float
    workers: int = 1

    def __str__(self) -> str:
        return f"{self.bookings:,} bookings, at most {self.calls:,} calls and {self.minutes:.1f} minutes"


def forecast(bookings: int, *, page_size: int, calls_per_minute: int, parts: int = 1, workers: int = 1) -> Forecast:
    """A forecast for reading in `parts`, each of which is confirmed."""
    calls = math.ceil(bookings / max(page_size - 1, 1)) + _CONFIRMATIONS * parts
    minutes = max(calls / calls_per_minute, calls * SECONDS_PER_PAGE / workers / _MINUTE)
    return Forecast(bookings, calls, minutes, workers)


def workers_for(calls_per_minute: int, most: int) -> int:
    """How many reads at once the limit can feed."""
    return max(1, min(most, int(calls_per_minute / _MINUTE * SECONDS_PER_PAGE)))


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of creation, UTC: one partition of the history."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Read `2024-01`. Raises ValueError for anything else."""
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
            raise ValueError(f"{text!r} is no month, such as 2024-01")
        return cls(int(text[:4]), int(text[5:]))

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        """The month of an instant."""
        moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    @property
    def next(self) -> "Month":
        """The month after."""
        return Month(self.year + 1, 1) if self.month == _DECEMBER else Month(self.year, self.month + 1)

    @property
    def begin(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    def through(self, last: "Month") -> "list[Month]":
        """This month to `last`, both inclusive."""
        months: list[Month] = []
        month = self
        while month <= last:
            months.append(month)
            month = month.next
        return months
