"""Instants that a wrong clock has left in PostgreSQL: none of them holds up what comes after it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from calcom_pipeline.adapters.postgres.availability.slots import PostgresSlotMirror
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.bookings.store import MirrorOptions
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.adapters.postgres.reports.overview import PostgresOverview
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceFeed
from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
from calcom_pipeline.app.availability.refresh import SlotOptions, refresh_slots
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.bookings.positions import FULL_STREAM, HISTORY_STREAM, Covered, Position, ReadEnd
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from tests.support.booking_rows import page, row, stamp
from tests.support.tables import fetch

HOUR, SECOND, DAY = timedelta(hours=1), timedelta(seconds=1), timedelta(days=1)
ME = Owner("user", 101)


@pytest.fixture
def now() -> datetime:
    """PostgreSQL's clock is the machine's here."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def mirror(database: Database) -> PostgresBookingMirror:
    return PostgresBookingMirror(database)


def seen(at: datetime, title: str, **changes: Any) -> dict[str, Any]:
    return row("abc", start=at, createdAt=stamp(at - DAY), updatedAt=stamp(at - DAY), title=title, **changes)


class TestBookings:
    def test_a_watermark_is_never_set_ahead_of_the_read_that_sets_it(self, mirror: PostgresBookingMirror, now):
        mirror.store(page(at=now), listing=MINE, watermark=now + 6 * HOUR)
        watermark = mirror.state(MINE).watermark
        assert watermark is not None
        assert watermark <= datetime.now(UTC)

    @pytest.mark.parametrize("full", [True, False], ids=["full", "changes"])
    def test_one_that_stands_ahead_of_now_moves_back(self, mirror: PostgresBookingMirror, now, full: bool):
        ahead = now + 6 * HOUR
        mirror.finish(MINE, ReadEnd(ahead, watermark=ahead))
        assert mirror.state(MINE).watermark == ahead, "by the clock of whoever wrote it"
        mirror.finish(MINE, ReadEnd(now, watermark=now - HOUR, full=full))
        state = mirror.state(MINE)
        assert (state.watermark, state.polled_at) == (now - HOUR, now)

    def test_a_full_read_sets_the_watermark_anew_and_one_of_changes_never_moves_it_back(self, mirror, now):
        mirror.finish(MINE, ReadEnd(now, watermark=now - HOUR))
        mirror.finish(MINE, ReadEnd(now, watermark=now - 2 * HOUR))
        assert mirror.state(MINE).watermark == now - HOUR
        mirror.finish(MINE, ReadEnd(now, watermark=now - 2 * HOUR, full=True))
        assert mirror.state(MINE).watermark == now - 2 * HOUR

    def test_a_row_that_was_read_ahead_of_now_is_read_again(self, database: Database, mirror, now):
        mirror.store(page(seen(now, "by a wrong clock"), at=now + 6 * HOUR), listing=MINE)
        mirror.store(page(seen(now, "now"), at=now), listing=MINE)
        assert fetch(database, "SELECT title FROM bookings") == [("now",)]

    def test_one_that_is_gone_is_missed_and_proven(self, database: Database, mirror, now):
        mirror.store(page(seen(now, "by a wrong clock"), at=now + 6 * HOUR), listing=MINE)
        covered = Covered("createdAt", None, None, frozenset())
        assert mirror.store(page(at=now), listing=MINE, covered=covered).unlisted == 1
        mirror.mark_gone("abc", read_at=now)
        assert fetch(database, "SELECT deleted_at FROM bookings") == [(now,)]

    def test_positions_of_full_reads_that_began_ahead_of_now_are_dropped(self, mirror, now):
        ahead = Position(FULL_STREAM, "mine asked for", now, now + 6 * HOUR)
        mirror.store(page(at=now), listing=MINE, position=ahead)
        mirror.finish(MINE, ReadEnd(now, full=True))
        assert mirror.position(FULL_STREAM, "mine asked for") is None

    def test_a_record_in_quarantine_that_was_seen_ahead_of_now_can_be_settled(self, database: Database, mirror, now):
        mirror.store(page(seen(now, "x", attendees=None), at=now + 6 * HOUR), listing=MINE)
        mirror.store(page(seen(now, "x"), at=now), listing=MINE)
        assert fetch(database, "SELECT resolved_at FROM quarantine") == [(now,)]

    def test_a_date_of_the_far_future_leaves_no_booking_out_and_no_cache_stale(self, database: Database, now):
        """Retention and facts go by our clock."""
        mirror = PostgresBookingMirror(database, options=MirrorOptions(keep_past=timedelta(days=30)))
        wrong = replace(page(seen(now + DAY, "tomorrow"), at=now), answered_at=now + timedelta(days=3000))
        stored = mirror.store(wrong, listing=MINE)
        assert (stored.changes, stored.facts, stored.too_old) == (Changes(added=1), 1, 0)


def event_type(title: str) -> EventType:
    return EventType(
        id=1,
        owner=ME,
        slug="one",
        title=title,
        duration_minutes=30,
        schedule_zone="UTC",
        host_ids=(101,),
        raw={"id": 1},
        content_hash=title,
    )


class TestOthers:
    def test_an_event_type_listing_of_a_wrong_clock_does_not_keep_later_ones_out(self, database: Database, now):
        mirror = PostgresEventTypeMirror(database)
        mirror.replace(ME, Listed((event_type("by a wrong clock"),)), read_at=now + 6 * HOUR)
        mirror.replace(ME, Listed((event_type("now"),)), read_at=now)
        mirror.replace(ME, Listed((event_type("older"),)), read_at=now - 5 * SECOND)
        assert [found.title for found in mirror.present()] == ["now"]
        assert PostgresOverview(database).positions_ahead() == []

    def test_a_day_that_was_fetched_ahead_of_now_is_overwritten(self, database: Database, now):
        mirror, first = PostgresSlotMirror(database), date(2026, 12, 1)
        key = SlotKey(7, 30, "UTC", first)
        mirror.store(Listed((SlotDay(key, (Slot(now),), now + 6 * HOUR),)))
        mirror.store(Listed((SlotDay(key, (), now),)))
        mirror.store(Listed((SlotDay(key, (Slot(now),), now - SECOND),)))
        assert mirror.days(SlotQuery(7, 30, "UTC", first, first)) == [SlotDay(key, (), now)]

    def test_days_that_were_fetched_ahead_of_now_are_not_fresh(self, database: Database, redis_client, now):
        event_types, mirror = PostgresEventTypeMirror(database), PostgresSlotMirror(database)
        cache = RedisSlotCache(redis_client, prefix="clocks:")
        event_types.replace(ME, Listed((event_type("one"),)), read_at=now)

        class Cal:
            """Nothing is free, as told by a clock that may be wrong."""

            clock = now + 6 * HOUR

            def free_days(self, query: SlotQuery) -> Listed[SlotDay]:
                return Listed((SlotDay(SlotKey(1, 30, "UTC", query.first_day), (), self.clock),))

        calcom, options = Cal(), SlotOptions(horizon_days=1, fresh_for=timedelta(minutes=5))

        def refresh() -> int:
            return refresh_slots(calcom, event_types, mirror, cache, now=now, options=options).queries

        assert refresh() == 1
        calcom.clock = now
        assert refresh() == 1, "nobody knows when that was"
        assert refresh() == 0

    @pytest.mark.parametrize("cursor", ["{epoch}/9999999999/0", "{epoch}/x/0", "{epoch}/1/", "nonsense"])
    def test_a_position_in_the_feed_that_is_ahead_of_it_or_none_starts_over(self, database: Database, cursor: str):
        feed = PostgresServiceFeed(database)
        epoch = feed.settled_after(None).cursor.partition("/")[0]
        batch = feed.settled_after(cursor.format(epoch=epoch))
        assert batch.everything
        assert not feed.settled_after(batch.cursor).everything

    def test_positions_ahead_of_now_are_named_with_their_stream(self, database: Database, mirror, now):
        assert PostgresOverview(database).positions_ahead() == []
        ahead, starts_then = now + 6 * HOUR, now + 90 * DAY
        mirror.finish(MINE, ReadEnd(ahead, watermark=ahead))
        for position in (
            Position(FULL_STREAM, "team:1 first read", starts_then, now),  # by start: that may lie ahead
            Position(FULL_STREAM, "mine asked for", now, ahead),
            Position(HISTORY_STREAM, "2026-11", ahead, now),
        ):
            mirror.store(page(at=now), listing=MINE, position=position)
        named = [(found.stream, found.partition) for found in PostgresOverview(database).positions_ahead()]
        assert named == [
            ("bookings", "mine"),
            ("bookings", "mine, last read"),
            ("bookings_full", "mine asked for"),
            ("bookings_history", "2026-11"),
        ]
