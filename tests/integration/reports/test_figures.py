"""Figures for pictures and checks, counted by PostgreSQL from rows that are there, and what is drawn of them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from calcom_pipeline.adapters.postgres.bookings.overview import MonthCount
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.reports.figures import (
    DayBookings,
    FreeHour,
    GroupLatency,
    HourLag,
    PostgresFigures,
)
from calcom_pipeline.app.reports.call_ports import CallTotals
from calcom_pipeline.defs.pictures import (
    AT_A_GLANCE,
    bookings_by_day,
    bookings_by_month,
    cache_ages,
    free_by_hour,
    latencies,
    sync_lags,
)
from calcom_pipeline.settings import Settings

NOW = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)  # a Wednesday
HOUR = timedelta(hours=1)


@pytest.fixture
def figures(database: Database) -> PostgresFigures:
    return PostgresFigures(database)


def write(database: Database, statement: str, *rows: tuple[object, ...]) -> None:
    with database.transaction("Testing") as cursor:
        for row in rows:
            cursor.execute(statement, row)


def booked(database: Database, *rows: tuple[str, datetime, str, datetime | None, datetime]) -> None:
    """uid, start, status, updated at Cal.com, read at."""
    write(
        database,
        "INSERT INTO bookings (uid, id, status, title, starts_at, ends_at, cancellation_reason, absent_host, raw, "
        "payload_hash, updated_at, read_started_at) VALUES (%s, 1, %s, '', %s, %s, '', false, '{}', '', %s, %s)",
        *((uid, status, start, start + HOUR, updated, read) for uid, start, status, updated, read in rows),
    )


def test_calls_are_counted_and_measured_by_endpoint_group(database: Database, figures: PostgresFigures):
    write(
        database,
        "INSERT INTO api_calls VALUES (%s, 'Reading', %s, 'GET', %s, 'x', %s, 0, 1, 'sync', NULL)",
        (NOW, "slots", 200, 100),
        (NOW, "slots", 200, 300),
        (NOW, "slots", 429, 200),
        (NOW, "bookings", 503, 50),
        (NOW, "bookings", None, 15_000),
        (NOW - 2 * HOUR, "slots", 429, 1),
    )
    assert figures.call_totals(since=NOW - HOUR) == CallTotals(5, refused=1, failed=2)
    assert figures.latencies(since=NOW - HOUR) == [
        GroupLatency("bookings", 50, 50, 1),
        GroupLatency("slots", 200, 290, 3),
    ]


def test_bookings_are_counted_by_day_and_status_within_the_window(database: Database, figures: PostgresFigures):
    a_day = timedelta(days=1)
    booked(
        database,
        ("a", NOW, "accepted", None, NOW),
        ("b", NOW + HOUR, "accepted", None, NOW),
        ("c", NOW + a_day, "cancelled", None, NOW),
        ("d", NOW + 40 * a_day, "accepted", None, NOW),
        ("e", NOW, "accepted", None, NOW),
    )
    write(database, "UPDATE bookings SET deleted_at = now() WHERE uid = %s", ("e",))
    assert figures.bookings_by_day(since=NOW - 30 * a_day, before=NOW + 30 * a_day) == [
        DayBookings(date(2026, 11, 25), "accepted", 2),
        DayBookings(date(2026, 11, 26), "cancelled", 1),
    ]


def test_how_late_a_change_came_is_measured_from_the_first_full_read_on(database: Database, figures: PostgresFigures):
    changed = NOW.replace(minute=0)
    assert figures.sync_lags(since=NOW - HOUR) == []
    write(
        database,
        "INSERT INTO booking_listings (listing, polled_at, full_done_at) VALUES ('mine', %s, %s)",
        (NOW, changed - HOUR),
    )
    booked(
        database,
        ("a", NOW, "accepted", changed, changed + timedelta(seconds=10)),
        ("b", NOW, "accepted", changed, changed + timedelta(seconds=30)),
        ("c", NOW, "accepted", changed - 2 * HOUR, NOW),
    )
    assert figures.sync_lags(since=NOW - 5 * HOUR) == [HourLag(changed, 20, 30, 2)]


def test_free_starts_are_counted_by_the_hour_of_their_schedule_without_those_whose_seats_are_taken(
    database: Database, figures: PostgresFigures
):
    starts = [NOW + HOUR, NOW + HOUR, NOW - HOUR]
    write(
        database,
        "INSERT INTO slots VALUES (%s, 30, %s, '2026-11-25', %s, %s::jsonb, %s)",
        (1, "Europe/Berlin", starts, None, NOW - HOUR),
        (2, "UTC", starts, "[[0, 3], [1, 3], [3, 3]]", NOW - 2 * HOUR),
    )
    assert figures.free_starts_by_hour(now=NOW) == [FreeHour(3, 11, 1), FreeHour(3, 12, 2)]
    assert figures.slot_ages(now=NOW) == [(60, 1), (120, 1)]


def test_the_oldest_fact_waits_from_its_time_on(database: Database, figures: PostgresFigures):
    assert figures.oldest_pending_fact() is None
    add = (
        "INSERT INTO invalidations (kind, why, user_ids, starts, ends, state, attempts, next_attempt_at, created_at) "
        "VALUES ('event_type', 'x', '{}', '{}', '{}', %s, %s, %s, %s)"
    )
    write(database, add, ("pending", 0, NOW + HOUR, NOW - HOUR), ("done", 0, None, NOW - 9 * HOUR))
    assert figures.oldest_pending_fact() == NOW + HOUR, "a hold that ends later"
    write(database, add, ("pending", 2, NOW + HOUR, NOW - HOUR))
    assert figures.oldest_pending_fact() == NOW - HOUR, "one that was tried in vain"


def test_the_services_are_counted_with_their_newest_change(database: Database, figures: PostgresFigures):
    assert figures.service_table(since=NOW).changed_at is None
    write(database, "INSERT INTO services (name, slug, duration_minutes) VALUES (%s, %s, 30)", ("A", "a"), ("B", "b"))
    found = figures.service_table(since=NOW)
    assert (found.rows, found.changes_of_a_day) == (2, 2)
    assert found.changed_at is not None


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (lambda s: latencies([GroupLatency("slots", 100, 300, 5)], s), "Latency by endpoint group"),
        (
            lambda s: bookings_by_day([DayBookings(NOW.date(), "accepted", 2)], s, now=NOW),
            "Bookings of each day by status",
        ),
        (
            lambda s: bookings_by_month([MonthCount(NOW.date(), "accepted", 2)], s),
            "Bookings of each month by status",
        ),
        (lambda s: sync_lags([HourLag(NOW, 20, 30, 2)], s), "Seconds from a change at Cal.com to the mirror"),
        (lambda s: free_by_hour([FreeHour(3, 11, 1)], s), "Free starts by weekday and hour"),
        (lambda s: cache_ages([(60.0, 3)], s), "How many days are how old"),
    ],
)
def test_each_picture_says_what_it_shows_to_those_who_do_not_see_it(
    drawn: Callable[[Settings], dict[str, Any]], said: str
):
    entries = {name: one for name, one in drawn(Settings()).items() if name != AT_A_GLANCE}
    pictures = [one.md_str or "" for one in entries.values() if isinstance(one, dg.MarkdownMetadataValue)]
    assert [one.partition("](")[0] for one in pictures] == [f"![{said}"]
    assert "](data:image/png;base64," in pictures[0]


@pytest.mark.parametrize("draw", [latencies, bookings_by_month, sync_lags, free_by_hour, cache_ages])
def test_without_anything_to_see_nothing_is_drawn(draw: Callable[..., dict[str, Any]]):
    assert draw([], Settings()) == {}
