"""Dagster's own commands from a shell, as CI would call them after `local up` and `local env`."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.workspace.load_target import PyProjectFileTarget, WorkspaceFileTarget

from calcom_pipeline import definitions

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HISTORY = "calcom/bookings_history"
MONTH = "2026-06-01"
ASSETS = sorted(key.to_user_string() for key in definitions.defs.resolve_asset_graph().materializable_asset_keys)
COMMANDS = {"dagster": "dagster asset materialize --select", "dg": "dg launch --assets"}
# Small, so that the sandbox is up at once.
ACCOUNT = {"CALCOM_SANDBOX_EVENT_TYPES": "6", "CALCOM_SANDBOX_BOOKINGS": "50", "CALCOM_ENV_FILE": ""}


class Shell:
    """A POSIX shell with this environment's commands, a data folder and a Dagster home of its own, nothing else."""

    def __init__(self, folder: Path) -> None:
        shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", folder)
        kept = {name: value for name, value in os.environ.items() if name == "HOME" or name.startswith("COVERAGE_")}
        self._variables = {
            **kept,
            **ACCOUNT,
            "PATH": f"{BIN}{os.pathsep}{os.defpath}",
            "CALCOM_DATA_DIR": str(folder / "data"),
            "DAGSTER_HOME": str(folder),
        }

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run lines, the first that fails ends them."""
        return subprocess.run(
            ["/bin/sh", "-ec", script], env=self._variables, cwd=CHECKOUT, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """After `calcom-pipeline local up`."""
    opened = Shell(tmp_path_factory.mktemp("shell"))
    up = opened.run("calcom-pipeline local up")
    assert up.returncode == 0, up.stderr
    try:
        yield opened
    finally:
        assert opened.run("calcom-pipeline local remove").returncode == 0


def materialized(shell: Shell, command: str, asset: str) -> None:
    month = f" --partition {MONTH}" if asset == HISTORY else ""
    words = f"{COMMANDS[command]} {shlex.quote(f'key:{asset}')}{month}"
    done = shell.run(f'eval "$(calcom-pipeline local env)"\n{words}')
    assert done.returncode == 0, done.stderr[-2000:]
    assert "RUN_SUCCESS" in done.stderr + done.stdout


def test_an_asset_is_materialized_from_a_shell(shell: Shell):
    """By `dg`, whose command calls that of `dagster`."""
    materialized(shell, "dg", HISTORY)


@pytest.mark.parametrize(
    "target",
    [PyProjectFileTarget(str(CHECKOUT / "pyproject.toml")), WorkspaceFileTarget([str(CHECKOUT / "workspace.yaml")])],
    ids=["pyproject.toml", "workspace.yaml"],
)
def test_either_file_that_dagster_reads_names_the_one_location(target: PyProjectFileTarget | WorkspaceFileTarget):
    (origin,) = target.create_origins()
    assert isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin)
    assert (origin.location_name, origin.loadable_target_origin.module_name) == (
        "calcom_pipeline",
        definitions.__name__,
    )


@pytest.mark.proof
@pytest.mark.parametrize("asset", ASSETS)
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_asset_is_materialized_from_a_shell(command: str, asset: str, shell: Shell):
    materialized(shell, command, asset)


@pytest.mark.proof
def test_the_definitions_validate(shell: Shell):
    done = shell.run('eval "$(calcom-pipeline local env)"\ndagster definitions validate')
    assert done.returncode == 0, done.stderr[-2000:]


def test_without_running_servers_the_shell_is_told_what_to_do(tmp_path: Path):
    done = Shell(tmp_path).run("calcom-pipeline local env")
    assert done.returncode == 10
    assert "Run `calcom-pipeline local up` first." in done.stderr
    assert not done.stdout
