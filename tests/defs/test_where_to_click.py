"""What `up` tells a newcomer to look at: something that is there."""

from pathlib import Path

import pytest

from calcom_pipeline.cli.up import Address, where_to_click
from calcom_pipeline.definitions import build_definitions
from tests.support.described import accounts_alone

ADDRESS = Address("127.0.0.1", 3000)


@pytest.mark.parametrize(
    ("variables", "named", "command"),
    [
        ({}, "calcom/service_sync", "  calcom-pipeline status"),
        ({"CALCOM_ACCOUNT": "main"}, "main/service_sync", "  calcom-pipeline status"),
    ],
)
def test_the_account_of_the_environment(
    in_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    named: str,
    command: str,
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    _is_there(named, "full_sync", command.strip())


def test_the_first_of_those_that_files_describe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in accounts_alone(tmp_path / "accounts", 2).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CALCOM_API_KEY")
    _is_there("agency_0/service_sync", "agency_0_full_sync", "CALCOM_ACCOUNT=agency_0 calcom-pipeline status")


def test_all_assets_where_no_account_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in accounts_alone(tmp_path / "accounts", 1).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CALCOM_API_KEY")
    (tmp_path / "accounts" / "agency_0.key").unlink()
    assert where_to_click(ADDRESS) == ["  Look first:  http://127.0.0.1:3000/assets"]


def _is_there(asset: str, job: str, command: str) -> None:
    lines = where_to_click(ADDRESS)
    repository = build_definitions().get_repository_def()
    assert f"  Look first:  http://127.0.0.1:3000/assets/{asset}" in lines
    assert asset in {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    assert any(line.endswith(f"/jobs/{job}") for line in lines)
    assert repository.has_job(job)
    assert lines[-1].startswith(f"  Next: {command} --watch")
