"""The table `event_types`."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from calcom_pipeline.adapters.postgres import statements as queries
from calcom_pipeline.adapters.postgres.availability.outbox import insert_facts
from calcom_pipeline.adapters.postgres.database import Database, statement
from calcom_pipeline.adapters.postgres.event_types.rows import event_type_of, event_type_row
from calcom_pipeline.adapters.postgres.streams import counts, lock_stream, move_watermark, read_believed_watermark
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.availability.changes import Fact
from calcom_pipeline.domain.event_types.models import EventType, Owner

EVENT_TYPES_STREAM = "event_types"


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
            last = read_believed_watermark(cursor, stream, partition, by=read_at)
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
