"""Accounts as data in one code location: a file each, names of their own, and one that is wrong stops itself alone."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.bootstrap.limits import LimitGroup
from calcom_pipeline.definitions import build_definitions
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.run_process import account_of_job
from calcom_pipeline.domain.errors import CircuitOpen, ConfigurationError, TransientError
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from tests.support.commands import command
from tests.support.described import describe
from tests.support.described_accounts import keys

pytestmark = pytest.mark.timeout(300)

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def names(definitions: dg.Definitions) -> set[str]:
    repository = definitions.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs()}
    return jobs | {s.name for s in repository.sensor_defs} | {s.name for s in repository.schedule_defs}


def test_described_accounts_have_all_that_the_one_of_the_environment_has(two: tuple[str, str], in_environment: object):
    found = build_definitions()
    alone = {"CALCOM_ENV_FILE": "", "CALCOM_ACCOUNTS_DIR": os.devnull}
    plain = build_definitions([of_environment(alone)])
    of_all = {"__ASSET_JOB", "dead_runs", "failed_runs"}
    assert names(found) == of_all | {f"{account}_{name}" for account in two for name in names(plain) - of_all}
    assert keys(found) == {key.replace("calcom/", f"{account}/", 1) for account in two for key in keys(plain)}


def of_environment(environ: dict[str, str]) -> Account:
    settings = load_settings(environ)
    return Account(settings, lambda: settings)


def test_each_reads_into_its_own_schema_and_all_runs_are_leased(two: tuple[str, str], instance: dg.DagsterInstance):
    found = build_definitions()
    ran = found.resolve_job_def("agency_a_full_sync").execute_in_process(instance=instance, run_config=QUIET)
    assert ran.success
    counts = {}
    for name in two:
        with ready_container(load_settings({**os.environ, "CALCOM_ACCOUNT": name})) as container:
            counts[name] = container.reports.overview.counts().event_types
    assert counts["agency_a"] >= 8
    assert counts["agency_b"] == 0
    for job in found.get_repository_def().get_all_jobs():
        if not job.name.endswith(("cache_invalidation", "retention", "slots_warming", "webhooks_drain")):
            assert type(job.executor_def.executor_creation_fn).__name__ == "function"
            assert "leases" in job.executor_def.executor_creation_fn.__module__, job.name  # type: ignore[union-attr]


def test_a_file_that_is_changed_counts_from_the_next_step_on(
    folder: Path, two: tuple[str, str], sandbox: RunningSandbox, instance: dg.DagsterInstance
):
    job = build_definitions().resolve_job_def("agency_a_event_types_sync")
    describe(folder, "agency_a", api_key={"variable": "NOT_SET"}, base_url=sandbox.url)
    ended = job.execute_in_process(instance=instance, run_config=QUIET, raise_on_error=False)
    assert not ended.success
    said = [str(event.event_specific_data) for event in ended.all_events if event.is_failure]
    assert any("Account agency_a: api_key: the variable NOT_SET is not set" in text for text in said)


@pytest.mark.parametrize("what", ["schedules", "sensors"])
def test_schedules_and_sensors_of_one_account_can_be_off(what: str, folder: Path):
    describe(folder, "agency_a", key="k", **{what: False})
    describe(folder, "agency_b", key="k")
    repository = build_definitions().get_repository_def()
    every = {
        **{("schedules", s.name): s.default_status.value for s in repository.schedule_defs},
        **{("sensors", s.name): s.default_status.value for s in repository.sensor_defs},
    }
    stopped = {(kind, name) for (kind, name), status in every.items() if status == "STOPPED"}
    assert stopped == {(kind, name) for kind, name in every if kind == what and name.startswith("agency_a_")}


# --- what is wrong stops itself alone ------------------------------------------------------------------------


def test_an_account_that_is_wrong_is_shown_with_the_reason_and_the_others_load(
    folder: Path, two: tuple[str, str], instance: dg.DagsterInstance
):
    describe(folder, "broken", api_key={"variable": "NOT_SET"})
    describe(folder, "Ärger im Ordner", key="k")
    (folder / "garbled").mkdir()
    (folder / "garbled" / "defs.yaml").write_text("attributes: [")
    found = build_definitions()
    repository = found.get_repository_def()
    stopped = {key for key in keys(found) if key.split("/")[0] not in two}
    assert sorted(key.split("/")[0][:7] for key in stopped) == ["_rger_i", "broken", "garbled"]
    assert repository.has_job("agency_b_full_sync")
    node = repository.asset_graph.get(dg.AssetKey(["broken", "account"]))
    assert "the variable NOT_SET is not set" in (node.description or "")

    context = dg.build_sensor_context(instance=instance, definitions=found)
    first = repository.get_sensor_def("broken_is_stopped")(context)
    assert isinstance(first, dg.SensorResult)
    (evaluation,) = first.asset_events or ()
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert not evaluation.passed
    assert "api_key: the variable NOT_SET is not set" in (evaluation.description or "")
    again = repository.get_sensor_def("broken_is_stopped")(
        dg.build_sensor_context(instance=instance, definitions=found, cursor=first.cursor)
    )
    assert isinstance(again, dg.SensorResult)
    assert not again.asset_events, "it is recorded once, not at every look"

    describe(folder, "broken", key="k")
    mended = repository.get_sensor_def("broken_is_stopped")(
        dg.build_sensor_context(instance=instance, definitions=found, cursor=first.cursor)
    )
    assert isinstance(mended, dg.SensorResult)
    (evaluation,) = mended.asset_events or ()
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert evaluation.passed
    assert "reload the code location" in (evaluation.description or "")


def test_the_check_of_a_stopped_account_fails_with_the_reason_when_it_is_run(
    folder: Path, instance: dg.DagsterInstance
):
    describe(folder, "broken", key="k", rate_limit_per_minute=1)
    job = build_definitions().get_repository_def().get_job("__ASSET_JOB")
    ran = job.execute_in_process(instance=instance, raise_on_error=False)
    (evaluation,) = ran.get_asset_check_evaluations()
    assert not evaluation.passed
    assert "rate_limit_per_minute: Input should be greater" in (evaluation.description or "")


def test_a_location_whose_accounts_are_all_wrong_loads_and_says_so(folder: Path):
    describe(folder, "broken", api_key={"variable": "NOT_SET"})
    found = build_definitions()
    assert keys(found) == {"broken/account"}
    assert names(found) >= {"broken_is_stopped", "failed_runs"}


def test_a_cal_com_that_is_away_for_one_account_is_there_for_the_other(
    folder: Path, two: tuple[str, str], schema_name: str, instance: dg.DagsterInstance
):
    """Circuits belong to a key: one that is open for the first account stops no call of the second."""
    away = {"base_url": "http://127.0.0.1:1", "retry_attempts": 1, "breaker_failures": 1}
    describe(folder, "agency_a", key="another-key", database_schema=f"{schema_name}_a", **away)
    found = build_definitions()

    def look(account: str) -> object:
        context = dg.build_sensor_context(instance=instance, definitions=found, cursor="2026-01-01T00:00:00+00:00")
        return found.get_repository_def().get_sensor_def(f"{account}_changed_bookings")(context)

    for error in (TransientError, CircuitOpen):
        with pytest.raises(error):
            look("agency_a")
        assert isinstance(look("agency_b"), dg.SensorResult | dg.SkipReason)


def test_accounts_that_share_tables_are_stopped_and_the_environment_s_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    describe(folder, "agency_a", key="a", database_schema="shared")
    describe(folder, "agency_b", key="b", database_schema="shared")
    describe(folder, "agency_c", key="c", database_schema="calcom")
    describe(folder, "agency_d", key="d")
    monkeypatch.setenv("CALCOM_API_KEY", "own")
    found = build_definitions()
    assert {key.split("/")[0] for key in keys(found) if not key.endswith("/account")} == {"calcom", "agency_d"}
    assert {"agency_a/account", "agency_b/account", "agency_c/account"} <= keys(found)


def test_commands_and_runs_of_accounts_that_share_tables_are_refused_too(folder: Path, monkeypatch: pytest.MonkeyPatch):
    describe(folder, "agency_a", key="a", database_schema="shared")
    describe(folder, "agency_b", key="b", database_schema="shared")
    describe(folder, "agency_c", key="c", database_schema="calcom")
    describe(folder, "agency_d", key="d")
    describe(folder, "broken", api_key={"variable": "NOT_SET"}, database_schema="agency_d")
    monkeypatch.setenv("CALCOM_API_KEY", "own")
    refused = {"agency_a": "agency_a and agency_b have one", "agency_c": "agency_c and calcom have one"}
    for name, problem in refused.items():
        monkeypatch.setenv("CALCOM_ACCOUNT", name)
        with pytest.raises(ConfigurationError, match=problem):
            load_settings()
        monkeypatch.delenv("CALCOM_ACCOUNT")
        monkeypatch.setenv("DAGSTER_RUN_JOB_NAME", f"{name}_full_sync")
        with pytest.raises(ConfigurationError, match=problem):
            build_definitions()
        monkeypatch.delenv("DAGSTER_RUN_JOB_NAME")
    monkeypatch.setenv("CALCOM_ACCOUNT", "agency_d")
    assert load_settings().schema_name == "agency_d"
    monkeypatch.setenv("CALCOM_ACCOUNT", "main")  # the environment's own account: its schema is not `calcom`
    monkeypatch.setenv("DAGSTER_RUN_JOB_NAME", "agency_c_full_sync")
    build_definitions()


def test_a_name_that_no_file_has_is_refused_where_the_environment_has_no_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    describe(folder, "agency_a", key="a")
    monkeypatch.setenv("CALCOM_ACCOUNT", "agency_s")
    with pytest.raises(ConfigurationError, match="agency_s, which no file describes; did you mean agency_a"):
        load_settings()
    monkeypatch.setenv("CALCOM_API_KEY", "own")
    assert load_settings().account == "agency_s"


def test_what_all_accounts_need_stops_the_location(folder: Path, monkeypatch: pytest.MonkeyPatch):
    describe(folder, "agency_a", key="k")
    monkeypatch.setenv("CALCOM_RATE_LIMT_PER_MINUTE", "60")
    with pytest.raises(ConfigurationError, match="did you mean CALCOM_RATE_LIMIT_PER_MINUTE"):
        build_definitions()


# --- commands ------------------------------------------------------------------------------------------------


def test_a_command_takes_the_account_that_is_named_and_refuses_to_guess_one(
    folder: Path, two: tuple[str, str], in_environment: dict[str, str]
):
    environment = {
        name: value
        for name, value in in_environment.items()
        if name not in ("CALCOM_API_KEY", "CALCOM_BASE_URL", "CALCOM_DATABASE_SCHEMA")
    } | {"CALCOM_ACCOUNTS_DIR": str(folder)}
    named = command("sync", "event-types", environment={**environment, "CALCOM_ACCOUNT": "agency_b"})
    assert named.returncode == 0, named.stderr
    unnamed = command("sync", "event-types", environment={**environment, "CALCOM_ACCOUNT": "calcom"})
    assert unnamed.returncode == 3
    assert "Several accounts are described here, and none is named" in unnamed.stderr
    assert "Set CALCOM_ACCOUNT to one of them" in unnamed.stderr

    describe(folder, "broken", api_key={"variable": "NOT_SET"})
    describe(folder, "one", key="k", database_schema="of_both")
    describe(folder, "other", key="k", database_schema="of_both")
    migrated = command("migrate", "--all", environment=environment)
    assert migrated.returncode == 11, "done in part"
    assert migrated.stdout.count(" applied") == 1 + len(two)
    assert "Account broken: api_key: the variable NOT_SET is not set" in migrated.stdout
    assert "The accounts one and other have one schema, of_both" in migrated.stdout


# --- one key, many accounts ----------------------------------------------------------------------------------


def test_accounts_of_one_key_share_its_pool_and_its_budget(folder: Path, two: tuple[str, str], container: Container):
    assets = [asset for asset in build_definitions().assets or () if isinstance(asset, dg.AssetsDefinition)]
    pools = {asset.op.pool for asset in assets}
    assert len(pools - {None}) == 1, "what stands outside is looked at without a pool"
    limiters = [
        LimitGroup(load_settings({**os.environ, "CALCOM_ACCOUNT": name}), container.redis).limiter for name in two
    ]
    grants = [limiters[0].acquire("sync") for _ in range(3)]
    assert limiters[1].view().used == len(grants)


# --- dg ------------------------------------------------------------------------------------------------------


# --- how long it takes ---------------------------------------------------------------------------------------


_JOBS_IN_A_RUN = """
import multiprocessing, sys

class Job:
    def __init__(self, name): self.job_name = name

def tell(serialized, job, queue):
    import calcom_pipeline.definitions as location
    queue.put({j.name for j in location.defs.get_repository_def().get_all_jobs()} - {"__ASSET_JOB"})

if __name__ == "__main__":
    from calcom_pipeline.defs.code_server import modules_of_runs

    starting = multiprocessing.get_context(sys.argv[2])
    starting.set_forkserver_preload(modules_of_runs())
    queue = starting.Queue()
    process = starting.Process(target=tell, args=["{}", Job(sys.argv[1]), queue])
    process.start()
    print(*queue.get())
    process.join()
"""


@pytest.mark.parametrize("way", ["spawn", "forkserver"])
def test_the_process_of_a_run_loads_the_account_of_its_job_alone(folder: Path, tmp_path: Path, way: str):
    """As Dagster's code server starts it, or ours: the job is among its arguments."""
    for n in range(3):
        describe(folder, f"agency_{n}", key="k")
    program = tmp_path / "run.py"
    program.write_text(_JOBS_IN_A_RUN)
    command_line = [sys.executable, program, "agency_1_full_sync", way]
    ran = subprocess.run(command_line, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    loaded = ran.stdout.split()
    assert "agency_1_full_sync" in loaded
    assert {name for name in loaded if not name.startswith("agency_1_")} == set()


@pytest.mark.parametrize(
    ("job", "account"),
    [
        ("agency_a_full_sync", "agency_a"),
        ("agency_a_b_full_sync", "agency_a_b"),
        ("agency_a_retention", "agency_a"),
        ("__ASSET_JOB", None),
        ("full_sync", None),
        ("agency_c_full_sync", None),
        (None, None),
    ],
)
def test_a_job_belongs_to_the_account_whose_whole_name_it_begins_with(job: str | None, account: str | None):
    assert account_of_job(job, ["agency_a", "agency_a_b"]) == account


@pytest.mark.parametrize("first", ["agency_a", "agency_b"])
def test_the_process_of_a_retention_run_has_the_ops_that_the_location_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, first: str
):
    """The first account's sees to the Dagster instance too, and the first is the first whose settings are right."""
    for name in ("agency_a", "agency_b", "agency_c"):
        describe(folder, name, key="k")
    if first != "agency_a":
        describe(folder, "agency_a", key="k", rate_limit_per_minute=-1)

    def ops(job: str) -> set[str]:
        return {node.name for node in build_definitions().resolve_job_def(job).nodes}

    names = [f"{name}_retention" for name in ("agency_a", "agency_b", "agency_c") if name >= first]
    of_all = {job: ops(job) for job in names}
    assert [job for job, found in of_all.items() if len(found) == 2] == [f"{first}_retention"]
    for job in names:
        monkeypatch.setenv("DAGSTER_RUN_JOB_NAME", job)
        assert ops(job) == of_all[job]


def test_a_launcher_of_containers_names_the_job_in_a_variable(folder: Path, monkeypatch: pytest.MonkeyPatch):
    describe(folder, "agency_a", key="k")
    describe(folder, "agency_b", key="k")
    monkeypatch.setenv("DAGSTER_RUN_JOB_NAME", "agency_b_bookings_mirror")
    assert {key.split("/")[0] for key in keys(build_definitions())} == {"agency_b"}
