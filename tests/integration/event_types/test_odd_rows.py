"""One row that cannot be read stops nothing but itself: lists of event types, teams, schedules, webhooks, slot days."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from calcom_pipeline.app.availability.fetching import Stores
from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.app.event_types.mirror import TeamChoice, look_for_drift, pull_event_types
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.webhooks.models import NewWebhook
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from tests.support.commands import command
from tests.support.planning import apply_now, plan_now
from tests.support.tables import fetch

PERSONAL, SLOTS = "GET /v2/event-types", "GET /v2/slots"
ODD: list[dict[str, Any]] = [
    {"price": 12.5},
    {"title": "a\0b"},
    {"lengthInMinutes": 10**12},
    {"hidden": None},
    {"users": [{"id": 2**63}]},
    {"seats": {"seatsPerTimeSlot": [[{}]]}},
]


@pytest.fixture
def container(in_environment: dict[str, str], sandbox: RunningSandbox) -> Iterator[Container]:
    with ready_container(load_settings()) as opened:
        yield opened
        sandbox.control.reset(account=True)


def pull(container: Container) -> Any:
    return pull_event_types(
        container.calcom, container.event_types.mirror, teams=container.event_types.teams, now=utc_now
    )


def ids(container: Container) -> list[int]:
    return [e.id for e in container.event_types.mirror.present()]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: next(iter(odd)))
def test_an_odd_event_type_is_put_away_and_stays_as_it_was(container: Container, sandbox: RunningSandbox, odd: Any):
    pull(container)
    before = container.event_types.mirror.present()
    victim = next(e.id for e in before if e.owner.kind == "user")
    sandbox.control.add_fault("malformed_row", PERSONAL, where={"id": victim}, set=odd)
    report = pull(container)
    assert (report.changes.written, report.missing, report.quarantined) == (0, 0, 1)
    assert container.event_types.mirror.present() == before
    assert look_for_drift(container.calcom, container.event_types.mirror, []).event_type_ids == ()
    (record,) = container.event_types.row_quarantine.open_records()
    assert (record.stream, record.key) == ("event_types", str(victim))
    assert report.notes == (f"a row of event_types cannot be read ({victim}): {record.reason}",)


def test_a_first_read_lands_all_the_others(container: Container, sandbox: RunningSandbox):
    listed = len(container.calcom.list_personal())
    sandbox.control.add_fault("malformed_row", PERSONAL, row=0, set={"price": 12.5})
    sandbox.control.add_fault("malformed_row", PERSONAL, row=1, set="nonsense")
    sandbox.control.add_fault("malformed_row", PERSONAL, row=2, set={"id": 2**63})
    report = pull(container)
    assert report.quarantined == 3
    assert sum(e.owner.kind == "user" for e in container.event_types.mirror.present()) == listed - 3


def test_an_event_type_that_is_listed_twice_counts_once(container: Container, sandbox: RunningSandbox):
    pull(container)
    sandbox.control.add_fault("repeated_row", PERSONAL, row=0)
    report = pull(container)
    assert (report.changes.written, report.repeated, report.quarantined) == (0, 1, 0)


def test_a_service_whose_event_type_cannot_be_read_waits_with_the_reason(container: Container, sandbox: RunningSandbox):
    number = int(container.services.store.insert({"name": "Odd", "slug": "odd-one", "duration_minutes": 30}))
    apply_now(container, plan_now(container, "test"))
    link = next(one for one in container.services.store.links() if one.service_id == str(number))
    sandbox.control.add_fault("malformed_row", PERSONAL, where={"id": link.event_type_id}, set={"price": 12.5})
    sandbox.control.add_fault("malformed_row", "GET /v2/event-types/*", set={"price": 12.5})
    plan = plan_now(container, "test")
    assert [(a.kind, a.service_id) for a in plan.actions] == [("wait", str(number))]
    assert "is listed and cannot be read: price" in plan.actions[0].reason
    assert apply_now(container, plan, approved=True).counts.get("done", 0) == 0
    with container.database.transaction("Testing") as cursor:
        cursor.execute("DELETE FROM services")
    assert [a.kind for a in plan_now(container, "test").actions] == ["wait"], (
        "nor is it parked when its service is gone"
    )


def test_a_team_whose_row_is_odd_keeps_its_event_types(container: Container, sandbox: RunningSandbox):
    pull(container)
    before = ids(container)
    team = next(e.owner.id for e in container.event_types.mirror.present() if e.owner.kind == "team")
    sandbox.control.add_fault("malformed_row", "GET /v2/teams", where={"id": team}, set={"name": 7})
    report = pull(container)
    assert (report.changes.gone, report.missing, report.quarantined) == (0, 0, 1)
    assert ids(container) == before
    assert TeamChoice((team,)).of(container.calcom.teams()) == [], (
        "it is there, so its name in the settings is no error"
    )


def test_a_schedule_that_is_odd_stops_the_event_types_that_stand_on_it(container: Container, sandbox: RunningSandbox):
    pull(container)
    before = container.event_types.mirror.present()
    sandbox.control.add_fault("malformed_row", "GET /v2/schedules", row=0, set={"timeZone": None})
    with ready_container(load_settings()) as another:  # a client remembers schedules
        report = pull(another)
    assert (report.changes.written, report.missing) == (0, 0)
    assert container.event_types.mirror.present() == before
    assert "schedules" in {r.stream for r in container.event_types.row_quarantine.open_records()}
    sandbox.control.clear_faults()
    with ready_container(load_settings()) as another:
        pull(another)
    assert container.event_types.row_quarantine.open_records() == []


def test_webhooks_are_listed_without_the_odd_one(container: Container, sandbox: RunningSandbox):
    hook = NewWebhook("https://a.example/hook", ("BOOKING_CREATED",), "secret-of-a-test")
    for name in "ab":
        container.calcom.create_webhook(NewWebhook(hook.url + name, hook.triggers, hook.secret))
    sandbox.control.add_fault("malformed_row", "GET /v2/webhooks", row=0, set={"triggers": "all"})
    sandbox.control.add_fault("repeated_row", "GET /v2/webhooks", row=1)
    found = container.calcom.list_webhooks()
    assert (len(found), len(found.unreadable), found.repeated, found.shown) == (1, 1, 1, 3)


class TestSlots:
    def test_an_odd_day_is_put_away_and_stays_as_it_was(
        self, container: Container, sandbox: RunningSandbox, environment: dict[str, str]
    ):
        assert command("sync", "all", environment=environment).returncode == exit_codes.OK
        event_type = container.event_types.mirror.bookable()[0]
        fetch(container.database, "UPDATE slots SET fetched_at = fetched_at - interval '1 hour' RETURNING 1")
        stored = "SELECT event_type_id, day, starts FROM slots ORDER BY 1, 2, duration_minutes"
        before = fetch(container.database, stored)
        sandbox.control.add_fault("malformed_row", SLOTS, row=0, set={"start": "soon"}, count=1)
        done = command("sync", "slots", "--json", environment=environment)
        assert done.returncode == exit_codes.OK
        told = json.loads(done.stdout)["results"]["slots"]
        assert told["quarantined"] > 0
        assert not told["failures"]
        assert fetch(container.database, stored) == before
        records = container.event_types.row_quarantine.open_records()
        assert {r.stream for r in records} == {"slots"}
        assert all((r.key or "").startswith(f"{event_type.id}/") for r in records)

        listed = command("quarantine", "list", "--json", environment=environment)
        shown = json.loads(listed.stdout)["records"]
        assert {(r["stream"], r["uid"]) for r in shown} == {(r.stream, r.key) for r in records}
        replayed = command("quarantine", "replay", "--json", environment=environment)
        assert replayed.returncode == exit_codes.OK
        assert json.loads(replayed.stdout)["rows_still_unreadable"] == 0
        assert container.event_types.row_quarantine.open_records() == []

    def test_who_asks_meanwhile_gets_the_older_day_or_is_told_that_it_is_unread(
        self, container: Container, sandbox: RunningSandbox
    ):
        pull(container)
        event_type = next(e for e in container.event_types.mirror.bookable() if not e.seats_per_slot)
        next_month = (
            "date_trunc('month', current_date + interval '1 month')::date"  # fetched whole, this week its first
        )
        first = fetch(container.database, f"SELECT {next_month}, {next_month} + 6")[0]
        stores = Stores(container.event_types.mirror, container.availability.mirror)
        free_times = container.availability.free_times(container.calcom, lambda: stores)

        def ask() -> Any:
            return free_times.free_slots(Wanted(event_type.id, *first))

        sandbox.control.add_fault("malformed_row", SLOTS, row=0, set={"start": "soon"})
        blind = ask()
        assert blind.unread
        assert not blind.stale
        sandbox.control.clear_faults()
        container.redis.flushdb()
        whole = ask()
        assert (whole.unread, whole.stale) == ((), False)
        container.redis.flushdb()
        sandbox.control.add_fault("malformed_row", SLOTS, row=0, set={"start": "soon"})
        older = ask()
        assert (older.slots, older.unread, older.stale) == (whole.slots, (), True)


def test_replay_tells_what_is_still_odd_and_settles_what_cal_com_mended(
    container: Container, sandbox: RunningSandbox, environment: dict[str, str]
):
    sandbox.control.add_fault("malformed_row", PERSONAL, row=0, set={"price": 12.5})
    sandbox.control.add_fault("malformed_row", PERSONAL, row=1, set="nonsense")
    pull(container)
    done = command("quarantine", "replay", environment=environment)
    assert done.returncode == exit_codes.PARTIAL
    assert "Rows of other lists: 2 before, 2 still unreadable" in done.stdout
    sandbox.control.clear_faults()
    done = command("quarantine", "replay", environment=environment)
    assert done.returncode == exit_codes.OK
    assert "Rows of other lists: 2 before, 0 still unreadable" in done.stdout
    assert fetch(container.database, "SELECT count(*), count(resolved_at) FROM quarantine") == [(2, 2)]
    assert "The quarantine is empty." in command("quarantine", "list", environment=environment).stdout
    assert pull(container).quarantined == 0


@pytest.mark.parametrize(("zone", "slots"), [("europe/berlin", True), ("Mars/Olympus", False)])
def test_a_zone_in_another_spelling_is_that_zone_and_an_unknown_one_stops_its_own_types_alone(
    container: Container, sandbox: RunningSandbox, environment: dict[str, str], zone: str, slots: bool
):
    pull(container)
    sandbox.control.add_fault("time_zone", "GET /v2/schedules", text=zone)
    done = command("sync", "event-types", environment=environment)
    assert done.returncode == exit_codes.OK
    stored = {e.schedule_zone for e in container.event_types.mirror.present() if e.owner.kind == "user"}
    assert ("Europe/Berlin" in stored) == slots
    assert (zone in stored) != slots
    done = command("sync", "slots", "--json", environment=environment)
    told = json.loads(done.stdout)["results"]["slots"]
    assert done.returncode == (exit_codes.OK if slots else exit_codes.PARTIAL)
    stopped = {e.id for e in container.event_types.mirror.bookable() if e.schedule_zone == zone}
    assert {int(number) for number in told["failures"]} == stopped
    assert all("time zone 'Mars/Olympus' is not in the rules" in why for why in told["failures"].values())
    assert told["queries"] > 0, "the others are read"
    findings = json.loads(command("doctor", "--json", environment=environment).stdout)["findings"]
    rules = next(f["finding"] for f in findings if f["check"] == "Time zone rules")
    assert ("has no zone 'Mars/Olympus': no slots are read there" in rules) != slots
