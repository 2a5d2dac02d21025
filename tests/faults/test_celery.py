"""deploy/celery as it stands: two workers without a disk in common run the full sync and a backfill; one is killed."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import psycopg
import pytest
import yaml
from dagster._core.execution.backfill import BulkActionStatus

from calcom_pipeline import local
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.faults.harness import machine
from tests.support.booking_rows import months_of_creation
from tests.support.commands import CHECKOUT, bare
from tests.support.compared import HELD, differences, mirrored, shown
from tests.support.leaks import nothing_leaked_anywhere
from tests.support.own_dagster import make_home, own_dagster_database
from tests.support.up import START_SECONDS, wait_for

pytestmark = [pytest.mark.proof, pytest.mark.timeout(900)]

CELERY = CHECKOUT / "deploy" / "celery"
BROKER, BACKEND = 13, 14  # databases of Redis that no worker of the suite has
LIMIT, WINDOW_SECONDS = 12, 6.0
BOOKINGS, FIRST_MONTH = 1500, "2024-01"  # before it the pipeline offers no month
#: The example's two hours, cut short: what a killed worker had is taken up again after so long.
SILENT_SECONDS = 20
DONE_SECONDS = 400.0
#: One answer; steps of some pages can be met in the middle.
SLOW_SECONDS = 3.0
READING = ("calcom__bookings", "calcom__bookings_history")


@dataclass(frozen=True)
class Field:
    """Where everything is; processes of their own are started on it and ended with the test."""

    environment: dict[str, str]
    folder: Path
    stack: ExitStack

    def start(self, name: str, *argv: str) -> subprocess.Popen[bytes]:
        """A process group with a data folder, a Dagster home and a log of its own."""
        home = make_home(self.folder / name / "home")
        own = {"CALCOM_DATA_DIR": str(self.folder / name / "data"), "DAGSTER_HOME": str(home)}
        log = self.stack.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            argv, env=bare(self.environment | own), cwd=CHECKOUT, stdout=log, stderr=log, start_new_session=True
        )
        self.stack.callback(end, process)
        return process

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        """As docs/deploy.md says, with two processes."""
        words = ("worker", "start", "-A", "deploy.celery.app", "-y", self.environment["CELERY_CONFIG_YAML"], "-n", name)
        process = self.start(name, program("dagster-celery"), *words, "--", "--concurrency", "2")
        wait_for(lambda: "ready." in self.log(name), START_SECONDS)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")


def program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the group: its children hold what they were given."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def account() -> Iterator[RunningSandbox]:
    with serve_sandbox(
        "generated", event_types=12, teams=2, bookings=BOOKINGS, seed=16, control=True,
        limit=LIMIT, window_seconds=WINDOW_SECONDS, block_seconds=WINDOW_SECONDS,
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def field(
    account: RunningSandbox,
    environment: dict[str, str],
    servers: local.Servers,
    redis_url: str,
    schema_name: str,
    tmp_path: Path,
) -> Iterator[Field]:
    example = yaml.safe_load((CELERY / "celery.yaml").read_text())
    options = example["execution"]["config"]["config_source"]["broker_transport_options"]
    assert options == {"visibility_timeout": 7200}
    options["visibility_timeout"] = SILENT_SECONDS
    (tmp_path / "celery.yaml").write_text(yaml.safe_dump(example))
    socket = unquote(urlsplit(redis_url).path)
    with own_dagster_database(servers, f"{schema_name}_celery") as dagster_url, ExitStack() as stack:
        own = {
            "CALCOM_BASE_URL": account.url,
            "CALCOM_API_KEY": account.keys["owner"],
            "CALCOM_RATE_LIMIT_PER_MINUTE": str(LIMIT),
            "CALCOM_RATE_WINDOW_SECONDS": str(WINDOW_SECONDS),
            "CALCOM_RATE_BLOCK_SECONDS": str(WINDOW_SECONDS),
            "CALCOM_RATE_BURST_REQUESTS": "6",
            "CALCOM_SCHEDULES": "false",
            "CALCOM_SENSORS": "false",
            "CALCOM_BRAKE_MINIMUM": "1000",
            "DAGSTER_PG_URL": dagster_url,
            "CELERY_CONFIG_YAML": str(tmp_path / "celery.yaml"),
            "CELERY_BROKER_URL": f"redis+socket://{socket}?virtual_host={BROKER}",
            "CELERY_BACKEND_URL": f"redis+socket://{socket}?virtual_host={BACKEND}",
            # Celery's programs are found there.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        yield Field(environment | own, tmp_path, stack)


@contextmanager
def instance_of(field: Field) -> Generator[dg.DagsterInstance]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_PG_URL", field.environment["DAGSTER_PG_URL"])
        patch.setenv("DAGSTER_HOME", str(make_home(field.folder / "looking")))
        with dg.DagsterInstance.get() as instance:
            yield instance


def steps_begun(instance: dg.DagsterInstance, worker: str) -> list[tuple[str, str]]:
    """Steps that this worker took and that have not ended: run and key."""
    found: list[tuple[str, str]] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event]
        ended = {e.step_key for e in events if e.is_step_success or e.is_step_failure}
        taken = {e.step_key: str(e.engine_event_data.metadata) for e in events
                 if e.is_engine_event and "in celery worker" in (e.message or "")}  # fmt: skip
        found += [(run.run_id, key) for key, by in taken.items() if key and key not in ended and worker in by]
    return found


def waited(look: Callable[[], object], field: Field, what: str) -> float:
    """As `wait_for`; what processes wrote last is told where it does not happen."""
    try:
        return wait_for(look, DONE_SECONDS, every=0.5)
    except AssertionError:
        for log in sorted(field.folder.glob("*.log")):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")
        raise AssertionError(what) from None


def launched(field: Field, workspace: Path, months: list[str]) -> None:
    """A daemon that launches runs of the backfill, and the full sync as a run of its own."""
    module = {"module_name": "deploy.celery.definitions", "working_directory": str(CHECKOUT)}
    workspace.write_text(yaml.safe_dump({"load_from": [{"python_module": module}]}))
    field.start("daemon", sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace))
    dagster = program("dagster")
    span = ("--from", f"{months[0]}-01", "--to", f"{months[-1]}-01")
    chosen = ("-w", str(workspace), "-j", "bookings_backfill", *span, "--noprompt")
    field.start("backfill", dagster, "job", "backfill", *chosen)
    field.start("full sync", dagster, "job", "execute", "-m", "deploy.celery.definitions", "-j", "full_sync")


def all_done(instance: dg.DagsterInstance) -> bool:
    done = BulkActionStatus.COMPLETED, BulkActionStatus.COMPLETED_SUCCESS
    backfills, runs = instance.get_backfills(), instance.get_runs()
    return (
        {run.job_name for run in runs} == {"full_sync", "bookings_backfill"}
        and len(backfills) == 1
        and backfills[0].status in done
        and all(run.is_finished for run in runs)
    )


def killed_in_the_middle(
    field: Field, account: RunningSandbox, instance: dg.DagsterInstance, worker: subprocess.Popen[bytes]
) -> list[tuple[str, str]]:
    """Kill the first worker while both read; the steps that it had: run and key."""
    slow = account.control.add_fault("latency", "/v2/bookings", seconds=SLOW_SECONDS)
    reading = lambda name: [step for step in steps_begun(instance, name) if step[1] in READING]  # noqa: E731
    waited(lambda: reading("first") and reading("second"), field, "the workers never read at once")
    had = reading("first")
    end(worker)
    account.control.remove_fault(slow)
    return had


def takers(instance: dg.DagsterInstance, run_id: str, key: str) -> list[str]:
    """The workers that took a step, in that order."""
    events = [entry.dagster_event for entry in instance.all_logs(run_id) if entry.dagster_event]
    taken = [event.engine_event_data.metadata["Celery worker"] for event in events
             if event.step_key == key and "in celery worker" in (event.message or "")]  # fmt: skip
    return [str(each.value).partition("@")[0] for each in taken]


def check_steps(instance: dg.DagsterInstance, had: list[tuple[str, str]]) -> Counter[str]:
    """Every step of every run ended well, those of the killed worker at the other; how many runs each job had."""
    runs = instance.get_runs()
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    for run in runs:
        plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        logs = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
        assert {entry.step_key for entry in logs} == set(plan.step_keys_to_execute)
    assert had
    for run_id, key in had:
        assert takers(instance, run_id, key) == ["first", "second"]
    return Counter(run.job_name for run in runs)


def test_a_full_sync_and_a_backfill_end_right_on_two_workers_of_which_one_is_killed(
    field: Field, account: RunningSandbox, servers: local.Servers, schema_name: str
):
    months = [month for month in sorted(months_of_creation(account)) if month >= FIRST_MONTH]
    subprocess.run(
        [program("calcom-pipeline"), "migrate"], env=bare(field.environment), check=True, capture_output=True
    )
    workers = {name: field.worker(name) for name in ("first", "second")}
    launched(field, field.folder / "workspace.yaml", months)
    with instance_of(field) as instance:
        had = killed_in_the_middle(field, account, instance, workers["first"])
        took = waited(lambda: all_done(instance), field, "the runs did not end")
        runs = check_steps(instance, had)
    counters = account.control.counters()
    ours = counters["keys"]["owner"]
    owner = account.control.account()["users"][0]["id"]
    looker = account.control.mutate("set_key", name="looker", user_id=owner, limits=[{"hits": 1_000_000}])["key"]
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f'SET search_path = "{schema_name}"'.encode())
        here = mirrored(connection.execute(HELD).fetchall())
    print(
        f"\nruns: {dict(runs)}, {len(months)} months; the first worker was killed in {[key for _, key in had]}, all "
        f"was done {took:.0f} s later: {len(here)} bookings, {ours['requests']} requests, {ours['max_in_window']} of "
        f"{LIMIT} in the densest window of {WINDOW_SECONDS:g} s ({machine()})"
    )
    assert list(differences(shown(account.url, looker), here)) == []
    assert counters["crashes"] == 0
    assert ours.get("refused", 0) == 0
    assert ours["max_in_window"] <= LIMIT
    nothing_leaked_anywhere(servers, field.folder)
