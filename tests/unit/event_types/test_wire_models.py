"""What crosses the border from Cal.com's JSON to our values; rows as captured from a real server, by hand."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest

from calcom_pipeline.adapters.calcom import schemas
from calcom_pipeline.adapters.calcom.client import whole_days
from calcom_pipeline.adapters.calcom.schemas import ScheduleZones
from calcom_pipeline.adapters.calcom.slots import slot_days
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
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed, UnreadableRow
from calcom_pipeline.domain.models import Schedule, Team

EXCHANGE = Exchange("Testing")


def answered(data: Any) -> bytes:
    return orjson.dumps({"status": "success", "data": data})


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
    zones = ScheduleZones(Listed((Schedule(201, "Europe/Berlin", is_default=True),)), "UTC")
    team = Team(301, "support", "Support", "Asia/Kolkata")
    personal = schemas.event_type(event_type_row(), EXCHANGE, zones)
    team_row = event_type_row(ownerId=None, teamId=301, users=[], hosts=[{"userId": 102}, {"userId": 101}])
    teams_own = schemas.event_type(team_row, EXCHANGE, ScheduleZones.of_team(Listed(), team))
    assert (personal.owner, personal.schedule_zone, personal.host_ids) == (Owner("user", 101), "Europe/Berlin", (101,))
    assert (teams_own.owner, teams_own.schedule_zone) == (Owner("team", 301), "Asia/Kolkata")
    assert teams_own.host_ids == (101, 102)


def test_a_new_picture_of_a_host_is_no_change_of_the_event_type_but_a_new_host_is():
    zones = ScheduleZones(Listed(), "UTC")
    plain = schemas.event_type(event_type_row(), EXCHANGE, zones)
    pictured = schemas.event_type(event_type_row(users=[{"id": 101, "avatarUrl": "x"}]), EXCHANGE, zones)
    joined = schemas.event_type(event_type_row(users=[{"id": 101}, {"id": 102}]), EXCHANGE, zones)
    assert plain.content_hash == pictured.content_hash != joined.content_hash


def test_a_legacy_event_type_names_the_field_that_is_missing():
    legacy = [{"id": n, "length": 30, "title": "x", "slug": "x", "hidden": False} for n in range(3)]
    with pytest.raises(ContractBroken, match="lengthInMinutes"):
        schemas.event_types(answered(legacy), EXCHANGE, None)


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
    first, second = slot_days(answered(answer), query, fetched, EXCHANGE)
    assert first.slots[0].start == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert first.slots[0].start.utcoffset() == timedelta(0)
    assert second.slots == ()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ([{"start": "2026-12-02T09:00:00.000Z"}], "another day"),
        ([{"start": "2026-12-01T09:00:00"}], "no offset"),
        ([{"start": "soon"}], "no time"),
        ([{"start": "0001-01-01T00:00:00+14:00"}], "no time"),
        ([{"start": 7}], "start"),
        ([{"start": "2026-12-01T09:00:00Z", "seatsRemaining": 10**12}], "seatsRemaining"),
        ([{"start": "2026-12-01T09:00:00Z", "note": "a\0b"}], "NUL"),
        ({"a": []}, "list"),
        (None, "list"),
    ],
)
def test_a_day_that_cannot_be_read_is_put_away_and_the_others_land(entry: Any, reason: str):
    query = slot_query("UTC", date(2026, 12, 1), date(2026, 12, 3))
    good = [{"start": "2026-12-02T09:00:00.000Z"}, {"start": "2026-12-02T09:00:00.000Z"}]
    found = slot_days(answered({"2026-12-01": entry, "2026-12-02": good}), query, datetime.now(UTC), EXCHANGE)
    assert [(day.key.day.day, len(day.slots)) for day in found] == [(2, 1), (3, 0)]
    (odd,) = found.unreadable
    assert (odd.stream, odd.key) == ("slots", "7/30/UTC/2026-12-01")
    assert reason in odd.reason


def test_while_an_entry_stands_under_no_day_days_without_one_are_not_taken_for_empty():
    query = slot_query("UTC", date(2026, 12, 1), date(2026, 12, 2))
    data = {"2026-13-45": [], "2026-12-02": [{"start": "2026-12-02T09:00:00Z"}], "2027-01-01": []}
    found = slot_days(answered(data), query, datetime.now(UTC), EXCHANGE)
    assert [day.key.day.day for day in found] == [2]
    assert [(odd.key, odd.reason) for odd in found.unreadable] == [("7/30", "its key is no day")]


@pytest.mark.parametrize("data", [[], None, {"slots": {"2026-12-01": []}}])
def test_an_answer_without_days_is_a_broken_contract_and_no_empty_calendar(data: Any):
    query = slot_query("UTC", date(2026, 12, 1), date(2026, 12, 2))
    with pytest.raises(ContractBroken, match="starts by day"):
        slot_days(answered(data), query, datetime.now(UTC), EXCHANGE)


#: What can be wrong with one row of a list of event types, and what the reason names.
ODD_EVENT_TYPES: list[tuple[Any, str]] = [
    ({"price": 12.5}, "price"),
    ({"title": "a\0b"}, "NUL"),
    ({"metadata": {"deep": [{"\0": 1}]}}, "NUL"),
    ({"lengthInMinutes": 10**12}, "lengthInMinutes"),
    ({"lengthInMinutes": 0}, "lengthInMinutes"),
    ({"lengthInMinutesOptions": [30, 10**12]}, "lengthInMinutesOptions.1"),
    ({"minimumBookingNotice": -5}, "minimumBookingNotice"),
    ({"scheduleId": 2**63}, "scheduleId"),
    ({"id": 10**30}, "id"),
    ({"users": [{"id": "one"}]}, "users.0.id"),
    ({"users": 7}, "users"),
    ({"seats": {"seatsPerTimeSlot": "many"}}, "seats.seatsPerTimeSlot"),
    ({"seats": {"seatsPerTimeSlot": 10**12}}, "seats.seatsPerTimeSlot"),
    ({"bookingLimitsCount": 3}, "bookingLimitsCount"),
    ({"slug": "s" * 601}, "slug"),
    ({"hidden": "no"}, "hidden"),
]


@pytest.mark.parametrize(("changes", "reason"), ODD_EVENT_TYPES)
def test_a_row_that_cannot_be_read_is_put_away_and_the_others_land(changes: dict[str, Any], reason: str):
    rows = [event_type_row(), event_type_row(id=8, **{k: v for k, v in changes.items() if k != "id"})]
    if "id" in changes:
        rows[1]["id"] = changes["id"]
    found = schemas.event_types(b'{"data":' + json.dumps(rows).encode() + b"}", EXCHANGE, None)
    assert [e.id for e in found] == [7]
    (odd,) = found.unreadable
    assert reason in odd.reason
    assert odd.key == ("" if "id" in changes else "8")
    assert "many" not in odd.reason, "a reason never tells a value"


@pytest.mark.parametrize(
    "row",
    [b"7", b'"x"', b"null", b"[]", b'{"id":9,"title":"\xff"}', b'{"id":9,"x":NaN}', b'{"id":9,"title":"\\ud800"}'],
)
def test_nonsense_in_a_row_s_place_is_put_away_as_it_came(row: bytes):
    content = b'{"data":[' + row + b"," + orjson.dumps(event_type_row()) + b"]}"
    found = schemas.event_types(content, EXCHANGE, None)
    assert [e.id for e in found] == [7]
    assert [odd.raw for odd in found.unreadable] == [row]


def test_a_row_that_comes_twice_counts_once():
    rows = [event_type_row(), event_type_row(title="Later"), event_type_row(id=8)]
    found = schemas.event_types(answered(rows), EXCHANGE, None)
    assert [(e.id, e.title) for e in found] == [(7, "Repair"), (8, "Repair")]
    assert (found.repeated, found.shown) == (1, 3)


def test_teams_schedules_and_webhooks_are_read_row_by_row_too():
    hook = {"id": "a", "subscriberUrl": "https://x.example", "triggers": [], "active": True, "secret": "s3cret"}
    for read, good, odd, key in (
        (schemas.teams, {"id": 1, "name": "T"}, {"id": 2, "name": 7}, "2"),
        (schemas.schedules, {"id": 1, "timeZone": "UTC", "isDefault": True}, {"id": 2, "timeZone": None}, "2"),
        (schemas.webhooks, hook, {**hook, "id": "b", "triggers": "all"}, "b"),
    ):
        found = read(answered([good, odd, good]), EXCHANGE)
        assert (len(found), found.repeated) == (1, 1)
        assert [row.key for row in found.unreadable] == [key]
        assert b"s3cret" not in found.unreadable[0].raw


class TestScheduleZones:
    """Where an event type's zone comes from."""

    def read(self, zones: ScheduleZones, **changes: Any) -> Listed[EventType]:
        return schemas.event_types(answered([event_type_row(**changes)]), EXCHANGE, zones)

    @pytest.mark.parametrize(
        ("spelled", "kept"),
        [("europe/berlin", "Europe/Berlin"), ("EUROPE/BERLIN", "Europe/Berlin"), ("Mars/Olympus", "Mars/Olympus")],
    )
    def test_a_zone_in_another_spelling_is_that_zone_and_an_unknown_one_stays_as_it_is(self, spelled: str, kept: str):
        zones = ScheduleZones(Listed((Schedule(201, spelled, is_default=True),)), "UTC")
        assert [e.schedule_zone for e in self.read(zones)] == [kept]

    def test_a_schedule_that_the_list_lacks_is_looked_for_before_the_type_moves_to_another_zone(self):
        asked: list[int] = []

        def look(number: int) -> Schedule | None:
            asked.append(number)
            return Schedule(201, "Europe/Berlin", is_default=False) if number == 201 else None

        zones = ScheduleZones(Listed(), "UTC", default_id=202, look=look)
        assert [e.schedule_zone for e in self.read(zones, scheduleId=201)] == ["Europe/Berlin"]
        assert [e.schedule_zone for e in self.read(zones)] == ["UTC"]
        assert asked == [201, 202]

    def test_a_type_whose_schedule_cannot_be_read_is_put_away_with_it(self):
        odd = UnreadableRow("schedules", b"{}", "timeZone: is missing", "201")
        zones = ScheduleZones(Listed((), (odd,)), "UTC")
        found = self.read(zones, scheduleId=201)
        assert not found.rows
        assert [row.key for row in found.unreadable] == ["7", "201"]
        assert found.unreadable[0].reason == "its schedule 201 cannot be read: timeZone: is missing"


ENVELOPED = b'{"status":"error","error":{"code":"X","message":"told enveloped","details":{}}}'
BARE = b'{"statusCode":400,"message":"told bare"}'
CODED = b'{"status":"error","message":"told coded","error":{"code":"booking_conflict_error"}}'


def held(message: str) -> bytes:
    """How Cal.com refuses to hold a start."""
    return orjson.dumps({"status": "error", "error": {"code": "UnprocessableEntityException", "message": message}})


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
        (
            422,
            held("This time slot is already reserved by another user. Please choose a different time."),
            Conflict,
            "422",
        ),
        (422, held("Can't reserve a slot if the event is already booked."), Conflict, "422"),
        (422, held("Booking with id=6 at 2026-12-04T08:00:00Z has no more seats left."), Conflict, "422"),
        (422, held("Another rule"), Rejected, "422"),
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
