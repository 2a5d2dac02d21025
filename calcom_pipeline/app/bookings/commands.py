"""Make, move and cancel bookings for application code, and let the cached days that this concerns go at once.

The booking is what counts: once Cal.com has it, trouble with the outbox or the cache is reported in the result, never
raised. What the outbox has taken is cleared by its own job; what it has not is seen by the next read of bookings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from calcom_pipeline.app.availability.invalidate import clear, resolve
from calcom_pipeline.app.availability.ports import CacheClearer, ChangeOutbox
from calcom_pipeline.app.bookings.in_doubt import book
from calcom_pipeline.app.bookings.ports import BookingWrites, KeyLocks, OutcomeStore
from calcom_pipeline.domain.bookings.listing import Footprint, facts_of, footprint
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.requests import BookingRequest
from calcom_pipeline.domain.errors import CacheError, StoreError


@dataclass(frozen=True, slots=True)
class Appointment:
    """What came of it: the booking as it is now, how many cached days went, and why any may still stand.

    `cleared_by_others`: the outbox job was faster, so that days which it cleared are gone and not among those counted.
    `adopted` and `ignored` are those of `Booked`. `hold_problem`: why a hold on the start may still stand.
    """

    booking: Booking
    adopted: bool = False
    cached_days_cleared: int = 0
    cleared_by_others: bool = False
    cache_problem: str = ""
    ignored: tuple[str, ...] = ()
    hold_problem: str = ""


class Appointments:
    """Bookings for application code. `horizon` is how far ahead slots are cached."""

    def __init__(
        self,
        calcom: BookingWrites,
        outcomes: OutcomeStore,
        locks: KeyLocks,
        outbox: ChangeOutbox,
        cache: CacheClearer,
        *,
        now: Callable[[], datetime],
        horizon: timedelta,
    ) -> None:
        self._calcom = calcom
        self._outcomes = outcomes
        self._locks = locks
        self._outbox = outbox
        self._cache = cache
        self._now = now
        self._horizon = horizon

    def book(self, request: BookingRequest) -> Appointment:
        """Book, exactly once.

        Raises:
            Conflict: the time is taken.
            OutcomeUnknown: nobody knows; it is written down, and the next sync finds out. Or another call with the
                same key has not ended yet.
        """
        booked = book(self._calcom, self._outcomes, self._locks, request, now=self._now())
        changes = [(None, footprint(one)) for one in booked.series or (booked.booking,)]
        return replace(
            self._with_cache_cleared(booked.booking, changes, adopted=booked.adopted), ignored=booked.ignored
        )

    def cancel(self, uid: str, *, reason: str = "", seat_uid: str | None = None) -> Appointment:
        """Cancel a booking, or one seat of it."""
        cancelled = self._calcom.cancel_booking(uid, reason=reason, seat_uid=seat_uid)
        after = footprint(cancelled)
        return self._with_cache_cleared(cancelled, [(_as_it_stood(after), after)])

    def reschedule(self, uid: str, start: datetime, *, reason: str = "") -> Appointment:
        """Move a booking to another start (UTC); the result is the new one, with another uid."""
        before = footprint(self._calcom.get_booking(uid))
        moved = self._calcom.reschedule_booking(uid, start, reason=reason)
        changes = [(before, replace(before, status="cancelled")), (None, footprint(moved.booking))]
        return self._with_cache_cleared(moved.booking, changes, adopted=moved.adopted)

    def confirm(self, uid: str) -> Appointment:
        """Accept a pending booking."""
        confirmed = self._calcom.confirm_booking(uid)
        return self._with_cache_cleared(confirmed, [(None, footprint(confirmed))])

    def decline(self, uid: str, *, reason: str = "") -> Appointment:
        """Reject a pending booking."""
        declined = self._calcom.decline_booking(uid, reason=reason)
        after = footprint(declined)
        return self._with_cache_cleared(declined, [(_as_it_stood(after), after)])

    def _with_cache_cleared(
        self, booking: Booking, changes: Sequence[tuple[Footprint | None, Footprint | None]], *, adopted: bool = False
    ) -> Appointment:
        facts = facts_of(changes, now=self._now(), horizon=self._horizon)
        if not facts:
            return Appointment(booking, adopted)
        try:
            # Its own facts alone: a backlog of others' is the outbox job's business.
            report = clear(self._outbox, self._cache, resolve(self._outbox, self._outbox.add(facts)))
        except (StoreError, CacheError) as error:
            return Appointment(booking, adopted, cache_problem=str(error))
        return Appointment(booking, adopted, report.keys, cleared_by_others=report.closed_by_others > 0)


def _as_it_stood(after: Footprint) -> Footprint:
    """The same while it still took its time."""
    return replace(after, status="accepted")
