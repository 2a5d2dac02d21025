"""A session of PostgreSQL as we use it: nothing is kept on it, and no wait for its server is without an end.

What a transaction needs (`search_path`, zone, time-outs) is set LOCAL by its own beginning. A pooler in transaction
mode may therefore put another server session under every transaction, of any account, and no account ever reads
through what another has set. For the same reason nothing is prepared on the server and no lock outlives a transaction.
"""

import time
from typing import Any, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.abc import PQGen

from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds, Work
from calcom_pipeline.domain.errors import StoreError

_ENCODING = "UTF8"
_LOOK_SECONDS = 0.1  # how often psycopg looks up from a wait, for Ctrl-C
_Answer = TypeVar("_Answer")


class PeerSilent(psycopg.OperationalError):
    """The server did not answer for `seconds`; the connection is closed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.seconds = seconds


class ServerLeftAlone(psycopg.OperationalError):
    """No connection could be made a moment ago, so the server was not asked; it is again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"left alone for another {seconds:.1f} s")


class Session(psycopg.Connection[Any]):
    """A connection whose every wait ends after `patience_seconds`."""

    patience_seconds = 10.0
    was_used = False
    opened_at = 0.0

    def wait(self, gen: PQGen[_Answer], interval: float = _LOOK_SECONDS, timeout: float | None = None) -> _Answer:
        """As psycopg's, with an end. Raises PeerSilent past it."""
        longest = self.patience_seconds if timeout is None else timeout
        try:
            return super().wait(gen, interval, longest)
        except errors._WaitTimeout:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # psycopg names no public one
            self.pgconn.finish()
            raise PeerSilent(longest) from None

    def begin(self, beginning: sql.Composed, *, answer_seconds: float, patience_seconds: float) -> None:
        """Begin a transaction; `beginning` is all of it in one message, which a living server answers at once."""
        self.patience_seconds = answer_seconds
        with self.cursor() as cursor:
            cursor.execute(beginning)
        self.patience_seconds, self.was_used = patience_seconds, True


def open_session(options: dict[str, Any], bounds: DatabaseBounds) -> Session:
    """A new session; `options` are psycopg's, and win over what the bounds say.

    Raises:
        StoreError: the database has another encoding than UTF8.
        psycopg.Error: it does not come about.
    """
    wanted: dict[str, Any] = {**bounds.connection_options(), **options, "client_encoding": _ENCODING}
    session = Session.connect(**wanted, autocommit=True, prepare_threshold=None)
    session.patience_seconds, session.opened_at = bounds.answer_seconds, time.monotonic()
    encoding = session.info.parameter_status("server_encoding")
    if encoding != _ENCODING:
        session.close()
        raise StoreError(
            f"The database is encoded in {encoding}; only {_ENCODING} holds every name that Cal.com knows",
            advice=f"Make one with CREATE DATABASE ... ENCODING '{_ENCODING}' TEMPLATE template0, and name it in "
            "DATABASE_URL.",
        )
    return session


def beginning(schema: str, bounds: DatabaseBounds, work: Work) -> sql.Composed:
    """What begins a transaction of such work: one message, without parameters."""
    return _beginning(schema, bounds.statement_seconds(work), bounds.longest_lock_seconds(work), bounds.idle_seconds)


def beginning_of_a_lock(schema: str, bounds: DatabaseBounds) -> sql.Composed:
    """What begins a transaction that holds a lock for others, and idles meanwhile as long as their work takes."""
    begun = _beginning(schema, bounds.read_seconds, bounds.lock_seconds, 0)
    # A server before PostgreSQL 17 has no such bound.
    unbounded = "; SELECT set_config(name, '0', true) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'"
    return sql.Composed([begun, sql.SQL(unbounded)])


def _beginning(schema: str, statement_seconds: float, lock_seconds: float, idle_seconds: float) -> sql.Composed:
    # A database's own default may be a stricter isolation, under which our locks would not be enough.
    # One question about all of it costs half of what as many SET LOCAL do.
    return sql.SQL(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT set_config('search_path', {}, true), "
        "set_config('TimeZone', 'UTC', true), set_config('statement_timeout', {}, true), "
        "set_config('lock_timeout', {}, true), set_config('idle_in_transaction_session_timeout', {}, true)"
    ).format(
        sql.Literal('"' + schema.replace('"', '""') + '"'),
        *(sql.Literal(_ms(seconds)) for seconds in (statement_seconds, lock_seconds, idle_seconds)),
    )


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))
