"""Puts `services_source` over a business's own table, and its change feed under it.

The mapping is a TOML file (`docs` in the README): which table, which column is the key, and per column of
`services_source` either a column of the table or how it is read and written. Everything in it is the operator's own
SQL, run with the operator's own rights; it is shown by `--print` before it runs.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from calcom_pipeline.adapters.postgres.database import Database, statement
from calcom_pipeline.domain.errors import ConfigurationError

#: Columns of `services_source` and their types; the key and the version come on top.
COLUMNS: Mapping[str, str] = {
    "name": "text",
    "slug": "text",
    "description": "text",
    "duration_minutes": "integer",
    "price_minor": "bigint",
    "currency": "text",
    "is_active": "boolean",
    "team_id": "bigint",
    "before_buffer_minutes": "integer",
    "after_buffer_minutes": "integer",
    "minimum_notice_minutes": "integer",
}
REQUIRED = ("name", "slug", "duration_minutes")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_FEED_TRIGGER = "calcom_services_feed"


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is read (an expression over the table) and written ($ stands for the value); "" is read-only."""

    read: str
    write: str = ""


@dataclass(frozen=True, slots=True)
class TableMapping:
    """What the file says."""

    table: str
    key: str
    columns: Mapping[str, Column]
    insertable: bool = False


def read_mapping(path: Path) -> TableMapping:
    """The mapping of a file.

    Raises:
        ConfigurationError: with everything that is wrong in it.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path} cannot be read: {type(error).__name__}"]) from None
    problems: list[str] = []
    table, key = str(raw.get("table", "")), str(raw.get("key", ""))
    if not all(_IDENTIFIER.fullmatch(part) for part in table.split(".")) or table.count(".") > 1:
        problems.append("table has to be a name or schema.name")
    if not _IDENTIFIER.fullmatch(key):
        problems.append("key has to name the table's key column")
    columns = {name: _column(name, value, problems) for name, value in raw.get("columns", {}).items()}
    problems += [f"columns.{name} is no column of services_source" for name in columns if name not in COLUMNS]
    problems += [f"columns.{name} is missing" for name in REQUIRED if name not in columns]
    if problems:
        raise ConfigurationError(problems, advice=f"Correct {path.name}; the README has an example.")
    return TableMapping(table, key, columns, insertable=bool(raw.get("insert", False)))


def _column(name: str, value: Any, problems: list[str]) -> Column:
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value):
        return Column(f'"{value}"', f'"{value}" = $')
    if isinstance(value, dict):
        told = cast("dict[str, Any]", value)
        if isinstance(told.get("read"), str):
            return Column(str(told["read"]), str(told.get("write", "")))
    problems.append(f'columns.{name} has to be a column\'s name, or {{ read = "...", write = "... = $" }}')
    return Column("NULL")


def attach_statements(mapping: TableMapping, schema: str) -> list[str]:
    """The statements, in order; they replace the view, its trigger and the feed of an earlier attach."""
    selected = ",\n       ".join(
        f"({mapping.columns[name].read})::{kind} AS {name}" if name in mapping.columns else _absent(name, kind)
        for name, kind in COLUMNS.items()
    )
    return [
        "DROP VIEW services_source",
        (
            f'CREATE VIEW services_source AS\nSELECT "{mapping.key}"::text AS service_id,\n       {selected},\n'
            f"       xmin::text AS version\nFROM {mapping.table}"
        ),
        _trigger_function(mapping),
        (
            "CREATE TRIGGER services_source_write INSTEAD OF INSERT OR UPDATE ON services_source\n"
            "FOR EACH ROW EXECUTE FUNCTION write_services_source()"
        ),
        # Whoever may write the business's table may thereby write the feed, and nothing else of ours.
        f'ALTER FUNCTION record_service_change() SECURITY DEFINER SET search_path = "{schema}", pg_temp',
        f"DROP TRIGGER IF EXISTS {_FEED_TRIGGER} ON {mapping.table}",
        (
            f"CREATE TRIGGER {_FEED_TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {mapping.table}\n"
            f"FOR EACH ROW EXECUTE FUNCTION record_service_change('{mapping.key}', '{schema}')"
        ),
    ]


def attach(database: Database, mapping: TableMapping) -> None:
    """Run the statements in one transaction: attached, or as before. Raises StoreError with PostgreSQL's reason."""
    with database.transaction("Attaching services") as cursor:
        for text in attach_statements(mapping, database.schema):
            cursor.execute(statement(text))
        cursor.execute("SELECT count(*) FROM services_source")


def _absent(name: str, kind: str) -> str:
    return f"{'true' if name == 'is_active' else f'NULL::{kind}'} AS {name}"


def _trigger_function(mapping: TableMapping) -> str:
    written = {name: c.write for name, c in mapping.columns.items() if c.write}
    # Only what changed is written, so that the table's own triggers see no more than that.
    updates = "\n".join(_update(mapping, name, write) for name, write in written.items())
    return (
        "CREATE OR REPLACE FUNCTION write_services_source() RETURNS trigger LANGUAGE plpgsql AS $body$\nBEGIN\n"
        f"    IF TG_OP = 'INSERT' THEN\n{_insert(mapping, written)}\n        RETURN NEW;\n    END IF;\n"
        f"{updates}\n    RETURN NEW;\nEND $body$"
    )


def _update(mapping: TableMapping, name: str, write: str) -> str:
    assignment = write.replace("$", f"NEW.{name}")
    return (
        f"    IF NEW.{name} IS DISTINCT FROM OLD.{name} THEN\n"
        f'        UPDATE {mapping.table} SET {assignment} WHERE "{mapping.key}"::text = OLD.service_id;\n'
        "    END IF;"
    )


def _insert(mapping: TableMapping, written: Mapping[str, str]) -> str:
    if not mapping.insertable:
        return f"        RAISE EXCEPTION 'new services are made in {mapping.table} itself (insert = false)';"
    pairs = {name: write.split("=", 1) for name, write in written.items()}
    columns = ", ".join(left.strip() for left, _ in pairs.values())
    values = ", ".join(right.strip().replace("$", f"NEW.{name}") for name, (_, right) in pairs.items())
    return (
        f"        INSERT INTO {mapping.table} ({columns}) VALUES ({values})\n"
        f'        RETURNING "{mapping.key}"::text INTO NEW.service_id;'
    )
