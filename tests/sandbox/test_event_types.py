"""Event types: created, read, listed, changed, deleted; personal, of teams, managed. Fact sheet 4, 9.19 to 9.29."""

import pytest

from tests.sandbox.talking import Talker

_SEATS = {"seatsPerTimeSlot": 4, "showAttendeeInfo": True, "showAvailabilityCount": True}
_LINKS = [{"type": "link", "link": f"https://example.net/{n}", "public": True} for n in range(2)]
_TEAM = "/teams/301/event-types"
_RR = {"lengthInMinutes": 30, "title": "RR", "slug": "rr", "schedulingType": "roundRobin", "hosts": [{"userId": 101}]}


def test_a_create_fills_in_the_defaults(calcom: Talker):
    made = calcom.create_type()
    expected = {
        "minimumBookingNotice": 120, "beforeEventBuffer": 0, "afterEventBuffer": 0, "price": 0, "currency": "usd",
        "description": "", "hidden": False, "slotInterval": None, "scheduleId": None, "recurrence": None,
        "bookingWindow": {"disabled": True}, "seats": {"disabled": True}, "confirmationPolicy": {"disabled": True},
        "locations": [], "ownerId": 101,
    }  # fmt: skip
    assert {name: made[name] for name in expected} == expected
    assert "lengthInMinutesOptions" not in made
    assert "teamId" not in made


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"slug": None}, "slug"),
        ({"title": 7}, "title"),
        ({"lengthInMinutes": 0}, "lengthInMinutes"),
        ({"lengthInMinutes": "30"}, "lengthInMinutes"),
        ({"lengthInMinutesOptions": [15, 15]}, "lengthInMinutesOptions"),
        ({"minimumBookingNotice": -1}, "minimumBookingNotice"),
        ({"hidden": "yes"}, "hidden"),
        ({"successRedirectUrl": "no url"}, "successRedirectUrl"),
        ({"bookingLimitsCount": {"day": 5, "week": 1}}, "bookingLimitsCount"),
        ({"bookingLimitsDuration": {"week": 500, "month": 100}}, "bookingLimitsDuration"),
        ({"bookingWindow": {"type": "calendarDays"}}, "bookingWindow"),
        ({"confirmationPolicy": {"type": "time"}}, "confirmationPolicy"),
        ({"seats": {"seatsPerTimeSlot": 4}}, "seats"),
        ({"seats": _SEATS | {"seatsPerTimeSlot": 1001}}, "seats"),
        ({"recurrence": {"interval": 1, "occurrences": 2, "frequency": "daily"}}, "recurrence"),
        ({"interfaceLanguage": "tlh"}, "interfaceLanguage"),
    ],
)
def test_a_wrong_member_is_named(calcom: Talker, body, wrong):
    reply = calcom.post("/event-types", {"lengthInMinutes": 30, "title": "T", "slug": "t"} | body)
    assert reply.status == 400
    assert [one["property"] for one in reply.body["error"]["details"]["errors"]] == [wrong]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"slug": "intro-15"}, 400, "User already has an event type with this slug."),
        ({"scheduleId": 202}, 404, "User with ID=101 does not own schedule with ID=202"),
        ({"locations": [{"type": "integration", "integration": "zoom"}]}, 400, "zoom not connected."),
        ({"locations": [{"type": "moon"}]}, 400, "Unsupported location type 'moon'."),
        ({"locations": []}, 400, "'locations' must contain at least 1 location."),
        ({"locations": [{"type": "link", "link": "x", "public": True}]}, 400, "Validation failed for link location:"),
        ({"seats": _SEATS, "locations": _LINKS}, 400, "Seats Validation failed: Seats are enabled but more than one"),
        ({"seats": _SEATS, "confirmationPolicy": {"type": "always"}}, 400, "Seats Validation failed"),
        ({"bookingFields": [{"type": "text", "slug": "a"}]}, 400, "Validation failed for text booking field:"),
        ({"bookingFields": [{"type": "email", "required": False}]}, 400, "Booking fields validation failed"),
        ({"bookingFields": [{"type": "number", "slug": "a", "label": "A", "required": True}] * 2}, 400, "Duplicate"),
        ({"customName": "{Nobody}"}, 400, "Invalid event name variables: {Nobody}"),
    ],
)
def test_a_create_that_cannot_be_says_why(calcom: Talker, body, status, message):
    reply = calcom.post("/event-types", {"lengthInMinutes": 30, "title": "T", "slug": "t"} | body)
    assert (reply.status, reply.message[: len(message)]) == (status, message)


def test_a_slug_is_only_trimmed_in_front(calcom: Talker):
    assert calcom.create_type(slug="  -._My Slug-")["slug"] == "My Slug-"


def test_hidden_types_are_the_owners_alone(calcom: Talker):
    calcom.patch("/event-types/2", {"hidden": True})
    own = {one["slug"] for one in calcom.get("/event-types").data}
    named = {one["slug"] for one in calcom.get("/event-types", username="alice").data}
    outsiders = {one["slug"] for one in calcom.get("/event-types", key="bob", username="alice").data}
    assert {"consult-30", "confirm-30"} <= own & named
    assert outsiders == own - {"consult-30", "confirm-30"}
    assert calcom.book(2, "2026-11-23T08:00:00Z").status == 201  # hidden, still bookable by its id


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ({"username": "alice", "eventSlug": "flex"}, ["flex"]),
        ({"username": "alice", "eventSlug": "none"}, []),
        ({"username": "nobody"}, []),
        (
            {"eventSlug": "flex"},
            ["intro-15", "consult-30", "workshop-60", "flex", "confirm-30", "class-60", "weekly-30"],
        ),
        ({"username": "alice", "orgSlug": "none"}, []),
        ({"username": "alice", "sortCreatedAt": "desc", "eventSlug": "intro-15"}, ["intro-15"]),
    ],
)
def test_lists_are_narrowed_by_name(calcom: Talker, query, slugs):
    assert [one["slug"] for one in calcom.get("/event-types", **query).data] == slugs


def test_several_users_together_are_one_dynamic_type(calcom: Talker):
    (dynamic,) = calcom.get("/event-types", usernames="alice,bob").data
    assert (dynamic["ownerId"], dynamic["slug"], dynamic["lengthInMinutes"]) == (0, "dynamic", 30)
    assert [user["username"] for user in dynamic["users"]] == ["alice", "bob"]


def test_a_list_omits_the_hidden_fields_that_a_read_shows(calcom: Talker):
    def slugs(event_type) -> list[str]:
        return [field["slug"] for field in event_type["bookingFields"]]

    listed = next(one for one in calcom.get("/event-types").data if one["id"] == 2)
    read = calcom.get("/event-types/2").data
    assert set(slugs(read)) - set(slugs(listed)) == {"title"}


def test_a_childs_owner_sees_it_among_his_own(calcom: Talker):
    assert [one["id"] for one in calcom.get("/event-types", key="bob").data] == [11]


def test_unknown_and_foreign_types_do_not_exist_for_reading_and_changing(calcom: Talker):
    for key, event_type_id in (("alice", 999), ("bob", 2)):
        assert calcom.get(f"/event-types/{event_type_id}", key=key).status == 404
        changed = calcom.patch(f"/event-types/{event_type_id}", {"title": "Mine"}, key=key)
        assert (changed.status, changed.message) == (404, f"Event type with id {event_type_id} not found")
    assert calcom.get("/event-types/2").data["title"] == "30 min meeting"


def test_deleting_tells_unknown_from_foreign(calcom: Talker):
    unknown, foreign = calcom.delete("/event-types/999"), calcom.delete("/event-types/2", key="bob")
    assert (unknown.status, unknown.message) == (404, "Event type with ID=999 does not exist.")
    assert (foreign.status, foreign.message) == (403, "User with ID=102 does not own event type with ID=2")


def test_a_taken_slug_is_refused_to_a_change_in_other_words(calcom: Talker):
    reply = calcom.patch("/event-types/2", {"slug": "intro-15"})
    assert (reply.status, reply.body["error"]["code"]) == (400, "TRPCError")
    assert reply.message == "error_event_type_url_duplicate"
    assert calcom.patch("/event-types/2", {"slug": "consult-30"}).status == 200  # its own


def test_a_deleted_type_leaves_its_bookings_and_takes_its_webhooks(calcom: Talker):
    seated = calcom.booked(6, "2026-11-23T08:00:00Z")
    hook = {"active": True, "subscriberUrl": "https://example.net", "triggers": ["BOOKING_CREATED"]}
    webhook_id = calcom.post("/event-types/6/webhooks", hook).data["id"]
    gone = calcom.delete("/event-types/6").data
    assert gone == {"id": 6, "lengthInMinutes": 60, "slug": "class-60", "title": "Class"}
    (left,) = calcom.get("/bookings").data
    assert (left["uid"], left["eventTypeId"], left["eventType"]) == (seated["uid"], None, None)
    assert "guests" not in left
    assert "seatUid" not in left["attendees"][0]  # in the normal shape now
    assert left["updatedAt"] == seated["updatedAt"]
    assert calcom.get(f"/webhooks/{webhook_id}").status == 404
    moved = calcom.post(f"/bookings/{seated['uid']}/reschedule", {"start": "2026-11-23T10:00:00Z"})
    assert (moved.status, moved.message) == (404, "Could not find original booking")


def test_unsorted_lists_change_their_order_and_sorted_ones_do_not(calcom: Talker):
    before = [one["id"] for one in calcom.get("/event-types").data]
    calcom.patch("/event-types/3", {"title": "Moved to the end"})
    after = [one["id"] for one in calcom.get("/event-types").data]
    assert (sorted(before), after[-1]) == (sorted(after), 3)
    assert [one["id"] for one in calcom.get("/event-types", sortCreatedAt="asc").data] == sorted(after)
    assert [one["id"] for one in calcom.get("/event-types", sortCreatedAt="desc").data] == sorted(after, reverse=True)


def test_a_create_may_fail_after_the_row_exists(calcom: Talker):
    calcom.control.add_fault("fail_after_create", "POST /v2/event-types", count=1, status=500)
    body = {"lengthInMinutes": 30, "title": "Twice", "slug": "twice"}
    assert calcom.post("/event-types", body).status == 500
    again = calcom.post("/event-types", body)
    assert (again.status, again.message) == (400, "User already has an event type with this slug.")
    assert "twice" in [one["slug"] for one in calcom.get("/event-types").data]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"bookingLimitsCount": {"day": 2, "week": 5}}, {"bookingLimitsCount": {"day": 2, "week": 5}}),
        ({"bookingLimitsCount": {"disabled": True}}, {"bookingLimitsCount": {}}),
        ({"bookingLimitsDuration": {"month": 600}}, {"bookingLimitsDuration": {"month": 600}}),
        (
            {"bookingWindow": {"type": "businessDays", "value": 5, "rolling": True}},
            {"bookingWindow": {"type": "businessDays", "value": 5, "rolling": True}},
        ),
        (
            {
                "confirmationPolicy": {
                    "type": "time",
                    "noticeThreshold": {"unit": "hours", "count": 4},
                    "blockUnconfirmedBookingsInBooker": True,
                }
            },
            {
                "confirmationPolicy": {
                    "type": "time",
                    "noticeThreshold": {"unit": "hours", "count": 4},
                    "blockUnconfirmedBookingsInBooker": True,
                }
            },
        ),
        ({"seats": _SEATS}, {"seats": {"disabled": False} | _SEATS}),
        (
            {"lengthInMinutesOptions": [30, 60]},
            {"lengthInMinutesOptions": [30, 60], "metadata": {"multipleDuration": [30, 60]}},
        ),
        (
            {"disableRescheduling": {"minutesBefore": 60}},
            {"disableRescheduling": {"disabled": False, "minutesBefore": 60}},
        ),
        (
            {"color": {"lightThemeHex": "#fff", "darkThemeHex": "#000"}},
            {"color": {"lightThemeHex": "#fff", "darkThemeHex": "#000"}},
        ),
        (
            {"description": "Text", "slotInterval": 15, "offsetStart": 5},
            {"description": "Text", "slotInterval": 15, "offsetStart": 5},
        ),
    ],
)
def test_what_a_change_writes_is_read_back(calcom: Talker, sent, shown):
    changed = calcom.patch("/event-types/1", sent).data
    assert {name: changed[name] for name in shown} == shown
    assert calcom.get("/event-types/1").data == changed


@pytest.mark.parametrize("member", [{"price": 5}, {"length": 90}, {"metadata": {"a": 1}}, {"foo": 1}, {}])
def test_what_cannot_be_written_changes_nothing(calcom: Talker, member):
    before = calcom.get("/event-types/1").data
    assert calcom.patch("/event-types/1", member).data == before


def test_own_fields_stand_before_the_last_default_ones(calcom: Talker):
    fields = [
        {"type": "select", "slug": "size", "label": "Size", "required": True, "options": ["S", "L"]},
        {"type": "splitName", "firstNameLabel": "First", "lastNameLabel": "Last", "lastNameRequired": True},
        {"slug": "notes", "required": True, "label": "Tell us"},
        {"type": "phone", "slug": "attendeePhoneNumber", "label": "Phone", "required": True},
    ]
    shown = calcom.create_type(bookingFields=fields, disableGuests=True)["bookingFields"]
    by_slug = {field["slug"]: field for field in shown}
    assert list(by_slug) == [
        "splitName",
        "email",
        "location",
        "attendeePhoneNumber",
        "size",
        "title",
        "notes",
        "guests",
        "rescheduleReason",
    ]
    assert (by_slug["notes"]["required"], by_slug["notes"]["label"]) == (True, "Tell us")
    assert by_slug["guests"]["hidden"] is True
    assert by_slug["size"]["options"] == ["S", "L"]
    assert by_slug["splitName"]["lastNameRequired"] is True


def test_a_teams_type_needs_a_kind_and_hosts_of_the_team(calcom: Talker):
    assert calcom.post(_TEAM, {"lengthInMinutes": 30, "title": "T", "slug": "t"}).status == 400
    stranger = calcom.post(_TEAM, _RR | {"hosts": [{"userId": 999}]})
    assert (stranger.status, stranger.message) == (404, "Invalid userId 999")
    made = calcom.post(_TEAM, _RR | {"hosts": [{"userId": 102, "mandatory": True, "priority": "high"}]}).data
    assert made["hosts"] == [
        {
            "mandatory": True,
            "priority": "high",
            "userId": 102,
            "name": "Bob Example",
            "username": "bob",
            "avatarUrl": None,
        }
    ]
    taken = calcom.post(_TEAM, _RR)
    assert (taken.status, taken.message) == (400, "URL Slug already exists for given user.")


def test_a_change_of_kind_needs_hosts(calcom: Talker):
    assert calcom.patch(f"{_TEAM}/8", {"schedulingType": "collective"}).status == 400
    changed = calcom.patch(f"{_TEAM}/8", {"schedulingType": "collective", "hosts": [{"userId": 101}]}).data
    assert (changed["schedulingType"], len(changed["hosts"])) == ("collective", 1)
    assert calcom.patch(f"{_TEAM}/8", {"assignAllTeamMembers": True}).data["assignAllTeamMembers"] is True
    assert len(calcom.get(f"{_TEAM}/8").data["hosts"]) == 2
    assert calcom.patch(f"{_TEAM}/8", {"slug": "support-all"}).message == "error_event_type_url_duplicate"


def test_team_types_are_the_admins_to_change_and_everybodys_to_list(calcom: Talker):
    assert calcom.post(_TEAM, _RR, key="bob").status == 403
    assert calcom.get(f"{_TEAM}/999").message == "Event type with id 999 not found"
    assert calcom.delete(f"{_TEAM}/999").message == "Event type with ID=999 does not exist."
    listed = calcom.get(_TEAM, key=None, sortCreatedAt="asc").data
    assert [one["schedulingType"] for one in listed] == ["roundRobin", "collective", "managed"]
    (named,) = calcom.get(_TEAM, key=None, eventSlug="support-rr", hostsLimit=1).data
    assert (named["id"], len(named["hosts"])) == (8, 1)
    assert calcom.get("/teams/999/event-types", key=None).data == []
    assert calcom.get("/event-types/8").data["teamId"] == 301  # in the team shape


def test_a_managed_type_is_a_family(calcom: Talker):
    body = {
        "lengthInMinutes": 20,
        "title": "M",
        "slug": "m",
        "schedulingType": "managed",
        "hosts": [{"userId": 101}, {"userId": 102}],
    }
    parent, *children = calcom.post(_TEAM, body).data
    assert [(one["parentEventTypeId"], one["ownerId"]) for one in children] == [
        (parent["id"], 101),
        (parent["id"], 102),
    ]
    changed = calcom.patch(f"{_TEAM}/{parent['id']}", {"lengthInMinutes": 25, "hosts": [{"userId": 102}]}).data
    assert [one["lengthInMinutes"] for one in changed] == [25, 25]
    assert [one["id"] for one in changed[1:]] == [children[1]["id"]]
    calcom.delete(f"{_TEAM}/{parent['id']}")
    assert calcom.get(f"/event-types/{children[1]['id']}", key="bob").status == 404
