"""A service behind the HTTP API that keeps what it was told: for the API's own rules, and for storms of requests."""

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from calcom_pipeline.app.availability.lookup import Availability
from calcom_pipeline.app.bookings.commands import Appointment
from calcom_pipeline.domain.availability.models import Slot
from calcom_pipeline.domain.bookings.models import Attendee, Booking
from calcom_pipeline.domain.bookings.requests import BookingRules, booking_request, booking_uid
from calcom_pipeline.domain.errors import Conflict, NotFound, Rejected

EVENT_TYPES = (1, 2)
LENGTH = timedelta(minutes=30)
OPENS, CLOSES = 9, 17


@dataclass(frozen=True)
class Start:
    event_type_id: int
    start: datetime
    seats_remaining: int | None = None


@dataclass(frozen=True)
class Starts:
    starts: tuple[Start, ...]
    as_of: datetime | None
    stale: bool = False


@dataclass(frozen=True)
class First:
    start: Start | None
    as_of: datetime | None
    stale: bool = False


@dataclass(frozen=True)
class Count:
    day: date
    free: int


@dataclass(frozen=True)
class Month:
    days: tuple[Count, ...]
    as_of: datetime | None
    stale: bool = False


@dataclass(frozen=True)
class Held:
    uid: str
    event_type_id: int
    start: datetime
    end: datetime
    until: datetime


@dataclass
class KeptService:
    """Open from 9 to 17 UTC every day; what is booked or held is not free.

    `failing` is raised by whatever is asked; `waiting`, if given, is waited for first."""

    now: datetime
    as_of: datetime | None = None
    stale: bool = False
    failing: Exception | None = None
    waiting: threading.Event | None = None
    bookings: dict[str, Booking] = field(default_factory=dict)
    keys: dict[tuple[str, int, datetime], str] = field(default_factory=dict)
    holds: dict[str, Held] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    # --- free times --------------------------------------------------------------------------------------

    def availability(
        self, event_type_id: int, *, first_day: date, last_day: date, duration_minutes: int | None = None
    ) -> Availability:
        self._enter("availability", event_type_id)
        days = [first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1)]
        slots = tuple(Slot(start) for day in days for start in self._free(event_type_id, day))
        return Availability(slots, self.as_of or self.now, self.stale)

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
    ) -> Starts:
        found = self._all("alternatives", event_type_ids, around.date() - timedelta(days=within_days), within_days * 2)
        fit = [
            start
            for start in found
            if (weekdays is None or start.start.weekday() in weekdays)
            and (earliest is None or start.start.time() >= earliest)
            and (latest is None or start.start.time() <= latest)
        ]
        nearest = sorted(fit, key=lambda start: (start.start.date() != around.date(), abs(start.start - around)))
        return Starts(tuple(nearest[:count]), self.as_of or self.now, self.stale)

    def first_free(
        self,
        event_type_ids: int | Sequence[int],
        *,
        after: datetime | None = None,
        duration_minutes: int | None = None,
        within_days: int | None = None,
    ) -> First:
        since = after or self.now
        found = self._all("first_free", event_type_ids, since.date(), within_days or 3)
        later = sorted((start for start in found if start.start >= since), key=lambda start: start.start)
        return First(later[0] if later else None, self.as_of or self.now, self.stale)

    def month(self, event_type_id: int, *, year: int, month: int, duration_minutes: int | None = None) -> Month:
        self._enter("month", event_type_id)
        first = date(year, month, 1)
        days = [first + timedelta(days=n) for n in range(31) if (first + timedelta(days=n)).month == month]
        counted = tuple(Count(day, len(self._free(event_type_id, day))) for day in days)
        return Month(counted, self.as_of or self.now, self.stale)

    # --- holds -------------------------------------------------------------------------------------------

    def hold(
        self, event_type_id: int, start: datetime, *, minutes: int | None = None, duration_minutes: int | None = None
    ) -> Held:
        self._enter("hold", event_type_id)
        with self.lock:
            self._require_free(event_type_id, start)
            length = timedelta(minutes=duration_minutes or 30)
            until = self.now + timedelta(minutes=minutes or 5)
            made = Held(uuid.uuid4().hex, event_type_id, start, start + length, until)
            self.holds[made.uid] = made
        return made

    def held(self, uid: str) -> Held | None:
        self._enter("held")
        return self.holds.get(uid)

    def release(self, uid: str) -> None:
        self._enter("release")
        self.holds.pop(uid, None)

    # --- bookings ----------------------------------------------------------------------------------------

    def book(self, details: Mapping[str, Any], *, key: str | None = None) -> Appointment:
        request = booking_request(details, BookingRules(now=self.now), key=key)
        self._enter("book", request.event_type_id)
        with self.lock:
            named = (request.key, request.event_type_id, request.start)
            if known := self.keys.get(named):
                return Appointment(self.bookings[known], adopted=True)
            self._require_free(request.event_type_id, request.start)
            who = Attendee(request.attendee.email, request.attendee.name, request.attendee.time_zone)
            made = self._kept(request.event_type_id, request.start, who)
            self.keys[named] = made.uid
        return Appointment(made)

    def get_booking(self, uid: str) -> Booking:
        self._enter("get_booking")
        try:
            return self.bookings[booking_uid(uid)]
        except KeyError:
            raise NotFound("Reading a booking: Cal.com answered 404") from None

    def cancel(self, uid: str, *, reason: str = "", seat_uid: str | None = None) -> Appointment:
        found = self.get_booking(uid)
        if found.status == "cancelled":
            raise Rejected("Cancelling a booking: Cal.com answered 400")
        self.bookings[uid] = replace(found, status="cancelled")
        return Appointment(self.bookings[uid])

    def reschedule(
        self, uid: str, start: datetime | str, *, reason: str = "", time_zone: str | None = None
    ) -> Appointment:
        found = self.get_booking(uid)
        assert isinstance(start, datetime)
        with self.lock:
            self._require_free(found.event_type_id or 0, start)
            made = self._kept(found.event_type_id or 0, start, found.attendees[0])
            self.bookings[uid] = replace(found, status="cancelled", rescheduled_to_uid=made.uid)
        return Appointment(made)

    def seconds_until_available(self) -> float:
        return 1.5

    # --- inside ------------------------------------------------------------------------------------------

    def _enter(self, what: str, event_type_id: int | None = None) -> None:
        self.asked.append(what)
        if self.waiting is not None:
            assert self.waiting.wait(30)
        if self.failing is not None:
            raise self.failing
        if event_type_id is not None and event_type_id not in EVENT_TYPES:
            raise NotFound(f"Event type {event_type_id} is not mirrored, or cannot be booked")

    def _all(self, what: str, ids: int | Sequence[int], first: date, days: int) -> list[Start]:
        wanted = [ids] if isinstance(ids, int) else list(ids)
        for one in wanted:
            self._enter(what, one)
        span = [first + timedelta(days=n) for n in range(min(days, 60))]
        return [Start(one, start) for one in wanted for day in span for start in self._free(one, day)]

    def _free(self, event_type_id: int, day: date) -> list[datetime]:
        opens = datetime(day.year, day.month, day.day, OPENS, tzinfo=UTC)
        starts = [opens + LENGTH * n for n in range((CLOSES - OPENS) * 2)]
        return [start for start in starts if start >= self.now and start not in self._taken(event_type_id)]

    def _taken(self, event_type_id: int) -> set[datetime]:
        booked = {
            b.start for b in self.bookings.values() if b.event_type_id == event_type_id and b.status == "accepted"
        }
        return booked | {held.start for held in self.holds.values() if held.event_type_id == event_type_id}

    def _require_free(self, event_type_id: int, start: datetime) -> None:
        if start not in self._free(event_type_id, start.date()):
            raise Conflict("Making a booking: Cal.com answered 409 (the time is taken)")

    def _kept(self, event_type_id: int, start: datetime, who: Attendee) -> Booking:
        number = len(self.bookings) + 1
        made = Booking(
            uid=uuid.uuid4().hex,
            id=number,
            status="accepted",
            start=start,
            end=start + LENGTH,
            created_at=self.now,
            updated_at=self.now,
            title=f"Talk with {who.name}",
            event_type_id=event_type_id,
            attendees=(who,),
        )
        self.bookings[made.uid] = made
        return made
