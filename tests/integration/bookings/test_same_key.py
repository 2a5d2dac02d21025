"""Two calls with one key at the same moment: one waits for the other, in whatever processes, and finds its booking."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.bookings.in_doubt import PostgresOutcomeStore
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks
from calcom_pipeline.app.bookings.in_doubt import book
from calcom_pipeline.app.bookings.ports import Booked
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.bookings.in_doubt import OpenOutcome
from calcom_pipeline.domain.bookings.requests import BookingRequest, BookingRules, booking_request
from calcom_pipeline.domain.errors import CalcomError, OutcomeUnknown
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.support.captured import NOW, account, calcom, captured
from tests.support.clients import QUICK, client_of
from tests.support.commands import CHECKOUT, argv, bare, command
from tests.support.given import settings_of, variables_of
from tests.support.waiting import until

__all__ = ["account", "calcom", "captured"]  # fixtures

CONSULT, CLASS = 2, 6  # one host, three seats at a time
KEY = "order-4711"
#: As long as a create may take; where a test has seen enough, it ends the delay.
CREATE_SECONDS = 50.0
NOBODY_THERE = "postgresql://nobody@127.0.0.1:9/none"


def wanted(key: str = KEY, name: str = "Carol") -> BookingRequest:
    details = {"eventTypeId": CLASS, "start": "2026-12-02T10:00:00Z", "name": name, "email": f"{name}@example.org"}
    return booking_request(details, BookingRules(now=NOW), key=key)


def creates(account: RunningSandbox) -> int:
    return sum(request["endpoint"] == "POST /v2/bookings" for request in account.control.requests(1000))


@pytest.fixture
def locks(empty_database: Database) -> PostgresKeyLocks:
    return PostgresKeyLocks(empty_database, wait_seconds=20)


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """On the real clock, as commands have no other."""
    with serve_sandbox("captures") as running:
        yield running


def click_of(sandbox: RunningSandbox, servers, database: Database, redis_url: str) -> tuple[list[str], dict[str, str]]:
    """The arguments of a command that books Carol's seat, and its variables."""
    today = utc_now().date()
    monday = today + timedelta(days=14 - today.weekday())
    when = ["--event-type", str(CLASS), "--start", f"{monday}T10:00:00Z"]
    who = ["--name", "Carol", "--email", "carol@example.org", "--key", KEY, "--json"]
    variables = variables_of(settings_of(sandbox, servers, database.schema, redis_url))
    variables["DATABASE_URL"] += f"&application_name={database.schema}"
    return ["book", *when, *who], {"CALCOM_ENV_FILE": "", **variables}


def click(words: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    """The same in a process of its own."""
    return subprocess.Popen(argv(*words), env=bare(environment), stdout=subprocess.PIPE, text=True)


def at_the_lock(database: Database) -> int:
    """How many of those commands hold the key's lock or ask for it."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND query LIKE %s"
    with database.transaction("Looking") as cursor:
        return int(cursor.execute(query, (database.schema, "%pg_try_advisory_xact_lock%")).fetchall()[0][0])


@pytest.mark.timeout(120)
def test_a_double_click_in_two_processes_takes_one_seat(
    sandbox: RunningSandbox, servers, database: Database, redis_url: str, redis_client: redis.Redis
):
    delay = sandbox.control.add_fault("latency", "POST /v2/bookings", seconds=CREATE_SECONDS)
    words, environment = click_of(sandbox, servers, database, redis_url)

    def release() -> None:
        until(lambda: at_the_lock(database) == 2)
        sandbox.control.remove_fault(delay)

    with ThreadPoolExecutor(1) as pool, click(words, environment) as other:
        released = pool.submit(release)
        here = command(*words, environment=environment)
        released.result()
        there, _ = other.communicate()
    told = [json.loads(answer) for answer in (here.stdout, there)]
    assert (here.returncode, other.returncode) == (0, 0), told
    assert sorted(one["adopted"] for one in told) == [False, True]
    assert told[0]["uid"] == told[1]["uid"]
    assert creates(sandbox) == 1
    (attendees,) = [booking["attendees"] for booking in sandbox.control.read_bookings()]
    assert [attendee["email"] for attendee in attendees] == ["carol@example.org"]


class TestAfterADoubt:
    """The first call gave up; what it asked for may still be done."""

    @pytest.fixture
    def outcomes(self, database: Database) -> PostgresOutcomeStore:
        return PostgresOutcomeStore(database)

    def test_a_seat_that_may_still_appear_is_looked_for_and_not_booked_again(
        self, calcom: CalcomClient, account: RunningSandbox, outcomes: PostgresOutcomeStore, locks: PostgresKeyLocks
    ):
        account.control.add_fault("latency", "POST /v2/bookings", seconds=QUICK.create_timeout_seconds + 1, count=1)
        for why in ("nobody can say yet whether it was done", "what became of an earlier call"):
            with pytest.raises(OutcomeUnknown, match=why):
                book(calcom, outcomes, locks, wanted(), now=NOW)
        assert outcomes.opened_at(KEY) == NOW
        until(account.control.read_bookings)
        assert book(calcom, outcomes, locks, wanted(), now=NOW + timedelta(seconds=3)).adopted
        assert creates(account) == 1

    def test_one_that_is_too_late_to_appear_is_booked(
        self, calcom: CalcomClient, account: RunningSandbox, outcomes: PostgresOutcomeStore, locks: PostgresKeyLocks
    ):
        account.control.add_fault("reset_before", "POST /v2/bookings", count=1)
        for later in (timedelta(0), timedelta(minutes=4)):
            with pytest.raises(OutcomeUnknown):
                book(calcom, outcomes, locks, wanted(), now=NOW + later)
        assert not book(calcom, outcomes, locks, wanted(), now=NOW + timedelta(minutes=5)).adopted

    def test_where_a_time_can_be_booked_once_only_nothing_has_to_be_waited_for(
        self, calcom: CalcomClient, outcomes: PostgresOutcomeStore, locks: PostgresKeyLocks
    ):
        request = replace(wanted(), event_type_id=CONSULT)
        outcomes.open(OpenOutcome(KEY, CONSULT, request.start, opened_at=NOW))
        assert not book(calcom, outcomes, locks, request, now=NOW).adopted


def test_a_second_call_after_one_that_was_killed_only_looks_for_its_seat(
    sandbox: RunningSandbox, servers, database: Database, redis_url: str, redis_client: redis.Redis
):
    delay = sandbox.control.add_fault("latency", "POST /v2/bookings", seconds=CREATE_SECONDS, count=1)
    words, environment = click_of(sandbox, servers, database, redis_url)
    with click(words, environment) as killed:
        until(lambda: any(fault["struck"] for fault in sandbox.control.faults()))
        killed.kill()
    again = command(*words, environment=environment)
    assert json.loads(again.stdout)["error"]["kind"] == "OutcomeUnknown"
    sandbox.control.remove_fault(delay)
    until(sandbox.control.read_bookings)
    last = json.loads(command(*words, environment=environment).stdout)
    assert last["adopted"]
    assert creates(sandbox) == 1
    assert PostgresOutcomeStore(database).still_open() == []


@pytest.mark.parametrize(("fault", "left"), [(None, []), ("error", []), ("reset_after", [KEY])])
def test_a_doubt_stands_while_a_call_runs_and_stays_only_if_its_end_is_not_known(
    calcom: CalcomClient, account: RunningSandbox, database: Database, fault: str | None, left: list[str]
):
    opened: list[str] = []

    class Watched(PostgresOutcomeStore):
        def open(self, outcome: OpenOutcome) -> None:
            super().open(outcome)
            opened.append(outcome.key)

    outcomes, locks = Watched(database), PostgresKeyLocks(database, wait_seconds=0)
    if fault:
        account.control.add_fault(fault, "POST /v2/bookings", **({"status": 400} if fault == "error" else {}))
    with suppress(CalcomError):
        book(calcom, outcomes, locks, wanted(), now=NOW)
    assert opened[0] == KEY
    assert [outcome.key for outcome in outcomes.still_open()] == left


class TestTheLock:
    def test_ten_threads_with_one_key_make_one_booking_and_others_do_not_wait_for_them(
        self, calcom: CalcomClient, account: RunningSandbox, database: Database, redis_client: redis.Redis
    ):
        outcomes, locks = PostgresOutcomeStore(database), PostgresKeyLocks(database, wait_seconds=20)
        account.control.add_fault("latency", "POST /v2/bookings", seconds=0.5)

        def click(request: BookingRequest) -> Booked:
            with client_of(account.url, account.keys["alice"], redis_client) as own:
                return book(own, outcomes, locks, request, now=NOW)

        with ThreadPoolExecutor(11) as pool:
            same = [pool.submit(click, wanted()) for _ in range(10)]
            other = pool.submit(click, wanted("order-4712", "Dora"))
            assert sum(not one.result().adopted for one in same) == 1
            assert not other.result().adopted
        assert creates(account) == 2

    def test_who_still_holds_it_after_the_wait_is_left_alone_and_nothing_is_sent(
        self, calcom: CalcomClient, account: RunningSandbox, database: Database, locks: PostgresKeyLocks
    ):
        outcomes, hasty = PostgresOutcomeStore(database), PostgresKeyLocks(database, wait_seconds=0.2)
        with locks.holding(KEY) as granted, pytest.raises(OutcomeUnknown, match="still under way") as unknown:
            assert granted
            book(calcom, outcomes, hasty, wanted(), now=NOW)
        assert unknown.value.key == KEY
        assert outcomes.still_open() == [], "the other call knows, or writes its own doubt down"
        assert creates(account) == 0
        assert not book(calcom, outcomes, hasty, wanted(), now=NOW).adopted

    def test_a_key_is_an_accounts_own(self, locks: PostgresKeyLocks, servers):
        with open_database(servers.database_url, schema="another_account") as other, locks.holding(KEY):
            with PostgresKeyLocks(other, wait_seconds=0).holding(KEY) as granted:
                assert granted
            with locks.holding("order-4712") as granted:
                assert granted

    def test_a_killed_process_leaves_none(self, servers, empty_database: Database):
        program = (
            "import sys, time\n"
            "from calcom_pipeline.adapters.postgres.database import open_database\n"
            "from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks\n"
            "with open_database(sys.argv[1], schema=sys.argv[2]) as database:\n"
            f"    with PostgresKeyLocks(database, wait_seconds=0).holding({KEY!r}):\n"
            "        print('held', flush=True)\n"
            "        time.sleep(60)\n"
        )
        words = [sys.executable, "-c", program, servers.database_url, empty_database.schema]
        with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=CHECKOUT) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with PostgresKeyLocks(empty_database, wait_seconds=0).holding(KEY) as granted:
                assert not granted
            holder.send_signal(signal.SIGKILL)
        with PostgresKeyLocks(empty_database, wait_seconds=5).holding(KEY) as granted:
            assert granted

    def test_a_pool_that_is_used_up_holds_nobody_up(self, empty_database: Database, locks: PostgresKeyLocks):
        with ExitStack() as busy:
            for _ in range(15):
                busy.enter_context(empty_database.transaction("Testing"))
            with locks.holding(KEY) as granted:
                assert granted

    def test_without_its_server_a_booking_is_made_as_ever_and_that_is_said(
        self, calcom: CalcomClient, account: RunningSandbox, database: Database, caplog: pytest.LogCaptureFixture
    ):
        began = time.monotonic()
        with open_database(NOBODY_THERE, schema="nowhere") as nowhere:
            away = PostgresKeyLocks(nowhere, wait_seconds=20)
            outcomes = PostgresOutcomeStore(database)
            first = book(calcom, outcomes, away, wanted(), now=NOW)
            second = book(calcom, outcomes, away, wanted(), now=NOW)
        assert (first.adopted, second.adopted) == (False, True)
        assert "key_not_locked" in caplog.text
        assert KEY not in caplog.text
        assert time.monotonic() - began < 10
