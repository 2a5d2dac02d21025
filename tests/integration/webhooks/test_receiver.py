"""The receiver over HTTP on a real PostgreSQL: what is kept, what is refused, what happens while that is away."""

import hashlib
import http.client
import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette

from calcom_pipeline.adapters.delivery_spool import FileSpool
from calcom_pipeline.adapters.postgres.bookings.privacy import load_pseudonyms
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.webhooks.inbox import PostgresInbox
from calcom_pipeline.app.webhooks.delivery_ports import SpoolFull
from calcom_pipeline.app.webhooks.drain import unspool
from calcom_pipeline.app.webhooks.receive import Intake, IntakeOptions
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.bookings.people import People
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.domain.webhooks.deliveries import Delivery, judge
from calcom_pipeline.web.app import build_app
from calcom_pipeline.web.webhooks import PATH, WebhookOptions, webhook_routes
from tests.support.deliveries import SECRET, delivery_body, post, served, signature
from tests.support.tables import fetch
from tests.support.web import served as served_by_the_api

OPTIONS = WebhookOptions(longest_body_bytes=10_000, body_seconds=0.3)


def inbox_of(database: Database, policy: Any = "keep") -> PostgresInbox:
    return PostgresInbox(database, policy, lambda: People(policy, load_pseudonyms(database, None)))


@dataclass
class Entry:
    """The inbox, until it is away."""

    inbox: PostgresInbox
    is_away: bool = False
    asked: int = 0

    def add(self, deliveries: Sequence[Delivery]) -> set[bytes]:
        self.asked += 1
        if self.is_away:
            raise StoreError("PostgreSQL is away")
        return self.inbox.add(deliveries)


class FullDisk:
    """A spool on a disk without room."""

    def put(self, deliveries: Sequence[Delivery]) -> None:
        raise SpoolFull("no space left on device")

    def oldest(self) -> None:
        return None

    def discard(self, name: str) -> None:
        raise AssertionError(name)


@dataclass
class World:
    url: str
    intake: Intake
    entry: Entry
    spool: Any
    database: Database

    def counts(self) -> dict[str, int]:
        return dict(fetch(self.database, "SELECT state, count(*) FROM webhook_inbox GROUP BY 1"))


@pytest.fixture
def spool(tmp_path: Path) -> FileSpool:
    return FileSpool(tmp_path / "spool", most_bytes=1_000_000)


@pytest.fixture
def world(database: Database, spool: Any) -> Iterator[World]:
    entry = Entry(inbox_of(database))
    options = IntakeOptions(secrets=lambda: [b"new one", SECRET], pause_seconds=0.05)
    with (
        Intake(entry, spool, options, now=utc_now) as intake,
        served(Starlette(routes=webhook_routes(intake, OPTIONS))) as root,
    ):
        yield World(f"{root}{PATH}", intake, entry, spool, database)


def submitted(intake: Intake, raw: bytes) -> str:
    judged = intake.judge(raw, signature(raw))
    assert isinstance(judged, Delivery)
    return intake.submit(judged).result(10)


def wait_until_empty(spool: FileSpool) -> None:
    deadline = time.monotonic() + 10
    while spool.oldest() is not None and time.monotonic() < deadline:
        time.sleep(0.01)


class TestWhatIsTaken:
    def test_it_is_in_the_inbox_with_its_fact_before_it_is_answered(self, world: World):
        assert post(world.url, delivery_body("u1")) == 200
        assert fetch(world.database, "SELECT uid, trigger, state, attempts FROM webhook_inbox") == [
            ("u1", "BOOKING_CREATED", "open", 0)
        ]
        assert fetch(world.database, "SELECT event_type_id, user_ids, state FROM invalidations") == [
            (3, [7], "pending")
        ]

    def test_the_same_bytes_are_one_delivery_and_one_fact(self, world: World):
        raw = delivery_body()
        with ThreadPoolExecutor(8) as callers:
            assert set(callers.map(lambda _: post(world.url, raw), range(16))) == {200}
        assert world.counts() == {"open": 1}
        assert fetch(world.database, "SELECT count(*) FROM invalidations") == [(1,)]
        assert world.intake.counts() == {"stored": 1, "repeated": 15}

    def test_one_that_is_signed_with_either_secret_is_taken(self, world: World):
        first, second = delivery_body("a"), delivery_body("b")
        assert post(world.url, first, signature(first, b"new one")) == 200
        assert post(world.url, second) == 200

    @pytest.mark.parametrize(
        ("raw", "state"),
        [
            (b"no json", "quarantined"),
            (delivery_body(None, "PING"), "done"),
            (delivery_body(None, "FORM_SUBMITTED"), "done"),
            (delivery_body(None, "SOMETHING_NEW"), "unknown"),
            (delivery_body("u9", "SOMETHING_NEW"), "open"),
        ],
    )
    def test_each_kind_of_signed_body_is_kept_as_what_it_is(self, world: World, raw: bytes, state: str):
        assert post(world.url, raw) == 200
        assert world.counts() == {state: 1}


class TestWhatIsRefused:
    @pytest.mark.parametrize("sign", [None, "no-secret-provided", "0" * 64, signature(b"other")])
    def test_a_forgery_leaves_nothing(self, world: World, sign: str | None):
        assert post(world.url, delivery_body(), sign) == 401
        assert world.counts() == {}

    def test_an_old_recording_is_told_apart(self, world: World):
        raw = delivery_body().replace(b'"createdAt":"20', b'"createdAt":"19')
        assert post(world.url, raw) == 400
        assert world.intake.counts() == {"refused_too_old": 1}

    def test_a_body_beyond_the_bound_is_not_read(self, world: World):
        assert post(world.url, b"x" * 10_001) == 413

    def test_a_chunked_body_beyond_the_bound_is_not_held(self, world: World):
        piece = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        assert "413" in talk(world.url, b"Transfer-Encoding: chunked\r\n\r\n" + 2 * piece)

    def test_a_body_that_dribbles_is_given_up(self, world: World):
        assert "408" in talk(world.url, b"Content-Length: 100\r\n\r\nabc")

    def test_only_posts_are_deliveries(self, world: World):
        assert "405" in talk(world.url, b"\r\n", method="GET")


def talk(url: str, rest: bytes, *, method: str = "POST") -> str:
    """Send a head and whatever follows; the first line that comes back."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(f"{method} {parts.path} HTTP/1.1\r\nHost: x\r\n".encode() + rest)
        return connection.recv(100).decode().splitlines()[0]


class TestWhileTheDatabaseIsAway:
    def test_deliveries_are_answered_from_the_disk_and_reach_the_inbox_afterwards(self, world: World):
        world.entry.is_away = True
        raws = [delivery_body(f"u{n}") for n in range(20)]
        with ThreadPoolExecutor(4) as callers:
            assert set(callers.map(lambda raw: post(world.url, raw), raws)) == {200}
        assert world.counts() == {}
        assert world.intake.counts() == {"spooled": 20}
        world.entry.is_away = False
        wait_until_empty(world.spool)
        assert world.counts() == {"open": 20}
        assert fetch(world.database, "SELECT count(*) FROM invalidations") == [(20,)]

    def test_what_a_killed_process_left_is_taken_up_by_the_next(self, database: Database, spool: FileSpool):
        away = Entry(inbox_of(database), is_away=True)
        with Intake(away, spool, IntakeOptions(lambda: [SECRET]), now=utc_now) as one:
            raw = delivery_body()
            assert submitted(one, raw) == "spooled"
        with Intake(Entry(inbox_of(database)), spool, IntakeOptions(lambda: [SECRET]), now=utc_now):
            wait_until_empty(spool)
        assert fetch(database, "SELECT uid, body FROM webhook_inbox") == [("u1", raw)]

    def test_it_is_not_asked_for_every_delivery(self, database: Database, spool: FileSpool):
        entry = Entry(inbox_of(database), is_away=True)
        options = IntakeOptions(lambda: [SECRET], pause_seconds=60)
        with Intake(entry, spool, options, now=utc_now) as intake:
            for n in range(10):
                raw = delivery_body(f"u{n}")
                assert submitted(intake, raw) == "spooled"
        assert entry.asked == 1

    @pytest.mark.parametrize("spool", [FullDisk()])
    def test_with_the_disk_full_too_nobody_is_told_that_it_was_kept(self, world: World):
        world.entry.is_away = True
        assert post(world.url, delivery_body()) == 503
        assert world.intake.counts() == {"lost": 1}

    def test_a_spool_that_cannot_be_read_keeps_nothing_from_the_inbox(self, database: Database):
        broken = FileSpool(Path("/dev/null/spool"), most_bytes=1_000_000)
        options = IntakeOptions(lambda: [SECRET], pause_seconds=60)
        with Intake(Entry(inbox_of(database)), broken, options, now=utc_now) as intake:
            assert [submitted(intake, delivery_body(f"u{n}")) for n in range(3)] == ["stored"] * 3

    def test_the_spool_has_a_bound(self, database: Database, tmp_path: Path):
        spool = FileSpool(tmp_path, most_bytes=3_000)
        away = Entry(inbox_of(database), is_away=True)
        with Intake(away, spool, IntakeOptions(lambda: [SECRET]), now=utc_now) as intake:
            outcomes = list[str]()
            for n in range(10):
                raw = delivery_body(f"u{n}")
                outcomes.append(submitted(intake, raw))
        assert outcomes[0] == "spooled"
        assert outcomes[-1] == "lost"
        assert spool.size_bytes() <= 3_000
        assert unspool(spool, inbox_of(database)) == outcomes.count("spooled")

    def test_an_unexpected_error_is_no_answer_of_success(self, spool: FileSpool):
        class Broken:
            def add(self, deliveries: Sequence[Delivery]) -> set[bytes]:
                raise ZeroDivisionError

        told = list[str]()
        options = IntakeOptions(lambda: [SECRET])
        with Intake(Broken(), spool, options, now=utc_now, troubled=lambda why, _: told.append(why)) as intake:
            for _ in range(2):
                raw = delivery_body()
                assert submitted(intake, raw) == "lost"
        assert told == ["unexpected ZeroDivisionError"] * 2


class TestSpool:
    def test_only_its_owner_may_read_it(self, spool: FileSpool, tmp_path: Path):
        spool.put([delivery_of(delivery_body())])
        (file,) = (tmp_path / "spool").iterdir()
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    def test_a_part_of_a_file_is_none(self, spool: FileSpool, tmp_path: Path):
        spool.put([delivery_of(delivery_body())])
        (tmp_path / "spool" / "0-1-2.part").write_bytes(b'[{"dig')
        first = spool.oldest()
        assert first is not None
        spool.discard(first.name)
        assert spool.oldest() is None

    def test_a_file_that_cannot_be_read_is_put_aside_and_hides_no_other(self, spool: FileSpool, tmp_path: Path):
        (tmp_path / "spool").mkdir()
        (tmp_path / "spool" / "0-1-2.spooled").write_bytes(b"\0\0\0")
        wanted = delivery_of(delivery_body())
        spool.put([wanted])
        first = spool.oldest()
        assert first is not None
        assert first.deliveries == (wanted,)
        assert (tmp_path / "spool" / "0-1-2.unreadable").exists()

    def test_a_disk_without_room_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        def no_room(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", no_room)
        spool = FileSpool(tmp_path / "spool", most_bytes=1_000_000)
        with pytest.raises(SpoolFull, match="No space left"):
            spool.put([delivery_of(delivery_body())])
        assert list((tmp_path / "spool").iterdir()) == []


def delivery_of(raw: bytes) -> Delivery:
    judged = judge(raw, signature(raw), secrets=[SECRET], now=utc_now(), window=timedelta(minutes=1))
    assert isinstance(judged, Delivery)
    return judged


def test_no_body_and_no_signature_is_ever_logged(world: World, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    world.entry.is_away = True
    raw = delivery_body("u1")
    post(world.url, raw)
    post(world.url, raw, "0" * 64)
    post(world.url, b"x" * 20_000)
    assert "carol" not in caplog.text
    assert signature(raw) not in caplog.text


CAPTURES = Path(__file__).parents[2] / "contract" / "captures"
RECORDED_SECRET = json.loads((CAPTURES / "06-webhook-create.json").read_text())["request"]["body"]["secret"].encode()


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("hook-*.json")), ids=lambda p: p.stem)
def test_each_recording_comes_in_byte_for_byte_as_cal_com_sent_it(path: Path, database: Database, spool: FileSpool):
    """Through the whole server, with the headers that were recorded; with one byte changed it is refused."""
    recorded = json.loads(path.read_text())
    raw, headers = recorded["request"]["raw"].encode(), recorded["request"]["headers"]
    is_ours = headers["X-Cal-Signature-256"] != "no-secret-provided" and recorded["request"]["path"] == "/hook"
    options = IntakeOptions(secrets=lambda: [RECORDED_SECRET])
    at = datetime.fromtimestamp(recorded["at"], UTC)
    with (
        Intake(inbox_of(database), spool, options, now=lambda: at) as intake,
        served_by_the_api(build_app(object(), extra=webhook_routes(intake, WebhookOptions()))) as port,
    ):

        def sent(body: bytes) -> int:
            head = {name: value for name, value in headers.items() if name.lower() not in ("content-length", "host")}
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as line:
                line.request("POST", PATH, body, head)
                return line.getresponse().status

        assert sent(raw[:-2] + b" " + raw[-2:]) == 401
        assert sent(raw) == (200 if is_ours else 401)
    kept = [bytes(digest) for (digest,) in fetch(database, "SELECT digest FROM webhook_inbox")]
    assert kept == ([hashlib.sha256(raw).digest()] if is_ours else [])
