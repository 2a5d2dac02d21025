"""Lifetimes of our own records on a real PostgreSQL: what goes, what stays since something needs it, in what pieces."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from calcom_pipeline.adapters.postgres.database import Database, statement
from calcom_pipeline.adapters.postgres.maintenance.records import PostgresSizes, own_records
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceFeed
from calcom_pipeline.app.maintenance.retention import Forgotten, Lifetime, keep_lifetimes
from calcom_pipeline.domain.errors import StoreError
from tests.support.tables import fetch

NOW = datetime.now(UTC)
OLD, YOUNG = "now() - interval '31 days'", "now() - interval '29 days'"
MONTH = timedelta(days=30)
BATCH = 100


def run(database: Database, *statements: str) -> None:
    with database.transaction("Testing") as cursor:
        for text in statements:
            cursor.execute(statement(text))


def kept(database: Database, *names: str, batch: int = BATCH) -> dict[str, int]:
    """Keep lifetimes of 30 days; what was deleted of each kind."""
    lifetimes = [Lifetime(records, MONTH) for name, records in own_records(database).items() if name in names]
    found = keep_lifetimes(lifetimes, now=NOW, batch=batch)
    assert not any(f.error for f in found), found
    return {f.kind: f.records for f in found}


@pytest.fixture
def somebody_else(database: Database) -> Iterator[psycopg.Cursor]:
    with database.beside_the_pool("Testing") as cursor:
        cursor.execute(f"SET search_path TO {database.schema}")
        yield cursor


# --- facts, doubts, quarantine -----------------------------------------------------------------------------------


def fact(why: str, state: str, finished: str) -> str:
    return (
        "INSERT INTO invalidations (kind, why, user_ids, starts, ends, state, created_at, finished_at) "
        f"VALUES ('booking', '{why}', '{{}}', '{{}}', '{{}}', '{state}', {OLD}, {finished})"
    )


def test_facts_that_are_done_go_and_pending_ones_never(database: Database):
    run(database, fact("old", "done", OLD), fact("young", "done", YOUNG), fact("waits", "pending", "NULL"))
    assert kept(database, "fact") == {"facts": 1}
    assert fetch(database, "SELECT why FROM invalidations ORDER BY why") == [("waits",), ("young",)]


def test_how_old_the_cache_was_goes_by_the_hour(database: Database):
    row = "INSERT INTO cache_ages VALUES (date_trunc('hour', {}), 1, 2, 1.0)"
    run(database, row.format(OLD), row.format(YOUNG))
    assert kept(database, "cache_age") == {"ages of the cache": 1}
    assert fetch(database, "SELECT count(*) FROM cache_ages") == [(1,)]


def test_creates_in_doubt_stay_as_long_as_nobody_knows(database: Database):
    insert = (
        "INSERT INTO open_outcomes (key, event_type_id, starts_at, opened_at, closed_at) VALUES ('{}', 1, {}, {}, {})"
    )
    run(database, insert.format("known", OLD, OLD, OLD), insert.format("open", OLD, OLD, "NULL"))
    run(database, insert.format("just known", OLD, OLD, YOUNG))
    assert kept(database, "outcome") == {"creates in doubt": 1}
    assert fetch(database, "SELECT key FROM open_outcomes ORDER BY key") == [("just known",), ("open",)]


class TestQuarantine:
    def put(self, database: Database, name: str, seen: str, resolved: str = "NULL", stream: str = "bookings") -> None:
        values = f"'{stream}', '{name}', '{{}}', 'reason', {seen}, {seen}, {resolved}"
        columns = "stream, hash, raw, reason, first_seen_at, last_seen_at, resolved_at"
        run(database, f"INSERT INTO quarantine ({columns}) VALUES ({values})")

    def left(self, database: Database) -> list[str]:
        return [name for (name,) in fetch(database, "SELECT hash FROM quarantine ORDER BY hash")]

    def test_what_is_settled_goes_and_what_is_open_stays(self, database: Database):
        self.put(database, "settled", OLD, OLD)
        self.put(database, "settled now", OLD, YOUNG)
        self.put(database, "open", OLD)
        kept(database, "quarantine")
        assert self.left(database) == ["open", "settled now"]

    @pytest.mark.parametrize(
        ("full_reads", "stays"),
        [(["NULL"], True), ([OLD + " - interval '1 day'"], True), ([YOUNG], False), ([YOUNG, "NULL"], True)],
    )
    def test_an_open_record_goes_once_every_listing_was_read_in_full_without_it(
        self, database: Database, full_reads: list[str], stays: bool
    ):
        self.put(database, "open", OLD)
        for number, read in enumerate(full_reads):
            run(database, f"INSERT INTO booking_listings (listing, full_done_at) VALUES ('{number}', {read})")
        kept(database, "quarantine")
        assert self.left(database) == ["open"] * stays

    def test_a_record_of_another_stream_goes_once_that_was_read_since(self, database: Database):
        self.put(database, "shown", YOUNG, stream="event_types")
        self.put(database, "gone", OLD, stream="event_types")
        self.put(database, "never read since", OLD, stream="teams")
        run(database, f"INSERT INTO watermarks VALUES ('event_types', 'user:1', {YOUNG}, {YOUNG})")
        kept(database, "quarantine")
        assert self.left(database) == ["never read since", "shown"]


# --- plans -------------------------------------------------------------------------------------------------------


class TestPlans:
    def plan(self, database: Database, name: str, at: str, *, state: str = "applied", actions: int = 1) -> None:
        run(
            database,
            f"INSERT INTO sync_plans VALUES ('{name}', 'h', 'command', '{state}', '{{}}', '{{}}', {at}, {at}, {at})",
            "INSERT INTO sync_actions (plan_id, position, kind, service_id, reason, fields, remote, service_version, "
            f"notes, outcome, finished_at) SELECT '{name}', n, 'push', 'service of {name}', '', '[]', '{{}}', '1', "
            f"'[]', 'done', {at} FROM generate_series(1, {actions}) n",
        )

    def left(self, database: Database) -> list[str]:
        return [name for (name,) in fetch(database, "SELECT id FROM sync_plans ORDER BY id")]

    def link(self, database: Database, service: str) -> None:
        run(database, f"INSERT INTO service_links VALUES ('{service}', 'user:1', NULL, '{{}}', NULL, 'linked')")

    def test_old_ones_go_with_their_actions(self, database: Database):
        self.plan(database, "old", OLD)
        self.plan(database, "young", YOUNG)
        assert kept(database, "plan") == {"plans": 1}
        assert self.left(database) == ["young"]
        assert fetch(database, "SELECT plan_id FROM sync_actions") == [("young",)]

    def test_the_newest_stays_however_old_it_is(self, database: Database):
        self.plan(database, "older", OLD + " - interval '1 day'")
        self.plan(database, "newest", OLD)
        kept(database, "plan")
        assert self.left(database) == ["newest"]

    def test_one_that_waits_to_be_applied_stays(self, database: Database):
        self.plan(database, "waits", OLD, state="planned")
        self.plan(database, "young", YOUNG)
        kept(database, "plan")
        assert self.left(database) == ["waits", "young"]

    def test_one_that_last_wrote_something_for_a_linked_service_stays(self, database: Database):
        self.plan(database, "1 needed", OLD)
        self.plan(database, "2 overtaken", OLD)
        self.plan(database, "3 young", YOUNG)
        self.link(database, "service of 1 needed")
        self.link(database, "service of 3 young")
        run(database, "UPDATE sync_actions SET service_id = 'service of 3 young' WHERE plan_id = '2 overtaken'")
        kept(database, "plan")
        assert self.left(database) == ["1 needed", "3 young"]

    def test_a_few_large_ones_go_at_once_not_all(self, database: Database):
        for number in range(4):
            self.plan(database, f"old {number}", f"{OLD} - interval '{9 - number} hours'", actions=60)
        self.plan(database, "young", YOUNG)
        plans = own_records(database)["plan"]
        numbers = [plans.forget(before=NOW - MONTH, limit=BATCH) for _ in range(3)]
        assert numbers == [2, 2, 0]
        assert self.left(database) == ["young"]


# --- the feed of services ----------------------------------------------------------------------------------------


class TestFeed:
    @pytest.fixture
    def feed(self, database: Database) -> PostgresServiceFeed:
        return PostgresServiceFeed(database)

    def change(self, database: Database, slug: str) -> None:
        run(database, f"INSERT INTO services (name, slug, duration_minutes) VALUES ('x', '{slug}', 30)")

    def age(self, database: Database) -> None:
        """The horizon is the whole server's: other tests' transactions may hold a change back for a moment."""
        held = "SELECT EXISTS (SELECT FROM service_changes WHERE xid >= pg_snapshot_xmin(pg_current_snapshot()))"
        deadline = time.monotonic() + 20
        while fetch(database, held)[0][0] and time.monotonic() < deadline:
            time.sleep(0.05)
        run(database, f"UPDATE service_changes SET changed_at = {OLD}")

    def number(self, database: Database) -> int:
        return fetch(database, "SELECT count(*) FROM service_changes")[0][0]

    def test_what_a_reader_has_not_dealt_with_stays(self, database: Database, feed: PostgresServiceFeed):
        start = feed.settled_after(None, reader="sensor").cursor
        feed.settled_after(start, reader="sensor")
        self.change(database, "first")
        self.age(database)
        batch = feed.settled_after(start, reader="sensor")  # handed out, not yet dealt with
        assert kept(database, "feed") == {"changes of services": 0}
        assert feed.settled_after(start, reader="sensor").service_ids == batch.service_ids != ()
        self.change(database, "second")
        self.age(database)
        second = feed.settled_after(batch.cursor, reader="sensor")
        assert kept(database, "feed") == {"changes of services": 1}
        assert feed.settled_after(batch.cursor, reader="sensor") == second
        feed.settled_after(second.cursor, reader="sensor")
        assert kept(database, "feed") == {"changes of services": 1}
        assert self.number(database) == 0

    def test_young_ones_stay_also_where_nobody_reads(self, database: Database):
        self.change(database, "old")
        self.age(database)
        self.change(database, "young")
        assert kept(database, "feed") == {"changes of services": 1}
        assert self.number(database) == 1

    def test_a_reader_that_comes_back_to_a_deleted_feed_plans_everything(
        self, database: Database, feed: PostgresServiceFeed
    ):
        start = feed.settled_after(None).cursor
        feed.settled_after(start, reader="sensor")
        self.change(database, "missed")
        self.age(database)
        run(database, f"UPDATE feed_readers SET seen_at = {OLD}")
        assert kept(database, "feed") == {"changes of services": 1}
        late = feed.settled_after(start, reader="sensor")
        assert late.everything
        self.change(database, "next")
        self.age(database)
        after = feed.settled_after(late.cursor, reader="sensor")
        assert (after.everything, len(after.service_ids)) == (False, 1)

    def test_a_database_that_was_restored_elsewhere_is_read_on(self, database: Database, feed: PostgresServiceFeed):
        run(database, "INSERT INTO feed_deleted_to VALUES (true, 'another cluster', '9223372036854775807', 1)")
        start = feed.settled_after(None, reader="sensor").cursor
        assert not feed.settled_after(start, reader="sensor").everything
        self.change(database, "old")
        self.age(database)
        kept(database, "feed")
        assert feed.settled_after(start, reader="sensor").service_ids

    def test_a_look_that_finds_nothing_new_writes_nothing(self, database: Database, feed: PostgresServiceFeed):
        start = feed.settled_after(None, reader="sensor").cursor
        feed.settled_after(start, reader="sensor")
        before = fetch(database, "SELECT xmin::text FROM feed_readers")
        feed.settled_after(start, reader="sensor")
        assert fetch(database, "SELECT xmin::text FROM feed_readers") == before


# --- calls -------------------------------------------------------------------------------------------------------


class TestCalls:
    def call(self, database: Database, at: str, *, number: int = 1) -> None:
        run(
            database,
            "INSERT INTO api_calls SELECT at, 'Reading', 'slots', 'GET', 200, 'ok', 5, 0, 1, 'sync', NULL "
            f"FROM (SELECT {at} + n * interval '1 second' AS at FROM generate_series(1, {number}) n) calls",
        )

    def partitions(self, database: Database) -> list[str]:
        query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'api_calls'::regclass ORDER BY 1"
        return [name.rpartition(".")[2] for (name,) in fetch(database, query)]

    def month(self, database: Database, name: str, first: str, until: str) -> None:
        run(database, f"CREATE TABLE {name} PARTITION OF api_calls FOR VALUES FROM ('{first}') TO ('{until}')")

    def test_a_month_that_is_over_is_dropped_as_a_whole(self, database: Database):
        self.month(database, "api_calls_2021_02", "2021-02-01", "2021-03-01")
        self.month(database, "api_calls_2021_03", "2021-03-01", "2021-04-01")
        self.call(database, "'2021-02-07'::timestamptz", number=3)
        before = self.partitions(database)
        assert kept(database, "call") == {"calls": 3}
        assert set(before) - set(self.partitions(database)) == {"api_calls_2021_02", "api_calls_2021_03"}

    def test_older_rows_of_other_partitions_go_piece_by_piece(self, database: Database):
        self.call(database, OLD, number=250)
        self.call(database, YOUNG, number=7)
        assert kept(database, "call", batch=100) == {"calls": 250}
        assert fetch(database, "SELECT count(*) FROM api_calls") == [(7,)]

    def test_partitions_are_made_also_where_the_default_one_holds_rows_of_theirs(self, database: Database):
        """A process that ran for months had written there, and from then on none could be made."""
        last = self.partitions(database)[-2]  # the default one comes after all months
        run(database, f"DROP TABLE {last}")
        self.call(database, "date_trunc('month', now()) + interval '2 months 3 days'", number=5)
        assert last not in self.partitions(database)
        kept(database, "call")
        assert last in self.partitions(database)
        assert fetch(database, f"SELECT count(*) FROM {last}") == [(5,)]
        assert fetch(database, "SELECT count(*) FROM api_calls_default") == [(0,)]

    def test_who_reads_old_calls_holds_up_nobody_but_the_drop(self, database: Database, somebody_else: psycopg.Cursor):
        self.month(database, "api_calls_2021_02", "2021-02-01", "2021-03-01")
        lifetimes = [Lifetime(records, MONTH) for records in own_records(database).values()]
        run(database, fact("old", "done", OLD))
        somebody_else.execute("BEGIN")
        somebody_else.execute("SELECT count(*) FROM api_calls")
        found = {f.kind: f for f in keep_lifetimes(lifetimes, now=NOW, batch=BATCH)}
        assert "holds a lock" in found["calls"].error
        assert found["facts"].records == 1
        somebody_else.execute("ROLLBACK")
        assert kept(database, "call") == {"calls": 0}
        assert "api_calls_2021_02" not in self.partitions(database)


# --- all of them -------------------------------------------------------------------------------------------------


class Failing:
    kind = "a kind that fails"

    def __init__(self) -> None:
        self.left = 3

    def forget(self, *, before: datetime, limit: int) -> int:
        self.left -= 1
        if not self.left:
            raise StoreError("the disk is full")
        return limit


def test_a_kind_that_fails_tells_how_far_it_came_and_stops_no_other(database: Database):
    run(database, fact("old", "done", OLD))
    heard: list[Forgotten] = []
    lifetimes = [Lifetime(Failing(), MONTH), Lifetime(own_records(database)["fact"], MONTH)]
    found = keep_lifetimes(lifetimes, now=NOW, batch=5, on_done=heard.append)
    assert found == heard == [Forgotten("a kind that fails", 30, 10, "the disk is full"), Forgotten("facts", 30, 1)]


def test_what_somebody_else_has_locked_is_left_for_the_next_time(database: Database, somebody_else: psycopg.Cursor):
    run(database, fact("locked", "done", OLD), fact("free", "done", OLD))
    somebody_else.execute("BEGIN")
    somebody_else.execute("SELECT FROM invalidations WHERE why = 'locked' FOR UPDATE")
    assert kept(database, "fact") == {"facts": 1}
    somebody_else.execute("ROLLBACK")
    assert kept(database, "fact") == {"facts": 1}


def test_sizes_are_told_kind_by_kind(database: Database):
    run(database, fact("old", "done", OLD))
    sizes = {size.kind: size for size in PostgresSizes(database).sizes()}
    assert set(sizes) == {records.kind for records in own_records(database).values()}
    assert sizes["facts"].records == 1
    assert sizes["facts"].oldest is not None
    assert all(size.size_bytes > 0 for size in sizes.values())


@pytest.mark.proof
def test_a_large_backlog_is_deleted_in_less_than_a_minute(database: Database):
    """The plans that `revert` needs are looked up for each piece, which once took four minutes here."""
    services = "generate_series(1, 40) k"
    run(
        database,
        "INSERT INTO api_calls SELECT now() - n * interval '30 seconds', 'Reading', 'slots', 'GET', 200, 'ok', 5, 0, 1,"
        " 'sync', NULL FROM generate_series(1, 150000) n",
        "INSERT INTO invalidations (kind, why, user_ids, starts, ends, state, finished_at) "
        f"SELECT 'booking', 'old', '{{}}', '{{}}', '{{}}', 'done', {OLD} FROM generate_series(1, 100000)",
        "INSERT INTO sync_plans SELECT 'p' || n, 'h', 'c', 'applied', '{}', '{}', at, at, at FROM ("
        f"SELECT n, {OLD} - n * interval '1 minute' AS at FROM generate_series(1, 3000) n) made",
        "INSERT INTO sync_actions (plan_id, position, kind, service_id, reason, fields, remote, service_version, notes,"
        " outcome, finished_at) SELECT id, k, 'push', 's' || k, '', '[]', '{}', '1', '[]', 'done', created_at "
        f"FROM sync_plans, {services}",
        f"INSERT INTO service_links SELECT 's' || k, 'user:1', NULL, '{{}}', NULL, 'linked' FROM {services}",
    )
    began = time.monotonic()
    found = kept(database, "call", "plan", "fact", batch=2000)
    assert time.monotonic() - began < 60
    assert (found["plans"], found["facts"]) == (2999, 100_000)
    assert found["calls"] > 60_000
