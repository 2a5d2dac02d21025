"""What crosses the border in a list of bookings, and what becomes of rows that cannot be read."""

from datetime import UTC
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.adapters.calcom.bookings.lists import parameters_of, path_of
from calcom_pipeline.adapters.calcom.bookings.rows import booking_page, one_booking, replayed
from calcom_pipeline.domain.bookings.listing import BookingPage, BookingQuery, Listing, Unreadable
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.errors import ContractBroken
from tests.support.booking_rows import EXCHANGE, NOW, answer, attendee, page, row


def raw_page(content: bytes) -> BookingPage:
    return booking_page(content, EXCHANGE, answered_at=NOW, sent_at=NOW)


def test_a_booking_is_read_whole():
    (booking,) = page(row()).bookings
    assert (booking.uid, booking.event_type_slug, booking.start.tzinfo) == ("abc", "repair", UTC)
    assert (booking.hosts[0].id, booking.attendees[0].email) == (101, "carol@example.org")
    assert orjson.loads(booking.raw) == row()


def test_the_order_of_keys_makes_no_other_booking():
    one, other = page(row(), dict(reversed(row().items()))).bookings
    assert one.payload_hash == other.payload_hash


def test_nothing_of_a_person_is_in_a_representation():
    booking, (unreadable,) = page(row()).bookings[0], page({**row(), "start": "never"}).unreadable
    assert "arol" not in repr(booking) + repr(unreadable)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"uid": ""}, "uid: is empty"),
        ({"uid": None}, "uid: is no text"),
        ({"uid": "u" * 601}, "uid: is longer"),
        ({"start": "yesterday"}, "start: is no time between"),
        ({"start": None}, "start: is no text"),
        ({"start": 7}, "start: is no text"),
        ({"start": "0001-01-01T00:00:00+02:00"}, "start: is no time between"),
        ({"end": "+010000-01-01T00:00:00.000Z"}, "end: is no time between"),
        ({"status": "dreaming"}, "status"),
        ({"status": ["accepted"]}, "status"),
        ({"id": "seven"}, "id: is no whole number"),
        ({"id": 2**63}, "id: is no whole number of 64 bits"),
        ({"id": True}, "id: is no whole number"),
        ({"eventTypeId": "7", "eventType": None}, "eventTypeId"),
        ({"eventType": {"id": "7"}}, "eventType: id: is no whole number"),
        ({"eventType": 7}, "eventType: is no object"),
        ({"attendees": None}, "attendees: is no list"),
        ({"attendees": [attendee("Carol", absent="perhaps")]}, "attendees: absent: is no flag"),
        ({"attendees": ["Carol"]}, "attendees: is no object"),
        ({"attendees": [attendee("Carol", email="e" * 601)]}, "attendees: email: is longer"),
        ({"hosts": [{"id": "no number"}]}, "hosts: id: is no whole number"),
        ({"title": "with\x00NUL"}, "NUL"),
        ({"metadata": {"with\x00NUL": 1}}, "NUL"),
        ({"title": 7}, "title: is no text"),
        ({"absentHost": "no"}, "absentHost"),
    ],
)
def test_a_row_that_cannot_be_read_is_handed_on_and_the_others_are_read(changes: dict[str, Any], reason: str):
    found = page({**row(), **changes}, row(uid="other"))
    assert [b.uid for b in found.bookings] == ["other"]
    (unreadable,) = found.unreadable
    assert reason in unreadable.reason
    assert "@" not in unreadable.reason
    assert orjson.loads(unreadable.raw) == {**row(), **changes}


@pytest.mark.parametrize(
    "name", ["id", "uid", "status", "start", "end", "createdAt", "updatedAt", "attendees", "hosts"]
)
def test_a_field_that_is_missing_is_no_default(name: str):
    incomplete = {key: value for key, value in row().items() if key != name}
    found = page(incomplete, row(uid="other"))
    assert [r.reason.partition(":")[0] for r in found.unreadable] == [name]


@pytest.mark.parametrize(
    "changes",
    [
        {"updatedAt": None},
        {"eventType": None, "eventTypeId": None},
        {"description": "x" * 1_000_000},
        {"start": "0001-01-01T00:00:00.000Z"},
        {"end": "9999-12-31T23:59:59.999Z"},
        {"hosts": [dict.fromkeys(("id", "name", "email", "username", "timeZone"), "unknown")]},
        {"hosts": [], "attendees": []},
        {"title": "C:\\u0000"},
        {"metadata": {"deep": [[[[{"er": None}]]]], "number": 1.5}},
        {"location": None, "rating": 5, "guests": ["g@example.org"]},
    ],
)
def test_what_is_only_odd_is_read(changes: dict[str, Any]):
    found = page({**row(), **changes})
    assert found.unreadable == []
    assert len(found.bookings) == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "email", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


class TestAnyValueInAnyField:
    """What is refused in C has its reason found in Python; both must mean the same, whatever is in a row."""

    @given(st.sampled_from(sorted(row())), _JSON)
    def test_a_row_is_read_or_the_field_that_is_wrong_is_named(self, name: str, value: Any):
        found = page({**row(), name: value}, row(uid="other"))
        reasons = [record.reason.partition(":")[0] for record in found.unreadable]
        assert reasons in ([], [name], ["eventTypeId"] if name == "eventType" else [name])

    @given(st.dictionaries(st.sampled_from(sorted(row())), _JSON, min_size=2, max_size=5))
    def test_the_order_of_fields_changes_neither_verdict_nor_reason(self, changes: dict[str, Any]):
        one = {**row(), **changes}
        found = [page(each, row(uid="other")) for each in (one, dict(reversed(one.items())))]
        assert found[0].bookings == found[1].bookings
        assert found[0].unreadable == found[1].unreadable


def test_of_several_faults_the_row_s_own_is_told_first_then_its_attendees_then_its_hosts():
    faults = {"hosts": [{"name": 7}], "attendees": [attendee("Carol", absent="perhaps")], "status": "dreaming"}
    reasons: list[str] = []
    for name in ("status", "attendees", "hosts"):
        reasons += [record.reason for record in page({**row(), **faults}, row(uid="other")).unreadable]
        del faults[name]
    assert [reason.partition(":")[0] for reason in reasons] == ["status", "attendees", "hosts"]


def test_an_unreadable_row_keeps_the_keys_it_has():
    (record,) = page({**row(), "status": 7}).unreadable
    assert (record.keys.uid, record.keys.start, record.keys.updated_at) == ("abc", NOW, NOW)


def test_a_booking_without_organizer_has_a_host_without_id():
    unknown = dict.fromkeys(("id", "name", "email", "username", "timeZone"), "unknown")
    (booking,) = page(row(hosts=[unknown])).bookings
    assert booking.hosts[0].id is None


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"Carol's bike", b"Carol's \xff\xfe bike"),
        (b"Carol's bike", b"half a pair \\ud800"),
        (b'"duration":30', b'"duration":NaN'),
        (b'"duration":30', b'"duration":1e999'),
    ],
)
def test_a_row_that_is_no_json_to_the_letter_goes_alone(good: bytes, bad: bytes):
    content = answer(row(), row(uid="other"), row(uid="third")).replace(good, bad, 1)
    found = raw_page(content)
    assert [b.uid for b in found.bookings] == ["other", "third"]
    assert [(r.keys.uid, "no valid JSON" in r.reason) for r in found.unreadable] == [("abc", True)]
    assert b"\xff\xfe" not in bad or b"\xff\xfe" in found.unreadable[0].raw


@pytest.mark.parametrize("levels", [260, 600, 1015])
def test_a_row_that_is_nested_too_deeply_goes_alone(levels: int):
    deep = orjson.dumps(row("deep"))[:-1] + b',"metadata":' + b"[" * levels + b"]" * levels + b"}"
    content = b'{"pagination":{},"data":[' + orjson.dumps(row("good")) + b"," + deep + b"]}"
    found = raw_page(content)
    assert [b.uid for b in found.bookings] == ["good"]
    assert [(r.reason, r.keys.uid) for r in found.unreadable] == [("is nested too deeply", "deep")]
    assert isinstance(replayed(found.unreadable[0].raw), Unreadable)


@pytest.mark.parametrize("odd", [None, 7, "x", [], [1]])
def test_a_row_that_is_no_object_is_unreadable_too(odd: Any):
    found = page(odd, row())
    assert [r.reason for r in found.unreadable] == ["row: is no object"]


@pytest.mark.parametrize(
    "content",
    [
        b'{"status":"success","data":{"bookings":[],"nextCursor":null}}',
        b'{"status":"success","data":[]}',
        b'{"data":null,"pagination":{}}',
        b"[]",
        b'"nothing"',
        b"",
        b"<html>",
        b'{"status":"success","data":[{"id":1',
        b"[" * 5_000,
    ],
)
def test_the_legacy_list_and_anything_else_is_a_broken_contract(content: bytes):
    with pytest.raises(ContractBroken):
        raw_page(content)


def test_a_page_whose_rows_all_fail_alike_is_another_shape_and_nothing_of_it_is_used():
    renamed = [{**row(uid=f"u{n}"), "startTime": "x"} for n in range(3)]
    for one in renamed:
        del one["start"]
    with pytest.raises(ContractBroken, match="start: is missing"):
        page(*renamed)
    assert len(page(*renamed[:2]).unreadable) == 2
    assert len(page(*renamed, row()).unreadable) == 3


@pytest.mark.parametrize(
    "changes", [{"title": "half\x00a title"}, {"start": "never"}, {"status": "dreaming"}, {"id": 2**63}]
)
def test_values_that_are_wrong_alike_are_no_other_shape(changes: dict[str, Any]):
    found = page(*({**row(uid=f"u{n}"), **changes} for n in range(20)))
    assert (len(found.bookings), len(found.unreadable)) == (0, 20)


def test_fields_that_nobody_knows_are_kept_and_counted():
    found = page(row(newField=1), row(uid="b", newField=2, other={}), row(uid="c"))
    assert found.unknown_fields == {"newField": 2, "other": 1}
    assert orjson.loads(found.bookings[0].raw)["newField"] == 1


def test_the_total_is_handed_on_as_it_came():
    assert raw_page(answer(row(), total=700)).total == 700
    assert raw_page(b'{"data":[],"pagination":{}}').total is None


class TestOneByUid:
    def test_a_booking(self):
        found = one_booking(orjson.dumps({"status": "success", "data": row()}), "abc", EXCHANGE)
        assert isinstance(found, Booking)

    def test_one_of_a_series(self):
        series = orjson.dumps({"status": "success", "data": [row(uid="other"), row()]})
        found = one_booking(series, "abc", EXCHANGE)
        assert isinstance(found, Booking)
        assert found.uid == "abc"

    def test_one_that_cannot_be_read(self):
        found = one_booking(orjson.dumps({"data": {**row(), "start": 7}}), "abc", EXCHANGE)
        assert isinstance(found, Unreadable)

    @pytest.mark.parametrize("data", [None, [], {}, [None], row(uid="other")])
    def test_another_one_breaks_the_contract(self, data: Any):
        with pytest.raises(ContractBroken):
            one_booking(orjson.dumps({"status": "success", "data": data}), "abc", EXCHANGE)


def test_a_record_is_read_once_more_when_it_is_replayed():
    assert isinstance(replayed(orjson.dumps(row())), Booking)
    assert isinstance(replayed(orjson.dumps({**row(), "id": None})), Unreadable)
    assert isinstance(replayed(b"\xff"), Unreadable)


@pytest.mark.parametrize(
    ("listing", "path"),
    [
        (Listing(), "/bookings"),
        (Listing("team", 301), "/teams/301/bookings"),
        (Listing("organization", 5), "/organizations/5/bookings"),
    ],
)
def test_every_listing_has_its_route(listing: Listing, path: str):
    assert path_of(listing) == path


def test_a_query_names_its_parameters_as_cal_com_does():
    query = BookingQuery(
        sort="createdAt", after_updated_at=NOW, before_updated_at=NOW, after_created_at=NOW, before_created_at=NOW,
        after_start=NOW, before_end=NOW, event_type_id=7, uid="abc", take=10, skip=20,
    )  # fmt: skip
    at = "2026-12-01T08:00:00.000Z"
    assert parameters_of(query) == {
        "afterUpdatedAt": at,
        "beforeUpdatedAt": at,
        "afterCreatedAt": at,
        "beforeCreatedAt": at,
        "afterStart": at,
        "beforeEnd": at,
        "sortCreated": "asc",
        "take": 10,
        "skip": 20,
        "eventTypeId": 7,
        "bookingUid": "abc",
    }
    assert parameters_of(BookingQuery()) == {"sortUpdatedAt": "asc", "take": 250}
