"""`reference/tables.md`: tables and views with their columns, as they are once all migrations have run."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.migrations import shipped_migrations
from calcom_pipeline.defs.columns import TABLES
from docs.making.markdown import code, page, prose, table

_INTRODUCTION = """All stand in the schema of the account (`CALCOM_DATABASE_SCHEMA`, unset: the account's name).
Instants are `timestamptz`, lengths say their unit, money is in minor units. Read them as much as you like; what others
may write is the table `services`, nothing else. How long rows stay: [settings](settings.md#retention)."""

# Of tables that have no comment of their own before them, or one that needs its file around it.
_PURPOSES = {
    "event_types": "What can be booked at Cal.com: one row per event type of the key's user and teams.",
    "bookings": "What was booked: one row per booking, cancelled and deleted ones too.",
    "booking_attendees": "Who booked, as far as the policy of privacy keeps people.",
    "booking_hosts": "Whose appointments they are.",
    "services": "Your services, where you attach no table of your own. A bad value is refused service by service, and "
    "stops no other one.",
    "sync_plans": "Plans: what was to be done when somebody asked, and what became of it.",
    "sync_actions": "What a plan does, service by service, and what came of each.",
    "feed_readers": "How far each reader of the feed of services has come; one that was not seen for the feed's "
    "lifetime is forgotten and plans all services when it comes back.",
    "feed_deleted_to": "Up to where the feed of services was deleted after its lifetime.",
    "webhook_scopes": "What was last found of each subscription of webhooks.",
    "alerts": "Failures that people were told of, or will be, once per cause.",
    "schema_migrations": "Migrations that have run here.",
}
_COLUMNS = """
SELECT c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = to_regnamespace(%(schema)s) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
_BEFORE = re.compile(r"((?:^--.*\n)+)\n?CREATE (?:TABLE|VIEW) (\w+)", re.MULTILINE)
_TABLE = re.compile(r"^(?:CREATE|ALTER) TABLE (\w+)")
_COLUMN = re.compile(r"^ +(?:ADD COLUMN )?([a-z_]+) +[^-]*?(?:--|$)|^ALTER TABLE \w+ ADD COLUMN ([a-z_]+) ")


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column as PostgreSQL has it."""

    table: str
    is_view: bool
    name: str
    kind: str
    required: bool


def stored_columns(database: Database) -> list[StoredColumn]:
    """All columns of a migrated schema, table by table, in their order."""
    with database.transaction("Reading the tables", "read") as cursor:
        cursor.execute(_COLUMNS, {"schema": database.schema})
        return [
            StoredColumn(name, kind in (b"v", "v"), column, typed, required)
            for name, kind, column, typed, required in cursor.fetchall()
        ]


def tables_page(columns: Sequence[StoredColumn]) -> str:
    """The page."""
    purposes, comments = dict(_comments_before()) | _PURPOSES, dict(_comments_beside())
    sections: list[str] = []
    for name in dict.fromkeys(column.table for column in columns):
        own = [column for column in columns if column.table == name]
        rows = [[code(c.name), _kind(c), prose(_about(c, comments))] for c in own]
        heading = f"## {name}\n\n{'A view. ' if own[0].is_view else ''}{prose(purposes[name])}"
        sections.append(f"{heading}\n\n{table(['column', 'type', 'what it holds'], rows)}")
    return page("Tables", _INTRODUCTION, *sections)


def _kind(column: StoredColumn) -> str:
    kind = column.kind.replace("timestamp with time zone", "timestamptz")
    return code(kind) + ("" if column.required or column.is_view else ", or null")


def _about(column: StoredColumn, comments: dict[tuple[str, str], str]) -> str:
    """What the UI says of it; else what stands beside it in the migration."""
    told = TABLES.get("services_source" if column.table == "services" else column.table, {}).get(column.name)
    return told[1] if told else comments.get((column.table, column.name), "")


def _comments_before() -> Iterator[tuple[str, str]]:
    for migration in shipped_migrations():
        for comment, name in _BEFORE.findall(migration.text):
            yield name, " ".join(line.removeprefix("--").strip() for line in comment.splitlines())


def _comments_beside() -> Iterator[tuple[tuple[str, str], str]]:
    for migration in shipped_migrations():
        name = ""
        for line in migration.text.splitlines():
            if found := _TABLE.match(line):
                name = found[1]
            column, _, comment = line.partition(" -- ")
            if comment and (found := _COLUMN.match(column)):
                yield (name, found[1] or found[2]), comment.strip().rstrip(",")
