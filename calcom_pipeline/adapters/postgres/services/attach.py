"""Puts `services_source` over a business's own table, and its change feed under it.

The mapping is a TOML file (`docs` in the README): which table, which column is the key, and per column of
`services_source` either a column of the table or how it is read and written. Everything in it is the operator's own
SQL, run with the operator's own rights; it is shown by `--print` before it runs.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, cast

from calcom_pipeline.adapters.postgres.database import Database, statement
from calcom_pipeline.domain.columns import columns_of
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.services.models import Service

#: Columns of `services_source` and their types; the key and the version come on top.
COLUMNS: Mapping[str, str] = {name: column.kind for name, column in columns_of(Service).items()}
REQUIRED = tuple(field.name for field in fields(Service) if field.name in COLUMNS and field.default is MISSING)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_FEED_TRIGGER = "calcom_services_feed"
_NONE_OF = {"integer": "is no whole number", "bigint": "is no whole number", "boolean": "is neither yes nor no"}
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """How one column is read (an expression over the table) and written ($ stands for the value); "" is read-only."""

    read: str
    write: str = ""


@dataclass(frozen=True, slots=True)
class TableMapping:
    """What the file says."""

    table: str
    key: str
    columns: Mapping[str, MappedColumn]
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


def _column(name: str, value: Any, problems: list[str]) -> MappedColumn:
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value):
        return MappedColumn(f'"{value}"', f'"{value}" = $')
    if isinstance(value, dict):
        expressions = cast("dict[str, Any]", value)
        if isinstance(expressions.get("read"), str):
            return MappedColumn(str(expressions["read"]), str(expressions.get("write", "")))
    problems.append(f'columns.{name} has to be a column\'s name, or {{ read = "...", write = "... = $" }}')
    return MappedColumn("NULL")


def attach_statements(mapping: TableMapping, schema: str) -> list[str]:
    """The statements, in order; they replace the view, its trigger and the feed of an earlier attach."""
    feed = f"FOR EACH ROW EXECUTE FUNCTION record_service_change('{mapping.key}', '{schema}')"
    return [
        "DROP VIEW services_source",
        _view(mapping),
        _trigger_function(mapping),
        (
            "CREATE TRIGGER services_source_write INSTEAD OF INSERT OR UPDATE ON services_source\n"
            "FOR EACH ROW EXECUTE FUNCTION write_services_source()"
        ),
        f"DROP TRIGGER IF EXISTS {_FEED_TRIGGER} ON {mapping.table}",
        f"DROP TRIGGER IF EXISTS {_FEED_TRIGGER}_update ON {mapping.table}",
        f"CREATE TRIGGER {_FEED_TRIGGER} AFTER INSERT OR DELETE ON {mapping.table}\n{feed}",
        _update_feed(mapping, feed),
    ]


def attach(database: Database, mapping: TableMapping) -> None:
    """Run the statements in one transaction: attached, or as before. Raises StoreError with PostgreSQL's reason."""
    with database.transaction("Attaching services", "whole") as cursor:
        for text in attach_statements(mapping, database.schema):
            cursor.execute(statement(text))
        cursor.execute("SELECT count(version) FROM services_source")  # an expression that fails, fails now


def _view(mapping: TableMapping) -> str:
    """What is read. The version is a hash of it, so that a touch of anything else is no edit.

    Values that are not of the column's type become null there, and a sentence part of `unreadable`.
    """
    mapped = {name: kind for name, kind in COLUMNS.items() if name in mapping.columns}
    given = [
        f"({mapping.columns[name].read}){'::text' if kind == 'text' else ''} AS {name}" for name, kind in mapped.items()
    ]
    converted = {name: f"as_{kind}({name})" for name, kind in mapped.items() if kind != "text"}
    read = [_read(name, kind, mapped, converted) for name, kind in COLUMNS.items()]
    unreadable_cases = [
        f"CASE WHEN {name} IS NOT NULL AND {conversion} IS NULL THEN\n"
        f"               format('{name} of %L {_NONE_OF[COLUMNS[name]]}', left({name}::text, {_SHOWN_CHARACTERS})) END"
        for name, conversion in converted.items()
    ]
    columns = ", ".join(COLUMNS)
    return (
        f"CREATE VIEW services_source AS\nSELECT service_id, {columns},\n"
        f"       encode(sha256(convert_to(ROW({columns}, unreadable)::text, 'UTF8')), 'hex') AS version, unreadable\n"
        f"FROM (\n    SELECT service_id,\n           {_lines(read)},\n"
        f"           array_remove(ARRAY[\n           {_lines(unreadable_cases)}]::text[], NULL) AS unreadable\n"
        f'    FROM (\n    SELECT "{mapping.key}"::text AS service_id,\n           {_lines(given)}\n'
        f"    FROM {mapping.table}) given) source"
    )


def _lines(parts: Sequence[str]) -> str:
    return ",\n           ".join(parts)


def _read(name: str, kind: str, mapped: Mapping[str, str], converted: Mapping[str, str]) -> str:
    if name not in mapped:
        return f"{'true' if name == 'is_active' else f'NULL::{kind}'} AS {name}"
    return f"{converted[name]} AS {name}" if name in converted else name


def _update_feed(mapping: TableMapping, feed: str) -> str:
    """The feed of updates. It looks only at the table's columns that the view reads: others may change all the time.

    They are compared as stored (`*<>`): every type can be, and it never fails a write of the business. PostgreSQL knows
    which they are, unless an expression uses the row as a whole.
    """
    table, name = mapping.table, mapping.table.rpartition(".")[2]
    whole = any(re.search(rf"\b{re.escape(name)}\b", column.read) for column in mapping.columns.values())
    used = (
        ""
        if whole
        else (
            "\n      AND attnum IN (SELECT refobjsubid FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid\n"
            "                     WHERE classid = 'pg_rewrite'::regclass AND ev_class = 'services_source'::regclass\n"
            f"                       AND refclassid = 'pg_class'::regclass AND refobjid = '{table}'::regclass)"
        )
    )
    quoted = feed.replace("'", "''")
    return (
        "DO $do$\nDECLARE\n    seen text[] := ARRAY(\n    SELECT quote_ident(attname) FROM pg_attribute\n"
        f"    WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped{used});\nBEGIN\n"
        f"    EXECUTE format('CREATE TRIGGER {_FEED_TRIGGER}_update AFTER UPDATE ON {table}\n"
        # As records: PostgreSQL would take two plain rows apart and compare column by column, which not every type can.
        f"{quoted.replace('ROW', 'ROW WHEN (ROW(OLD.%s)::record *<> ROW(NEW.%s)::record)', 1)}',\n"
        "    array_to_string(seen, ', OLD.'), array_to_string(seen, ', NEW.'));\nEND $do$"
    )


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
