"""Which runs start at once, and which wait in the queue."""

from collections.abc import Iterator
from typing import Any, cast

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.test_utils import MockedRunLauncher, create_run_for_test

from calcom_pipeline.defs.run_coordinator import PromptRunCoordinator
from tests.support.commands import CHECKOUT

Status = dg.DagsterRunStatus
MOST = 3
BACKFILL = {"dagster/backfill": "abc"}
_ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("location"), "repository"), "any")
_NO_WORKSPACE: Any = None  # only a launcher that starts something asks for it


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance whose coordinator is ours as shipped, but for its number of places."""
    shipped = yaml.safe_load((CHECKOUT / "dagster_home" / "dagster.yaml").read_text())["run_coordinator"]
    overrides = {
        "run_coordinator": {**shipped, "config": {**shipped["config"], "max_concurrent_runs": MOST}},
        "run_launcher": {"module": MockedRunLauncher.__module__, "class": MockedRunLauncher.__name__},
    }
    with dg.instance_for_test(overrides, temp_dir=str(tmp_path_factory.mktemp("instance"))) as opened:
        assert isinstance(opened.run_coordinator, PromptRunCoordinator)
        yield opened


@pytest.fixture
def instance(one: dg.DagsterInstance) -> dg.DagsterInstance:
    """The same without a run."""
    one.run_storage.wipe()
    cast("MockedRunLauncher", one.run_launcher).queue().clear()
    return one


def made(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    return create_run_for_test(instance, job_name="any", tags=tags, remote_job_origin=_ORIGIN)


def submitted(instance: dg.DagsterInstance, **tags: str) -> Status:
    run = made(instance, **tags)
    return instance.run_coordinator.submit_run(SubmitRunContext(run, _NO_WORKSPACE)).status


def launched(instance: dg.DagsterInstance) -> int:
    return len(cast("MockedRunLauncher", instance.run_launcher).queue())


def test_a_run_starts_at_once_while_there_is_room_and_waits_while_there_is_none(instance: dg.DagsterInstance):
    found = [submitted(instance) for _ in range(MOST + 2)]
    assert found == [Status.STARTING] * MOST + [Status.QUEUED] * 2
    assert launched(instance) == MOST


@pytest.mark.parametrize(
    ("status", "starts"),
    [
        (Status.SUCCESS, True), (Status.FAILURE, True), (Status.CANCELED, True), (Status.QUEUED, True),
        (Status.STARTING, False), (Status.STARTED, False), (Status.CANCELING, False),
    ],
)  # fmt: skip
def test_places_are_taken_by_runs_that_are_under_way(instance: dg.DagsterInstance, status: Status, starts: bool):
    for _ in range(MOST):
        create_run_for_test(instance, job_name="other", status=status, remote_job_origin=_ORIGIN)
    assert submitted(instance) is (Status.STARTING if starts else Status.QUEUED)


def test_a_backfill_waits_in_the_queue_and_lets_others_pass(instance: dg.DagsterInstance):
    backfill = [submitted(instance, **BACKFILL) for _ in range(MOST)]
    assert backfill == [Status.QUEUED] * MOST
    assert submitted(instance) is Status.STARTING


def test_a_run_that_was_submitted_before_is_left_alone(instance: dg.DagsterInstance):
    run = create_run_for_test(instance, job_name="any", status=Status.STARTED)
    assert instance.run_coordinator.submit_run(SubmitRunContext(run, _NO_WORKSPACE)).status is Status.STARTED
    assert launched(instance) == 0


def test_a_run_in_the_queue_can_be_cancelled(instance: dg.DagsterInstance):
    run = made(instance, **BACKFILL)
    instance.run_coordinator.submit_run(SubmitRunContext(run, _NO_WORKSPACE))
    assert instance.run_coordinator.cancel_run(run.run_id)
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is Status.CANCELED
