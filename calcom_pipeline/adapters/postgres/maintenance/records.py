"""Records that have a lifetime, a table each: deleting what is past it, and measuring what is there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from psycopg import sql

from calcom_pipeline.adapters.postgres.call_ledger import MONTHS_AHEAD
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement
from calcom_pipeline.adapters.postgres.maintenance import statements as queries
from calcom_pipeline.adapters.postgres.streams import counts


class PostgresRecords:
    """Records of one kind that one statement, `forget`, deletes."""

    def __init__(self, database: Database, kind: str, *, forget: str) -> None:
        self.kind = kind
        self._database = database
        self._forget = forget

    def forget(self, *, before: datetime, limit: int) -> int:
        """Delete at most about `limit` that ended before then, in one transaction; how many."""
        with self._database.transaction(f"Deleting old {self.kind}") as cursor:
            return cursor.execute(statement(self._forget), {"before": before, "limit": limit}).rowcount


class CallRecords:
    """The table `api_calls`: partitions are made ahead, whole months dropped, single rows deleted from the others."""

    def __init__(self, database: Database, kind: str) -> None:
        self.kind = kind
        self._database = database

    def forget(self, *, before: datetime, limit: int) -> int:
        """Drop the partitions that ended before then, and delete at most `limit` older rows from each of the others.

        Where the tables are somebody else's, none is dropped: old ones are emptied piece by piece.
        """
        with self._database.transaction("Making partitions of calls") as cursor:
            cursor.execute(queries.MAKE_PARTITIONS, {"months": MONTHS_AHEAD})
        with self._database.transaction("Looking for old partitions of calls") as cursor:
            partitions = cursor.execute(queries.PARTITIONS, {"before": before}).fetchall()
        dropped = sum(self._drop(name) for name, ended, _, is_ours in partitions if ended and is_ours)
        left = (name for name, ended, holds_older, is_ours in partitions if holds_older and not (ended and is_ours))
        return dropped + sum(self._thin(name, before, limit) for name in left)

    def _thin(self, name: str, before: datetime, limit: int) -> int:
        delete = sql.SQL(statement(queries.FORGET_CALLS)).format(partition=sql.Identifier(name))
        with self._database.transaction("Deleting old calls") as cursor:
            return cursor.execute(delete, {"before": before, "limit": limit}).rowcount

    def _drop(self, name: str) -> int:
        partition = sql.Identifier(name)
        with self._database.transaction("Dropping a month of calls") as cursor:
            cursor.execute(queries.DROP_PATIENCE)
            rows = int(counts(cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(partition)))[0])
            cursor.execute(sql.SQL("DROP TABLE {}").format(partition))
        return rows


class FeedRecords:
    """The feed of services: what every reader has dealt with."""

    def __init__(self, database: Database, kind: str) -> None:
        self.kind = kind
        self._database = database

    def forget(self, *, before: datetime, limit: int) -> int:
        """Forget readers that were not seen since then, and delete at most `limit` changes that are older."""
        with self._database.transaction("Deleting old changes of services") as cursor:
            cursor.execute(queries.FORGET_READERS, {"before": before})
            cursor.execute(queries.FORGET_CHANGES, {"before": before, "limit": limit})
            return int(counts(cursor)[0])


@dataclass(frozen=True, slots=True)
class Size:
    """How many records of one kind there are, from when (UTC) the oldest is, and what room they take with indexes."""

    kind: str
    records: int
    oldest: datetime | None
    size_bytes: int


OwnRecords = PostgresRecords | CallRecords | FeedRecords


@dataclass(frozen=True, slots=True)
class RecordKind:
    """One kind of record that has a lifetime: its setting without `_retention_days`, and its name.

    `instant` is the column of a record's age; `tables` are its own and those that hang on it; `records` are made of
    the database and the name.
    """

    setting: str
    name: str
    instant: str
    tables: tuple[str, ...]
    records: Callable[[Database, str], OwnRecords]


def _by(forget: str) -> Callable[[Database, str], OwnRecords]:
    return partial(PostgresRecords, forget=forget)


#: Every kind: what is deleted, measured and shown is derived from it.
KINDS: Sequence[RecordKind] = (
    RecordKind("call", "calls", "called_at", ("api_calls",), CallRecords),
    RecordKind("feed", "changes of services", "changed_at", ("service_changes",), FeedRecords),
    RecordKind("plan", "plans", "created_at", ("sync_plans", "sync_actions"), _by(queries.FORGET_PLANS)),
    RecordKind("fact", "facts", "created_at", ("invalidations",), _by(queries.FORGET_FACTS)),
    RecordKind("quarantine", "quarantine", "last_seen_at", ("quarantine",), _by(queries.FORGET_RECORDS)),
    RecordKind("outcome", "creates in doubt", "opened_at", ("open_outcomes",), _by(queries.FORGET_OUTCOMES)),
    RecordKind("webhook", "deliveries", "received_at", ("webhook_inbox",), _by(queries.FORGET_DELIVERIES)),
    RecordKind(
        "finding", "changes to be delivered", "happened_at", ("webhook_findings",), _by(queries.FORGET_FINDINGS)
    ),
    RecordKind("cache_age", "ages of the cache", "hour", ("cache_ages",), _by(queries.FORGET_CACHE_AGES)),
)


def own_records(database: Database) -> dict[str, OwnRecords]:
    """Every kind of record that has a lifetime, by the name of its setting without `_retention_days`."""
    return {kind.setting: kind.records(database, kind.name) for kind in KINDS}


def dagster_check_records(database: Database) -> PostgresRecords:
    """Results of checks in Dagster's own database, which deleting a run leaves there."""
    return PostgresRecords(database, "Dagster's checks", forget=queries.FORGET_CHECKS)


class PostgresSizes:
    """What the records take."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sizes(self) -> list[Size]:
        """One size a kind."""
        with self._database.transaction("Measuring records") as cursor:
            return [_size(cursor, kind) for kind in KINDS]


def _size(cursor: Cursor, kind: RecordKind) -> Size:
    names = {"table": sql.Identifier(kind.tables[0]), "instant": sql.Identifier(kind.instant)}
    query = sql.SQL(statement(queries.SIZE)).format(**names)
    records, oldest, size = counts(cursor.execute(query, {"tables": list(kind.tables)}))
    return Size(kind.name, records, oldest, int(size))


def database_size(database: Database) -> int:
    """Bytes of a whole database."""
    with database.transaction("Measuring a database") as cursor:
        return int(counts(cursor.execute(queries.DATABASE_SIZE))[0])
