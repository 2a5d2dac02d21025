"""Where the stand-in once answered differently from the real server 6.1.11: event types, webhooks, people, bodies.

Each row was seen in a comparison of some thousand calls to both; what a row's kind brings besides is marked as a guess
in the code.
"""

from typing import Any

import pytest

from tests.sandbox.talking import Talker

_NEW = {"lengthInMinutes": 30, "title": "T", "slug": "t"}
_SEATS = {"seatsPerTimeSlot": 4, "showAttendeeInfo": True, "showAvailabilityCount": True}
_TEAM = "/teams/301/event-types"
_GONE: Any = object()


def _errors(calcom: Talker, method: str, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    reply = calcom.ask(method, path, body)
    assert (reply.status, reply.message) == (400, "Bad Request Exception"), reply.raw[:500]
    return reply.body["error"]["details"]["errors"]


# -- what is filled in, and what is left out


@pytest.mark.parametrize(
    ("path", "more"),
    [("/event-types", {}), (_TEAM, {"schedulingType": "collective", "hosts": [{"userId": 101}]})],
)
def test_a_type_without_locations_has_none(calcom: Talker, path, more):
    made = calcom.post(path, _NEW | more)
    assert (made.status, made.data["locations"]) == (201, [])
    assert calcom.get(f"{path}/{made.data['id']}").data["locations"] == []


def test_a_booking_of_a_type_without_locations_is_a_video_call(calcom: Talker):
    made = calcom.create_type(slug="nowhere")
    booked = calcom.booked(made["id"], "2026-11-23T09:00:00Z")
    assert booked["location"].endswith(f"/video/{booked['uid']}")


@pytest.mark.parametrize(
    ("sent", "member", "shown"),
    [
        ({"bookingLimitsDuration": {"day": "x"}}, "bookingLimitsDuration", _GONE),
        ({"bookingLimitsDuration": {"day": 60, "week": "x"}}, "bookingLimitsDuration", _GONE),
        ({"bookingLimitsCount": {"week": "x"}}, "bookingLimitsCount", _GONE),
        ({"bookingLimitsCount": {"disabled": True}}, "bookingLimitsCount", {}),
        ({"bookingLimitsDuration": {"day": 60, "disabled": True}}, "bookingLimitsDuration", {}),
        ({"bookingLimitsCount": {"day": 1, "disabled": False}}, "bookingLimitsCount", {"day": 1}),
        ({"bookingLimitsCount": {"day": 1, "fortnight": 9}}, "bookingLimitsCount", {"day": 1}),
        ({"color": {"lightThemeHex": "#fff"}}, "color", _GONE),
        ({"color": {"lightThemeHex": 1, "darkThemeHex": 2}}, "color", _GONE),
        ({"recurrence": {}}, "recurrence", None),
        ({"lengthInMinutes": 45.0}, "lengthInMinutes", 45),
    ],
)
def test_what_cannot_be_read_back_is_left_out(calcom: Talker, sent, member, shown):
    made = calcom.create_type(**sent)
    for answer in (made, calcom.get(f"/event-types/{made['id']}").data):
        assert answer.get(member, _GONE) == shown
        assert type(answer.get(member, _GONE)) is type(shown)


def test_limits_that_cannot_be_read_back_limit_nothing_and_replace_the_old_ones(calcom: Talker):
    made = calcom.create_type(slug="limited", bookingLimitsCount={"day": 1})
    calcom.booked(made["id"], "2026-11-23T09:00:00Z")
    assert calcom.book(made["id"], "2026-11-23T11:00:00Z").status == 401
    assert (
        "bookingLimitsCount"
        not in calcom.patch(f"/event-types/{made['id']}", {"bookingLimitsCount": {"day": "x"}}).data
    )
    calcom.booked(made["id"], "2026-11-23T11:00:00Z")


@pytest.mark.parametrize("seats", [{}, {"disabled": False}, {"foo": 1}, []])
def test_seats_that_say_nothing_change_nothing(calcom: Talker, seats):
    before = calcom.get("/event-types/6").data
    assert calcom.patch("/event-types/6", {"seats": seats}).data == before
    assert calcom.patch("/event-types/1", {"seats": seats}).data["seats"] == {"disabled": True}
    assert calcom.create_type(seats=seats)["seats"] == {"disabled": True}


@pytest.mark.parametrize("seats", [{"disabled": True}, _SEATS | {"disabled": True}])
def test_seats_are_taken_away(calcom: Talker, seats):
    assert calcom.patch("/event-types/6", {"seats": seats}).data["seats"] == {"disabled": True}


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        (f"{_TEAM}/8", {"bannerUrl", "brandColor", "darkBrandColor"}),
        ("/event-types/8", set()),
    ],
)
def test_a_teams_read_of_one_type_shows_a_part_of_the_team(calcom: Talker, path, missing):
    listed = next(one for one in calcom.get(_TEAM).data if one["id"] == 8)["team"]
    assert set(listed) - set(calcom.get(path).data["team"]) == missing


# -- errors inside members


def test_a_series_lists_each_error_twice_and_shows_what_was_filled_in(calcom: Talker):
    (error,) = _errors(calcom, "POST", "/event-types", _NEW | {"recurrence": {"interval": 0}})
    target = {"disabled": False, "interval": 0}
    assert (error["property"], error["value"], "constraints" in error) == ("recurrence", target, False)
    assert [child["property"] for child in error["children"]] == ["occurrences", "frequency"] * 2
    assert all(child["target"] == target for child in error["children"])
    assert list(error["children"][0]["target"]) == ["disabled", "interval"]


def test_seats_list_each_error_once_and_show_what_was_filled_in(calcom: Talker):
    (error,) = _errors(calcom, "PATCH", "/event-types/1", {"seats": {"seatsPerTimeSlot": 0}})
    assert error["value"] == {"disabled": False, "seatsPerTimeSlot": 0}
    assert [child["property"] for child in error["children"]] == [
        "seatsPerTimeSlot",
        "showAttendeeInfo",
        "showAvailabilityCount",
    ]


@pytest.mark.parametrize(
    ("body", "constraints"),
    [
        ({"confirmationPolicy": {}}, {"ConfirmationPolicyValidator"}),
        ({"bookingWindow": {}}, {"ValidateBookingWindow"}),
        ({"bookingLimitsCount": {"day": 2, "week": 1}}, {"ValidateBookingLimitsCount"}),
        ({"bookingLimitsDuration": {"day": 90, "week": 60}}, {"ValidateBookingLimistsDuration"}),
        ({"recurrence": "x"}, {"nestedValidation"}),
        ({"seats": 5}, {"nestedValidation"}),
        ({"calVideoSettings": "x"}, {"nestedValidation"}),
        ({"lengthInMinutesOptions": 15}, {"arrayUnique", "arrayNotEmpty", "isArray"}),
        ({"lengthInMinutesOptions": "x"}, {"min", "isInt", "arrayUnique", "arrayNotEmpty", "isArray"}),
    ],
)
def test_constraints_have_the_validators_names(calcom: Talker, body, constraints):
    (error,) = _errors(calcom, "POST", "/event-types", _NEW | body)
    assert set(error["constraints"]) == constraints


def test_layouts_name_what_is_wrong_with_each_of_them(calcom: Talker):
    layouts = {"defaultLayout": "day", "enabledLayouts": ["month", "year"]}
    (error,) = _errors(calcom, "POST", "/event-types", _NEW | {"bookerLayouts": layouts})
    assert [list(child["constraints"]) for child in error["children"]] == [
        ["isEnum", "IsValidLayout", "isDefaultLayoutWithinEnabledLayouts"],
        ["isEnum", "IsValidLayout"],
    ]


def test_a_host_that_is_no_object_is_named_by_its_place(calcom: Talker):
    body = _NEW | {"schedulingType": "roundRobin", "hosts": [{"userId": 101}, 5, {"userId": "x"}]}
    (error,) = _errors(calcom, "POST", _TEAM, body)
    assert [child["property"] for child in error["children"]] == ["1", "2"]
    assert error["children"][0]["constraints"] == {
        "nestedValidation": "each value in nested property hosts must be either object or array"
    }
    assert error["children"][1]["children"][0]["property"] == "userId"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"recurrence": {"interval": 1}, "bookerActiveBookingsLimit": {"offerReschedule": True}},
            "Can't have `recurrence` and `bookerActiveBookingsLimit` enabled at the same time",
        ),
        ({"bookerActiveBookingsLimit": {"disabled": False}}, "When disabled is false {disabled: false} at least one"),
    ],
)
def test_some_combinations_are_refused_in_a_sentence_before_anything_else(calcom: Talker, body, message):
    reply = calcom.post("/event-types", _NEW | {"title": 5} | body)
    assert (reply.status, reply.message[: len(message)]) == (400, message)
    assert reply.body["error"]["details"]["error"] == "Bad Request"


@pytest.mark.parametrize(
    ("triggers", "constraints"),
    [
        ("BOOKING_CREATED", ["isArray"]),
        ("NOPE", ["isEnum", "isArray"]),
        (["NOPE"], ["isEnum"]),
        (None, ["isEnum", "isArray"]),
    ],
)
def test_triggers_that_are_no_list_are_looked_at_themselves(calcom: Talker, triggers, constraints):
    body = {"active": True, "subscriberUrl": "https://example.org", "triggers": triggers}
    (error,) = _errors(calcom, "POST", "/webhooks", body)
    assert list(error["constraints"]) == constraints


# -- what the database refuses


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/event-types", _NEW | {"title": "a\0b"}),
        ("/event-types", _NEW | {"bookingWindow": {"type": "range", "value": ["2026-12-01"]}}),
        ("/event-types", _NEW | {"bookingWindow": {"type": "calendarDays", "value": 2.5}}),
        ("/event-types", _NEW | {"bookingWindow": {"type": "calendarDays", "value": 10**12}}),
        ("/webhooks", {"active": True, "subscriberUrl": "https://example.org/\0", "triggers": ["BOOKING_CREATED"]}),
    ],
)
def test_what_the_database_refuses_is_500_and_writes_nothing(calcom: Talker, path, body):
    before = calcom.get(path, sortCreatedAt="asc").data
    reply = calcom.post(path, body)
    assert (reply.status, reply.body["error"]["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert calcom.get(path, sortCreatedAt="asc").data == before


# -- the old shapes


@pytest.mark.parametrize("version", [None, "2024-04-15", "2024-06-11", "1999-01-01"])
def test_an_own_type_is_read_in_the_old_shape_and_then_no_more(calcom: Talker, version):
    data = calcom.get("/event-types/2", version=version).data
    assert (data["eventType"]["id"], data["eventType"]["length"]) == (2, 30)
    assert data["currentUserMembership"] is None
    gone = calcom.delete("/event-types/2", version=version)
    assert gone.data == {"id": 2, "length": 30, "slug": "consult-30", "title": "30 min meeting"}
    after = calcom.get("/event-types/2", version=version)
    assert (after.status, after.body["error"]["code"], after.message) == (404, "TRPCError", "NOT_FOUND")


@pytest.mark.parametrize(
    ("key", "event_type_id", "status"),
    [("alice", "8", 403), ("bob", "2", 404), ("bob", "11", 200), ("alice", "x", 400), (None, "2", 403)],
)
def test_the_old_read_tells_own_types_from_others(calcom: Talker, key, event_type_id, status):
    assert calcom.get(f"/event-types/{event_type_id}", key=key, version=None).status == status


@pytest.mark.parametrize("version", [None, "2024-04-15", "2024-08-13", "2024-06-14"])
def test_calendars_are_there_in_every_version(calcom: Talker, version):
    assert calcom.get("/calendars", version=version).data == {"connectedCalendars": [], "destinationCalendar": {}}


@pytest.mark.parametrize("path", ["/calendars", "/schedules/default", "/schedules/201"])
@pytest.mark.parametrize(
    ("key", "status", "message"),
    [
        ("alice", 200, None),
        ("garbage", 401, "Invalid Access Token."),
        (None, 401, "ApiAuthStrategy - No authentication method provided."),
    ],
)
def test_routes_are_there_without_a_version_and_ask_for_the_key(calcom: Talker, path, key, status, message):
    reply = calcom.get(path, key=key, version=None)
    assert reply.status == status
    assert message is None or reply.message.startswith(message)


def test_the_old_default_schedule_has_the_shape_of_the_old_list(calcom: Talker):
    (listed,) = calcom.get("/schedules", version=None).data
    assert calcom.get("/schedules/default", version=None).data == listed
    assert calcom.get("/schedules/201", version=None).data == listed
    assert calcom.get("/schedules/202", version=None).status == 403


# -- bodies that are no JSON


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "Expected property name or '}' in JSON at position 1"),
        (b'{"start": ', "Unexpected end of JSON input"),
        (b"{a:1}", "Expected property name or '}' in JSON at position 1"),
        (b'{"a":1,}', "Expected double-quoted property name in JSON at position 7"),
        (b'{"a" 1}', "Expected ':' after property name in JSON at position 5"),
        (b'{"a":1 "b":2}', "Expected ',' or '}' after property value in JSON at position 7"),
        (b"[1 2]", "Expected ',' or ']' after array element in JSON at position 3"),
        (b"[1,]", "Unexpected token ']', \"[1,]\" is not valid JSON"),
        (b'{"a":1}}', "Unexpected non-whitespace character after JSON at position 7"),
        (b'{"a":"b', "Unterminated string in JSON at position 7"),
        (b'{"a":"\n"}', "Bad control character in string literal in JSON at position 6"),
        (b'{"a":"\\x"}', "Bad escaped character in JSON at position 7"),
        (b'{"a":"\\u00g0"}', "Bad Unicode escape in JSON at position 10"),
        (b'{"a":-}', "No number after minus sign in JSON at position 6"),
        (b'{"a":01}', "Unexpected number in JSON at position 6"),
        (b'{"a":1.}', "Unterminated fractional number in JSON at position 7"),
        (b'{"a":1e}', "Exponent part is missing a number in JSON at position 7"),
        (b'{"a":nil}', 'Unexpected token \'i\', "{"a":nil}" is not valid JSON'),
        (b'{"a": undefined, "b": 2}', 'Unexpected token \'u\', "{"a": undefined,"... is not valid JSON'),
        (
            b'{"a": 1, "bcdefghij": k, "l": 20}',
            'Unexpected token \'k\', ..."defghij": k, "l": 20"... is not valid JSON',
        ),
        (b'{"a": 1, "bcdefghij": k}', 'Unexpected token \'k\', ..."defghij": k}" is not valid JSON'),
        (b"nonsense", "Unexpected token 'n', \"nonsense\" is not valid JSON"),
        (b"  ", "Unexpected end of JSON input"),
    ],
)
def test_a_body_that_is_no_json_is_named_as_v8_names_it(calcom: Talker, raw, message):
    reply = calcom.ask("POST", "/bookings", raw)
    assert (reply.status, reply.message) == (400, message)
