"""What the real server was seen to answer, row by row of fact sheet 10: bookings (10 to 29, 31, 32, 35).

Seats and slots (S1 to S5, 23) have tests of their own in `test_seats.py`.
"""

from typing import Any

import pytest

from tests.sandbox.talking import Reply, Talker

_DAY = "2026-11-23"
_NINE, _TEN, _ELEVEN = (f"{_DAY}T{hour:02d}:00:00Z" for hour in (9, 10, 11))
_METADATA = "Metadata must have at most 50 keys, each key up to 40 characters, and string values up to 500 characters."
_GUEST = "guest@example.org"


def _said(reply: Reply) -> tuple[int, str, str]:
    """Status, message, and in which of the three shapes: bare, or by the code."""
    return reply.status, reply.message, "bare" if reply.is_bare else reply.body["error"]["code"]


# -- creating: what is refused, by whom, in which order

_REFUSED: list[tuple[int, int, dict[str, Any], tuple[int, str, str]]] = [
    (10, 2, {"metadata": {"o": {"p": 1}}, "lengthInMinutes": 999},
     (400, f"metadata property is wrong,{_METADATA} ", "BadRequestException")),
    (10, 2, {"metadata": {"l": ["x"]}}, (400, f"metadata property is wrong,{_METADATA} ", "BadRequestException")),
    (10, 2, {"metadata": {"n": None}}, (400, f"metadata property is wrong,{_METADATA} ", "BadRequestException")),
    (11, 2, {"metadata": {"b": True}}, (400, "metadata.b - Expected string, received boolean, ", "BAD_REQUEST")),
    (11, 2, {"metadata": {"n": 7}}, (400, "metadata.n - Expected string, received number, ", "BAD_REQUEST")),
    (12, 2, {"metadata": []},
     (400, f"metadata property is wrong,{_METADATA}, metadata must be an object ", "BadRequestException")),
    (13, 2, {"guests": [_GUEST, "other@example.org", _GUEST]},
     (400, "responses - {guests}duplicate_email, ", "BAD_REQUEST")),
    (13, 2, {"guests": [_GUEST, "nobody", "nobody"]},
     (400, "responses - {guests}email_validation_error, ", "BAD_REQUEST")),
    (15, 2, {"attendee": {"phoneNumber": 49301}}, (500, "Internal server error", "bare")),
    (15, 6, {"attendee": {"phoneNumber": {"tel": 1}}}, (500, "Internal server error", "bare")),
    (16, 9, {"instant": True}, (500, "Internal server error", "bare")),
    (17, 2, {"attendee": {"name": "Ca\0rol"}}, (500, 'invalid byte sequence for encoding "UTF8": 0x00', "bare")),
    (17, 6, {"attendee": {"name": "Ca\0rol"}}, (500, 'invalid byte sequence for encoding "UTF8": 0x00', "bare")),
    (18, 2, {"attendee": {"name": "  ", "phoneNumber": "tel:+49"}},
     (400, "responses - {name}Invalid string, ", "BAD_REQUEST")),
    (18, 2, {"attendee": {"name": " ", "email": "nobody"}},
     (400, "responses - {email}email_validation_error, responses - {name}Invalid string, ", "BAD_REQUEST")),
    (19, 6, {"attendee": {"name": ""}, "start": f"{_DAY}T22:00:00Z"},
     (400, "responses - {name}error_required_field, ", "BAD_REQUEST")),
    (19, 2, {"attendee": {"name": "", "email": "nobody"}, "start": f"{_DAY}T22:00:00Z"},
     (400, "responses - {name}error_required_field, ", "BAD_REQUEST")),
]  # fmt: skip


@pytest.mark.parametrize(("row", "event_type_id", "more", "said"), _REFUSED)
def test_a_create_is_refused_as_the_real_server_refuses_it(calcom: Talker, row, event_type_id, more, said):
    reply = calcom.book(event_type_id, **{"start": _NINE, **more})
    assert _said(reply) == said, row
    assert calcom.get("/bookings").data == [], "nothing was made"


@pytest.mark.parametrize(
    ("row", "more"),
    [
        (13, {"guests": [_GUEST, _GUEST.upper()]}),
        (13, {"guests": ["", ""]}),
        (14, {"attendee": {"phoneNumber": "tel:+49"}}),
        (14, {"attendee": {"phoneNumber": "none"}}),
        (15, {"attendee": {"phoneNumber": 0}}),
        (17, {"attendee": {"name": "C\u2400"}}),
    ],
)
def test_a_create_passes_as_at_the_real_server(calcom: Talker, row, more):
    assert calcom.book(2, _NINE, **more).status == 201, row


def test_a_phone_number_counts_where_the_type_shows_its_field(calcom: Talker):
    field = {"type": "phone", "slug": "attendeePhoneNumber", "required": True, "label": "Phone"}
    made = calcom.create_type(slug="phone", bookingFields=[field])["id"]
    wrong = calcom.book(made, _NINE, attendee={"phoneNumber": "tel:+49"})
    assert wrong.message == "responses - {attendeePhoneNumber}invalid_number, "
    assert calcom.book(made, _NINE).message == "responses - {attendeePhoneNumber}error_required_field, "
    assert calcom.book(made, _NINE, attendee={"phoneNumber": "+49 30 123456"}).status == 201


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"bookingFieldsResponses": {"notes": "a\0b"}}, 'invalid byte sequence for encoding "UTF8": 0x00'),
        ({"metadata": {"a": "b\0"}}, "unsupported Unicode escape sequence"),
    ],
)
def test_no_text_with_a_nul_is_stored_anywhere(calcom: Talker, body, message):
    assert _said(calcom.book(2, _NINE, **body)) == (500, message, "bare")
    uid = calcom.booked(2, _NINE)["uid"]
    nul = (500, 'invalid byte sequence for encoding "UTF8": 0x00', "bare")
    assert _said(calcom.post(f"/bookings/{uid}/cancel", {"cancellationReason": "x\0"})) == nul
    assert _said(calcom.post(f"/bookings/{uid}/guests", {"guests": [{"email": _GUEST, "name": "\0"}]})) == nul
    assert calcom.get(f"/bookings/{uid}").data["status"] == "accepted"


@pytest.mark.parametrize("zone", ["europe/berlin", "EUROPE/BERLIN", "Europe/Berlin", "utc"])
def test_an_attendees_zone_keeps_its_spelling_everywhere(calcom: Talker, zone):
    """Row 20."""
    attendee = {"timeZone": zone}
    uid = calcom.booked(2, _NINE, attendee=attendee, guests=[_GUEST])["uid"]
    seated = calcom.booked(6, _TEN, attendee=attendee)["uid"]
    series = calcom.booked(7, _ELEVEN, attendee=attendee)
    assert len({row["start"][11:] for row in series}) == 1
    moved = calcom.post(f"/bookings/{uid}/reschedule", {"start": f"{_DAY}T13:00:00Z"}).data
    for shown in (calcom.get(f"/bookings/{uid}").data, calcom.get(f"/bookings/{seated}").data, moved, *series):
        assert {one["timeZone"] for one in shown["attendees"]} == {zone}
    assert all(one["timeZone"] == zone for row in calcom.get("/bookings").data for one in row["attendees"])
    assert calcom.get("/bookings", version=None).data["bookings"][0]["attendees"][0]["timeZone"] == zone


@pytest.mark.parametrize(
    ("asked", "same"), [("europe/berlin", "Europe/Berlin"), ("asia/KOLKATA", "Asia/Kolkata"), ("utc", "UTC")]
)
def test_slots_answer_a_zone_in_any_spelling_alike(calcom: Talker, asked: str, same: str):
    assert calcom.slots(2, _DAY, timeZone=asked) == calcom.slots(2, _DAY, timeZone=same) != {}


# -- what follows from a booking


def test_a_seats_answers_are_shown_without_guests_and_with_its_place(calcom: Talker):
    """Row 22."""
    made = calcom.booked(6, _NINE, guests=[_GUEST], location="the park", metadata={"a": "b"})
    calcom.booked(6, _NINE, "Dan")
    expected = [
        (
            {"name": "Carol", "guests": [], "location": {"value": "somewhereElse", "optionValue": "the park"}},
            {"a": "b"},
        ),
        ({"name": "Dan", "guests": []}, {}),
    ]
    (row,) = calcom.get("/bookings").data
    by_seat = calcom.get(f"/bookings/by-seat/{made['seatUid']}").data
    for shown in (row, calcom.get(f"/bookings/{made['uid']}").data, by_seat):
        assert [(one["bookingFieldsResponses"], one["metadata"]) for one in shown["attendees"]] == expected


def test_a_moved_seat_keeps_its_answers(calcom: Talker):
    made = calcom.booked(6, _NINE, guests=[_GUEST], location="the park")
    body = {"start": _TEN, "seatUid": made["seatUid"]}
    moved = calcom.post(f"/bookings/{made['uid']}/reschedule", body, key=None).data
    (attendee,) = moved["attendees"]
    assert attendee["bookingFieldsResponses"] == made["attendees"][0]["bookingFieldsResponses"]


@pytest.mark.parametrize(("name", "team"), [("teamId", 999), ("teamsIds", 999), ("teamId", 302)])
def test_a_list_of_a_team_that_one_is_no_member_of_holds_nothing(calcom: Talker, name: str, team: int):
    """Row 24."""
    calcom.booked(2, _NINE)
    calcom.booked(8, _TEN)
    body = calcom.get("/bookings", **{name: team}).body
    assert body["data"] == []
    assert (body["pagination"]["currentPage"], body["pagination"]["totalItems"]) == (0, 0)


def test_a_member_lists_his_own_of_a_team_and_a_stranger_none(calcom: Talker):
    calcom.booked(8, _TEN, "Bob", attendee={"email": "bob@example.com"})
    assert len(calcom.get("/bookings", teamId=301, key="bob").data) == 1
    calcom.control.mutate("set_membership", user_id=102, team_id=301, role=None)
    assert calcom.get("/bookings", teamId=301, key="bob").data == []


def test_there_are_four_calendar_links(calcom: Talker):
    """Row 25."""
    uid = calcom.booked(2, _NINE)["uid"]
    links = {one["id"]: one["link"] for one in calcom.get(f"/bookings/{uid}/calendar-links").data}
    starts = {
        "googleCalendar": "https://calendar.google.com/",
        "microsoftOffice": "https://outlook.office.com/",
        "microsoftOutlook": "https://outlook.live.com/",
        "ics": "data:text/calendar,",
    }
    assert set(links) == set(starts)
    assert all(links[name].startswith(start) for name, start in starts.items())
    assert "20261123T090000Z" in links["googleCalendar"]
    calcom.delete("/event-types/2")
    assert calcom.get(f"/bookings/{uid}/calendar-links").message == f"Booking with uid {uid} has no event type"


@pytest.mark.parametrize(
    "location", [{"type": "address", "address": "Street 9"}, {"type": "attendeePhone", "phone": "1"}]
)
def test_a_place_that_the_type_does_not_have_changes_nothing(calcom: Talker, location):
    """Row 26."""
    before = calcom.booked(2, _NINE)
    calcom.control.advance(5)
    changed = calcom.patch(f"/bookings/{before['uid']}/location", {"location": location}).data
    assert changed == {key: value for key, value in before.items() if key != "isPlatformManagedUserBooking"}


@pytest.mark.parametrize("event_type_id", [2, 9])
def test_a_booking_without_another_host_cannot_be_reassigned(calcom: Talker, event_type_id: int):
    """Row 27."""
    uid = calcom.booked(event_type_id, _NINE)["uid"]
    message = "Can't reassign the booking because no other host is available at that time."
    assert _said(calcom.post(f"/bookings/{uid}/reassign")) == (400, message, "BadRequestException")
    nobody = calcom.post(f"/bookings/{calcom.booked(2, _TEN)['uid']}/reassign/102")
    assert nobody.message.startswith("User with id=102 is not a valid Round Robin host")


def test_what_is_no_list_of_attendees_is_too_short_as_well(calcom: Talker):
    """Row 28."""
    (error,) = calcom.post("/bookings/x/mark-absent", {"attendees": "x"}).body["error"]["details"]["errors"]
    assert error["constraints"] == {
        "isArray": "attendees must be an array",
        "arrayMinSize": "attendees must contain at least 1 elements",
        "nestedValidation": "each value in nested property attendees must be either object or array",
    }


@pytest.mark.parametrize("body", [{}, {"guests": [{"email": f"g{n}@example.org"} for n in range(11)]}])
def test_too_many_guests_are_refused_in_the_real_words(calcom: Talker, body):
    """Row 29."""
    uid = calcom.booked(2, _NINE)["uid"]
    (error,) = calcom.post(f"/bookings/{uid}/guests", body).body["error"]["details"]["errors"]
    assert error["constraints"]["arrayMaxSize"] == "Cannot add more than 10 guests at a time"


@pytest.mark.parametrize("state", ["pending", "accepted", "rejected", "cancelled"])
@pytest.mark.parametrize("action", ["confirm", "decline"])
def test_a_member_who_is_not_the_host_may_not_decide(calcom: Talker, state: str, action: str):
    """Row 31: bob hosts the type as well, but not this booking."""
    made = calcom.booked(8, _NINE)
    calcom.control.update_bookings(uids=[made["uid"]], set={"status": state, "user_id": 101})
    reply = calcom.post(f"/bookings/{made['uid']}/{action}", key="bob")
    assert _said(reply) == (401, "User is not authorized to confirm this booking", "TRPCError")


def test_the_admin_of_the_team_decides_for_every_host(calcom: Talker):
    made = calcom.booked(8, _NINE)
    calcom.control.update_bookings(uids=[made["uid"]], set={"status": "pending", "user_id": 102})
    assert calcom.post(f"/bookings/{made['uid']}/confirm").data["status"] == "accepted"


def test_the_occurrence_that_was_written_longest_ago_decides_for_its_series(calcom: Talker):
    """Row 32: the host's reason is asked for although the first occurrence is cancelled already."""
    series = calcom.booked(7, _NINE)
    first, uid = series[0]["uid"], series[0]["recurringBookingUid"]
    calcom.control.advance(5)
    calcom.post(f"/bookings/{first}/cancel", {"cancellationReason": "x"})
    reason = (400, "Cancellation reason is required when you are the host", "bare")
    assert _said(calcom.post(f"/bookings/{uid}/cancel")) == reason
    assert calcom.post(f"/bookings/{first}/cancel").message.startswith("Can't cancel booking"), "as in recording 05m"
    cancelled = calcom.post(f"/bookings/{uid}/cancel", {"cancellationReason": "x"}).data
    assert {row["status"] for row in cancelled} == {"cancelled"}
    assert calcom.post(f"/bookings/{uid}/cancel").message.startswith("Can't cancel booking")


@pytest.mark.parametrize("before", ["declined", "type gone", "cancelled, type gone"])
def test_a_booking_that_the_core_does_not_find_cannot_be_moved(calcom: Talker, before: str):
    """Row 35."""
    made = calcom.create_type(
        slug="going", confirmationPolicy={"type": "always", "blockUnconfirmedBookingsInBooker": False}
    )
    uid = calcom.booked(made["id"], _NINE)["uid"]
    if before == "declined":
        calcom.post(f"/bookings/{uid}/decline")
    if before.startswith("cancelled"):
        calcom.post(f"/bookings/{uid}/cancel", {"cancellationReason": "x"})
    if before.endswith("gone"):
        calcom.delete(f"/event-types/{made['id']}")
    reply = calcom.post(f"/bookings/{uid}/reschedule", {"start": _TEN})
    assert _said(reply) == (404, "Could not find original booking", "bare")
