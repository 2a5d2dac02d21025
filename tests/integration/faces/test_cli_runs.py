"""`runs` and the doctor's look at runs: what is stuck is named, and given up when told so."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.maintenance.run_leases import RunLeases
from calcom_pipeline.adapters.process_identity import this_process
from calcom_pipeline.cli import exit_codes
from tests.defs.maintenance.test_dead_runs import dead_process
from tests.support import leased_jobs
from tests.support.commands import CHECKOUT, command
from tests.support.own_dagster import own_dagster_database

POOL = "a_pool"
OLD_SECONDS = 200  # longer than a reaper takes


@pytest.fixture
def own(servers: local.Servers, environment: dict[str, str], schema_name: str, tmp_path: Path) -> Iterator[dict]:
    """The environment with a Dagster database of its own."""
    name = f"{schema_name}_dagster"
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", tmp_path)
    with own_dagster_database(servers, name) as url:
        yield {**environment, "DAGSTER_PG_URL": url, "DAGSTER_HOME": str(tmp_path)}


@pytest.fixture
def instance(own: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", own["DAGSTER_HOME"])
    monkeypatch.setenv("DAGSTER_PG_URL", own["DAGSTER_PG_URL"])
    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        yield instance


@pytest.fixture
def leases(own: dict[str, str]) -> RunLeases:
    return RunLeases(own["DAGSTER_PG_URL"])


def started(instance: dg.DagsterInstance, *, holder: str, leases: RunLeases) -> str:
    """A run that holds a slot, in the state STARTED for a while."""
    recon = dg.reconstructable(leased_jobs.in_one_process)
    made = instance.create_run_for_job(recon.get_definition(), status=dg.DagsterRunStatus.STARTED)
    leases.renew(made.run_id, holder)
    instance.event_log_storage.claim_concurrency_slot(POOL, made.run_id, "a step")
    with psycopg.connect(os.environ["DAGSTER_PG_URL"].replace("+psycopg2", "")) as connection:
        connection.execute(
            "UPDATE runs SET update_timestamp = update_timestamp - make_interval(secs => %s)", (OLD_SECONDS,)
        )
    return made.run_id


def doctors_word(own: dict[str, str]) -> dict[str, tuple[str, str]]:
    done = command("doctor", "--json", environment=own)
    found = {each["check"]: (each["verdict"], each["finding"]) for each in json.loads(done.stdout)["findings"]}
    assert (done.returncode == exit_codes.UNHEALTHY) is any(verdict == "problem" for verdict, _ in found.values())
    return found


def test_before_dagster_ever_ran_nothing_is_in_progress(own: dict[str, str]):
    found = doctors_word(own)
    assert found["Dagster runs"] == ("ok", "none in progress")
    assert found["Dagster slots"] == ("ok", "all free")
    assert json.loads(command("runs", "--json", environment=own).stdout)["runs"] == []


def test_without_a_database_of_dagsters_own_yet_nothing_is_in_progress_and_none_is_made(
    environment: dict[str, str], servers: local.Servers
):
    unset = {name: value for name, value in environment.items() if name != "DAGSTER_PG_URL"}
    assert doctors_word(unset)["Dagster runs"] == ("ok", "none in progress")
    with psycopg.connect(servers.database_url) as connection:
        assert not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'calcom_dagster'").fetchone()


def test_a_run_with_a_living_process_is_in_order(own, instance: dg.DagsterInstance, leases: RunLeases):
    run_id = started(instance, holder=this_process(), leases=leases)
    found = doctors_word(own)
    assert found["Dagster runs"] == ("ok", "1 in progress")
    assert found["Dagster slots"] == ("ok", "1 held by runs in progress")
    (told,) = json.loads(command("runs", "--json", environment=own).stdout)["runs"]
    assert (told["run_id"], told["holders"], told["stuck"]) == (run_id, [this_process()], False)


def test_a_stuck_run_and_its_slot_are_named_and_given_up_when_told_so(
    own, instance: dg.DagsterInstance, leases: RunLeases
):
    run_id = started(instance, holder=dead_process(), leases=leases)
    found = doctors_word(own)
    assert found["Dagster runs"][0] == found["Dagster slots"][0] == "problem"
    assert f"1 runs have no living process: {run_id[:8]} (in_one_process, STARTED)" in found["Dagster runs"][1]
    assert f"{POOL} by run {run_id[:8]}" in found["Dagster slots"][1]
    assert "stuck" in command("runs", environment=own).stdout
    done = json.loads(command("runs", "--reap", "--json", environment=own).stdout)
    assert (done["given_up"], done["runs"], done["slots"]) == ([run_id], [], [])
    assert {check: verdict for check, (verdict, _) in doctors_word(own).items() if check.startswith("Dagster")} == {
        "Dagster runs": "ok",
        "Dagster slots": "ok",
    }


def test_the_slot_of_a_deleted_run_is_named(own, instance: dg.DagsterInstance):
    instance.event_log_storage.claim_concurrency_slot(POOL, str(uuid.uuid4()), "a step")
    verdict, said = doctors_word(own)["Dagster slots"]
    assert verdict == "problem"
    assert "1 slots are held by runs that do not run" in said
