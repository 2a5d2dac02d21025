"""Input rules of bookings: every spelling, every limit, everything wrong said at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.domain.bookings.requests import (
    KEY_NAME,
    BookingRequest,
    BookingRules,
    booking_request,
    booking_uid,
    new_start,
    reason_text,
)
from calcom_pipeline.domain.cleaning import many_lines, one_line
from calcom_pipeline.domain.errors import InvalidInput

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
RULES = BookingRules(now=NOW, default_zone="Europe/Berlin")
FLAT = {"eventTypeId": 2, "start": "2026-12-02T10:00:00Z", "name": "Carol", "email": "carol@example.org"}


def read(**changes: Any) -> BookingRequest:
    details = {name: value for name, value in {**FLAT, **changes}.items() if value is not ...}
    return booking_request(details, RULES)


def problems(**changes: Any) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        read(**changes)
    return refused.value.problems


@pytest.mark.parametrize(
    "details",
    [
        FLAT,
        {"event_type_id": "2", "startTime": "2026-12-02T10:00:00Z", "name": "Carol", "email": "carol@example.org"},
        {
            "eventTypeId": 2,
            "start": "2026-12-02T11:00:00+01:00",
            "responses": {"name": "Carol", "email": "carol@example.org"},
        },
        {
            "eventTypeId": 2,
            "start": datetime(2026, 12, 2, 10, tzinfo=UTC),
            "attendee": {"name": "Carol", "email": "carol@example.org", "timeZone": "Europe/Berlin"},
        },
        {"eventTypeId": 2, "start": "2026-12-02T11:00", "timeZone": "Europe/Berlin"}
        | {"responses": {"name": {"firstName": "Carol", "lastName": ""}, "email": "carol@example.org"}},
    ],
)
def test_flat_nested_and_both_spellings_mean_the_same_booking(details: dict[str, Any]):
    request = booking_request(details, RULES)
    assert (request.event_type_id, request.start) == (2, datetime(2026, 12, 2, 10, tzinfo=UTC))
    assert (request.attendee.name, request.attendee.email) == ("Carol", "carol@example.org")
    assert request.attendee.time_zone == "Europe/Berlin"


def test_everything_wrong_is_said_at_once_and_no_value_is_quoted():
    said = problems(
        eventTypeId="two",
        start="tomorrow",
        name="\x00",
        email="nobody at home",
        timeZone="Mars/Phobos",
        guests="x@y.z",
        language="xx",
    )
    assert said == [
        "language: is none that Cal.com knows",
        "name: is missing",
        "timeZone: is no IANA time zone, such as Europe/Berlin",
        "email: is no mail address",
        "eventTypeId: is no positive whole number",
        "start: is no time such as 2026-12-01T10:00",
        "guests: is no list",
    ]
    assert not any(value in " ".join(said) for value in ("nobody at home", "Mars", "tomorrow", "x@y.z"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"eventTypeId": ...}, "eventTypeId: is missing"),
        ({"eventTypeId": True}, "eventTypeId: is no positive whole number"),
        ({"eventTypeId": -1}, "eventTypeId: is no positive whole number"),
        ({"start": ...}, "start: is missing"),
        ({"start": "2026-12-02"}, "start: has no time of day"),
        ({"start": "2026-12-01T08:14:59Z"}, "start: is less than 15 minutes from now"),
        ({"start": "9999-12-31T23:59:59-23:00"}, "start: is out of range"),
        ({"start": "2027-03-28T02:30", "timeZone": "Europe/Berlin"}, "start: does not exist in Europe/Berlin"),
        ({"email": ...}, "email: is missing (or a phone number)"),
        ({"phone": "call me"}, "phoneNumber: is no phone number"),
        ({"language": "tlh"}, "language: is none that Cal.com knows"),
        ({"title": "t" * 256}, "title: is longer than 255 characters"),
        ({"notes": 7}, "notes: is no text"),
        ({"guests": ["a@example.org", "b"]}, "guests: is no mail address"),
        ({"guests": ["a@example.org"] * 31}, "guests: are more than 30"),
        ({"lengthInMinutes": 0}, "lengthInMinutes: is no positive whole number"),
        ({"location": "the moon"}, "location: has no type of"),
        ({"metadata": {str(n): n for n in range(50)}}, "metadata: has more than 49 keys"),
        ({"metadata": {"k" * 41: 1}}, "metadata: has a key that is empty, ours or longer than 40"),
        ({"metadata": {KEY_NAME: "mine"}}, "metadata: has a key that is empty, ours or longer than 40"),
        ({"metadata": {"k": "v" * 501}}, "metadata: has a value longer than 500"),
        ({"metadata": {"k": [1]}}, "metadata: has a value that is neither"),
        ({"metadata": {"k": float("nan")}}, "metadata: has a value that is neither"),
        ({"metadata": "k=v"}, "metadata: is no mapping"),
        ({"responses": {"essay": "e" * 20_001}}, "responses: are longer than"),
        ({"pirce": 3}, "pirce: is no field of a booking"),
        ({"attendee": {"nickname": "C"}}, "attendee.nickname: is no field of a booking"),
    ],
)
def test_a_wrong_detail_is_refused_with_its_reason(changes: dict[str, Any], said: str):
    found = problems(**changes)
    assert any(problem.startswith(said) for problem in found), found


@pytest.mark.parametrize(
    ("start", "zone", "meant"),
    [
        ("2026-12-02T10:00", "Europe/Berlin", "2026-12-02T09:00+00:00"),
        ("2026-12-02T10:00", ..., "2026-12-02T09:00+00:00"),  # the default zone of the settings
        ("2026-12-02T10:00", "Asia/Kolkata", "2026-12-02T04:30+00:00"),
        ("2027-10-31T02:30", "Europe/Berlin", "2027-10-31T00:30+00:00"),  # happens twice: the first is meant
        ("2026-12-02T10:00:00-05:00", "Europe/Berlin", "2026-12-02T15:00+00:00"),
        ("2026-12-01T08:15:00Z", "UTC", "2026-12-01T08:15+00:00"),  # exactly the notice
    ],
)
def test_a_naive_start_is_read_in_its_own_zone(start: str, zone: Any, meant: str):
    assert read(start=start, timeZone=zone).start == datetime.fromisoformat(meant)


@pytest.mark.parametrize("address", ["sean.o'neil@example.ie", "zoë.müller@exämple.org", "Ada+Box@Example.org"])
def test_an_address_is_taken_and_sent_as_it_was_given(address: str):
    assert read(email=address).attendee.email == address


def test_a_guest_who_is_named_twice_comes_once():
    zoe = ["zoë@exämple.org", "ZOË@xn--exmple-cua.org"]
    assert read(guests=["dan@example.org", *zoe, "Dan@Example.org"]).guests == ("dan@example.org", zoe[0])


def test_a_phone_number_stands_in_for_an_address():
    attendee = read(email=..., phone="+49 (30) 123-456").attendee
    assert (attendee.email, attendee.phone_number) == (None, "+49 (30) 123-456")


def test_control_characters_go_and_line_breaks_of_notes_stay():
    request = read(name="Ca\x07rol\nC.\u2028", notes="first\r\nsec\x1bond\ttab\n", title="\tA  title\r\n")
    assert request.attendee.name == "Carol C."
    assert request.responses == {"notes": "first\nsecond\ttab", "title": "A  title"}


def test_answers_to_own_questions_are_kept_and_cleaned():
    request = read(responses={"frame-size": "56\x00cm", "extras": ["a\x01", 3, True], "location": {"value": "phone"}})
    assert request.responses == {"frame-size": "56cm", "extras": ["a", 3, True], "location": {"value": "phone"}}
    assert request.location is None


def test_a_callers_key_is_kept_so_that_a_repeated_call_finds_the_same_booking():
    assert booking_request(FLAT, RULES, key="order-4711").key == "order-4711"
    assert booking_request(FLAT, RULES).key != booking_request(FLAT, RULES).key
    with pytest.raises(InvalidInput, match="8 to 200"):
        booking_request(FLAT, RULES, key="a b")


def test_addresses_and_names_are_not_shown_by_repr():
    shown = repr(read(guests=["guest@example.org"], notes="call carol", metadata={"crm": "c@example.org"}))
    assert "@" not in shown
    assert "arol" not in shown


def test_a_new_start_obeys_the_same_rules():
    assert new_start("2026-12-02T10:00", RULES) == datetime(2026, 12, 2, 9, tzinfo=UTC)
    with pytest.raises(InvalidInput, match="less than 15 minutes"):
        new_start(NOW + timedelta(minutes=14), RULES)


@pytest.mark.parametrize("uid", ["", "a/b", "a b", "..", "x" * 256, 7, "ü"])
def test_a_uid_that_would_bend_a_path_is_refused(uid: Any):
    with pytest.raises(InvalidInput):
        booking_uid(uid)


def test_a_reason_may_be_needed_and_may_not_be_endless():
    assert reason_text(" ill\r\nsorry\x00 ", required=True) == "ill\nsorry"
    for value, required in (("\x00 ", True), ("r" * 1001, False), (5, False)):
        with pytest.raises(InvalidInput):
            reason_text(value, required=required)


# --- whatever comes ------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=50), inner, max_size=6),
    max_leaves=8,
)
names = st.sampled_from(
    [*FLAT, "startTime", "responses", "attendee", "metadata", "guests", "notes", "title", "location", "timeZone", "x"]
)


@given(st.text())
def test_cleaned_text_holds_no_control_character_and_cleaning_again_changes_nothing(text: str):
    for clean, kept in ((one_line, ""), (many_lines, "\n\t")):
        cleaned = clean(text)
        assert not [c for c in cleaned if (c < " " or c == "\x7f" or "\x80" <= c <= "\x9f") and c not in kept]
        cleaned.encode()  # no half surrogate pair
        assert clean(cleaned) == cleaned
        assert len(cleaned) <= len(text)


@given(st.dictionaries(names, anything))
def test_any_input_is_either_refused_or_inside_every_limit(changes: dict[str, Any]):
    try:
        request = booking_request({**FLAT, **changes}, RULES)
    except InvalidInput:
        return
    assert request.event_type_id > 0
    assert request.start >= NOW + RULES.minimum_notice
    assert 1 <= len(request.attendee.name) <= 255
    assert len(request.responses.get("title", "")) <= 255
    assert len(request.metadata) <= 49
    assert all(len(k) <= 40 and (not isinstance(v, str) or len(v) <= 500) for k, v in request.metadata.items())
