"""The report reads Dagster's runs from Dagster's own tables: those that the pinned release makes."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest
from dagster_postgres import PostgresRunStorage

from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
from calcom_pipeline.adapters.postgres.reports.report import last_runs
from calcom_pipeline.app.reports.models import LastRun
from calcom_pipeline.local import Servers
from tests.support.databases import own_database

BEGAN = datetime(2026, 12, 1, 8, tzinfo=UTC)
TIMES = "UPDATE runs SET start_time = %s, end_time = %s WHERE run_id = %s"


@pytest.fixture
def own_url(servers: Servers) -> Iterator[str]:
    """A database that no other test's Dagster writes to."""
    name = f"runs_{uuid.uuid4().hex[:12]}"
    with own_database(servers, name) as url:
        yield url


def test_where_dagster_has_not_run_there_are_none(own_url: str):
    assert last_runs(own_url, limit=5, bounds=DatabaseBounds()) == []


def test_runs_are_told_newest_first_with_when_they_began_and_ended(own_url: str):
    storage = PostgresRunStorage(
        own_url.replace("postgresql://", "postgresql+psycopg2://"), should_autocreate_tables=True
    )
    known = [
        ("full_sync", dg.DagsterRunStatus.SUCCESS, BEGAN, BEGAN + timedelta(seconds=7)),
        ("services_sync", dg.DagsterRunStatus.FAILURE, BEGAN, BEGAN + timedelta(seconds=2)),
        ("slots_refresh", dg.DagsterRunStatus.STARTED, BEGAN, None),
        ("slots_warming", dg.DagsterRunStatus.NOT_STARTED, None, None),
    ]
    ids = [str(uuid.uuid4()) for _ in known]
    for run_id, (job, status, _, _) in zip(ids, known, strict=True):
        storage.add_run(dg.DagsterRun(job_name=job, run_id=run_id, status=status))
    with psycopg.connect(own_url, autocommit=True) as connection:
        for run_id, (_, _, began, ended) in zip(ids, known, strict=True):
            seconds = [None if at is None else at.timestamp() for at in (began, ended)]
            connection.execute(TIMES, (*seconds, run_id))
    storage.dispose()
    told = [
        LastRun(i, job, status.value, began, ended) for i, (job, status, began, ended) in zip(ids, known, strict=True)
    ]
    assert last_runs(own_url, limit=3, bounds=DatabaseBounds()) == told[:0:-1]
