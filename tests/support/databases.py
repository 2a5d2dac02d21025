"""Databases that are one test's alone, beside the shared one."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from calcom_pipeline import local
from tests.support.waiting import until


@contextmanager
def own_database(servers: local.Servers, name: str, *, options: str = "") -> Generator[str]:
    """Its URL. At the end of the block it is dropped whoever uses it, and its `_dagster` with it if there is one.

    `options` are those of CREATE DATABASE.
    """
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), sql.SQL(options)))
        try:
            yield servers.database_url.replace("@/calcom?", f"@/{name}?")
        finally:
            for each in (f"{name}_dagster", name):
                until(lambda each=each: _dropped(connection, each), what=f"the end of the database {each}")


def _dropped(connection: psycopg.Connection, name: str) -> bool:
    """False while PostgreSQL vacuums there by itself: only its superuser may end that."""
    try:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True
