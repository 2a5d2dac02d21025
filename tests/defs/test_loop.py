"""The whole loop on a real Dagster instance: PostgreSQL storage, real runs, the sandbox for Cal.com."""

from dataclasses import replace

import dagster as dg
import pytest

from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.pools import make_pools
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.dagster_runs import dagster_database, metadata, own_instance, rows_in, run
from tests.support.loop import add_service, all_seen, ask, done_and_failed, service_changes, update, writes
from tests.support.waiting import until

__all__ = ["dagster_database", "own_instance"]  # fixtures of the pool's test

pytestmark = pytest.mark.timeout(180)


class TestFullSync:
    def test_everything_is_done_and_a_second_run_writes_nothing_but_the_retry_of_what_failed(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        for number in range(3):
            add_service(container, f"Good {number}", f"good-{number}")
        add_service(container, "Brochure", "brochure", description="x" * 120_000)
        first = run(instance, "full_sync")
        assert first.success
        assert done_and_failed(first) == (3, 1)
        assert metadata(first, "event_types")["rows added"] >= 8
        assert metadata(first, "bookings")["rows added"] >= 60
        assert metadata(first, "slots")["free starts"] > 0
        assert metadata(first, "event_types")["calls to Cal.com"] > 0
        stored = (container.services.store.services(), container.services.store.links(), writes(sandbox))

        second = run(instance, "full_sync")
        assert metadata(second, "service_sync")["summary"].startswith("Nothing to do")
        for asset in ("event_types", "bookings", "slots"):
            told = metadata(second, asset)
            assert (told["rows added"], told["rows changed"], told["rows gone"]) == (0, 0, 0)
        assert (container.services.store.services(), container.services.store.links(), writes(sandbox)) == stored
        assert instance.get_run_by_id(first.run_id).status == dg.DagsterRunStatus.SUCCESS
        assert container.reports.overview.counts().bookings >= 60

        with container.require_schema().transaction("Testing") as cursor:
            cursor.execute("UPDATE service_links SET next_attempt_at = now() WHERE attempts > 0")
        assert done_and_failed(run(instance, "services_sync")) == (0, 1)

    def test_a_picture_of_free_starts_and_the_calls_are_in_the_metadata(
        self, instance, pictures_blank: pytest.MonkeyPatch
    ):
        pictures_blank.undo()
        told = metadata(run(instance, "slots_refresh"), "slots")
        assert told["free starts, event type by day"].startswith(
            "![Free starts by event type and day](data:image/png;base64,"
        )
        assert {"calls to Cal.com", "seconds in all", "seconds waited for the limit"} <= set(told)

    def test_a_wrong_key_fails_the_run_at_once_with_the_reason_and_what_to_do(self, instance, monkeypatch):
        monkeypatch.setenv("CALCOM_API_KEY", "cal_wrong0000000000000000000000000000")
        result = run(instance, "full_sync", raise_on_error=False)
        assert not result.success
        (failure, *_) = [e.step_failure_data for e in result.all_events if e.is_step_failure]
        assert "Check CALCOM_API_KEY" in failure.user_failure_data.description
        assert "cal_wrong" not in str(failure)


class TestPool:
    def test_it_is_there_before_the_first_runs_ask_for_it_at_once(self, own_instance):
        pool = Account.from_environment().pool
        own_instance.event_log_storage.delete_concurrency_limit(pool)
        for _ in range(2):
            make_pools([pool])
            assert own_instance.event_log_storage.get_concurrency_info(pool).slot_count == 4


class TestServices:
    def test_a_service_change_reaches_cal_com_through_the_sensor(self, instance, container: Container, sandbox):
        service_id = add_service(container, "Massage", "massage")
        first = ask(service_changes, instance)
        assert first.run_requests, "the first look plans everything"
        assert run(instance, "services_sync", tags=first.run_requests[0].tags).success
        cursor = all_seen(instance, container, first.cursor)
        assert not ask(service_changes, instance, cursor).run_requests, "our own writes are no change"

        update(container, service_id, "Massage deluxe")
        answer = until(lambda: (a := ask(service_changes, instance, cursor)).run_requests and a)
        (request,) = answer.run_requests
        assert request.tags["calcom/cause"] == f"services changed: {service_id}"
        assert request.run_key == f"services:{answer.cursor}"
        result = run(instance, request.job_name or "services_sync", tags=request.tags)
        assert metadata(result, "service_sync")["services written"] == 1
        link = next(x for x in container.services.store.links() if x.service_id == service_id)
        assert container.calcom.get_event_type(link.event_type_id or 0).title == "Massage deluxe"
        assert "Nothing to do" in metadata(run(instance, "services_sync"), "service_sync")["summary"]

    def test_a_poisoned_service_fails_alone_and_its_reason_can_be_read(self, instance, container: Container):
        for number in range(49):
            add_service(container, f"Good {number}", f"good-{number}")
        poisoned = add_service(container, "Brochure", "brochure", description="x" * 120_000)
        result = run(instance, "services_sync")
        told = metadata(result, "service_sync")
        assert done_and_failed(result) == (49, 1)
        service, _, outcome, message, more = rows_in(told["results"])[0]
        assert (service, outcome) == (f"Brochure ({poisoned})", "**failed**")
        assert "too large" in message
        assert more == f"`calcom-pipeline explain {poisoned}`"
        assert "Brochure" in told["summary"]
        problems = {service: why for service, _, why in container.reports.overview.problems(limit=10)}
        assert "too large" in problems[poisoned]

    def test_bad_services_are_refused_with_their_reasons_and_the_others_go_on(self, instance, container: Container):
        columns = {"name": "Fine", "slug": "fine", "duration_minutes": 30, "price_minor": 0}
        bad = {
            "it has no name": {"name": " ", "slug": "a"},
            "its slug is empty after trimming": {"slug": " -_."},
            "its duration of 0 minutes is not between": {"slug": "b", "duration_minutes": 0},
            "its price of -1 is negative": {"slug": "c", "price_minor": -1},
        }
        ids = {reason: container.services.store.insert({**columns, **changes}) for reason, changes in bad.items()}
        fine = container.services.store.insert(columns)
        twin = container.services.store.insert({**columns, "name": "Twin", "slug": " fine"})
        ids[f"its slug ' fine' is taken by service {fine}"] = twin
        result = run(instance, "services_sync")
        rows = {
            more.strip("`").rpartition(" ")[2]: (action, why)
            for _, action, _, why, more in rows_in(metadata(result, "service_plan")["actions"])
        }
        assert metadata(result, "service_sync")["services written"] == 1
        problems = {service: why for service, _, why in container.reports.overview.problems(limit=10)}
        for reason, service_id in ids.items():
            assert rows[service_id][0] == "refuse"
            assert reason in rows[service_id][1]
            assert reason in problems[service_id]

    def test_the_checks_ask_the_planner_and_the_tables_again(self, instance, container: Container):
        add_service(container, "Massage", "massage")
        result = run(instance, "event_types_sync")
        passed = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
        assert passed["nothing_left_to_sync"]
        assert passed["linked_event_types_exist"]
        assert passed["slugs_are_unique"]
        store = PostgresServiceStore(container.require_schema())
        store.begin(replace(store.links()[0], event_type_id=999_999))
        again = {e.check_name: e for e in run(instance, "slots_refresh").get_asset_check_evaluations()}
        assert not again["linked_event_types_exist"].passed

    def test_an_empty_listing_deletes_nothing_and_is_told_by_the_asset_and_a_check(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        first = run(instance, "slots_refresh")
        assert {e.check_name: e.passed for e in first.get_asset_check_evaluations()}["mirrored_event_types_are_listed"]
        before, counts = container.event_types.mirror.present(), container.reports.overview.counts()
        sandbox.control.add_fault("empty_list", "GET /v2/event-types")
        result = run(instance, "slots_refresh")
        assert result.success
        assert container.event_types.mirror.present() == before
        assert container.reports.overview.counts() == counts
        materialized = [e.event_specific_data.materialization for e in result.get_asset_materialization_events()]
        read = next(m for m in materialized if m.asset_key.path[-1] == "event_types")
        assert read.metadata["event types missing and kept"].value == sum(e.owner.kind == "user" for e in before)
        checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
        told = checks["mirrored_event_types_are_listed"]
        assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)

    def test_nothing_is_written_to_a_real_account_unless_told_so(
        self, instance, container: Container, sandbox: RunningSandbox, monkeypatch
    ):
        monkeypatch.delenv("CALCOM_APPLY")
        add_service(container, "Massage", "massage")
        result = run(instance, "services_sync")
        assert "Nothing was written" in metadata(result, "service_sync")["summary"]
        methods = {endpoint.split(" ")[0] for endpoint in sandbox.control.counters()["endpoints"]}
        assert methods <= {"GET"}
