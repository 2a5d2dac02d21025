"""The table `slots`."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres.availability import statements as queries
from calcom_pipeline.adapters.postgres.database import Database, statement, tried_again
from calcom_pipeline.adapters.postgres.quarantine import put_away, settle
from calcom_pipeline.adapters.postgres.streams import counts
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.listed import SLOTS_STREAM, Listed


class PostgresSlotMirror:
    """The table `slots`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_again
    def store(self, days: Listed[SlotDay]) -> Changes:
        """Write whole days; an older read never overwrites a newer one. Unreadable ones go to quarantine."""
        with self._database.transaction("Storing slots") as cursor:
            cursor.execute(queries.STAGE_SLOTS)
            with cursor.copy(statement(queries.COPY_SLOTS)) as copy:
                for day in days:
                    copy.write_row(_slot_row(day))
            cursor.execute(queries.COMPARE_SLOTS)
            added, changed = counts(cursor)
            cursor.execute(statement(queries.UPSERT_SLOTS))
            put_away(cursor, days.unreadable, seen_at=days[0].fetched_at if days else None)
            if days:
                settle(cursor, SLOTS_STREAM, {str(day.key) for day in days}, read_at=days[0].fetched_at)
        return Changes(added=added, changed=changed, unchanged=len(days) - added - changed)

    def days(self, query: SlotQuery) -> list[SlotDay]:
        """The stored days of a query, in order."""
        with self._database.transaction("Reading slots", "read") as cursor:
            cursor.execute(queries.SLOT_DAYS, asdict(query))
            return [_slot_day(query, row) for row in cursor.fetchall()]

    @tried_again
    def prune(self, *, first_day: date, event_type_ids: Sequence[int]) -> int:
        """Drop days before `first_day` and days of event types that are not named; how many rows."""
        with self._database.transaction("Dropping old slots", "whole") as cursor:
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
