"""One way to open PostgreSQL: SQLAlchemy keeps the pool, statements run on psycopg's cursors, always in a transaction.

Each transaction says itself which schema it means, so one database can hold several accounts, behind a pooler too; see
`session.py`. Each names the kind of its work, which bounds what is waited for; see `bounds.py`.
"""

import functools
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Concatenate, LiteralString, ParamSpec, Protocol, TypeVar, cast

import backoff
import psycopg
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.adapters.postgres.bounds import WORKS, DatabaseBounds, Work
from calcom_pipeline.adapters.postgres.failures import commit_failures, postgres_failures
from calcom_pipeline.adapters.postgres.session import Session, beginning, beginning_of_a_lock, open_session
from calcom_pipeline.domain.errors import ConfigurationError, StoreConflict

Cursor = psycopg.Cursor[Any]

_DRIVER = "postgresql+psycopg"
_POOL_SIZE = 5
# Longest wait for a connection of this process's own pool: its other threads hold them for a page each.
_POOL_SECONDS = 30.0
# Whoever lost against another transaction tries again after a moment of up to so long, doubled each time.
_CONFLICT_SECONDS = 0.1

_log = event_logger("database")


class Database:
    """A pool of connections to one schema. Close it, or use `open_database`."""

    def __init__(self, options: dict[str, Any], schema: str, bounds: DatabaseBounds) -> None:
        self.schema = schema
        self.bounds = bounds
        self._options = options
        opened = cast("Callable[[], Any]", self._opened)
        self._pool = QueuePool(opened, pool_size=_POOL_SIZE, timeout=_POOL_SECONDS)
        self._beginnings = {work: beginning(schema, bounds, work) for work in WORKS}
        # Connections that were opened earlier are not used again: one of them has turned out to be dead.
        self._trusted_from = 0.0
        self._closed = False

    @contextmanager
    def transaction(self, doing: str, work: Work = "write") -> Generator[Cursor]:
        """A cursor in a transaction that commits at the end of the block and rolls back on any error.

        `doing` starts the sentence of an error: "Storing bookings". `work` says how long may be waited.

        Raises:
            StoreError: PostgreSQL is away, full, refuses, takes too long, or its schema is not ours.
        """
        with postgres_failures(doing, work):
            pooled = self._begun(work)
            session = cast("Session", pooled.driver_connection)
            try:
                with session.cursor() as cursor:
                    yield cursor
                with commit_failures(doing):
                    session.commit()
            except Exception:
                self._roll_back(session)
                raise
            except BaseException:  # whoever is interrupted waits for no server; it rolls back by itself
                session.close()
                raise
            finally:
                if self._closed or session.closed:
                    pooled.invalidate()
                pooled.close()

    @contextmanager
    def beside_the_pool(self, doing: str) -> Generator[Cursor]:
        """A cursor on a fresh connection, in one transaction for the whole block, which may idle: made for locks.

        It is rolled back at the end of the block. That the connection ended before is no error by then.

        Raises:
            StoreError: PostgreSQL is away or refuses.
        """
        with postgres_failures(doing):
            session = self._opened()
            try:
                bounds = self.bounds
                session.begin(
                    beginning_of_a_lock(self.schema, bounds),
                    answer_seconds=bounds.answer_seconds,
                    patience_seconds=bounds.patience_seconds("read"),
                )
                with session.cursor() as cursor:
                    yield cursor
            finally:
                if session.closed or not self._roll_back(session):
                    _log.warning("session_ended_early", doing=doing)
                session.close()

    def server_version(self) -> int:
        """The major version of the server."""
        with self.transaction("Connecting to PostgreSQL", "read") as cursor:
            return cursor.connection.info.server_version // 10_000

    def behind_pooler(self) -> bool:
        """Whether the session that answers is another one than we were greeted by."""
        with self.transaction("Connecting to PostgreSQL", "read") as cursor:
            found = cursor.execute("SELECT pg_backend_pid()").fetchall()
            return found[0][0] != cursor.connection.info.backend_pid

    def close(self) -> None:
        """Close the pool; a connection that is in use is closed by its user."""
        self._closed = True
        self._pool.dispose()

    # --- inside ------------------------------------------------------------------------------------------

    def _opened(self) -> Session:
        return open_session(self._options, self.bounds)

    def _begun(self, work: Work) -> PoolProxiedConnection:
        """A connection in a transaction. Beginning one is the look whether a pooled connection still lives."""
        bounds = self.bounds
        while True:
            pooled = self._pool.connect()
            session = cast("Session", pooled.driver_connection)
            if session.opened_at < self._trusted_from:
                pooled.invalidate()
                continue
            try:
                session.begin(
                    self._beginnings[work],
                    answer_seconds=bounds.answer_seconds,
                    patience_seconds=bounds.patience_seconds(work),
                )
            except psycopg.OperationalError:
                pooled.invalidate()
                if not session.was_used:
                    raise
                self._trusted_from = time.monotonic()
            except BaseException:
                pooled.invalidate()
                raise
            else:
                return pooled

    def _roll_back(self, session: Session) -> bool:
        """Roll back, if the server still answers; else close, which comes to the same."""
        session.patience_seconds = self.bounds.answer_seconds
        with suppress(psycopg.Error):
            session.rollback()
            return True
        session.close()
        return False


@contextmanager
def open_database(
    url: str, *, schema: str, application: str = "calcom_pipeline", bounds: DatabaseBounds | None = None
) -> Generator[Database]:
    """A pool that is open as long as the block; nothing is connected before the first transaction.

    Raises:
        ConfigurationError: when the URL cannot be understood.
    """
    database = Database({"application_name": application, **connect_options(url)}, schema, bounds or DatabaseBounds())
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


def connect_options(url: str | URL) -> dict[str, Any]:
    """What psycopg gets of a URL: part by part, so that nothing in them has to be quoted for anybody."""
    parsed = driver_url(url) if isinstance(url, str) else url
    dialect: Any = PGDialect_psycopg()
    return dict(dialect.create_connect_args(parsed)[1])


def statement(text: str) -> LiteralString:
    """Marks a constant of `queries.py`, or a file of ours, as a statement: no value ever gets into it."""
    return cast("LiteralString", text)


class _HasDatabase(Protocol):
    _database: Database


_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Store = TypeVar("_Store", bound=_HasDatabase)


def tried_again(
    method: Callable[Concatenate[_Store, _Parameters], _Result],
) -> Callable[Concatenate[_Store, _Parameters], _Result]:
    """For methods of stores that are one transaction: one that lost against another is tried again after a moment.

    Raises StoreConflict once `bounds.attempts` of them have lost.
    """

    @functools.wraps(method)
    def trying(self: _Store, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        attempts = self._database.bounds.attempts  # pyright: ignore[reportPrivateUsage]
        patient = backoff.on_exception(
            backoff.expo, StoreConflict, max_tries=attempts, factor=_CONFLICT_SECONDS, logger=None
        )
        return patient(method)(self, *args, **kwargs)

    return trying
