"""Chosen assets with their checks, as CI makes them: by the function, and by the command."""

import json

import dagster as dg
import pytest

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.definitions import defs
from calcom_pipeline.defs.chosen import materialize_chosen
from calcom_pipeline.domain.errors import InvalidInput
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.commands import command

pytestmark = pytest.mark.timeout(180)


def unseen(done: int, total: int | None, what: str) -> None:
    """Nobody watches."""


def test_chosen_assets_are_made_in_their_order_and_their_checks_are_told(
    instance: dg.DagsterInstance, container: Container
):
    container.services.store.insert({"name": "Nothing", "slug": "nothing", "duration_minutes": 0})
    run = materialize_chosen(defs, ["calcom/service_sync", "service_plan"], partition=None, progress=unseen)
    assert (run.success, run.assets) == (True, ["service_plan", "service_sync"])
    told = {check.check: check for check in run.checks}
    assert set(told) == {"services_in_sync", "nothing_left_to_sync", "nothing_held", "slugs_are_unique"}
    assert (told["services_in_sync"].passed, told["services_in_sync"].severity) == (False, "warn")
    assert "its duration of 0 minutes" in told["services_in_sync"].text
    assert [check.check for check in run.failed_checks(warnings_too=True)] == ["services_in_sync"]
    assert run.failed_checks(warnings_too=False) == []


def test_a_step_that_fails_is_named_with_its_cause(
    instance: dg.DagsterInstance, container: Container, sandbox: RunningSandbox
):
    sandbox.control.add_fault("error", "GET /v2/bookings", status=400, count=100)
    run = materialize_chosen(defs, ["bookings"], partition=None, progress=unseen)
    assert not run.success
    (why,) = set(run.failures.values())
    assert "Cal.com answered 400" in why


@pytest.mark.parametrize("name", ["nobody", "cal_com"])
def test_what_is_not_made_here_is_refused_by_name(instance: dg.DagsterInstance, name: str):
    with pytest.raises(InvalidInput, match=f"no asset {name} that is made here"):
        materialize_chosen(defs, ["bookings", name], partition=None, progress=unseen)


def test_the_command_fails_on_failed_checks_and_only_on_those_it_is_told_of(
    instance: dg.DagsterInstance, container: Container, environment: dict[str, str]
):
    container.services.store.insert({"name": "Nothing", "slug": "nothing", "duration_minutes": 0})
    words = ("materialize", "service_plan", "service_sync", "--json")
    home = {**environment, "DAGSTER_HOME": instance.root_directory}
    done = command(*words, environment=home)
    assert done.returncode == exit_codes.UNHEALTHY, done.stderr
    told = json.loads(done.stdout)
    assert told["assets"] == ["service_plan", "service_sync"]
    assert [check["check"] for check in told["failed_checks"]] == ["services_in_sync"]
    (failed,) = told["failed_checks"]
    assert set(failed) == {"asset", "check", "passed", "severity", "said"}
    assert command(*words, "--fail-on", "error", environment=home).returncode == exit_codes.OK
