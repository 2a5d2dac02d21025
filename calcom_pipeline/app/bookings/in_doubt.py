"""Book so that no doubt is lost, and close doubts: the next sync looks for what a lost answer would have told.

A create that must not be repeated (seats, round robin, a series) ends as `OutcomeUnknown`. It is written down under its
key, without anybody's address, and looked for until it is found, or until it is too late for it to appear.

A caller's own key may come twice at the same moment, in two processes. Both would look, find nothing, and create; so
creates of one key go one after the other, and the second finds what the first has made. As long as the first may still
appear, and another one could make a second booking, the second only looks. So that this holds for a process that is
killed in the middle, too, the doubt is written down before the create is sent.
"""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from calcom_pipeline.app.bookings.ports import Booked, BookingWrites, KeyLocks, OutcomeStore
from calcom_pipeline.domain.bookings.in_doubt import OpenOutcome
from calcom_pipeline.domain.bookings.requests import BookingRequest
from calcom_pipeline.domain.errors import CalcomError, OutcomeUnknown, StoreError

# Cal.com gave up on such a request long before: the slowest create seen took 20 s, our own time-out is 60 s.
_TOO_LATE_TO_APPEAR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class OutcomesReport:
    """What one pass came to; `failures` holds a sentence per key that could not be looked for."""

    made: int = 0
    never_made: int = 0
    still_open: int = 0
    failures: tuple[str, ...] = ()


def book(
    calcom: BookingWrites, outcomes: OutcomeStore, locks: KeyLocks, request: BookingRequest, *, now: datetime
) -> Booked:
    """Book, exactly once; a doubt that is left is written down before it is raised.

    Raises:
        OutcomeUnknown: nobody knows; `close_outcomes` will find out. Or another call with this key did not end in time.
        CalcomError: it was not made.
    """
    if not request.may_come_twice:
        return _book(calcom, outcomes, request, now=now)
    with locks.holding(request.key) as alone:
        if not alone:
            raise OutcomeUnknown("Booking: another call with the same key is still under way", key=request.key)
        if _may_still_appear(outcomes, request.key, now) and not calcom.may_be_repeated(request.event_type_id):
            found = _found(calcom, request)
            with suppress(StoreError):  # then the next sync finds it, too
                outcomes.close(request.key, at=now, booking_uid=found.booking.uid)
            return found
        with _written_down(outcomes, request, now):
            return _book(calcom, outcomes, request, now=now)


@contextmanager
def _written_down(outcomes: OutcomeStore, request: BookingRequest, now: datetime) -> Generator[None]:
    """The doubt stands while the block runs, and stays if nobody knows its end; none without PostgreSQL."""
    with suppress(StoreError):
        outcomes.open(OpenOutcome(request.key, request.event_type_id, request.start, opened_at=now))
    try:
        yield
    except OutcomeUnknown:
        raise
    except CalcomError:
        _forget(outcomes, request.key)
        raise
    _forget(outcomes, request.key)


def _forget(outcomes: OutcomeStore, key: str) -> None:
    with suppress(StoreError):  # then the next sync finds out what is known here
        outcomes.forget(key)


def _may_still_appear(outcomes: OutcomeStore, key: str, now: datetime) -> bool:
    """Whether an earlier create of this key ended in a doubt that is not old enough to be past."""
    try:
        opened_at = outcomes.opened_at(key)
    except StoreError:  # then no doubt could be written down either
        return False
    return opened_at is not None and now - opened_at < _TOO_LATE_TO_APPEAR


def _found(calcom: BookingWrites, request: BookingRequest) -> Booked:
    found = calcom.find_booking(request.key, event_type_id=request.event_type_id, start=request.start)
    if found is None:
        raise OutcomeUnknown("Booking: nobody can say yet what became of an earlier call", key=request.key)
    return Booked(found, (found,), adopted=True)


def _book(calcom: BookingWrites, outcomes: OutcomeStore, request: BookingRequest, *, now: datetime) -> Booked:
    try:
        return calcom.create_booking(request)
    except OutcomeUnknown as unknown:
        try:
            outcomes.open(OpenOutcome(unknown.key, request.event_type_id, request.start, opened_at=now))
        except StoreError as error:
            # What the caller has to know is the doubt, not what else went wrong.
            message = f"{unknown}, and it could not be written down for the next sync ({error})"
            raise OutcomeUnknown(message, key=unknown.key, exchange=unknown.exchange) from error
        raise


def close_outcomes(calcom: BookingWrites, outcomes: OutcomeStore, *, now: datetime) -> OutcomesReport:
    """Look for every open outcome once; one that cannot be looked for stays open and does not stop the others."""
    made = never_made = still_open = 0
    failures: list[str] = []
    for outcome in outcomes.still_open():
        try:
            found = calcom.find_booking(outcome.key, event_type_id=outcome.event_type_id, start=outcome.start)
        except CalcomError as error:
            failures.append(str(error))
            continue
        if found is not None:
            outcomes.close(outcome.key, at=now, booking_uid=found.uid)
            made += 1
        elif now - outcome.opened_at >= _TOO_LATE_TO_APPEAR:
            outcomes.close(outcome.key, at=now, booking_uid=None)
            never_made += 1
        else:
            outcomes.looked(outcome.key, at=now)
            still_open += 1
    return OutcomesReport(made, never_made, still_open, tuple(failures))
