"""A real Dagster instance on PostgreSQL, an open pipeline beside it, runs in this process and what they tell."""

import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.definitions import defs
from calcom_pipeline.defs import pictures
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.pools import make_pools
from calcom_pipeline.settings import load_settings
from tests.support.commands import CHECKOUT
from tests.support.own_dagster import own_dagster_database

_pools_made: set[str] = set()  # by this worker, in the database that all share


@pytest.fixture(scope="session")
def dagster_database(servers: local.Servers) -> Iterator[str]:
    """A Dagster database of this worker alone: what looks at all runs must not meet those of other tests."""
    name = f"runs_{uuid.uuid4().hex[:12]}"
    with own_dagster_database(servers, name) as url:
        yield url


class Blank:
    """A figure, its axes and all that they have: whatever is drawn on it leaves no trace."""

    def __getattr__(self, name: str) -> "Blank":
        return self

    def __call__(self, *_: object, **__: object) -> "Blank":
        return self


@pytest.fixture
def pictures_blank() -> Iterator[pytest.MonkeyPatch]:
    """Runs in this process count what is in their pictures and draw none: that is half of the time of a full sync.

    A test that looks at them has it undone.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pictures, "canvas", lambda *_, **__: (Blank(), Blank()))
        patched.setattr(pictures, "picture", lambda _, what: dg.MetadataValue.md(f"![{what}](blank)"))
        yield patched


@pytest.fixture
def own_instance(
    in_environment: dict[str, str],
    pictures_blank: pytest.MonkeyPatch,
    dagster_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dg.DagsterInstance]:
    """The same on that database."""
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_PG_URL", dagster_database)
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def instance(
    in_environment: dict[str, str], pictures_blank: pytest.MonkeyPatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    _make_pool_once(in_environment["DATABASE_URL"])
    with dg.DagsterInstance.get() as instance:
        yield instance


def _make_pool_once(database_url: str) -> None:
    """Workers share this instance's database: of two whose first runs make the pool at once, one would fail over it."""
    pool = Account.from_environment().pool
    if pool not in _pools_made:
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('pool of the tests'))")
            make_pools([pool])
        _pools_made.add(pool)


@pytest.fixture
def container(in_environment: dict[str, str]) -> Iterator[Container]:
    with ready_container(load_settings()) as opened:
        yield opened


def run(instance: dg.DagsterInstance, job: str, **options: Any) -> dg.ExecuteInProcessResult:
    found = defs.resolve_job_def(job)
    # The launchpad of some asks for their own fields alone.
    quiet = {} if found.config_mapping else {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return found.execute_in_process(instance=instance, run_config=quiet, **options)


def sensor_named(name: str) -> dg.SensorDefinition:
    return defs.get_repository_def().get_sensor_def(name)


def rows_in(markdown: str | None) -> list[list[str]]:
    """The cells of a Markdown table, without its head; escapes are taken back."""
    lines = [line for line in (markdown or "").splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[1:]]
    plain = [[re.sub(r"\\(.)", r"\1", cell).strip() for cell in row] for row in cells]
    return [row for row in plain if set("".join(row)) != {"-"}]


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (found,) = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.materialization.asset_key.path[-1] == asset
    ]
    plain = {name: getattr(value, "value", value) for name, value in found.items()}
    return {name: value.records if hasattr(value, "records") else value for name, value in plain.items()}
