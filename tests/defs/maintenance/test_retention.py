"""The daily upkeep in Dagster: what goes of its own records, what stays because the UI shows it."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import time_machine
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)

from calcom_pipeline.adapters.postgres.database import open_database
from calcom_pipeline.app.maintenance.retention import Lifetime, keep_lifetimes
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.definitions import defs
from calcom_pipeline.defs.maintenance.dagster_records import FinishedRuns, OrphanedFiles, Ticks
from calcom_pipeline.defs.maintenance.retention import dagster_lifetimes
from calcom_pipeline.local import Servers
from calcom_pipeline.settings import load_settings
from tests.support.commands import CHECKOUT, command
from tests.support.dagster_runs import run
from tests.support.own_dagster import own_dagster_database

pytestmark = pytest.mark.timeout(180)

NOW = datetime.now(UTC)
KEEP = timedelta(days=30)
LONG_AGO = NOW - timedelta(days=40)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
MONTHS = dg.MonthlyPartitionsDefinition("2026-01-01")


@pytest.fixture(scope="module")
def dagster_database(servers: Servers) -> Iterator[str]:
    """A database of this module's own: in the shared one tests would delete each other's runs."""
    name = f"dagster_{uuid.uuid4().hex[:8]}"
    with own_dagster_database(servers, name) as url:
        yield url


@pytest.fixture
def environment(
    environment: dict[str, str], dagster_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", tmp_path)
    return {**environment, "DAGSTER_PG_URL": dagster_database, "DAGSTER_HOME": str(tmp_path)}


def kept(records: FinishedRuns | Ticks | OrphanedFiles, batch: int = 100) -> int:
    (found,) = keep_lifetimes([Lifetime(records, KEEP)], now=NOW, batch=batch)
    assert not found.error
    return found.records


def known(instance: dg.DagsterInstance, *runs: dg.ExecuteInProcessResult) -> list[bool]:
    return [instance.get_run_by_id(r.run_id) is not None for r in runs]


@dg.op(out=dg.Out(int))
def says_one() -> int:
    return 1


@dg.job(executor_def=dg.in_process_executor)
def plain_job() -> None:
    says_one()


@dg.asset
def whole() -> None:
    """An asset without partitions."""


@dg.asset(partitions_def=MONTHS)
def by_month() -> None:
    """One with."""


def made(
    instance: dg.DagsterInstance, asset: dg.AssetsDefinition, at: datetime, month: str | None = None
) -> dg.ExecuteInProcessResult:
    with time_machine.travel(at):
        return dg.materialize([asset], instance=instance, partition_key=month, run_config=QUIET)


def plain_run(instance: dg.DagsterInstance, at: datetime) -> dg.ExecuteInProcessResult:
    """A run without assets that began and ended then, with the files it left."""
    with time_machine.travel(at):
        done = plain_job.execute_in_process(instance=instance, run_config=QUIET)
    folder = Path(instance.storage_directory()) / done.run_id / "compute_logs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "step.out").write_text("said")
    return done


def events(instance: dg.DagsterInstance, done: dg.ExecuteInProcessResult) -> int:
    return len(instance.all_logs(done.run_id))


class TestRuns:
    def test_old_ones_go_with_events_logs_and_outputs(self, instance: dg.DagsterInstance):
        old = [plain_run(instance, LONG_AGO) for _ in range(3)]
        young = plain_run(instance, NOW - timedelta(days=20))
        records = FinishedRuns(instance)
        assert records.forget(before=NOW - KEEP, limit=2) == 2
        assert kept(records) == 1
        assert known(instance, *old, young) == [False, False, False, True]
        assert [events(instance, r) for r in old] == [0, 0, 0]
        assert events(instance, young) > 0
        left = {folder.name for folder in Path(instance.storage_directory()).iterdir()}
        assert left & {r.run_id for r in [*old, young]} == {young.run_id}

    def test_one_that_has_not_ended_stays(self, instance: dg.DagsterInstance):
        with time_machine.travel(LONG_AGO):
            started = instance.create_run_for_job(plain_job, status=dg.DagsterRunStatus.STARTED)
        kept(FinishedRuns(instance))
        assert instance.get_run_by_id(started.run_id) is not None

    def test_the_last_materialization_of_an_asset_and_of_each_month_stays(self, instance: dg.DagsterInstance):
        """Without its run the UI would show a month of history as never read."""
        first = made(instance, whole, LONG_AGO)
        months = [made(instance, by_month, LONG_AGO, month=m) for m in ("2026-05-01", "2026-06-01")]
        again = made(instance, by_month, LONG_AGO + timedelta(days=1), month="2026-05-01")
        last = made(instance, whole, LONG_AGO + timedelta(days=1))
        assert kept(FinishedRuns(instance), batch=2) == 2
        assert known(instance, first, *months, again, last) == [False, False, True, True, True]
        assert instance.get_materialized_partitions(by_month.key) == {"2026-05-01", "2026-06-01"}
        assert instance.get_latest_materialization_event(whole.key) is not None
        assert kept(FinishedRuns(instance), batch=2) == 0


class TestChecks:
    def test_old_results_go_and_the_last_of_each_stays(self, instance: dg.DagsterInstance, container: Container):
        settings = load_settings()
        done = [run(instance, "event_types_sync") for _ in range(2)]
        assert settings.dagster_pg_url is not None
        ids = [r.run_id for r in done]
        with open_database(settings.dagster_pg_url.get_secret_value(), schema="public") as database:

            def left() -> list[int]:
                with database.transaction("Testing") as cursor:
                    query = "SELECT run_id, check_name FROM asset_check_executions WHERE run_id = ANY(%s)"
                    return sorted({ids.index(run_id) for run_id, _ in cursor.execute(query, (ids,)).fetchall()})

            assert left() == [0, 1]
            with database.transaction("Testing") as cursor:
                old = "UPDATE asset_check_executions SET create_timestamp = %s WHERE run_id = ANY(%s)"
                cursor.execute(old, (LONG_AGO, ids))
            with dagster_lifetimes(instance, settings) as lifetimes:
                checks = [lifetime for lifetime in lifetimes if lifetime.records.kind == "Dagster's checks"]
                (found,) = keep_lifetimes(checks, now=NOW, batch=1)
            assert found.records >= 1
            assert left() == [1]


def origin(name: str) -> RemoteInstigatorOrigin:
    return RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("calcom_pipeline"), "__repository__"), name
    )


class TestTicks:
    def test_old_ones_go_and_the_last_stays_since_a_schedule_goes_on_from_it(self, instance: dg.DagsterInstance):
        names = [f"sensor_{uuid.uuid4().hex[:8]}" for _ in range(2)]
        for name, ages in zip(names, ([50, 40, 31, 29, 1], [50, 45]), strict=True):
            data = SensorInstigatorData(min_interval=5)
            state = InstigatorState(origin(name), InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
            instance.add_instigator_state(state)
            for age in ages:
                at = (NOW - timedelta(days=age)).timestamp()
                names_of = {"instigator_origin_id": state.instigator_origin_id, "selector_id": state.selector_id}
                instance.create_tick(
                    TickData(
                        instigator_name=name,
                        instigator_type=InstigatorType.SENSOR,
                        status=TickStatus.SKIPPED,
                        timestamp=at,
                        **names_of,
                    )
                )
        kept(Ticks(instance))
        left = {
            s.name: sorted(
                round((NOW.timestamp() - tick.timestamp) / 86_400)
                for tick in instance.get_ticks(s.instigator_origin_id, s.selector_id)
            )
            for s in instance.all_instigator_state()
        }
        assert [left[name] for name in names] == [[1, 29], [45]]


class TestFiles:
    def test_what_a_deleted_run_left_goes_and_everything_else_stays(self, instance: dg.DagsterInstance):
        gone, there = plain_run(instance, NOW), plain_run(instance, NOW)
        instance.delete_run(gone.run_id)  # as the UI does it: the files stay
        root = Path(instance.storage_directory())
        young, other = root / str(uuid.uuid4()), root / "calcom"
        for folder in (young, other):
            folder.mkdir()
        for folder in (root / gone.run_id, root / there.run_id, other):
            os.utime(folder, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
        assert kept(OrphanedFiles(instance), batch=1) == 1
        assert [f.exists() for f in (root / gone.run_id, root / there.run_id, young, other)] == [
            False,
            True,
            True,
            True,
        ]


def test_one_job_keeps_all_lifetimes_and_a_schedule_runs_it_daily(instance: dg.DagsterInstance, container: Container):
    old = plain_run(instance, LONG_AGO)
    with container.require_schema().transaction("Testing") as cursor:
        cursor.execute(
            "INSERT INTO invalidations (kind, why, user_ids, starts, ends, state, finished_at) "
            "VALUES ('booking', 'old', '{}', '{}', '{}', 'done', now() - interval '31 days')"
        )
    done = run(instance, "retention")
    assert done.success
    assert done.output_for_node("forget_old_records") == 1
    assert done.output_for_node("forget_old_runs") >= 1
    assert known(instance, old) == [False]
    (schedule,) = [s for s in defs.get_repository_def().schedule_defs if s.name == "retention_daily"]
    assert schedule.job_name == "retention"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_the_command_keeps_the_same_lifetimes(
    instance: dg.DagsterInstance, container: Container, environment: dict[str, str]
):
    old = plain_run(instance, LONG_AGO)
    done = command("maintain", "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    told = {kind["kind"]: kind for kind in json.loads(done.stdout)["kinds"]}
    assert told["Dagster's runs"]["records"] >= 1
    assert told["calls"] == {"kind": "calls", "days": 30, "records": 0, "error": ""}
    assert known(instance, old) == [False]


def test_status_tells_what_the_records_take(instance: dg.DagsterInstance, environment: dict[str, str]):
    plain_run(instance, NOW)
    told = json.loads(command("status", "--json", environment=environment).stdout)["records"]
    sizes = {record["kind"]: record["size_bytes"] for record in told}
    assert {"calls", "facts", "plans", "quarantine", "Dagster's database", "Dagster's files"} <= set(sizes)
    assert all(sizes.values())
    assert "Own records" in command("status", environment=environment).stdout


def test_a_dagster_that_cannot_be_measured_keeps_status_from_nothing_else(environment: dict[str, str]):
    elsewhere = {**environment, "DAGSTER_PG_URL": "postgresql://nobody@127.0.0.1:9/dagster"}
    done = command("status", environment=elsewhere)
    assert done.returncode == 0, done.stderr
    assert "Dagster's own records were not measured" in done.stdout
    assert "facts" in done.stdout


def test_where_dagster_never_ran_its_part_is_left_out_and_nothing_is_made(environment: dict[str, str]):
    never = {name: value for name, value in environment.items() if name != "DAGSTER_PG_URL"}
    done = command("maintain", "--json", environment=never)
    assert done.returncode == 0, done.stderr
    kinds = {kind["kind"] for kind in json.loads(done.stdout)["kinds"]}
    assert "calls" in kinds
    assert not any("Dagster" in kind for kind in kinds)
    told = json.loads(command("status", "--json", environment=never).stdout)["records"]
    assert not any("Dagster" in record["kind"] for record in told)
