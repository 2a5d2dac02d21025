"""Bent answers on demand: rows, bodies, headers, and bytes that take their time."""

import base64
import email.utils
import gzip
import socket
import time
import zlib
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from tests.sandbox.conftest import NOW
from tests.sandbox.talking import KEYS, Talker

_MONDAY = "2026-11-23"


@pytest.fixture
def bent(calcom: Talker) -> Talker:
    """Alice's client, who does not hold bent answers against the sandbox."""
    calcom.is_validating = False
    return calcom


# -- rows


def test_a_listing_has_a_row_twice(bent: Talker):
    bent.control.add_fault("repeated_row", "GET /v2/event-types", where={"id": 3}, count=1)
    ids = [row["id"] for row in bent.get("/event-types").data]
    assert ids.count(3) == 2
    assert len(ids) == len(set(ids)) + 1
    bent.control.add_fault("repeated_row", "GET /v2/event-types", row=-1, count=1)
    again = [row["id"] for row in bent.get("/event-types").data]
    assert again[-1] == again[-2]
    assert len(again) == len(ids)


@pytest.mark.parametrize(
    "change",
    [{"price": 12.5}, {"title": "a\0b"}, {"lengthInMinutes": 10**12}, {"bookingWindow": {"disabled": 1}}],
    ids=["price", "NUL", "length", "nested"],
)
def test_one_row_of_a_listing_is_malformed_and_the_rest_is_whole(bent: Talker, change):
    whole = {row["id"]: row for row in bent.get("/event-types").data}
    bent.control.add_fault("malformed_row", "/v2/event-types", where={"id": 2}, set=change, count=1)
    found = {row["id"]: row for row in bent.get("/event-types").data}
    assert found.pop(2) == whole.pop(2) | change
    assert found == whole


@pytest.mark.parametrize("instead", [None, [], "row", 1.5])
def test_something_that_is_no_object_stands_where_a_row_was(bent: Talker, instead):
    bent.control.add_fault("malformed_row", "GET /v2/teams/*/event-types", row=0, set=instead)
    assert bent.get("/teams/301/event-types").data[0] == instead


def test_a_row_that_is_not_there_is_not_malformed(bent: Talker):
    bent.control.add_fault("malformed_row", "GET /v2/event-types", where={"id": 99}, set={"price": 1})
    bent.control.add_fault("malformed_row", "GET /v2/event-types", row=99, set={"price": 1})
    bent.control.add_fault("repeated_row", "GET /v2/bookings")
    assert all(row["price"] == 0 for row in bent.get("/event-types").data)
    assert bent.get("/bookings").data == []


def test_rows_of_a_day_of_slots_and_a_single_object_are_bent_too(bent: Talker):
    bent.control.add_fault("malformed_row", "GET /v2/slots", set={"start": "soon"}, count=1)
    days = bent.slots(1, _MONDAY, "2026-11-24")
    assert [starts[0] for starts in days.values()] == ["soon", "soon"]
    assert all(start != "soon" for starts in days.values() for start in starts[1:])
    bent.control.add_fault("empty_list", "GET /v2/slots", count=1)
    assert bent.slots(1, _MONDAY) == {}
    bent.control.add_fault("malformed_row", "GET /v2/me", set={"timeZone": None}, count=1)
    me = bent.get("/me").data
    assert (me["timeZone"], me["username"]) == (None, "alice")


def test_a_body_is_bent_member_by_member(bent: Talker):
    bent.control.add_fault("bent_body", "GET /v2/bookings", set={"pagination": {"totalItems": 10**12}})
    told = bent.get("/bookings").body
    assert (told["pagination"]["totalItems"], told["pagination"]["currentPage"]) == (10**12, 0)


def test_every_zone_of_an_answer_is_replaced(bent: Talker):
    bent.control.add_fault("time_zone", "GET /v2/schedules", text="Mars/Olympus", count=1)
    assert [row["timeZone"] for row in bent.get("/schedules").data] == ["Mars/Olympus"]
    assert [row["timeZone"] for row in bent.get("/schedules").data] == ["Europe/Berlin"]


# -- headers


@pytest.mark.parametrize("seconds", [21_600, -90])
def test_the_date_is_so_many_seconds_off(bent: Talker, seconds):
    bent.control.add_fault("date_header", "GET /v2/me", seconds=seconds)
    told = email.utils.parsedate_to_datetime(bent.get("/me").headers["Date"])
    assert (told - datetime.fromisoformat(NOW).astimezone(UTC)).total_seconds() == seconds


def test_the_date_is_any_text(bent: Talker):
    bent.control.add_fault("date_header", "GET /v2/me", text="yesterday")
    assert bent.get("/me").headers["Date"] == "yesterday"


@pytest.mark.parametrize("reset", ["86400", "1796083290", "9" * 309, "soon", "-1"])
def test_the_limiters_headers_say_anything(bent: Talker, reset):
    headers = {"X-RateLimit-Remaining-Default": "0", "X-RateLimit-Reset-Default": reset}
    bent.control.add_fault("headers", "GET /v2/me", headers={**headers, "x-ratelimit-limit-default": None})
    found = bent.get("/me").headers
    assert headers.items() <= found.items()
    assert "x-ratelimit-limit-default" not in {name.lower() for name in found}


def test_a_refusal_says_when_to_come_back(bent: Talker):
    bent.control.add_fault("rate_limited", "GET /v2/me", headers={"Retry-After": "0"})
    reply = bent.get("/me")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "0")


# -- bodies


@pytest.mark.parametrize("status", [403, 502])
def test_a_page_answers_instead_of_the_service(bent: Talker, status):
    bent.control.add_fault("html", "POST /v2/bookings", status=status, text="Ray 1", count=1)
    reply = bent.book(2, f"{_MONDAY}T09:00:00Z")
    assert (reply.status, reply.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert reply.raw.startswith(b"<!DOCTYPE html>")
    assert b"Ray 1" in reply.raw
    assert bent.get("/bookings").data == []


def test_an_error_repeats_the_key_in_words(bent: Talker):
    text = "{key} or {key_base64}"
    bent.control.add_fault("echo_key", "GET /v2/me", status=401, text=text, key="bob", count=1)
    assert bent.get("/me").status == 200
    reply = bent.get("/me", key="bob")
    spelled = KEYS["bob"]
    assert (reply.status, reply.message) == (401, f"{spelled} or {base64.b64encode(spelled.encode()).decode()}")


def test_a_small_answer_unpacks_to_many_megabytes(bent: Talker):
    bent.control.add_fault("gzip_bomb", "GET /v2/me", megabytes=20, count=1)
    reply = bent.get("/me")
    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(reply.raw) < 50_000
    plain = gzip.decompress(reply.raw)
    assert len(plain) > 20_000_000
    assert plain.rstrip() == bent.get("/me").raw


def test_a_plain_answer_is_many_megabytes(bent: Talker):
    bent.control.add_fault("huge_body", "GET /v2/me", megabytes=3, count=1)
    assert len(bent.get("/me").raw) > 3_000_000


def test_half_a_packed_body_arrives(bent: Talker):
    bent.control.add_fault("gzip_truncated", "GET /v2/event-types", count=1)
    reply = bent.get("/event-types")
    assert int(reply.headers["Content-Length"]) == len(reply.raw)
    with pytest.raises(EOFError):
        gzip.decompress(reply.raw)
    assert zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(reply.raw).startswith(b'{"status":"success"')


# -- bytes that take their time


def _first_bytes(bent: Talker, seconds: float) -> bytes:
    address = urlsplit(bent.sandbox.url)
    found = b""
    with socket.create_connection((address.hostname or "", address.port or 0)) as plain:
        plain.settimeout(seconds)
        asked = f"GET /v2/me HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {KEYS['alice']}\r\n\r\n"
        plain.sendall(asked.encode())
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                found += plain.recv(65_536)
            except TimeoutError:
                break
    return found


def test_the_header_drips_byte_by_byte(bent: Talker):
    bent.control.add_fault("drip_headers", "GET /v2/me", seconds=0.1, count=1)
    found = _first_bytes(bent, 0.75)
    assert 2 <= len(found) <= 9
    assert b"HTTP/1.1 200 OK".startswith(found)


def test_the_body_drips_after_its_header(bent: Talker):
    bent.control.add_fault("drip_body", "GET /v2/me", seconds=0.1, count=1)
    head, _, body = _first_bytes(bent, 0.75).partition(b"\r\n\r\n")
    assert b"Content-Length" in head
    assert 2 <= len(body) <= 9


def test_what_drips_is_whole_in_the_end(bent: Talker):
    whole = bent.get("/me")
    bent.control.add_fault("drip_headers", "GET /v2/me", seconds=0, count=1)
    dripped = bent.get("/me")
    assert (dripped.status, dripped.raw) == (whole.status, whole.raw)
