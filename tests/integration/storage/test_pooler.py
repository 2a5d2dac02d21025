"""Behind a pooler in transaction mode: nothing is kept on a session, so accounts never mix and no lock stays behind."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks
from calcom_pipeline.adapters.postgres.migrations import migrate, require_current, shipped_migrations
from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.app.maintenance.health import examine
from calcom_pipeline.bootstrap import doctor
from calcom_pipeline.bootstrap.container import open_container
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.domain.errors import AnotherApply, StoreError
from calcom_pipeline.settings import load_settings
from tests.support.commands import command
from tests.support.pooling import pgbouncer, stand_in

needs_pgbouncer = pytest.mark.skipif(not shutil.which("pgbouncer"), reason="Debian's package pgbouncer is not here")


@pytest.fixture(params=["stand-in", pytest.param("pgbouncer", marks=needs_pgbouncer)])
def pooled_url(request: pytest.FixtureRequest, servers: local.Servers, tmp_path: Path) -> Iterator[str]:
    with stand_in(servers) if request.param == "stand-in" else pgbouncer(servers, tmp_path) as url:
        yield url


@pytest.fixture
def accounts(pooled_url: str, servers: local.Servers, schema_name: str) -> Iterator[tuple[Database, Database]]:
    """Two accounts in one database, both through the pooler."""
    names = (f"{schema_name}_a", f"{schema_name}_b")
    with open_database(pooled_url, schema=names[0]) as one, open_database(pooled_url, schema=names[1]) as other:
        for each in (one, other):
            assert len(migrate(each, shipped_migrations())) == len(shipped_migrations())
        yield one, other
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


def asked(database: Database, query: str, values: Any = None) -> Any:
    with database.transaction("Testing") as cursor:
        return cursor.execute(query, values).fetchall()[0][0]


def test_two_accounts_are_never_mixed(accounts: tuple[Database, Database]):
    for number in range(30):
        for each in accounts:
            with each.transaction("Testing") as cursor:
                cursor.execute("INSERT INTO watermarks VALUES (current_schema(), %s, now(), now())", (str(number),))
    for each in accounts:
        assert asked(each, "SELECT array_agg(DISTINCT stream) FROM watermarks") == [each.schema]
        assert asked(each, "SELECT count(*) FROM watermarks") == 30


def test_transactions_that_overlap_keep_their_own_account(accounts: tuple[Database, Database]):
    with accounts[0].transaction("Testing") as one, accounts[1].transaction("Testing") as other:
        shown = [cursor.execute("SELECT current_schema()").fetchall()[0][0] for cursor in (one, other, one)]
    assert shown == [accounts[0].schema, accounts[1].schema, accounts[0].schema]


def test_the_zone_and_the_time_outs_hold_in_every_transaction_and_in_no_other(
    accounts: tuple[Database, Database], pooled_url: str
):
    with psycopg.connect(pooled_url, autocommit=True) as stranger:
        stranger.execute("SET TimeZone TO 'Asia/Tokyo'")
        stranger.execute("SET statement_timeout TO 0")
        for each in accounts:
            assert asked(each, "SELECT current_setting('TimeZone')") == "UTC"
            assert asked(each, "SELECT current_setting('statement_timeout')") == "1min"


def test_a_statement_that_is_used_often_is_prepared_nowhere(accounts: tuple[Database, Database]):
    for _ in range(12):
        for each in accounts:
            assert asked(each, "SELECT %s::int", (7,)) == 7
    assert asked(accounts[0], "SELECT count(*) FROM pg_prepared_statements") == 0


def test_a_page_of_changed_bookings_leaves_no_table_behind(accounts: tuple[Database, Database]):
    from calcom_pipeline.adapters.postgres.bookings import statements as queries

    for each in (*accounts, *accounts):
        with each.transaction("Testing") as cursor:
            cursor.execute(queries.STAGE)
            assert asked_in(cursor, "SELECT 'incoming_bookings'::regclass::text") == "incoming_bookings"


def asked_in(cursor: Any, query: str) -> Any:
    return cursor.execute(query).fetchall()[0][0]


def test_locks_hold_across_clients_and_end_with_their_block(accounts: tuple[Database, Database]):
    one, other = accounts
    plans, locks = PostgresPlanStore(one), PostgresKeyLocks(one, wait_seconds=0)
    with plans.exclusive():
        with pytest.raises(AnotherApply), PostgresPlanStore(one).exclusive():
            pass
        with PostgresPlanStore(other).exclusive():
            pass
    with plans.exclusive(), locks.holding("order-1") as granted:
        assert granted
    with locks.holding("order-1") as granted:
        assert granted
    assert asked(one, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()") == 0


def test_migrating_twice_leaves_no_lock(accounts: tuple[Database, Database]):
    for each in (*accounts, *accounts):
        assert migrate(each, shipped_migrations()) == []
        assert require_current(each, shipped_migrations())


def test_the_doctor_and_a_command_work_through_it(
    in_environment: dict[str, str], pooled_url: str, monkeypatch: pytest.MonkeyPatch
):
    through = in_environment | {"DATABASE_URL": pooled_url}
    assert command("migrate", environment=through).returncode == exit_codes.OK
    assert command("sync", "all", environment=through).returncode == exit_codes.OK
    monkeypatch.setenv("DATABASE_URL", pooled_url)
    with open_container(load_settings()) as container:
        (finding,) = examine(doctor.examinations(container)[:1])
    assert finding.verdict == "ok"
    assert "behind a pooler" in finding.finding


@needs_pgbouncer
def test_one_in_statement_mode_is_refused_in_one_sentence(
    in_environment: dict[str, str], servers: local.Servers, tmp_path: Path
):
    with pgbouncer(servers, tmp_path, mode="statement") as url:
        with open_database(url, schema="x") as database, pytest.raises(StoreError, match="statement mode"):
            database.server_version()
        refused = command("migrate", environment=in_environment | {"DATABASE_URL": url})
        settings = load_settings().model_copy(update={"database_url": SecretStr(url)})
        with open_container(settings) as container:
            found = {f.check: f for f in examine(doctor.examinations(container)[:2])}
    assert refused.returncode == exit_codes.DATABASE
    assert "statement mode" in refused.stderr
    assert found["PostgreSQL"].verdict == "problem"
    assert "statement mode" in found["PostgreSQL"].finding
