"""Runs in progress and slots of pools, read from Dagster's own tables (of the pinned release). Nothing is written.

Loading Dagster takes seconds, which `doctor` and `runs` would spend for two questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import class_row

from calcom_pipeline.adapters.postgres.database import statement
from calcom_pipeline.adapters.postgres.failures import postgres_failures
from calcom_pipeline.adapters.postgres.maintenance.run_leases import Lease, RunLeases
from calcom_pipeline.adapters.postgres.pool import driver_url
from calcom_pipeline.adapters.process_identity import is_gone
from calcom_pipeline.domain.maintenance.liveness import LoopProgress, SlotHolder

_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 10
# Instants without a zone there are UTC.
_RUNS = """
SELECT run_id, pipeline_name AS job, status,
       extract(epoch FROM now() AT TIME ZONE 'UTC' - update_timestamp)::float8 AS age_seconds
FROM runs WHERE status IN ('NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING') ORDER BY create_timestamp"""
_SLOTS = """
SELECT slot.concurrency_key AS pool, slot.run_id, slot.step_key AS step, coalesce(run.status, 'DELETED') AS status,
       extract(epoch FROM now() AT TIME ZONE 'UTC' - run.update_timestamp)::float8 AS age_seconds
FROM concurrency_slots AS slot LEFT JOIN runs AS run USING (run_id)
WHERE slot.run_id IS NOT NULL AND NOT slot.deleted ORDER BY 1, 2"""


@dataclass(frozen=True, slots=True)
class _Run:
    run_id: str
    job: str
    status: str
    age_seconds: float


def runs_in_progress(url: str) -> list[LoopProgress]:
    """Every run that has not ended, with what is known of its processes; empty where Dagster has not run yet.

    Raises:
        StoreError: PostgreSQL is away.
    """
    rows = _read(url, _RUNS, _Run)
    leases = RunLeases(url).read() if rows else []
    return [_progress(row, [lease for lease in leases if lease.run_id == row.run_id]) for row in rows]


def slots_held(url: str) -> list[SlotHolder]:
    """Every slot that somebody holds.

    Raises:
        StoreError: PostgreSQL is away.
    """
    return _read(url, _SLOTS, SlotHolder)


def _progress(row: _Run, leases: Sequence[Lease]) -> LoopProgress:
    of_processes = [lease for lease in leases if lease.holder and not lease.taken]
    silent = min((lease.silent_seconds for lease in of_processes if not is_gone(lease.holder)), default=None)
    holders = tuple(lease.holder for lease in of_processes)
    return LoopProgress(row.run_id, row.job, row.status, row.age_seconds, holders, silent)


def _read(url: str, query: str, kind: type[Any]) -> list[Any]:
    plain = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with (
        postgres_failures("Reading Dagster's runs"),
        psycopg.connect(plain, connect_timeout=_CONNECT_SECONDS) as connection,
    ):
        connection.execute(statement(f"SET LOCAL statement_timeout = '{_STATEMENT_SECONDS}s'"))
        try:
            return connection.cursor(row_factory=class_row(kind)).execute(statement(query)).fetchall()
        except errors.UndefinedTable:
            return []
