"""Plain numbered SQL files, each applied once, in a transaction of its own, under one lock per schema.

A file that was applied and has changed since is an error: released migrations are never edited. So is a schema that
knows a migration which this release does not.
"""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from psycopg import sql

from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement
from calcom_pipeline.adapters.postgres.locks import taken
from calcom_pipeline.domain.errors import SchemaOutdated, StoreError, StoreTimeout

# By the name that is meant: to a user who may not use the schema, there is no current one.
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('calcom_pipeline migrations ' || %(schema)s, 0))"
_HAS_SCHEMA = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
_LOCK_MAKING = "SELECT pg_advisory_xact_lock(hashtextextended('calcom_pipeline schema ' || %s, 0))"
_TABLE = """CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL)"""
_APPLIED = "SELECT version, name, checksum FROM schema_migrations ORDER BY version"
_RECORD = "INSERT INTO schema_migrations VALUES (%s, %s, %s, now())"
_HAS_TABLE = "SELECT to_regclass('schema_migrations') IS NOT NULL"


@dataclass(frozen=True)
class Migration:
    """One file of `sql/`."""

    version: int
    name: str
    text: str

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@functools.cache  # a release's own files stay as they are while it runs
def shipped_migrations(folder: Path | None = None) -> tuple[Migration, ...]:
    """The migrations of this release: inside the wheel, or `sql/` of the checkout."""
    shipped = resources.files("calcom_pipeline") / "_shipped" / "sql"
    root = folder or (Path(str(shipped)) if shipped.is_dir() else Path(__file__).parents[3] / "sql")
    files = sorted(root.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    if not files:
        raise StoreError(f"No migration lies in {root}", advice="Install the package again.")
    return tuple(Migration(int(f.name[:4]), f.stem[5:], f.read_text(encoding="utf-8")) for f in files)


def pending(database: Database, migrations: Sequence[Migration]) -> list[Migration]:
    """What `migrate` would apply. Raises StoreError when an applied file has changed or is unknown here."""
    with database.transaction("Reading the schema's version", "read") as cursor:
        return _pending(cursor, migrations)


def migrate(database: Database, migrations: Sequence[Migration]) -> list[Migration]:
    """Apply what is missing, one transaction each; what was applied. Safe from several processes at once."""
    applied: list[Migration] = []
    with database.transaction("Preparing the schema", "migration") as cursor:
        _make_schema(cursor, database.schema)
    with database.beside_the_pool("Locking the schema") as lock:
        _wait_for_others(database, lock)
        with database.transaction("Preparing the schema", "migration") as cursor:
            cursor.execute(_TABLE)
            missing = _pending(cursor, migrations)
        for migration in missing:
            _apply(database, migration)
            applied.append(migration)
    return applied


def require_current(database: Database, migrations: Sequence[Migration]) -> bool:
    """True when nothing is missing, False when the schema is empty; raises SchemaOutdated in between."""
    missing = pending(database, migrations)
    if not missing:
        return True
    if len(missing) == len(migrations):
        return False
    names = ", ".join(f"{m.version:04d}_{m.name}" for m in missing)
    raise SchemaOutdated(f"Schema {database.schema} lacks {names}", advice="Run `calcom-pipeline migrate`.")


def _make_schema(cursor: Cursor, schema: str) -> None:
    cursor.execute(_HAS_SCHEMA, (schema,))
    if cursor.fetchone() is None:
        # IF NOT EXISTS does not help two at once: both look, both insert, one fails.
        cursor.execute(_LOCK_MAKING, (schema,))
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def _pending(cursor: Cursor, migrations: Sequence[Migration]) -> list[Migration]:
    cursor.execute(_HAS_TABLE)
    exists = cursor.fetchone()
    if exists is None or not exists[0]:
        return list(migrations)
    cursor.execute(_APPLIED)
    applied = {int(version): (str(name), str(checksum)) for version, name, checksum in cursor.fetchall()}
    known = {m.version: m for m in migrations}
    for version, (name, checksum) in applied.items():
        if version not in known:
            raise SchemaOutdated(
                f"The schema has migration {version:04d}_{name}, which this release does not know",
                advice="Install the newer release of calcom-pipeline.",
            )
        if known[version].checksum != checksum:
            raise StoreError(
                f"Migration {version:04d}_{name} has changed since it was applied",
                advice="Restore the file as it was released; put changes into a new one.",
            )
    return [m for m in migrations if m.version not in applied]


def _apply(database: Database, migration: Migration) -> None:
    doing = f"Applying migration {migration.version:04d}_{migration.name}"
    with database.transaction(doing, "migration") as cursor:
        cursor.execute(statement(migration.text))
        cursor.execute(_RECORD, (migration.version, migration.name, migration.checksum))


def _wait_for_others(database: Database, lock: Cursor) -> None:
    """Be the only one who migrates this schema while this transaction lasts; another one may take as long as we may."""
    longest = database.bounds.migration_seconds
    if not taken(lock, _LOCK, {"schema": database.schema}, wait_seconds=longest):
        raise StoreTimeout(
            f"Somebody else has been migrating schema {database.schema} for {longest:g} s",
            advice="Try again when that has ended; pg_locks names who it is.",
        )
