"""What people and checks ask about mirrored bookings: double bookings, and how many by month."""

import dataclasses
from datetime import date, timedelta
from typing import Any

import pytest

from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.bookings.overview import MonthCount, PostgresBookingOverview
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from tests.support.booking_rows import NOW, attendee, host, page, row

ME = Owner("user", 101)
PLAIN = EventType(7, ME, "repair", "Repair", 30, schedule_zone="UTC", content_hash="7")
SEATED = dataclasses.replace(PLAIN, id=8, slug="class", seats_per_slot=6, content_hash="8")
COLLECTIVE = dataclasses.replace(PLAIN, id=9, slug="panel", scheduling_type="collective", content_hash="9")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def mirror(database: Database) -> PostgresBookingMirror:
    PostgresEventTypeMirror(database).replace(ME, Listed((PLAIN, SEATED, COLLECTIVE)), read_at=NOW)
    return PostgresBookingMirror(database)


def of_type(event_type: EventType) -> dict[str, Any]:
    return {"eventTypeId": event_type.id, "eventType": {"id": event_type.id, "slug": event_type.slug}}


#: Beside a plain booking of Alice from 8:00 to 8:30: does this one overlap as it must not?
BESIDE: dict[str, tuple[dict[str, Any], bool]] = {
    "the same time": (row("b"), True),
    "begins within": (row("b", start=NOW + 29 * MINUTE), True),
    "begins as the other ends": (row("b", start=NOW + 30 * MINUTE), False),
    "ends as the other begins": (row("b", start=NOW - 30 * MINUTE), False),
    "lasts longer on both sides": (row("b", start=NOW - 10 * MINUTE, minutes=90), True),
    "has no length": (row("b", start=NOW + MINUTE, minutes=0), False),
    "is another host's": (row("b", hosts=[host(102, "bob")]), False),
    "has a host whom nobody knows": (row("b", hosts=[dict.fromkeys(("id", "name"), "unknown")]), False),
    "is cancelled": (row("b", status="cancelled"), False),
    "waits for confirmation": (row("b", status="pending"), False),
    "is of a type with seats": (row("b", **of_type(SEATED)), False),
    "is of a collective type": (row("b", **of_type(COLLECTIVE)), False),
    "has seats though its type is gone": (
        row("b", eventType=None, eventTypeId=None, attendees=[attendee("Dan", seatUid="s")]),
        False,
    ),
    "has no type any more": (row("b", eventType=None, eventTypeId=None), True),
}


@pytest.mark.parametrize(("other", "overlaps"), BESIDE.values(), ids=BESIDE)
def test_two_accepted_bookings_of_a_host_that_overlap_are_found(
    database: Database, mirror: PostgresBookingMirror, other: dict[str, Any], overlaps: bool
):
    mirror.store(page(row("a"), other), listing=MINE)
    found = PostgresBookingOverview(database).overlaps(since=NOW - timedelta(days=1), limit=10)
    assert bool(found) is overlaps


def test_every_booking_within_a_long_one_is_named_with_the_time_its_host_is_busy_until(database: Database, mirror):
    long = row("long", start=NOW, minutes=180)
    short = [row(f"short{n}", start=NOW + n * 50 * MINUTE, minutes=20) for n in (1, 2)]
    mirror.store(page(long, *short), listing=MINE)
    overview = PostgresBookingOverview(database)
    found = [(o.uid, o.user_id, o.busy_until) for o in overview.overlaps(since=NOW, limit=10)]
    assert found == [(f"short{n}", 101, NOW + 180 * MINUTE) for n in (1, 2)]
    assert len(overview.overlaps(since=NOW, limit=1)) == 1
    assert overview.overlaps(since=NOW + timedelta(days=1), limit=10) == []


@pytest.mark.parametrize("mark", ["mark_gone", "mark_out_of_scope"])
def test_one_that_is_gone_overlaps_no_more(database: Database, mirror: PostgresBookingMirror, mark: str):
    mirror.store(page(row("a"), row("b")), listing=MINE)
    getattr(mirror, mark)("b", read_at=NOW + MINUTE)
    assert PostgresBookingOverview(database).overlaps(since=NOW - timedelta(days=1), limit=10) == []


def test_bookings_are_counted_by_month_of_their_start_and_status(database: Database, mirror: PostgresBookingMirror):
    new_year = NOW.replace(month=12, day=31, hour=23)
    rows = [row("a"), row("b", status="cancelled"), row("c", start=new_year), row("d", start=new_year + 60 * MINUTE)]
    mirror.store(page(*rows, row("gone")), listing=MINE)
    mirror.mark_gone("gone", read_at=NOW + MINUTE)
    assert PostgresBookingOverview(database).by_month() == [
        MonthCount(date(2026, 12, 1), "accepted", 2),
        MonthCount(date(2026, 12, 1), "cancelled", 1),
        MonthCount(date(2027, 1, 1), "accepted", 1),
    ]
