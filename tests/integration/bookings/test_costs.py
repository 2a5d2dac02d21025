"""What reading bookings costs, by the sandbox's own counters: calls to Cal.com, and tuples that are touched."""

import math
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.calcom.bookings.rows import replayed
from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.bookings.in_doubt import PostgresOutcomeStore
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.bookings.privacy import Classifier, Tightener
from calcom_pipeline.adapters.postgres.bounds import Work
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.bookings.access_scope import ListingChoice
from calcom_pipeline.app.bookings.mirror import BookingOptions, BookingsReport, Mode, pull_bookings
from calcom_pipeline.app.bookings.sync import sync_bookings
from calcom_pipeline.domain.bookings.people import People
from calcom_pipeline.sandbox.core.times import iso
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.support.booking_rows import stamp
from tests.support.clients import client_of

TAKE = 250
TEAMS, ORGANIZATION = 2, 300
ROWS = 810
EVERYWHERE = ListingChoice(team_lists=True, organization_id=ORGANIZATION)
TABLES = ("bookings", "booking_attendees", "booking_hosts", "quarantine", "invalidations", "calcom_users")


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    account = {"event_types": 8, "teams": TEAMS, "bookings": ROWS, "organization": True, "seed": 3}
    with serve_sandbox("generated", limit=1_000_000, window_seconds=60, **account) as running:
        yield running


@pytest.fixture
def sandbox(served: RunningSandbox) -> RunningSandbox:
    served.control.reset(account=True)
    return served


@pytest.fixture
def calcom(sandbox: RunningSandbox, redis_client: redis.Redis) -> Iterator[CalcomClient]:
    with client_of(sandbox.url, sandbox.keys["owner"], redis_client) as client:
        yield client


def pull(calcom: CalcomClient, database: Database, mode: Mode = "changes", **options: Any) -> BookingsReport:
    now = lambda: datetime.now(UTC)  # noqa: E731 - one line, used once
    return pull_bookings(calcom, PostgresBookingMirror(database), BookingOptions(**options), now=now, mode=mode)


def calls(sandbox: RunningSandbox) -> int:
    """Calls since the last time."""
    total = sandbox.control.counters()["total"]
    sandbox.control.reset()
    return total


def tuples(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Where every row lies and which transactions wrote or locked it."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with database.transaction("Testing") as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT ctid, xmin, xmax FROM {table} ORDER BY ctid")
            found[table] = cursor.fetchall()
    return found


def read_again(keys: list[int], take: int = TAKE) -> int:
    """R: rows that tie with the last key of a page which is not the last one, and so come again on the next."""
    keys, begin, ties = sorted(keys), 0, 0
    while begin + take < len(keys):
        first = bisect_left(keys, keys[begin + take - 1])
        ties, begin = ties + begin + take - first, first
    return ties


@pytest.fixture
def begun(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each transaction of this process is for, as they begin."""
    kept, transaction = list[str](), Database.transaction

    def counted(self: Database, doing: str, work: Work = "write") -> Any:
        kept.append(doing)
        return transaction(self, doing, work)

    monkeypatch.setattr(Database, "transaction", counted)
    return kept


class TestTransactions:
    def test_an_unchanged_read_and_the_look_for_doubts_take_four(
        self, sandbox: RunningSandbox, calcom: CalcomClient, database: Database, begun: list[str]
    ):
        people = People()
        mirror = PostgresBookingMirror(
            database,
            people=people,
            classifier=Classifier(database, replayed),
            tightener=Tightener(database, people, replayed),
        )
        now, outcomes = lambda: datetime.now(UTC), PostgresOutcomeStore(database)
        for _ in range(2):
            sync_bookings(calcom, mirror, outcomes, BookingOptions(), now=now)
        begun.clear()
        synced = sync_bookings(calcom, mirror, outcomes, BookingOptions(), now=now)
        assert synced.report.stored.changes.written == 0
        assert len(begun) <= 4, begun


class TestUnchanged:
    @pytest.mark.parametrize(
        ("choice", "listings", "filters"),
        [(ListingChoice(), 0, False), (EVERYWHERE, TEAMS + 1, True), (EVERYWHERE, TEAMS + 1, False)],
        ids=["the user's list", "all lists", "all lists, those of teams without filters"],
    )
    def test_an_unchanged_account_costs_three_calls_and_one_per_listing_and_touches_no_tuple(
        self, sandbox: RunningSandbox, calcom, database: Database, choice: ListingChoice, listings: int, filters: bool
    ):
        sandbox.control.mutate("set_switch", name="team_lists_filter_updates", on=filters)
        pull(calcom, database, choice=choice)
        pull(calcom, database, choice=choice)
        before = tuples(database)
        assert len(before["bookings"]) == ROWS
        calls(sandbox)
        for _ in range(2):
            report = pull(calcom, database, choice=choice)
            assert calls(sandbox) <= 3 + listings
            assert (report.full, report.stored.changes.written, report.stored.facts) == (None, 0, 0)
        assert tuples(database) == before

    def test_a_full_read_of_an_unchanged_account_touches_no_tuple_either(self, calcom, database: Database):
        pull(calcom, database)
        before = tuples(database)
        assert pull(calcom, database, "full").stored.changes.written == 0
        assert tuples(database) == before


class TestFull:
    def test_a_full_read_costs_its_pages_its_ties_and_three_more(self, sandbox: RunningSandbox, calcom, database):
        created = [row["created"] for row in sandbox.control.read_bookings()]
        calls(sandbox)
        pull(calcom, database)
        assert calls(sandbox) <= math.ceil((len(created) + read_again(created)) / TAKE) + 3

    @pytest.mark.parametrize("group", [60, 140])
    def test_groups_that_tie_cost_no_more_than_their_rows(self, sandbox: RunningSandbox, calcom, database, group: int):
        rows = sandbox.control.read_bookings()
        for n in range(0, len(rows), group):
            ids = [row["id"] for row in rows[n : n + group]]
            sandbox.control.update_bookings(ids=ids, set={"created": iso(rows[n]["created"])})
        created = [row["created"] for row in sandbox.control.read_bookings()]
        calls(sandbox)
        assert pull(calcom, database).read >= len(rows)
        assert calls(sandbox) <= math.ceil((len(rows) + read_again(created)) / TAKE) + 3

    @pytest.mark.parametrize("group", [251, 740])
    def test_a_group_longer_than_a_page_adds_twice_its_pages_at_most(
        self, sandbox: RunningSandbox, calcom, database, group: int
    ):
        at = iso(sandbox.control.read_bookings(count=1)[0]["created"])
        sandbox.control.update_bookings(count=group, set={"created": at})
        created = [row["created"] for row in sandbox.control.read_bookings()]
        alone = [one for one in created if created.count(one) <= TAKE]
        calls(sandbox)
        pull(calcom, database)
        bound = math.ceil((len(created) + read_again(alone)) / TAKE) + 3 + 2 * math.ceil(group / TAKE)
        assert calls(sandbox) <= bound
        assert len(tuples(database)["bookings"]) == ROWS


class TestChanges:
    @pytest.mark.parametrize("group", [251, 740])
    def test_a_bulk_update_longer_than_two_pages_adds_twice_its_pages_at_most(
        self, sandbox: RunningSandbox, calcom, database, group: int
    ):
        pull(calcom, database)
        updated = stamp(datetime.now(UTC) - timedelta(seconds=1))
        sandbox.control.update_bookings(count=group, set={"title": "bulk"}, updated=updated)
        calls(sandbox)
        report = pull(calcom, database)
        assert report.stored.changes.changed == group
        assert calls(sandbox) <= math.ceil(group / TAKE) + 3 + 2 * math.ceil(group / TAKE)
