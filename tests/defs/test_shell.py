"""Dagster's own commands from a shell, as CI would call them after `local up` and `local env`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calcom_pipeline.definitions import defs
from calcom_pipeline.hosting import dagster_defaults

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ASSETS = sorted(key.to_user_string() for asset in defs.assets or [] for key in asset.keys)
COMMANDS = {"dagster": ["dagster", "asset", "materialize", "--select"], "dg": ["dg", "launch", "--assets"]}


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", tmp_path)
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**bare, **environment, **dagster_defaults(), "DAGSTER_HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT)}


def materialize(command: str, asset: str, shell: dict[str, str]) -> subprocess.CompletedProcess[str]:
    name, *options = COMMANDS[command]
    return subprocess.run(
        [BIN / name, *options, f"key:{asset}"], env=shell, cwd=CHECKOUT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_an_asset_is_materialized_from_a_shell(command: str, shell: dict[str, str]):
    done = materialize(command, "calcom/event_types", shell)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "RUN_SUCCESS" in done.stderr + done.stdout


@pytest.mark.proof
@pytest.mark.parametrize("asset", ASSETS)
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_asset_is_materialized_from_a_shell(command: str, asset: str, shell: dict[str, str]):
    assert materialize(command, asset, shell).returncode == 0


def test_the_definitions_validate(shell: dict[str, str]):
    done = subprocess.run(
        [BIN / "dagster", "definitions", "validate"],
        env=shell,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
