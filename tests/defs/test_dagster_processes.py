"""Dagster's code server and daemon as `up` starts them: what they do otherwise than Dagster's own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon import controller

from calcom_pipeline.defs import daemon
from calcom_pipeline.defs.code_server import BEFORE_FORKS
from calcom_pipeline.defs.daemon import UnchangedWorkspace
from tests.support.waiting import until

# What Dagster says of a code server that is away, which is what is made here.
pytestmark = pytest.mark.filterwarnings("ignore:Error loading repository location")

LOCATION = """
import dagster as dg

@dg.op
def nothing(): ...

@dg.job
def small(): nothing()

defs = dg.Definitions(jobs=[small])
"""
PRELOADED = """
import os, sys
from calcom_pipeline.defs.code_server import modules_of_runs
for name in modules_of_runs():
    __import__(name)
print(len(os.listdir("/proc/self/task")))
print(*(name for name in ("calcom_pipeline.definitions", "dagster_postgres", "matplotlib") if name in sys.modules))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere runs are not forked")
def test_what_runs_are_forked_from_has_imported_everything_and_begun_nothing(tmp_path: Path):
    environment = {**os.environ, **BEFORE_FORKS, "MPLCONFIGDIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", PRELOADED], env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.stdout.splitlines(), ran.stderr) == (["1", "dagster_postgres matplotlib"], "")


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    """A code server on `folder/door`."""
    (folder / "location.py").write_text(LOCATION)
    argv = ["-m", "dagster", "api", "grpc", "--socket", str(folder / "door"), "-f", str(folder / "location.py")]
    with subprocess.Popen([sys.executable, *argv], stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[UnchangedWorkspace]:
    target = GrpcServerTarget("127.0.0.1", port=None, socket=str(tmp_path / "door"), location_name="here")
    with dg.instance_for_test() as instance, UnchangedWorkspace(instance, target) as workspace:
        yield workspace


def loads(workspace: UnchangedWorkspace) -> int:
    """How often a refresh reads the location from its server."""
    create = GrpcServerCodeLocationOrigin.create_location
    with patch.object(GrpcServerCodeLocationOrigin, "create_location", autospec=True, side_effect=create) as created:
        workspace.refresh_workspace()
    return created.call_count


def has_loaded(workspace: UnchangedWorkspace) -> bool:
    return workspace.get_current_workspace().code_location_entries["here"].load_error is None


def test_a_location_is_read_again_only_from_another_code_server(tmp_path: Path, workspace: UnchangedWorkspace):
    assert not has_loaded(workspace)
    with serving(tmp_path):
        until(lambda: loads(workspace) == 1 and has_loaded(workspace))
        first = workspace.get_current_workspace().code_location_entries["here"].version_key
        assert loads(workspace) == 0
    with serving(tmp_path):
        until(lambda: workspace.get_current_workspace().code_location_entries["here"].version_key != first)
        assert has_loaded(workspace)


def test_a_code_server_that_is_away_is_asked_each_time(workspace: UnchangedWorkspace):
    assert loads(workspace) == 1
    assert not has_loaded(workspace)


def test_the_daemon_has_that_workspace(monkeypatch: pytest.MonkeyPatch):
    found: list[type] = []
    monkeypatch.setattr(
        controller, "WorkspaceProcessContext", controller.WorkspaceProcessContext
    )  # put back afterwards
    monkeypatch.setattr(daemon, "dagster_daemon", lambda: found.append(controller.WorkspaceProcessContext))
    daemon.main()
    assert found == [UnchangedWorkspace]
