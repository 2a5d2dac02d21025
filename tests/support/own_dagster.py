"""A Dagster home and a Dagster database that are one test's alone."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from calcom_pipeline import local
from tests.support.commands import CHECKOUT
from tests.support.databases import own_database


def make_home(home: Path) -> Path:
    """A folder with our dagster.yaml."""
    home.mkdir(parents=True)
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", home)
    return home


@contextmanager
def own_dagster_database(servers: local.Servers, name: str) -> Generator[str]:
    """The address of a database of Dagster's, dropped at the end of the block whoever uses it."""
    with own_database(servers, name):
        yield servers.dagster_pg_url.replace("@/dagster", f"@/{name}")
