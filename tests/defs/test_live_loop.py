"""The loop live: the UI's processes and the daemon run, somebody changes something, and it arrives by itself."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
import requests

from calcom_pipeline import local
from calcom_pipeline.app.availability.refresh import canonical_queries, refresh_slots
from calcom_pipeline.app.event_types.mirror import pull_event_types
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.models import SlotDay, SlotKey
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from tests.support.own_dagster import own_dagster_database

pytestmark = [pytest.mark.proof, pytest.mark.timeout(900)]
CHANGES = 12
MEDIAN_SECONDS, LONGEST_SECONDS = 20.0, 40.0
PORT = 3977
HORIZON_DAYS = 28
#: As `make up` has them on its own sandbox; the tests' account is named by a key like a real one.
LOOKS = {"CALCOM_BOOKING_LOOK_SECONDS": "10", "CALCOM_EVENT_TYPE_LOOK_SECONDS": "60"}


@pytest.fixture
def dagster_url(servers: local.Servers, schema_name: str) -> Iterator[str]:
    with own_dagster_database(servers, f"{schema_name}_dagster") as url:
        yield url


@pytest.fixture
def running(
    in_environment: dict[str, str], tmp_path: Path, dagster_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Container]:
    """`calcom-pipeline up` beside an open pipeline on the same account, with a Dagster database of its own."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text((Path(__file__).parents[2] / "dagster_home" / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("DAGSTER_PG_URL", dagster_url)
    monkeypatch.setenv("CALCOM_DATA_DIR", str(tmp_path / "data"))
    for name, value in LOOKS.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "calcom_pipeline.cli", "up", "--port", str(PORT)]
    with ready_container(load_settings()) as container, subprocess.Popen(command, env=dict(os.environ)) as up:
        assert container.require_schema()
        wait_for(answers, 90)
        time.sleep(10)  # the daemon's first look at everything
        yield container
        up.send_signal(signal.SIGTERM)
        assert up.wait(40) == 0


def answers() -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{PORT}/server_info", timeout=2).ok
    except requests.RequestException:
        return False


def wait_for(look: Callable[[], object], seconds: float) -> float:
    """Seconds until it is so."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < seconds, "did not happen in time"
        time.sleep(0.1)
    return time.monotonic() - began


def report(what: str, seconds: list[float]) -> None:
    told = ", ".join(f"{s:.1f}" for s in seconds)
    median, longest = statistics.median(seconds), max(seconds)
    print(f"\n{what}: median {median:.1f} s, longest {longest:.1f} s on {os.cpu_count()} cores ({told})")


def test_an_update_of_a_service_reaches_cal_com_by_itself(running: Container):
    ids = [
        running.services.store.insert({"name": f"Service {n}", "slug": f"live-{n}", "duration_minutes": 30})
        for n in range(3)
    ]
    with running.database.transaction("Testing") as cursor:  # somebody else's edit, so that the feed tells of them
        cursor.execute("UPDATE services SET description = 'x'")
    wait_for(lambda: len([x for x in running.services.store.links() if x.event_type_id]) == len(ids), LONGEST_SECONDS)
    taken: list[float] = []
    for change in range(CHANGES):
        service_id, name = ids[change % len(ids)], f"Renamed {change}"
        link = next(x for x in running.services.store.links() if x.service_id == service_id)
        with running.database.transaction("Testing") as cursor:
            cursor.execute("UPDATE services SET name = %s WHERE id::text = %s", (name, service_id))
        there = lambda n=name, i=link.event_type_id: running.calcom.get_event_type(i or 0).title == n  # noqa: E731
        taken.append(wait_for(there, 2 * LONGEST_SECONDS))
        time.sleep(change % 4)  # not in step with the sensors
    report("an UPDATE on a service reached Cal.com", taken)
    assert causes("services_sync", f"services changed: {ids[0]}") >= 1
    assert statistics.median(taken) < MEDIAN_SECONDS
    assert max(taken) < LONGEST_SECONDS


def test_an_edit_at_cal_com_reaches_its_service_by_itself(running: Container, sandbox: RunningSandbox):
    service_id = running.services.store.insert({"name": "Edited there", "slug": "edited-there", "duration_minutes": 30})
    with running.database.transaction("Testing") as cursor:
        cursor.execute("UPDATE services SET description = 'x'")
    link = lambda: next((x for x in running.services.store.links() if x.service_id == service_id), None)  # noqa: E731
    wait_for(lambda: (found := link()) and found.event_type_id, 2 * LONGEST_SECONDS)
    event_type_id = getattr(link(), "event_type_id", None)
    wait_for(lambda: event_type_id in {e.id for e in running.event_types.mirror.present()}, 2 * LONGEST_SECONDS)
    taken: list[float] = []
    for change in range(4):
        title = f"Theirs {change}"
        sandbox.control.mutate("update_event_type", id=event_type_id, set={"title": title})
        taken.append(wait_for(lambda t=title: named(running, service_id) == t, 3 * LONGEST_SECONDS))
        time.sleep(change)
    report("an edit at Cal.com reached its service", taken)
    assert causes("event_types_sync", "event types differ from the mirror") >= 1  # a schedule may bring one as well


def named(container: Container, service_id: str) -> str | None:
    (found,) = container.services.store.services([service_id])
    return found.name


def test_a_booking_reaches_the_mirror_and_the_days_it_closes_leave_the_cache_by_themselves(
    running: Container, sandbox: RunningSandbox
):
    pull_event_types(running.calcom, running.event_types.mirror, teams=running.event_types.teams, now=utc_now)
    wait_for(lambda: mirrored_bookings(running) >= 60, 3 * LONGEST_SECONDS)  # the first read, and its own facts
    wait_for(lambda: not running.availability.outbox.backlog().pending, 3 * LONGEST_SECONDS)
    to_mirror: list[float] = []
    to_cache: list[float] = []
    for _ in range(4):
        refresh_slots(
            running.calcom,
            running.event_types.mirror,
            running.availability.mirror,
            running.availability.cache,
            now=utc_now(),
            options=replace(running.availability.options, fresh_for=timedelta(0)),
        )
        event_type, start = bookable(running)
        hosts = set(event_type.host_ids)
        concerned = [e for e in running.event_types.mirror.bookable() if hosts & set(e.host_ids)]
        keys = [key for e in concerned for key in keys_of(e, start)]
        cached = running.availability.cache.get(keys)
        assert {key.event_type_id for key in cached} == {e.id for e in concerned}
        assert len(concerned) > 1, "several event types share the host"
        uid, booked_at = book(sandbox, event_type, start), utc_now()
        began = time.monotonic()
        wait_for(lambda u=uid: mirrored(running, u), 2 * LONGEST_SECONDS)
        to_mirror.append(time.monotonic() - began)
        left = lambda c=cached, at=booked_at: not stale_of(running, c, at)  # noqa: E731
        wait_for(left, 2 * LONGEST_SECONDS)
        to_cache.append(time.monotonic() - began)
        assert to_cache[-1] < running.settings.slot_ttl_seconds / 2, "it left before its lifetime was over"
    report("a booking reached the mirror", to_mirror)
    report(f"the days it closes left the cache, of {len(concerned)} event types", to_cache)
    assert max(to_mirror) < LONGEST_SECONDS
    assert causes("bookings_mirror", "a booking changed at") >= 1
    assert causes("cache_invalidation", "in the outbox") >= 1


def causes(job: str, words: str) -> int:
    """Successful runs of a job on this instance whose tag names such a cause."""
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS]))
    return sum(words in run.tags.get("calcom/cause", "") for run in runs)


def bookable(container: Container) -> tuple[EventType, datetime]:
    """An event type that somebody can book alone, and a free start some days ahead."""
    for event_type in container.event_types.mirror.bookable():
        if event_type.owner.kind != "user" or event_type.recurring or event_type.seats_per_slot:
            continue
        (query, *_) = canonical_queries(event_type, now=utc_now(), horizon_days=HORIZON_DAYS)
        for day in container.availability.mirror.days(query)[4:]:
            if day.slots:
                return event_type, day.slots[len(day.slots) // 2].start
    raise AssertionError("the account has nothing that can be booked")


def book(sandbox: RunningSandbox, event_type: EventType, start: datetime) -> str:
    attendee = {"name": "Jo", "email": "jo@example.org", "timeZone": "UTC"}
    body = {"eventTypeId": event_type.id, "start": start.isoformat().replace("+00:00", "Z"), "attendee": attendee}
    made = requests.post(f"{sandbox.url}/bookings", json=body, headers={"cal-api-version": "2024-08-13"}, timeout=10)
    assert made.status_code == requests.codes.created, made.text
    return made.json()["data"]["uid"]


def keys_of(event_type: EventType, start: datetime) -> list[SlotKey]:
    """The cached days of an event type, one per length, in which an instant falls."""
    queries = canonical_queries(event_type, now=utc_now(), horizon_days=HORIZON_DAYS)
    return [
        SlotKey(event_type.id, q.duration_minutes, q.zone, start.astimezone(ZoneInfo(q.zone)).date()) for q in queries
    ]


def stale_of(container: Container, cached: Mapping[SlotKey, SlotDay], booked_at: datetime) -> list[SlotKey]:
    """Of these days, those that are still served as they were before the booking."""
    now_there = container.availability.cache.get(list(cached))
    return [key for key, day in now_there.items() if day.fetched_at < booked_at]


def mirrored(container: Container, uid: str) -> bool:
    with container.require_schema().transaction("Testing") as cursor:
        cursor.execute("SELECT 1 FROM bookings WHERE uid = %s", (uid,))
        return cursor.fetchone() is not None


def mirrored_bookings(container: Container) -> int:
    return container.reports.overview.counts().bookings
