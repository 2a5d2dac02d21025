"""Looking into tables: a query, or every value of every table as text for tests of what must not be there."""

from typing import Any

import psycopg
from psycopg import sql

from calcom_pipeline.adapters.postgres.database import Database, statement


def fetch(database: Database, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query that a test has written."""
    with database.transaction("Testing") as cursor:
        cursor.execute(statement(query))
        return cursor.fetchall()


def ask(database: Database, query: str = "SELECT 1") -> Any:
    """The first value of a query that only reads."""
    with database.transaction("Testing", "read") as cursor:
        return cursor.execute(query).fetchall()[0][0]


def dumped(database_url: str, schema: str) -> str:
    """All rows of all tables, one a line; binary columns as text where they are one."""
    lines: list[str] = []
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,)).fetchall()
        for (table,) in tables:
            name = sql.Identifier(schema, table)
            lines += [row[0] for row in connection.execute(sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(name))]
        raw = sql.SQL("SELECT raw FROM {}").format(sql.Identifier(schema, "quarantine"))
        lines += [bytes(row[0]).decode(errors="replace") for row in connection.execute(raw)]
    return "\n".join(lines)
