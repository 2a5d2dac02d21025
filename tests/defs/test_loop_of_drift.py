"""Drift on a real Dagster instance: an edit at Cal.com reaches its service and the mirror by the sensor."""

from datetime import timedelta

import dagster as dg
import pytest
import time_machine

from calcom_pipeline.app.event_types.mirror import pull_event_types
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.definitions import defs
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.dagster_runs import run
from tests.support.loop import add_service, ask, event_type_drift

pytestmark = pytest.mark.timeout(180)
WAITED = (2, 4, 8, 16, 30, 30, 30)  # minutes from one request for a run to the next


def mirror(container: Container) -> None:
    """As a run of event_types_sync does, without the run."""
    pull_event_types(container.calcom, container.event_types.mirror, teams=container.event_types.teams, now=utc_now)


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
        mirror(container)
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
        mirror(container)
        event_type_id = next(e.id for e in container.event_types.mirror.present())
        sandbox.control.mutate("update_event_type", id=event_type_id, set={"title": "Theirs"})
        with time_machine.travel(utc_now(), tick=False) as clock:
            cursor = ask(event_type_drift, instance).cursor
            keys = set[str | None]()
            for minutes in WAITED:
                clock.shift(timedelta(minutes=minutes - 1))
                early = ask(event_type_drift, instance, cursor)
                assert not early.run_requests, f"not before {minutes} minutes"
                clock.shift(timedelta(minutes=1))
                answer = ask(event_type_drift, instance, early.cursor)
                cursor = answer.cursor
                keys.add(answer.run_requests[0].run_key)
        assert len(keys) == len(WAITED), "each is a run of its own"

    def test_a_difference_whose_run_is_under_way_is_not_handed_over_again(
        self, instance, container: Container, sandbox: RunningSandbox
    ):
        mirror(container)
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
        mirror(container)
        owners = {e.owner for e in container.event_types.mirror.present()}
        sandbox.control.mutate("shuffle_rows")
        sandbox.control.mutate("set_user", id=container.calcom.me().user_id, set={"name": "Renamed"})
        before = sandbox.control.counters()["total"]
        assert not ask(event_type_drift, instance).run_requests
        assert sandbox.control.counters()["total"] - before == len(owners)

    def test_while_cal_com_is_not_to_be_asked_nothing_is_concluded(self, instance, container: Container):
        mirror(container)
        for _ in range(container.settings.breaker_failures):
            container.limits.breaker.report(container.limits.breaker.enter("event_types", longest_seconds=1), "failed")
        skipped = ask(event_type_drift, instance, "as before")
        assert "is not to be asked for another" in str(skipped.skip_reason)
        assert skipped.cursor == "as before"
