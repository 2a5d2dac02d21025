"""The outbox: facts are written in the transaction of their change, and stay until they were applied."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement, tried_again
from calcom_pipeline.adapters.postgres.event_types.rows import event_type_of
from calcom_pipeline.adapters.postgres.event_types.statements import COLUMNS
from calcom_pipeline.app.availability.ports import Backlog
from calcom_pipeline.domain.availability.changes import ChangeEvent
from calcom_pipeline.domain.event_types.models import EventType

COPY_FACTS = "COPY invalidations (kind, why, event_type_id, user_ids, starts, ends) FROM STDIN"


def insert_facts(cursor: Cursor, facts: Sequence[ChangeEvent]) -> int:
    """Add facts to the outbox in the caller's transaction; how many. Ids are PostgreSQL's; a fact's own is ignored."""
    rows = [_values(fact) for fact in facts]
    if rows:
        with cursor.copy(COPY_FACTS) as copy:
            for row in rows:
                copy.write_row(row)
    return len(rows)


ADD_FACT = """
INSERT INTO invalidations (kind, why, event_type_id, user_ids, starts, ends, next_attempt_at)
VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id"""
PENDING = """
SELECT id, kind, why, event_type_id, user_ids, starts, ends, attempts FROM invalidations
WHERE state = 'pending' AND (next_attempt_at IS NULL OR next_attempt_at <= now()) ORDER BY id LIMIT %(limit)s"""
DONE = """
UPDATE invalidations SET state = 'done', result = %(result)s, error = NULL, finished_at = now()
WHERE id = ANY(%(ids)s) AND state = 'pending'"""
# Tried again after 10 s, 20 s, 40 s ... up to 10 minutes: a wrong slot on a website costs more than a look at Redis.
FAILED = """
UPDATE invalidations SET attempts = attempts + 1, error = %(error)s,
       next_attempt_at = now() + least(interval '10 minutes', interval '10 seconds' * power(2, least(attempts, 10)))
WHERE id = ANY(%(ids)s) AND state = 'pending'"""
BACKLOG = """
SELECT count(*), max(id), coalesce(sum(attempts), 0),
       count(*) FILTER (WHERE next_attempt_at IS NULL OR next_attempt_at <= now())
FROM invalidations WHERE state = 'pending'"""
# A fact's own type may be gone by now, and its slots are cached all the same. Children of a managed type follow it.
CONCERNED = f"""
SELECT deleted_at IS NOT NULL, {COLUMNS} FROM event_types
WHERE id = ANY(%(ids)s) OR parent_id = ANY(%(ids)s)
   OR (deleted_at IS NULL AND host_ids && (%(user_ids)s::bigint[] || ARRAY(
    SELECT unnest(host_ids) FROM event_types WHERE id = ANY(%(of_all_hosts)s)))) ORDER BY id"""  # noqa: S608 - constants


class PostgresOutbox:
    """The table `invalidations`: what is pending, and what came of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_again
    def add(self, facts: Sequence[ChangeEvent]) -> list[ChangeEvent]:
        """Add facts in a transaction of their own; the same with their ids."""
        return self._added(facts, None)

    @tried_again
    def add_later(self, facts: Sequence[ChangeEvent], *, due: datetime) -> list[ChangeEvent]:
        """Add facts of what is yet to come, not pending before it has; the same with their ids."""
        return self._added(facts, due)

    def _added(self, facts: Sequence[ChangeEvent], due: datetime | None) -> list[ChangeEvent]:
        with self._database.transaction("Storing facts") as cursor:
            return [
                replace(fact, id=cursor.execute(ADD_FACT, (*_values(fact), due)).fetchall()[0][0]) for fact in facts
            ]

    def pending(self, *, limit: int) -> list[ChangeEvent]:
        """Facts that are due, oldest first."""
        with self._database.transaction("Reading the outbox", "read") as cursor:
            cursor.execute(PENDING, {"limit": limit})
            return [_fact(row) for row in cursor.fetchall()]

    def backlog(self) -> Backlog:
        """How much is pending; changes whenever a fact is added or tried."""
        with self._database.transaction("Reading the outbox", "read") as cursor:
            cursor.execute(BACKLOG)
            row: tuple[int, int | None, int, int] = cursor.fetchone() or (0, None, 0, 0)
            return Backlog(*row)

    def concerned_by(self, facts: Sequence[ChangeEvent]) -> list[list[EventType]]:
        """Per fact the event types it is about: its own with its children, and all that its users host.

        One query for all facts.
        """
        ids = {fact.event_type_id for fact in facts if fact.event_type_id is not None}
        users = {user for fact in facts for user in fact.user_ids}
        with self._database.transaction("Resolving facts", "read") as cursor:
            of_all = [fact.event_type_id for fact in facts if fact.concerns_all_hosts]
            cursor.execute(statement(CONCERNED), {"ids": list(ids), "user_ids": list(users), "of_all_hosts": of_all})
            found = [(bool(gone), event_type_of(tuple(row))) for gone, *row in cursor.fetchall()]
        by_id = {event_type.id: event_type for _, event_type in found}
        hosted, children = dict[int, set[int]](), dict[int | None, set[int]]()
        for gone, event_type in found:
            children.setdefault(event_type.parent_id, set()).add(event_type.id)
            for user in () if gone else event_type.host_ids:
                hosted.setdefault(user, set()).add(event_type.id)
        concerned = (_ids_of(fact, hosted, by_id).union(_children_of(fact, children)) for fact in facts)
        return [[by_id[one] for one in sorted(ids) if one in by_id] for ids in concerned]

    @tried_again
    def done(self, facts: Sequence[ChangeEvent], result: Mapping[str, Any]) -> int:
        """These were applied; how many nobody had closed before."""
        with self._database.transaction("Closing facts") as cursor:
            return cursor.execute(DONE, {"ids": [f.id for f in facts], "result": Jsonb(dict(result))}).rowcount

    @tried_again
    def failed(self, facts: Sequence[ChangeEvent], error: str) -> int:
        """These stay pending and are due again after a growing pause; how many nobody had closed before."""
        with self._database.transaction("Postponing facts") as cursor:
            return cursor.execute(FAILED, {"ids": [f.id for f in facts], "error": error}).rowcount


def _ids_of(fact: ChangeEvent, hosted: Mapping[int, set[int]], by_id: Mapping[int, EventType]) -> set[int]:
    if fact.event_type_id is None:
        own, users = set[int](), fact.user_ids
    else:
        own, kind = {fact.event_type_id}, by_id.get(fact.event_type_id)
        users = (*fact.user_ids, *(kind.host_ids if kind and fact.concerns_all_hosts else ()))
    return own.union(*(hosted.get(user, set[int]()) for user in users))


def _children_of(fact: ChangeEvent, children: Mapping[int | None, set[int]]) -> set[int]:
    return set() if fact.event_type_id is None else children.get(fact.event_type_id, set())


def _values(f: ChangeEvent) -> tuple[Any, ...]:
    return f.kind, f.why, f.event_type_id, list(f.user_ids), [s for s, _ in f.spans], [e for _, e in f.spans]


def _fact(row: tuple[Any, ...]) -> ChangeEvent:
    number, kind, why, event_type_id, user_ids, starts, ends, _attempts = row
    return ChangeEvent(kind, why, event_type_id, tuple(user_ids), tuple(zip(starts, ends, strict=True)), number)
