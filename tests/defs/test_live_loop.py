"""The loop live: the UI's processes and the daemon run, somebody changes something, and it arrives by itself."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from calcom_pipeline import local
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from calcom_pipeline.wiring import Pipeline, open_pipeline

pytestmark = [pytest.mark.proof, pytest.mark.timeout(900)]
CHANGES = 12
MEDIAN_SECONDS, LONGEST_SECONDS = 20.0, 40.0
PORT = 3977


@pytest.fixture
def running(
    in_environment: dict[str, str], tmp_path: Path, servers: local.Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """`calcom-pipeline up` beside an open pipeline on the same account, with a Dagster database of its own."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text((Path(__file__).parents[2] / "dagster_home" / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("CALCOM_DATA_DIR", str(tmp_path / "data"))
    command = [sys.executable, "-m", "calcom_pipeline.cli", "up", "--port", str(PORT)]
    with open_pipeline(load_settings()) as pipeline, subprocess.Popen(command, env=dict(os.environ)) as up:
        assert pipeline.store
        wait_for(answers, 90)
        time.sleep(10)  # the daemon's first look at everything
        yield pipeline
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


def test_an_update_of_a_service_reaches_cal_com_by_itself(running: Pipeline):
    ids = [
        running.service_store.insert({"name": f"Service {n}", "slug": f"live-{n}", "duration_minutes": 30})
        for n in range(3)
    ]
    with running.store.transaction("Testing") as cursor:  # somebody else's edit, so that the feed tells of them
        cursor.execute("UPDATE services SET description = 'x'")
    wait_for(lambda: len([x for x in running.service_store.links() if x.event_type_id]) == len(ids), LONGEST_SECONDS)
    taken: list[float] = []
    for change in range(CHANGES):
        service_id, name = ids[change % len(ids)], f"Renamed {change}"
        link = next(x for x in running.service_store.links() if x.service_id == service_id)
        with running.store.transaction("Testing") as cursor:
            cursor.execute("UPDATE services SET name = %s WHERE id::text = %s", (name, service_id))
        there = lambda n=name, i=link.event_type_id: running.calcom.get_event_type(i or 0).title == n  # noqa: E731
        taken.append(wait_for(there, 2 * LONGEST_SECONDS))
        time.sleep(change % 4)  # not in step with the sensors
    report("an UPDATE on a service reached Cal.com", taken)
    assert statistics.median(taken) < MEDIAN_SECONDS
    assert max(taken) < LONGEST_SECONDS


def test_a_booking_reaches_the_mirror_by_itself(running: Pipeline, sandbox: RunningSandbox):
    event_type = next(e for e in running.calcom.list_personal() if not e.recurring and not e.seats_per_slot)
    taken: list[float] = []
    for _ in range(4):
        query = {"eventTypeId": event_type.id, "start": "2027-01-04", "end": "2027-01-29"}
        slots = requests.get(
            f"{sandbox.url}/slots", params=query, headers={"cal-api-version": "2024-09-04"}, timeout=10
        ).json()["data"]
        start = next(iter(slots.values()))[0]["start"]
        attendee = {"name": "Jo", "email": "jo@example.org", "timeZone": "UTC"}
        body = {"eventTypeId": event_type.id, "start": start, "attendee": attendee}
        made = requests.post(
            f"{sandbox.url}/bookings", json=body, headers={"cal-api-version": "2024-08-13"}, timeout=10
        )
        uid = made.json()["data"]["uid"]
        taken.append(wait_for(lambda u=uid: mirrored(running, u), 2 * LONGEST_SECONDS))
    report("a booking reached the mirror", taken)
    assert max(taken) < LONGEST_SECONDS


def mirrored(pipeline: Pipeline, uid: str) -> bool:
    with pipeline.store.transaction("Testing") as cursor:
        cursor.execute("SELECT 1 FROM bookings WHERE uid = %s", (uid,))
        return cursor.fetchone() is not None
