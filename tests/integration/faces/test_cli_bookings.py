"""The commands about bookings: backfill, erase, quarantine, policies for people, against the sandbox and PostgreSQL."""

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.booking_rows import months_of_creation, row, stamp
from tests.support.booking_server import BookingServer, booking_server
from tests.support.commands import command, interrupted
from tests.support.tables import dumped

_SLOW_SECONDS = 12.0
THIS_MONTH = f"{datetime.now(UTC):%Y-%m}"


def result(*words: str, environment: dict[str, str]) -> dict[str, Any]:
    """What a command answers as JSON."""
    done = command(*words, "--json", environment=environment)
    assert done.returncode == exit_codes.OK, done.stderr
    return json.loads(done.stdout)


def fetch(servers: local.Servers, schema: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(servers.database_url, options=f"-c search_path={schema}") as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]  # written in this file


@pytest.mark.parametrize("words", [("sync", "bookings"), ("backfill", "bookings", "--from", "2025-01")], ids=" ".join)
def test_ctrl_c_ends_a_read_at_once_though_an_answer_is_waited_for(words, environment, sandbox: RunningSandbox):
    command("migrate", environment=environment)
    sandbox.control.add_fault("latency", "GET /v2/bookings", seconds=_SLOW_SECONDS, after=1)

    def is_waiting() -> bool:
        struck = any(fault["struck"] for fault in sandbox.control.faults())
        time.sleep(2.0 if struck else 0)  # what was read before is being stored
        return struck

    done, seconds = interrupted(*words, environment=environment, when=is_waiting)
    assert (done.returncode, done.stderr.strip()) == (exit_codes.INTERRUPTED, "")
    assert seconds < _SLOW_SECONDS / 2


class TestBackfill:
    def test_a_forecast_reads_nothing_and_says_calls_and_minutes(self, environment, sandbox: RunningSandbox):
        first = min(months_of_creation(sandbox))
        done = command("backfill", "bookings", "--from", first, "--forecast", environment=environment)
        assert done.returncode == 0, done.stderr
        assert f"Forecast for {first} to {THIS_MONTH}: 60 bookings, at most " in done.stdout
        assert "minutes" in done.stdout
        assert sandbox.control.counters()["total"] == 1

    def test_every_month_is_read_once_and_its_bookings_are_all_there(
        self, environment, sandbox: RunningSandbox, servers, schema_name: str
    ):
        made = months_of_creation(sandbox)
        told = result("backfill", "bookings", "--from", "2024-01", environment=environment)
        assert (told["schema_version"], told["failures"]) == (1, {})
        assert told["plan"]["empty"][0] == "2024-01"
        added = {month: one["changes"]["added"] for month, one in told["months"].items() if one["changes"]["added"]}
        assert added == made
        assert told["calls"] <= told["plan"]["forecast"]["calls"] + 1
        query = "SELECT to_char(created_at, 'YYYY-MM'), count(*) FROM bookings GROUP BY 1"
        assert dict(fetch(servers, schema_name, query)) == made

        again = result("backfill", "bookings", "--from", "2024-01", environment=environment)
        assert again["plan"]["months"] == [THIS_MONTH]
        assert sum(one["changes"]["added"] for one in again["months"].values()) == 0
        anew = result("backfill", "bookings", "--from", "2024-01", "--again", environment=environment)
        assert anew["plan"]["months"] == told["plan"]["months"]
        assert sum(one["changes"]["changed"] for one in anew["months"].values()) == 0

    def test_a_month_that_cannot_be_read_is_named_and_only_it_is_left_for_the_next_time(
        self, environment, sandbox: RunningSandbox
    ):
        environment |= {"CALCOM_RETRY_ATTEMPTS": "1", "CALCOM_BACKFILL_WORKERS": "1"}
        sandbox.control.add_fault("error", "GET /v2/bookings", after=1, count=1)
        first = min(months_of_creation(sandbox))
        done = command("backfill", "bookings", "--from", first, environment=environment)
        assert done.returncode == exit_codes.PARTIAL
        assert f"{first} is not complete: " in done.stdout
        told = result("backfill", "bookings", "--from", first, environment=environment)
        assert told["plan"]["months"] == [first, THIS_MONTH] if first != THIS_MONTH else [first]
        assert told["failures"] == {}

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["--from", "2024"], "no month"),
            (["--from", "2024-13"], "no month"),
            (["--from", "2024-02", "--to", "2024-01"], "no month that has begun"),
            (["--from", "9999-01"], "no month that has begun"),
        ],
    )
    def test_what_is_no_month_is_wrong_use(self, environment, words: list[str], why: str):
        done = command("backfill", "bookings", *words, environment=environment)
        assert done.returncode == exit_codes.USAGE
        assert why in done.stderr


class TestErase:
    @staticmethod
    def somebody(servers: local.Servers, schema: str) -> str:
        """Who booked most often."""
        query = (
            "SELECT email FROM booking_attendees WHERE email IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        )
        ((address,),) = fetch(servers, schema, query)
        return address

    def test_a_person_is_gone_everywhere_and_no_later_read_of_any_kind_brings_them_back(
        self, environment, sandbox: RunningSandbox, servers, schema_name: str
    ):
        result("sync", "bookings", environment=environment)
        address = self.somebody(servers, schema_name)
        before = dumped(servers.database_url, schema_name)
        assert address in before
        receipt = result("erase", address, environment=environment)["receipt"]
        assert receipt["bookings"] > 0
        assert address not in dumped(servers.database_url, schema_name)

        ids = [b["id"] for b in sandbox.control.read_bookings() if any(a["email"] == address for a in b["attendees"])]
        sandbox.control.update_bookings(ids=ids, set={"title": f"Again {address}", "description": address})
        reads = (
            ["sync", "bookings"],
            ["sync", "bookings", "--reread"],
            ["sync", "bookings", "--full"],
            ["backfill", "bookings", "--from", "2024-01", "--again"],
        )
        for words in reads:
            result(*words, environment=environment)
            assert address not in dumped(servers.database_url, schema_name), words
        assert fetch(servers, schema_name, "SELECT count(*) FROM bookings") == [(60,)]
        again = result("erase", address, environment=environment)["receipt"]
        assert (again["id"], again["bookings"]) == (receipt["id"], 0)

    def test_a_bare_mirror_gets_the_tombstone_first_and_never_the_person(
        self, environment, sandbox: RunningSandbox, servers, schema_name: str
    ):
        address = sandbox.control.read_bookings(count=1)[0]["attendees"][0]["email"]
        result("erase", address.upper(), environment=environment)
        result("backfill", "bookings", "--from", "2024-01", environment=environment)
        assert address not in dumped(servers.database_url, schema_name)

    def test_the_receipt_names_nobody_and_the_address_may_come_from_standard_input(
        self, environment, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO("Carol@example.org\n"))
        done = command("erase", "-", environment=environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Receipt 1 of ")
        assert "carol" not in (done.stdout + done.stderr).lower()

    @pytest.mark.parametrize("who", ["carol", "@", "030 123456", "+49", "+49 30 call me"])
    def test_what_is_neither_address_nor_number_is_wrong_use_and_not_repeated(self, environment, who: str):
        done = command("erase", who, environment=environment)
        assert done.returncode == exit_codes.USAGE
        assert "no e-mail address" in done.stderr
        assert who == "@" or who not in done.stderr.replace("(+49 ...)", "")

    @pytest.mark.parametrize("who", ["+49 (0)30 123-456", "0049 30 123456", "用户@例子.公司"])
    def test_a_number_with_its_country_code_and_any_address_will_do(self, environment, who: str):
        assert result("erase", who, environment=environment)["receipt"]["bookings"] == 0


@pytest.mark.parametrize("policy", ["hash", "drop"])
def test_nobody_who_booked_can_be_found_in_any_table_unless_people_are_kept(
    environment, sandbox: RunningSandbox, servers, schema_name: str, policy: str
):
    result("sync", "bookings", environment=environment)
    users = sandbox.control.account()["users"]
    attendees = [a for b in sandbox.control.read_bookings() for a in b["attendees"]]
    people = {a["email"] for a in attendees} - {user["email"] for user in users}
    slugs = " ".join(user["username"] for user in users)
    names = {a["name"] for a in attendees if a["name"] and a["name"].lower().replace(" ", "-") not in slugs}
    kept = dumped(servers.database_url, schema_name)
    assert all(one in kept for one in people | names)

    environment["CALCOM_ATTENDEE_POLICY"] = policy
    told = result("sync", "bookings", environment=environment)["results"]["bookings"]
    assert told["full"] == "people are kept in another way than before"
    text = dumped(servers.database_url, schema_name)
    assert [found for found in people | names if found in text] == []
    tokens = fetch(servers, schema_name, "SELECT count(*) FROM booking_attendees WHERE email LIKE 'h:%'")
    assert (tokens[0][0] > 0) is (policy == "hash")
    again = result("sync", "bookings", environment=environment)["results"]["bookings"]
    assert (again["full"], again["stored"]["changes"]["changed"]) == (None, 0)


def test_what_ended_long_ago_is_dropped_and_stays_away(environment, sandbox: RunningSandbox, servers, schema_name: str):
    long_ago = datetime.now(UTC) - timedelta(days=40)
    ends = {"start": stamp(long_ago), "end": stamp(long_ago + timedelta(minutes=30))}
    sandbox.control.update_bookings(count=20, set=ends)
    result("sync", "bookings", environment=environment)
    environment["CALCOM_BOOKING_RETENTION_DAYS"] = "30"
    assert result("sync", "bookings", environment=environment)["results"]["bookings"]["forgotten"] == 20
    for words in (["sync", "bookings", "--full"], ["backfill", "bookings", "--from", "2024-01", "--again"]):
        result(*words, environment=environment)
        assert fetch(servers, schema_name, "SELECT count(*) FROM bookings") == [(40,)]
    for table in ("booking_attendees", "booking_hosts"):
        orphans = f"SELECT count(*) FROM {table} WHERE booking_uid NOT IN (SELECT uid FROM bookings)"
        assert fetch(servers, schema_name, orphans) == [(0,)]


class TestQuarantine:
    @pytest.fixture
    def server(self, environment) -> Iterator[BookingServer]:
        rows = (orjson.dumps(row(uid)) for uid in "abc")
        with booking_server(*rows, orjson.dumps({**row("odd"), "start": 7})) as running:
            environment["CALCOM_BASE_URL"] = running.url
            yield running

    def test_an_empty_one_says_so(self, environment):
        said, step = command("quarantine", "list", environment=environment).stdout.splitlines()
        assert said == "The quarantine is empty."
        assert "replay" not in step, "there is nothing to be read once more"
        assert command("quarantine", "replay", environment=environment).returncode == 0

    def test_records_are_listed_with_their_reasons_and_without_what_is_in_them(self, environment, server):
        told = result("sync", "bookings", environment=environment)["results"]["bookings"]
        assert (told["quarantined"], told["stored"]["changes"]["added"]) == (1, 3)
        done = command("quarantine", "list", environment=environment)
        assert "odd" in done.stdout
        assert "start: is no text" in done.stdout
        assert "arol" not in done.stdout
        (record,) = result("quarantine", "list", environment=environment)["records"]
        assert (record["uid"], record["reason"], record["seen"]) == ("odd", "start: is no text", 1)

    @pytest.mark.parametrize("policy", ["keep", "drop"])
    def test_replay_reads_what_cal_com_has_mended(self, environment, server: BookingServer, policy: str):
        environment["CALCOM_ATTENDEE_POLICY"] = policy
        result("sync", "bookings", environment=environment)
        server.by_uid = {"odd": server.rows[-1], "a": server.rows[0]}
        left = command("quarantine", "replay", "--json", environment=environment)
        assert left.returncode == exit_codes.PARTIAL
        assert json.loads(left.stdout)["still_unreadable"] == 1
        server.by_uid["odd"] = orjson.dumps(row("odd"))
        told = result("quarantine", "replay", environment=environment)
        assert (told["looked_at"], told["read"], told["still_unreadable"]) == (1, 1, 0)
        assert result("quarantine", "list", environment=environment)["records"] == []
