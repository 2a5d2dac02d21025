"""Holds on the wire: what is sent, what the recorded answers mean, and answers that are none."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis

from calcom_pipeline.domain.availability.holds import Hold
from calcom_pipeline.domain.errors import CalcomError, Conflict, ContractBroken, NotFound, TransientError
from tests.support.clients import client_of
from tests.support.raw_server import answer, raw_server

RECORDED = Path(__file__).parents[2] / "contract" / "captures"
KEY = "cal_0123456789abcdef0123456789abcdef"
START = datetime(2026, 12, 4, 8, tzinfo=UTC)
UNTIL = datetime(2026, 11, 22, 8, 28, 14, 157_000, tzinfo=UTC)
UID = "946f75de-df49-4dcc-9a00-5d79ecfe71b6"
HOLD = Hold(UID, 2, START, START + timedelta(minutes=30), UNTIL)


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text("utf-8"))["response"]


def saying(body: Any, *, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    """A server that gives this answer at the time of the recordings."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        handler.date_time_string = lambda timestamp=None: "Sun, 22 Nov 2026 08:23:14 GMT"  # type: ignore[method-assign]  # the Date header
        answer(handler, content, status=status)

    return behave


def changed(**fields: Any) -> Any:
    body = recorded("17-slot-reserve")["body"]
    body["data"] |= fields
    return body


def test_a_hold_is_asked_for_with_what_was_said_alone_and_read_from_the_recorded_answer(redis_client: redis.Redis):
    with raw_server(saying(recorded("17-slot-reserve")["body"], status=201)) as (url, heard):
        with client_of(url, KEY, redis_client) as calcom:
            assert calcom.hold_start(2, START) == HOLD
            calcom.hold_start(2, START, minutes=10, duration_minutes=45)
        (plain, full) = heard.requests
    assert (plain[0], plain[1], plain[2]["cal-api-version"]) == ("POST", "/v2/slots/reservations", "2024-09-04")
    assert orjson.loads(plain[3]) == {"eventTypeId": 2, "slotStart": "2026-12-04T08:00:00.000Z"}
    assert orjson.loads(full[3]) == {
        "eventTypeId": 2,
        "slotStart": "2026-12-04T08:00:00.000Z",
        "reservationDuration": 10,
        "slotDuration": 45,
    }


def test_a_hold_is_read_and_released_by_its_uid(redis_client: redis.Redis):
    with raw_server(saying(recorded("17c-reservation-get")["body"])) as (url, heard):
        with client_of(url, KEY, redis_client) as calcom:
            assert calcom.read_hold(UID) == HOLD
        assert heard.requests[0][:2] == ("GET", f"/v2/slots/reservations/{UID}")
    with raw_server(saying(recorded("17d-reservation-delete")["body"])) as (url, heard):
        with client_of(url, KEY, redis_client) as calcom:
            calcom.release_hold(UID)
        assert heard.requests[0][:2] == ("DELETE", f"/v2/slots/reservations/{UID}")


@pytest.mark.parametrize(
    "body",
    [
        {"status": "success", "data": None},
        changed(reservationUntil="2026-11-22T08:23:14.000Z"),  # the instant of the answer's Date
        changed(reservationUntil="2026-11-22T08:00:00.000Z"),
    ],
)
def test_an_unknown_hold_and_one_that_is_over_by_cal_coms_clock_are_none(redis_client: redis.Redis, body: Any):
    with raw_server(saying(body)) as (url, _), client_of(url, KEY, redis_client) as calcom:
        assert calcom.read_hold(UID) is None


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        {"status": "success"},
        {"status": "success", "data": None},
        {"status": "success", "data": []},
        changed(reservationUid=7),
        changed(slotStart="tomorrow"),
        changed(slotStart="2026-12-04T08:00:00"),
        changed(slotEnd="2026-12-04T08:00:00.000Z"),
        changed(reservationUntil=None),
        changed(reservationUntil="9999-12-31T23:59:59-14:00"),
        changed(eventTypeId="2"),
    ],
)
def test_an_answer_of_another_shape_leaves_a_doubt_and_is_not_sent_again(redis_client: redis.Redis, body: Any):
    with raw_server(saying(body, status=201)) as (url, heard), client_of(url, KEY, redis_client) as calcom:
        with pytest.raises(ContractBroken) as broken:
            calcom.hold_start(2, START)
        assert broken.value.exchange.in_doubt, "it may be held"
        assert len(heard.requests) == 1


@pytest.mark.parametrize(
    ("status", "message", "kind", "in_doubt"),
    [
        (422, "This time slot is already reserved by another user. Please choose a different time.", Conflict, False),
        (422, "Can't reserve a slot if the event is already booked.", Conflict, False),
        (404, "Event Type with ID=2 not found", NotFound, False),
        (500, "Internal server error", TransientError, True),
        (503, "", TransientError, True),
    ],
)
def test_a_refusal_says_what_the_caller_may_do_and_whether_it_may_be_held(
    redis_client: redis.Redis, status: int, message: str, kind: type[CalcomError], in_doubt: bool
):
    body = {"status": "error", "error": {"code": "SomeException", "message": message}}
    with raw_server(saying(body, status=status)) as (url, heard), client_of(url, KEY, redis_client) as calcom:
        with pytest.raises(kind) as refused:
            calcom.hold_start(2, START)
        assert (refused.value.exchange.in_doubt, len(heard.requests)) == (in_doubt, 1)


def test_releasing_is_sent_again_after_a_gateway_has_failed(redis_client: redis.Redis):
    statuses = [502, 200]

    def behave(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, b'{"status":"success"}', status=statuses.pop(0))

    with raw_server(behave) as (url, heard), client_of(url, KEY, redis_client) as calcom:
        calcom.release_hold(UID)
        assert len(heard.requests) == 2


MOVED = changed(
    slotStart="2026-12-04T10:00:00.000Z",
    slotEnd="2026-12-04T10:30:00.000Z",
    reservationUntil="2026-11-22T08:29:00.000Z",
)


@pytest.mark.parametrize(("found", "is_ours"), [(MOVED, True), (changed(), False)])
def test_a_move_in_doubt_is_looked_for_and_never_sent_again(redis_client: redis.Redis, found: Any, is_ours: bool):
    later = START + timedelta(hours=2)

    def behave(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "PATCH":
            answer(handler, b"", status=504)
        else:
            saying(found)(handler)

    with raw_server(behave) as (url, heard), client_of(url, KEY, redis_client) as calcom:
        result = None
        with suppress(TransientError):
            result = calcom.move_hold(HOLD, later)
        assert (result.start if result else None) == (later if is_ours else None)
        assert [method for method, *_ in heard.requests] == ["PATCH", "GET"]
