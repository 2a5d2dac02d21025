"""Locks across processes. Each goes with a transaction, so a killed process leaves none, and no pooler keeps one."""

import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement
from calcom_pipeline.domain.errors import StoreError

_LOOK_AGAIN_SECONDS = 0.1
_LOCK_KEY = "SELECT pg_try_advisory_xact_lock(hashtextextended(%(schema)s || ' key ' || %(key)s, 0))"

_log = event_logger("locks")


def taken(cursor: Cursor, query: str, values: Mapping[str, str] | None = None, *, wait_seconds: float) -> bool:
    """Ask for a transaction's lock until it is granted; False when the wait is over."""
    deadline = time.monotonic() + wait_seconds
    while True:
        if cursor.execute(statement(query), values).fetchall()[0][0]:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)


class PostgresKeyLocks:
    """A lock per key of a caller. `wait_seconds`: how long somebody else is waited for.

    Each takes a connection beside the pool: a dead connection of the pool, or a pool that is used up by those who wait,
    must not hold up what is done under the lock.
    """

    def __init__(self, database: Database, *, wait_seconds: float) -> None:
        self._database = database
        self._wait_seconds = wait_seconds

    @contextmanager
    def holding(self, key: str) -> Generator[bool]:
        """Nobody else holds this key during the block; False when somebody does, still."""
        with ExitStack() as stack:
            try:
                granted = self._ask(key, stack)
            except StoreError as error:
                _log.warning("key_not_locked", reason=str(error))
                granted = True
            yield granted

    def _ask(self, key: str, stack: ExitStack) -> bool:
        values = {"schema": self._database.schema, "key": key}
        with ExitStack() as session:
            cursor = session.enter_context(self._database.beside_the_pool("Locking a key"))
            granted = taken(cursor, _LOCK_KEY, values, wait_seconds=self._wait_seconds)
            stack.push(session.pop_all())
        return granted
