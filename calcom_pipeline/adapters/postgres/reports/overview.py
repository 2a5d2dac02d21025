"""What people ask about the mirrors: how much is there, how far each read has come."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from calcom_pipeline.adapters.postgres.availability.statements import FREE_STARTS
from calcom_pipeline.adapters.postgres.database import Database, statement
from calcom_pipeline.adapters.postgres.event_types import statements as event_type_queries
from calcom_pipeline.adapters.postgres.reports import statements as queries
from calcom_pipeline.adapters.postgres.services import statements as service_queries
from calcom_pipeline.adapters.postgres.streams import counts
from calcom_pipeline.domain.availability.models import SlotKey
from calcom_pipeline.domain.columns import annotated


@dataclass(frozen=True, slots=True)
class Counted:
    """The select that counts an attribute of `Overview`, without its SELECT."""

    of: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Rows that are there now. The statement and the table of `status` are made of it."""

    event_types: Annotated[int, Counted("count(*) FROM event_types WHERE deleted_at IS NULL")]
    owners: Annotated[int, Counted("count(DISTINCT owner) FROM event_types WHERE deleted_at IS NULL")]
    bookings: Annotated[int, Counted("count(*) FROM bookings WHERE deleted_at IS NULL")]
    slot_days: Annotated[int, Counted("count(*) FROM slots")]
    slots: Annotated[int, Counted(f"coalesce(sum({FREE_STARTS}), 0) FROM slots")]
    quarantined: Annotated[int, Counted("count(*) FROM quarantine WHERE resolved_at IS NULL")]


_COUNTS = "SELECT " + ", ".join(f"(SELECT {counted.of})" for _, counted in annotated(Overview, Counted))


@dataclass(frozen=True, slots=True)
class Watermark:
    """Position of one incremental read, UTC."""

    stream: str
    partition: str
    position: datetime
    read_started_at: datetime


@dataclass(frozen=True, slots=True)
class CallsOfMinute:
    """Requests to Cal.com that one lane sent in the minute that began at `minute` (UTC)."""

    minute: datetime
    lane: str
    calls: int


@dataclass(frozen=True, slots=True)
class MissingEventTypes:
    """How many event types of an owner are missing from Cal.com's listings, since when (UTC), and why they are kept."""

    owner: str
    event_types: int
    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class PositionAhead:
    """A position that lies ahead of PostgreSQL's clock: what comes in between would not be read. UTC."""

    stream: str
    partition: str
    instant: datetime


class PostgresOverview:
    """Reads over all mirrors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self) -> Overview:
        """How much is there."""
        with self._database.transaction("Counting rows", "read") as cursor:
            cursor.execute(statement(_COUNTS))
            return Overview(*counts(cursor))

    def missing_event_types(self) -> list[MissingEventTypes]:
        """Event types that Cal.com does not show and that are not taken for gone, by owner."""
        with self._database.transaction("Counting missing event types") as cursor:
            cursor.execute(event_type_queries.MISSING)
            return [MissingEventTypes(*row) for row in cursor.fetchall()]

    def positions_ahead(self) -> list[PositionAhead]:
        """Positions that a wrong clock has set, by stream."""
        with self._database.transaction("Reading how far reads are") as cursor:
            cursor.execute(statement(queries.POSITIONS_AHEAD))
            return [PositionAhead(*row) for row in cursor.fetchall()]

    def free_starts_by_day(self) -> list[dict[str, Any]]:
        """Free starts per event type and local day, for a picture."""
        with self._database.transaction("Counting free starts", "read") as cursor:
            cursor.execute(queries.FREE_STARTS_BY_DAY)
            return [{"event type": name, "day": day, "free": free} for name, day, free in cursor.fetchall()]

    def slot_keys(self) -> list[SlotKey]:
        """The days that are stored."""
        with self._database.transaction("Reading slots", "read") as cursor:
            cursor.execute(queries.SLOT_KEYS)
            return [SlotKey(*row) for row in cursor.fetchall()]

    def links(self) -> dict[str, int]:
        """Links by state."""
        with self._database.transaction("Counting links", "read") as cursor:
            cursor.execute(service_queries.LINK_COUNTS)
            return dict(cursor.fetchall())

    def problems(self, *, limit: int) -> list[tuple[str, str, str]]:
        """Services that need somebody: service, what is the matter, why."""
        with self._database.transaction("Reading open problems", "read") as cursor:
            cursor.execute(service_queries.OPEN_PROBLEMS, {"limit": limit})
            failed = [(s, f"{state}, attempt {n} failed", why) for s, state, n, _, why in cursor.fetchall()]
            cursor.execute(service_queries.OPEN_ACTIONS, {"limit": limit})
            known = {service for service, _, _ in failed}
            return failed + [row for row in cursor.fetchall() if row[0] not in known]

    def calls_by_minute(self, *, since: datetime) -> list[CallsOfMinute]:
        """Requests that were sent since then; the latest few seconds of a running client are not written yet."""
        with self._database.transaction("Counting calls", "read") as cursor:
            cursor.execute(queries.CALLS_BY_MINUTE, {"since": since})
            return [CallsOfMinute(*row) for row in cursor.fetchall()]

    def dangling_links(self) -> list[tuple[str, int]]:
        """Linked services whose event type the mirror does not have."""
        with self._database.transaction("Reading links", "read") as cursor:
            cursor.execute(service_queries.DANGLING_LINKS)
            return cursor.fetchall()

    def double_slugs(self) -> list[tuple[str, str, str]]:
        """Slugs that several services of one owner have: team, slug, services."""
        with self._database.transaction("Reading services", "read") as cursor:
            cursor.execute(service_queries.DOUBLE_SLUGS)
            return cursor.fetchall()

    def watermarks(self) -> list[Watermark]:
        """How far each read has come."""
        with self._database.transaction("Reading watermarks", "read") as cursor:
            cursor.execute(queries.WATERMARKS)
            return [Watermark(*row) for row in cursor.fetchall()]
