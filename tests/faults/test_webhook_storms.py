"""Deliveries doubled, reordered, lost, forged and malformed, while receiver, PostgreSQL and drains are killed.

A short share to `calcom-pipeline serve`, which is killed too, then 10,000 to a receiver that is back at once, and
thousands to `serve`.
"""

import hashlib
import http.client
import random
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from calcom_pipeline.adapters.delivery_spool import FileSpool
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.app.bookings.mirror import BookingOptions, pull_bookings
from calcom_pipeline.web.webhooks import PATH
from tests.faults import webhook_roles as roles
from tests.faults.harness import Crew, Desk, Site, machine, site
from tests.support.clients import ROOMY
from tests.support.deliveries import delivery_body, post, signature
from tests.support.tables import fetch

DOUBLED, LOST, FORGED, MALFORMED = 0.20, 0.05, 0.05, 0.01
REORDERED = 0.20


@dataclass(frozen=True)
class Size:
    deliveries: int
    bookings: int
    kills: int
    restarts: int
    senders: int = 8
    between: tuple[float, float] = (0.05, 0.6)
    is_served: bool = False


FULL = Size(deliveries=10_000, bookings=2_000, kills=60, restarts=6)
SERVED = Size(deliveries=300, bookings=40, kills=3, restarts=1, is_served=True)
SERVED_LONG = Size(deliveries=3000, bookings=400, kills=30, restarts=4, between=(0.2, 3.0), is_served=True)


@dataclass(frozen=True)
class Sent:
    raw: bytes
    uid: str
    forged: bool = False
    malformed: bool = False

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.raw).digest()


@dataclass
class Log:
    """What was answered to what."""

    statuses: Counter[int | str] = field(default_factory=Counter)
    accepted: set[bytes] = field(default_factory=set)
    wrongly: list[tuple[int, Sent]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def note(self, sent: Sent, status: int | str) -> None:
        with self.lock:
            self.statuses[status] += 1
            if status == 200:
                self.accepted.add(sent.digest)
            if isinstance(status, int) and (sent.forged != (status == 401)) and status != 503:
                self.wrongly.append((status, sent))


def made(size: Size, uids: list[str], seed: int) -> list[Sent]:
    """In the order in which they arrive."""
    chance = random.Random(seed)
    wanted: list[tuple[float, Sent]] = []
    for number in range(size.deliveries):
        uid = uids[number % len(uids)]
        sent = Sent(delivery_body(uid, chance.choice(["BOOKING_CREATED", "BOOKING_REQUESTED"]), number=number), uid)
        if chance.random() < LOST:
            continue
        if chance.random() < MALFORMED:
            sent = Sent(sent.raw[: chance.randrange(len(sent.raw))] + b"\xff", uid, malformed=True)
        place = number + (chance.uniform(-50, 50) if chance.random() < REORDERED else 0)
        wanted.append((place, sent))
        if chance.random() < DOUBLED:
            wanted.append((place + chance.uniform(0, 20), sent))
        if chance.random() < FORGED:
            wanted.append((place, Sent(delivery_body(uid, "BOOKING_CANCELLED", forged=number), uid, forged=True)))
    return [sent for _, sent in sorted(wanted, key=lambda one: one[0])]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def send_all(port: int, messages: list[Sent], log: Log, senders: int) -> None:
    """As Cal.com would: each once, whatever comes of it. The next one only when a receiver is there again."""
    url = f"http://127.0.0.1:{port}{PATH}"

    def send(sent: Sent) -> None:
        sign = signature(sent.raw, b"a guess") if sent.forged else signature(sent.raw)
        try:
            log.note(sent, post(url, sent.raw, sign))
        except (OSError, http.client.HTTPException) as error:
            log.note(sent, type(error).__name__)
            wait_for(port)

    with ThreadPoolExecutor(senders) as pool:
        list(pool.map(send, messages))


def storm(here: Site, crew: Crew, size: Size, ended: threading.Event) -> None:
    """Kills at seeded moments, spread over the deliveries."""
    chance = random.Random(5)
    restarts = set(chance.sample(range(size.kills), size.restarts))
    for number in range(size.kills):
        if ended.is_set():
            return
        crew.storm(kills=1, seed=number, between=size.between)
        if number in restarts:
            here.restart_postgres()


def until_idle(here: Site, spool: FileSpool, seconds: float) -> None:
    end = time.monotonic() + seconds
    with here.database() as database:
        while True:
            is_open = fetch(database, "SELECT count(*) FROM webhook_inbox WHERE state = 'open'")[0][0]
            if not is_open and spool.oldest() is None:
                return
            assert time.monotonic() < end, f"{is_open} deliveries are still open"
            time.sleep(0.1)


def run(size: Size) -> Counter[int | str]:
    account = {"account": "generated", "event_types": 8, "teams": 1, "bookings": size.bookings, "seed": 11}
    with site(key="owner", budget=ROOMY, with_database=True, limit=1_000_000, window_seconds=60, **account) as here:
        uids = [booking["uid"] for booking in here.sandbox.control.read_bookings()]
        with Desk(here.place, "sweep", 1).calcom() as calcom:
            seen = set()
            for uid in uids:
                booking = calcom.booking(uid)
                seen.add((booking.uid, booking.status))  # type: ignore[union-attr]
        messages, log, ended = made(size, uids, seed=3), Log(), threading.Event()
        folder, port = here.place.folder / "spool", free_port()
        spool = FileSpool(folder, most_bytes=roles.SPOOL_BYTES)
        with here.crew() as crew:
            crew.hire(roles.serving if size.is_served else roles.receiver, port, str(folder))
            crew.hire(roles.drainer, str(folder), count=1 if size.is_served else 2)
            wait_for(port)
            storming = threading.Thread(target=storm, args=(here, crew, size, ended))
            storming.start()
            send_all(port, messages, log, size.senders)
            ended.set()
            storming.join(60)
            until_idle(here, spool, 60 + size.deliveries / 20)
        audit(here, messages, log)
        sweep(here, seen)
        print(machine(), f"{len(messages)} sent, answers {dict(log.statuses)}, {crew.killed} killed", here.counted())
        return log.statuses


def audit(here: Site, messages: list[Sent], log: Log) -> None:
    """What must be true before any sweep."""
    assert not log.wrongly
    with here.database() as database:
        kept = {bytes(d): state for d, state in fetch(database, "SELECT digest, state FROM webhook_inbox")}
        facts = fetch(database, "SELECT count(*) FROM invalidations WHERE why LIKE 'webhook %'")[0][0]
        mirrored = {uid for (uid,) in fetch(database, "SELECT uid FROM bookings")}
    assert log.accepted <= kept.keys(), "an answer of success was given for something that is lost"
    genuine = {sent.digest: sent for sent in messages if not sent.forged}
    assert kept.keys() <= genuine.keys(), "a forgery was kept"
    assert {genuine[d].malformed for d, state in kept.items() if state == "quarantined"} <= {True}
    assert set(kept.values()) <= {"done", "quarantined"}
    assert facts == sum(state == "done" for state in kept.values()), "an effect was doubled, or is missing"
    assert mirrored == {genuine[d].uid for d, state in kept.items() if state == "done"}


def sweep(here: Site, seen: set[tuple[str, str]]) -> None:
    """One incremental read, and all that Cal.com shows is in the mirror, lost deliveries or not."""
    with Desk(here.place, "sweep", 1).calcom() as calcom, here.database() as database:
        pull_bookings(calcom, PostgresBookingMirror(database), BookingOptions(), now=lambda: datetime.now(UTC))
        assert set(fetch(database, "SELECT uid, status FROM bookings")) >= seen


def wait_for(port: int) -> None:
    end = time.monotonic() + 120  # its successor starts in a second, on a machine that has nothing else to do
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, "the receiver did not start"
            time.sleep(0.05)
        else:
            return


def test_what_serve_has_answered_with_success_is_never_lost_though_it_is_killed_and_no_forgery_kept():
    answers = run(SERVED)
    assert answers[200] > SERVED.deliveries / 2
    assert any(isinstance(answer, str) for answer in answers), "it was killed while it was asked"


@pytest.mark.proof
@pytest.mark.timeout(1200)
def test_ten_thousand_deliveries_in_a_storm():
    assert run(FULL)[200] > 5_000


@pytest.mark.proof
@pytest.mark.timeout(1200)
def test_thousands_of_deliveries_to_serve_in_a_storm():
    assert run(SERVED_LONG)[200] > SERVED_LONG.deliveries / 2
