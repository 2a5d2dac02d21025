"""Every process of a running `up` is killed, alone and with others; what follows is watched from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.maintenance.run_leases import RunLeases
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.supervising.services import STEADY_SECONDS
from calcom_pipeline.supervising.supervisor import GRACE_SECONDS
from tests.support.commands import CHECKOUT, process, said
from tests.support.own_dagster import make_home, own_dagster_database
from tests.support.up import Up, executing, wait_for

pytestmark = [pytest.mark.proof, pytest.mark.timeout(900)]
WITHIN_SECONDS = 180  # three minutes, as promised
SLOTS = 4
JOB = "bookings_mirror"
SLOW_SECONDS = 12.0  # a step that waits that long for Cal.com can be met in the middle


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def own(
    in_environment: dict[str, str],
    tmp_path: Path,
    servers: local.Servers,
    schema_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """This process's environment with a Dagster home, a Dagster database and a data folder of its own."""
    monkeypatch.setenv("DAGSTER_HOME", str(make_home(tmp_path / "home")))
    monkeypatch.setenv("CALCOM_DATA_DIR", str(tmp_path / "data"))
    with own_dagster_database(servers, f"{schema_name}_dagster") as url:
        monkeypatch.setenv("DAGSTER_PG_URL", url)
        yield


@pytest.fixture
def up(own: None, port: int) -> Iterator[Up]:
    running = Up(port).started()
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def instance(up: Up) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as opened:
        yield opened


@pytest.fixture
def leases(up: Up) -> RunLeases:
    return RunLeases(os.environ["DAGSTER_PG_URL"])


def slots_of(instance: dg.DagsterInstance, run_ids: set[str]) -> int:
    storage = instance.event_log_storage
    pools = map(storage.get_concurrency_info, storage.get_concurrency_keys())
    return sum(slot.run_id in run_ids for pool in pools for slot in pool.claimed_slots)


def met(leases: RunLeases, instance: dg.DagsterInstance, *, but: set[str]) -> tuple[str, int]:
    """The next run whose step holds a slot, and the process that executes it."""
    found: list[tuple[str, int] | None] = [None]

    def look() -> bool:
        found[0] = executing(leases, instance, JOB, but=but)
        return found[0] is not None and slots_of(instance, {found[0][0]}) == 1

    wait_for(look, 150)
    assert found[0] is not None
    return found[0]


def newest_run(instance: dg.DagsterInstance) -> float:
    return instance.get_run_records(limit=1)[0].create_timestamp.timestamp()


def ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    found = instance.get_run_by_id(run_id)
    return found is not None and found.is_finished


def test_runs_killed_with_their_code_server_are_given_up_their_slots_freed_and_started_again(
    up: Up, instance: dg.DagsterInstance, leases: RunLeases, sandbox: RunningSandbox
):
    """As many as the pool has slots, which stopped everything for ever once."""
    fault = sandbox.control.add_fault("latency", "/v2/bookings", seconds=SLOW_SECONDS)
    began = time.monotonic()  # one that ends again and again before it was ever steady is given up
    wait_for(lambda: time.monotonic() - began > STEADY_SECONDS + 1, STEADY_SECONDS + 10)
    dead: set[str] = set()
    for _ in range(SLOTS):
        run_id, pid = met(leases, instance, but=dead)
        server = up.pids()["code server"]
        os.kill(server, signal.SIGSTOP)  # so that it does not see its child die
        for victim in (pid, server):
            os.kill(victim, signal.SIGKILL)
        dead.add(run_id)
        wait_for(lambda server=server: up.pids().get("code server", server) != server, 60)
    sandbox.control.remove_fault(fault)
    took = wait_for(lambda: all(ended(instance, run_id) for run_id in dead), WITHIN_SECONDS)
    took += wait_for(lambda: slots_of(instance, dead) == 0, WITHIN_SECONDS - took)
    runs = instance.get_runs(dg.RunsFilter(run_ids=list(dead)))
    assert {run.status for run in runs} == {dg.DagsterRunStatus.FAILURE}
    again = wait_for(lambda: done_after(instance, dead), WITHIN_SECONDS)
    print(
        f"\n{SLOTS} dead runs were given up {took:.1f} s after the last kill; their work was done {again:.1f} s later"
    )


def done_after(instance: dg.DagsterInstance, dead: set[str]) -> bool:
    """Whether a run that takes the place of a dead one, as its tags tell, has succeeded."""
    done = instance.get_runs(dg.RunsFilter(job_name=JOB, statuses=[dg.DagsterRunStatus.SUCCESS]))
    causes = [{run.parent_run_id, run.tags.get("calcom/restarted_from")} for run in done]
    return any(dead & cause for cause in causes)


@pytest.mark.parametrize("name", ["daemon", "webserver", "code server", "guard"])
def test_a_killed_service_comes_back_and_things_go_on(name: str, up: Up, instance: dg.DagsterInstance):
    up.killed(name)
    wait_for(up.answers, 60)
    after = time.time()
    wait_for(lambda: newest_run(instance) > after, 120)  # a sensor of the daemon asked the code server for a run
    assert up.stop() == 0


def test_nothing_outlives_a_killed_up_and_the_next_one_starts_at_once_on_the_same_port(
    up: Up, instance: dg.DagsterInstance, port: int
):
    family = up.family()
    up.process.kill()
    assert up.process.wait() == -signal.SIGKILL
    left = wait_for(lambda: not family.members(), GRACE_SECONDS + 10)
    print(f"\nnothing was left {left:.1f} s after kill -9")
    again = Up(port).started()
    try:
        wait_for(lambda: len({beat.daemon_id for beat in instance.get_daemon_heartbeats().values()}) == 1, 60)
        family = again.family()
    finally:
        assert again.stop() == 0
    assert not family.members()


def test_a_second_one_started_over_what_a_killed_one_left_ends_that_first(up: Up, port: int):
    """Supervisor and guard are killed in one instant; the webserver still holds the port for a moment."""
    family = up.family()
    os.kill(up.process.pid, signal.SIGSTOP)
    for pid in (up.pids()["guard"], up.process.pid):
        os.kill(pid, signal.SIGKILL)
    up.process.wait()
    again = Up(port).started()
    assert not family.members()
    assert again.stop() == 0


def test_another_up_on_the_same_instance_is_refused(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CALCOM_DATA_DIR", str(tmp_path / "other"))
    refused = process("up", "--port", f"{up.port + 1}", environment=dict(os.environ))
    assert refused.returncode == exit_codes.CONFIGURATION
    assert "run by another calcom-pipeline up" in said(refused)


def test_ours_makes_room_for_a_daemon_that_somebody_starts_and_comes_back(up: Up, instance: dg.DagsterInstance):
    argv = [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(CHECKOUT / "workspace.yaml")]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as theirs:
        try:
            took = wait_for(lambda: "daemon" not in up.pids(), 150)
        finally:
            theirs.terminate()
    back = wait_for(lambda: "daemon" in up.pids(), 150)
    print(f"\nours left {took:.0f} s after theirs had started, and came back {back:.0f} s after it had ended")


class TestEmbedded:
    @pytest.fixture
    def own(self, in_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Nothing is given: all servers are embedded."""
        for name in ("DATABASE_URL", "DAGSTER_PG_URL", "REDIS_URL", "CALCOM_BASE_URL", "CALCOM_API_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("DAGSTER_HOME", str(make_home(tmp_path / "home")))
        monkeypatch.setenv("CALCOM_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("CALCOM_SANDBOX_BOOKINGS", "20")
        monkeypatch.setenv("CALCOM_SANDBOX_EVENT_TYPES", "5")
        yield
        local.remove(tmp_path / "data")

    def test_when_the_owner_of_the_servers_is_killed_they_are_back_and_everything_goes_on(
        self, up: Up, monkeypatch: pytest.MonkeyPatch
    ):
        before = local.status(up.data)
        assert before is not None
        os.kill(before.owner_pid, signal.SIGKILL)
        wait_for(lambda: local.status(up.data) is None, 10, every=0.02)
        took = wait_for(lambda: (now := local.status(up.data)) and now.owner_pid != before.owner_pid, 20)
        print(f"\nthe servers answered again {took:.1f} s after they had gone")
        monkeypatch.setenv("DAGSTER_PG_URL", before.dagster_pg_url)
        after = time.time()
        with dg.DagsterInstance.get() as instance:
            wait_for(lambda: newest_run(instance) > after, 120)
            fresh = lambda: all(b.timestamp > after for b in instance.get_daemon_heartbeats().values())  # noqa: E731
            wait_for(fresh, 90)
        assert up.stop() == 0
