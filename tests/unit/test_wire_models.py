"""What crosses the border from Cal.com's JSON to our values; rows as captured from a real server, by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from calcom_pipeline.adapters.calcom import schemas
from calcom_pipeline.adapters.calcom.client import whole_days
from calcom_pipeline.adapters.calcom.schemas import ScheduleZones
from calcom_pipeline.adapters.calcom.transport.failures import error_of, redacted
from calcom_pipeline.domain.availability.models import SlotQuery
from calcom_pipeline.domain.errors import (
    Conflict,
    ContractBroken,
    Exchange,
    NotFound,
    RateLimited,
    Rejected,
    TransientError,
    Unauthorized,
)
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.models import Schedule, Team

EXCHANGE = Exchange("Testing")


def event_type_row(**changes: Any) -> dict[str, Any]:
    row = {
        "id": 7,
        "ownerId": 101,
        "lengthInMinutes": 30,
        "title": "Repair",
        "slug": "repair",
        "description": "",
        "hidden": False,
        "minimumBookingNotice": 120,
        "beforeEventBuffer": 0,
        "afterEventBuffer": 10,
        "users": [{"id": 101, "name": "A"}],
        "seats": {"disabled": True},
        "confirmationPolicy": {"disabled": True},
        "recurrence": None,
        "scheduleId": None,
    }
    return {**row, **changes}


def test_an_event_type_is_read_in_both_shapes():
    zones = ScheduleZones([Schedule(201, "Europe/Berlin", is_default=True)], "UTC")
    team = Team(301, "support", "Support", "Asia/Kolkata")
    personal = schemas.event_type(event_type_row(), EXCHANGE, zones)
    team_row = event_type_row(ownerId=None, teamId=301, users=[], hosts=[{"userId": 102}, {"userId": 101}])
    teams_own = schemas.event_type(team_row, EXCHANGE, ScheduleZones.of_team([], team))
    assert (personal.owner, personal.schedule_zone, personal.host_ids) == (Owner("user", 101), "Europe/Berlin", (101,))
    assert (teams_own.owner, teams_own.schedule_zone) == (Owner("team", 301), "Asia/Kolkata")
    assert teams_own.host_ids == (101, 102)


def test_a_new_picture_of_a_host_is_no_change_of_the_event_type_but_a_new_host_is():
    zones = ScheduleZones([], "UTC")
    plain = schemas.event_type(event_type_row(), EXCHANGE, zones)
    pictured = schemas.event_type(event_type_row(users=[{"id": 101, "avatarUrl": "x"}]), EXCHANGE, zones)
    joined = schemas.event_type(event_type_row(users=[{"id": 101}, {"id": 102}]), EXCHANGE, zones)
    assert plain.content_hash == pictured.content_hash != joined.content_hash


def test_a_legacy_event_type_names_the_field_that_is_missing():
    legacy = {"id": 1, "length": 30, "title": "x", "slug": "x", "hidden": False}
    with pytest.raises(ContractBroken, match="lengthInMinutes"):
        schemas.event_types([legacy], EXCHANGE, ScheduleZones([], "UTC"))


def slot_query(zone: str, first: date, last: date) -> SlotQuery:
    return SlotQuery(7, 30, zone, first, last)


@pytest.mark.parametrize(
    ("zone", "day", "start", "end"),
    [
        ("UTC", date(2026, 12, 1), "2026-12-01T00:00:00+00:00", "2026-12-01T23:59:59+00:00"),
        ("Europe/Berlin", date(2027, 3, 28), "2027-03-27T23:00:00+00:00", "2027-03-28T21:59:59+00:00"),
        ("Asia/Kolkata", date(2026, 12, 1), "2026-11-30T18:30:00+00:00", "2026-12-01T18:29:59+00:00"),
    ],
)
def test_whole_days_are_asked_for_in_their_own_zone(zone: str, day: date, start: str, end: str):
    first, last = whole_days(slot_query(zone, day, day))
    assert (first.isoformat(), last.isoformat()) == (start, end)


def test_a_day_without_a_key_is_an_empty_day():
    fetched = datetime(2026, 11, 30, tzinfo=UTC)
    answer = {"2026-12-01": [{"start": "2026-12-01T09:00:00.000+01:00"}]}
    query = slot_query("Europe/Berlin", date(2026, 12, 1), date(2026, 12, 2))
    first, second = schemas.slot_days(answer, query, fetched, EXCHANGE)
    assert first.slots[0].start == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert first.slots[0].start.utcoffset() == timedelta(0)
    assert second.slots == ()


def test_a_start_under_another_days_key_is_a_broken_contract():
    query = slot_query("UTC", date(2026, 12, 1), date(2026, 12, 2))
    with pytest.raises(ContractBroken, match="another day"):
        schemas.slot_days({"2026-12-01": [{"start": "2026-12-02T09:00:00.000Z"}]}, query, datetime.now(UTC), EXCHANGE)


ENVELOPED = b'{"status":"error","error":{"code":"X","message":"told enveloped","details":{}}}'
BARE = b'{"statusCode":400,"message":"told bare"}'
CODED = b'{"status":"error","message":"told coded","error":{"code":"booking_conflict_error"}}'


@pytest.mark.parametrize(
    ("status", "content", "kind", "said"),
    [
        (400, BARE, Rejected, "told bare"),
        (400, ENVELOPED, Rejected, "told enveloped"),
        (401, ENVELOPED, Unauthorized, "told enveloped"),
        (401, b'{"statusCode":401,"message":"booking_limit_reached"}', Rejected, "booking_limit_reached"),
        (403, ENVELOPED, Unauthorized, "told enveloped"),
        (404, ENVELOPED, NotFound, "told enveloped"),
        (409, BARE, Conflict, "told bare"),
        (409, CODED, Conflict, "told coded"),
        (498, BARE, Unauthorized, "told bare"),
        (500, b"<html>", TransientError, "500"),
        (503, b"", TransientError, "503"),
        (302, b"", ContractBroken, "302"),
        (418, b"[1]", Rejected, "418"),
        (403, b"<html>Access denied</html>", Rejected, "something that is not Cal.com's API answered 403"),
        (401, b"<html>Sign in</html>", Rejected, "something that is not Cal.com's API answered 401"),
        (407, b"", Rejected, "something that is not Cal.com's API answered 407"),
        (404, b"<html>Not found</html>", ContractBroken, "something that is not Cal.com's API answered 404"),
        (429, b"<html>Slow down</html>", RateLimited, "429"),
    ],
)
def test_a_status_and_any_shape_of_body_name_what_the_caller_may_do(
    status: int, content: bytes, kind: type[Exception], said: str
):
    error = error_of(status, content, {}, EXCHANGE)
    assert type(error) is kind
    assert said in str(error)


@pytest.mark.parametrize("status", [401, 403, 498])
def test_a_page_of_a_gateway_does_not_blame_the_key(status: int):
    error = error_of(status, b"<!doctype html><title>Blocked</title>", {}, EXCHANGE)
    assert "key" in error.advice
    assert "did not ask for the key" in error.advice
    assert "Blocked" not in str(error)


def test_a_429_says_when_to_come_back():
    named = {"X-RateLimit-Reset-Default": "17", "X-RateLimit-Reset-Slow": "4"}
    error = error_of(429, b"{}", named, EXCHANGE)
    assert isinstance(error, RateLimited)
    assert error.retry_after == 17
    for told, kept in (("0", 1), ("86400", 120), ("9" * 5000, 120)):
        bounded = error_of(429, b"{}", {"Retry-After": told}, EXCHANGE)
        assert isinstance(bounded, RateLimited)
        assert bounded.retry_after == kept
    unnamed = error_of(429, b"{}", {}, EXCHANGE)
    assert isinstance(unnamed, RateLimited)
    assert unnamed.retry_after == 60


def test_bearers_keys_and_addresses_never_get_into_an_error():
    body = b'{"statusCode":400,"message":"Bearer cal_live_abc for jo.doe+x@example.org was refused, key cal_123"}'
    error = error_of(400, body, {}, EXCHANGE)
    assert "cal_" not in str(error)
    assert "@" not in str(error)
    assert len(redacted("x" * 5000)) < 500
