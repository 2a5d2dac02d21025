"""Sessions that are kept for the next transaction. Those of several schemas may share them: a transaction says its own.

SQLAlchemy keeps the pool. A process that serves a hundred accounts of one server needs as many sessions as it has
transactions at once, and no more.
"""

import time
from threading import Lock
from typing import TYPE_CHECKING, Any, Self, cast

import psycopg
from psycopg import sql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
from calcom_pipeline.adapters.postgres.session import ServerLeftAlone, Session, open_session
from calcom_pipeline.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_DRIVER = "postgresql+psycopg"
_POOL_SIZE = 5
# Longest wait for a connection of this process's own pool: its other threads hold them for a page each.
_POOL_SECONDS = 30.0


class SessionPool:
    """Sessions of one server. Close it; a session that is in use is closed by its user."""

    def __init__(self, options: dict[str, Any], bounds: DatabaseBounds) -> None:
        self._options = options
        self._bounds = bounds
        opened = cast("Callable[[], Any]", self.opened)
        self._pool = QueuePool(opened, pool_size=_POOL_SIZE, timeout=_POOL_SECONDS)
        # Connections that were opened earlier are not used again: one of them has turned out to be dead.
        self._trusted_from = 0.0
        self._left_alone_until = float("-inf")
        self._closed = False

    def opened(self) -> Session:
        """A new session, beside those that are kept. Raises what `open_session` does, and ServerLeftAlone."""
        left = self._left_alone_until - time.monotonic()
        if left > 0:
            raise ServerLeftAlone(left)
        try:
            return open_session(self._options, self._bounds)
        except psycopg.OperationalError:
            self._leave_alone()
            raise

    def begun(
        self, beginning: sql.Composed, *, answer_seconds: float, patience_seconds: float
    ) -> PoolProxiedConnection:
        """A session in a transaction. Beginning one is the look whether a kept session still lives."""
        while True:
            pooled = self._pool.connect()
            session = cast("Session", pooled.driver_connection)
            if session.opened_at < self._trusted_from:
                pooled.invalidate()
                continue
            try:
                session.begin(beginning, answer_seconds=answer_seconds, patience_seconds=patience_seconds)
            except psycopg.OperationalError:
                pooled.invalidate()
                if not session.was_used:
                    self._leave_alone()
                    raise
                self._trusted_from = time.monotonic()
            except BaseException:
                pooled.invalidate()
                raise
            else:
                return pooled

    def take_back(self, pooled: PoolProxiedConnection) -> None:
        """Its transaction is over."""
        if self._closed or cast("Session", pooled.driver_connection).closed:
            pooled.invalidate()
        pooled.close()

    def close(self) -> None:
        """End the sessions that nobody uses now."""
        self._closed = True
        self._pool.dispose()

    def _leave_alone(self) -> None:
        self._left_alone_until = time.monotonic() + self._bounds.pause_seconds


class SessionPools:
    """A pool for each server and each way of waiting for it; open as long as the block, or until it is closed."""

    def __init__(self) -> None:
        self._pools: dict[object, SessionPool] = {}
        self._guard = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the sessions that nobody uses now."""
        for pool in self._pools.values():
            pool.close()

    def pool(
        self, url: str, bounds: DatabaseBounds | None = None, *, application: str = "calcom_pipeline"
    ) -> SessionPool:
        """The one of this server; nothing is connected yet. Safe to use from several threads.

        Raises:
            ConfigurationError: when the URL cannot be understood.
        """
        bounds = bounds or DatabaseBounds()
        options = {"application_name": application, **connect_options(url)}
        key = (*sorted(options.items()), bounds.connect_seconds, bounds.answer_seconds, bounds.pause_seconds)
        with self._guard:
            if key not in self._pools:
                self._pools[key] = SessionPool(options, bounds)
            return self._pools[key]


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
