"""Who runs the daemon of an instance: one claim in Dagster's own database, renewed by its holder.

A row and not a session's lock: behind a pooler a lock stays with whoever gets the session next.
"""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from calcom_pipeline.adapters.postgres.database import statement
from calcom_pipeline.adapters.postgres.failures import postgres_failures
from calcom_pipeline.adapters.postgres.pool import driver_url
from calcom_pipeline.adapters.process_identity import is_gone

#: A holder that has not renewed for this long has lost the claim, and knows it by its own clock.
LOST_SECONDS = 60
_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 10

_CREATE = """
CREATE TABLE calcom_daemon_claim (
    id integer PRIMARY KEY CHECK (id = 1),
    holder text NOT NULL,              -- a process, see adapters/process_identity.py
    renewed_at timestamptz NOT NULL DEFAULT now()
)"""
_HOLDER = "SELECT holder, renewed_at::text FROM calcom_daemon_claim"
_CLAIM = """
INSERT INTO calcom_daemon_claim AS claim (id, holder) VALUES (1, %(holder)s)
ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, renewed_at = now()
WHERE claim.holder IN (excluded.holder, %(gone)s) OR claim.renewed_at < now() - make_interval(secs => %(lost)s)
RETURNING 1"""
_RELEASE = "DELETE FROM calcom_daemon_claim WHERE holder = %(holder)s"


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of asking: ours, unless there is an `other`, whose last renewal `renewed` tells from its next one."""

    other: str | None = None
    renewed: str = ""
    from_the_dead: bool = False


class DaemonClaim:
    """The claim, in the database that `url` names. Every method raises StoreError when PostgreSQL is away."""

    def __init__(self, url: str) -> None:
        self._url = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

    def take(self, holder: str) -> Claim:
        """Take or renew it: at once from a process of this machine that is gone, from others after LOST_SECONDS."""
        with self._session("Claiming the daemon") as connection:
            other, renewed = connection.execute(_HOLDER).fetchone() or ("", "")
            gone = is_gone(other)
            values = {"holder": holder, "gone": other if gone else holder, "lost": LOST_SECONDS}
            if connection.execute(_CLAIM, values).rowcount:
                return Claim(from_the_dead=gone)
            return Claim(other=other, renewed=renewed)

    def release(self, holder: str) -> None:
        """Let go of it, if it is ours."""
        with self._session("Releasing the daemon") as connection:
            connection.execute(_RELEASE, {"holder": holder})

    @contextmanager
    def _session(self, doing: str) -> Generator[psycopg.Connection[Any]]:
        options: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "application_name": "calcom_pipeline daemon"}
        with postgres_failures(doing), psycopg.connect(self._url, **options) as connection:
            connection.execute(statement(f"SET LOCAL statement_timeout = '{_STATEMENT_SECONDS}s'"))
            found = connection.execute("SELECT to_regclass('calcom_daemon_claim') IS NOT NULL").fetchone()
            if not (found and found[0]):
                taken = suppress(errors.DuplicateTable, errors.UniqueViolation)  # another process was faster
                with taken, psycopg.connect(self._url, connect_timeout=_CONNECT_SECONDS) as making:
                    making.execute(_CREATE)
            yield connection
