"""The secret is rotated by command at a `serve` that is told by a signal, while bookings come in all the time."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.clock import utc_now
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.web.webhooks import PATH
from tests.support.commands import command
from tests.support.deliveries import delivery_body, post, signature
from tests.support.serving import serving
from tests.support.tables import fetch
from tests.support.waiting import until

#: As one process writes it, and as several do.
NOT_RENEWED = re.compile("webhook[ _]secrets[ _]not[ _]renewed")
OLD, NEW = "the-secret-so-far", "the-secret-from-now-on"


@contextmanager
def bookings_coming_in(sandbox: RunningSandbox, database: Database) -> Iterator[list[str]]:
    """By visitors of Cal.com's own pages, one after the other, as long as the block; their uids."""
    first = utc_now().date() + timedelta(days=2)
    bookable = fetch(database, "SELECT id FROM event_types WHERE NOT recurring ORDER BY id")
    versioned = {"cal-api-version": "2024-09-04"}
    days: dict[str, list[dict[str, str]]] = {}
    for (event_type_id,) in bookable:
        window = {"eventTypeId": event_type_id, "start": f"{first}", "end": f"{first + timedelta(days=60)}"}
        days = requests.get(f"{sandbox.url}/slots", window, headers=versioned, timeout=20).json().get("data", {})
        if days:
            break
    else:
        raise AssertionError("nothing can be booked")
    starts = [slot["start"] for slots in days.values() for slot in slots[::2]]
    booked, enough = list[str](), threading.Event()

    def book_on() -> None:
        visitor = requests.Session()
        visitor.trust_env = False  # a command in this process exchanges its environment meanwhile
        attendee = {"name": "Jo", "email": "jo@example.org", "timeZone": "UTC"}
        for start in starts:
            if enough.is_set():
                return
            body = {"eventTypeId": event_type_id, "start": start, "attendee": attendee}
            headers = {"cal-api-version": "2024-08-13"}
            made = visitor.post(f"{sandbox.url}/bookings", json=body, headers=headers, timeout=30)
            if made.status_code == requests.codes.created:
                booked.append(made.json()["data"]["uid"])

    busy = threading.Thread(target=book_on)
    busy.start()
    try:
        yield booked
    finally:
        enough.set()
        busy.join()


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.proof)])
def test_no_delivery_is_lost_while_the_secret_is_rotated_under_load_and_wrong_settings_change_no_secret(
    environment: dict[str, str], database: Database, sandbox: RunningSandbox, tmp_path: Path, workers: str
):
    file = tmp_path / ".env"
    file.write_text(f"CALCOM_WEBHOOK_SECRET={OLD}\n")
    here = environment | {"CALCOM_ENV_FILE": str(file), "CALCOM_WEBHOOK_SPOOL_FOLDER": str(tmp_path / "spool")}
    with serving(here, "--workers", workers) as (process, port):
        address = f"http://127.0.0.1:{port}{PATH}"
        here |= {"CALCOM_WEBHOOK_URL": address}
        assert command("sync", "event-types", environment=here).returncode == 0
        assert command("webhooks", "ensure", "--apply", environment=here).returncode == 0
        with bookings_coming_in(sandbox, database) as booked:
            until(lambda: len(booked) >= 5)
            file.write_text(f"CALCOM_WEBHOOK_SECRET={NEW}\nCALCOM_WEBHOOK_PREVIOUS_SECRET={OLD}\n")
            process.send_signal(signal.SIGHUP)
            until(lambda: command("webhooks", "rotate", "--apply", environment=here).returncode == 0)
            so_far = len(booked)
            until(lambda: len(booked) >= so_far + 5)
        file.write_text(f"CALCOM_WEBHOOK_SECRET={NEW}\n")
        process.send_signal(signal.SIGHUP)
        raw = delivery_body("u1")
        until(lambda: post(address, raw, signature(raw, OLD.encode())) == 401)
        assert post(address, raw, signature(raw, NEW.encode())) == 200
        file.write_text("CALCOM_WEBHOOK_SECRET=not-to-be-heard-of\nCALCOM_NO_SUCH_SETTING=1\n")
        process.send_signal(signal.SIGHUP)
        with process:  # closes what is read here
            assert process.stderr is not None
            said = list[str]()
            for line in process.stderr:
                said.append(line)
                if NOT_RENEWED.search(line):
                    break
            assert post(address, raw, signature(raw, NEW.encode())) == 200
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            said += process.stderr
    assert NOT_RENEWED.search("".join(said))
    assert "not-to-be-heard-of" not in "".join(said)
    answers = [delivery["outcome"] for delivery in sandbox.control.deliveries()]
    assert set(answers) == {"200"}
    assert len(answers) >= len(booked)
    kept = {uid for (uid,) in fetch(database, "SELECT uid FROM webhook_inbox")}
    assert set(booked) <= kept
