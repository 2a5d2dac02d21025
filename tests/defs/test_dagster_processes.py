"""Dagster's code server and daemon as `up` starts them: what they do otherwise than Dagster's own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, SensorInstigatorData
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon import controller, sensor

from calcom_pipeline.defs import daemon
from calcom_pipeline.defs.code_server import BEFORE_FORKS
from calcom_pipeline.defs.daemon import UnchangedWorkspace, elapsed_since_tick
from tests.support.waiting import until

# What Dagster says of a code server that is away, which is what is made here.
pytestmark = pytest.mark.filterwarnings("ignore:Error loading repository location")

ORIGIN = RemoteInstigatorOrigin(
    RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("127.0.0.1", 4000), "__repository__"), "changed_bookings"
)
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
    argv = ["api", "grpc", "--socket", str(folder / "door"), "-f", str(folder / "location.py")]
    command_line = [sys.executable, "-m", "calcom_pipeline.defs.code_server", *argv]
    with subprocess.Popen(command_line, stderr=subprocess.DEVNULL) as process:
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


@pytest.mark.parametrize(
    ("ago", "is_due"), [(None, True), (20, False), (60, True), (600, True), (-5, False), (-60, True), (-600, True)]
)
def test_a_sensor_whose_last_tick_lies_ahead_is_due_since_the_clock_was_set_back(ago: int | None, is_due: bool):
    at = None if ago is None else time.time() - ago
    data = SensorInstigatorData(last_tick_timestamp=at, min_interval=30)
    state = InstigatorState(ORIGIN, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
    elapsed = elapsed_since_tick(state)
    assert (elapsed is None or elapsed >= 30) == is_due


def test_the_daemon_has_that_workspace_and_that_count(monkeypatch: pytest.MonkeyPatch):
    found: list[object] = []
    monkeypatch.setattr(sensor, "get_elapsed", sensor.get_elapsed)  # put back afterwards
    monkeypatch.setattr(controller, "WorkspaceProcessContext", controller.WorkspaceProcessContext)
    monkeypatch.setattr(
        daemon, "dagster_daemon", lambda: found.extend([controller.WorkspaceProcessContext, sensor.get_elapsed])
    )
    daemon.main()
    assert found == [UnchangedWorkspace, elapsed_since_tick]
