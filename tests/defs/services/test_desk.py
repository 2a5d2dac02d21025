"""What an operator sees of services in Dagster's UI, and what comes of what is pressed there."""

import re
from typing import Any
from urllib.parse import unquote

import dagster as dg
import pytest
import yaml

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.definitions import defs
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.dagster_runs import metadata, rows_in, run

pytestmark = pytest.mark.timeout(180)
_LAUNCHPAD = re.compile(r"\[([^\]]+)\]\(/locations/calcom_pipeline/jobs/(\w+)/playground/setup\?config=([^)]+)\)")


def add(container: Container, name: str, **columns: Any) -> str:
    return container.services.store.insert({"name": name, "slug": name.lower(), "duration_minutes": 30, **columns})


def change(container: Container, statement: str, *values: object) -> None:
    """Somebody's SQL."""
    with container.require_schema().transaction("Testing") as cursor:
        cursor.execute(statement, values)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def press(instance: dg.DagsterInstance, job: str, config: dict[str, Any]) -> dg.ExecuteInProcessResult:
    """What the launchpad starts."""
    return defs.resolve_job_def(job).execute_in_process(instance=instance, run_config=config, raise_on_error=False)


def buttons(text: str | None) -> dict[str, tuple[str, dict[str, Any]]]:
    """Links to launchpads: what they say, the job, the config that is filled in."""
    return {said: (job, yaml.safe_load(unquote(config))) for said, job, config in _LAUNCHPAD.findall(text or "")}


def fail_five_times(instance: dg.DagsterInstance, container: Container) -> dg.ExecuteInProcessResult:
    """Four times elsewhere, as an application does it; then a run."""
    for _ in range(4):
        CalcomService(container).sync_services()
        change(container, "UPDATE service_links SET next_attempt_at = now() WHERE attempts > 0")
    return run(instance, "services_sync")


class TestServicesInSync:
    def test_a_service_that_failed_for_the_fifth_time_colours_a_check_until_it_is_retried_from_its_button(
        self, instance, container: Container
    ):
        poisoned = add(container, "Brochure", description="x" * 120_000)
        add(container, "Massage")
        found = checks(fail_five_times(instance, container))["services_in_sync"]
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert (found.metadata["services parked"].value, found.metadata["services"].value) == (1, 2)
        ((service, matter, at, what),) = rows_in(found.description)
        assert service == f"Brochure ({poisoned})"
        assert matter.startswith("**parked, nobody tries it any more**, 5 failures: ")
        assert "413" in matter
        assert at == "none"
        assert f"`calcom-pipeline resolve --retry {poisoned}`" in what

        change(container, "UPDATE services SET description = 'short' WHERE id::text = %s", poisoned)
        job, config = buttons(found.description)["Retry it"]
        assert (job, config) == ("retry_service", {"service": poisoned})
        retried = press(instance, job, config)
        assert retried.success
        assert checks(retried)["services_in_sync"].passed
        assert metadata(retried, "service_sync")["services written"] == 1

    def test_a_conflict_shows_both_values_and_each_button_decides_for_its_side(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        service = add(container, "Massage")
        run(instance, "services_sync")
        (link,) = container.services.store.links()
        change(container, "UPDATE services SET name = 'Ours' WHERE id::text = %s", service)
        sandbox.control.mutate("update_event_type", id=link.event_type_id, set={"title": "Theirs"})
        found = checks(run(instance, "services_sync"))["services_in_sync"]
        ((_, matter, _, _),) = rows_in(found.description)
        assert "'Ours' here, 'Theirs' at Cal.com" in matter
        offered = buttons(found.description)
        assert offered["Take ours"] == ("resolve_conflict", {"service": service, "take": "local"})
        resolved = press(instance, *offered["Take Cal.com's"])
        assert checks(resolved)["services_in_sync"].passed
        assert container.services.store.services([service])[0].name == "Theirs"

    def test_a_refused_service_waits_for_its_correction_and_what_people_write_draws_nothing(
        self, instance, container: Container
    ):
        add(container, "[click](http://evil.example) | *bold*", slug="odd", duration_minutes=0)
        found = checks(run(instance, "services_sync"))["services_in_sync"]
        ((service, _, at, what),) = rows_in(found.description)
        assert service.startswith("[click](http://evil.example) | *bold*")
        assert r"\[click\]" in (found.description or "")
        assert at == "once somebody acted"
        assert "the next plan takes it up" in what


class TestNothingHeld:
    def test_what_brakes_hold_warns_and_its_button_applies_the_plan(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        for number in range(5):
            add(container, f"S{number}")
        run(instance, "services_sync")
        change(container, "UPDATE services SET is_active = false")
        told = checks(run(instance, "services_sync"))
        held = told["nothing_held"]
        assert (held.passed, held.metadata["services held"].value) == (False, 5)
        ((kind, number, why, _, _),) = rows_in(held.description)
        assert (kind, number) == ("hide", "5")
        assert "more than the 3 that pass unasked" in why
        job, config = buttons(held.description)["Apply it"]
        applied = checks(press(instance, job, config))
        assert applied["nothing_held"].passed
        assert applied["nothing_left_to_sync"].passed


class TestLaunchpad:
    def test_a_sync_of_some_services_leaves_the_others(self, instance, container: Container):
        first = add(container, "First")
        add(container, "Second")
        done = press(instance, "services_sync", {"services": [first]})
        assert metadata(done, "service_sync")["services written"] == 1
        assert [link.service_id for link in container.services.store.links()] == [first]
        left = checks(done)["nothing_left_to_sync"]
        assert (left.passed, left.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert (left.description or "").startswith("1 service would be written now.")

    def test_plan_only_writes_nothing_and_says_how_to_go_on(self, instance, container: Container, sandbox):
        add(container, "First")
        done = press(instance, "services_sync", {"writing": "plan_only"})
        told = metadata(done, "service_sync")
        assert "calcom-pipeline apply " in told["summary"]
        assert container.services.store.links() == []

    @pytest.mark.parametrize(
        ("job", "config", "said"),
        [
            ("retry_service", {"service": "nobody"}, "There is no service nobody"),
            ("apply_plan", {"plan": "never"}, "There is no plan never"),
        ],
    )
    def test_what_is_not_there_fails_at_once_with_its_name(self, instance, container: Container, job, config, said):
        assert container.require_schema()
        result = press(instance, job, config)
        (failure,) = [e.step_failure_data for e in result.all_events if e.is_step_failure]
        assert said in failure.user_failure_data.description


class TestHealth:
    def test_all_checks_run_alone_and_what_stands_outside_is_observed(
        self, instance, container: Container, pictures_blank: pytest.MonkeyPatch
    ):
        add(container, "Massage")
        run(instance, "full_sync")
        pictures_blank.undo()
        result = run(instance, "health")
        assert result.success
        assert result.get_asset_materialization_events() == []
        assert {name for name, one in checks(result).items() if not one.passed} == set()
        assert set(checks(result)) == {
            "services_in_sync",
            "nothing_left_to_sync",
            "nothing_held",
            "slugs_are_unique",
            "linked_event_types_exist",
            "mirrored_event_types_are_listed",
            "no_host_is_booked_twice",
            "bookings_are_fresh",
            "mirror_complete",
            "cache_right",
            "webhooks_alive",
            "limiter_healthy",
        }
        seen = {o.asset_key.path[-1]: o.metadata for o in observations(result)}
        assert set(seen) == {"services_table", "cal_com", "redis"}
        assert seen["services_table"]["dagster/row_count"].value == 1
        assert seen["services_table"]["newest change"].value.endswith(" UTC")
        assert seen["cal_com"]["requests left in this window"].value > 0
        assert seen["redis"]["keys"].value > 0
        assert "data:image/png" in seen["cal_com"]["calls to Cal.com in the last hour"].value

    def test_while_cal_com_is_away_every_check_still_says_something(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        add(container, "Nothing", duration_minutes=0)
        run(instance, "full_sync")
        sandbox.control.add_fault("error", "*", status=500, count=10_000)
        result = run(instance, "health")
        assert result.success
        found = checks(result)
        assert len(found) == 12
        assert "Cal.com could not be asked" in (found["services_in_sync"].description or "")
        assert found["services_in_sync"].metadata["services refused"].value == 1
        assert not found["nothing_left_to_sync"].passed
        assert not found["mirror_complete"].passed
        assert found["slugs_are_unique"].passed

    def test_what_the_next_sync_will_write_is_no_error(self, instance, container: Container):
        add(container, "Massage")
        left = checks(run(instance, "health"))["nothing_left_to_sync"]
        assert (left.passed, left.severity) == (False, dg.AssetCheckSeverity.WARN)

    def test_it_is_scheduled_and_reads_and_writes_nothing_else(self):
        repository = defs.get_repository_def()
        (schedule,) = [s for s in repository.schedule_defs if s.job_name == "health"]
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        keys = repository.get_job("health").asset_layer.executable_asset_keys
        assert {key.path[-1] for key in keys} == {"services_table", "cal_com", "redis"}


def observations(result: dg.ExecuteInProcessResult) -> list[dg.AssetObservation]:
    return [
        e.event_specific_data.asset_observation
        for e in result.all_events
        if e.event_type == dg.DagsterEventType.ASSET_OBSERVATION
    ]
