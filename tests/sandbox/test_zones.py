"""Zones in other spellings, and zones that nobody here knows: in schedules, of users, in queries, of attendees."""

import pytest

from tests.contract.replaying import Receiver, wait_until
from tests.sandbox.talking import Talker

_MONDAY = "2026-11-23"
_ODD = ["europe/berlin", "EUROPE/BERLIN", "Mars/Olympus", "Europe", "", "../../etc/passwd", "a\0b", "posixrules", "🕰"]
_UNKNOWN = ["Mars/Olympus", "Europe", "../../etc/passwd", "a\0b", "posixrules", "Factory", "🕰"]


@pytest.mark.parametrize("zone", _ODD)
def test_a_schedule_in_any_zone_stops_no_answer(calcom: Talker, zone):
    others = calcom.slots(11, _MONDAY)  # bob's
    calcom.control.mutate("set_schedule", id=201, time_zone=zone)
    calcom.control.reset()
    assert calcom.get("/schedules/201").data["timeZone"] == zone
    assert calcom.get("/schedules", version=None).data[0]["timeZone"] == zone
    starts = calcom.starts(1, _MONDAY)
    assert calcom.slots(11, _MONDAY) == others
    assert calcom.slots(8, _MONDAY)
    for event_type_id in (2, 6, 7, 9):
        free = calcom.starts(event_type_id, "2026-11-24")
        assert calcom.book(event_type_id, f"2026-11-24T{free[0]}:00Z", name="Zoe").status == 201
    assert starts


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("europe/berlin", "08:00", "15:45"),
        ("EUROPE/BERLIN", "08:00", "15:45"),
        ("asia/kolkata", "03:30", "11:15"),
        ("Mars/Olympus", "09:00", "16:45"),  # a guess: as UTC
    ],
)
def test_hours_follow_the_zone_in_any_spelling(calcom: Talker, zone, first, last):
    calcom.control.mutate("set_schedule", id=201, time_zone=zone)
    starts = calcom.starts(1, _MONDAY)
    assert (starts[0], starts[-1]) == (first, last)


@pytest.mark.parametrize("zone", _UNKNOWN)
def test_a_query_in_an_unknown_zone_is_refused(calcom: Talker, zone):
    reply = calcom.get("/slots", key=None, eventTypeId=1, start=_MONDAY, end=_MONDAY, timeZone=zone)
    assert (reply.status, reply.message.startswith("timeZone property is wrong")) == (400, True)


@pytest.mark.parametrize("zone", _UNKNOWN)
def test_the_old_query_in_an_unknown_zone_is_answered(calcom: Talker, zone):
    query = {"eventTypeId": 1, "startTime": _MONDAY, "endTime": "2026-11-24", "timeZone": zone}
    found = calcom.get("/slots/available", key=None, version=None, **query)
    assert (found.status, list(found.data["slots"])) == (200, [_MONDAY])


@pytest.mark.parametrize("zone", ["europe/berlin", "EUROPE/BERLIN", "eUrOpE/bErLiN"])
def test_a_query_in_another_spelling_is_the_same_query(calcom: Talker, zone):
    assert calcom.slots(1, _MONDAY, timeZone=zone) == calcom.slots(1, _MONDAY, timeZone="Europe/Berlin")


@pytest.mark.parametrize("zone", _UNKNOWN)
def test_an_attendee_in_an_unknown_zone_is_refused(calcom: Talker, zone):
    reply = calcom.book(2, f"{_MONDAY}T09:00:00Z", attendee={"timeZone": zone})
    assert (reply.status, "timeZone must be a valid IANA time-zone" in reply.message) == (400, True)


def test_a_user_in_an_unknown_zone_hosts_and_is_announced(calcom: Talker, hooks: Receiver):
    calcom.control.mutate("set_user", id=101, time_zone="Mars/Olympus")
    body = {"active": True, "subscriberUrl": hooks.url, "triggers": ["BOOKING_CREATED", "BOOKING_CANCELLED"]}
    assert calcom.post("/webhooks", body).status == 201
    booked = calcom.booked(2, f"{_MONDAY}T09:00:00Z")
    assert calcom.post(f"/bookings/{booked['uid']}/cancel", {"cancellationReason": "x"}).status == 200
    wait_until(lambda: len(hooks.got) == 2)
