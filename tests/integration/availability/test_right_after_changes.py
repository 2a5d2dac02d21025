"""Book, read, move, read, cancel, read: the answer is true at every read, although Cal.com repeats itself for 2 s."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.business import container, sandbox, served, service, settings
from tests.support.live_slots import live_starts

__all__ = ["container", "sandbox", "served", "service", "settings"]  # fixtures

#: The sandbox's clock is the real one: a facade that books for real people has no other.
MONDAY = date.today() + timedelta(days=14 - date.today().weekday())  # noqa: DTZ011 - a day, far enough ahead
WEEK = (MONDAY, MONDAY + timedelta(6))
ZONE = "Europe/Berlin"

CONSULT, FLEX, CONFIRM, CLASS, WEEKLY, ROUND_ROBIN, COLLECTIVE = 2, 4, 5, 6, 7, 8, 9
#: Type, and the length where it offers several.
TYPES = [(CONSULT, None), (FLEX, 45), (CLASS, None), (WEEKLY, None), (ROUND_ROBIN, None), (COLLECTIVE, None)]


class Watched:
    """Reads the event types that share hosts, as often as it is told to, and compares each with Cal.com's own truth."""

    def __init__(self, service: CalcomService, sandbox: RunningSandbox, types: list[tuple[int, int | None]]) -> None:
        self.service, self.sandbox, self.types = service, sandbox, types

    def read(self, moment: str) -> None:
        for event_type_id, minutes in self.types:
            found = self.service.availability(
                event_type_id, first_day=WEEK[0], last_day=WEEK[1], duration_minutes=minutes
            )
            truth = live_starts(
                self.sandbox, self.sandbox.keys["alice"], event_type_id, WEEK, zone=ZONE, minutes=minutes
            )
            assert {slot.start for slot in found.slots} == truth, f"type {event_type_id} {moment}"
            assert (found.stale, found.unread) == (False, ())


def booking(event_type_id: int, minutes: int | None, start: datetime) -> dict[str, Any]:
    details = {"eventTypeId": event_type_id, "start": start, "name": "Carol", "email": "carol@example.org"}
    return {**details, "lengthInMinutes": minutes} if minutes else details


@pytest.mark.parametrize(("event_type_id", "minutes"), TYPES)
def test_every_read_between_changes_is_true(
    service: CalcomService, sandbox: RunningSandbox, event_type_id: int, minutes: int | None
):
    watched = Watched(service, sandbox, [(event_type_id, minutes), (CONSULT, None), (COLLECTIVE, None)])
    watched.read("before")
    ten = datetime.combine(MONDAY, datetime.min.time(), UTC) + timedelta(hours=10)
    booked = [service.book(booking(event_type_id, minutes, ten)).booking]
    watched.read("after the booking")
    if event_type_id == CLASS:  # until the last seat is gone; then it is listed and may not be booked
        booked += [service.book({**booking(CLASS, None, ten), "email": f"{n}@example.org"}).booking for n in "ab"]
        watched.read("after the last seat")
        seat = sandbox.control.read_bookings(uids=[booked[0].uid])
        assert seat
        return
    moved = service.reschedule(booked[0].uid, ten + timedelta(days=1, hours=2), reason="later").booking
    watched.read("after moving")
    service.cancel(moved.uid, reason="ill")
    watched.read("after cancelling")


def test_every_read_is_true_when_pending_bookings_are_confirmed_and_declined(
    service: CalcomService, sandbox: RunningSandbox
):
    watched = Watched(service, sandbox, [(CONFIRM, None), (CONSULT, None), (COLLECTIVE, None)])
    ten = datetime.combine(MONDAY, datetime.min.time(), UTC) + timedelta(hours=10)
    watched.read("before")
    first, second = (service.book(booking(CONFIRM, None, start)).booking for start in (ten, ten + timedelta(hours=1)))
    watched.read("while both are pending")
    service.confirm(first.uid)
    watched.read("after confirming")
    service.decline(second.uid, reason="full")
    watched.read("after declining")


def test_a_booking_beyond_the_days_that_are_kept_by_the_pipeline_is_seen_at_once_too(
    service: CalcomService, sandbox: RunningSandbox
):
    far = (MONDAY + timedelta(70), MONDAY + timedelta(70))
    ten = datetime.combine(far[0], datetime.min.time(), UTC) + timedelta(hours=10)
    before = {slot.start for slot in service.availability(CONSULT, first_day=far[0], last_day=far[1]).slots}
    service.book(booking(CONSULT, None, ten))
    after = {slot.start for slot in service.availability(CONSULT, first_day=far[0], last_day=far[1]).slots}
    assert before - after == {ten}
    assert after == live_starts(sandbox, sandbox.keys["alice"], CONSULT, far, zone=ZONE, minutes=None)
