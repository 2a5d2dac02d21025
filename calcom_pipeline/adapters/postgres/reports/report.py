"""What the report reads in PostgreSQL, ours and Dagster's."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
from calcom_pipeline.adapters.postgres.database import Database, open_database, statement
from calcom_pipeline.adapters.postgres.event_types.rows import event_type_of
from calcom_pipeline.adapters.postgres.reports import statements as queries
from calcom_pipeline.adapters.postgres.streams import counts
from calcom_pipeline.app.reports.models import (
    Backlogs,
    DayOfBookings,
    DayOfStarts,
    GroupCalls,
    HourLag,
    HourOfCache,
    HourOfStarts,
    LaneMinute,
    LastPlan,
    LastRun,
)
from calcom_pipeline.app.reports.ports import Positions
from calcom_pipeline.domain.errors import SchemaOutdated
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.reasons import Reason


class PostgresReportReads:
    """Reads over everything that is stored of an account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def positions(self) -> Positions:
        """How old what is mirrored is."""
        with self._database.transaction("Reading watermarks", "read") as cursor:
            owners = {Owner.parse(owner): at for owner, at in cursor.execute(queries.POSITIONS).fetchall()}
            listings = dict(cursor.execute(queries.LISTINGS).fetchall())
            oldest, newest = counts(cursor.execute(queries.SLOT_AGES))
        return Positions(owners, listings, (oldest, newest) if oldest is not None else None)

    def event_types(self) -> list[EventType]:
        """All that are mirrored, without what Cal.com answered as a whole."""
        with self._database.transaction("Reading event types", "read") as cursor:
            return [event_type_of(row) for row in cursor.execute(statement(queries.EVENT_TYPES)).fetchall()]

    def written_since(self) -> frozenset[str]:
        """Services whose link changed after their owner's event types were read."""
        with self._database.transaction("Reading links", "read") as cursor:
            return frozenset(service for (service,) in cursor.execute(queries.WRITTEN_SINCE).fetchall())

    def last_plan(self) -> LastPlan | None:
        """The newest plan."""
        with self._database.transaction("Reading the last plan", "read") as cursor:
            row = cursor.execute(queries.LAST_PLAN).fetchone()
        if row is None:
            return None
        plan_id, source, state, kinds, held, created_at, expires_at, applied_at = row
        reasons = {kind: _reason(kept) for kind, kept in held.items()}
        return LastPlan(plan_id, source, state, kinds, reasons, created_at, expires_at, applied_at)

    def backlogs(self) -> Backlogs:
        """What waits."""
        with self._database.transaction("Counting what waits", "read") as cursor:
            facts, oldest, failed = counts(cursor.execute(queries.PENDING_FACTS))
            quarantined = dict(cursor.execute(queries.QUARANTINED).fetchall())
            (doubtful,) = counts(cursor.execute(queries.DOUBTFUL_BOOKINGS))
            (missing,) = counts(cursor.execute(queries.MISSING))
        return Backlogs(facts, oldest, failed, quarantined, doubtful, missing)

    def bookings_by_day(self, *, since: date, until: date, zone: str) -> list[DayOfBookings]:
        """Bookings that start on these days of that zone, `until` not among them."""
        values = {"since": since, "until": until, "zone": zone}
        return self._read("Counting bookings", queries.BOOKINGS_BY_DAY, values, DayOfBookings)

    def free_by_day(self, *, since: date) -> list[DayOfStarts]:
        """Free starts from that local day on."""
        return self._read("Counting free starts", queries.FREE_BY_DAY, {"since": since}, DayOfStarts)

    def free_by_hour(self, *, since: date, until: date, now: datetime) -> list[HourOfStarts]:
        """Free starts of these local days after now, `until` not among them."""
        values = {"since": since, "until": until, "now": now}
        return self._read("Counting free starts", queries.FREE_BY_HOUR, values, HourOfStarts)

    def sync_lags(self, *, since: datetime) -> list[HourLag]:
        """How late changes of bookings since then were mirrored, by hour."""
        return self._read("Measuring how late changes come", queries.SYNC_LAGS, {"since": since}, HourLag)

    def cache_ages(self, *, since: datetime) -> list[HourOfCache]:
        """How old the cached days were since then, by hour."""
        return self._read("Reading how old the cache was", queries.CACHE_AGES, {"since": since}, HourOfCache)

    def calls_by_minute(self, *, since: datetime) -> list[LaneMinute]:
        """Requests since then; the latest few seconds of a running client are not written yet."""
        return self._read("Counting calls", queries.CALLS_BY_MINUTE, {"since": since}, LaneMinute)

    def calls_by_group(self, *, since: datetime) -> list[GroupCalls]:
        """The same, by endpoint group."""
        return self._read("Counting calls", queries.CALLS_BY_GROUP, {"since": since}, GroupCalls)

    def deliveries(self) -> tuple[dict[str, int], datetime | None]:
        """Deliveries of webhooks by state, and when the last one came."""
        with self._database.transaction("Reading the inbox", "read") as cursor:
            rows = cursor.execute(queries.DELIVERIES).fetchall()
        return {state: number for state, number, _ in rows}, max((at for _, _, at in rows), default=None)

    def _read(self, doing: str, query: str, values: dict[str, Any], kind: Callable[..., Any]) -> list[Any]:
        with self._database.transaction(doing, "read") as cursor:
            return [kind(*row) for row in cursor.execute(statement(query), values).fetchall()]


def last_runs(url: str, *, limit: int, bounds: DatabaseBounds) -> list[LastRun]:
    """Dagster's newest runs; empty where it has not run yet.

    Raises:
        StoreError: its database is away.
    """
    with open_database(url, schema="public", bounds=bounds) as database:
        try:
            with database.transaction("Reading Dagster's runs", "read") as cursor:
                rows = cursor.execute(queries.LAST_RUNS, {"limit": limit}).fetchall()
        except SchemaOutdated:  # there are no tables yet
            return []
    return [LastRun(*row) for row in rows]


def _reason(kept: Any) -> Reason:
    """A reason as a plan keeps it."""
    if isinstance(kept, str):  # of an earlier release
        return Reason.stored(kept)
    return Reason.stored(kept["reason"], kept["code"], kept["params"])
