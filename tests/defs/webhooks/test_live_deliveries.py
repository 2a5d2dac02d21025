"""Webhooks live: `up` with its sandbox and daemon, alone on this machine; bookings and edits arrive by themselves."""

import os
import socket
import statistics
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from calcom_pipeline.app.availability.lookup import Availability
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import Control
from calcom_pipeline.settings import load_settings
from tests.support.commands import CHECKOUT
from tests.support.tables import fetch
from tests.support.up import Up, wait_for

pytestmark = [pytest.mark.proof, pytest.mark.timeout(1800)]
TIMES = 30
PAUSE_SECONDS = 5.0  # a booking costs five calls, looks at free times included, and the sandbox grants 120 a minute
MIRROR_SECONDS, CACHE_SECONDS, EDIT_SECONDS = 2.0, 1.0, 10.0
#: Some twelve calls follow an edit, its run's included: more of them than the limit of 120 a minute has room for wait.
ROOM_SECONDS = 8
LONGEST_WAIT_SECONDS = 120.0


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    """`up` where nothing is set up: servers, sandbox, Dagster's home and all."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text((CHECKOUT / "dagster_home" / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("CALCOM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CALCOM_ENV_FILE", "")
    monkeypatch.setenv("CALCOM_SANDBOX_CONTROL", "true")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = Up(port).started()
    yield running
    running.stop()


@pytest.fixture
def container(alone: Up) -> Iterator[Container]:
    """The same account, once its mirrors are filled and nothing of that is under way."""
    with ready_container(load_settings(dict(os.environ))) as opened:
        wait_for(lambda: "receiver" in alone.pids(), LONGEST_WAIT_SECONDS)
        wait_for(lambda: opened.reports.overview.counts().bookings, LONGEST_WAIT_SECONDS)
        wait_for(opened.event_types.mirror.bookable, LONGEST_WAIT_SECONDS)
        scopes = "SELECT count(*) FROM webhook_scopes WHERE state = 'right'"
        wait_for(lambda: fetch(opened.database, scopes)[0][0], LONGEST_WAIT_SECONDS)
        wait_for(lambda: not opened.availability.outbox.backlog().pending, LONGEST_WAIT_SECONDS)
        yield opened


def told(what: str, seconds: list[float]) -> None:
    each = ", ".join(f"{s:.2f}" for s in sorted(seconds))
    median, longest, load = statistics.median(seconds), max(seconds), os.getloadavg()[0]
    print(
        f"\n{what}: median {median:.2f} s, longest {longest:.2f} s, load {load:.1f} on {os.cpu_count()} cores ({each})"
    )


def looked_up(service: CalcomService, event_type_id: int) -> Availability:
    today = utc_now().date()
    first, last = today + timedelta(days=3), today + timedelta(days=16)
    return service.availability(event_type_id, first_day=first, last_day=last)


def cached(service: CalcomService, event_type_id: int) -> Availability:
    """The answer once it comes from the cache: what the booking before has changed may clear its days once more."""
    found = [looked_up(service, event_type_id)]

    def is_kept() -> bool:
        found.append(looked_up(service, event_type_id))
        return found[-1].as_of == found[-2].as_of

    wait_for(is_kept, LONGEST_WAIT_SECONDS)
    return found[-1]


def booked_there(container: Container, event_type_id: int, start: str) -> str:
    """By a visitor of Cal.com's own page."""
    attendee = {"name": "Jo", "email": "jo@example.org", "timeZone": "UTC"}
    made = requests.post(
        f"{container.endpoints.base_url}/bookings",
        json={"eventTypeId": event_type_id, "start": start, "attendee": attendee},
        headers={"cal-api-version": "2024-08-13"},
        timeout=20,
    )
    assert made.status_code == requests.codes.created, made.text
    return made.json()["data"]["uid"]


def test_a_booking_is_in_the_mirror_and_its_days_are_out_of_the_cache_within_a_second_or_two(container: Container):
    service = CalcomService(container)
    found = container.event_types.mirror.bookable()
    (mine, *_) = [e for e in found if e.owner.kind == "user" and not (e.recurring or e.seats_per_slot or e.hidden)]
    to_mirror, to_cache = list[float](), list[float]()
    for number in range(TIMES):
        free = cached(service, mine.id)
        start = free.slots[len(free.slots) * (number + 1) // (TIMES + 2)].start
        began = time.monotonic()
        uid = booked_there(container, mine.id, start.isoformat().replace("+00:00", "Z"))
        left = lambda at=start: at not in {s.start for s in looked_up(service, mine.id).slots}  # noqa: E731
        stored = lambda at=uid: fetch(container.database, f"SELECT 1 FROM bookings WHERE uid = '{at}'")  # noqa: E731
        seen: dict[str, float] = {}
        while len(seen) < 2:
            for name, look in (("cache", left), ("mirror", stored)):
                if name not in seen and look():
                    seen[name] = time.monotonic() - began
            assert time.monotonic() - began < LONGEST_WAIT_SECONDS
            time.sleep(0.02)
        to_mirror.append(seen["mirror"])
        to_cache.append(seen["cache"])
        time.sleep(PAUSE_SECONDS)
    told("from a booking at Cal.com to the mirror", to_mirror)
    told("from a booking at Cal.com to an answer without it", to_cache)
    assert max(to_mirror) < MIRROR_SECONDS
    assert max(to_cache) < CACHE_SECONDS


def test_an_edit_of_a_service_reaches_cal_com_within_seconds(alone: Up, container: Container):
    store = container.services.store
    ids = [
        store.insert({"name": f"Service {n}", "slug": f"live-{n}", "duration_minutes": 30, "description": "x"})
        for n in range(3)
    ]

    with container.database.transaction("Testing") as cursor:  # somebody else's edit, so that the feed tells of them
        cursor.execute("UPDATE services SET description = 'y'")

    def linked() -> dict[str, int]:
        return {x.service_id: x.event_type_id for x in store.links() if x.event_type_id and x.service_id in ids}

    wait_for(lambda: len(linked()) == len(ids), LONGEST_WAIT_SECONDS)
    control, taken = Control(container.endpoints.base_url), list[float]()
    first = writes(control)
    for number in range(TIMES):
        service_id, name = ids[number % len(ids)], f"Renamed {number}"
        before, began = writes(control), time.monotonic()
        with container.database.transaction("Testing") as cursor:
            cursor.execute("UPDATE services SET name = %s WHERE id::text = %s", (name, service_id))
        wait_for(lambda b=before: writes(control) > b, LONGEST_WAIT_SECONDS)
        taken.append(time.monotonic() - began)
        time.sleep(ROOM_SECONDS + number % 4)  # not in step with the sensors
    told("from an edit of a service to Cal.com", taken)
    assert max(taken) < EDIT_SECONDS
    position = "SELECT xid::text, id FROM feed_readers WHERE reader = 'service_changes'"
    last = "SELECT change.xid::text, id FROM service_changes change ORDER BY change.xid DESC, id DESC LIMIT 1"
    newest = fetch(container.database, last)
    wait_for(lambda: fetch(container.database, position) == newest, LONGEST_WAIT_SECONDS)
    wait_for(lambda: not under_way(alone), LONGEST_WAIT_SECONDS)
    assert writes(control) == first + TIMES, "Dagster's runs found done what was done"


def under_way(alone: Up) -> list[str]:
    """Runs of services that have not ended, as the UI shows them."""
    query = '{ runsOrError(filter: {pipelineName: "services_sync"}) { ... on Runs { results { status } } } }'
    answer = requests.post(f"http://127.0.0.1:{alone.port}/graphql", json={"query": query}, timeout=20).json()
    found = [each["status"] for each in answer["data"]["runsOrError"]["results"]]
    assert found, "a run for what was edited"
    return [status for status in found if status not in ("SUCCESS", "FAILURE", "CANCELED")]


def writes(control: Control) -> int:
    """Event types that were changed there. The control surface costs no call."""
    endpoints = control.counters()["endpoints"]
    return sum(sum(each.values()) for name, each in endpoints.items() if name.startswith("PATCH /v2/event-types"))
