"""What `status` counts: each number is of its own rows."""

from dataclasses import asdict, replace
from datetime import timedelta

from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.adapters.postgres.reports.overview import PostgresOverview
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import EVENT_TYPES_STREAM, Listed, UnreadableRow
from tests.support.booking_rows import NOW, page, row

ME, TEAM = Owner("user", 101), Owner("team", 7)
REPAIR = EventType(1, ME, "repair", "Repair", 30, schedule_zone="UTC", content_hash="1")


def test_each_count_is_of_its_own_rows(database: Database):
    types = PostgresEventTypeMirror(database)
    mine = [replace(REPAIR, id=n, slug=f"repair-{n}") for n in (1, 2, 3, 4)]
    types.replace(ME, Listed(tuple(mine)), read_at=NOW - timedelta(hours=1))
    types.replace(ME, Listed(tuple(mine[:3])), read_at=NOW)
    theirs = Listed((replace(REPAIR, id=5, owner=TEAM),), (UnreadableRow(EVENT_TYPES_STREAM, b"{}", "no title", "6"),))
    types.replace(TEAM, theirs, read_at=NOW)
    types.mark_gone([4], read_at=NOW)
    PostgresBookingMirror(database).store(page(*(row(f"b{n}", id=n) for n in range(1, 7))), listing=MINE)
    counted = PostgresOverview(database).counts()
    assert asdict(counted) == {
        "event_types": 4, "owners": 2, "bookings": 6, "slot_days": 0, "slots": 0, "quarantined": 1,
    }  # fmt: skip
