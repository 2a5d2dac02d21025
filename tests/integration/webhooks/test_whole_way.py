"""From a change at Cal.com to mirror and cache, through the receiver as it is configured; sensor and command."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from starlette.applications import Starlette

from calcom_pipeline.adapters.delivery_spool import FileSpool
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.webhooks.inbox import webhook_inbox
from calcom_pipeline.domain.bookings.listing import BookingQuery
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.webhooks.models import NewWebhook
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from calcom_pipeline.web.following import receiving
from calcom_pipeline.web.webhooks import PATH, WebhookOptions, webhook_routes
from tests.support.commands import command
from tests.support.deliveries import SECRET, delivery_body, post, served, signature
from tests.support.tables import fetch
from tests.support.waiting import until


@pytest.fixture
def variables(in_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    more = {"CALCOM_WEBHOOK_SECRET": SECRET.decode(), "CALCOM_WEBHOOK_SPOOL_FOLDER": str(tmp_path / "spool")}
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    return in_environment | more


@pytest.fixture
def container(variables: dict[str, str]) -> Iterator[Container]:
    with ready_container(load_settings()) as opened:
        yield opened


def coming(container: Container) -> list[Booking]:
    """Accepted bookings of the key's own user that are still to come."""
    after = BookingQuery(sort="start", after_start=utc_now(), take=100)
    return [b for b in container.calcom.page(after).bookings if b.status == "accepted"]


def test_a_cancellation_at_calcom_is_in_the_mirror_at_once(container: Container, sandbox: RunningSandbox):
    with receiving(container) as intake, served(Starlette(routes=webhook_routes(intake, WebhookOptions()))) as root:
        webhook = NewWebhook(f"{root}{PATH}", ("BOOKING_CANCELLED",), SECRET.decode())
        container.calcom.create_webhook(webhook)
        wanted = coming(container)[:3]
        assert wanted
        for booking in wanted:
            container.calcom.cancel_booking(booking.uid, reason="Testing")
        told = until(lambda: fetch(container.database, "SELECT uid FROM webhook_inbox WHERE state = 'done'"))
        assert told, sandbox.control.deliveries()
        status = f"SELECT status FROM bookings WHERE uid = '{told[0][0]}'"
        assert fetch(container.database, status) == [("cancelled",)]
        pending = "SELECT count(*) FROM invalidations WHERE state = 'pending'"
        until(lambda: fetch(container.database, pending) == [(0,)])


def test_the_sensor_names_what_is_due_and_says_when_nothing_is(container: Container):
    look = webhook_inbox(Account.from_environment())
    first = look()
    assert isinstance(first, dg.SkipReason)
    with container.deliveries.intake() as intake:
        raw = delivery_body("nobody")
        intake.submit(intake.judge(raw, signature(raw))).result(20)  # type: ignore[arg-type]
    due = look()
    assert isinstance(due, dg.RunRequest)
    done = command("webhooks", "drain", environment=dict(os.environ))
    assert "0 dealt with" in done.stdout
    assert "1 still open" in done.stdout
    waits = look()
    assert isinstance(waits, dg.SkipReason)
    assert "wait for another attempt: 1" in str(waits.skip_message)


_KEEPS_AND_STALLS = """
import signal, sys
from datetime import UTC, datetime
from pathlib import Path
from calcom_pipeline.adapters.delivery_spool import FileSpool
from calcom_pipeline.domain.webhooks.deliveries import Delivery
spool = FileSpool(Path(sys.argv[1]), most_bytes=10**6)
spool.put([Delivery(b"d" * 32, "BOOKING_CREATED", "u1", None, None, datetime.now(UTC), body=b"{}")])
print("kept", flush=True)
signal.pause()
"""


def test_what_a_process_kept_before_it_was_killed_is_there_though_nobody_was_answered(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", _KEEPS_AND_STALLS, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"kept\n"
        child.send_signal(signal.SIGKILL)
    kept = FileSpool(tmp_path, most_bytes=10**6).oldest()
    assert kept is not None
    assert [d.uid for d in kept.deliveries] == ["u1"]


def test_erasing_a_person_reaches_the_spool_of_this_machine(container: Container, variables: dict[str, str]):
    group = container.deliveries
    raw = delivery_body("u1")
    judged = group.intake().judge(raw, signature(raw))
    group.spool.put([judged])  # type: ignore[list-item]
    done = command("erase", "carol@example.org", environment=variables)
    assert "1 delivery of webhooks" in done.stdout
    assert group.spool.oldest() is None
    assert fetch(container.database, "SELECT count(*) FROM webhook_inbox WHERE body <> ''") == [(0,)]


def test_a_receiver_whose_database_does_not_answer_keeps_deliveries_on_disk(
    container: Container,
):
    """A lock that nobody gives back stands for any PostgreSQL that is there and answers nothing."""
    url = container.endpoints.database_url
    with psycopg.connect(url) as stuck:
        stuck.execute(f"LOCK TABLE {container.settings.schema_name}.webhook_inbox IN ACCESS EXCLUSIVE MODE")
        with (
            container.deliveries.intake() as intake,
            served(Starlette(routes=webhook_routes(intake, WebhookOptions()))) as root,
        ):
            began = time.monotonic()
            assert post(f"{root}{PATH}", delivery_body("u1")) == 200
            assert time.monotonic() - began < 15
            assert intake.counts() == {"spooled": 1}
            stuck.rollback()
            assert until(lambda: fetch(container.database, "SELECT uid FROM webhook_inbox")) == [("u1",)]
            assert datetime.now(UTC) > fetch(container.database, "SELECT received_at FROM webhook_inbox")[0][0]
