"""A Dagster home and a Dagster database that are one test's alone."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from calcom_pipeline import local
from tests.support.commands import CHECKOUT


def make_home(home: Path) -> Path:
    """A folder with our dagster.yaml."""
    home.mkdir(parents=True)
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", home)
    return home


@contextmanager
def own_database(servers: local.Servers, name: str) -> Generator[str]:
    """The address of a database of Dagster's, dropped at the end of the block whoever uses it."""
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield servers.dagster_pg_url.replace("@/dagster", f"@/{name}")
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
