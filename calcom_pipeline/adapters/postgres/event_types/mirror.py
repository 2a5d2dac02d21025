"""The table `event_types`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from calcom_pipeline.adapters.postgres.availability.outbox import insert_facts
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement, tried_again
from calcom_pipeline.adapters.postgres.event_types import statements as queries
from calcom_pipeline.adapters.postgres.event_types.rows import event_type_of, event_type_row
from calcom_pipeline.adapters.postgres.quarantine import put_away, settle, settle_unseen
from calcom_pipeline.adapters.postgres.streams import counts, lock_stream, move_watermark, read_believed_watermark
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.app.event_types.ports import Replaced
from calcom_pipeline.domain.availability.changes import (
    EVENT_TYPE_CHANGED,
    EVENT_TYPE_GONE,
    EVENT_TYPE_LEFT_OUT,
    SCHEDULE_CHANGED,
    ChangeEvent,
    Why,
)
from calcom_pipeline.domain.event_types.absence import Absent
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import EVENT_TYPES_STREAM, SCHEDULES_STREAM, TEAMS_STREAM, Listed
from calcom_pipeline.domain.maintenance.standing_calls import AccountSize
from calcom_pipeline.domain.models import Team


class PostgresEventTypeMirror:
    """The table `event_types`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def size(self) -> AccountSize:
        """How much there is that schedules and sensors ask about."""
        with self._database.transaction("Counting event types", "read") as cursor:
            return AccountSize(*map(int, counts(cursor.execute(queries.SIZE))))

    @tried_again
    def replace(self, owner: Owner, listing: Listed[EventType], *, read_at: datetime) -> Replaced:
        """Take over a complete listing of one owner; an older one than the last is ignored.

        What it lacks is noted, not deleted. Rows that could not be read go to quarantine and are not missing. Types
        that changed leave a fact for the caches, in the same transaction; of new ones nothing is cached.
        """
        stream, partition = EVENT_TYPES_STREAM, str(owner)
        shown = sorted({e.id for e in listing} | listing.unreadable_ids(stream))
        with self._database.transaction("Storing event types") as cursor:
            lock_stream(cursor, stream)
            last = read_believed_watermark(cursor, stream, partition, by=read_at)
            if last is not None and last[0] >= read_at:
                return Replaced(Changes(unchanged=len(listing)))
            cursor.execute(queries.FOUND_AGAIN, {"shown": shown})
            cursor.execute(queries.STAGE)
            with cursor.copy(statement(queries.COPY)) as copy:
                for row in listing:
                    copy.write_row((*event_type_row(row), read_at, read_at))
            cursor.execute(queries.HOSTS_OF_CHANGED_SCHEDULES)
            hosts = tuple(sorted(host for (host,) in cursor.fetchall()))
            cursor.execute(statement(queries.UPSERT))
            added, changed = counts(cursor)
            facts = [ChangeEvent("event_type", EVENT_TYPE_CHANGED, number) for number in changed]
            if hosts:  # they host types of teams too, whose own rows say nothing of it
                facts.append(ChangeEvent("schedule", SCHEDULE_CHANGED, user_ids=hosts))
            insert_facts(cursor, facts)
            cursor.execute(queries.NOTE_MISSING, {"owner": partition, "shown": shown, "read_at": read_at})
            absent = _absent(cursor)
            if owner.kind == "user":  # whose listing comes with what is odd in the list of schedules
                settle_unseen(cursor, [SCHEDULES_STREAM], before=read_at)
            put_away(cursor, listing.unreadable, seen_at=read_at)
            settle(cursor, stream, {str(e.id) for e in listing}, read_at=read_at)
            move_watermark(cursor, stream, partition, read_at, read_at)
        changes = Changes(added, len(changed), unchanged=len(listing) - added - len(changed))
        return Replaced(changes, tuple(absent))

    @tried_again
    def note_teams(self, teams: Listed[Team], *, read_at: datetime) -> None:
        """Put rows of the list of teams that could not be read into quarantine, and settle those that were."""
        with self._database.transaction("Noting teams") as cursor:
            put_away(cursor, teams.unreadable, seen_at=read_at)
            settle(cursor, TEAMS_STREAM, {str(team.id) for team in teams}, read_at=read_at)

    # --- what is missing ---------------------------------------------------------------------------------

    @tried_again
    def note_absent_owners(self, owners: Sequence[Owner], *, read_at: datetime) -> list[Absent]:
        """Note that what belongs to other owners was not there to be read; all of that."""
        with self._database.transaction("Noting missing event types") as cursor:
            lock_stream(cursor, EVENT_TYPES_STREAM)
            cursor.execute(queries.NOTE_OTHER_OWNERS, {"owners": [str(o) for o in owners], "read_at": read_at})
            return _absent(cursor)

    def drop_owners(self, owners: Sequence[Owner], *, read_at: datetime) -> int:
        """Mark what belongs to owners that nobody wants read any more as deleted; how many that were."""
        values = {"owners": [str(o) for o in owners], "read_at": read_at}
        return self._gone(queries.DROP_OWNERS, values, EVENT_TYPE_LEFT_OUT)

    def mark_gone(self, event_type_ids: Sequence[int], *, read_at: datetime) -> int:
        """Mark those that are still missing as deleted, with the facts of it; how many."""
        return self._gone(queries.MARK_GONE, {"ids": list(event_type_ids), "read_at": read_at}, EVENT_TYPE_GONE)

    def _gone(self, query: str, values: Mapping[str, Any], why: Why) -> int:
        with self._database.transaction("Marking event types as gone") as cursor:
            lock_stream(cursor, EVENT_TYPES_STREAM)
            cursor.execute(statement(query), values)
            gone = [number for (number,) in cursor.fetchall()]
            settle(cursor, EVENT_TYPES_STREAM, {str(number) for number in gone}, read_at=values["read_at"])
            return insert_facts(cursor, [ChangeEvent("event_type", why, number) for number in gone])

    def doubt(self, event_type_ids: Sequence[int], why: str) -> None:
        """Keep why those that are missing are not taken for gone."""
        with self._database.transaction("Noting missing event types") as cursor:
            lock_stream(cursor, EVENT_TYPES_STREAM)
            cursor.execute(queries.DOUBT, {"ids": list(event_type_ids), "why": why})

    # --- reads -------------------------------------------------------------------------------------------

    def owners(self) -> list[Owner]:
        """Whose event types are there."""
        with self._database.transaction("Reading event types") as cursor:
            cursor.execute(queries.OWNERS)
            return sorted(Owner.parse(owner) for (owner,) in cursor.fetchall())

    def present(self) -> list[EventType]:
        """All event types that are there, by id."""
        with self._database.transaction("Reading event types", "read") as cursor:
            cursor.execute(statement(queries.PRESENT))
            return [event_type_of(row) for row in cursor.fetchall()]

    def bookable(self) -> list[EventType]:
        """Event types that are there and can have slots, by id."""
        with self._database.transaction("Reading event types", "read") as cursor:
            cursor.execute(statement(queries.BOOKABLE))
            return [event_type_of(row) for row in cursor.fetchall()]

    def bookable_one(self, event_type_id: int) -> EventType | None:
        """The same of one event type, whatever their number."""
        with self._database.transaction("Reading an event type", "read") as cursor:
            cursor.execute(statement(queries.BOOKABLE_ONE), {"id": event_type_id})
            row = cursor.fetchone()
            return event_type_of(row) if row else None


def _absent(cursor: Cursor) -> list[Absent]:
    return [
        Absent(number, Owner.parse(owner), since, looks) for number, owner, since, looks in sorted(cursor.fetchall())
    ]
