"""Private bookings: those of other members of a team are busy times and nothing else."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from calcom_pipeline.adapters.calcom.bookings.rows import replayed
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.bookings.privacy import Classifier
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.app.bookings.deletions import reread_known_now
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.bookings.positions import Scope
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from tests.support.booking_rows import NOW, host, page, row, stamp
from tests.support.tables import fetch

CAROL = "carol@example.org"
SECOND = timedelta(seconds=1)


def event_type(number: int, owner: Owner, **changes: Any) -> EventType:
    plain = EventType(number, owner, f"type-{number}", "T", 30, schedule_zone="UTC", content_hash=str(number))
    return dataclasses.replace(plain, **changes)


ME, TEAM = Owner("user", 101), Owner("team", 301)
BOBS = {"hosts": [host(102, "bob")], "eventType": {"id": 99, "slug": "yoga"}}


class TestPrivateBookings:
    @staticmethod
    def mirror(database: Database) -> PostgresBookingMirror:
        return PostgresBookingMirror(database, classifier=Classifier(database, replayed))

    @staticmethod
    def know_event_types(database: Database, *teams: EventType) -> None:
        mirror = PostgresEventTypeMirror(database)
        mirror.replace(ME, Listed((event_type(7, ME),)), read_at=NOW)
        mirror.replace(TEAM, Listed(tuple(teams)), read_at=NOW + timedelta(seconds=len(teams)))

    def test_a_team_members_private_booking_is_a_busy_time_and_nothing_else(self, database: Database):
        mirror = self.mirror(database)
        mirror.looked(MINE, Scope((301,)), roles_seen_at=None, needs_full=None)
        self.know_event_types(database)
        mirror.store(page(row("mine"), {**row("bobs"), **BOBS}), listing=MINE)
        shown = fetch(database, "SELECT uid, is_private, title FROM bookings ORDER BY uid")
        assert shown == [("bobs", True, ""), ("mine", False, row()["title"])]
        assert fetch(database, "SELECT booking_uid FROM booking_attendees") == [("mine",)]
        assert fetch(database, "SELECT user_id, name, email FROM booking_hosts WHERE booking_uid = 'bobs'") == [
            (102, None, None)
        ]

    def test_nothing_is_taken_for_private_before_every_owners_types_are_known(self, database: Database):
        mirror = self.mirror(database)
        mirror.looked(MINE, Scope((301, 302)), roles_seen_at=None, needs_full=None)
        self.know_event_types(database)
        mirror.store(page({**row("bobs"), **BOBS}), listing=MINE)
        assert fetch(database, "SELECT is_private FROM bookings") == [(False,)]

    def test_it_is_reduced_as_soon_as_they_are(self, database: Database):
        mirror = self.mirror(database)
        mirror.looked(MINE, Scope((301,)), roles_seen_at=None, needs_full=None)
        mirror.store(page(row("mine"), {**row("bobs"), **BOBS}), listing=MINE)
        self.know_event_types(database)
        assert mirror.reclassify() == []
        assert fetch(database, "SELECT uid FROM bookings WHERE is_private") == [("bobs",)]
        assert fetch(database, "SELECT booking_uid FROM booking_attendees") == [("mine",)]
        later = page(row("mine"), {**row("bobs"), **BOBS}, at=NOW + SECOND)
        assert self.mirror(database).store(later, listing=MINE).changes == Changes(unchanged=2)

    def test_one_that_turns_out_to_be_ours_is_read_again(self, database: Database):
        mirror = self.mirror(database)
        mirror.looked(MINE, Scope((301,)), roles_seen_at=None, needs_full=None)
        self.know_event_types(database)
        bobs = {**row("bobs"), **BOBS}
        mirror.store(page(bobs), listing=MINE)
        self.know_event_types(database, event_type(99, TEAM))

        class Calcom:
            def booking(self, uid: str) -> Any:
                return page(bobs).bookings[0] if uid == "bobs" else None

        fresh = self.mirror(database)
        assert reread_known_now(Calcom(), fresh, lambda: NOW + SECOND) == 1  # type: ignore[arg-type]
        assert fetch(database, "SELECT is_private, title FROM bookings") == [(False, row()["title"])]
        assert fresh.reclassify() == []

    @pytest.mark.parametrize("gone", ["deleted_at", "out_of_scope_at"])
    def test_one_that_is_gone_is_not_asked_for(self, database: Database, gone: str):
        mirror = self.mirror(database)
        mirror.looked(MINE, Scope((301,)), roles_seen_at=None, needs_full=None)
        self.know_event_types(database)
        mirror.store(page({**row("bobs"), **BOBS}), listing=MINE)
        self.know_event_types(database, event_type(99, TEAM))
        assert mirror.reclassify() == ["bobs"]
        fetch(database, f"UPDATE bookings SET {gone} = now() RETURNING uid")
        assert mirror.reclassify() == []

    def test_one_whose_event_type_is_deleted_stays_what_it_was(self, database: Database):
        mirror = self.mirror(database)
        mirror.looked(MINE, Scope((301,)), roles_seen_at=None, needs_full=None)
        self.know_event_types(database, event_type(99, TEAM))
        mirror.store(page({**row("bobs"), **BOBS}), listing=MINE)
        gone = {**row("bobs"), **BOBS, "eventType": None, "eventTypeId": None, "updatedAt": stamp(NOW + SECOND)}
        mirror.store(page(gone, at=NOW + SECOND), listing=MINE)
        assert fetch(database, "SELECT is_private, title FROM bookings") == [(False, row()["title"])]
        again = mirror.store(page(gone, at=NOW + 2 * SECOND), listing=MINE)
        assert again.changes == Changes(unchanged=1)

    def test_one_that_was_never_known_with_its_event_type_stays_a_busy_time(self, database: Database):
        mirror = self.mirror(database)
        mirror.looked(MINE, Scope((301,)), roles_seen_at=None, needs_full=None)
        self.know_event_types(database)
        gone = {**row("bobs"), **BOBS, "eventType": None, "eventTypeId": None}
        mirror.store(page(gone), listing=MINE)
        assert mirror.store(page(gone, at=NOW + SECOND), listing=MINE).changes == Changes(unchanged=1)
        assert fetch(database, "SELECT is_private, title FROM bookings") == [(True, "")]
