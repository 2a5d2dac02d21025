"""The feed of services: who reads it misses no change, in whatever order transactions began and ended."""

import time

import psycopg
import pytest

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.services.store import HeldChanges, PostgresServiceFeed, PostgresServiceStore
from calcom_pipeline.app.services.ports import FeedBatch
from calcom_pipeline.domain.services.links import Link
from tests.support.reconciling import ME
from tests.support.service_rows import INSERT, insert, run

CHANGED_IN = "INSERT INTO service_changes (service_id, operation, actor, xid) VALUES (%s, 'update', 'somebody', %s)"


def from_now_on(database: Database, feed: PostgresServiceFeed) -> str:
    """A position past all that was changed; what other tests have open in the same server may hold that up."""
    waiting = "SELECT count(*) FROM service_changes WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())"
    while run(database, waiting)[0][0]:
        time.sleep(0.02)
    return feed.settled_after(None).cursor


def settled(feed: PostgresServiceFeed, cursor: str, *, limit: int = 500) -> FeedBatch:
    """The next batch with something in it. The horizon is the whole server's: other tests' transactions hold it."""
    deadline = time.monotonic() + 20
    while True:
        batch = feed.settled_after(cursor, limit=limit)
        if batch.service_ids or batch.cursor != cursor or time.monotonic() > deadline:
            return batch
        time.sleep(0.05)


def test_the_first_look_asks_for_everything_and_the_next_for_what_changed(database: Database):
    feed = PostgresServiceFeed(database)
    first = feed.settled_after(None)
    assert first.everything
    number = insert(database)
    second = settled(feed, first.cursor)
    assert (second.service_ids, second.everything) == ((number,), False)
    assert feed.settled_after(second.cursor).service_ids == ()
    assert feed.settled_after(second.cursor).cursor == second.cursor


def test_updates_and_deletes_are_told_too_once_per_service(database: Database):
    feed = PostgresServiceFeed(database)
    number = insert(database)
    start = feed.settled_after(None).cursor
    for query in ("UPDATE services SET name = 'a'", "UPDATE services SET name = 'b'", "DELETE FROM services"):
        run(database, query)
    assert settled(feed, start).service_ids == (number,)


def test_our_own_writes_are_passed_over_but_moved_past(database: Database):
    feed, store = PostgresServiceFeed(database), PostgresServiceStore(database)
    number = insert(database)
    start = from_now_on(database, feed)
    store.pull(Link(number, ME, 7), {"name": "Pulled"}, version="1")
    batch = settled(feed, start)
    assert batch.service_ids == ()
    assert batch.cursor != start


def test_a_change_that_commits_late_is_not_lost_behind_one_that_commits_early(database: Database, servers):
    feed = PostgresServiceFeed(database)
    start = feed.settled_after(None).cursor
    with psycopg.connect(servers.database_url) as slow:
        slow.execute(f'SET search_path TO "{database.schema}"')
        early_id = slow.execute(INSERT, ("Early", "early", 30)).fetchone()[0]
        late_id = insert(database, slug="late")
        held = feed.settled_after(start)
        assert held.service_ids == (), "nothing is handed out while an older transaction may still commit"
        while (waiting := feed.held_after(held.cursor)) and waiting.process_id != slow.info.backend_pid:
            time.sleep(0.02)  # another test's transaction is older still
        assert waiting is not None
        assert waiting.changes == 1
        assert 0 <= (waiting.open_seconds or 0) < 120
        slow.commit()
    last, handed = settled(feed, held.cursor), set[str]()
    while last.service_ids:  # another test's transaction may stand between the two
        handed |= set(last.service_ids)
        if handed == {early_id, late_id}:
            break
        last = settled(feed, last.cursor)
    assert handed == {early_id, late_id}
    assert feed.held_after(last.cursor) is None


def test_what_a_prepared_transaction_or_a_strangers_one_holds_up_is_told_as_far_as_it_shows():
    assert str(HeldChanges(1, None, None)).endswith("somebody's older transaction: 1")
    assert str(HeldChanges(1, 4711, None)).endswith("(process 4711 of PostgreSQL): 1")


def test_our_own_writes_are_held_up_without_a_word(database: Database, servers):
    feed, store = PostgresServiceFeed(database), PostgresServiceStore(database)
    number = insert(database)
    start = from_now_on(database, feed)
    with psycopg.connect(servers.database_url) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        store.pull(Link(number, ME, 7), {"name": "Pulled"}, version="1")
        assert feed.held_after(start) is None


def test_a_position_of_another_cluster_starts_over(database: Database):
    feed = PostgresServiceFeed(database)
    assert feed.settled_after("12345/999999999/7").everything
    assert feed.settled_after("nonsense").everything


def test_batches_are_bounded(database: Database):
    feed = PostgresServiceFeed(database)
    start = feed.settled_after(None).cursor
    numbers = [insert(database, slug=f"s{n}") for n in range(5)]
    handed_out, cursor, keys = [], start, set()
    while len(handed_out) < len(numbers):
        batch = settled(feed, cursor, limit=3)
        assert 0 < len(batch.service_ids) <= 3
        handed_out, cursor = handed_out + list(batch.service_ids), batch.cursor
        keys.add(batch.key)
    assert handed_out == numbers
    assert len(keys) > 1


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 500])
def test_transactions_are_read_by_number_not_by_its_digits(database: Database, limit: int):
    """From 999 to 1000 their numbers grow by a digit."""
    feed = PostgresServiceFeed(database)
    for xid in (1, 100, 8, 12, 9, 99, 10):  # all long over: PostgreSQL begins at some 700
        run(database, CHANGED_IN, f"changed in {xid}", str(xid))
    epoch, _, _ = feed.settled_after(None).cursor.split("/")
    cursor, handed_out = f"{epoch}/1/9", list[str]()
    while (batch := feed.settled_after(cursor, limit=limit)).service_ids:
        assert batch.cursor != cursor, "a reader comes further"
        handed_out, cursor = [*handed_out, *batch.service_ids], batch.cursor
    assert handed_out == [f"changed in {xid}" for xid in (8, 9, 10, 12, 99, 100)]
