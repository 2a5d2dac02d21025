"""One way to open PostgreSQL: SQLAlchemy keeps the pool, statements run on psycopg's cursors.

Every session speaks UTC and finds its tables through `search_path`, so that one database can hold several accounts.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString, cast

import psycopg
import sqlalchemy
from psycopg import errors, sql
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from calcom_pipeline.domain.errors import ConfigurationError, SchemaOutdated, StoreError

Cursor = psycopg.Cursor[Any]

_DRIVER = "postgresql+psycopg"
_CONNECT_SECONDS = 5
# A transaction of ours writes one page; one that idles for minutes belongs to a process that hangs.
_IDLE_IN_TRANSACTION = "10min"
_POOL_SIZE = 5


class Database:
    """A pool of connections to one schema. Close it, or use `open_database`."""

    def __init__(self, engine: Engine, schema: str, connect_args: Mapping[str, Any]) -> None:
        self.schema = schema
        self._engine = engine
        self._connect_args = connect_args

    @contextmanager
    def transaction(self, doing: str) -> Generator[Cursor]:
        """A cursor in a transaction that commits at the end of the block and rolls back on any error.

        `doing` starts the sentence of an error: "Storing bookings".

        Raises:
            StoreError: PostgreSQL is away, full, refuses, or its schema is not ours.
        """
        with postgres_failures(doing):
            pooled = self._engine.raw_connection()
            try:
                connection = cast("psycopg.Connection[Any]", pooled.driver_connection)
                with connection.cursor() as cursor:
                    yield cursor
                connection.commit()
            except BaseException:
                pooled.rollback()
                raise
            finally:
                pooled.close()

    @contextmanager
    def beside_the_pool(self, doing: str) -> Generator[Cursor]:
        """A cursor on a fresh connection, each statement its own transaction; the session ends with the block.

        Raises:
            StoreError: PostgreSQL is away or refuses.
        """
        with postgres_failures(doing):
            arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
            options = {**options, **self._connect_args, "autocommit": True}
            with psycopg.connect(*arguments, **options) as connection, connection.cursor() as cursor:
                yield cursor

    def server_version(self) -> int:
        """The major version of the server."""
        with self.transaction("Connecting to PostgreSQL") as cursor:
            return cursor.connection.info.server_version // 10_000

    def close(self) -> None:
        """Close the pool."""
        self._engine.dispose()


@contextmanager
def open_database(url: str, *, schema: str, application: str = "calcom_pipeline") -> Generator[Database]:
    """A pool that is open as long as the block; nothing is connected before the first transaction.

    Raises:
        ConfigurationError: when the URL cannot be understood.
    """
    connect_args = {"connect_timeout": _CONNECT_SECONDS, "application_name": application}
    engine = sqlalchemy.create_engine(
        driver_url(url), pool_size=_POOL_SIZE, pool_pre_ping=True, connect_args=connect_args
    )

    @event.listens_for(engine, "connect")
    def _session(connection: Any, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]  # SQLAlchemy calls it
        raw = cast("psycopg.Connection[Any]", connection)
        with raw.cursor() as cursor:
            # SET, not start-up options: connection poolers refuse those.
            cursor.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
            cursor.execute("SET TimeZone TO 'UTC'")
            cursor.execute(
                sql.SQL("SET idle_in_transaction_session_timeout TO {}").format(sql.Literal(_IDLE_IN_TRANSACTION))
            )
        raw.commit()

    database = Database(engine, schema, connect_args)
    try:
        yield database
    finally:
        database.close()


def driver_url(url: str) -> URL:
    """The URL with our driver, whichever of postgres://, postgresql:// or postgresql+x:// it came with."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(["DATABASE_URL is no postgresql:// address"]) from None
    if not parsed.drivername.startswith("postgres"):
        raise ConfigurationError([f"DATABASE_URL names {parsed.drivername}, but only PostgreSQL is supported"])
    return parsed.set(drivername=_DRIVER)


@contextmanager
def postgres_failures(doing: str) -> Generator[None]:
    """Name the driver's errors. Values of rows never get into the sentence: PostgreSQL puts them into DETAIL."""
    try:
        yield
    except SQLAlchemyError as error:
        origin = error.orig if isinstance(error, DBAPIError) else None
        raise _store_error(doing, origin or error) from None
    except psycopg.Error as error:
        raise _store_error(doing, error) from None


_ADVICE: tuple[tuple[type[BaseException], str, str], ...] = (
    (errors.DiskFull, "the disk of the database is full", "Make room; nothing was half-written."),
    (errors.InsufficientPrivilege, "the database user lacks the right", "Grant it, or use another DATABASE_URL."),
    (
        errors.InvalidSchemaName,
        "the schema is not there, or the database user may not use it",
        "Grant USAGE and CREATE on it, or correct CALCOM_DATABASE_SCHEMA.",
    ),
    (errors.InvalidPassword, "the database refuses the password", "Check DATABASE_URL."),
    (errors.InvalidAuthorizationSpecification, "the database refuses the user", "Check DATABASE_URL."),
    (errors.InvalidCatalogName, "the database does not exist", "Create it, or correct DATABASE_URL."),
    (errors.ReadOnlySqlTransaction, "the database is read-only", "Point DATABASE_URL at the primary server."),
    (errors.TooManyConnections, "the database has no connection left", "Try again, or raise max_connections."),
)


def _store_error(doing: str, error: BaseException) -> StoreError:
    for kind, sentence, advice in _ADVICE:
        if isinstance(error, kind):
            return StoreError(f"{doing}: {sentence}", advice=advice)
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn):
        return SchemaOutdated(f"{doing}: the schema lacks something", advice="Run `calcom-pipeline migrate`.")
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        text = str(error)
        for part, sentence in _CERTIFICATES.items():
            if part in text:
                return StoreError(f"{doing}: {sentence}", advice=_TRUST)
        return StoreError(f"{doing}: {_connection_trouble(error)}", advice="Check DATABASE_URL and the server.")
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return StoreError(f"{doing}: PostgreSQL refuses ({primary or type(error).__name__})")


# libpq's words for what is wrong with TLS.
_CERTIFICATES = {
    "certificate has expired": "the certificate of the database has expired",
    "certificate verify failed": "the certificate of the database is not trusted",
    "does not match host name": "the certificate of the database is for another host",
    "root certificate file": "there is no file of certificates that the database's could be checked against",
    "server does not support SSL": "the database does not speak TLS, but sslmode asks for it",
}
_TRUST = "Name the authority's file in DATABASE_URL: ?sslmode=verify-full&sslrootcert=/path/to/ca.pem."


def _connection_trouble(error: psycopg.OperationalError) -> str:
    """Errors before a session have no SQLSTATE, only text; it may hold host and user, never the password."""
    text = str(error)
    known = {
        "password authentication failed": "the database refuses the password",
        "does not exist": "the database or its user does not exist",
        "refused": "nothing listens at the address of the database",
        "could not translate host name": "the host name of the database is unknown",
        "failed to resolve host": "the host name of the database is unknown",
        "timeout": "the database did not answer in time",
        "No such file": "nothing listens at the address of the database",
    }
    return next((said for part, said in known.items() if part in text), "the connection to the database broke")


def statement(text: str) -> LiteralString:
    """Marks a constant of `queries.py`, or a file of ours, as a statement: no value ever gets into it."""
    return cast("LiteralString", text)
