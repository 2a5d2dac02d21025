"""Runs whose process died, on the real instance: processes are really killed."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import psycopg
import pytest
from dagster._core.code_pointer import ModuleCodePointer

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.maintenance.run_leases import RunLeases
from calcom_pipeline.adapters.process_identity import is_gone, this_process
from calcom_pipeline.defs.maintenance import leases as leases_module
from calcom_pipeline.defs.maintenance.leases import held, leases_of
from calcom_pipeline.defs.maintenance.reaping import reap
from calcom_pipeline.domain.maintenance.liveness import SILENT_SECONDS, SUSPECTED_SECONDS
from tests.support.commands import CHECKOUT, bare
from tests.support.dagster_runs import dagster_database, own_instance, run
from tests.support.leased_jobs import pool_of

__all__ = ["dagster_database", "own_instance"]

ELSEWHERE = "another-host/another-kernel/17/4711"
#: With a process for each step as well in `make proof` alone: `TestSilence` sees how the leases of several are judged.
JOBS = ("in_one_process", pytest.param("step_by_step", marks=pytest.mark.proof))
START_SECONDS = 60


@pytest.fixture
def instance(own_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return own_instance


def wait_for(look: Callable[[], object], seconds: float = START_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


@contextmanager
def executing(job: str, in_environment: dict[str, str], tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A process that executes a run whose only step holds a slot; with the run's id and the step's process."""
    run_id, ready = str(uuid.uuid4()), tmp_path / "ready"
    variables = bare({**in_environment, **{name: os.environ[name] for name in ("DAGSTER_HOME", "DAGSTER_PG_URL")}})
    argv = [sys.executable, "-m", "tests.support.leased_jobs", job, run_id, str(ready)]
    with subprocess.Popen(argv, env=variables, cwd=CHECKOUT, stderr=subprocess.PIPE) as process:
        try:
            wait_for(lambda: (ready.exists() and ready.read_text()) or process.poll() is not None)
            assert process.poll() is None, process.stderr.read().decode()[-2000:]
            yield SimpleNamespace(run_id=run_id, process=process, step_pid=int(ready.read_text()))
        finally:
            process.kill()


def slots(instance: dg.DagsterInstance, run_id: str, pool: str) -> int:
    claimed = instance.event_log_storage.get_concurrency_info(pool).claimed_slots
    return sum(slot.run_id == run_id for slot in claimed)


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run_id)
    assert found is not None
    return found.status


@pytest.mark.parametrize("job", JOBS)
def test_a_killed_run_is_failed_its_slot_freed_and_marked_for_another_try(
    job: str, instance: dg.DagsterInstance, in_environment: dict[str, str], tmp_path: Path
):
    with executing(job, in_environment, tmp_path) as it:
        reap(instance)
        assert status(instance, it.run_id) is dg.DagsterRunStatus.STARTED
        assert slots(instance, it.run_id, pool_of(job)) == 1
        it.process.kill()
        it.process.wait()
        if it.step_pid != it.process.pid:  # the step's process goes on for now, and so does the run
            reap(instance)
            assert slots(instance, it.run_id, pool_of(job)) == 1
            os.kill(it.step_pid, signal.SIGKILL)
            wait_for(lambda: not Path(f"/proc/{it.step_pid}").exists())
        done = reap(instance)
    assert it.run_id in done.runs
    assert it.run_id in done.slots
    assert slots(instance, it.run_id, pool_of(job)) == 0
    found = instance.get_run_by_id(it.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE
    assert found.tags["dagster/will_retry"] == "true"
    assert it.run_id not in reap(instance).runs


@pytest.mark.proof
def test_a_step_whose_runs_process_is_killed_ends_by_itself(
    instance: dg.DagsterInstance, in_environment: dict[str, str], tmp_path: Path
):
    with executing("step_by_step", in_environment, tmp_path) as it:
        it.process.kill()
        wait_for(lambda: is_ended(it.step_pid), 30)


def is_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def leases(instance: dg.DagsterInstance) -> RunLeases:
    found = leases_of(instance)
    assert found is not None
    return found


def started(instance: dg.DagsterInstance, *, ours: bool = True) -> str:
    """A run in the state that a killed process leaves it in."""
    from tests.support import leased_jobs

    recon = dg.reconstructable(leased_jobs.in_one_process)
    origin = recon.get_python_origin()
    if ours:
        pointer = ModuleCodePointer("calcom_pipeline.definitions", "defs", None)
        origin = origin._replace(repository_origin=origin.repository_origin._replace(code_pointer=pointer))
    made = instance.create_run_for_job(
        recon.get_definition(), status=dg.DagsterRunStatus.STARTED, job_code_origin=origin
    )
    return made.run_id


def age(servers: local.Servers, run_id: str, *, silent: float = 0, suspected: float = 0) -> None:
    """Let time pass for a lease."""
    with psycopg.connect(os.environ["DAGSTER_PG_URL"].replace("+psycopg2", "")) as connection:
        connection.execute(
            "UPDATE calcom_run_leases SET renewed_at = renewed_at - make_interval(secs => %s), "
            "suspected_at = suspected_at - make_interval(secs => %s) WHERE run_id = %s",
            (silent, suspected, run_id),
        )


class TestSilence:
    """What is known of a process on another machine is what its lease says."""

    def test_who_does_not_renew_is_suspected_first_and_given_up_when_it_stays_silent(
        self, instance: dg.DagsterInstance, leases: RunLeases, servers: local.Servers
    ):
        run_id = started(instance)
        assert leases.renew(run_id, ELSEWHERE)
        age(servers, run_id, silent=SILENT_SECONDS - 5)
        assert run_id not in reap(instance).runs
        age(servers, run_id, silent=5)
        assert run_id not in reap(instance).runs  # suspected from here on
        age(servers, run_id, suspected=SUSPECTED_SECONDS - 5)
        assert run_id not in reap(instance).runs
        age(servers, run_id, suspected=5)
        assert run_id in reap(instance).runs
        assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE
        assert not leases.renew(run_id, ELSEWHERE), "it lives after all, and learns that it is to stop"

    def test_after_an_outage_whoever_lives_renews_and_keeps_its_run(
        self, instance: dg.DagsterInstance, leases: RunLeases, servers: local.Servers
    ):
        run_id = started(instance)
        leases.renew(run_id, ELSEWHERE)
        age(servers, run_id, silent=3600)
        reap(instance)
        assert leases.renew(run_id, ELSEWHERE)
        age(servers, run_id, suspected=3600)
        assert run_id not in reap(instance).runs
        assert status(instance, run_id) is dg.DagsterRunStatus.STARTED

    def test_one_living_process_keeps_a_run_whose_other_one_is_dead(
        self, instance: dg.DagsterInstance, leases: RunLeases, servers: local.Servers
    ):
        run_id = started(instance)
        leases.renew(run_id, dead_process())
        leases.renew(run_id, ELSEWHERE)
        assert run_id not in reap(instance).runs

    def test_a_renewal_between_the_look_and_the_taking_wins(
        self, instance: dg.DagsterInstance, leases: RunLeases, servers: local.Servers
    ):
        run_id = started(instance)
        leases.renew(run_id, ELSEWHERE)
        (judged,) = [lease.renewed_at for lease in leases.read() if lease.run_id == run_id]
        leases.renew(run_id, ELSEWHERE)
        assert not leases.take(run_id, judged=judged)

    def test_two_reapers_take_a_run_once(self, instance: dg.DagsterInstance, leases: RunLeases):
        run_id = started(instance)
        leases.renew(run_id, ELSEWHERE)
        (judged,) = [lease.renewed_at for lease in leases.read() if lease.run_id == run_id]
        assert [leases.take(run_id, judged=judged) for _ in range(2)] == [True, False]

    @pytest.mark.parametrize(("ours", "given_up"), [(True, True), (False, False)])
    def test_a_run_of_ours_that_nobody_ever_held_has_as_long_and_a_strangers_is_left_alone(
        self, ours: bool, given_up: bool, instance: dg.DagsterInstance, leases: RunLeases, servers: local.Servers
    ):
        run_id = started(instance, ours=ours)
        assert run_id not in reap(instance).runs
        age(servers, run_id, silent=SILENT_SECONDS)
        assert run_id not in reap(instance).runs
        age(servers, run_id, suspected=SUSPECTED_SECONDS)
        assert (run_id in reap(instance).runs) is given_up

    def test_a_run_that_was_being_canceled_is_canceled(self, instance: dg.DagsterInstance, leases: RunLeases):
        run_id = started(instance)
        run_here = instance.get_run_by_id(run_id)
        assert run_here is not None
        instance.report_run_canceling(run_here)
        leases.renew(run_id, dead_process())
        assert run_id in reap(instance).runs
        assert status(instance, run_id) is dg.DagsterRunStatus.CANCELED


class TestLiving:
    def test_a_run_is_held_while_it_executes_and_no_longer(self, instance: dg.DagsterInstance, leases: RunLeases):
        result = run(instance, "services_sync")
        assert result.success
        assert not [lease for lease in leases.read() if lease.run_id == result.run_id]

    def test_two_at_once_hold_one_lease_until_the_last_has_left(self, instance: dg.DagsterInstance, leases: RunLeases):
        run_id = str(uuid.uuid4())
        with held(instance, run_id):
            with held(instance, run_id):
                pass
            (lease,) = [each for each in leases.read() if each.run_id == run_id]
            assert lease.holder == this_process()
        assert not [each for each in leases.read() if each.run_id == run_id]

    def test_a_lease_is_renewed_while_it_is_held_and_taken_up_again_after_an_outage(
        self,
        instance: dg.DagsterInstance,
        leases: RunLeases,
        monkeypatch: pytest.MonkeyPatch,
        servers: local.Servers,
    ):
        monkeypatch.setattr(leases_module, "RENEW_SECONDS", 0.05)
        run_id = str(uuid.uuid4())
        with held(instance, run_id):
            age(servers, run_id, silent=3600)
            wait_for(lambda: [e for e in leases.read() if e.run_id == run_id and e.silent_seconds < 60], 10)
            leases.forget([run_id])
            wait_for(lambda: [e for e in leases.read() if e.run_id == run_id], 10)

    def test_a_program_whose_run_was_taken_goes_on_and_renews_no_more(
        self, instance: dg.DagsterInstance, leases: RunLeases, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(leases_module, "RENEW_SECONDS", 0.05)
        run_id = str(uuid.uuid4())
        with held(instance, run_id):
            far_ahead = datetime.now(UTC) + timedelta(days=1)
            assert leases.take(run_id, judged=far_ahead)
            wait_for(lambda: not any("lease of run" in t.name and run_id in t.name for t in threading.enumerate()), 10)
        assert [e.taken for e in leases.read() if e.run_id == run_id] == [True]

    def test_an_instance_without_postgresql_has_no_leases(self):
        with dg.instance_for_test() as ephemeral, held(ephemeral, str(uuid.uuid4())):
            assert leases_of(ephemeral) is None
            assert reap(ephemeral).runs == ()


class TestIdentity:
    def test_this_process_is_there(self):
        assert not is_gone(this_process())

    def test_a_process_that_has_ended_is_gone(self):
        assert is_gone(dead_process())

    @pytest.mark.parametrize("other", [ELSEWHERE, "", "nonsense", "host/other/1/1"])
    def test_nothing_is_known_of_processes_elsewhere(self, other: str):
        assert not is_gone(other)

    def test_a_reused_process_id_is_somebody_else(self):
        assert is_gone(this_process().rpartition("/")[0] + "/1")


def dead_process() -> str:
    """The identity of a process of this machine that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    host, system, _, _ = this_process().rsplit("/", 3)
    return f"{host}/{system}/{ended.pid}/1"


def test_slots_of_a_deleted_run_are_freed(instance: dg.DagsterInstance):
    storage, run_id, pool = instance.event_log_storage, str(uuid.uuid4()), f"pool-{uuid.uuid4()}"
    storage.initialize_concurrency_limit_to_default(pool)
    storage.claim_concurrency_slot(pool, run_id, "a step")
    assert slots(instance, run_id, pool) == 1
    assert run_id in reap(instance).slots
    assert slots(instance, run_id, pool) == 0


def test_an_invalidation_that_finds_an_empty_outbox_succeeds(instance: dg.DagsterInstance):
    """As it is when a killed run had done its work and is started again."""
    assert run(instance, "cache_invalidation").success
