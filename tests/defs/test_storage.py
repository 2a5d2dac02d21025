"""Dagster's storage over connections that are kept."""

import time
from types import SimpleNamespace

import psycopg
import pytest
from dagster import DagsterInstance
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import Engine
from sqlalchemy.event import listen, remove

from calcom_pipeline.defs import storage
from calcom_pipeline.defs.storage import SURE_SECONDS
from tests.support.dagster_runs import dagster_database, own_instance
from tests.support.waiting import until

__all__ = ["dagster_database", "own_instance"]

STATEMENTS = 30
# PostgreSQL's own vacuum is in there too, and may not be ended.
OF_IT = (
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)


@pytest.fixture
def watcher(own_instance: DagsterInstance, dagster_database: str):
    """Of the database that no other test uses."""
    with psycopg.connect(dagster_database.replace("+psycopg2", ""), autocommit=True) as connection:
        yield connection


def connections(watcher: psycopg.Connection) -> int:
    return watcher.execute(f"SELECT count(*) {OF_IT}").fetchone()[0]


def test_statements_one_after_another_share_a_connection(own_instance: DagsterInstance, watcher: psycopg.Connection):
    own_instance.get_runs_count()
    until(lambda: connections(watcher) == 1, what="the end of those of other tests")
    before = watcher.execute("SELECT pid " + OF_IT).fetchall()
    for _ in range(STATEMENTS):
        own_instance.get_runs_count()
        own_instance.all_asset_keys()
        own_instance.all_instigator_state()
    assert watcher.execute("SELECT pid " + OF_IT).fetchall() == before


def test_a_connection_that_postgresql_closed_meanwhile_is_replaced(
    own_instance: DagsterInstance, watcher: psycopg.Connection
):
    own_instance.get_runs_count()
    watcher.execute("SELECT pg_terminate_backend(pid) " + OF_IT)
    until(lambda: not connections(watcher))
    ended = time.monotonic()
    until(lambda: time.monotonic() - ended > SURE_SECONDS)
    assert own_instance.get_runs_count() == 0
    assert own_instance.all_asset_keys() == []
    assert connections(watcher) == 1


def test_a_connection_that_has_just_been_tried_is_not_tried_again(
    own_instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    now, tried, ping = time.monotonic(), list[object](), PGDialect_psycopg2.do_ping
    monkeypatch.setattr(storage, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(PGDialect_psycopg2, "do_ping", lambda self, it: tried.append(it) or ping(self, it))
    with DagsterInstance.get() as instance:
        instance.get_runs_count()
        before = len(tried)
        for _ in range(STATEMENTS):
            instance.get_runs_count()
        assert len(tried) == before
        now += SURE_SECONDS
        instance.get_runs_count()
        assert len(tried) == before + 1


def test_an_instance_that_ends_leaves_no_connection(own_instance: DagsterInstance, watcher: psycopg.Connection):
    own_instance.get_runs_count()
    assert connections(watcher) > 0
    own_instance.dispose()
    until(lambda: not connections(watcher))


def test_tables_are_made_where_some_are_missing(own_instance: DagsterInstance, watcher: psycopg.Connection):
    looked_for = "SELECT to_regclass('instance_info') IS NOT NULL"
    assert watcher.execute(looked_for).fetchone() == (True,)
    watcher.execute("DROP TABLE instance_info")
    with DagsterInstance.get():
        assert watcher.execute(looked_for).fetchone() == (True,)


def looked(instance: DagsterInstance) -> list[str]:
    """Statements by which Dagster saw what its database has."""
    catalogued: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "pg_catalog" in statement or "secondary_indexes" in statement:
            catalogued.append(statement)

    listen(Engine, "before_cursor_execute", note)
    try:
        instance.all_instigator_state()
        instance.get_run_records(limit=1)
        instance.all_asset_keys()
        instance.get_backfills(limit=1)
    finally:
        remove(Engine, "before_cursor_execute", note)
    return catalogued


def test_dagster_looks_once_for_what_its_database_has(own_instance: DagsterInstance):
    assert looked(own_instance)
    assert looked(own_instance) == []


def test_a_table_that_a_migration_brings_later_is_found_then(
    own_instance: DagsterInstance, watcher: psycopg.Connection
):
    storage = own_instance.event_log_storage
    assert not storage.has_table("brought_later")
    watcher.execute("CREATE TABLE brought_later (id int)")
    try:
        assert storage.has_table("brought_later")
    finally:
        watcher.execute("DROP TABLE brought_later")
