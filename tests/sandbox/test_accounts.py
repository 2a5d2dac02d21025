"""Accounts that are not the recorded one: from a file, generated from a seed, kept over restarts."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from calcom_pipeline.sandbox.command import cli
from calcom_pipeline.sandbox.testing import serve_sandbox
from tests.sandbox.accounts import KEYS, account, write
from tests.sandbox.conftest import NOW
from tests.sandbox.talking import Talker

_MONDAY = "2026-11-23"
_GENERATED = {"event_types": 20, "teams": 2, "bookings": 400, "now": NOW, "limit": 100_000, "in_thread": True}


def _all_bookings(talker: Talker, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = talker.get("/bookings", key=key, sortCreated="asc", take=250, skip=len(found)).data
        found += page
        if len(page) < 250:
            return found


# -- from a file


def test_an_account_of_ones_own_is_served_from_a_file(tmp_path: Path):
    with (
        serve_sandbox(str(write(tmp_path)), now=NOW, in_thread=True) as running,
        Talker(running, key=KEYS["ada"]) as ada,
    ):
        assert ada.get("/me").data["organization"] == {"isPlatform": False, "id": 50}
        assert [one["slug"] for one in ada.get("/event-types").data] == ["repair"]
        assert ada.slots(1, _MONDAY)[_MONDAY][0] == f"{_MONDAY}T08:00:00.000Z"
        assert ada.booked(2, f"{_MONDAY}T08:00:00Z")["status"] == "accepted"
        assert ada.get("/organizations/50/bookings", key=KEYS["ben"]).status == 403
        assert ada.get("/organizations/50/teams/60/bookings", key=KEYS["ben"]).status == 403
        assert ada.get("/organizations/50/teams/60/event-types", key=KEYS["cat"]).message == (
            "RolesGuard - User is not part of the organization with id=50."
        )
        assert ada.get("/organizations/60/bookings").message.startswith("IsOrgGuard - provided organization id=60")
        assert ada.get("/organizations/50/teams/61/event-types").status == 403
        assert len(ada.get("/organizations/50/teams/event-types", take=250).data) == 1
        assert "pagination" not in ada.get("/organizations/50/teams/event-types").body
        assert ada.get("/teams/60", key=KEYS["cat"]).status == 403
        assert ada.complaints == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"cars": []}, "An account has no cars"),
        ({"users": [{"id": 1, "wheels": 4}]}, "User has no wheels"),
        ({"users": [{"id": "1"}]}, "User.id must be int"),
        ({"users": [{"id": 1}]}, "User: "),
        ({"keys": [{"key": "cal_x", "user_id": 9, "name": "x"}]}, "Key 'x' is of the unknown user 9"),
        ({"memberships": [{"id": 1, "user_id": 9, "team_id": 60, "role": "OWNER"}]}, "Membership 1 joins an unknown"),
        ({"memberships": [{"id": 1, "user_id": 1, "team_id": 60, "role": "KING"}]}, "Membership.role must be one of"),
        (
            {"event_types": [{"id": 1, "length": 5, "title": "T", "slug": "t", "owner_id": 9}]},
            "Event type 1 is of an unknown",
        ),
    ],
)
def test_a_file_that_cannot_be_an_account_says_why(tmp_path: Path, change, complaint):
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account() | change))
    with pytest.raises(ValueError, match=complaint), serve_sandbox(str(path), in_thread=True):
        pass


@pytest.mark.parametrize(("text", "complaint"), [("{", "is no JSON"), ("[]", "must hold a JSON object")])
def test_a_file_that_is_no_json_object_says_so(tmp_path: Path, text, complaint):
    path = tmp_path / "account.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint), serve_sandbox(str(path), in_thread=True):
        pass


def test_bookings_and_types_may_stand_in_the_file_as_rows(tmp_path: Path):
    person = {"id": 7, "name": "Otto", "email": "otto@example.org", "time_zone": "UTC"}
    booking = {
        "id": 40, "uid": "old-booking", "title": "Old", "start": 1_795_424_400_000, "end": 1_795_427_100_000,
        "created": 1_795_000_000_000, "updated": None, "status": "accepted", "event_type_id": 5, "user_id": 1,
        "attendees": [person],
    }  # fmt: skip
    row = {"id": 5, "length": 45, "title": "Row", "slug": "row", "owner_id": 1}
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account() | {"event_types": [row], "bookings": [booking]}))
    with serve_sandbox(str(path), now=NOW, in_thread=True) as running, Talker(running, key=KEYS["ada"]) as ada:
        assert ada.get("/bookings/old-booking").data["updatedAt"] is None
        assert ada.booked(5, f"{_MONDAY}T12:00:00Z")["id"] == 41


# -- generated


def test_the_same_seed_makes_the_same_account_and_another_seed_another():
    one_page = _GENERATED | {"bookings": 240}  # rows created together may change places between two pages
    seen = []
    for seed in (3, 3, 4):
        with serve_sandbox("generated", seed=seed, **one_page) as running, Talker(running) as talker:
            rows = _all_bookings(talker, running.keys["owner"])
            types = talker.get("/event-types", key=running.keys["owner"], sortCreatedAt="asc").data
            seen.append((running.keys, types, sorted(rows, key=lambda row: row["id"])))
            assert talker.complaints == []
    assert seen[0] == seen[1]
    assert seen[0][2] != seen[2][2]


@pytest.fixture(scope="module")
def generated() -> Iterator[tuple[Talker, list[dict[str, Any]]]]:
    """A client of a generated account's owner, and all the bookings that he sees."""
    with (
        serve_sandbox("generated", seed=5, **_GENERATED | {"bookings": 2_000}) as running,
        Talker(running, key=running.keys["owner"]) as talker,
    ):
        yield talker, _all_bookings(talker, talker.key)


def test_a_generated_account_is_realistic_in_its_mix(generated):
    _, rows = generated
    by_uid = {row["uid"]: row for row in rows}
    statuses = Counter(row["status"] for row in rows)
    moved = [row for row in rows if row.get("rescheduledToUid")]
    assert len(by_uid) == len(rows) > 1_000
    assert statuses["accepted"] > statuses["cancelled"] > 0
    assert {"accepted", "cancelled", "pending", "rejected"} <= set(statuses)
    assert len({attendee["timeZone"] for row in rows for attendee in row["attendees"]}) > 5
    assert moved
    assert all(by_uid[row["rescheduledToUid"]]["rescheduledFromUid"] == row["uid"] for row in moved)
    assert 700 < sum(len(json.dumps(row)) for row in rows) / len(rows) < 2_500
    assert any("recurringBookingUid" in row for row in rows)
    assert any("seatUid" in attendee for row in rows for attendee in row["attendees"])


def test_a_generated_row_is_the_same_in_lists_and_by_itself(generated):
    talker, rows = generated
    for row in rows[::97]:
        assert talker.get(f"/bookings/{row['uid']}").data == row
        email, name = row["attendees"][0]["email"], row["attendees"][0]["name"]
        by_email = talker.get("/bookings", attendeeEmail=email, take=250).data
        assert {one["uid"] for one in by_email} == {
            one["uid"] for one in rows if email in {attendee["email"] for attendee in one["attendees"]}
        }
        assert row["uid"] in {one["uid"] for one in talker.get("/bookings", attendeeName=name, take=250).data}


def test_generated_hosts_never_sit_in_two_bookings_at_once(generated):
    _, rows = generated
    by_host: dict[int, list[tuple[str, str]]] = {}
    for row in rows:
        if row["status"] == "accepted":
            by_host.setdefault(row["hosts"][0]["id"], []).append((row["start"], row["end"]))
    for times in by_host.values():
        times.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(times))


def test_generated_rows_live_on_as_real_ones():
    with (
        serve_sandbox("generated", seed=7, **_GENERATED) as running,
        Talker(running, key=running.keys["owner"]) as talker,
    ):
        row = next(one for one in talker.get("/bookings", status="upcoming").data if "recurringBookingUid" not in one
                   and one["status"] == "accepted" and not one["attendees"][0].get("seatUid"))  # fmt: skip
        gone = talker.post(f"/bookings/{row['uid']}/cancel", {"cancellationReason": "x"}, key=None).data
        assert gone["status"] == "cancelled"
        assert talker.get("/bookings", bookingUid=row["uid"]).data == [gone]
        running.control.delete_bookings(uids=[row["uid"]])
        assert talker.get(f"/bookings/{row['uid']}").status == 404
        running.control.reset(account=True)
        assert talker.get(f"/bookings/{row['uid']}").data == row


# -- kept over restarts


def test_a_state_file_keeps_what_happened(tmp_path: Path):
    state = tmp_path / "deep" / "state.json"
    options: dict[str, Any] = {"state": state, "now": NOW, "in_thread": True}
    hook = {"active": True, "subscriberUrl": "https://example.org", "triggers": ["BOOKING_CREATED"]}
    with serve_sandbox("captures", **options) as running, Talker(running) as talker:
        kept = talker.booked(2, f"{_MONDAY}T08:00:00Z")
        seated = talker.booked(6, f"{_MONDAY}T09:00:00Z")
        talker.post("/webhooks", hook)
        talker.delete("/event-types/3")
        made = talker.create_type(slug="kept")
        talker.post("/slots/reservations", {"eventTypeId": 1, "slotStart": f"{_MONDAY}T13:00:00Z"})
    with serve_sandbox("captures", **options) as running, Talker(running) as talker:
        assert {row["uid"] for row in talker.get("/bookings").data} == {kept["uid"], seated["uid"]}
        assert talker.get(f"/bookings/by-seat/{seated['seatUid']}").data["uid"] == seated["uid"]
        assert talker.get("/event-types/3").status == 404
        assert talker.get(f"/event-types/{made['id']}").data == made
        assert [one["subscriberUrl"] for one in talker.get("/webhooks").data] == ["https://example.org"]
        assert "13:00" not in talker.starts(1, _MONDAY)
        assert talker.booked(2, f"{_MONDAY}T10:00:00Z")["id"] == seated["id"] + 1


def test_what_changes_in_place_is_kept_too(tmp_path: Path):
    state = tmp_path / "state.json"
    options: dict[str, Any] = {"state": state, "now": NOW, "in_thread": True}
    hook = {"active": True, "subscriberUrl": "https://example.org", "triggers": ["BOOKING_CREATED"]}
    with serve_sandbox("captures", **options) as running, Talker(running) as talker:
        webhook_id = talker.post("/webhooks", hook).data["id"]
    with serve_sandbox("captures", **options) as running, Talker(running) as talker:
        talker.patch(f"/webhooks/{webhook_id}", {"active": False})
        running.control.mutate("set_user", id=101, set={"name": "Alicia"})
    with serve_sandbox("captures", **options) as running, Talker(running) as talker:
        assert talker.get(f"/webhooks/{webhook_id}").data["active"] is False
        assert talker.get("/me").data["name"] == "Alicia"


def test_a_state_file_of_a_generated_account_holds_only_what_changed(tmp_path: Path):
    state = tmp_path / "state.json"
    options = _GENERATED | {"bookings": 5_000, "state": state, "seed": 8}
    with serve_sandbox("generated", **options) as running, Talker(running, key=running.keys["owner"]) as talker:
        rows = talker.get("/bookings", sortCreated="asc", take=3).data
        running.control.delete_bookings(uids=[rows[0]["uid"]])
        running.control.update_bookings(uids=[rows[1]["uid"]], updated="2026-11-01T00:00:00Z")
        running.control.update_bookings(uids=[rows[2]["uid"]], set={"title": "Renamed"})
    assert state.stat().st_size < 500_000
    with (
        serve_sandbox("generated", **options | {"now": "2026-11-25T08:00:00Z"}) as running,
        Talker(running, key=running.keys["owner"]) as talker,
    ):
        assert talker.get(f"/bookings/{rows[0]['uid']}").status == 404
        assert talker.get(f"/bookings/{rows[1]['uid']}").data["updatedAt"] == "2026-11-01T00:00:00.000Z"
        assert talker.get(f"/bookings/{rows[2]['uid']}").data["title"] == "Renamed"
        assert talker.get("/bookings").body["pagination"]["totalItems"] > 100


@pytest.mark.parametrize(("content", "complaint"), [('{"format": 99}', "is no state file"), ("[]", "is no state file")])
def test_another_file_is_not_taken_for_a_state(tmp_path: Path, content, complaint):
    state = tmp_path / "state.json"
    state.write_text(content)
    with pytest.raises(ValueError, match=complaint), serve_sandbox("captures", state=state, in_thread=True):
        pass


def test_a_state_of_another_kind_of_account_is_refused(tmp_path: Path):
    state = tmp_path / "state.json"
    with serve_sandbox("captures", state=state, in_thread=True):
        pass
    with (
        pytest.raises(ValueError, match="holds the account 'captures', not 'generated'"),
        serve_sandbox("generated", state=state, in_thread=True),
    ):
        pass


# -- the command


def _command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["serve", *arguments])


def test_the_help_teaches_what_can_be_served():
    said = _command("--help").output
    for needed in ("captures", "generated", "cal_aaaa", "/__sandbox", "--now", "cal-api-version", "curl"):
        assert needed in said
    assert max(len(line) for line in said.splitlines()) <= 120


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--account", "nowhere.json"], "nowhere.json"),
        (["--now", "noon"], "--now must be an ISO 8601 instant"),
        (["--port", "70000"], "70000"),
        (["--limit", "0"], "0"),
    ],
)
def test_a_wrong_option_ends_with_a_sentence(arguments, complaint):
    done = _command(*arguments)
    assert done.exit_code in {1, 2}
    assert complaint in done.output


def test_a_port_that_is_taken_is_said():
    with serve_sandbox("captures", in_thread=True) as running:
        port = running.url.rpartition(":")[2].removesuffix("/v2")
        command = [sys.executable, "-m", "calcom_pipeline.sandbox", "serve", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, f"Error: Cannot listen on 127.0.0.1:{port}\n")
