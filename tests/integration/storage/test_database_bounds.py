"""Every wait for PostgreSQL ends: a line that stalls, a lock that somebody holds, a statement that takes too long."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
from calcom_pipeline.adapters.postgres.call_ledger import ApiCallRecorder, recording_calls
from calcom_pipeline.adapters.postgres.dagster_storage import dagster_url
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.app.calls import CallRecord
from calcom_pipeline.app.maintenance.health import examine
from calcom_pipeline.bootstrap import doctor
from calcom_pipeline.bootstrap.container import open_container
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.domain.errors import AnotherApply, StoreError, StoreTimeout
from calcom_pipeline.settings import load_settings
from tests.support.commands import command, said
from tests.support.databases import own_database
from tests.support.stalling import StallingProxy, before_postgres
from tests.support.tables import ask

SHORT = DatabaseBounds(
    connect_seconds=2,
    answer_seconds=0.5,
    lock_seconds=0.5,
    read_seconds=0.5,
    write_seconds=0.5,
    whole_seconds=0.5,
    migration_seconds=0.5,
    ledger_seconds=1.0,
)
#: What every wait must be over within: a dead pooled connection, then one that does not come about; and a busy machine.
OVER = SHORT.patience_seconds("read") + SHORT.connect_seconds + 6
VARIABLES = {
    "CALCOM_DATABASE_CONNECT_SECONDS": "2",
    **{f"CALCOM_DATABASE_{name}_SECONDS": "0.5" for name in ("ANSWER", "READ", "WRITE", "WHOLE", "MIGRATION")},
    "CALCOM_DATABASE_LOCK_SECONDS": "0.2",
    "CALCOM_LEDGER_SECONDS": "1",
}


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


# --- a line that stalls --------------------------------------------------------------------------------------


@pytest.fixture
def stalling(servers: local.Servers, database: Database) -> Iterator[tuple[Database, StallingProxy]]:
    """The test's own schema through a proxy, with one connection in the pool."""
    with before_postgres(servers) as (url, proxy), open_database(url, schema=database.schema, bounds=SHORT) as through:
        assert ask(through) == 1
        yield through, proxy


def connecting(database: Database, proxy: StallingProxy) -> None:
    proxy.cut()  # nothing in the pool is of use
    proxy.stall()
    ask(database)


def on_a_pooled_connection(database: Database, proxy: StallingProxy) -> None:
    proxy.stall()
    ask(database)


def in_a_query(database: Database, proxy: StallingProxy) -> None:
    proxy.stall_before(b"the needle")
    ask(database, "SELECT 'the needle'")


def in_a_pipeline(database: Database, proxy: StallingProxy) -> None:
    proxy.stall_before(b"the needle")
    with database.transaction("Testing") as cursor, cursor.connection.pipeline():
        cursor.execute("SELECT 1")
        cursor.execute("SELECT 'the needle'")


def in_a_copy(database: Database, proxy: StallingProxy) -> None:
    proxy.stall_before(b"the needle")
    with database.transaction("Testing") as cursor, cursor.copy("COPY watermarks FROM STDIN") as copy:
        copy.write_row(("the needle", "p", datetime.now(UTC), datetime.now(UTC)))


def in_the_commit(database: Database, proxy: StallingProxy) -> None:
    proxy.stall_before(b"COMMIT\0")
    ask(database)


def taking_a_lock(database: Database, proxy: StallingProxy) -> None:
    proxy.stall_before(b"advisory")
    with PostgresPlanStore(database).exclusive():
        pass


WHERE: list[tuple[Callable[[Database, StallingProxy], None], str]] = [
    (connecting, "did not answer in time"),
    (on_a_pooled_connection, "did not answer in time"),
    (in_a_query, r"did not answer within [\d.]+ s"),
    (in_a_pipeline, r"did not answer within [\d.]+ s"),
    (in_a_copy, r"did not answer within [\d.]+ s"),
    (in_the_commit, "it may be stored or not"),
    (taking_a_lock, r"did not answer within [\d.]+ s"),
]


@pytest.mark.parametrize(("where", "sentence"), WHERE, ids=lambda value: getattr(value, "__name__", ""))
def test_a_line_that_stalls_is_given_up_and_the_next_one_works(
    stalling: tuple[Database, StallingProxy], where: Callable[[Database, StallingProxy], None], sentence: str
):
    database, proxy = stalling
    with within(OVER), pytest.raises(StoreTimeout, match=sentence) as refused:
        where(database, proxy)
    assert proxy.held_something.is_set()
    assert "Try again" in refused.value.advice or "raise CALCOM_DATABASE_CONNECT_SECONDS" in refused.value.advice
    proxy.flow()
    assert ask(database) == 1


def test_an_error_of_ours_is_not_hidden_by_a_rollback_that_stalls(stalling: tuple[Database, StallingProxy]):
    database, proxy = stalling
    with within(OVER), pytest.raises(ValueError, match="mine"), database.transaction("Testing"):
        proxy.stall()
        raise ValueError("mine")
    proxy.flow()
    assert ask(database) == 1


def test_whoever_is_interrupted_waits_for_no_server(stalling: tuple[Database, StallingProxy]):
    database, proxy = stalling
    with within(0.4), pytest.raises(KeyboardInterrupt), database.transaction("Testing"):
        proxy.stall()
        raise KeyboardInterrupt
    proxy.flow()
    assert ask(database) == 1


def test_what_was_done_under_a_lock_stays_done_when_the_lock_cannot_be_given_back(
    stalling: tuple[Database, StallingProxy], caplog: pytest.LogCaptureFixture
):
    database, proxy = stalling
    with within(OVER), PostgresPlanStore(database).exclusive():
        proxy.stall()
    assert "session_ended_early" in caplog.text


def test_closing_a_pool_on_a_dead_line_waits_for_nothing(servers: local.Servers, schema_name: str):
    with before_postgres(servers) as (url, proxy):
        with ExitStack() as stack:
            database = stack.enter_context(open_database(url, schema=schema_name, bounds=SHORT))
            assert ask(database) == 1
            proxy.stall()
            began = time.monotonic()
        assert time.monotonic() - began < 1


def test_connections_that_died_in_the_pool_are_replaced_unseen(stalling: tuple[Database, StallingProxy]):
    database, proxy = stalling
    with ExitStack() as many:
        for _ in range(4):
            many.enter_context(database.transaction("Testing"))
    proxy.cut()
    assert [ask(database) for _ in range(4)] == [1] * 4


# --- locks and long statements -------------------------------------------------------------------------------


@contextmanager
def locked(servers: local.Servers, schema: str, table: str) -> Iterator[int]:
    """Somebody else holds ACCESS EXCLUSIVE on a table; their process id."""
    with psycopg.connect(servers.database_url) as stranger:
        stranger.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(schema, table)))
        yield stranger.info.backend_pid
        stranger.rollback()


@pytest.mark.parametrize("work", ["read", "write", "whole", "migration"])
def test_each_kind_of_work_waits_for_a_lock_as_long_as_is_set_and_says_so(
    servers: local.Servers, database: Database, work: Any
):
    with (
        open_database(servers.database_url, schema=database.schema, bounds=SHORT) as hasty,
        locked(servers, database.schema, "bookings"),
        within(OVER),
        pytest.raises(StoreTimeout) as refused,
        hasty.transaction("Looking at bookings", work) as cursor,
    ):
        cursor.execute("SELECT count(*) FROM bookings")
    assert str(refused.value).startswith("Looking at bookings: ")
    assert "SECONDS" in refused.value.advice


def test_a_statement_that_takes_too_long_names_the_bound_it_met(servers: local.Servers, schema_name: str):
    bounds = DatabaseBounds(read_seconds=0.3)
    with (
        open_database(servers.database_url, schema=schema_name, bounds=bounds) as database,
        within(8),
        pytest.raises(StoreTimeout, match="longer than such work may") as refused,
    ):
        ask(database, "SELECT pg_sleep(20)")
    assert "CALCOM_DATABASE_READ_SECONDS" in refused.value.advice


def test_a_command_before_a_locked_table_ends_with_the_exit_code_of_the_database(
    environment: dict[str, str], servers: local.Servers, schema_name: str
):
    assert command("migrate", environment=environment).returncode == exit_codes.OK
    with locked(servers, schema_name, "bookings"), within(OVER + 10):
        refused = command("sync", "bookings", environment=environment | VARIABLES)
    assert refused.returncode == exit_codes.DATABASE
    assert "lock" in said(refused)


def test_migrating_waits_for_another_one_no_longer_than_is_set(servers: local.Servers, database: Database):
    with (
        open_database(servers.database_url, schema=database.schema, bounds=SHORT) as second,
        database.beside_the_pool("Testing") as first,
        within(OVER),
        pytest.raises(StoreTimeout, match="Somebody else has been migrating"),
    ):
        first.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('calcom_pipeline migrations ' || current_schema(), 0))"
        )
        migrate(second, shipped_migrations())


def test_a_lock_is_held_through_a_time_in_which_any_other_transaction_would_be_ended(
    servers: local.Servers, database: Database
):
    bounds = DatabaseBounds(idle_seconds=0.05)
    with open_database(servers.database_url, schema=database.schema, bounds=bounds) as restless:
        with pytest.raises(StoreError), restless.transaction("Testing") as cursor:
            threading.Event().wait(0.5)
            cursor.execute("SELECT 1")
        with PostgresPlanStore(restless).exclusive():
            threading.Event().wait(0.5)
            with pytest.raises(AnotherApply), PostgresPlanStore(database).exclusive():
                pass


# --- the ledger of calls -------------------------------------------------------------------------------------


def record(number: int) -> CallRecord:
    return CallRecord(
        datetime.now(UTC), f"call {number}", "account", "GET", "sync", 1, "ok", True, 200, None, 0.0, 0.001
    )


def test_a_command_whose_work_is_done_does_not_wait_for_a_locked_ledger(
    environment: dict[str, str], servers: local.Servers, schema_name: str
):
    assert command("migrate", environment=environment).returncode == exit_codes.OK
    with locked(servers, schema_name, "api_calls"), within(OVER + 10):
        done = command("sync", "event-types", environment=environment | VARIABLES)
    assert done.returncode == exit_codes.OK, done.stderr
    with psycopg.connect(servers.database_url) as connection:
        found = connection.execute(f'SELECT count(*) FROM "{schema_name}".event_types').fetchall()[0][0]
    assert found > 0


def test_calls_go_on_while_the_ledger_stalls_and_what_it_loses_is_counted(
    stalling: tuple[Database, StallingProxy], caplog: pytest.LogCaptureFixture
):
    database, proxy = stalling
    recorder = ApiCallRecorder(database, kept_rows=150)
    proxy.stall()
    with within(1.0):
        for number in range(1000):
            recorder.completed(record(number))
    assert proxy.held_something.wait(10)
    with within(OVER), caplog.at_level(logging.WARNING):
        recorder.close()
    assert recorder.dropped >= 700
    assert "calls_not_recorded" in caplog.text
    proxy.flow()


def test_a_closed_ledger_leaves_no_thread_and_no_connection_behind(servers: local.Servers, database: Database):
    with (
        open_database(servers.database_url, schema=database.schema, bounds=SHORT) as own,
        locked(servers, database.schema, "api_calls"),
        recording_calls(own) as recorder,
    ):
        recorder.completed(record(1))
    writer = recorder._thread
    assert writer is not None
    writer.join(OVER)
    assert not writer.is_alive()


# --- what a database must be ---------------------------------------------------------------------------------


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def other_encoding(request: pytest.FixtureRequest, servers: local.Servers, schema_name: str) -> Iterator[str]:
    """The URL of a database of another encoding."""
    options = f"ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0"
    with own_database(servers, schema_name, options=options) as url:
        yield url


def test_another_encoding_is_refused_by_every_command_migrate_and_the_doctor(
    in_environment: dict[str, str], other_encoding: str
):
    through = in_environment | {"DATABASE_URL": other_encoding}
    for words in (("migrate",), ("status",), ("sync", "event-types")):
        refused = command(*words, environment=through)
        assert refused.returncode == exit_codes.DATABASE, words
        assert "is encoded in" in said(refused)
        assert "UTF8" in refused.stderr
    settings = load_settings().model_copy(update={"database_url": SecretStr(other_encoding)})
    with open_container(settings) as container:
        (finding,) = examine(doctor.examinations(container)[:1])
    assert (finding.verdict, "is encoded in" in finding.finding) == ("problem", True)


def test_a_server_that_speaks_another_encoding_by_itself_is_spoken_to_in_utf8(
    servers: local.Servers, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with open_database(servers.database_url, schema=database.schema) as other:
        assert ask(other, "SELECT current_setting('client_encoding')") == "UTF8"
        assert ask(other, "SELECT 'Zoë 日本 🎉'") == "Zoë 日本 🎉"


# --- transactions that lose ----------------------------------------------------------------------------------


def test_a_database_whose_default_is_stricter_changes_nothing(servers: local.Servers, database: Database):
    url = servers.database_url + "&options=-cdefault_transaction_isolation%3Dserializable"
    with open_database(url, schema=database.schema) as strict:
        assert ask(strict, "SELECT current_setting('transaction_isolation')") == "read committed"


# --- Dagster's storage ---------------------------------------------------------------------------------------


def test_dagsters_address_bounds_what_a_driver_and_tcp_can_bound():
    url = dagster_url("postgresql://u:p@host/x?tcp_user_timeout=7", create=False, bounds=SHORT)
    assert url.startswith("postgresql+psycopg2://u:p@host/x?")
    assert "connect_timeout=2" in url
    assert "keepalives_idle=1" in url
    assert "tcp_user_timeout=7" in url, "what was given is kept"


def test_a_blank_in_a_name_or_a_password_breaks_no_address(servers: local.Servers, schema_name: str):
    """The password is not asked for here; that it arrives as it is, libpq's own reading of the address shows."""
    from dagster_postgres.run_storage import PostgresRunStorage
    from psycopg.conninfo import conninfo_to_dict

    name = f"{schema_name} with a blank, 100% #1?"
    with before_postgres(servers) as (url, _), own_database(servers, name):
        quoted = name.replace("%", "%25").replace(" ", "%20").replace("#", "%23").replace("?", "%3F")
        given = url.replace("calcom@", "calcom:pass%20w%2Frd%40@").removesuffix("calcom") + quoted
        made = dagster_url(given, create=True)
        again = conninfo_to_dict(made.replace("+psycopg2", ""))
        assert (again["dbname"], again["password"]) == (f"{name}_dagster", "pass w/rd@")
        storage = PostgresRunStorage(made, should_autocreate_tables=True)
        assert storage.get_runs_count() == 0
        storage.dispose()
