"""Bookings on a real Dagster instance, and what sensors say when there is nothing to do or something in the way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import requests
import time_machine

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.changes import ChangeEvent
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.dagster_runs import metadata, run
from tests.support.loop import add_service, ask, changed_bookings, new_invalidations, service_changes, settled, update
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)


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
            named = f"process {stranger.info.backend_pid} of PostgreSQL, open for"  # others' may be older, and end soon
            held = until(lambda: named in str((a := ask(service_changes, instance, cursor)).skip_reason) and a)
            said = str(held.skip_reason)
            assert "Changes of services that wait for the end of somebody's older transaction" in said
            assert " s): 1" in said
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
