"""The mirrors of event types and slots, and what every stream shares. Bookings have a file of their own."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres import queries
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement
from calcom_pipeline.adapters.postgres.event_type_rows import event_type_of, event_type_row
from calcom_pipeline.adapters.postgres.outbox import insert_facts
from calcom_pipeline.domain.invalidation import Fact
from calcom_pipeline.domain.models import EventType, Owner, Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.ports import Changes

EVENT_TYPES_STREAM = "event_types"


def lock_stream(cursor: Cursor, stream: str) -> None:
    """Wait to be the only writer of a stream until this transaction ends."""
    cursor.execute(queries.LOCK_STREAM, {"stream": stream})


def read_watermark(cursor: Cursor, stream: str, partition: str) -> tuple[datetime, datetime] | None:
    """Position and start of the read that set it, both UTC."""
    cursor.execute(queries.READ_WATERMARK, {"stream": stream, "partition": partition})
    return cursor.fetchone()


def move_watermark(cursor: Cursor, stream: str, partition: str, position: datetime, read_started_at: datetime) -> None:
    """Move forward; backward it does not go."""
    values = {"stream": stream, "partition": partition, "position": position, "read_started_at": read_started_at}
    cursor.execute(queries.MOVE_WATERMARK, values)


def counts(cursor: Cursor) -> tuple[Any, ...]:
    """The one row of a statement that counts."""
    row = cursor.fetchone()
    if row is None:
        raise AssertionError("a count has always one row")
    return row


class PostgresEventTypeMirror:
    """The table `event_types`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, owner: Owner, event_types: Iterable[EventType], *, read_at: datetime) -> Changes:
        """Make the mirror of one owner equal to a complete listing; an older listing than the last is ignored.

        Types that changed or went leave a fact for the caches, in the same transaction; of new ones nothing is cached.
        """
        rows = list(event_types)
        stream, partition = EVENT_TYPES_STREAM, str(owner)
        with self._database.transaction("Storing event types") as cursor:
            lock_stream(cursor, stream)
            last = read_watermark(cursor, stream, partition)
            if last is not None and last[0] >= read_at:
                return Changes(unchanged=len(rows))
            cursor.execute(queries.STAGE_EVENT_TYPES)
            with cursor.copy(statement(queries.COPY_EVENT_TYPES)) as copy:
                for row in rows:
                    copy.write_row((*event_type_row(row), read_at, read_at))
            cursor.execute(queries.UPSERT_EVENT_TYPES)
            added, changed = counts(cursor)
            cursor.execute(queries.MARK_MISSING_EVENT_TYPES, {"owner": partition, "read_at": read_at})
            gone = [row[0] for row in cursor.fetchall()]
            insert_facts(cursor, [Fact("event_type", "changed at Cal.com", number) for number in changed])
            insert_facts(cursor, [Fact("event_type", "gone from Cal.com", number) for number in gone])
            move_watermark(cursor, stream, partition, read_at, read_at)
        return Changes(added, len(changed), len(gone), len(rows) - added - len(changed))

    def keep_owners(self, owners: Sequence[Owner], *, read_at: datetime) -> int:
        """Mark what belongs to other owners as deleted: the key no longer sees them. How many that were."""
        with self._database.transaction("Storing event types") as cursor:
            lock_stream(cursor, EVENT_TYPES_STREAM)
            cursor.execute(queries.MARK_OTHER_OWNERS, {"owners": [str(o) for o in owners], "read_at": read_at})
            return cursor.rowcount

    def present(self) -> list[EventType]:
        """All event types that are there, by id."""
        with self._database.transaction("Reading event types") as cursor:
            cursor.execute(statement(queries.PRESENT_EVENT_TYPES))
            return [event_type_of(row) for row in cursor.fetchall()]

    def bookable(self) -> list[EventType]:
        """Event types that are there and can have slots, by id."""
        with self._database.transaction("Reading event types") as cursor:
            cursor.execute(statement(queries.BOOKABLE_EVENT_TYPES))
            return [event_type_of(row) for row in cursor.fetchall()]


class PostgresSlotMirror:
    """The table `slots`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, days: Sequence[SlotDay]) -> Changes:
        """Write whole days; an older read never overwrites a newer one."""
        with self._database.transaction("Storing slots") as cursor:
            cursor.execute(queries.STAGE_SLOTS)
            with cursor.copy(statement(queries.COPY_SLOTS)) as copy:
                for day in days:
                    copy.write_row(_slot_row(day))
            cursor.execute(queries.COMPARE_SLOTS)
            added, changed = counts(cursor)
            cursor.execute(queries.UPSERT_SLOTS)
        return Changes(added=added, changed=changed, unchanged=len(days) - added - changed)

    def days(self, query: SlotQuery) -> list[SlotDay]:
        """The stored days of a query, in order."""
        with self._database.transaction("Reading slots") as cursor:
            cursor.execute(queries.SLOT_DAYS, asdict(query))
            return [_slot_day(query, row) for row in cursor.fetchall()]

    def prune(self, *, first_day: date, event_type_ids: Sequence[int]) -> int:
        """Drop days before `first_day` and days of event types that are not named; how many rows."""
        with self._database.transaction("Dropping old slots") as cursor:
            cursor.execute(queries.PRUNE_SLOTS, {"first_day": first_day, "event_type_ids": list(event_type_ids)})
            return cursor.rowcount


def _slot_day(query: SlotQuery, row: tuple[Any, ...]) -> SlotDay:
    day, starts, seats, fetched_at = row
    pairs = seats or [(None, None)] * len(starts)
    slots = tuple(Slot(start, *pair) for start, pair in zip(starts, pairs, strict=True))
    return SlotDay(SlotKey(query.event_type_id, query.duration_minutes, query.zone, day), slots, fetched_at)


def _slot_row(day: SlotDay) -> tuple[Any, ...]:
    key = day.key
    seated = any(slot.seats_total is not None for slot in day.slots)
    seats = Jsonb([[slot.seats_remaining, slot.seats_total] for slot in day.slots]) if seated else None
    starts = [slot.start for slot in day.slots]
    return (key.event_type_id, key.duration_minutes, key.zone, key.day, starts, seats, day.fetched_at)
