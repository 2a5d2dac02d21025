"""What else happens to a booking: absence, guests, another place, another host, a series. Fact sheet 6.8, 9.46."""

import pytest

from tests.sandbox.talking import Talker

_MONDAY = "2026-11-23"
_NINE, _TEN = f"{_MONDAY}T09:00:00Z", f"{_MONDAY}T10:00:00Z"


def test_absence_is_marked_after_the_start(calcom: Talker):
    made = calcom.booked(2, _NINE)
    uid, absent = made["uid"], {"attendees": [{"email": "carol@example.org", "absent": True}]}
    early = calcom.post(f"/bookings/{uid}/mark-absent", absent)
    assert early.message.startswith("Bookings can only be marked as absent after their scheduled start time.")
    calcom.control.freeze(f"{_MONDAY}T09:10:00Z")
    assert calcom.post(f"/bookings/{uid}/mark-absent", absent, key="bob").status == 403
    attendee = calcom.post(f"/bookings/{uid}/mark-absent", absent).data
    assert (attendee["attendees"][0]["absent"], attendee["updatedAt"]) == (True, made["updatedAt"])
    host = calcom.post(f"/bookings/{uid}/mark-absent", {"host": True}).data
    assert (host["absentHost"], host["updatedAt"]) == (True, f"{_MONDAY}T09:10:00.000Z")


def test_guests_and_a_new_place_move_the_stamp_and_attendees_do_not(calcom: Talker):
    made = calcom.booked(2, _NINE)
    uid = made["uid"]
    calcom.control.advance(10)
    guests = [{"email": "gus@example.org"}, {"email": "GUS+x@example.org"}, {"email": "carol@example.org"}]
    after = calcom.post(f"/bookings/{uid}/guests", {"guests": guests}).data
    assert (after["guests"], after["updatedAt"] > made["updatedAt"]) == (["gus@example.org"], True)
    assert after["attendees"][1]["timeZone"] == "Europe/Berlin"
    twice = calcom.post(f"/bookings/{uid}/guests", {"guests": guests})
    assert (twice.status, twice.message) == (400, "emails_must_be_unique_valid")
    assert calcom.post(f"/bookings/{uid}/guests", {"guests": []}).status == 400
    assert calcom.post(f"/bookings/{uid}/guests", {"guests": guests}, key="bob").message == "you_do_not_have_permission"
    calcom.control.advance(10)
    placed = calcom.patch(
        f"/bookings/{uid}/location", {"location": {"type": "link", "link": "https://example.net/r"}}
    ).data
    assert (placed["location"], placed["updatedAt"] > after["updatedAt"]) == ("https://example.net/r", True)
    assert placed["bookingFieldsResponses"]["location"] == {"value": "link", "optionValue": ""}
    attendee = {"name": "Dee", "email": "dee@example.org", "timeZone": "UTC"}
    added = calcom.post(f"/bookings/{uid}/attendees", attendee).data
    listed = calcom.get(f"/bookings/{uid}/attendees").data
    assert [one["email"] for one in listed] == ["carol@example.org", "gus@example.org", "dee@example.org"]
    assert calcom.post(f"/bookings/{uid}/attendees", attendee).status == 400
    assert calcom.delete(f"/bookings/{uid}/attendees/{listed[0]['id']}").status == 400  # the booker stays
    assert calcom.delete(f"/bookings/{uid}/attendees/{added['id']}").data["email"] == "dee@example.org"
    assert calcom.get(f"/bookings/{uid}/attendees/{added['id']}").status == 404
    assert calcom.get(f"/bookings/{uid}/attendees", key="bob").status == 403
    assert calcom.get(f"/bookings/{uid}").data["updatedAt"] == placed["updatedAt"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"location": {"type": "address"}}, 400, "Validation failed for address location: address must be a string"),
        ({"location": "here"}, 400, "'location' must be an object."),
        ({"location": {"type": "phone", "phone": "+49 30 123456"}}, 200, "+49 30 123456"),
        ({"location": {"type": "address", "address": "Street 9"}}, 200, "Street 9"),
        ({}, 200, "https://meet.example.org"),
        ({"location": {"type": "attendeePhone", "phone": "+49 30 123456"}}, 200, "https://meet.example.org"),
        ({"location": {"type": "organizersDefaultApp"}}, 200, "https://meet.example.org"),
    ],
)
def test_a_new_place_must_say_where_and_be_of_a_kind_that_the_type_offers(calcom: Talker, body, status, said):
    link = {"type": "link", "link": "https://meet.example.org", "public": True}
    phone = {"type": "phone", "phone": "+49 30 654321", "public": True}
    address = {"type": "address", "address": "Street 1", "public": True}
    booked = calcom.booked(calcom.create_type(slug="anywhere", locations=[link, phone, address])["id"], _NINE)
    calcom.control.advance(5)
    reply = calcom.patch(f"/bookings/{booked['uid']}/location", body)
    assert reply.status == status
    assert (reply.message if status == 400 else reply.data["location"]) == said
    changed = calcom.get(f"/bookings/{booked['uid']}").data["updatedAt"] != booked["updatedAt"]
    assert changed == (status == 200 and said != link["link"])
    assert calcom.patch(f"/bookings/{booked['uid']}/location", body, key="bob").status in {400, 403}


@pytest.mark.parametrize("name", ["recordings", "transcripts", "references", "conferencing-sessions"])
def test_what_nobody_recorded_is_an_empty_list(calcom: Talker, name):
    uid = calcom.booked(2, _NINE)["uid"]
    assert calcom.get(f"/bookings/{uid}/{name}").data == []
    assert calcom.get(f"/bookings/none/{name}").status == 404


def test_round_robin_rotates_and_is_handed_over(calcom: Talker):
    first, second = calcom.booked(8, _NINE, "Ann"), calcom.booked(8, _TEN, "Bea")
    assert {first["hosts"][0]["username"], second["hosts"][0]["username"]} == {"alice", "bob"}
    other = {"alice": 102, "bob": 101}[first["hosts"][0]["username"]]
    calcom.control.advance(5)
    handed = calcom.post(f"/bookings/{first['uid']}/reassign").data
    assert (handed["bookingUid"], handed["reassignedTo"]["id"]) == (first["uid"], other)
    after = calcom.get(f"/bookings/{first['uid']}").data
    assert (after["hosts"][0]["id"], after["updatedAt"] > first["updatedAt"]) == (other, True)
    assert calcom.post(f"/bookings/{first['uid']}/reassign/999").status == 404
    assert calcom.post(f"/bookings/{first['uid']}/reassign/abc").status == 400


def test_nobody_else_free_means_no_reassignment(calcom: Talker):
    made = calcom.booked(8, _NINE)
    calcom.booked(8, _NINE, "Other")
    reply = calcom.post(f"/bookings/{made['uid']}/reassign")
    assert reply.message == "Can't reassign the booking because no other host is available at that time."


def test_a_fixed_host_and_priorities_decide_who_takes_a_booking(calcom: Talker):
    hosts = [{"userId": 101, "priority": "low"}, {"userId": 102, "priority": "highest"}]
    calcom.patch("/teams/301/event-types/8", {"hosts": hosts})
    assert [calcom.booked(8, start)["hosts"][0]["id"] for start in (_NINE, _TEN)] == [102, 102]
    hosts = [{"userId": 101, "mandatory": True}, {"userId": 102}]
    calcom.patch("/teams/301/event-types/8", {"hosts": hosts})
    made = calcom.booked(8, f"{_MONDAY}T13:00:00Z")
    assert (made["hosts"][0]["id"], made["attendees"][1]["email"]) == (101, "bob@example.com")


@pytest.mark.parametrize("frequency", ["weekly", "monthly", "yearly"])
def test_a_series_keeps_its_hour_and_reads_as_a_whole(calcom: Talker, frequency):
    series = {"interval": 1, "occurrences": 2, "frequency": frequency}
    calcom.control.mutate("set_schedule", id=201, intervals=[{"days": list(range(7)), "start": 0, "end": 1440}])
    made = calcom.create_type(slug="series", recurrence=series)["id"]
    rows = calcom.booked(made, "2027-01-29T09:00:00Z", recurrenceCount=2)
    expected = {"weekly": "2027-02-05", "monthly": "2027-02-28", "yearly": "2028-01-29"}
    assert [row["start"][:16] for row in rows] == ["2027-01-29T09:00", f"{expected[frequency]}T09:00"]
    (uid,) = {row["recurringBookingUid"] for row in rows}
    assert [row["uid"] for row in calcom.get(f"/bookings/{uid}").data] == [row["uid"] for row in rows]


def test_a_series_needs_all_its_times(calcom: Talker):
    calcom.booked(2, "2026-11-30T09:00:00Z")
    assert calcom.book(7, _NINE).status == 400
    assert len(calcom.get("/bookings").data) == 1
