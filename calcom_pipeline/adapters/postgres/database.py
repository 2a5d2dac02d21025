"""One way to open PostgreSQL: statements run on psycopg's cursors, always in a transaction, on a session of a pool.

Each transaction says itself which schema it means, so one database can hold several accounts, behind a pooler too; see
`session.py`. Each names the kind of its work, which bounds what is waited for; see `bounds.py`.
"""

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Concatenate, LiteralString, ParamSpec, Protocol, TypeVar, cast

import backoff
import psycopg

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.adapters.postgres.bounds import WORKS, DatabaseBounds, Work
from calcom_pipeline.adapters.postgres.failures import commit_failures, postgres_failures
from calcom_pipeline.adapters.postgres.pool import SessionPool, SessionPools
from calcom_pipeline.adapters.postgres.session import Session, beginning, beginning_of_a_lock
from calcom_pipeline.domain.errors import StoreConflict

Cursor = psycopg.Cursor[Any]

# Whoever lost against another transaction tries again after a moment of up to so long, doubled each time.
_CONFLICT_SECONDS = 0.1

_log = event_logger("database")


class Database:
    """One schema, on the sessions of a pool that other schemas may use as well. `open_database` opens one alone."""

    def __init__(self, pool: SessionPool, schema: str, bounds: DatabaseBounds) -> None:
        self.schema = schema
        self.bounds = bounds
        self._pool = pool
        self._beginnings = {work: beginning(schema, bounds, work) for work in WORKS}

    @contextmanager
    def transaction(self, doing: str, work: Work = "write") -> Generator[Cursor]:
        """A cursor in a transaction that commits at the end of the block and rolls back on any error.

        `doing` starts the sentence of an error: "Storing bookings". `work` says how long may be waited.

        Raises:
            StoreError: PostgreSQL is away, full, refuses, takes too long, or its schema is not ours.
        """
        with postgres_failures(doing, work):
            pooled = self._pool.begun(
                self._beginnings[work],
                answer_seconds=self.bounds.answer_seconds,
                patience_seconds=self.bounds.patience_seconds(work),
            )
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
                self._pool.take_back(pooled)

    @contextmanager
    def beside_the_pool(self, doing: str) -> Generator[Cursor]:
        """A cursor on a fresh connection, in one transaction for the whole block, which may idle: made for locks.

        It is rolled back at the end of the block. That the connection ended before is no error by then.

        Raises:
            StoreError: PostgreSQL is away or refuses.
        """
        with postgres_failures(doing):
            session = self._pool.opened()
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

    # --- inside ------------------------------------------------------------------------------------------

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
    bounds = bounds or DatabaseBounds()
    with SessionPools() as pools:
        yield Database(pools.pool(url, bounds, application=application), schema, bounds)


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
