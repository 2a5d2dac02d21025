"""What was interrupted is started again, once, by the sensor where Dagster's own retries could not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import time_machine

from calcom_pipeline.definitions import defs
from tests.support.dagster_runs import dagster_database, own_instance, sensor_named

__all__ = ["dagster_database", "own_instance"]

JOB = "bookings_reread"
GIVEN_UP = {"dagster/will_retry": "false"}


@pytest.fixture
def instance(own_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return own_instance


@pytest.fixture(autouse=True)
def alone(instance: dg.DagsterInstance):
    """Runs of other tests on the shared instance ask for nothing here."""
    for run in instance.get_runs(dg.RunsFilter(job_name=JOB)):
        instance.delete_run(run.run_id)


def failed(instance: dg.DagsterInstance, *, job: str = JOB, tags: dict[str, str] | None = None, **more: Any) -> str:
    """A run that has failed, with the tags that Dagster and we leave on it."""
    made = instance.create_run_for_job(defs.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED, **more)
    instance.report_run_failed(made)
    instance.add_run_tags(made.run_id, {**GIVEN_UP, "calcom/cause": "a test", **(tags or {})})
    return made.run_id


def asked(instance: dg.DagsterInstance, job: str = JOB) -> list[dg.RunRequest]:
    context = dg.build_sensor_context(instance=instance, definitions=defs)
    result = sensor_named("dead_runs")(context)
    assert isinstance(result, dg.SensorResult)
    return [request for request in result.run_requests or [] if request.job_name == job]


def test_a_run_that_dagster_will_not_retry_is_asked_for_again_as_it_was(instance: dg.DagsterInstance):
    run_id = failed(instance)
    (request,) = asked(instance)
    assert request.run_key == f"again:{run_id}"
    assert request.tags == {"calcom/cause": "a test", "calcom/restarted_from": run_id, "calcom/restarts": "1"}
    found = instance.get_run_by_id(run_id)
    assert found is not None
    assert request.run_config == found.run_config


@pytest.mark.parametrize(
    "tags",
    [
        {"dagster/will_retry": "true"},
        {"dagster/failure_reason": "STEP_FAILURE"},
        {"calcom/restarts": "5"},
    ],
    ids=["Dagster does it", "it failed by itself", "it was often enough"],
)
def test_a_run_that_is_somebody_elses_matter_is_not(tags: dict[str, str], instance: dg.DagsterInstance):
    failed(instance, tags=tags)
    assert asked(instance) == []


@pytest.mark.parametrize(("restarts", "minutes"), [("0", 2), ("1", 4), ("3", 16)])
def test_a_request_of_a_sensor_whose_run_failed_by_itself_is_made_again_later_and_later(
    restarts: str, minutes: int, instance: dg.DagsterInstance
):
    """The sensor's cursor has moved past what it was about; the next schedule may be a quarter of an hour away."""
    by_itself = {"dagster/failure_reason": "STEP_FAILURE", "dagster/sensor_name": "service_changes"}
    run_id = failed(instance, tags={**by_itself, "calcom/restarts": restarts})
    now = datetime.now(UTC)
    with time_machine.travel(now + timedelta(minutes=minutes, seconds=-10), tick=False):
        assert asked(instance) == []
    with time_machine.travel(now + timedelta(minutes=minutes, seconds=10), tick=False):
        assert [request.run_key for request in asked(instance)] == [f"again:{run_id}"]


def test_restarts_are_counted(instance: dg.DagsterInstance):
    failed(instance, tags={"calcom/restarts": "4"})
    (request,) = asked(instance)
    assert request.tags["calcom/restarts"] == "5"


def test_a_later_run_of_the_same_work_took_its_place(instance: dg.DagsterInstance):
    failed(instance)
    newest = failed(instance)
    assert [request.run_key for request in asked(instance)] == [f"again:{newest}"]


def test_months_of_history_are_each_their_own_work(instance: dg.DagsterInstance):
    job = "bookings_backfill"
    for run in instance.get_runs(dg.RunsFilter(job_name=job)):
        instance.delete_run(run.run_id)
    months = ("2024-01-01", "2024-02-01")
    for month in months:
        failed(instance, job=job, tags={"dagster/partition": month})
    assert {request.partition_key for request in asked(instance, job)} == set(months)
