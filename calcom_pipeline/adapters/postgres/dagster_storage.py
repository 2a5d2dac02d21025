"""The address of Dagster's own database, and the database itself where nobody named one."""

from typing import TYPE_CHECKING, cast

import psycopg
from psycopg import errors, sql

from calcom_pipeline.adapters.postgres.database import driver_url, postgres_failures
from calcom_pipeline.domain.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

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


def existing_dagster_url(given: str, *, beside: bool) -> str | None:
    """The same without making anything; None: the database beside ours (`beside`) is not there yet.

    Raises:
        StoreError: PostgreSQL is away.
    """
    url = driver_url(given)
    if beside:
        name = f"{url.database or 'calcom'}{_SUFFIX}"
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with (
            postgres_failures("Looking for Dagster's database"),
            psycopg.connect(plain, connect_timeout=_CONNECT_SECONDS) as connection,
        ):
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                return None
        url = url.set(database=name)
    return url.set(drivername=_DRIVER).render_as_string(hide_password=False)


def require_database(url: str) -> None:
    """Ask Dagster's database one question, before Dagster does: its own errors name neither cause nor cure.

    Raises:
        StoreError: it does not answer.
    """
    plain = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with (
        postgres_failures("Opening Dagster's database (DAGSTER_PG_URL)"),
        psycopg.connect(plain, connect_timeout=_CONNECT_SECONDS) as connection,
    ):
        connection.execute("SELECT 1")


def _ensure(own_url: str, name: str) -> None:
    with postgres_failures("Preparing Dagster's database"):
        plain: URL = driver_url(own_url).set(drivername="postgresql")
        with psycopg.connect(
            plain.render_as_string(hide_password=False), autocommit=True, connect_timeout=_CONNECT_SECONDS
        ) as connection:
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
