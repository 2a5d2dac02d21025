"""Accounts that are described by files, for tests of Dagster."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.described import describe


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_environment: dict[str, str]) -> Path:
    """Where this test's accounts are described; the environment has servers and no key."""
    for name in ("CALCOM_API_KEY", "CALCOM_BASE_URL", "CALCOM_DATABASE_SCHEMA"):
        monkeypatch.delenv(name)
    accounts = tmp_path / "accounts"
    accounts.mkdir()
    monkeypatch.setenv("CALCOM_ACCOUNTS_DIR", str(accounts))
    return accounts


@pytest.fixture
def two(folder: Path, sandbox: RunningSandbox, schema_name: str, servers: local.Servers) -> Iterator[tuple[str, str]]:
    """Two accounts with one key, each with a schema of its own."""
    schemas = [f"{schema_name}_{name}" for name in "ab"]
    for name, schema in zip(("agency_a", "agency_b"), schemas, strict=True):
        describe(folder, name, key=sandbox.keys["owner"], base_url=sandbox.url, database_schema=schema)
    yield "agency_a", "agency_b"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        for schema in schemas:
            connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


def keys(definitions: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.get_repository_def().asset_graph.get_all_asset_keys()}
