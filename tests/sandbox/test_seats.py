"""Seats as the real server was seen to give them: fact sheet 10 S1 to S5 and 23."""

from typing import Any

import pytest

from tests.sandbox.talking import Talker

_DAY = "2026-11-23"
_GRID = [f"{hour:02d}:00" for hour in range(8, 16)]
_CLASS, _COLLECTIVE = 6, 9


def _at(clock: str) -> str:
    return f"{_DAY}T{clock}:00Z"


def _slot(calcom: Talker, clock: str, **query: str) -> dict[str, Any] | None:
    calcom.control.reset()
    slots = calcom.get("/slots", key=None, eventTypeId=_CLASS, start=_DAY, end=_DAY, **query).data[_DAY]
    return next((one for one in slots if one["start"][11:16] == clock), None)


def _fill(calcom: Talker, clock: str, seats: int) -> list[Any]:
    return [calcom.booked(_CLASS, _at(clock), f"Guest{number}") for number in range(seats)]


def test_a_full_start_stays_listed_with_no_seat_remaining(calcom: Talker):
    uid = _fill(calcom, "13:00", 3)[0]["uid"]
    assert _slot(calcom, "13:00") == {
        "start": f"{_DAY}T13:00:00.000Z", "seatsBooked": 3, "seatsRemaining": 0, "seatsTotal": 3, "bookingUid": uid,
    }  # fmt: skip
    refused = calcom.book(_CLASS, _at("13:00"), "Late")
    assert (refused.status, refused.message) == (409, "No more seats left at this seated booking.")


@pytest.mark.parametrize(
    ("clock", "seats", "other"),
    [("13:00", 3, "12:30"), ("13:00", 1, "12:30"), ("13:15", 1, "13:00"), ("13:15", 3, "14:00")],
)
def test_a_seated_booking_full_or_not_closes_none_of_its_types_other_starts(
    calcom: Talker, clock: str, seats: int, other: str
):
    _fill(calcom, clock, seats)
    assert calcom.starts(_CLASS, _DAY) == _GRID
    assert calcom.book(_CLASS, _at(other), "Other").status == 201
    assert calcom.starts(_CLASS, _DAY) == _GRID


def test_a_seated_booking_closes_the_time_for_the_hosts_other_types_all_the_same(calcom: Talker):
    _fill(calcom, "13:00", 1)
    assert "13:00" not in calcom.starts(3, _DAY)
    assert calcom.book(3, _at("13:00"), "Other").status == 400


def test_the_buffers_of_a_seated_booking_close_its_own_types_starts_and_its_length_does_not(calcom: Talker):
    calcom.control.mutate("update_event_type", id=_CLASS, set={"beforeEventBuffer": 15})
    _fill(calcom, "12:00", 1)
    assert calcom.starts(_CLASS, _DAY) == [one for one in _GRID if one not in {"11:00", "13:00"}]


def test_the_one_seat_of_a_type_closes_its_start(calcom: Talker):
    """A guess from the published source, as the code says."""
    calcom.control.mutate("update_event_type", id=_CLASS, set={"seats": _seats(1)})
    _fill(calcom, "13:00", 1)
    assert calcom.starts(_CLASS, _DAY) == [one for one in _GRID if one != "13:00"]


def _seats(count: int) -> dict[str, Any]:
    return {"seatsPerTimeSlot": count, "showAttendeeInfo": True, "showAvailabilityCount": True}


def test_the_booking_that_is_about_to_be_moved_is_not_counted(calcom: Talker):
    uid = _fill(calcom, "13:00", 2)[0]["uid"]
    moving = _slot(calcom, "13:00", bookingUidToReschedule=uid)
    assert moving == {"start": f"{_DAY}T13:00:00.000Z", "seatsBooked": 0, "seatsRemaining": 3, "seatsTotal": 3}
    assert (_slot(calcom, "13:00") or {})["seatsBooked"] == 2


def test_a_held_seat_counts_until_it_is_given_up(calcom: Talker):
    calcom.post("/slots/reservations", {"eventTypeId": _CLASS, "slotStart": _at("13:00")})
    assert (_slot(calcom, "13:00") or {})["seatsBooked"] == 1
    calcom.control.advance(6 * 60)
    assert (_slot(calcom, "13:00") or {})["seatsBooked"] == 0


def test_a_seat_is_held_beside_a_full_start_and_not_in_it(calcom: Talker):
    _fill(calcom, "13:00", 3)
    full = calcom.post("/slots/reservations", {"eventTypeId": _CLASS, "slotStart": _at("13:00")})
    assert (full.status, full.message.endswith("has no more seats left.")) == (422, True)
    assert calcom.post("/slots/reservations", {"eventTypeId": _CLASS, "slotStart": _at("12:30")}).status == 201


def test_a_collective_type_with_one_busy_host_fails_unforeseen_and_with_none_free_is_refused(calcom: Talker):
    calcom.booked(3, _at("10:00"))
    unforeseen = calcom.book(_COLLECTIVE, _at("10:00"), "Dan")
    assert (unforeseen.status, unforeseen.is_bare, unforeseen.message) == (500, True, "Internal server error")
    refused = calcom.book(_COLLECTIVE, f"{_DAY}T22:00:00Z", "Dan")
    assert (refused.status, refused.message) == (
        400, "One of the hosts either already has booking at this time or is not available",
    )  # fmt: skip
