"""Writes the reference: `PYTHONHASHSEED=0 python -m docs.making`. Starts an embedded PostgreSQL for the tables."""

import os
import sys
import tempfile
from pathlib import Path

#: What the caller's shell or a `.env` file says of servers and accounts is nobody's documentation.
for _name in [name for name in os.environ if name.startswith(("CALCOM_", "DATABASE_URL", "REDIS_URL", "DAGSTER_"))]:
    del os.environ[_name]
os.environ["CALCOM_ENV_FILE"] = ""

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.database import open_database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from docs.making.pages import FOLDER, PAGES, TABLES_PAGE
from docs.making.tables_page import stored_columns, tables_page


def _tables() -> str:
    """The page of tables, of a schema that is made for it and goes with its server."""
    with (
        tempfile.TemporaryDirectory() as folder,
        local.join(Path(folder) / "data", durable=False, linger_seconds=0, keep_data=False) as servers,
        open_database(servers.database_url, schema="documented") as database,
    ):
        migrate(database, shipped_migrations())
        return tables_page(stored_columns(database))


def _write() -> None:
    FOLDER.mkdir(exist_ok=True)
    made = {name: make() for name, make in PAGES.items()} | {TABLES_PAGE: _tables()}
    changed = [name for name, text in made.items() if _changed(FOLDER / name, text)]
    sys.stdout.write(f"{len(made)} pages of docs/reference are as the code says; written anew: {changed or 'none'}\n")


def _changed(path: Path, text: str) -> bool:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


_write()
