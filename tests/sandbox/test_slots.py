"""Slots and reservations. Fact sheet 5, 9.30 to 9.36, 11."""

import pytest

from tests.sandbox.talking import Talker

_MONDAY, _TUESDAY = "2026-11-23", "2026-11-24"
_ALL_30 = [f"{hour:02d}:{minute:02d}" for hour in range(8, 16) for minute in (0, 30)]
_ALL_60 = [f"{hour:02d}:00" for hour in range(8, 16)]


def test_a_free_day_follows_the_grid_in_utc_and_in_a_zone(calcom: Talker):
    assert calcom.starts(2, _MONDAY) == _ALL_30
    in_vienna = calcom.slots(2, _MONDAY, timeZone="Europe/Vienna")
    assert in_vienna[_MONDAY][0] == f"{_MONDAY}T09:00:00.000+01:00"
    assert len(in_vienna[_MONDAY]) == 16
    auckland = calcom.slots(2, _MONDAY, timeZone="Pacific/Auckland")
    assert [(day, len(slots)) for day, slots in auckland.items()] == [(_MONDAY, 6), (_TUESDAY, 10)]


def test_the_zone_of_the_query_changes_which_starts_exist(calcom: Talker):
    assert len(calcom.starts(3, _MONDAY)) == 8
    kolkata = calcom.slots(3, _MONDAY, timeZone="Asia/Kolkata")[_MONDAY]
    assert len(kolkata) == 7
    assert kolkata[0] == f"{_MONDAY}T14:00:00.000+05:30"


def test_the_start_of_the_query_moves_the_grid_of_odd_lengths(calcom: Talker):
    assert calcom.starts(4, _MONDAY, duration=45)[:2] == ["08:00", "08:45"]
    calcom.control.reset()
    moved = calcom.slots(4, f"{_MONDAY}T08:20:00Z", f"{_MONDAY}T23:59:59Z", duration=45)
    assert [start[11:16] for start in moved[_MONDAY]][:2] == ["08:30", "09:15"]


@pytest.mark.parametrize(("now", "first"), [("08:20", ["10:30", "11:15"]), ("08:50", ["11:00", "11:45"])])
def test_the_notice_moves_the_grid_of_odd_lengths_too(calcom: Talker, now, first):
    calcom.control.freeze(f"{_MONDAY}T{now}:00Z")
    assert calcom.starts(4, _MONDAY, duration=45)[:2] == first  # two hours of notice
    assert calcom.starts(2, _MONDAY)[0] == ("10:30" if now == "08:20" else "11:00")


@pytest.mark.parametrize("end", [_MONDAY, f"{_MONDAY}T00:00:00Z", f"{_MONDAY}T00:00:00.000Z"])
def test_an_end_at_midnight_includes_its_day(calcom: Talker, end):
    assert set(calcom.slots(2, "2026-11-22", end)) == {_MONDAY}


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-11-28", "2026-11-29"), ("2026-11-16", "2026-11-20"), (f"{_TUESDAY}T12:00:00Z", f"{_MONDAY}T12:00:00Z")],
)
def test_without_slots_the_answer_is_an_empty_object(calcom: Talker, start, end):
    assert calcom.slots(2, start, end) == {}


def test_days_without_slots_have_no_key(calcom: Talker):
    assert list(calcom.slots(2, "2026-11-27", "2026-11-30")) == ["2026-11-27", "2026-11-30"]


def test_four_ways_of_naming_give_the_same(calcom: Talker):
    by_id = calcom.slots(2, _MONDAY)
    day = {"start": _MONDAY, "end": _MONDAY}
    named = calcom.get("/slots", key=None, username="alice", eventTypeSlug="consult-30", **day).data
    assert {key: [one["start"] for one in slots] for key, slots in named.items()} == by_id
    of_team = calcom.get("/slots", key=None, teamSlug="support", eventTypeSlug="support-rr", **day).data
    assert len(of_team[_MONDAY]) == 16
    dynamic = calcom.get("/slots", key=None, usernames="alice,bob", organizationSlug="any", duration=60, **day).data
    assert len(dynamic[_MONDAY]) == 8


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"eventTypeId": 999}, "Event Type not found"),
        ({"username": "nobody", "eventTypeSlug": "x"}, "User with username nobody not found"),
        ({"username": "alice", "eventTypeSlug": "x"}, "Event Type not found"),
        ({"teamSlug": "nobody", "eventTypeSlug": "x"}, "Team with slug nobody not found"),
        (
            {"username": "alice", "eventTypeSlug": "flex", "organizationSlug": "no"},
            "slots-input.service.ts: Organization with slug no not found",
        ),
    ],
)
def test_what_cannot_be_found_is_404(calcom: Talker, query, message):
    reply = calcom.get("/slots", key=None, start=_MONDAY, end=_MONDAY, **query)
    assert (reply.status, reply.message) == (404, message)


def test_the_range_format_has_ends_and_is_written_in_any_case(calcom: Talker):
    query = {"eventTypeId": 2, "start": _MONDAY, "end": _MONDAY}
    slots = calcom.get("/slots", key=None, format="RANGE", **query).data[_MONDAY]
    assert slots[0] == {"start": f"{_MONDAY}T08:00:00.000Z", "end": f"{_MONDAY}T08:30:00.000Z"}


def test_seats_are_counted_and_a_full_slot_stays(calcom: Talker):
    def seats() -> dict[str, object]:
        calcom.control.reset()
        slots = calcom.get("/slots", key=None, eventTypeId=6, start=_MONDAY, end=_MONDAY).data[_MONDAY]
        return next((slot for slot in slots if slot["start"].startswith(f"{_MONDAY}T08:00")), {})

    assert seats() == {"start": f"{_MONDAY}T08:00:00.000Z", "seatsBooked": 0, "seatsRemaining": 3, "seatsTotal": 3}
    uid = calcom.booked(6, f"{_MONDAY}T08:00:00Z", "Ann")["uid"]
    assert (seats()["seatsRemaining"], seats()["bookingUid"]) == (2, uid)
    for name in ("Bea", "Cleo"):
        calcom.booked(6, f"{_MONDAY}T08:00:00Z", name)
    assert (seats()["seatsBooked"], seats()["seatsRemaining"], seats()["bookingUid"]) == (3, 0, uid)
    assert "08:00" not in calcom.starts(2, _MONDAY)
    full = calcom.book(6, f"{_MONDAY}T08:00:00Z", "Dot")
    assert (full.status, full.message) == (409, "No more seats left at this seated booking.")


def test_an_identical_query_is_answered_from_memory_for_two_seconds(calcom: Talker):
    assert calcom.starts(2, _MONDAY) == _ALL_30
    calcom.booked(2, f"{_MONDAY}T08:00:00Z")
    day = f"{_MONDAY}T00:00:00Z"
    assert calcom.slots(2, _MONDAY)[_MONDAY][0][11:16] == "08:00"
    assert calcom.slots(2, _MONDAY, f"{_MONDAY}T23:59:58Z")[_MONDAY][0][11:16] == "08:30"  # another end, another key
    assert calcom.slots(2, _MONDAY, timeZone="UTC")[_MONDAY][0][11:16] == "08:30"  # another zone too
    assert calcom.slots(2, day)[_MONDAY][0][11:16] == "08:00"  # the same instants
    ranged = calcom.get("/slots", key=None, eventTypeId=2, start=_MONDAY, end=_MONDAY, format="range").data
    assert ranged[_MONDAY][0]["start"][11:16] == "08:00"  # another format is the same key
    calcom.control.advance(2)
    assert calcom.slots(2, _MONDAY)[_MONDAY][0][11:16] == "08:30"


def test_a_booking_closes_every_type_of_its_host_and_collective_ones(calcom: Talker):
    uid = calcom.booked(2, f"{_MONDAY}T10:00:00Z")["uid"]
    assert "10:00" not in calcom.starts(2, _MONDAY)
    assert [start for start in calcom.starts(1, _MONDAY) if start.startswith("10")] == ["10:30", "10:45"]
    assert "10:00" not in calcom.starts(3, _MONDAY)
    assert "10:00" not in calcom.starts(9, _MONDAY)
    assert "10:00" in calcom.starts(8, _MONDAY)  # bob is free
    assert "10:00" in calcom.starts(11, _MONDAY)  # bob's own
    assert "10:00" in calcom.starts(2, _MONDAY, bookingUidToReschedule=uid)
    calcom.post(f"/bookings/{uid}/cancel", {"cancellationReason": "x"})
    assert calcom.starts(2, _MONDAY) == _ALL_30


def test_a_collective_booking_closes_the_types_of_all_its_hosts(calcom: Talker):
    made = calcom.booked(9, f"{_MONDAY}T10:00:00Z")
    assert [host["username"] for host in made["hosts"]] == ["alice"]
    assert [one["email"] for one in made["attendees"]] == ["carol@example.org", "bob@example.com"]
    for event_type_id in (2, 8, 9, 11):
        assert "10:00" not in calcom.starts(event_type_id, _MONDAY)


def test_an_attendee_who_is_a_user_here_is_taken_too(calcom: Talker):
    calcom.booked(2, f"{_MONDAY}T11:00:00Z", "Bob", attendee={"email": "bob@example.com"})
    assert "11:00" not in calcom.starts(11, _MONDAY)
    assert "11:00" not in calcom.starts(8, _MONDAY)  # both hosts are


def test_a_host_who_is_pending_stays_open_unless_the_policy_blocks(calcom: Talker):
    calcom.booked(5, f"{_MONDAY}T09:00:00Z")
    assert "09:00" in calcom.starts(5, _MONDAY)
    calcom.patch("/event-types/5", {"confirmationPolicy": {"type": "always", "blockUnconfirmedBookingsInBooker": True}})
    assert "09:00" not in calcom.starts(5, _MONDAY)
    assert "09:00" in calcom.starts(2, _MONDAY)  # its own type alone


def test_the_buffers_of_both_types_close_time(calcom: Talker):
    made = calcom.create_type(slug="buffers", beforeEventBuffer=15, afterEventBuffer=30)
    calcom.booked(made["id"], f"{_MONDAY}T10:00:00Z")
    fifteen = calcom.starts(1, _MONDAY)
    assert [start for start in fifteen if "09:15" <= start <= "11:15"] == ["09:15", "09:30", "11:00", "11:15"]


@pytest.mark.parametrize(
    ("limits", "closed", "still_open"),
    [
        ({"day": 1}, [_MONDAY], [_TUESDAY]),
        ({"week": 1}, [_MONDAY, "2026-11-27"], ["2026-11-30"]),
        ({"month": 1}, [_MONDAY, "2026-11-30"], ["2026-12-01"]),
        ({"year": 1}, [_MONDAY, "2026-12-31"], ["2027-01-04"]),
    ],
)
def test_a_used_up_limit_closes_its_period_and_refuses_with_401(calcom: Talker, limits, closed, still_open):
    made = calcom.create_type(slug="limited", bookingLimitsCount=limits)
    calcom.booked(made["id"], f"{_MONDAY}T09:00:00Z")
    for day in closed:
        assert calcom.starts(made["id"], day) == []
    for day in still_open:
        assert len(calcom.starts(made["id"], day)) == 16
    over = calcom.book(made["id"], f"{closed[-1]}T13:00:00Z", "Dan")
    assert (over.status, over.message, over.is_bare) == (401, "booking_limit_reached", True)


def test_a_limit_of_minutes_counts_lengths(calcom: Talker):
    made = calcom.create_type(slug="minutes", bookingLimitsDuration={"day": 75})
    for start in ("09:00", "10:00"):
        calcom.booked(made["id"], f"{_MONDAY}T{start}:00Z")
    assert calcom.starts(made["id"], _MONDAY) == []
    over = calcom.book(made["id"], f"{_MONDAY}T12:00:00Z", "Dan")
    assert (over.status, over.message) == (401, "duration_limit_reached")


@pytest.mark.parametrize(
    ("window", "open_days", "closed_days"),
    [
        ({"type": "calendarDays", "value": 3}, [_MONDAY, "2026-11-25"], ["2026-11-26"]),
        ({"type": "businessDays", "value": 2}, [_MONDAY, _TUESDAY], ["2026-11-25"]),
        ({"type": "range", "value": ["2026-11-24", "2026-11-25"]}, [_TUESDAY, "2026-11-25"], [_MONDAY, "2026-11-26"]),
        ({"type": "calendarDays", "value": 2, "rolling": True}, [_MONDAY, _TUESDAY], ["2026-11-25"]),
    ],
)
def test_the_booking_window_bounds_slots_and_bookings(calcom: Talker, window, open_days, closed_days):
    made = calcom.create_type(slug="window", bookingWindow=window)
    found = calcom.slots(made["id"], "2026-11-22", "2026-12-04")
    assert set(open_days) <= set(found)
    assert not set(closed_days) & set(found)
    if not window.get("rolling"):
        refused = calcom.book(made["id"], f"{closed_days[-1]}T09:00:00Z")
        assert refused.message.startswith('The event type can\'t be booked at the "start" time provided.')
    assert calcom.book(made["id"], f"{open_days[0]}T09:00:00Z").status == 201


def test_interval_offset_and_first_slot_shape_the_grid(calcom: Talker):
    every_ten = calcom.create_type(slug="interval", slotInterval=10)["id"]
    assert calcom.starts(every_ten, _MONDAY)[:4] == ["08:00", "08:10", "08:20", "08:30"]
    first = calcom.create_type(slug="first", onlyShowFirstAvailableSlot=True)["id"]
    assert calcom.starts(first, _MONDAY) == ["08:00"]
    shifted = calcom.create_type(slug="offset", offsetStart=5)["id"]
    assert calcom.starts(shifted, _MONDAY)[:2] == ["08:05", "08:40"]


def test_working_hours_follow_the_wall_clock_over_a_change_of_the_clocks(calcom: Talker):
    spring = calcom.slots(2, "2027-03-26", "2027-03-29")
    assert [spring[day][0][11:16] for day in ("2027-03-26", "2027-03-29")] == ["08:00", "07:00"]
    autumn = calcom.slots(2, "2026-10-23", "2026-10-26")
    assert autumn == {}  # that is past
    local = calcom.slots(2, "2027-03-26", "2027-03-29", timeZone="Europe/Berlin")
    assert [local[day][0][11:] for day in ("2027-03-26", "2027-03-29")] == ["09:00:00.000+01:00", "09:00:00.000+02:00"]


def test_another_schedule_opens_other_hours(calcom: Talker):
    override = {"day": _MONDAY, "start": 600, "end": 660}
    closing = {"day": _TUESDAY, "start": 0, "end": 0}
    calcom.control.mutate("set_schedule", id=201, overrides=[override, closing])
    assert calcom.starts(2, _MONDAY) == ["09:00", "09:30"]
    assert calcom.starts(2, _TUESDAY) == []
    assert [one["date"] for one in calcom.get("/schedules/201").data["overrides"]] == [_MONDAY, _TUESDAY]
    calcom.control.mutate("set_schedule", id=777, owner_id=101, intervals=[{"days": [1], "start": 0, "end": 60}])
    calcom.patch("/event-types/2", {"scheduleId": 777})
    assert calcom.starts(2, _MONDAY) == []  # midnight in Berlin is Sunday evening, inside the notice or before it
    assert calcom.slots(2, "2026-11-29", "2026-11-29")["2026-11-29"][0][11:16] == "23:00"


def test_a_managed_parent_has_no_slots(calcom: Talker):
    assert calcom.slots(10, _MONDAY) == {}
    assert calcom.book(10, f"{_MONDAY}T09:00:00Z").status == 400


def test_a_subset_of_hosts_may_be_asked_of_a_round_robin_type(calcom: Talker):
    calcom.booked(2, f"{_MONDAY}T10:00:00Z")
    assert "10:00" not in calcom.starts(8, _MONDAY, rrHostSubsetIds="101")
    assert "10:00" in calcom.starts(8, _MONDAY, rrHostSubsetIds="102")


def test_the_oldest_spelling_answers_times_in_an_object(calcom: Talker):
    query = {"startTime": f"{_MONDAY}T00:00:00Z", "endTime": f"{_MONDAY}T23:00:00Z", "eventTypeId": 2}
    data = calcom.get("/slots/available", key=None, version="2024-04-15", **query).data
    assert data["slots"][_MONDAY][0] == {"time": f"{_MONDAY}T08:00:00.000Z"}
    assert calcom.get("/slots/available", key=None, version="2024-04-15", **query | {"eventTypeId": 999}).status == 404


# -- reservations

_HELD = {"eventTypeId": 2, "slotStart": f"{_MONDAY}T09:00:00Z"}


def test_a_reservation_holds_its_slot_for_five_minutes(calcom: Talker):
    held = calcom.post("/slots/reservations", _HELD, key=None).data
    assert (held["slotDuration"], held["reservationDuration"]) == (30, 5)
    assert held["reservationUntil"] == "2026-11-22T08:05:00.000Z"
    assert "09:00" not in calcom.starts(2, _MONDAY)
    again = calcom.post("/slots/reservations", _HELD, key=None)
    assert (again.status, again.message) == (
        422,
        "This time slot is already reserved by another user. Please choose a different time.",
    )
    touching = _HELD | {"slotStart": f"{_MONDAY}T09:30:00Z"}
    assert calcom.post("/slots/reservations", touching, key=None).status == 201
    calcom.control.advance(301)
    assert "09:00" in calcom.starts(2, _MONDAY)
    assert calcom.post("/slots/reservations", _HELD, key=None).status == 201


def test_a_reservation_does_not_bind_a_booking(calcom: Talker):
    calcom.post("/slots/reservations", _HELD, key=None)
    assert calcom.book(2, _HELD["slotStart"]).status == 201
    booked = calcom.post("/slots/reservations", _HELD | {"slotStart": f"{_MONDAY}T09:00:00Z"}, key=None)
    assert (booked.status, booked.message) == (422, "Can't reserve a slot if the event is already booked.")


def test_reservations_are_read_changed_and_released(calcom: Talker):
    uid = calcom.post("/slots/reservations", _HELD, key=None).data["reservationUid"]
    assert "reservationDuration" not in calcom.get(f"/slots/reservations/{uid}", key=None).data
    moved = calcom.patch(f"/slots/reservations/{uid}", _HELD | {"slotStart": f"{_MONDAY}T13:00:00Z"}, key=None).data
    assert moved["slotStart"] == f"{_MONDAY}T13:00:00.000Z"
    assert calcom.delete(f"/slots/reservations/{uid}", key=None).body == {"status": "success"}
    for method in ("GET", "DELETE"):
        assert calcom.ask(method, "/slots/reservations/unknown", key=None).status == 200
    assert calcom.get("/slots/reservations/unknown", key=None).data is None
    unknown = calcom.patch("/slots/reservations/unknown", _HELD, key=None)
    assert (unknown.status, unknown.message) == (404, "Slot with uid=unknown not found")


@pytest.mark.parametrize(
    ("key", "more", "status", "message"),
    [
        (None, {"reservationDuration": 10}, 401, "reservationDuration can only be used for authenticated requests"),
        ("alice", {"reservationDuration": 10}, 201, ""),
        ("bob", {"reservationDuration": 10}, 201, ""),
        (None, {"eventTypeId": 999}, 404, "Event Type with ID=999 not found"),
        (None, {"slotDuration": 15}, 400, "You passed 'slotDuration' but this event type is not a variable length"),
        (
            None,
            {"eventTypeId": 4, "slotDuration": 20},
            400,
            "Provided 'slotDuration' is not one of the possible lengths",
        ),
        (None, {"eventTypeId": 4, "slotDuration": 45}, 201, ""),
        (None, {"slotStart": "soon"}, 400, "Bad Request Exception"),
    ],
)
def test_a_reservation_is_refused_with_a_reason(calcom: Talker, key, more, status, message):
    reply = calcom.post("/slots/reservations", _HELD | more, key=key)
    assert reply.status == status
    assert status == 201 or reply.message.startswith(message)


def test_a_stranger_may_not_choose_how_long_he_reserves(calcom: Talker):
    calcom.control.mutate("set_membership", user_id=102, team_id=301)  # bob leaves the team
    reply = calcom.post("/slots/reservations", _HELD | {"reservationDuration": 10}, key="bob")
    assert (reply.status, reply.message[:41]) == (403, "authenticated user is not owner of event ")


def test_seats_are_reserved_one_by_one(calcom: Talker):
    held = _HELD | {"eventTypeId": 6}
    assert calcom.post("/slots/reservations", held, key=None).status == 201
    calcom.control.reset()
    slots = calcom.get("/slots", key=None, eventTypeId=6, start=_MONDAY, end=_MONDAY).data[_MONDAY]
    nine = next(slot for slot in slots if slot["start"].startswith(f"{_MONDAY}T09:00"))
    assert (nine["seatsBooked"], nine["seatsRemaining"]) == (1, 2)
