"""What a test finds in a schema that another one has used: nothing, or another schema."""

from collections.abc import Iterator

import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from tests.support.schemas import Schemas
from tests.support.tables import fetch

# PostgreSQL's own vacuum holds locks of tables, and of its catalog, that it gives up when another waits for a second.
VACUUM_MS = 60_000
INSERT = "INSERT INTO services (name, slug, duration_minutes) SELECT 'n', 's' || n, 30 FROM generate_series(1, {}) n"


@pytest.fixture
def made(servers: local.Servers) -> Iterator[Schemas]:
    found = Schemas(servers.database_url, patience_ms=VACUUM_MS)
    yield found
    found.end()


@pytest.fixture
def used(servers: local.Servers, schema_name: str, made: Schemas) -> Iterator[Database]:
    with open_database(servers.database_url, schema=schema_name) as database:
        migrate(database, shipped_migrations())
        made.keep(schema_name)
        yield database


@pytest.mark.parametrize("rows", [1, 3000], ids=["few rows", "many rows"])
def test_it_is_empty_and_counts_from_the_beginning(used: Database, made: Schemas, rows: int):
    for _ in range(2):
        with used.transaction("Testing") as cursor:
            cursor.execute(INSERT.format(rows).encode())
        assert fetch(used, "SELECT min(id), count(*) FROM services") == [(1, rows)]
        made.give_back(used.schema)
        assert made.take() == used.schema
        assert made.is_made(used.schema)
        filled = fetch(used, "SELECT count(*) FROM services")
        assert filled == [(0,)]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE services ADD COLUMN mine text",
        "CREATE TABLE mine (id int)",
        "DROP INDEX services_slug",
        "GRANT SELECT ON services TO PUBLIC",
        "DELETE FROM schema_migrations WHERE version = 1",
    ],
)
def test_what_a_test_has_changed_is_not_handed_on(used: Database, made: Schemas, change: str):
    with used.transaction("Testing") as cursor:
        cursor.execute(change.encode())
    made.give_back(used.schema)
    assert made.take() is None
    assert fetch(used, f"SELECT count(*) FROM pg_namespace WHERE nspname = '{used.schema}'") == [(0,)]
