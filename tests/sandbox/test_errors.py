"""The three shapes of errors and who refuses unknown fields. Fact sheet 2.2, 2.3, 9.15 to 9.18."""

import gzip
import json

import pytest

from tests.sandbox.talking import NEW_BOOKINGS, Talker

_FREE = {"start": "2026-11-23T08:00:00Z", "eventTypeId": 2}
_CAROL = {"name": "Carol", "email": "carol@example.org", "timeZone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("take=500", "take"),
        ("take=0", "take"),
        ("take=abc", "take"),
        ("skip=-1", "skip"),
        ("sortStart=up", "sortStart"),
        ("sortUpdatedAt=ASC", "sortUpdatedAt"),
        ("afterUpdatedAt=yesterday", "afterUpdatedAt"),
        ("beforeEnd=2026-02-30T00:00:00Z", "beforeEnd"),
        ("status=", "status"),
        ("status=upcoming,nonsense", "status"),
        ("eventTypeIds=a,b", "eventTypeIds"),
        ("eventTypeId=x", "eventTypeId"),
    ],
)
def test_a_wrong_value_in_the_booking_list_names_its_property(calcom: Talker, query, wrong):
    reply = calcom.get(f"/bookings?{query}")
    assert reply.status == 400
    error = reply.body["error"]
    assert (error["code"], error["message"]) == ("BadRequestException", "Bad Request Exception")
    found = error["details"]["errors"]
    assert [one["property"] for one in found] == [wrong]
    assert found[0]["constraints"]
    assert reply.body["path"] == f"/v2/bookings?{query}"


@pytest.mark.parametrize(
    "query", ["foo=1", "teamIds=1", "updatedAfter=2030-01-01T00:00:00Z", "sortUpdated=asc", "limit=1"]
)
def test_an_unknown_parameter_of_the_booking_list_returns_everything(calcom: Talker, query):
    for hour in ("08", "09"):
        calcom.booked(2, f"2026-11-23T{hour}:00:00Z")
    reply = calcom.get(f"/bookings?{query}")
    assert len(reply.data) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"foo": 1}, "foo property is wrong,property foo should not exist "),
        ({"allowConflicts": True}, "allowConflicts property is wrong,property allowConflicts should not exist "),
        ({"start": "soon"}, "start property is wrong,start must be a valid ISO 8601 date string "),
        ({"eventTypeId": "2"}, "eventTypeId property is wrong,eventTypeId must be an integer number "),
        (
            {"metadata": {str(n): "x" for n in range(51)}},
            "metadata property is wrong,Metadata must have at most 50 keys",
        ),
        ({"metadata": {"k" * 41: "x"}}, "metadata property is wrong,Metadata must have at most 50 keys"),
        ({"metadata": {"k": "x" * 501}}, "metadata property is wrong,Metadata must have at most 50 keys"),
        ({"lengthInMinutes": 0}, "lengthInMinutes property is wrong,lengthInMinutes must not be less than 1 "),
        ({"guests": "a@example.org"}, "guests property is wrong,guests must be an array "),
    ],
)
def test_a_booking_body_is_refused_in_one_sentence(calcom: Talker, body, message):
    reply = calcom.post("/bookings", _FREE | {"attendee": _CAROL} | body)
    assert reply.status == 400
    assert reply.message.startswith(message)


def test_metadata_at_its_limits_passes(calcom: Talker):
    metadata = {f"key-{number}": "x" * 500 for number in range(50)}
    assert calcom.post("/bookings", _FREE | {"attendee": _CAROL, "metadata": metadata}).data["metadata"] == metadata


@pytest.mark.parametrize(
    ("attendee", "message"),
    [
        ({"name": "C", "timeZone": "Europe/Berlin"}, "Attendee must have at least one contact method"),
        ({"name": "C", "email": "c@example.org"}, "timeZone must be a valid IANA time-zone"),
        (
            {"name": "C", "email": "c@example.org", "timeZone": "Mars/Olympus"},
            "timeZone must be a valid IANA time-zone",
        ),
        ({"email": "c@example.org", "timeZone": "UTC"}, "name must be a string"),
        ({"name": "C", "email": "c@example.org", "timeZone": "UTC", "language": "xx"}, "language must be one of"),
    ],
)
def test_a_wrong_attendee_is_named(calcom: Talker, attendee, message):
    reply = calcom.post("/bookings", _FREE | {"attendee": attendee})
    assert reply.status == 400
    assert reply.message.startswith("attendee")
    assert message in reply.message


def test_a_booking_without_an_event_type_says_how_one_is_named(calcom: Talker):
    reply = calcom.post("/bookings", {"start": _FREE["start"], "attendee": _CAROL})
    assert (
        "Either eventTypeId or eventTypeSlug + username or eventTypeSlug + teamSlug must be provided" in reply.message
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("eventTypeId=2&start=2026-11-23&end=2026-11-23&foo=1", "foo property is wrong,property foo should not exist "),
        ("eventTypeId=2&username=alice&start=2026-11-23&end=2026-11-23", "username property is wrong"),
        ("eventTypeId=2&start=2026-11-23", "end property is wrong,end must be a valid ISO 8601 date string "),
        ("eventTypeId=2&start=x&end=y", "start property is wrong,start must be a valid ISO 8601 date string "),
        (
            "eventTypeId=2&start=2026-11-23&end=2026-11-23&format=x",
            "format property is wrong,slotFormat must be either",
        ),
        ("eventTypeId=2&start=2026-11-23&end=2026-11-23&timeZone=Nowhere", "timeZone property is wrong"),
        (
            "eventTypeId=abc&start=2026-11-23&end=2026-11-23",
            "eventTypeId property is wrong,eventTypeId must be a number",
        ),
        (
            "eventTypeId=2&start=2026-11-23&end=2026-11-23&duration=x",
            "duration property is wrong,duration must be a number",
        ),
    ],
)
def test_the_slots_query_is_refused_in_one_sentence(calcom: Talker, query, message):
    reply = calcom.get(f"/slots?{query}", key=None)
    assert reply.status == 400
    assert reply.message.startswith(message)


def test_unknown_members_of_an_event_type_vanish_without_notice(calcom: Talker):
    made = calcom.create_type(price=99, currency="eur", metadata={"a": 1}, foo=1, id=77, users=[1])
    assert (made["price"], made["currency"], made["metadata"]) == (0, "usd", {})
    assert "foo" not in made
    assert made["id"] != 77


@pytest.mark.parametrize("raw", [b"{", b'{"a":}', b"[1,2", b"nonsense", b'"text"', b'{"a":1}}', b"\xff\xfe"])
def test_a_body_that_is_no_json_is_400_in_the_common_shape_without_quota(calcom: Talker, raw):
    reply = calcom.ask("POST", "/bookings", raw)
    assert reply.status == 400
    assert reply.body["error"]["code"] == "BadRequestException"
    assert reply.body["status"] == "error"


@pytest.mark.parametrize("body", [b"[]", b"", b"null"])
def test_a_body_without_members_lacks_what_is_required(calcom: Talker, body):
    assert calcom.ask("POST", "/bookings", body).status == 400


def test_a_body_over_100_kb_is_refused(calcom: Talker):
    reply = calcom.post("/bookings", _FREE | {"attendee": _CAROL, "metadata": {"k": "x" * 110_000}})
    assert reply.status == 413
    packed = gzip.compress(json.dumps({"k": "x" * 200_000}).encode())
    assert calcom.ask("POST", "/bookings", packed, headers={"Content-Encoding": "gzip"}).status == 413


def test_a_packed_body_is_read_and_an_unknown_packing_refused(calcom: Talker):
    packed = gzip.compress(json.dumps(_FREE | {"attendee": _CAROL}).encode())
    assert calcom.ask("POST", "/bookings", packed, headers={"Content-Encoding": "gzip"}).status == 201
    assert calcom.ask("POST", "/bookings", packed, headers={"Content-Encoding": "br"}).status == 415
    assert calcom.ask("POST", "/bookings", b"no gzip", headers={"Content-Encoding": "gzip"}).status == 400


def test_a_form_is_a_body_and_another_type_is_none(calcom: Talker):
    form = b"active=true&subscriberUrl=https%3A%2F%2Fexample.org&triggers[]=BOOKING_CREATED"
    reply = calcom.ask("POST", "/webhooks", form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    wrong = [one["property"] for one in reply.body["error"]["details"]["errors"]]
    assert wrong == ["active"]  # a form's values are texts
    assert calcom.ask("POST", "/webhooks", b"{}", headers={"Content-Type": "text/plain"}).status == 400


def test_the_hosts_flags_exist_in_the_newest_version_alone(calcom: Talker):
    calcom.booked(2, _FREE["start"])
    again = _FREE | {"attendee": _CAROL, "allowConflicts": True}
    assert calcom.post("/bookings", again, version=NEW_BOOKINGS).status == 201
    assert calcom.post("/bookings", again, version=NEW_BOOKINGS, key=None).status == 400  # nobody's flag is ignored
