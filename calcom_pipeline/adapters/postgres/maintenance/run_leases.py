"""Leases of runs: who executes which run, renewed by the processes themselves again and again.

The table lies in Dagster's own database, beside the runs it speaks of: several accounts, and several machines, may
share one instance. Every call is one short connection and one transaction, so that leases survive a fail-over and work
behind any pooler. All instants are the server's: clocks of machines do not matter.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import class_row

from calcom_pipeline.adapters.postgres.database import statement
from calcom_pipeline.adapters.postgres.failures import postgres_failures
from calcom_pipeline.adapters.postgres.pool import driver_url

_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 10  # these are statements on a few rows: one that takes longer waits for something
#: Kept so that a process which was taken for dead, and lives, learns of it.
_TAKEN_KEPT = "1 day"
#: A reaper that took a run and died before it could report it is no longer waited for.
_REAPER_SECONDS = 30

_CREATE = """
CREATE TABLE calcom_run_leases (
    run_id text NOT NULL,
    holder text NOT NULL,              -- a process, see defs/leases.py; '' stands for "nobody said so"
    renewed_at timestamptz NOT NULL DEFAULT now(),
    suspected_at timestamptz,          -- found silent for too long; any renewal takes it back
    taken_at timestamptz,              -- a reaper took the run away from its holders
    PRIMARY KEY (run_id, holder)
)"""
_RENEW = """
INSERT INTO calcom_run_leases AS lease (run_id, holder) VALUES (%(run)s, %(holder)s)
ON CONFLICT (run_id, holder) DO UPDATE SET renewed_at = now(), suspected_at = NULL WHERE lease.taken_at IS NULL
RETURNING 1"""
_RELEASE = "DELETE FROM calcom_run_leases WHERE run_id = %(run)s AND holder = %(holder)s AND taken_at IS NULL"
# A run that nobody ever held gets a row to be silent in, so that it has the same time as any other.
_NOTE_UNHELD = """
INSERT INTO calcom_run_leases (run_id, holder)
SELECT run, '' FROM unnest(%(runs)s::text[]) AS run
WHERE NOT EXISTS (SELECT 1 FROM calcom_run_leases WHERE run_id = run AND holder <> '' AND taken_at IS NULL)
ON CONFLICT (run_id, holder) DO NOTHING"""
_SUSPECT = """
UPDATE calcom_run_leases SET suspected_at = now()
WHERE suspected_at IS NULL AND taken_at IS NULL AND renewed_at < now() - make_interval(secs => %(silent)s)"""
_ALL = """
SELECT run_id, holder, renewed_at, extract(epoch FROM now() - renewed_at)::float8 AS silent_seconds,
       extract(epoch FROM now() - suspected_at)::float8 AS suspected_seconds, taken_at IS NOT NULL AS taken
FROM calcom_run_leases ORDER BY run_id, holder"""
# Nothing is taken that was renewed since it was judged, nor what another reaper is about to report.
_TAKE = """
WITH mine AS (SELECT holder FROM calcom_run_leases WHERE run_id = %(run)s FOR UPDATE)
UPDATE calcom_run_leases SET taken_at = now()
WHERE run_id = %(run)s AND (SELECT count(*) FROM mine) > 0 AND NOT EXISTS (
    SELECT 1 FROM calcom_run_leases AS other WHERE other.run_id = %(run)s
    AND (other.renewed_at > %(judged)s OR other.taken_at > now() - make_interval(secs => %(reaper)s)))
RETURNING 1"""
_FORGET = f"""
DELETE FROM calcom_run_leases WHERE run_id = ANY(%(runs)s)
AND (taken_at IS NULL OR taken_at < now() - interval '{_TAKEN_KEPT}')"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Lease:
    """One process's word that it executes a run. `suspected_seconds`: since it was first found silent, if it is."""

    run_id: str
    holder: str
    renewed_at: datetime
    silent_seconds: float
    suspected_seconds: float | None
    taken: bool


class RunLeases:
    """The table, in the database that `url` (any PostgreSQL driver's) names; made when it is first written to.

    Every method raises StoreError when PostgreSQL is away or refuses.
    """

    def __init__(self, url: str) -> None:
        self._url = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

    def renew(self, run_id: str, holder: str) -> bool:
        """Say that `holder` executes the run; False: the run was taken from it, and may run elsewhere by now."""
        return bool(self._write("Renewing a run's lease", _RENEW, {"run": run_id, "holder": holder}))

    def release(self, run_id: str, holder: str) -> None:
        """Say that it does no longer."""
        self._write("Releasing a run's lease", _RELEASE, {"run": run_id, "holder": holder})

    def look(self, unheld: Sequence[str], *, silent_seconds: float) -> list[Lease]:
        """All leases, those silent for that long marked as suspected; runs of `unheld` that have none get one."""
        with self._session("Looking at the leases of runs") as connection:
            connection.execute(_NOTE_UNHELD, {"runs": list(unheld)})
            connection.execute(_SUSPECT, {"silent": silent_seconds})
            return connection.cursor(row_factory=class_row(Lease)).execute(_ALL).fetchall()

    def read(self) -> list[Lease]:
        """All leases; nothing is marked or made."""
        with self._session("Reading the leases of runs", make=False) as connection:
            try:
                return connection.cursor(row_factory=class_row(Lease)).execute(_ALL).fetchall()
            except errors.UndefinedTable:
                return []

    def take(self, run_id: str, *, judged: datetime) -> bool:
        """Take a run from its holders; False: one of them renewed after `judged`, or another reaper was faster."""
        values = {"run": run_id, "judged": judged, "reaper": _REAPER_SECONDS}
        return bool(self._write("Taking a dead run", _TAKE, values))

    def forget(self, run_ids: Sequence[str]) -> None:
        """Drop the leases of runs that have ended."""
        self._write("Dropping leases of ended runs", _FORGET, {"runs": list(run_ids)})

    def _write(self, doing: str, query: str, values: dict[str, Any]) -> int:
        with self._session(doing) as connection:
            return connection.execute(statement(query), values).rowcount

    @contextmanager
    def _session(self, doing: str, *, make: bool = True) -> Generator[psycopg.Connection[Any]]:
        options: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "application_name": "calcom_pipeline leases"}
        with postgres_failures(doing), psycopg.connect(self._url, **options) as connection:
            connection.execute(statement(f"SET LOCAL statement_timeout = '{_STATEMENT_SECONDS}s'"))
            if make and not _exists(connection):
                self._make()
            yield connection

    def _make(self) -> None:
        taken = suppress(errors.DuplicateTable, errors.UniqueViolation)  # another process was faster
        with taken, psycopg.connect(self._url, connect_timeout=_CONNECT_SECONDS) as connection:
            connection.execute(_CREATE)


def _exists(connection: psycopg.Connection[Any]) -> bool:
    found = connection.execute("SELECT to_regclass('calcom_run_leases') IS NOT NULL").fetchone()
    return bool(found and found[0])
