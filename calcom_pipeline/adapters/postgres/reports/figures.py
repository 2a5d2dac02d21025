"""Figures for pictures and checks: each statement reads a bounded part, by an index, and counts in the database."""

from dataclasses import dataclass
from datetime import date, datetime

from calcom_pipeline.adapters.postgres.database import Database, statement
from calcom_pipeline.adapters.postgres.reports.statements import SYNC_LAGS
from calcom_pipeline.app.reports.call_ports import CallTotals
from calcom_pipeline.app.reports.models import HourLag

_TOTALS = """
SELECT count(*)::integer, count(*) FILTER (WHERE status = 429)::integer,
       count(*) FILTER (WHERE status IS NULL OR status >= 500)::integer
FROM api_calls WHERE called_at >= %(since)s"""

_LATENCIES = """
SELECT endpoint_group, percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms), count(*)::integer
FROM api_calls WHERE called_at >= %(since)s AND status IS NOT NULL GROUP BY 1 ORDER BY 1"""

_BOOKINGS_BY_DAY = """
SELECT (starts_at AT TIME ZONE 'UTC')::date, status, count(*)::integer FROM bookings
WHERE starts_at >= %(since)s AND starts_at < %(before)s AND deleted_at IS NULL AND out_of_scope_at IS NULL
GROUP BY 1, 2 ORDER BY 1, 2"""

# The hour of a start as the schedule's zone has it: "Mondays at nine" is what a person asks.
_FREE_BY_HOUR = """
SELECT extract(isodow FROM start AT TIME ZONE zone)::integer, extract(hour FROM start AT TIME ZONE zone)::integer,
       count(*)::integer
FROM slots, unnest(starts) WITH ORDINALITY AS each (start, position)
WHERE start >= %(now)s AND coalesce((seats -> (position::integer - 1) ->> 0)::integer, 1) > 0
GROUP BY 1, 2 ORDER BY 1, 2"""

_SLOT_AGES = """
SELECT extract(epoch FROM %(now)s - fetched_at)::float8 / 60, count(*)::integer FROM slots
WHERE fetched_at <= %(now)s GROUP BY 1 ORDER BY 1"""

# One that was written ahead (a hold that ends) waits from its time on.
_OLDEST_FACT = """
SELECT min(CASE WHEN attempts = 0 THEN coalesce(next_attempt_at, created_at) ELSE created_at END)
FROM invalidations WHERE state = 'pending'"""

_SERVICE_TABLE = """
SELECT (SELECT count(*)::integer FROM services_source), (SELECT max(changed_at) FROM service_changes),
       (SELECT count(*)::integer FROM service_changes WHERE changed_at >= %(since)s)"""


@dataclass(frozen=True, slots=True)
class GroupLatency:
    """How long Cal.com takes to answer at one endpoint group, milliseconds."""

    group: str
    median_ms: float
    p95_ms: float
    calls: int


@dataclass(frozen=True, slots=True)
class DayBookings:
    """Bookings by day of their start (UTC) and status; private ones count too."""

    day: date
    status: str
    bookings: int


@dataclass(frozen=True, slots=True)
class FreeHour:
    """Free starts by weekday (1 is Monday) and hour, in the zone of their schedules."""

    weekday: int
    hour: int
    free: int


@dataclass(frozen=True, slots=True)
class ServicesSize:
    """The business's own table: rows, its newest change (UTC) in the feed, and changes of the last day."""

    rows: int
    changed_at: datetime | None
    changes_of_a_day: int


class PostgresFigures:
    """Reads over what is mirrored and recorded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def call_totals(self, *, since: datetime) -> CallTotals:
        """Requests to Cal.com since then; the latest few seconds of a running client are not written yet."""
        with self._database.transaction("Counting calls", "read") as cursor:
            cursor.execute(_TOTALS, {"since": since})
            return CallTotals(*(cursor.fetchone() or (0, 0, 0)))

    def latencies(self, *, since: datetime) -> list[GroupLatency]:
        """How long answers took since then, by endpoint group."""
        with self._database.transaction("Measuring calls", "read") as cursor:
            cursor.execute(_LATENCIES, {"since": since})
            return [GroupLatency(*row) for row in cursor.fetchall()]

    def bookings_by_day(self, *, since: datetime, before: datetime) -> list[DayBookings]:
        """Bookings that start in between, by day and status."""
        with self._database.transaction("Counting bookings by day", "read") as cursor:
            cursor.execute(_BOOKINGS_BY_DAY, {"since": since, "before": before})
            return [DayBookings(*row) for row in cursor.fetchall()]

    def sync_lags(self, *, since: datetime) -> list[HourLag]:
        """How long changes since then took from Cal.com's stamp to the read that brought them, by hour."""
        with self._database.transaction("Measuring how late changes come", "read") as cursor:
            cursor.execute(SYNC_LAGS, {"since": since})
            return [HourLag(*row) for row in cursor.fetchall()]

    def free_starts_by_hour(self, *, now: datetime) -> list[FreeHour]:
        """Coming free starts by weekday and hour."""
        with self._database.transaction("Counting free starts by hour", "read") as cursor:
            cursor.execute(_FREE_BY_HOUR, {"now": now})
            return [FreeHour(*row) for row in cursor.fetchall()]

    def slot_ages(self, *, now: datetime) -> list[tuple[float, int]]:
        """How old the mirrored days are: minutes since Cal.com was asked, and how many days are that old."""
        with self._database.transaction("Reading the age of slots", "read") as cursor:
            cursor.execute(statement(_SLOT_AGES), {"now": now})
            return cursor.fetchall()

    def oldest_pending_fact(self) -> datetime | None:
        """When the oldest fact was written that has not reached the caches; UTC."""
        with self._database.transaction("Reading the outbox", "read") as cursor:
            cursor.execute(_OLDEST_FACT)
            row = cursor.fetchone()
            return row[0] if row else None

    def service_table(self, *, since: datetime) -> ServicesSize:
        """How many services there are, and when the last of them changed."""
        with self._database.transaction("Looking at the services", "read") as cursor:
            cursor.execute(_SERVICE_TABLE, {"since": since})
            row: tuple[int, datetime | None, int] = cursor.fetchone() or (0, None, 0)
            return ServicesSize(*row)
