"""The address of Dagster's own database, and the database itself where nobody named one.

Dagster opens its sessions itself, with what the address says; so the bounds that a driver and TCP know are written into
it. Time-outs of statements are not: they would be start-up options, which poolers refuse.
"""

from typing import Any
from urllib.parse import quote

from psycopg import errors, sql
from sqlalchemy.engine import URL

from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
from calcom_pipeline.adapters.postgres.failures import postgres_failures
from calcom_pipeline.adapters.postgres.pool import connect_options, driver_url
from calcom_pipeline.adapters.postgres.session import open_session
from calcom_pipeline.domain.errors import StoreError

_DRIVER = "postgresql+psycopg2"  # Dagster's NOTIFY with a bound parameter fails on SQLAlchemy's default driver
_SUFFIX = "_dagster"


def dagster_url(given: str, *, create: bool, bounds: DatabaseBounds | None = None) -> str:
    """The URL for Dagster's storage, with the driver it needs.

    With `create`, `given` is our own database's URL: Dagster's is `<name>_dagster` beside it, made if it is missing.

    Raises:
        StoreError: it is missing and may not be made; the advice says which statement an administrator runs.
    """
    url, bounds = driver_url(given), bounds or DatabaseBounds()
    if create:
        name = f"{url.database or 'calcom'}{_SUFFIX}"
        _ensure(connect_options(url), bounds, name)
        url = url.set(database=name)
    if url.host or "host" not in url.query:  # a socket's folder needs no bounds of TCP
        wanted = {name: str(value) for name, value in bounds.connection_options().items()}
        url = url.update_query_dict({name: v for name, v in wanted.items() if name not in url.query})
    return _quoted(url.set(drivername=_DRIVER))


def dagster_database(own_url: str, *, bounds: DatabaseBounds | None = None) -> str | None:
    """The URL of Dagster's database beside ours, if it has been made; nothing is made here.

    Raises:
        StoreError: our own database is away.
    """
    url, limits = driver_url(own_url), bounds or DatabaseBounds()
    name = f"{url.database or 'calcom'}{_SUFFIX}"
    with (
        postgres_failures("Looking for Dagster's database"),
        open_session(connect_options(url), limits) as connection,
    ):
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    return _quoted(url.set(database=name, drivername=_DRIVER)) if found else None


def require_database(url: str, *, bounds: DatabaseBounds | None = None) -> None:
    """Ask Dagster's database one question, before Dagster does: its own errors name neither cause nor cure.

    Raises:
        StoreError: it does not answer.
    """
    limits = bounds or DatabaseBounds()
    with (
        postgres_failures("Opening Dagster's database (DAGSTER_PG_URL)"),
        open_session(connect_options(driver_url(url)), limits) as connection,
    ):
        connection.execute("SELECT 1")


def _quoted(url: URL) -> str:
    """As a text for any reader: SQLAlchemy's own leaves blanks as they are, which libpq refuses."""
    plain = URL.create(url.drivername, host=url.host, port=url.port, query=url.query)
    scheme, rest = plain.render_as_string().split("://", maxsplit=1)
    address, _, query = rest.partition("?")
    user = quote(url.username, safe="") if url.username is not None else ""
    password = f":{quote(str(url.password), safe='')}" if url.password is not None else ""
    at = "@" if user or password else ""
    database = f"/{quote(url.database, safe='')}" if url.database is not None else ""
    return f"{scheme}://{user}{password}{at}{address.rstrip('/')}{database}" + (f"?{query}" if query else "")


def _ensure(options: dict[str, Any], bounds: DatabaseBounds, name: str) -> None:
    with postgres_failures("Preparing Dagster's database"), open_session(options, bounds) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return
        connection.patience_seconds = bounds.patience_seconds("write")
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except errors.DuplicateDatabase:
            return  # another process was faster
        except errors.InsufficientPrivilege:
            raise StoreError(
                f"Dagster needs a database of its own, and this user may not create {name}",
                advice=f'Have an administrator run CREATE DATABASE "{name}", or set DAGSTER_PG_URL.',
            ) from None
