"""The facade and its commands, on the sandbox, a real PostgreSQL and a real Valkey."""

import json
import re
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.bookings.in_doubt import close_outcomes
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.cli import main
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.bookings.listing import BookingQuery
from calcom_pipeline.domain.errors import (
    CircuitOpen,
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    TransientError,
)
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import Settings
from tests.support import leaks
from tests.support.business import container, sandbox, served, service, settings
from tests.support.given import variables_of

__all__ = ["container", "sandbox", "served", "service", "settings"]  # fixtures

#: The sandbox's clock is the real one, as a facade that books for real people has no other.
NEXT_MONDAY = date.today() + timedelta(days=7 - date.today().weekday() + 7)  # noqa: DTZ011 - a day, far enough ahead


SUPPORT = 301


def at(hour: int, day: int = 0) -> str:
    """A time of the week after next, in the schedule's zone."""
    return f"{(NEXT_MONDAY + timedelta(days=day)).isoformat()}T{hour:02d}:00"


def details(hour: int = 10, event_type_id: int = 2, **changes: Any) -> dict[str, Any]:
    plain = {"eventTypeId": event_type_id, "start": at(hour), "timeZone": "Europe/Berlin", "name": "Carol"}
    return {**plain, "email": "carol@example.org", **changes}


def test_a_booking_takes_its_time_off_the_cached_days_at_once(service: CalcomService, sandbox: RunningSandbox):
    day = {"first_day": NEXT_MONDAY, "last_day": NEXT_MONDAY}
    before = service.availability(2, **day)
    service.availability(1, **day)  # another type of the same host
    made = service.book(details())
    assert made.booking.status == "accepted"
    assert made.cached_days_cleared == 2
    assert made.cache_problem == ""
    sandbox.control.advance(3)  # Cal.com answers an identical query from a cache of its own for 2 s
    after = service.availability(2, **day)
    gone = {slot.start for slot in before.slots} - {slot.start for slot in after.slots}
    assert gone == {made.booking.start}
    cancelled = service.cancel(made.booking.uid, reason="ill")
    assert cancelled.booking.status == "cancelled"
    assert cancelled.cached_days_cleared >= 1


def test_moving_a_booking_clears_the_old_and_the_new_day(service: CalcomService):
    made = service.book(details())
    for offset in (0, 1):
        day = NEXT_MONDAY + timedelta(days=offset)
        service.availability(2, first_day=day, last_day=day)
    moved = service.reschedule(made.booking.uid, at(14, day=1), time_zone="Europe/Berlin", reason="later")
    assert moved.booking.rescheduled_from_uid == made.booking.uid
    assert moved.cached_days_cleared == 2
    with pytest.raises(InvalidInput):
        service.reschedule(moved.booking.uid, "yesterday")


def test_pending_bookings_are_confirmed_and_declined(service: CalcomService):
    first, second = (service.book(details(hour, event_type_id=5)).booking for hour in (10, 11))
    assert service.confirm(first.uid).booking.status == "accepted"
    assert service.decline(second.uid, reason="full").booking.status == "rejected"
    assert service.get_booking(second.uid).status == "rejected"


def test_wrong_details_are_refused_before_anything_is_sent(service: CalcomService, sandbox: RunningSandbox):
    before = sandbox.control.counters()["total"]
    with pytest.raises(InvalidInput) as refused:
        service.book(details(name="", email="nobody", title="t" * 300))
    assert len(refused.value.problems) == 3
    for uid in ("../me", "", "a b"):
        with pytest.raises(InvalidInput):
            service.cancel(uid)
    assert sandbox.control.counters()["total"] == before


def test_a_taken_time_is_a_conflict(service: CalcomService):
    service.book(details())
    with pytest.raises(Conflict):
        service.book(details(email="dora@example.org"))


def test_event_types_are_listed_read_made_changed_and_deleted(service: CalcomService):
    made = service.create_event_type({"title": "Repair", "slug": "repair", "duration_minutes": 45})
    assert made.ignored == ()
    number = made.event_type.id
    assert number in {e.id for e in service.list_event_types()}
    changed = service.update_event_type(number, {"title": "Bike repair", "hidden": True})
    assert (changed.event_type.title, changed.event_type.hidden, changed.ignored) == ("Bike repair", True, ())
    with pytest.raises(InvalidInput, match="price"):
        service.update_event_type(number, {"price_minor": 500})
    service.delete_event_type(number)
    with pytest.raises(NotFound):
        service.get_event_type(number)


def test_event_types_of_a_team_are_listed_read_made_changed_and_deleted(service: CalcomService):
    before = {e.id for e in service.list_event_types(team_id=SUPPORT)}
    assert before >= {8, 9}
    fields = {"title": "Duo", "slug": "duo", "duration_minutes": 30}
    team = {"scheduling_type": "collective", "host_ids": (101, 102)}
    made = service.create_event_type({**fields, **team}, team_id=SUPPORT)
    assert (made.event_type.scheduling_type, made.event_type.host_ids, made.ignored) == ("collective", (101, 102), ())
    number = made.event_type.id
    assert service.get_event_type(number, team_id=SUPPORT).title == "Duo"
    changed = service.update_event_type(number, {"title": "Two of us"}, team_id=SUPPORT)
    assert (changed.event_type.title, changed.ignored) == ("Two of us", ())
    service.delete_event_type(number, team_id=SUPPORT)
    assert {e.id for e in service.list_event_types(team_id=SUPPORT)} == before


def test_while_the_circuit_is_open_nothing_is_sent_and_older_days_are_answered_with_their_age(
    service: CalcomService, sandbox: RunningSandbox, redis_client: redis.Redis
):
    span = {"first_day": NEXT_MONDAY, "last_day": NEXT_MONDAY}
    fresh = service.availability(2, **span)
    redis_client.delete(*redis_client.keys("calcom:v1:{calcom}:slots:day:*"))
    sandbox.control.add_fault("error", "GET /v2/slots*", status=500)
    for _ in range(5):
        assert service.availability(2, **span).stale
    asked = sandbox.control.counters()["total"]
    old = service.availability(2, **span)
    assert sandbox.control.counters()["total"] == asked, "the circuit is open"
    assert (old.slots, old.stale, old.as_of) == (fresh.slots, True, fresh.as_of)
    with pytest.raises(CircuitOpen) as refused:  # of these days there is nothing older
        service.availability(3, **span)
    assert 0 < refused.value.retry_after <= 60
    assert {f.check: f.finding for f in service.health()}["Circuits"] == "slots is open: Cal.com failed there"
    assert service.get_event_type(2).id == 2, "another group goes on"


def test_availability_survives_cal_com_being_away(service: CalcomService, sandbox: RunningSandbox, redis_client):
    span = {"first_day": NEXT_MONDAY, "last_day": NEXT_MONDAY + timedelta(days=1)}
    fresh = service.availability(2, **span)
    asked = sandbox.control.counters()["total"]
    assert service.availability(2, **span).slots == fresh.slots
    assert sandbox.control.counters()["total"] == asked, "the cache answered"
    redis_client.delete(*redis_client.keys("calcom:v1:{calcom}:slots:day:*"))
    sandbox.control.add_fault("error", "GET /v2/slots*", status=500)
    old = service.availability(2, **span)
    assert (old.slots, old.stale) == (fresh.slots, True)
    assert old.as_of is not None


def test_a_seated_booking_in_doubt_is_written_down_and_closed_by_the_next_sync(
    service: CalcomService, container: Container, sandbox: RunningSandbox
):
    sandbox.control.add_fault("reset_after", "POST /v2/bookings", count=1)
    with pytest.raises(OutcomeUnknown) as unknown:
        service.book(details(event_type_id=6), key="order-4711")
    assert unknown.value.key == "order-4711"
    sandbox.control.add_fault("reset_before", "POST /v2/bookings", count=1)
    with pytest.raises(OutcomeUnknown):
        service.book(details(13, event_type_id=8), key="order-4712")
    assert [o.key for o in container.bookings.in_doubt.still_open()] == ["order-4711", "order-4712"]
    now = utc_now()
    first = close_outcomes(container.calcom, container.bookings.in_doubt, now=now)
    assert (first.made, first.never_made, first.still_open) == (1, 0, 1)
    later = close_outcomes(container.calcom, container.bookings.in_doubt, now=now + timedelta(minutes=6))
    assert (later.made, later.never_made, later.still_open) == (0, 1, 0)
    assert len(container.calcom.page(BookingQuery()).bookings) == 1


def test_an_outcome_that_cannot_be_looked_for_stays_open(
    service: CalcomService, container: Container, sandbox: RunningSandbox
):
    sandbox.control.add_fault("reset_after", "POST /v2/bookings", count=1)
    with pytest.raises(OutcomeUnknown):
        service.book(details(event_type_id=6))
    sandbox.control.add_fault("error", "GET /v2/bookings*", status=500, count=1)
    report = close_outcomes(container.calcom, container.bookings.in_doubt, now=utc_now() + timedelta(hours=1))
    assert report.still_open == 0
    assert len(report.failures) == 1
    assert len(container.bookings.in_doubt.still_open()) == 1


# --- services ------------------------------------------------------------------------------------------------


def services_of(container: Container) -> list[str]:
    rows = [("Repair", "repair", 45), ("Check", "check", 15), ("Nonsense", "nonsense", 0)]
    insert = container.services.store.insert
    return [insert({"name": name, "slug": slug, "duration_minutes": minutes}) for name, slug, minutes in rows]


def test_one_service_or_many_are_synced_with_a_result_for_each(service: CalcomService, container: Container):
    repair, check, nonsense = services_of(container)
    one = service.sync_services([repair])
    assert {(r.service_id, r.kind, r.success) for r in one.results} == {(repair, "create", True)}
    assert [e.slug for e in service.list_event_types() if e.slug in ("repair", "check")] == ["repair"]
    many = {r.service_id: r for r in service.sync_services([check, nonsense]).results}
    assert many[check].success
    assert check in many
    assert nonsense not in many or not many[nonsense].success
    assert {"repair", "check"} <= {e.slug for e in service.list_event_types()}
    assert not [r for r in service.sync_services().results if r.service_id in (repair, check)], "nothing is left to do"


def test_where_changes_wait_for_approval_a_plan_is_kept_and_nothing_is_written(
    settings: Settings, sandbox: RunningSandbox, database: Database, redis_client: redis.Redis
):
    with ready_container(settings.model_copy(update={"apply": "plan"})) as container:
        services_of(container)
        report = CalcomService(container).sync_services()
        assert report.results == ()
        kept = container.services.plans.load(report.plan_id)
        assert kept is not None
        assert kept.counts["create"] >= 2
    wrote = [r for r in sandbox.control.requests(1000) if not r["endpoint"].startswith("GET ")]
    assert wrote == []


# --- what is told --------------------------------------------------------------------------------------------


def test_an_error_tracker_that_the_settings_name_hears_of_what_failed_for_good(
    settings: Settings, sandbox: RunningSandbox, database: Database, redis_client: redis.Redis
):
    heard = __name__.replace(".", "_")  # a module of our own, so that nothing else is imported by name
    tracker = ModuleType(heard)
    tracker.told = []  # type: ignore[attr-defined]  # what it heard
    tracker.hear = lambda error, context: tracker.told.append((type(error).__name__, context["operation"]))  # type: ignore[attr-defined]  # same
    sys.modules[heard] = tracker
    try:
        with CalcomService.open(settings.model_copy(update={"error_hook": f"{heard}:hear"})) as service:
            sandbox.control.add_fault("error", "GET /v2/bookings/*", status=500)
            with pytest.raises(TransientError):
                service.get_booking("nosuchbooking")
        assert tracker.told == [("TransientError", "Reading a booking")]
        wrong = settings.model_copy(update={"error_hook": f"{heard}:nobody"})
        with pytest.raises(ConfigurationError, match="CALCOM_ERROR_HOOK"), CalcomService.open(wrong):
            pass
    finally:
        del sys.modules[heard]


def test_waiting_for_the_rate_limit_can_be_asked_for(service: CalcomService):
    assert service.seconds_until_available() == 0


def test_every_request_leaves_a_row_that_names_nobody(service: CalcomService, settings: Settings, database: Database):
    with CalcomService.open(settings) as other:
        made = other.book(details())
        with pytest.raises(NotFound):
            other.get_booking("nosuchbooking")
        other.cancel(made.booking.uid, reason="ill")
    with database.transaction("Testing") as cursor:
        cursor.execute("SELECT operation, endpoint_group, method, status, outcome, attempt, lane FROM api_calls")
        rows = [row for row in cursor.fetchall() if row[6] == "interactive"]
    assert rows[:2] == [
        ("Booking", "bookings", "POST", 201, "ok", 1, "interactive"),
        ("Reading a booking", "bookings", "GET", 404, "NotFound", 1, "interactive"),
    ]


def test_health_names_what_is_wrong(service: CalcomService, sandbox: RunningSandbox):
    assert {f.check: f.verdict for f in service.health()} == {
        "PostgreSQL": "ok",
        "Redis": "ok",
        "Limiter": "ok",
        "Circuits": "ok",
        "Cal.com key": "ok",
    }
    sandbox.control.mutate("set_key", name="alice", gone=True)
    told = {f.check: f for f in service.health()}["Cal.com key"]
    assert told.verdict == "problem"
    assert "CALCOM_API_KEY" in told.finding
    assert sandbox.keys["alice"] not in told.finding


# --- the commands --------------------------------------------------------------------------------------------


@pytest.fixture
def run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], container: Container
) -> Callable[..., tuple[int, dict[str, Any]]]:
    """A command's exit code and its JSON."""
    for name, value in variables_of(settings).items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        told = capsys.readouterr()
        leaks.said(f"`{arguments[0]}`", told.out, told.err)
        return int(ended.value.code or 0), json.loads(told.out)

    return command


def test_a_booking_is_made_moved_and_cancelled_by_command(run: Callable[..., Any]):
    person = ["--name", "Carol", "--email", "carol@example.org", "--time-zone", "Europe/Berlin"]
    code, made = run("book", "--event-type", "2", "--start", at(10), *person, "--metadata", "order=42")
    assert (code, made["command"], made["status"], made["adopted"]) == (0, "book", "accepted", False)
    code, moved = run("reschedule", made["uid"], "--start", at(11), "--time-zone", "Europe/Berlin")
    assert (code, moved["rescheduled_from"]) == (0, made["uid"])
    code, gone = run("cancel", moved["uid"], "--reason", "ill")
    assert (code, gone["status"]) == (0, "cancelled")


def test_wrong_details_of_a_command_are_told_with_exit_code_2(run: Callable[..., Any]):
    code, told = run("book", "--event-type", "2", "--start", "tomorrow", "--name", " ", "--email", "nobody")
    assert code == 2
    assert told["error"]["kind"] == "InvalidInput"
    assert "start: is no time" in told["error"]["message"]
    assert "name: is missing" in told["error"]["message"]


def test_the_doctor_looks_at_everything(run: Callable[..., Any], sandbox: RunningSandbox):
    code, told = run("doctor")
    found = {f["check"]: (f["verdict"], f["finding"]) for f in told["findings"]}
    assert code == 0, found
    assert set(found) >= {"PostgreSQL", "Schema", "Redis", "Limiter", "Circuits", "Cal.com key", "Cal.com scope"}
    assert set(found) >= {"Event types version", "Slots version", "Bookings version", "Clock", "Rate limit"}
    assert found["Rate limit"][0] == "note", "100000 are granted, 10000 are used"
    sandbox.control.advance(3600)
    code, told = run("doctor")
    assert {f["check"]: f["verdict"] for f in told["findings"]}["Clock"] == "note"


def test_sync_bookings_closes_what_was_in_doubt(
    run: Callable[..., Any], service: CalcomService, sandbox: RunningSandbox, container: Container
):
    sandbox.control.add_fault("reset_after", "POST /v2/bookings", count=1)
    with pytest.raises(OutcomeUnknown):
        service.book(details(event_type_id=6))
    code, told = run("sync", "bookings")
    assert (code, told["results"]["bookings"]["outcomes"]["made"]) == (0, 1)
    assert container.bookings.in_doubt.still_open() == []


def test_the_example_of_the_readme_books_and_cancels(
    container: Container, settings: Settings, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
):
    readme = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    for name, value in variables_of(settings).items():
        monkeypatch.setenv(name, value)
    exec(compile(example, "README.md", "exec"), {})
    (booking,) = container.calcom.page(BookingQuery()).bookings
    assert (booking.status, booking.event_type_id) == ("cancelled", 2)
