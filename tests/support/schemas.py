"""Schemas that tests take over from one another: making one takes ten times as long as emptying it.

A schema that a test has changed (a table, a function, a right, a migration) is dropped, and so is one that is in use.
"""

from collections.abc import Sequence

import psycopg
from psycopg import sql

# Whatever defines a schema, by the transaction that wrote it; emptying a table writes to pg_class alone.
_DEFINED = """
WITH here AS (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s),
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
    UNION ALL SELECT nspacl::text FROM pg_namespace WHERE nspname = %(schema)s
    UNION ALL SELECT concat_ws(' ', version, checksum) FROM {schema}.schema_migrations
) AS defined (one)"""
_FILLED = """
SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
AND relkind = 'r' AND relname <> 'schema_migrations' AND pg_relation_size(oid) > 0"""
_SEQUENCES = """
SELECT sequencename FROM pg_sequences WHERE schemaname = %s AND last_value IS NOT NULL"""
_PATIENCE = "SET lock_timeout = '200ms'"


class Schemas:
    """The empty schemas of one worker, each as the migrations of this release leave it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._spare: list[str] = []
        self._defined: dict[str, str] = {}

    def take(self) -> str | None:
        """The name of a spare schema, if there is one."""
        return self._spare.pop() if self._spare else None

    def is_made(self, name: str) -> bool:
        """Whether it is one that was taken."""
        return name in self._defined

    def keep(self, name: str) -> None:
        """This schema was just made: remember how it is defined."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            self._defined[name] = _definition(connection, name)

    def give_back(self, name: str) -> None:
        """Empty it for the next test, or drop it."""
        defined = self._defined.pop(name, None)
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(_PATIENCE)
            try:
                if defined is not None and _definition(connection, name) == defined:
                    _empty(connection, name)
                    self._defined[name] = defined
                    self._spare.append(name)
                    return
            except psycopg.errors.LockNotAvailable:
                pass  # something still runs there
            connection.execute("RESET lock_timeout")
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))

    def end(self) -> None:
        """Drop what is spare."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            for name in self._spare:
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


def _definition(connection: psycopg.Connection, name: str) -> str:
    query = sql.SQL(_DEFINED).format(schema=sql.Identifier(name))
    try:
        return str(connection.execute(query, {"schema": name}).fetchall()[0][0])
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return "none"


def _empty(connection: psycopg.Connection, name: str) -> None:
    filled = _names(connection, _FILLED, name)
    if filled:
        tables = sql.SQL(", ").join(sql.Identifier(name, table) for table in filled)
        connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(tables))
    for sequence in _names(connection, _SEQUENCES, name):
        connection.execute(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(name, sequence)))


def _names(connection: psycopg.Connection, query: str, schema: str) -> Sequence[str]:
    return [str(name) for (name,) in connection.execute(query, (schema,)).fetchall()]
