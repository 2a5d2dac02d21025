"""What the HTTP API asks of the service behind it, a port for each part. `CalcomService` answers them.

A part whose port the service does not answer is not offered. All methods are synchronous and thread-safe; instants are
aware and in UTC, days are local to the event type's schedule.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, time
from typing import Any, Protocol, runtime_checkable

from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.app.reports.models import AccountReport
from calcom_pipeline.domain.availability.models import Slot
from calcom_pipeline.domain.bookings.models import Booking


@runtime_checkable
class TellsAll(Protocol):
    """Part `report`: everything about the account, of what is stored here."""

    def report(self) -> AccountReport:
        """As of now. Raises StoreError."""
        ...


class Aged(Protocol):
    """An answer that tells its age: `as_of` is when the oldest part was read, `stale` that it is older than it may."""

    @property
    def as_of(self) -> datetime | None:
        """When it was read; None where nothing was."""
        ...

    @property
    def stale(self) -> bool:
        """Cal.com could not be asked, so that older knowledge had to do."""
        ...


class FreeSlots(Aged, Protocol):
    """Free starts of some days."""

    @property
    def slots(self) -> Sequence[Slot]:
        """Those that may be booked, in order."""
        ...

    @property
    def unread(self) -> Sequence[date]:
        """Days of which nothing is known."""
        ...


class FreeStart(Protocol):
    """One start that may be booked."""

    @property
    def event_type_id(self) -> int:
        """Whose it is."""
        ...

    @property
    def start(self) -> datetime:
        """When."""
        ...

    @property
    def seats_remaining(self) -> int | None:
        """Seats left; None where there are none to count."""
        ...


class NearestStarts(Aged, Protocol):
    """The starts nearest to a wanted one."""

    @property
    def starts(self) -> Sequence[FreeStart]:
        """Nearest first."""
        ...


class FirstStart(Aged, Protocol):
    """The first free start, if there is any."""

    @property
    def start(self) -> FreeStart | None:
        """The start."""
        ...


class CountedDay(Protocol):
    """How many starts a day has left."""

    @property
    def day(self) -> date:
        """The local day."""
        ...

    @property
    def free(self) -> int:
        """How many."""
        ...


class CountedMonth(Aged, Protocol):
    """The days of a month."""

    @property
    def days(self) -> Sequence[CountedDay]:
        """In order."""
        ...


class HeldStart(Protocol):
    """A start that is kept for somebody until `until`."""

    @property
    def uid(self) -> str:
        """Names the hold."""
        ...

    @property
    def event_type_id(self) -> int:
        """Whose start it is."""
        ...

    @property
    def start(self) -> datetime:
        """When the appointment would begin."""
        ...

    @property
    def end(self) -> datetime:
        """When it would end."""
        ...

    @property
    def until(self) -> datetime:
        """When the hold ends by itself."""
        ...


class MadeBooking(Protocol):
    """What came of booking, moving or cancelling."""

    @property
    def booking(self) -> Booking:
        """The booking as it is now."""
        ...

    @property
    def adopted(self) -> bool:
        """It had been made by an earlier call."""
        ...


@runtime_checkable
class ReadsTimes(Protocol):
    """Part `slots`."""

    def availability(
        self, event_type_id: int, *, first_day: date, last_day: date, duration_minutes: int | None = None
    ) -> FreeSlots:
        """Free starts of whole local days."""
        ...


class LooksAtWarmTimes(Protocol):
    """Looks at what is warm, from one event loop."""

    async def availability(self, questions: Sequence[Wanted]) -> Sequence[FreeSlots | None]:
        """Answers whose every day is cached and fresh, in one look for all; None for the others. Raises CacheError."""
        ...


@runtime_checkable
class TellsWarmTimes(Protocol):
    """What part `slots` asks first, if the service answers it."""

    def warm_times(self) -> AbstractAsyncContextManager[LooksAtWarmTimes]:
        """For the running event loop, as long as the block."""
        ...


class TakesRequests(Protocol):
    """Counts the requests of callers for all processes."""

    async def take(self, caller: str, wanted: int, *, per_minute: float) -> tuple[int, float]:
        """So many of the wanted requests, and seconds until there is one if there is none. Raises CacheError."""
        ...


@runtime_checkable
class CountsRequests(Protocol):
    """What counts callers' requests, if the service answers it; else each process counts for itself."""

    def request_budget(self) -> AbstractAsyncContextManager[TakesRequests]:
        """For the running event loop, as long as the block."""
        ...


@runtime_checkable
class FindsTimes(Protocol):
    """Part `finding`."""

    def alternatives(
        self,
        event_type_ids: int | Sequence[int],
        *,
        around: datetime,
        count: int = 5,
        duration_minutes: int | None = None,
        weekdays: frozenset[int] | None = None,
        earliest: time | None = None,
        latest: time | None = None,
        within_days: int = 14,
    ) -> NearestStarts:
        """The starts nearest to `around`. Weekday 0 is Monday; times of day are local to the schedule."""
        ...

    def first_free(
        self,
        event_type_ids: int | Sequence[int],
        *,
        after: datetime | None = None,
        duration_minutes: int | None = None,
        within_days: int | None = None,
    ) -> FirstStart:
        """The first start of any of them."""
        ...

    def month(self, event_type_id: int, *, year: int, month: int, duration_minutes: int | None = None) -> CountedMonth:
        """How many starts each day of a month has."""
        ...


@runtime_checkable
class HoldsStarts(Protocol):
    """Part `holds`."""

    def hold(
        self, event_type_id: int, start: datetime, *, minutes: int | None = None, duration_minutes: int | None = None
    ) -> HeldStart:
        """Keep a start for a while."""
        ...

    def held(self, uid: str) -> HeldStart | None:
        """The hold, if it still stands."""
        ...

    def release(self, uid: str) -> Any:
        """Let it go; one that is gone is no error."""
        ...


@runtime_checkable
class Books(Protocol):
    """Part `bookings`."""

    def book(self, details: Mapping[str, Any], *, key: str | None = None) -> MadeBooking:
        """Book, exactly once."""
        ...

    def get_booking(self, uid: str) -> Booking:
        """One booking."""
        ...

    def cancel(self, uid: str, *, reason: str = "", seat_uid: str | None = None) -> MadeBooking:
        """Cancel a booking, or one seat of it."""
        ...

    def reschedule(
        self, uid: str, start: datetime | str, *, reason: str = "", time_zone: str | None = None
    ) -> MadeBooking:
        """Move a booking."""
        ...


@runtime_checkable
class TellsWaiting(Protocol):
    """What `/metrics` asks of the limiter; no call to Cal.com."""

    def seconds_until_available(self) -> float:
        """About how long a call made now would wait."""
        ...
