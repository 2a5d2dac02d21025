"""The whole loop on a real Dagster instance: PostgreSQL storage, real runs, the sandbox for Cal.com."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest
import requests
import time_machine

from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.app.event_types.mirror import pull_event_types
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.definitions import defs
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.pools import make_pool
from calcom_pipeline.domain.availability.changes import ChangeEvent
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.dagster_runs import metadata, rows_in, run, sensor_named
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

changed_bookings = sensor_named("changed_bookings")
event_type_drift = sensor_named("event_type_drift")
new_invalidations = sensor_named("new_invalidations")
service_changes = sensor_named("service_changes")


def ask(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    """One tick; what a sensor returns in any of its ways, as a SensorResult."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
    answer = sensor(context) if sensor is not new_invalidations else sensor()
    if isinstance(answer, dg.SkipReason):
        return dg.SensorResult(skip_reason=answer, cursor=cursor)
    if isinstance(answer, dg.RunRequest):
        return dg.SensorResult([answer], cursor=cursor)
    return answer


def add_service(container: Container, name: str, slug: str, minutes: int = 30, **columns: Any) -> str:
    return container.services.store.insert({"name": name, "slug": slug, "duration_minutes": minutes, **columns})


def told_of(result: dg.ExecuteInProcessResult) -> tuple[int, int]:
    """How many services were done and how many failed, as the UI shows it."""
    told = metadata(result, "service_sync")
    return told["services written"], told["services failed"]


def writes(sandbox: RunningSandbox) -> int:
    """Requests that write, of everybody."""
    endpoints = sandbox.control.counters()["endpoints"]
    return sum(sum(s.values()) for name, s in endpoints.items() if name.split()[0] in ("POST", "PATCH", "DELETE"))


def update(container: Container, service_id: str, name: str) -> None:
    """Somebody else's UPDATE, not one of the pipeline's."""
    with container.require_schema().transaction("Testing") as cursor:
        cursor.execute("UPDATE services SET name = %s WHERE id::text = %s", (name, service_id))


class TestFullSync:
    def test_everything_is_done_and_a_second_run_writes_nothing_but_the_retry_of_what_failed(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        for number in range(3):
            add_service(container, f"Good {number}", f"good-{number}")
        add_service(container, "Brochure", "brochure", description="x" * 120_000)
        first = run(instance, "full_sync")
        assert first.success
        assert told_of(first) == (3, 1)
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
        assert told_of(run(instance, "services_sync")) == (0, 1)

    def test_a_picture_of_free_starts_and_the_calls_are_in_the_metadata(self, instance):
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
    def test_it_is_there_before_the_first_runs_ask_for_it_at_once(self, instance):
        pool = Account.from_environment().pool
        instance.event_log_storage.delete_concurrency_limit(pool)
        for _ in range(2):
            make_pool(pool)
            assert instance.event_log_storage.get_concurrency_info(pool).slot_count == 4


class TestServices:
    def test_a_service_change_reaches_cal_com_through_the_sensor(self, instance, container: Container, sandbox):
        service_id = add_service(container, "Massage", "massage")
        first = ask(service_changes, instance)
        assert first.run_requests, "the first look plans everything"
        assert run(instance, "services_sync", tags=first.run_requests[0].tags).success
        quiet = ask(service_changes, instance, first.cursor)
        assert not quiet.run_requests, "our own writes are no change"

        update(container, service_id, "Massage deluxe")
        answer = until(lambda: (a := ask(service_changes, instance, quiet.cursor)).run_requests and a)
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
        assert told_of(result) == (49, 1)
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
        result = run(instance, "full_sync")
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
        first = run(instance, "full_sync")
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
        assert "Nothing written" in metadata(result, "service_sync")["summary"]
        methods = {endpoint.split(" ")[0] for endpoint in sandbox.control.counters()["endpoints"]}
        assert methods <= {"GET"}


class TestDrift:
    """Somebody changes an event type at Cal.com."""

    def test_it_reaches_its_service_and_the_mirror_once_through_the_sensor(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        first = ask(event_type_drift, instance)
        assert first.run_requests[0].tags["calcom/cause"] == "no event type is mirrored yet"
        assert not ask(event_type_drift, instance, first.cursor).run_requests
        service_id = add_service(container, "Massage", "massage")
        assert run(instance, "event_types_sync").success
        quiet = ask(event_type_drift, instance)
        assert not quiet.run_requests
        assert "are as mirrored" in str(quiet.skip_reason)
        (link,) = container.services.store.links()

        sandbox.control.mutate("update_event_type", id=link.event_type_id, set={"title": "Theirs"})
        answer = ask(event_type_drift, instance, quiet.cursor)
        (request,) = answer.run_requests
        assert request.tags["calcom/cause"] == f"event types differ from the mirror: {link.event_type_id}"
        assert not ask(event_type_drift, instance, answer.cursor).run_requests, "it was handed over already"
        assert run(instance, "event_types_sync", tags=request.tags).success
        (pulled,) = container.services.store.services([service_id])
        assert pulled.name == "Theirs"
        facts = {(fact.kind, fact.event_type_id, fact.why) for fact in container.availability.outbox.pending(limit=100)}
        assert ("event_type", link.event_type_id, "changed at Cal.com") in facts
        again = ask(event_type_drift, instance, answer.cursor)
        assert (again.run_requests, again.cursor) == ([], "")

        # An edit after the plan of a run and before its mirror: the mirror has it, the service has not.
        sandbox.control.mutate("update_event_type", id=link.event_type_id, set={"title": "Between"})
        pull_event_types(container.calcom, container.event_types.mirror, teams=container.event_types.teams, now=utc_now)
        between = ask(event_type_drift, instance, again.cursor)
        assert run(instance, "event_types_sync", tags=between.run_requests[0].tags).success
        assert container.services.store.services([service_id])[0].name == "Between"
        again = ask(event_type_drift, instance, between.cursor)
        assert not again.run_requests

        sandbox.control.mutate("update_event_type", id=link.event_type_id, set={"title": "Massage"})
        back = ask(event_type_drift, instance, again.cursor)
        sandbox.control.mutate("delete_event_type", id=link.event_type_id)
        assert ask(event_type_drift, instance, back.cursor).cursor != back.cursor, "another difference is another cause"

    def test_a_difference_that_no_run_has_cleared_is_handed_over_again_later_and_later(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        """A run that fails by itself leaves it as it was, and nobody else starts that run again."""
        assert run(instance, "event_types_sync").success
        event_type_id = next(e.id for e in container.event_types.mirror.present())
        sandbox.control.mutate("update_event_type", id=event_type_id, set={"title": "Theirs"})
        waited: list[float] = []
        with time_machine.travel(utc_now(), tick=False) as clock:
            cursor, last = ask(event_type_drift, instance).cursor, utc_now()
            keys = set[str | None]()
            for _ in range(120):
                clock.shift(60)
                answer = ask(event_type_drift, instance, cursor)
                cursor = answer.cursor
                if answer.run_requests:
                    waited.append((utc_now() - last).total_seconds() / 60)
                    last = utc_now()
                    keys.add(answer.run_requests[0].run_key)
        assert waited == [2, 4, 8, 16, 30, 30, 30]
        assert len(keys) == len(waited), "each is a run of its own"

    def test_a_difference_whose_run_is_under_way_is_not_handed_over_again(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        assert run(instance, "event_types_sync").success
        event_type_id = next(e.id for e in container.event_types.mirror.present())
        sandbox.control.mutate("update_event_type", id=event_type_id, set={"title": "Theirs"})
        with time_machine.travel(utc_now(), tick=False) as clock:
            handed = ask(event_type_drift, instance)
            under_way = instance.create_run_for_job(
                defs.resolve_job_def("event_types_sync"), status=dg.DagsterRunStatus.STARTED
            )
            clock.shift(timedelta(hours=1))
            assert not ask(event_type_drift, instance, handed.cursor).run_requests
            instance.report_run_failed(under_way)
            assert ask(event_type_drift, instance, handed.cursor).run_requests

    def test_a_look_costs_a_call_per_owner_and_changes_of_order_or_of_people_are_none(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        assert run(instance, "event_types_sync").success
        owners = {e.owner for e in container.event_types.mirror.present()}
        sandbox.control.mutate("shuffle_rows")
        sandbox.control.mutate("set_user", id=container.calcom.me().user_id, set={"name": "Renamed"})
        before = sandbox.control.counters()["total"]
        assert not ask(event_type_drift, instance).run_requests
        assert sandbox.control.counters()["total"] - before == len(owners)

    def test_while_cal_com_is_not_to_be_asked_nothing_is_concluded(self, instance, container: Container):
        assert run(instance, "event_types_sync").success
        for _ in range(container.settings.breaker_failures):
            container.limits.breaker.report(container.limits.breaker.enter("event_types", longest_seconds=1), "failed")
        skipped = ask(event_type_drift, instance, "as before")
        assert "is not to be asked for another" in str(skipped.skip_reason)
        assert skipped.cursor == "as before"


def settled(container: Container) -> None:
    """Waits until no clearing is so recent that what is fetched after it is kept for seconds alone."""
    types = [e.id for e in container.event_types.mirror.bookable()]
    while any(standing.settles_seconds for standing in container.availability.cache.generations(types).values()):
        time.sleep(0.05)


class TestBookings:
    def test_a_booking_reaches_the_mirror_and_the_days_it_closes_leave_the_cache(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        assert run(instance, "full_sync").success
        run(instance, "cache_invalidation")
        settled(container)  # what is fetched before lives for seconds
        run(instance, "slots_refresh")  # the first read's facts may have cleared just the days looked at below
        start = ask(changed_bookings, instance, utc_now().isoformat()).cursor
        day, event_type_id = self.book(container, sandbox)
        host = next(e for e in container.event_types.mirror.bookable() if e.id == event_type_id).host_ids[0]
        concerned = [e for e in container.event_types.mirror.bookable() if host in e.host_ids]
        keys = [k for e in concerned for k in self.keys_of(container, e, day)]
        cached = container.availability.cache.get(keys)
        assert len(cached) > 1, "the day was cached, for several event types of the host"

        answer = ask(changed_bookings, instance, start)
        assert len(answer.run_requests) == 1
        mirrored = run(instance, "bookings_mirror", tags=answer.run_requests[0].tags)
        assert metadata(mirrored, "bookings")["rows added"] == 1
        assert not ask(changed_bookings, instance, answer.cursor).run_requests

        (request,) = ask(new_invalidations, instance).run_requests
        cleared = run(instance, "cache_invalidation", tags=request.tags)
        assert cleared.output_for_node("clear_cached_days")["days"] >= len(cached)
        assert container.availability.cache.get(keys) == {}
        assert not ask(new_invalidations, instance).run_requests

    def test_an_empty_mirror_is_filled_at_the_first_look(self, instance, container: Container):
        first = ask(changed_bookings, instance)
        assert first.run_requests[0].tags["calcom/cause"] == "no booking was read yet"
        assert not ask(changed_bookings, instance, first.cursor).run_requests
        run(instance, "bookings_mirror", tags=first.run_requests[0].tags)
        assert not ask(changed_bookings, instance).run_requests, "a new cursor is no empty mirror"

    def book(self, container: Container, sandbox: RunningSandbox) -> tuple[Any, int]:
        """A booking made at Cal.com by somebody else."""
        for event_type in container.event_types.mirror.bookable():
            if event_type.owner.kind != "user" or event_type.recurring or event_type.seats_per_slot:
                continue
            days = [d for d in self.days_of(container, event_type) if d.slots and not d.slots[0].seats_total]
            for day in days[3:]:
                body = {
                    "eventTypeId": event_type.id,
                    "start": day.slots[0].start.isoformat().replace("+00:00", "Z"),
                    "attendee": {"name": "Jo", "email": "jo@example.org", "timeZone": "Europe/Berlin"},
                }
                headers = {"cal-api-version": "2024-08-13"}
                if requests.post(f"{sandbox.url}/bookings", json=body, headers=headers, timeout=10).status_code == 201:
                    return day.key.day, event_type.id
        raise AssertionError("the account has nothing that can be booked")

    def days_of(self, container: Container, event_type: Any) -> list[Any]:
        from calcom_pipeline.app.availability.refresh import canonical_queries

        (query, *_) = canonical_queries(event_type, now=utc_now(), horizon_days=28)
        return container.availability.mirror.days(query)

    def keys_of(self, container: Container, event_type: Any, day: Any) -> list[Any]:
        return [d.key for d in self.days_of(container, event_type) if d.key.day == day]


class TestSensors:
    def test_a_fact_is_handed_over_until_it_was_applied_once_a_minute(self, instance, container: Container):
        """A run that died before it touched the fact left the outbox as it was, and its key was taken for ever."""
        container.availability.outbox.add([ChangeEvent("event_type", "changed", 7)])
        with time_machine.travel(utc_now(), tick=False) as clock:
            first, same = ask(new_invalidations, instance), ask(new_invalidations, instance)
            clock.shift(timedelta(minutes=1))
            later = ask(new_invalidations, instance)
        keys = [answer.run_requests[0].run_key for answer in (first, same, later)]
        assert keys[0] == keys[1] != keys[2]

    def test_a_fact_that_waits_for_its_next_attempt_starts_no_run(self, instance, container: Container):
        container.availability.outbox.add([ChangeEvent("event_type", "changed", 7)])
        container.availability.outbox.failed(container.availability.outbox.pending(limit=1), "Redis is away")
        assert "wait for their next attempt" in str(ask(new_invalidations, instance).skip_reason)

    def test_with_nothing_to_do_each_says_so_in_a_sentence(self, instance, container: Container):
        assert container.require_schema()
        cursor = ask(service_changes, instance).cursor
        assert "No service changed" in str(ask(service_changes, instance, cursor).skip_reason)
        assert "outbox is empty" in str(ask(new_invalidations, instance).skip_reason)
        later = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        assert "No booking changed" in str(ask(changed_bookings, instance, later).skip_reason)

    def test_changes_behind_somebodys_open_transaction_are_said_to_wait_for_it(self, instance, container: Container):
        service_id = add_service(container, "Massage", "massage")
        cursor = ask(service_changes, instance).cursor
        with psycopg.connect(container.endpoints.database_url) as stranger:
            stranger.execute("SELECT pg_current_xact_id()")
            update(container, service_id, "Massage deluxe")
            held = until(lambda: (a := ask(service_changes, instance, cursor)).skip_reason and a)
            said = str(held.skip_reason)
            assert "Changes of services that wait for the end of somebody's older transaction" in said
            assert " s): 1" in said
            assert f"process {stranger.info.backend_pid} of PostgreSQL, open for" in said
        until(lambda: ask(service_changes, instance, held.cursor).run_requests)

    def test_a_cursor_that_a_wrong_clock_has_left_in_the_future_hides_no_change(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        ahead = (datetime.now(UTC) + timedelta(hours=6)).isoformat()
        sandbox.control.update_bookings(count=1, set={"title": "changed"})
        answer = ask(changed_bookings, instance, ahead)
        assert len(answer.run_requests) == 1
        assert answer.cursor is not None
        assert datetime.fromisoformat(answer.cursor) < datetime.now(UTC)

    def test_a_failed_read_raises_and_is_no_empty_read(self, instance, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
        with pytest.raises(Exception, match="nothing listens"):
            ask(service_changes, instance)
