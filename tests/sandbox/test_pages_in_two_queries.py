"""A page of bookings is two queries: what changes between them comes with its new values at its old place."""

import itertools
import threading
from typing import Any

import pytest

from calcom_pipeline.sandbox.testing import ControlError, RunningSandbox
from tests.sandbox.talking import Talker

_LIST = "GET /v2/bookings"
_LATER = "2026-11-22T09:30:00.000Z"


@pytest.fixture
def stamped(calcom: Talker) -> list[str]:
    """The uids of nine bookings, a minute apart in every column."""
    found = []
    for number in range(9):
        at = f"2026-11-22T08:0{number}:00.000Z"
        start = f"2026-12-01T09:0{number}:00.000Z"
        made = calcom.control.mutate("add_booking", event_type_id=2, start=start, updated=at)
        calcom.control.update_bookings(uids=[made["uid"]], updated=at, set={"created": at})
        found.append(made["uid"])
    return found


def _page(calcom: Talker, **query: Any) -> list[dict[str, Any]]:
    return calcom.get("/bookings", **query).data


@pytest.mark.parametrize("sort", ["sortUpdatedAt", "sortCreated", "sortStart"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_a_booking_that_changes_inside_a_page_stays_at_its_old_place_with_its_new_values(
    calcom: Talker, stamped: list[str], sort: str, direction: str
):
    change = {"set": {"start": "2026-12-24T10:00:00.000Z", "created": _LATER, "title": "Moved"}, "updated": _LATER}
    fault = calcom.control.add_fault(
        "change_inside_page", _LIST, count=1, rows=2, mutation={"do": "update_bookings", **change}
    )
    query = {sort: direction, "take": 6, "beforeUpdatedAt": "2026-11-22T08:08:30Z"}
    page = _page(calcom, **query)
    expected = stamped[:6] if direction == "asc" else stamped[:2:-1]
    assert [row["uid"] for row in page] == expected
    moved = [row for row in page if row["title"] == "Moved"]
    assert {(row["updatedAt"], row["start"]) for row in moved} == {(_LATER, "2026-12-24T10:00:00.000Z")}
    assert (len(moved), calcom.control.faults()[0]["struck"]) == (2, 1)
    calcom.control.remove_fault(fault)
    again = _page(calcom, **query)
    assert not {row["uid"] for row in moved} & {row["uid"] for row in again}, "met only past the bound from now on"
    assert [row["updatedAt"] for row in _page(calcom, sortUpdatedAt="desc", take=2)] == [_LATER, _LATER]


def test_without_a_mutation_of_its_own_the_fault_stamps_bookings_anew(calcom: Talker, stamped: list[str]):
    calcom.control.advance(3600)
    calcom.control.add_fault("change_inside_page", _LIST, rows=20)
    page = _page(calcom, sortUpdatedAt="asc", take=5)
    assert [row["uid"] for row in page] == stamped[:5]
    assert {row["updatedAt"] for row in page} == {"2026-11-22T09:00:00.000Z"}
    assert {row["uid"] for row in _page(calcom, sortUpdatedAt="asc", take=4)} == set(stamped[5:])


def test_a_booking_that_is_deleted_inside_a_page_leaves_the_page_short(calcom: Talker, stamped: list[str]):
    calcom.control.add_fault("change_inside_page", _LIST, mutation={"do": "delete_bookings"})
    body = calcom.get("/bookings", sortUpdatedAt="asc", take=5).body
    assert len(body["data"]) == 4
    assert (body["pagination"]["totalItems"], body["pagination"]["hasNextPage"]) == (len(stamped), True)


def test_only_pages_with_rows_use_the_fault_up_and_the_seed_decides_which(calcom: Talker, stamped: list[str]):
    def changed() -> set[str]:
        calcom.control.clear_faults()
        calcom.control.update_bookings(uids=stamped, set={"title": "Old"})
        mutation = {"do": "update_bookings", "set": {"title": "New"}}
        calcom.control.add_fault("change_inside_page", _LIST, count=1, seed=seed, mutation=mutation)
        assert _page(calcom, afterStart="2030-01-01T00:00:00Z") == []
        return {row["uid"] for row in _page(calcom) if row["title"] == "New"}

    picks = {}
    for seed, _ in itertools.product(range(8), range(2)):
        picks.setdefault(seed, []).append(changed())
    assert all(len(one) == 1 for found in picks.values() for one in found)
    assert len({frozenset(found[0]) for found in picks.values()}) > 1


@pytest.mark.parametrize("path", ["/teams/301/bookings", "/bookings"])
def test_lists_of_teams_and_the_legacy_list_read_in_two_queries_too(calcom: Talker, path: str):
    calcom.control.mutate("add_booking", event_type_id=8, start="2026-12-01T09:00:00Z")
    mutation = {"do": "update_bookings", "set": {"title": "New"}}
    calcom.control.add_fault("change_inside_page", "*bookings", mutation=mutation)
    version = {"version": None} if path == "/bookings" else {}
    data = calcom.get(path, **version).data
    rows = data["bookings"] if version else data
    assert [row["title"] for row in rows] == ["New"]


def test_a_change_that_is_none_of_bookings_is_refused(calcom: Talker):
    with pytest.raises(ControlError, match="delete_bookings, update_bookings"):
        calcom.control.add_fault("change_inside_page", _LIST, mutation={"do": "set_user"})


def test_other_requests_are_served_between_the_two_queries(
    calcom: Talker, captures_sandbox: RunningSandbox, stamped: list[str]
):
    before = calcom.control.mutate("set_pace", rows_seconds=1.0)
    found: list[Any] = []

    def read() -> None:
        with Talker(captures_sandbox) as other:
            found.extend(_page(other, sortUpdatedAt="asc", take=9))

    calcom.control.add_fault("error", _LIST, share=0.0)  # strikes nobody, and tells that the page was asked for
    reading = threading.Thread(target=read)
    try:
        reading.start()
        while not calcom.control.faults()[0]["seen"]:
            assert reading.is_alive()
        calcom.control.update_bookings(uids=stamped[:1], updated=_LATER)
        reading.join()
    finally:
        calcom.control.mutate("set_pace", **before)
    assert [row["uid"] for row in found] == stamped
    assert found[0]["updatedAt"] == _LATER
