"""Schemas that tests take over from one another: making one takes fifty times as long as emptying it.

A schema that a test has changed (a table, a function, a right, a migration) is dropped, and so is one that is in use.
"""

from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg import sql

from calcom_pipeline.local.servers import ADMINISTRATOR

_T = TypeVar("_T")

# Whatever defines a schema, by the transaction that wrote it; emptying a table writes to pg_class alone.
_DEFINED = """
WITH here AS (SELECT %(schema)s::text::regnamespace::oid AS oid),
     relations AS (SELECT c.* FROM pg_class c, here WHERE c.relnamespace = here.oid)
SELECT md5(string_agg(one, ',' ORDER BY one)) FROM (
    SELECT concat_ws(' ', relname, relkind, relowner, relacl, reloptions) FROM relations WHERE relname !~ '^pg_'
    UNION ALL SELECT concat_ws(' ', attrelid, attname, a.xmin) FROM pg_attribute a JOIN relations r ON r.oid = attrelid
        WHERE relkind <> 'i'
    UNION ALL SELECT concat_ws(' ', t.oid, t.xmin) FROM pg_trigger t JOIN relations r ON r.oid = tgrelid
    UNION ALL SELECT concat_ws(' ', w.oid, w.xmin) FROM pg_rewrite w JOIN relations r ON r.oid = ev_class
    UNION ALL SELECT concat_ws(' ', d.oid, d.xmin) FROM pg_attrdef d JOIN relations r ON r.oid = adrelid
    UNION ALL SELECT concat_ws(' ', c.oid, c.xmin) FROM pg_constraint c, here WHERE connamespace = here.oid
    UNION ALL SELECT concat_ws(' ', p.oid, p.xmin) FROM pg_proc p, here WHERE pronamespace = here.oid
    UNION ALL SELECT concat_ws(' ', t.oid, t.typname) FROM pg_type t, here WHERE typnamespace = here.oid
        AND typname !~ '^_?pg_'
    UNION ALL SELECT nspacl::text FROM pg_namespace, here WHERE pg_namespace.oid = here.oid
) AS defined (one)"""
_MIGRATED = "SELECT version, checksum FROM {}.schema_migrations ORDER BY version"
_USED = """
SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relnamespace = to_regnamespace(%s)
AND relkind = 'r' AND relname <> 'schema_migrations' AND pg_relation_size(oid) > 0"""
_SEQUENCES = """
WITH ours AS MATERIALIZED (SELECT oid, relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind = 'S')
SELECT relname FROM ours WHERE pg_sequence_last_value(oid) IS NOT NULL"""
# Rows that are deleted stay in their pages. Up to here that costs less than new files for tables and indexes.
_SMALL_BYTES = 128 << 10
# No trigger of ours and no foreign key hears of it: a table is emptied in whatever order.
_SESSION = "SET session_replication_role = replica; SET client_min_messages = error"
_PATIENCE = "SELECT set_config('lock_timeout', %s, true)"
# Between tests: dropping a schema costs less than waiting longer for what still runs there.
PATIENCE_MS = 200


class Schemas:
    """The empty schemas of one worker, each as the migrations of this release leave it.

    All that is done to them goes over one connection: a new one costs the server more than what is asked over it.
    What holds a lock of a schema is waited for `patience_ms`.
    """

    def __init__(self, url: str, *, patience_ms: int = PATIENCE_MS) -> None:
        self._url = url
        self._patience = f"{patience_ms}ms"
        self._spare: list[str] = []
        self._defined: dict[str, tuple[object, ...]] = {}
        self._connection: psycopg.Connection | None = None

    def take(self) -> str | None:
        """The name of a spare schema, if there is one."""
        return self._spare.pop() if self._spare else None

    def is_made(self, name: str) -> bool:
        """Whether it is one that was taken."""
        return name in self._defined

    def keep(self, name: str) -> None:
        """This schema was just made: remember how it is defined."""
        self._defined[name] = self.ask(lambda connection: _definition(connection, name))

    def give_back(self, name: str) -> None:
        """Empty it for the next test, or drop it."""
        defined = self._defined.pop(name, None)
        if defined is not None and self.ask(lambda connection: self._emptied(connection, name, defined)):
            self._defined[name] = defined
            self._spare.append(name)
        else:
            self.ask(lambda connection: _drop(connection, name))

    def ask(self, question: Callable[[psycopg.Connection], _T]) -> _T:
        """Ask over the connection; over a new one if a test has ended it."""
        try:
            return question(self._connected())
        except (psycopg.OperationalError, psycopg.InterfaceError):
            if not self._connected().broken:
                raise
            self.close()
            return question(self._connected())

    def end(self) -> None:
        """Drop what is spare."""
        for name in self._spare:
            self.ask(lambda connection, name=name: _drop(connection, name))
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _emptied(self, connection: psycopg.Connection, name: str, defined: tuple[object, ...]) -> bool:
        """Whether it is as it was made, and empty now; not so if something still runs there."""
        try:
            with connection.transaction():
                connection.execute(_PATIENCE, (self._patience,))
                if _definition(connection, name) != defined:
                    return False
                _empty(connection, name)
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = psycopg.connect(self._url, user=ADMINISTRATOR, autocommit=True)
            self._connection.execute(_SESSION)
        return self._connection


def _definition(connection: psycopg.Connection, name: str) -> tuple[object, ...]:
    migrated = sql.SQL(_MIGRATED).format(sql.Identifier(name))
    try:
        with connection.transaction():
            defined = connection.execute(_DEFINED, {"schema": f'"{name}"'}).fetchall()
            return (*defined, *connection.execute(migrated).fetchall())
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return ()


def _empty(connection: psycopg.Connection, name: str) -> None:
    schema = f'"{name}"'
    used: dict[str, int] = dict(connection.execute(_USED, (schema,)).fetchall())
    tables = [sql.Identifier(name, table) for table in sorted(used)]
    if tables and max(used.values()) > _SMALL_BYTES:
        connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(tables)))
    elif tables:
        locked = sql.SQL("LOCK TABLE {}").format(sql.SQL(", ").join(tables))
        deleted = [sql.SQL("DELETE FROM {}").format(table) for table in tables]
        connection.execute(sql.SQL("; ").join([locked, *deleted]))
    for (sequence,) in connection.execute(_SEQUENCES, (schema,)).fetchall():
        connection.execute("SELECT setval(%s::text::regclass, 1, false)", (f'{schema}."{sequence}"',))


def _drop(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))
