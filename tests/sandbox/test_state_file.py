"""A sandbox over several lives of one state file: no uid, id or key comes twice, and rows keep their order."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from calcom_pipeline.sandbox.sequences import BLOCK, SUFFIX
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.sandbox.conftest import NOW
from tests.sandbox.talking import Talker

_MONDAY = "2026-11-23"


@contextmanager
def _life(state: Path, account: str = "captures", **options: Any) -> Iterator[tuple[RunningSandbox, Talker]]:
    with (
        serve_sandbox(account, state=state, now=NOW, **options) as running,
        Talker(running, key=running.keys.get("owner", "alice")) as talker,
    ):
        yield running, talker


def _hand_out(running: RunningSandbox, talker: Talker, day: int) -> set[tuple[str, str]]:
    """One of everything that gets an id, a uid or a key, with its kind."""
    at = f"2026-11-{day}T"
    booking, seated = talker.booked(2, f"{at}08:00:00Z"), talker.booked(6, f"{at}09:00:00Z")
    series = talker.booked(7, f"{at}10:30:00Z")
    hook = {"active": True, "subscriberUrl": f"https://example.org/{day}", "triggers": ["BOOKING_CREATED"]}
    held = talker.post("/slots/reservations", {"eventTypeId": 1, "slotStart": f"{at}13:00:00Z"}).data
    key = running.control.mutate("set_key", name=f"key-{day}", user_id=101)["key"]
    attendees = talker.get(f"/bookings/{booking['uid']}/attendees").data
    return {
        *(("booking", str(one["id"])) for one in (booking, seated, *series)),
        *(("uid", one["uid"]) for one in (booking, seated, *series)),
        ("uid", series[0]["recurringBookingUid"]),
        ("uid", seated["seatUid"]),
        ("uid", seated["icsUid"]),
        ("attendee", str(attendees[0]["id"])),
        ("event type", str(talker.create_type(slug=f"made-{day}")["id"])),
        ("webhook", talker.post("/webhooks", hook).data["id"]),
        ("reservation", held["reservationUid"]),
        ("key", key),
        ("request", talker.get("/me").headers["X-Request-Id"]),
    }


def _kill(running: RunningSandbox) -> None:
    os.kill(running.pid, signal.SIGKILL)


@pytest.mark.parametrize("end", ["clean", "killed", "killed, its state lost", "clean, its state lost"])
def test_no_uid_id_or_key_is_handed_out_in_two_lives_of_a_state_file(tmp_path: Path, end: str):
    state = tmp_path / "state.json"
    lives: list[set[tuple[str, str]]] = []
    for day in (23, 24, 25):
        with _life(state, in_thread=end.startswith("clean")) as (running, talker):
            lives.append(_hand_out(running, talker, day))
            if end.startswith("killed"):
                _kill(running)
        if end.endswith("lost"):
            state.unlink()
    assert all(len(one) == len(lives[0]) > 12 for one in lives)
    assert len(set[tuple[str, str]]().union(*lives)) == sum(map(len, lives))


def test_a_clean_end_leaves_no_gap_in_the_ids_and_a_kill_no_more_than_a_block(tmp_path: Path):
    state = tmp_path / "state.json"
    ids: list[int] = []
    for day, kills in ((23, False), (24, True), (25, False)):
        with _life(state) as (running, talker):
            ids.append(talker.booked(2, f"2026-11-{day}T09:00:00Z")["id"])
            if kills:
                _kill(running)
    assert ids[1] == ids[0] + 1
    assert ids[1] < ids[2] <= ids[1] + BLOCK + 1


def test_a_write_that_was_answered_is_there_after_a_kill(tmp_path: Path):
    state = tmp_path / "state.json"
    with _life(state) as (running, talker):
        made = talker.booked(2, "2026-11-23T09:00:00Z")["uid"]
        _kill(running)
    with _life(state) as (_, talker):
        assert talker.get(f"/bookings/{made}").data["uid"] == made


def test_a_reset_of_the_account_takes_no_ids_back(tmp_path: Path):
    state = tmp_path / "state.json"
    with _life(state, in_thread=True) as (running, talker):
        last = [talker.booked(2, f"2026-11-{day}T09:00:00Z")["id"] for day in (23, 24, 25)][-1]
        running.control.reset(account=True)
        assert talker.booked(2, "2026-11-23T09:00:00Z")["id"] == last + 1
    with _life(state, in_thread=True) as (_, talker):
        assert talker.booked(2, "2026-11-24T09:00:00Z")["id"] == last + 2


def test_unsorted_lists_and_ties_go_on_where_they_were(tmp_path: Path):
    """Of two accounts of one seed the one is stopped in between: nobody can tell which from the order of rows."""
    orders = {}
    for name, stops in (("whole", False), ("stopped", True)):
        state = tmp_path / name
        options: dict[str, Any] = {"event_types": 12, "bookings": 40, "seed": 3, "in_thread": True}
        with _life(state, "generated", **options) as (running, talker):
            running.control.mutate("shuffle_rows")
            running.control.update_bookings(updated="2026-11-22T07:00:00Z")
            seen = _orders(running, talker)
            if not stops:
                seen += _orders(running, talker)
        if stops:
            with _life(state, "generated", **options) as (running, talker):
                seen += _orders(running, talker)
        orders[name] = seen
    assert orders["whole"] == orders["stopped"]
    assert len({str(one) for one in orders["whole"]}) > 2


def _orders(running: RunningSandbox, talker: Talker) -> list[list[int]]:
    """What comes unsorted, sorted by a column without differences, and unsorted after a write."""
    found = [[row["id"] for row in talker.get("/event-types").data]]
    found.append([row["id"] for row in talker.get("/bookings", sortUpdatedAt="asc", take=9).data])
    running.control.mutate("shuffle_rows")
    return [*found, [row["id"] for row in talker.get("/event-types").data]]


def test_a_process_that_is_killed_at_once_leaves_the_account_that_it_answered_from(tmp_path: Path):
    state = tmp_path / "state.json"
    with _life(state, "generated", bookings=30) as (running, talker):
        first = talker.get("/bookings", sortCreated="asc", take=30).data
        _kill(running)
    options: dict[str, Any] = {"bookings": 30, "state": state, "now": "2026-11-26T08:00:00Z", "in_thread": True}
    with serve_sandbox("generated", **options) as running, Talker(running, key=running.keys["owner"]) as talker:
        assert talker.get("/bookings", sortCreated="asc", take=30).data == first


def test_a_state_file_of_an_earlier_release_is_read(tmp_path: Path):
    state = tmp_path / "state.json"
    with _life(state, in_thread=True) as (_, talker):
        kept = talker.booked(2, f"{_MONDAY}T08:00:00Z")
    found = orjson.loads(state.read_bytes())
    del found["generators"]
    state.write_bytes(orjson.dumps(found))
    state.with_name(state.name + SUFFIX).unlink()
    with _life(state, in_thread=True) as (_, talker):
        assert talker.get(f"/bookings/{kept['uid']}").data["id"] == kept["id"]
        made = talker.booked(2, f"{_MONDAY}T09:00:00Z")
        assert (made["id"], made["uid"] != kept["uid"]) == (kept["id"] + 1, True)


@pytest.mark.parametrize("content", ["[]", '{"booking": "x"}', "{"])
def test_a_file_that_holds_no_ids_is_named(tmp_path: Path, content: str):
    state = tmp_path / "state.json"
    state.with_name("state.json.ids").write_text(content)
    with (
        pytest.raises(ValueError, match=r"state\.json\.ids holds no ids"),
        serve_sandbox("captures", state=state, in_thread=True),
    ):
        pass
