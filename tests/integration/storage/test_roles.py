"""sql/roles.sql: three roles, each with what it needs and no more; the main commands run under them."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.database import open_database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from tests.support.commands import CHECKOUT, Done, command

ROLES = (CHECKOUT / "sql" / "roles.sql").read_text()
#: Columns that say who somebody is, what they wrote, or hold a raw record or a key.
PERSONAL = re.compile(
    r"^(raw|body|email|name|username|phone_number|title|description|location|cancellation_reason|secret|fingerprint|"
    r"subject|receipt|responses|guests|seat_uid|digest)$"
)
#: Those columns where they are the business's own: what it offers.
OF_THE_BUSINESS = {("event_types", c) for c in ("title", "description", "raw")} | {
    (t, c) for t in ("services", "services_source") for c in ("name", "description")
} | {("schema_migrations", "name")}  # fmt: skip


@dataclass
class World:
    """A schema with the three roles. The embedded server knows one user, who acts as one of them at once."""

    admin_url: str
    schema: str

    def url(self, role: str) -> str:
        url = make_url(self.admin_url).update_query_dict({"options": f"-crole={self.schema}_{role}"})
        return url.render_as_string(hide_password=False)

    def run_roles(self) -> None:
        with psycopg.connect(self.admin_url, options=f"-c search_path={self.schema}") as connection:
            connection.execute(ROLES)

    def as_role(self, role: str, *statements: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(role)) as connection:
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema)))
            rows: list[tuple[object, ...]] = []
            for statement in statements:
                answer = connection.execute(statement.encode())
                rows = answer.fetchall() if answer.description else []
        return rows


def end(here: World) -> None:
    """Drop it with its roles."""
    with psycopg.connect(here.admin_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('calcom roles', 0))")  # as roles.sql does
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(here.schema)))
        for name in (sql.Identifier(f"{here.schema}_{role}") for role in ("migrator", "pipeline", "reader")):
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
            connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
            connection.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.fixture
def world(servers: local.Servers, schema_name: str) -> Iterator[World]:
    here = World(servers.database_url, schema_name)
    here.run_roles()
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        for name in (sql.Identifier(f"{schema_name}_{role}") for role in ("pipeline", "reader")):
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
    with open_database(here.url("migrator"), schema=schema_name) as database:
        migrate(database, shipped_migrations())
    here.run_roles()
    yield here
    end(here)


def said(done: Done) -> str:
    return f"{done.returncode} {done.stdout} {done.stderr}"


def test_two_accounts_are_given_their_roles_at_once(servers: local.Servers, schema_name: str):
    worlds = [World(servers.database_url, f"{schema_name}_{number}") for number in range(4)]
    with ThreadPoolExecutor(len(worlds)) as pool:
        list(pool.map(World.run_roles, worlds))
    for here in worlds:
        end(here)


def test_the_main_commands_run_under_the_pipeline_s_role(world: World, environment: dict[str, str]):
    given = {**environment, "DATABASE_URL": world.url("pipeline")}
    for words in (
        ("sync", "all"),
        ("status",),
        ("plan",),
        ("apply", "--auto"),
        ("backfill", "bookings", "--from", "2026-01"),
        ("erase", "nobody@example.org"),
        ("sync", "bookings", "--full"),
        ("maintain",),
        ("webhooks", "drain"),
    ):
        done = command(*words, environment=given)
        assert "ermission denied" not in said(done), said(done)
        assert "must be owner" not in said(done), said(done)
        assert done.returncode in (0, 11), (words, said(done))
    (counted,) = world.as_role("pipeline", "SELECT (SELECT count(*) FROM bookings), (SELECT count(*) FROM api_calls)")
    assert all(int(str(number)) > 0 for number in counted), counted


def test_months_of_calls_are_made_and_emptied_without_owning_the_table(world: World, environment: dict[str, str]):
    old = "now() - interval '70 days'"
    world.as_role(
        "pipeline",
        "INSERT INTO api_calls (called_at, operation, endpoint_group, method, outcome, duration_ms, waited_ms, attempt,"
        f" lane) SELECT {old}, 'x', 'x', 'GET', 'ok', 1, 0, 1, 'sync' FROM generate_series(1, 5)",
        "SELECT make_api_calls_partitions(6)",
    )
    done = command("maintain", environment={**environment, "DATABASE_URL": world.url("pipeline")})
    assert done.returncode == 0, said(done)
    assert world.as_role("pipeline", f"SELECT count(*) FROM api_calls WHERE called_at < {old} + interval '1 day'") == [
        (0,)
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "ALTER TABLE services ADD COLUMN mine int",
        "DROP TABLE bookings",
        "TRUNCATE bookings",
        "DELETE FROM schema_migrations",
        "CREATE SCHEMA mine",
        "CREATE OR REPLACE FUNCTION record_service_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    ],
)
def test_the_pipeline_changes_no_table_and_no_record_of_migrations(world: World, statement: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.as_role("pipeline", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM bookings",
        "SELECT title FROM bookings",
        "SELECT raw FROM bookings",
        "SELECT * FROM appointments",
        "SELECT email FROM booking_attendees",
        "SELECT name FROM booking_hosts",
        "SELECT secret FROM privacy_key",
        "SELECT body FROM webhook_inbox",
        "SELECT raw FROM quarantine",
        "SELECT subject FROM erasures",
        "UPDATE services SET slug = 'x'",
        "DELETE FROM api_calls",
        "SELECT make_api_calls_partitions(1)",
    ],
)
def test_a_reader_sees_nobody_and_writes_nothing(world: World, statement: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.as_role("reader", statement)


def test_a_reader_sees_figures_and_states(world: World):
    for statement in (
        "SELECT status, count(*) FROM bookings GROUP BY status",
        "SELECT lane, count(*) FROM api_calls GROUP BY lane",
        "SELECT state, reason FROM service_links",
        "SELECT * FROM services_source",
        "SELECT stream, reason FROM quarantine",
        "SELECT state, count(*) FROM webhook_inbox GROUP BY state",
    ):
        world.as_role("reader", statement)


def test_no_column_of_any_table_that_tells_of_people_is_a_reader_s(world: World):
    """Also of a table that a later migration adds: what is not listed is not granted."""
    rows = world.as_role(
        "reader",
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid "
        "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v') AND attnum > 0 "
        "AND NOT attisdropped AND has_column_privilege(pg_class.oid, attnum, 'SELECT')",
    )
    assert len(rows) > 100
    readable = {(str(table), str(column)) for table, column in rows if PERSONAL.match(str(column))}
    assert readable - OF_THE_BUSINESS == set()


def test_running_it_again_changes_nothing_and_a_schema_has_to_be_named(world: World):
    rights = "SELECT relname, relacl::text, relowner FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    before = sorted(map(str, world.as_role("pipeline", rights)))
    world.run_roles()
    assert sorted(map(str, world.as_role("pipeline", rights))) == before
    with (
        psycopg.connect(world.admin_url) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="search_path"),
    ):
        connection.execute(ROLES)


def test_the_wheel_ships_it_and_it_is_no_migration():
    assert not [one for one in shipped_migrations() if "roles" in one.name]
    assert '"sql" = "calcom_pipeline/_shipped/sql"' in (Path(CHECKOUT) / "pyproject.toml").read_text()
