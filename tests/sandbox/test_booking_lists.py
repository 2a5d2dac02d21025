"""Lists of bookings: filters, buckets, order, pages, and totals that lie. Fact sheet 6.1 to 6.3, 9.47 to 9.54, 11."""

import itertools
from collections.abc import Iterator

import pytest

from calcom_pipeline.sandbox.testing import serve_sandbox
from tests.sandbox.conftest import NOW
from tests.sandbox.talking import Talker

_DAYS = ("2026-11-23", "2026-11-24", "2026-11-25")


@pytest.fixture(scope="module")
def filled() -> Iterator[Talker]:
    """An account with bookings of every kind, a second apart. Its tests only read."""
    with serve_sandbox("captures", now=NOW, in_thread=True) as running:
        running.control.freeze(NOW)
        talker = Talker(running)
        _fill(talker)
        yield talker
        talker.close()
    assert talker.complaints == []


def _fill(calcom: Talker) -> None:
    found = {}
    for name, event_type_id, start in (
        ("first", 2, f"{_DAYS[0]}T09:00:00Z"),
        ("second", 2, f"{_DAYS[1]}T09:00:00Z"),
        ("pending", 5, f"{_DAYS[1]}T10:00:00Z"),
        ("team", 8, f"{_DAYS[2]}T09:00:00Z"),
        ("gone", 3, f"{_DAYS[2]}T12:00:00Z"),
        ("rejected", 5, f"{_DAYS[0]}T13:00:00Z"),
    ):
        calcom.control.advance(1)
        found[name] = calcom.booked(event_type_id, start, name.capitalize())["uid"]
    calcom.control.advance(1)
    calcom.post(f"/bookings/{found['gone']}/cancel", {"cancellationReason": "x"})
    calcom.post(f"/bookings/{found['rejected']}/decline")
    past = {"start": "2026-11-19T09:00:00Z", "name": "Past", "email": "past@example.org"}
    calcom.control.mutate("add_booking", event_type_id=2, set={"title": "Past"}, updated=None, **past)


def _names(calcom: Talker, **query: object) -> list[str]:
    return [row["attendees"][0]["name"] for row in calcom.get("/bookings", **query).data]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["Past", "First", "Rejected", "Second", "Pending", "Team", "Gone"]),
        ({"status": "upcoming"}, ["First", "Second", "Pending", "Team"]),
        ({"status": "unconfirmed"}, ["Pending"]),
        ({"status": "past"}, ["Past"]),
        ({"status": "cancelled"}, ["Gone", "Rejected"]),
        ({"status": "recurring"}, []),
        ({"status": "past,cancelled"}, ["Past", "Rejected", "Gone"]),
        ({"status": "cancelled", "sortStart": "asc"}, ["Rejected", "Gone"]),
        ({"sortStart": "desc", "take": 2}, ["Gone", "Team"]),
        ({"sortCreated": "asc", "take": 3}, ["First", "Second", "Pending"]),
        ({"sortEnd": "asc", "sortCreated": "desc", "take": 1}, ["Past"]),
        ({"sortUpdatedAt": "desc", "take": 1}, ["Past"]),
        ({"attendeeEmail": "second@example.org"}, ["Second"]),
        ({"attendeeName": "Team"}, ["Team"]),
        ({"eventTypeId": 2}, ["Past", "First", "Second"]),
        ({"eventTypeIds": "3,8"}, ["Team", "Gone"]),
        ({"teamId": 301}, ["Team"]),
        ({"teamsIds": "301,999"}, ["Team"]),
        ({"teamsIds": "999"}, []),
        ({"afterStart": f"{_DAYS[1]}T10:00:00Z"}, ["Pending", "Team", "Gone"]),
        ({"beforeEnd": f"{_DAYS[0]}T09:30:00Z"}, ["Past", "First"]),
        ({"afterStart": f"{_DAYS[1]}", "beforeEnd": f"{_DAYS[2]}T09:30:00Z"}, ["Second", "Pending", "Team"]),
        ({"afterCreatedAt": "2026-11-22T08:00:05Z", "beforeCreatedAt": "2026-11-22T08:00:05Z"}, ["Gone"]),
        ({"afterUpdatedAt": "2026-11-22T08:00:07Z"}, ["Rejected", "Gone"]),
        ({"beforeUpdatedAt": "2026-11-22T08:00:01Z"}, ["First"]),
        ({"eventTypeId": 2, "status": "upcoming", "sortStart": "desc"}, ["Second", "First"]),
    ],
)
def test_filters_combine_and_bounds_are_inclusive(filled: Talker, query, names):
    assert _names(filled, **query) == names


def test_a_plus_in_an_address_may_arrive_as_a_space(calcom: Talker):
    calcom.booked(2, f"{_DAYS[0]}T09:00:00Z", attendee={"email": "car+ol@example.org"})
    assert len(calcom.get("/bookings?attendeeEmail=car+ol@example.org").data) == 1


def test_one_is_found_by_uid_and_types_must_exist(filled: Talker):
    (team,) = filled.get("/bookings", attendeeName="Team").data
    assert _names(filled, bookingUid=team["uid"]) == ["Team"]
    unknown = filled.get("/bookings", eventTypeIds="998,999")
    assert (unknown.status, unknown.body["error"]["code"]) == (400, "TRPCError")
    assert unknown.message == "The requested event-types do not exist."


def test_each_sees_his_own_and_a_member_sees_where_he_takes_part(calcom: Talker):
    calcom.booked(2, f"{_DAYS[0]}T13:00:00Z")
    assert _names(calcom, key="bob") == []
    calcom.booked(2, f"{_DAYS[0]}T14:00:00Z", "Bob", attendee={"email": "bob@example.com"})
    assert _names(calcom, key="bob") == ["Bob"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"take": 3}, (3, 7, 3, 4, 1, 3, True, False)),
        ({"take": 3, "skip": 3}, (3, 7, 3, 1, 2, 3, True, True)),
        ({"take": 3, "skip": 6}, (1, 7, 3, 0, 3, 3, False, True)),
        ({"take": 3, "skip": 50}, (0, 7, 3, 0, 3, 3, False, True)),
        ({}, (7, 7, 100, 0, 1, 1, False, False)),
        ({"status": "recurring"}, (0, 0, 100, 0, 0, 0, False, False)),
    ],
)
def test_the_pagination_object_is_arithmetic(filled: Talker, query, expected):
    body = filled.get("/bookings", **query).body
    names = (
        "returnedItems",
        "totalItems",
        "itemsPerPage",
        "remainingItems",
        "currentPage",
        "totalPages",
        "hasNextPage",
        "hasPreviousPage",
    )
    assert tuple(body["pagination"][name] for name in names) == expected


def test_created_and_updated_filters_leave_the_totals_as_they_are(filled: Talker):
    body = filled.get("/bookings", afterUpdatedAt="2030-01-01T00:00:00Z", take=3).body
    assert body["data"] == []
    assert (body["pagination"]["totalItems"], body["pagination"]["returnedItems"]) == (7, 3)
    assert body["pagination"]["hasNextPage"] is True
    right = filled.get("/bookings", afterStart="2030-01-01T00:00:00Z").body["pagination"]
    assert (right["totalItems"], right["hasNextPage"]) == (0, False)


def test_rows_of_equal_keys_change_places_between_pages(calcom: Talker):
    for number in range(12):
        calcom.control.mutate("add_booking", event_type_id=2, start=f"2026-12-{number + 1:02d}T09:00:00Z")
    calcom.control.update_bookings(updated="2026-11-22T09:00:00Z")
    orders = {tuple(row["id"] for row in calcom.get("/bookings", sortUpdatedAt="asc").data) for _ in range(5)}
    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1
    pages = [calcom.get("/bookings", sortUpdatedAt="asc", take=4, skip=skip).data for skip in (0, 4, 8)]
    assert all(len({row["id"] for row in page}) == 4 for page in pages)


def test_a_keyset_over_distinct_stamps_meets_every_row_once(calcom: Talker):
    for number in range(10):
        calcom.control.advance(1)
        calcom.control.mutate("add_booking", event_type_id=2, start=f"2026-12-{number + 1:02d}T09:00:00Z")
    seen: list[str] = []
    since = "2026-01-01T00:00:00Z"
    for _ in itertools.count():
        page = calcom.get("/bookings", sortUpdatedAt="asc", afterUpdatedAt=since, take=3).data
        new = [row["uid"] for row in page if row["uid"] not in seen]
        if not new:
            break
        seen += new
        since = page[-1]["updatedAt"]
    assert len(seen) == 10


def test_a_row_without_organizer_or_stamp_is_shown_as_it_is(calcom: Talker):
    made = calcom.control.mutate("add_booking", event_type_id=2, start=f"{_DAYS[0]}T09:00:00Z", updated=None)
    calcom.control.update_bookings(ids=[made["id"]], set={"user_id": None}, updated=None)
    row = calcom.get(f"/bookings/{made['uid']}").data
    assert set(row["hosts"][0].values()) == {"unknown"}
    assert row["updatedAt"] is None


def test_team_lists_strip_the_change_filters_unless_a_newer_build_is_played(filled: Talker):
    path = "/teams/301/bookings"
    assert len(filled.get(path, afterUpdatedAt="2030-01-01T00:00:00Z").data) == 1
    filled.control.mutate("set_switch", name="team_lists_filter_updates")
    assert filled.get(path, afterUpdatedAt="2030-01-01T00:00:00Z").data == []
    filled.control.mutate("set_switch", name="team_lists_filter_updates", on=False)
    assert filled.get(path, key="bob").status == 403
    assert filled.get(path, key=None).status == 401


def test_an_admin_sees_what_the_members_of_his_teams_host_and_attend(calcom: Talker):
    private = calcom.control.mutate(
        "add_event_type", owner_id=102, set={"lengthInMinutes": 30, "title": "P", "slug": "p"}
    )
    calcom.booked(private["id"], f"{_DAYS[0]}T09:00:00Z", "Ann")
    assert _names(calcom) == ["Ann"]
    calcom.control.mutate("set_membership", user_id=101, team_id=301, role="MEMBER")
    assert _names(calcom) == []


def test_a_team_list_is_the_callers_own_with_a_filter_that_an_empty_team_does_not_have(calcom: Talker):
    calcom.booked(2, f"{_DAYS[0]}T09:00:00Z")
    calcom.booked(8, f"{_DAYS[0]}T10:00:00Z", "Team")
    child = calcom.booked(11, f"{_DAYS[0]}T11:00:00Z", "Child")
    rows = calcom.get("/teams/301/bookings", sortStart="asc").data
    assert [row["attendees"][0]["name"] for row in rows] == ["Team", "Child"]
    assert [row["uid"] for row in calcom.get("/teams/301/bookings", attendeeName="Child", teamsIds="999").data] == [
        child["uid"]
    ]
    for event_type_id in (8, 9, 10):
        calcom.delete(f"/teams/301/event-types/{event_type_id}")
    assert len(calcom.get("/teams/301/bookings").data) == 3  # everything that the caller sees


@pytest.mark.parametrize(
    ("status", "names"),
    [(None, ["First", "Second", "Pending", "Team"]), ("past", ["Past"]), ("cancelled", ["Gone", "Rejected"])],
)
def test_the_legacy_list_is_an_object_with_a_cursor(filled: Talker, status, names):
    query = {} if status is None else {"filters[status]": status}
    data = filled.get("/bookings", version="2024-06-14", limit=3, **query).data
    assert [row["attendees"][0]["name"] for row in data["bookings"]] == names[:3]
    assert data["totalCount"] == len(names)
    assert data["nextCursor"] == (3 if len(names) > 3 else None)
    if data["nextCursor"]:
        rest = filled.get("/bookings", version="2024-06-14", limit=3, cursor=3, **query).data
        assert [row["attendees"][0]["name"] for row in rest["bookings"]] == names[3:]


def test_the_legacy_shapes_of_series_seats_and_team_types(calcom: Talker):
    calcom.booked(7, f"{_DAYS[0]}T09:00:00Z")
    seated = calcom.booked(6, f"{_DAYS[0]}T10:00:00Z")
    calcom.booked(8, f"{_DAYS[0]}T11:00:00Z")
    data = calcom.get("/bookings", version=None, limit=100).data
    (series,) = data["recurringInfo"]
    assert (series["count"], len(series["bookings"]["ACCEPTED"])) == (3, 3)
    by_uid = {row["uid"]: row for row in data["bookings"]}
    assert by_uid[seated["uid"]]["seatsReferences"][0]["referenceUid"] == seated["seatUid"]
    team_row = next(row for row in data["bookings"] if row["eventType"].get("teamId"))
    assert team_row["eventType"]["schedulingType"] == "ROUND_ROBIN"
    read = calcom.get(f"/bookings/{seated['uid']}", version=None).data
    assert (read["status"], read["eventType"]["slug"]) == ("ACCEPTED", "class-60")
    assert calcom.get("/bookings/none", version=None).message == "Booking with UID=none does not exist."
    assert calcom.get("/bookings", version=None, **{"filters[status]": "x"}).status == 400
