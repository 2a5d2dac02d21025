"""The commands about free starts: tables for people, JSON for programs, exit codes."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.clock import utc_now
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.support.commands import command, said
from tests.support.given import settings_of, variables_of

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = date.today() + timedelta(days=7 - date.today().weekday() + 7)  # noqa: DTZ011 - a day, far enough ahead
IN_BERLIN = ("--time-zone", "Europe/Berlin")


@pytest.fixture(scope="module")
def world() -> Iterator[RunningSandbox]:
    with serve_sandbox("captures") as sandbox:
        yield sandbox


@pytest.fixture
def shell(
    world: RunningSandbox, servers: Any, schema_name: str, redis_url: str, database: Database, redis_client: redis.Redis
) -> dict[str, str]:
    """Variables of an account whose event types are mirrored."""
    world.control.reset(account=True)
    world.control.set_clock(f"{utc_now():%Y-%m-%dT%H:%M:%SZ}")
    variables = variables_of(settings_of(world, servers, schema_name, redis_url)) | {"CALCOM_ENV_FILE": ""}
    assert command("sync", "event-types", environment=variables).returncode == 0
    return variables


def told(*words: str, shell: dict[str, str], code: int = exit_codes.OK) -> dict[str, Any]:
    """What a command answers as JSON."""
    done = command(*words, "--json", environment=shell)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def shown(*words: str, shell: dict[str, str]) -> str:
    done = command(*words, environment=shell)
    assert done.returncode == exit_codes.OK, done.stderr
    return done.stdout


def utc(hour: int, minute: int = 0) -> str:
    return datetime.combine(MONDAY, time(hour, minute), BERLIN).astimezone(UTC).isoformat()


def test_free_starts_are_shown_by_day_and_told_as_json(shell: dict[str, str]):
    words = ("slots", "2", "--from", MONDAY.isoformat(), "--days", "2", *IN_BERLIN)
    text = shown(*words, shell=shell)
    assert f"Mon {MONDAY.isoformat()}" in text
    assert "09:00  09:30" in text
    assert "as of " in text
    found = told(*words, shell=shell)
    assert (found["schema_version"], found["command"], found["stale"], found["unread"]) == (1, "slots", False, [])
    assert found["slots"][0] == {"start": utc(9), "seats_remaining": None}
    assert f"{len(found['slots'])} free starts on 2 days" in text


def test_alternatives_are_listed_nearest_first(shell: dict[str, str]):
    around = f"{MONDAY.isoformat()}T12:00"
    found = told("alternatives", "2", "--around", around, "--count", "3", *IN_BERLIN, shell=shell)
    assert [one["start"] for one in found["starts"]] == [utc(12), utc(11, 30), utc(12, 30)]
    wished = ("--weekday", "mon", "--earliest", "14:00", "--latest", "14:30", "--within-days", "0")
    found = told("alternatives", "2", "1", "--around", around, *wished, *IN_BERLIN, shell=shell)
    assert [(one["event_type_id"], one["start"]) for one in found["starts"] if one["event_type_id"] == 2] == [
        (2, utc(14)),
        (2, utc(14, 30)),
    ]
    assert "14:00" in shown("alternatives", "2", "--around", around, *wished, *IN_BERLIN, shell=shell)


def test_the_first_free_start_is_told_or_that_there_is_none(shell: dict[str, str]):
    after = ("--after", f"{MONDAY.isoformat()}T00:00", *IN_BERLIN)
    assert told("first-free", "2", *after, shell=shell)["start"] == {
        "event_type_id": 2,
        "start": utc(9),
        "seats_remaining": None,
    }
    assert "09:00" in shown("first-free", "2", *after, shell=shell)
    saturday = (MONDAY + timedelta(days=5)).isoformat()
    none = ("first-free", "2", "--after", f"{saturday}T00:00", "--within-days", "1", *IN_BERLIN)
    assert told(*none, shell=shell)["start"] is None
    assert "No free start" in shown(*none, shell=shell)


def test_a_month_is_shown_as_a_calendar(shell: dict[str, str]):
    words = ("month", "2", "--month", f"{MONDAY:%Y-%m}")
    found = told(*words, shell=shell)
    free = {one["day"]: one["free"] for one in found["days"]}
    assert free[MONDAY.isoformat()] > 0
    text = shown(*words, shell=shell)
    assert f"{MONDAY.day}: {free[MONDAY.isoformat()]}" in text
    assert text.index("Mon") < text.index("Sun")


def test_a_start_is_held_shown_moved_released_and_booked(shell: dict[str, str], world: RunningSandbox):
    at = f"{MONDAY.isoformat()}T10:00"
    made = told("hold", "start", "2", at, "--minutes", "3", *IN_BERLIN, shell=shell)
    assert (made["hold"]["start"], made["cache_problem"]) == (utc(10), "")
    uid = made["hold"]["uid"]
    refused = told("hold", "start", "2", at, *IN_BERLIN, shell=shell, code=exit_codes.REFUSED)
    assert refused["error"]["kind"] == "Conflict"
    assert f"{uid}: event type 2" in shown("hold", "show", uid, shell=shell)
    assert told("hold", "show", uid, shell=shell)["hold"]["uid"] == uid
    moved = told("hold", "move", uid, f"{MONDAY.isoformat()}T15:00", *IN_BERLIN, shell=shell)
    assert (moved["hold"]["uid"], moved["hold"]["start"]) == (uid, utc(15))
    assert told("hold", "release", uid, shell=shell)["was_held"] is True
    assert told("hold", "show", uid, shell=shell)["hold"] is None
    assert "unknown or over" in shown("hold", "release", uid, shell=shell)
    again = told("hold", "start", "2", at, *IN_BERLIN, shell=shell)["hold"]["uid"]
    person = ("--name", "Carol", "--email", "carol@example.org", *IN_BERLIN)
    booked = told("book", "--event-type", "2", "--start", at, *person, "--hold", again, shell=shell)
    assert (booked["status"], booked["hold_problem"]) == ("accepted", "")
    assert told("hold", "show", again, shell=shell)["hold"] is None


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("slots", "4711"), exit_codes.REFUSED, "not mirrored"),
        (("slots", "2", "--from", "tomorrow"), exit_codes.USAGE, "--from"),
        (("alternatives", "2", "--around", "soon"), exit_codes.USAGE, "around: is no time"),
        (("alternatives", "2", "--around", "2026-03-29T02:30", *IN_BERLIN), exit_codes.USAGE, "the clock skips it"),
        (("alternatives", "--around", "2026-12-01T10:00"), exit_codes.USAGE, "EVENT_TYPE"),
        (("first-free", "2", "--within-days", "9999"), exit_codes.USAGE, "within_days"),
        (("first-free", "2", "--time-zone", "Mars/Base"), exit_codes.USAGE, "Mars/Base"),
        (("month", "2", "--month", "2999-01"), exit_codes.USAGE, "year"),
        (("hold", "start", "2", "2020-01-01T10:00"), exit_codes.USAGE, "is over"),
        (("hold", "release", "../me"), exit_codes.USAGE, "no uid"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_with_its_exit_code(shell: dict[str, str], words, code: int, why: str):
    done = command(*words, environment=shell)
    assert done.returncode == code, done.stderr
    assert why in done.stderr
    if "Usage" not in done.stderr:
        said(done)
