"""Bad rows from the wire to the tables: stored or in quarantine, never a crash, and the rest of the page lands."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import redis

from calcom_pipeline.adapters.calcom.bookings.rows import replayed
from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.bookings.quarantine import PostgresQuarantine
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.bookings.mirror import BookingOptions, BookingsReport, Mode, pull_bookings
from calcom_pipeline.app.bookings.quarantine import ReplayReport, replay
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.errors import ContractBroken
from tests.support.booking_rows import attendee, row
from tests.support.booking_server import BookingServer, booking_server
from tests.support.clients import client_of
from tests.support.tables import fetch

UNKNOWN = dict.fromkeys(("id", "name", "email", "username", "timeZone"), "unknown")


def good(uid: str) -> bytes:
    return orjson.dumps(row(uid))


def bad(**changes: Any) -> bytes:
    return orjson.dumps({**row("odd"), **changes})


def without(*names: str) -> bytes:
    return orjson.dumps({name: value for name, value in row("odd").items() if name not in names})


def spelled(old: bytes, new: bytes) -> bytes:
    """A row with bytes in it that no JSON writer writes."""
    return bad().replace(old, new)


STORED: dict[str, bytes] = {
    "host id unknown": bad(hosts=[UNKNOWN]),
    "no hosts, no attendees": bad(hosts=[], attendees=[]),
    "a description of a megabyte": bad(description="x" * 1_000_000),
    "starts in the year 1": bad(start="0001-01-01T00:00:00.000Z"),
    "ends in the year 9999": bad(end="9999-12-31T23:59:59.999Z"),
    "updated in the year 9999": bad(updatedAt="9999-12-31T23:59:59.999Z"),
    "never updated": bad(updatedAt=None),
    "no event type": bad(eventType=None, eventTypeId=None),
    "metadata that are no texts": bad(metadata={"a": 1, "b": [None, {"c": 1.5}], "": ""}),
    "tabs, line breaks, backslashes": bad(title="a\tb\nc\\N\r\\.", attendees=[attendee("o'Neil \\ \t")]),
    "a field that nobody knows": bad(aNewField={"x": [1]}),
}
QUARANTINED: dict[str, tuple[bytes, str]] = {
    "a start that is a number": (bad(start=7), "start: is no text"),
    "an id that is a text": (bad(id="seven"), "id: is no whole number"),
    "an id too long for PostgreSQL": (bad(id=2**63), "id: is no whole number of 64 bits"),
    "attendees that are no list": (bad(attendees={"name": "Carol"}), "attendees: is no list"),
    "hosts that are texts": (bad(hosts=["alice"]), "hosts: is no object"),
    "a status that is none": (bad(status="paused"), "status: is none"),
    "no uid": (without("uid"), "uid: is missing"),
    "an empty uid": (bad(uid=""), "uid: is empty"),
    "a uid too long for an index": (bad(uid="u" * 5000), "uid: is longer"),
    "no start": (without("start"), "start: is missing"),
    "a NUL character": (bad(title="half\x00a title"), "NUL"),
    "a NUL character in a key": (bad(metadata={"k\x00": 1}), "NUL"),
    "bytes that are no UTF-8": (spelled(b"Carol's bike", b"Carol's \xff\xfe bike"), "no valid JSON"),
    "half a surrogate pair": (spelled(b"Carol's bike", b"\\ud800"), "no valid JSON"),
    "a number that is none": (spelled(b'"duration":30', b'"duration":NaN'), "no valid JSON"),
    "the year 0": (bad(start="0000-01-01T00:00:00.000Z"), "start: is no time"),
    "the year 10000": (bad(end="+010000-01-01T00:00:00.000Z"), "end: is no time"),
    "before the year 1, told in Berlin": (bad(start="0001-01-01T00:00:00+02:00"), "start: is no time"),
    "no object": (b'"odd"', "row: is no object"),
    "null": (b"null", "row: is no object"),
}


@pytest.fixture
def server() -> Iterator[BookingServer]:
    with booking_server() as running:
        yield running


@pytest.fixture
def calcom(server: BookingServer, redis_client: redis.Redis) -> Iterator[CalcomClient]:
    with client_of(server.url, "cal_test", redis_client) as client:
        yield client


def now() -> datetime:
    return datetime.now(UTC)


def pull(calcom: CalcomClient, database: Database, mode: Mode = "full") -> BookingsReport:
    return pull_bookings(calcom, PostgresBookingMirror(database), BookingOptions(), now=now, mode=mode)


def uids(database: Database) -> list[str]:
    return [uid for (uid,) in fetch(database, "SELECT uid FROM bookings ORDER BY uid")]


@pytest.mark.parametrize("odd", STORED.values(), ids=STORED)
def test_what_is_only_odd_is_stored_as_it_came(server: BookingServer, calcom, database: Database, odd: bytes):
    server.rows = [good("a"), odd, good("z")]
    assert pull(calcom, database).quarantined == 0
    assert uids(database) == ["a", "odd", "z"]
    assert fetch(database, "SELECT raw FROM bookings WHERE uid = 'odd'") == [(orjson.loads(odd),)]
    assert pull(calcom, database).stored.changes.written == 0
    watermark = PostgresBookingMirror(database).state(MINE).watermark
    assert watermark is not None
    assert watermark < now()


@pytest.mark.parametrize(("wrong", "reason"), QUARANTINED.values(), ids=QUARANTINED)
def test_what_cannot_be_read_is_kept_with_its_bytes_and_the_rest_of_the_page_lands(
    server: BookingServer, calcom, database: Database, wrong: bytes, reason: str
):
    server.rows = [good("a"), wrong, good("z")]
    for mode in ("changes", "full"):
        pull(calcom, database, mode)
    assert uids(database) == ["a", "z"]
    ((raw, why, seen),) = fetch(database, "SELECT raw, reason, times_seen FROM quarantine WHERE resolved_at IS NULL")
    assert reason in why
    assert "arol" not in why
    assert seen == 2
    if "no valid JSON" in reason:
        assert sorted(raw) == sorted(wrong)  # the same bytes; their fields may come in another order
    else:
        assert orjson.loads(raw) == orjson.loads(wrong)


def test_all_of_them_on_one_page_are_told_apart(server: BookingServer, calcom, database: Database):
    odd = [one.replace(b'"odd"', f'"odd{n}"'.encode()) for n, one in enumerate(STORED.values())]
    server.rows = [good("a"), *odd, *(wrong for wrong, _ in QUARANTINED.values()), good("z")]
    report = pull(calcom, database)
    assert len(uids(database)) == 2 + len(STORED)
    assert report.unknown_fields == {"aNewField": 1}
    assert fetch(database, "SELECT count(*) FROM quarantine") == [(len(QUARANTINED),)]


def test_a_shape_that_changed_as_a_whole_fails_loudly_before_anything_is_written(
    server: BookingServer, calcom, database: Database
):
    server.rows = [good("a"), good("b")]
    pull(calcom, database)
    state = PostgresBookingMirror(database).state(MINE)
    server.rows = [orjson.dumps({**orjson.loads(good(uid)), "start": 7}) for uid in "abc"]
    for mode in ("changes", "full"):
        with pytest.raises(ContractBroken, match="all fail alike"):
            pull(calcom, database, mode)
    assert fetch(database, "SELECT count(*) FROM quarantine") == [(0,)]
    assert PostgresBookingMirror(database).state(MINE) == state


class TestReplay:
    @staticmethod
    def replayed(calcom: CalcomClient, database: Database) -> ReplayReport:
        mirror, quarantine = PostgresBookingMirror(database), PostgresQuarantine(database)
        return replay(calcom, mirror, quarantine, replayed, now=now)

    def test_what_cal_com_has_mended_becomes_a_booking_and_what_it_has_deleted_is_settled(
        self, server: BookingServer, calcom, database: Database
    ):
        broken = {uid: orjson.dumps(row(uid, title=7, id=n)) for n, uid in enumerate(("mended", "gone", "same"))}
        server.rows = [good("a"), good("z"), *broken.values()]
        pull(calcom, database)
        server.by_uid = {"a": good("a"), "mended": good("mended"), "same": broken["same"]}
        report = self.replayed(calcom, database)
        assert report == ReplayReport(looked_at=3, read=1, gone=1, still_unreadable=1)
        assert uids(database) == ["a", "mended", "z"]
        assert fetch(database, "SELECT uid FROM quarantine WHERE resolved_at IS NULL") == [("same",)]
        assert fetch(database, "SELECT count(*) FROM quarantine") == [(3,)]

    def test_a_404_to_everything_settles_nothing(self, server: BookingServer, calcom, database: Database):
        server.rows = [good("a"), orjson.dumps(row("odd", title=7))]
        pull(calcom, database)
        report = self.replayed(calcom, database)
        assert report == ReplayReport(looked_at=1, read=0, gone=0, still_unreadable=1)
        assert fetch(database, "SELECT uid FROM quarantine WHERE resolved_at IS NULL") == [("odd",)]

    def test_what_a_later_read_shows_whole_is_settled_without_replay(
        self, server: BookingServer, calcom, database: Database
    ):
        server.rows = [good("a"), bad(title=7)]
        pull(calcom, database)
        server.rows = [good("a"), bad()]
        pull(calcom, database)
        assert uids(database) == ["a", "odd"]
        assert self.replayed(calcom, database) == ReplayReport()
