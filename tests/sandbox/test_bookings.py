"""One booking's life: created, twice, confirmed, cancelled, moved. Fact sheet 6.4 to 6.7, 9.37 to 9.45."""

import pytest

from tests.sandbox.talking import NEW_BOOKINGS, Talker

_MONDAY = "2026-11-23"
_NINE, _TEN = f"{_MONDAY}T09:00:00Z", f"{_MONDAY}T10:00:00Z"
_OUT_OF_BOUNDS = 'The event type can\'t be booked at the "start" time provided.'


def test_a_booking_is_answered_whole(calcom: Talker):
    made = calcom.booked(4, _NINE, lengthInMinutes=45, guests=["gus@example.org"], metadata={"order": "42"},
                         bookingFieldsResponses={"project-code": "P-7", "notes": "Ring twice"})  # fmt: skip
    assert (made["status"], made["duration"], made["end"]) == ("accepted", 45, f"{_MONDAY}T09:45:00.000Z")
    assert made["title"] == "Choose a length between Alice Example and Carol"
    assert (made["createdAt"], made["cancellationReason"], made["cancelledByEmail"]) == (made["updatedAt"], "", "")
    assert made["metadata"] == {"order": "42"}
    assert made["guests"] == ["gus@example.org"]
    assert [one["email"] for one in made["attendees"]] == ["carol@example.org", "gus@example.org"]
    assert made["bookingFieldsResponses"]["project-code"] == "P-7"
    assert made["description"] == "Ring twice"
    read = calcom.get(f"/bookings/{made['uid']}", key=None).data
    assert read == {name: value for name, value in made.items() if name != "isPlatformManagedUserBooking"}


@pytest.mark.parametrize(
    ("event_type_id", "more", "status", "message"),
    [
        (999, {}, 404, "Event type with id 999 not found."),
        (2, {"start": "2026-11-22T07:00:00Z"}, 400, "Attempting to book a meeting in the past."),
        (2, {"start": "2026-11-22T09:59:00Z"}, 400, _OUT_OF_BOUNDS),
        (2, {"start": f"{_MONDAY}T20:00:00Z"}, 400, "User either already has booking at this time or is not available"),
        (2, {"lengthInMinutes": 30}, 400, "Can't specify 'lengthInMinutes' because event type does not have multiple"),
        (4, {"lengthInMinutes": 20}, 400, "Provided 'lengthInMinutes' is not one of the possible lengths"),
        (2, {"location": {"type": "address"}}, 400, "Booking location with type address not valid for event type"),
        (2, {"location": {"type": "moon"}}, 400, "Unsupported booking location type 'moon'."),
        (2, {"attendee": {"email": "no address"}}, 400, "responses - {email}email_validation_error, "),
        (2, {"guests": ["no address"]}, 400, "responses - {guests}email_validation_error, "),
        (8, {"start": f"{_MONDAY}T20:00:00Z"}, 400, "One of the hosts either already has booking at this time"),
        (2, {"instant": True}, 400, "Instant bookings are only supported for team event types"),
        (
            7,
            {"recurrenceCount": 4},
            400,
            "Provided recurrence count is higher than the event type's recurring event count.",
        ),
        (10, {}, 400, "Event type with id=10 is the parent managed event type that can't be booked."),
    ],
)
def test_a_create_is_refused_in_cal_coms_words(calcom: Talker, event_type_id, more, status, message):
    reply = calcom.book(event_type_id, more.pop("start", _NINE), **more)
    assert (reply.status, reply.message[: len(message)]) == (status, message)
    assert calcom.get("/bookings").data == []


@pytest.mark.parametrize(
    ("named", "status", "message"),
    [
        ({"eventTypeSlug": "consult-30", "username": "alice"}, 201, ""),
        ({"eventTypeSlug": "support-rr", "teamSlug": "support"}, 201, ""),
        ({"eventTypeSlug": "x", "username": "alice"}, 404, "Event type with slug x belonging to user alice not found."),
        ({"eventTypeSlug": "x", "username": "nobody"}, 404, "User with username nobody not found"),
        (
            {"eventTypeSlug": "x", "teamSlug": "support"},
            404,
            "Event type with slug x belonging to team support not found.",
        ),
        ({"eventTypeSlug": "x", "teamSlug": "no"}, 404, "Team with slug no not found"),
    ],
)
def test_a_type_is_named_by_slug_too(calcom: Talker, named, status, message):
    attendee = {"name": "Carol", "email": "carol@example.org", "timeZone": "UTC"}
    reply = calcom.post("/bookings", {"start": _NINE, "attendee": attendee, **named}, key=None)
    assert reply.status == status
    assert status == 201 or reply.message == message


def test_required_answers_must_be_there_and_of_their_kind(calcom: Talker):
    field = {"type": "select", "slug": "size", "label": "Size", "required": True, "options": ["S", "L"]}
    made = calcom.create_type(slug="asking", bookingFields=[field])["id"]
    assert calcom.book(made, _NINE).message.startswith("Missing required booking field response: size")
    wrong = calcom.book(made, _NINE, bookingFieldsResponses={"size": "XL"})
    assert wrong.message == "Invalid option 'XL' for booking field 'size'. Allowed options are: S, L."
    kind = calcom.book(made, _NINE, bookingFieldsResponses={"size": ["S"]})
    assert kind.message.startswith("Invalid type for booking field 'size'. Expected type string or number")
    assert calcom.book(made, _NINE, bookingFieldsResponses={"size": "S"}).status == 201


def test_whoever_gives_only_a_phone_number_gets_an_address(calcom: Talker):
    attendee = {"name": "Pia", "phoneNumber": "+49 151 23456789", "timeZone": "UTC"}
    made = calcom.post("/bookings", {"start": _NINE, "eventTypeId": 2, "attendee": attendee}).data
    assert made["attendees"][0]["email"] == "4915123456789@sms.cal.com"
    assert made["attendees"][0]["phoneNumber"] == attendee["phoneNumber"]


def test_the_same_slot_again_is_refused_but_handed_out_again_where_hosts_decide(calcom: Talker):
    calcom.booked(2, _NINE)
    again = calcom.book(2, _NINE)
    assert (again.status, again.message) == (400, "User either already has booking at this time or is not available")
    for event_type_id in (5, 8):
        start = f"{_MONDAY}T1{event_type_id % 5 + 1}:00:00Z"
        first = calcom.booked(event_type_id, start)
        assert calcom.booked(event_type_id, start)["uid"] == first["uid"]
        assert calcom.booked(event_type_id, start, "Other")["uid"] != first["uid"]


def test_a_booker_may_have_only_so_many(calcom: Talker):
    limit = {"maximumActiveBookings": 1, "offerReschedule": True}
    made = calcom.create_type(slug="one", bookerActiveBookingsLimit=limit)["id"]
    first = calcom.booked(made, _NINE)
    second = calcom.book(made, _TEN)
    assert second.message.endswith(
        f"You can reschedule your existing booking ({first['uid']}) to a new timeslot instead."
    )
    assert calcom.book(made, _TEN, "Dan").status == 201


def test_a_type_may_demand_to_know_who_books(calcom: Talker):
    made = calcom.create_type(slug="known", bookingRequiresAuthentication=True)["id"]
    assert calcom.book(made, _NINE, key=None).status == 401
    assert calcom.book(made, _NINE, key="bob").status == 403
    assert calcom.book(made, _NINE).status == 201


def test_a_team_without_hosts_cannot_be_booked(calcom: Talker):
    calcom.control.mutate("update_event_type", id=8, hosts=[])
    assert calcom.book(8, _NINE).status == 422


def test_an_instant_booking_waits_for_a_host(calcom: Talker):
    made = calcom.booked(8, _NINE, instant=True)
    assert (made["status"], made["hosts"][0]["id"]) == ("awaiting_host", "unknown")


# -- confirm, decline


def test_a_pending_booking_is_confirmed_or_declined_once(calcom: Talker):
    made = calcom.booked(5, _NINE)
    calcom.control.advance(10)
    assert made["status"] == "pending"
    outsider = calcom.post(f"/bookings/{made['uid']}/confirm", key="bob")
    assert (outsider.status, outsider.message) == (401, "User is not authorized to confirm this booking")
    confirmed = calcom.post(f"/bookings/{made['uid']}/confirm").data
    assert (confirmed["status"], confirmed["updatedAt"]) == ("accepted", "2026-11-22T08:00:10.000Z")
    for action in ("confirm", "decline"):
        again = calcom.post(f"/bookings/{made['uid']}/{action}")
        assert (again.status, again.message, again.body["error"]["code"]) == (
            400,
            "Booking already confirmed",
            "TRPCError",
        )
    other = calcom.booked(5, _TEN)
    declined = calcom.post(f"/bookings/{other['uid']}/decline", {"reason": "busy"}).data
    assert (declined["status"], declined["cancellationReason"]) == ("rejected", "")
    assert "busy" not in str(declined)
    assert [one["uid"] for one in calcom.get("/bookings", status="cancelled").data] == [other["uid"]]


def test_a_threshold_asks_for_confirmation_only_close_to_the_start(calcom: Talker):
    policy = {
        "type": "time",
        "noticeThreshold": {"unit": "hours", "count": 48},
        "blockUnconfirmedBookingsInBooker": False,
    }
    made = calcom.create_type(slug="late", confirmationPolicy=policy)["id"]
    assert calcom.booked(made, _NINE)["status"] == "pending"
    assert calcom.booked(made, "2026-11-26T09:00:00Z")["status"] == "accepted"


def test_a_series_is_decided_as_a_whole(calcom: Talker):
    series = {"interval": 1, "occurrences": 3, "frequency": "weekly"}
    policy = {"type": "always", "blockUnconfirmedBookingsInBooker": False}
    made = calcom.create_type(slug="series", recurrence=series, confirmationPolicy=policy)["id"]
    for action, status in (("confirm", "accepted"), ("decline", "rejected")):
        rows = calcom.booked(made, _NINE if action == "confirm" else _TEN)
        calcom.post(f"/bookings/{rows[1]['uid']}/{action}")
        after = calcom.get(f"/bookings/{rows[0]['recurringBookingUid']}").data
        assert [row["status"] for row in after] == [status] * 3
        assert len({row["updatedAt"] for row in after}) == 1


# -- cancel


def test_a_host_must_say_why_he_cancels(calcom: Talker):
    uid = calcom.booked(2, _NINE)["uid"]
    for body in ({}, {"cancellationReason": "  "}):
        reply = calcom.post(f"/bookings/{uid}/cancel", body)
        assert (reply.status, reply.is_bare) == (400, True)
        assert reply.message == "Cancellation reason is required when you are the host"
    calcom.control.advance(5)
    gone = calcom.post(f"/bookings/{uid}/cancel", {"cancellationReason": "ill"}).data
    assert (gone["status"], gone["cancellationReason"]) == ("cancelled", "ill")
    assert gone["updatedAt"] == "2026-11-22T08:00:05.000Z"
    again = calcom.post(f"/bookings/{uid}/cancel", {"cancellationReason": "ill"})
    assert (again.status, again.is_bare) == (400, False)
    assert again.message.startswith(f"Can't cancel booking with uid={uid} because it has been cancelled already.")


def test_others_need_no_reason(calcom: Talker):
    uid = calcom.booked(2, _NINE)["uid"]
    assert calcom.post(f"/bookings/{uid}/cancel", key=None).data["status"] == "cancelled"


def test_what_is_over_or_may_not_be_cancelled_stays(calcom: Talker):
    fixed = calcom.create_type(slug="fixed", disableCancelling={"disabled": True})["id"]
    first, second = calcom.booked(fixed, _TEN)["uid"], calcom.booked(2, _NINE)["uid"]
    refused = calcom.post(f"/bookings/{first}/cancel", key=None)
    assert (refused.message, refused.is_bare) == ("This event type does not allow cancellations", True)
    calcom.control.freeze(f"{_MONDAY}T09:31:00Z")
    over = calcom.post(f"/bookings/{second}/cancel", key=None)
    assert (over.message, over.is_bare) == ("Cannot cancel a booking that has already ended", True)
    assert calcom.post("/bookings/unknown/cancel").message == "Booking with uid=unknown not found"


def test_the_rest_of_a_series_goes_in_one_write(calcom: Talker):
    rows = calcom.booked(7, _NINE)
    series = rows[0]["recurringBookingUid"]
    wrong = calcom.post(f"/bookings/{series}/cancel", {"cancellationReason": "x", "cancelSubsequentBookings": True})
    assert wrong.message.startswith("Cannot cancel subsequent bookings for recurring event")
    calcom.control.advance(1)
    later = {"cancellationReason": "x", "cancelSubsequentBookings": True}
    after = calcom.post(f"/bookings/{rows[1]['uid']}/cancel", later).data
    assert [row["status"] for row in after] == ["accepted", "cancelled", "cancelled"]
    assert after[1]["updatedAt"] == after[2]["updatedAt"] != after[0]["updatedAt"]
    whole = calcom.post(f"/bookings/{series}/cancel", {"cancellationReason": "y"}).data
    assert [row["status"] for row in whole] == ["cancelled"] * 3
    again = calcom.post(f"/bookings/{series}/cancel", {"cancellationReason": "y"})
    assert again.message.startswith(f"Can't cancel booking with uid={series} because")
    single = calcom.booked(2, _TEN)["uid"]
    assert calcom.post(f"/bookings/{single}/cancel", later).message == (
        f"Booking with bookingUid={single} is not part of a recurring booking."
    )


# -- seats


def test_seats_join_and_leave_one_booking_without_a_new_stamp(calcom: Talker):
    first = calcom.booked(6, _NINE, "Ann", metadata={"a": "1"})
    calcom.control.advance(60)
    second = calcom.booked(6, _NINE, "Bea")
    assert (first["uid"], first["updatedAt"]) == (second["uid"], second["updatedAt"])
    assert first["seatUid"] != second["seatUid"]
    assert first["attendees"][0]["metadata"] == {"a": "1"}
    same = calcom.book(6, _NINE, "Ann")
    assert (same.status, same.message) == (409, "already_signed_up_for_this_booking_error")
    by_seat = calcom.get(f"/bookings/by-seat/{first['seatUid']}", key=None).data
    assert [one["name"] for one in by_seat["attendees"]] == ["Ann", "Bea"]
    stranger = calcom.post(f"/bookings/{first['uid']}/cancel", key=None)
    assert (stranger.status, stranger.message) == (401, "User not a host of this event or an admin of the booking user")
    wrong = calcom.post(f"/bookings/{first['uid']}/cancel", {"seatUid": "none"}, key=None)
    assert wrong.message == "Invalid seatUid: this seat does not exist or has already been cancelled."
    left = calcom.post(f"/bookings/{first['uid']}/cancel", {"seatUid": first["seatUid"]}, key=None).data
    assert (left["status"], [one["name"] for one in left["attendees"]]) == ("accepted", ["Bea"])
    assert left["updatedAt"] == first["updatedAt"]
    other = calcom.booked(6, _TEN, "Cleo")
    strange = calcom.post(f"/bookings/{other['uid']}/cancel", {"seatUid": second["seatUid"]}, key=None)
    assert strange.message == "Invalid seatUid: this seat does not belong to this booking."


@pytest.mark.parametrize(("version", "names"), [(None, []), (NEW_BOOKINGS, ["Ann", "Bea"])])
def test_a_cancelled_seated_booking_loses_its_attendees_in_the_older_version(calcom: Talker, version, names):
    uid = calcom.booked(6, _NINE, "Ann")["uid"]
    calcom.booked(6, _NINE, "Bea")
    options = {} if version is None else {"version": version}
    gone = calcom.post(f"/bookings/{uid}/cancel", {"cancellationReason": "x"}, **options).data
    assert [one["name"] for one in gone["attendees"]] == names


def test_who_else_sits_there_is_hidden_from_outsiders_if_the_type_says_so(calcom: Talker):
    seats = {"seatsPerTimeSlot": 3, "showAttendeeInfo": False, "showAvailabilityCount": True}
    made = calcom.create_type(slug="discreet", seats=seats)["id"]
    first = calcom.booked(made, _NINE, "Ann", key=None)
    calcom.booked(made, _NINE, "Bea", key=None)
    assert first["attendees"] == []
    assert calcom.get(f"/bookings/{first['uid']}", key=None).data["attendees"] == []
    assert len(calcom.get(f"/bookings/{first['uid']}").data["attendees"]) == 2
    own = calcom.get(f"/bookings/by-seat/{first['seatUid']}", key=None).data
    assert [one["name"] for one in own["attendees"]] == ["Ann"]
    assert len(calcom.get("/bookings").data[0]["attendees"]) == 2  # the list always shows them


def test_a_seat_moves_alone_and_the_host_moves_all(calcom: Talker):
    first, second = calcom.booked(6, _NINE, "Ann"), calcom.booked(6, _NINE, "Bea")
    uid = first["uid"]
    assert calcom.post(f"/bookings/{uid}/reschedule", {"start": _TEN}, key=None).body == {
        "statusCode": 500,
        "message": "Internal server error",
    }
    needed = calcom.post(f"/bookings/{uid}/reschedule", {"start": _TEN}, key="bob")
    assert needed.message.startswith(
        f"Booking with uid={uid} is a seated booking which means you have to provide seatUid"
    )
    moved = calcom.post(f"/bookings/{uid}/reschedule", {"start": _TEN, "seatUid": first["seatUid"]}, key=None).data
    assert (moved["uid"] != uid, moved["start"]) == (True, f"{_MONDAY}T10:00:00.000Z")
    assert [one["name"] for one in calcom.get(f"/bookings/{uid}").data["attendees"]] == ["Bea"]
    joined = calcom.post(f"/bookings/{uid}/reschedule", {"start": _TEN, "seatUid": second["seatUid"]}, key=None).data
    assert joined["uid"] == moved["uid"]
    old = calcom.get(f"/bookings/{uid}").data
    assert (old["status"], old["rescheduledToUid"]) == ("cancelled", moved["uid"])
    whole = calcom.post(f"/bookings/{moved['uid']}/reschedule", {"start": f"{_MONDAY}T13:00:00Z"}).data
    assert (whole["uid"], len(whole["attendees"])) == (moved["uid"], 2)
    unknown = calcom.post(f"/bookings/{moved['uid']}/reschedule", {"start": _TEN, "seatUid": "none"}, key=None)
    assert (unknown.status, unknown.message) == (404, "Seat with uid=none does not exist.")


# -- reschedule


def test_a_host_asks_for_another_time_in_the_newest_version(calcom: Talker):
    uid = calcom.booked(2, _NINE)["uid"]
    assert calcom.post(f"/bookings/{uid}/request-reschedule", version="2024-08-13").status == 404
    assert calcom.post(f"/bookings/{uid}/request-reschedule", version=NEW_BOOKINGS, key="bob").status == 403
    body = {"rescheduleReason": "ill"}
    assert calcom.post(f"/bookings/{uid}/request-reschedule", body, version=NEW_BOOKINGS).status == 200
    assert calcom.get(f"/bookings/{uid}").data["status"] == "cancelled"
    assert calcom.post(f"/bookings/{uid}/request-reschedule", body, version=NEW_BOOKINGS).status == 400
