"""Moves: a booking that takes the place of another."""

import pytest

from tests.sandbox.talking import Talker

_MONDAY = "2026-11-23"
_NINE, _TEN = f"{_MONDAY}T09:00:00Z", f"{_MONDAY}T10:00:00Z"


def test_a_move_makes_a_new_booking_and_ends_the_old(calcom: Talker):
    old = calcom.booked(4, _NINE, lengthInMinutes=45, metadata={"a": "1"})
    calcom.control.advance(5)
    body = {"start": _TEN, "rescheduledBy": "carol@example.org", "reschedulingReason": "late"}
    new = calcom.post(f"/bookings/{old['uid']}/reschedule", body, key=None).data
    assert (new["id"] > old["id"], new["rescheduledFromUid"], new["duration"]) == (True, old["uid"], 45)
    assert (new["reschedulingReason"], new["rescheduledByEmail"]) == ("late", "carol@example.org")
    assert new["metadata"] == {"a": "1"}
    before = calcom.get(f"/bookings/{old['uid']}").data
    assert (before["status"], before["rescheduledToUid"]) == ("cancelled", new["uid"])
    assert before["updatedAt"] > old["updatedAt"]
    again = calcom.post(f"/bookings/{old['uid']}/reschedule", {"start": _NINE})
    assert f"rescheduled already to booking with uid={new['uid']}" in again.message
    silent = calcom.post(f"/bookings/{new['uid']}/reschedule", {"start": f"{_MONDAY}T11:00:00Z"}).data
    assert "reschedulingReason" not in silent  # a reason belongs to one move
    found = {row["uid"] for row in calcom.get("/bookings", afterUpdatedAt="2026-11-22T08:00:05Z").data}
    assert found == {old["uid"], new["uid"], silent["uid"]}


def test_a_move_is_refused_in_cal_coms_words(calcom: Talker):
    uid = calcom.booked(2, _NINE)["uid"]
    calcom.booked(2, _TEN, "Dan")
    taken = calcom.post(f"/bookings/{uid}/reschedule", {"start": _TEN})
    assert taken.message == "User either already has booking at this time or is not available"
    assert calcom.post(f"/bookings/{uid}/reschedule", {"start": "x"}).message.startswith("start property is wrong,")
    assert calcom.post(f"/bookings/{uid}/reschedule", {"start": "2026-11-20T09:00:00Z"}).message == (
        "Attempting to book a meeting in the past."
    )
    overlapping = calcom.post(f"/bookings/{uid}/reschedule", {"start": f"{_MONDAY}T09:15:00Z"})
    assert overlapping.status == 201  # its own time counts as free
    calcom.post(f"/bookings/{overlapping.data['uid']}/cancel", {"cancellationReason": "x"})
    gone = calcom.post(f"/bookings/{overlapping.data['uid']}/reschedule", {"start": _NINE})
    assert gone.message.startswith(
        f"Can't reschedule booking with uid={overlapping.data['uid']} because it has been cancelled."
    )


def test_neither_a_cancelled_nor_a_rejected_booking_is_revived_by_a_move(calcom: Talker):
    made = calcom.create_type(slug="reviving", allowReschedulingCancelledBookings=True)["id"]
    gone = calcom.booked(made, _NINE)["uid"]
    calcom.post(f"/bookings/{gone}/cancel", {"cancellationReason": "x"})
    assert calcom.post(f"/bookings/{gone}/reschedule", {"start": _TEN}).status == 400
    rejected = calcom.booked(5, _TEN)["uid"]
    calcom.post(f"/bookings/{rejected}/decline")
    moved = calcom.post(f"/bookings/{rejected}/reschedule", {"start": _NINE})
    assert (moved.status, moved.is_bare, moved.message) == (404, True, "Could not find original booking")


@pytest.mark.parametrize(
    ("setting", "status", "message"),
    [
        ({"disabled": True}, 400, "This event type does not allow rescheduling"),
        ({"minutesBefore": 10_000}, 403, "Rescheduling is not allowed within 10000 minutes before the event"),
    ],
)
def test_a_type_may_forbid_moves(calcom: Talker, setting, status, message):
    made = calcom.create_type(slug="fixed", disableRescheduling=setting)["id"]
    reply = calcom.post(f"/bookings/{calcom.booked(made, _NINE)['uid']}/reschedule", {"start": _TEN})
    assert (reply.status, reply.message, reply.is_bare) == (status, message, True)


@pytest.mark.parametrize(
    ("key", "mover", "status"),
    [
        ("alice", None, "accepted"),
        (None, None, "pending"),
        ("bob", None, "pending"),
        (None, "alice@example.com", "accepted"),
        ("bob", "alice@example.com", "accepted"),
        (None, "carol@example.org", "pending"),
        ("alice", "carol@example.org", "accepted"),  # the booker's own address names nobody: the key decides
        ("alice", "bob@example.com", "pending"),
    ],
)
@pytest.mark.parametrize("confirmed", [True, False])
def test_a_move_needs_confirmation_unless_the_owner_moves(calcom: Talker, key, mover, status, confirmed):
    uid = calcom.booked(5, _NINE)["uid"]
    if confirmed:
        calcom.post(f"/bookings/{uid}/confirm")
    body = {"start": _TEN} | ({"rescheduledBy": mover} if mover else {})
    assert calcom.post(f"/bookings/{uid}/reschedule", body, key=key).data["status"] == status
