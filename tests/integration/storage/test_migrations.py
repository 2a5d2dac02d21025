import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.adapters.postgres.migrations import (
    Migration,
    migrate,
    pending,
    require_current,
    shipped_migrations,
)
from calcom_pipeline.domain.errors import SchemaOutdated, StoreError

ONE = Migration(1, "one", "CREATE TABLE one (id int)")
TWO = Migration(2, "two", "CREATE TABLE two (id int); INSERT INTO one VALUES (1)")


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    with database.transaction("Testing") as cursor:
        cursor.execute(query)  # type: ignore[arg-type]
        return cursor.fetchall()


def test_each_migration_runs_once_in_order(empty_database: Database):
    assert pending(empty_database, [ONE, TWO]) == [ONE, TWO]
    assert migrate(empty_database, [ONE]) == [ONE]
    assert migrate(empty_database, [ONE, TWO]) == [TWO]
    assert migrate(empty_database, [ONE, TWO]) == []
    assert rows(empty_database, "SELECT version, name FROM schema_migrations ORDER BY 1") == [(1, "one"), (2, "two")]


def test_a_migration_that_fails_leaves_nothing_of_itself(empty_database: Database):
    broken = Migration(2, "broken", "CREATE TABLE half (id int); SELECT 1 / 0")
    with pytest.raises(StoreError, match="0002_broken"):
        migrate(empty_database, [ONE, broken])
    assert rows(empty_database, "SELECT version FROM schema_migrations") == [(1,)]
    assert rows(empty_database, "SELECT to_regclass('half')") == [(None,)]


def test_a_file_that_changed_after_it_was_applied_is_an_error(empty_database: Database):
    migrate(empty_database, [ONE])
    with pytest.raises(StoreError, match="0001_one has changed"):
        migrate(empty_database, [Migration(1, "one", "CREATE TABLE one (id bigint)")])


def test_a_schema_from_a_newer_release_is_refused(empty_database: Database):
    migrate(empty_database, [ONE, TWO])
    with pytest.raises(SchemaOutdated, match="0002_two, which this release does not know"):
        pending(empty_database, [ONE])


def test_an_empty_schema_may_be_filled_but_an_older_one_wants_the_command(empty_database: Database):
    assert require_current(empty_database, [ONE, TWO]) is False
    migrate(empty_database, [ONE])
    with pytest.raises(SchemaOutdated, match="lacks 0002_two"):
        require_current(empty_database, [ONE, TWO])
    migrate(empty_database, [ONE, TWO])
    assert require_current(empty_database, [ONE, TWO]) is True


def test_many_at_once_apply_each_migration_once(servers: local.Servers, schema_name: str, empty_database: Database):
    def one_of_many(_: int) -> int:
        with open_database(servers.database_url, schema=schema_name) as database:
            return len(migrate(database, shipped_migrations()))

    with ThreadPoolExecutor(8) as pool:
        applied = list(pool.map(one_of_many, range(8)))
    assert sorted(applied) == [0] * 7 + [len(shipped_migrations())]


def test_two_processes_at_once_apply_each_migration_once(servers: local.Servers, schema_name: str, empty_database):
    program = (
        "import sys\n"
        "from calcom_pipeline.adapters.postgres.database import open_database\n"
        "from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations\n"
        "with open_database(sys.argv[1], schema=sys.argv[2]) as d: print(len(migrate(d, shipped_migrations())))"
    )
    command = [sys.executable, "-c", program, servers.database_url, schema_name]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(int(p.communicate()[0]) for p in running) == [0, len(shipped_migrations())]


def test_two_accounts_live_in_one_database(servers: local.Servers, database: Database, schema_name: str):
    other = f"{schema_name}_b"
    with open_database(servers.database_url, schema=other) as second:
        assert len(migrate(second, shipped_migrations())) == len(shipped_migrations())
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA "{other}" CASCADE')
    assert require_current(database, shipped_migrations())


def test_migrations_name_no_schema_of_their_own():
    """One schema per account: a qualified name would tie a migration to one of them."""
    for migration in shipped_migrations():
        statements = re.sub(r"--.*|'[^']*'", "", migration.text)
        assert not re.search(r"\b(public|calcom)\.", statements), migration.name
    assert Path(__file__).parents[3].joinpath("sql").is_dir()


def test_sessions_speak_utc_whatever_the_server_says(servers: local.Servers, database: Database):
    assert rows(database, "SELECT current_setting('TimeZone')") == [("UTC",)]
