"""The address of Dagster's own database, and the database itself where nobody named one."""

from typing import cast

import psycopg
from psycopg import errors, sql

from calcom_pipeline.adapters.postgres.database import driver_url, postgres_failures
from calcom_pipeline.domain.errors import StoreError

_DRIVER = "postgresql+psycopg2"  # Dagster's NOTIFY with a bound parameter fails on SQLAlchemy's default driver
_SUFFIX = "_dagster"
_CONNECT_SECONDS = 5


def dagster_url(given: str, *, create: bool) -> str:
    """The URL for Dagster's storage, with the driver it needs.

    With `create`, `given` is our own database's URL: Dagster's is `<name>_dagster` beside it, made if it is missing.

    Raises:
        StoreError: it is missing and may not be made; the advice says which statement an administrator runs.
    """
    url = driver_url(given)
    if create:
        url = url.set(database=f"{url.database or 'calcom'}{_SUFFIX}")
        _ensure(given, cast("str", url.database))
    return url.set(drivername=_DRIVER).render_as_string(hide_password=False)


def dagster_database(own_url: str) -> str | None:
    """The URL of Dagster's database beside ours, if it has been made; nothing is made here.

    Raises:
        StoreError: our own database is away.
    """
    url = driver_url(own_url)
    url = url.set(database=f"{url.database or 'calcom'}{_SUFFIX}")
    with (
        postgres_failures("Looking for Dagster's database"),
        psycopg.connect(_plain(own_url), autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection,
    ):
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (url.database,)).fetchone()
    return url.set(drivername=_DRIVER).render_as_string(hide_password=False) if found else None


def _plain(own_url: str) -> str:
    return driver_url(own_url).set(drivername="postgresql").render_as_string(hide_password=False)


def _ensure(own_url: str, name: str) -> None:
    with (
        postgres_failures("Preparing Dagster's database"),
        psycopg.connect(_plain(own_url), autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection,
    ):
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except errors.DuplicateDatabase:
            return  # another process was faster
        except errors.InsufficientPrivilege:
            raise StoreError(
                f"Dagster needs a database of its own, and this user may not create {name}",
                advice=f'Have an administrator run CREATE DATABASE "{name}", or set DAGSTER_PG_URL.',
            ) from None
