"""Dealing with deliveries, on a real inbox and mirror: what is read, stays open, is put away, and who shares it."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from calcom_pipeline.adapters.calcom.bookings.rows import replayed
from calcom_pipeline.adapters.delivery_spool import FileSpool
from calcom_pipeline.adapters.postgres.bookings.privacy import Eraser
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.maintenance.records import own_records
from calcom_pipeline.adapters.postgres.webhooks.arrivals import PostgresDeliveries
from calcom_pipeline.app.webhooks.drain import DrainReport, DrainRules
from calcom_pipeline.domain.errors import (
    Exchange,
    RateLimited,
    StoreError,
    TransientError,
    Unauthorized,
)
from tests.support.booking_rows import row
from tests.support.deliveries import delivery_body
from tests.support.drain_world import RULES, World
from tests.support.tables import fetch


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, FileSpool(tmp_path / "spool", most_bytes=1_000_000))


class TestWhatIsRead:
    def test_the_booking_as_it_is_now_is_mirrored_whatever_the_delivery_says(self, world: World):
        world.calcom.rows["u1"] = row("u1", status="accepted")
        world.comes(delivery_body("u1", status="PENDING", title="a lie"))
        assert world.drain() == DrainReport(done=1, bookings=1)
        assert world.mirrored() == {"u1": "accepted"}
        assert fetch(world.database, "SELECT title FROM bookings") == [("Repair between Alice and Carol",)]

    def test_doubled_and_reordered_ones_cost_one_read_and_one_change(self, world: World):
        world.calcom.rows["u1"] = row("u1", status="cancelled")
        bodies = [delivery_body("u1", "BOOKING_CANCELLED"), delivery_body("u1"), delivery_body("u1", n=2)]
        world.comes(*bodies, *bodies)
        assert world.drain() == DrainReport(done=3, bookings=1)
        assert world.calcom.asked == ["u1"]

    def test_a_backlog_costs_no_more_calls_than_it_names_bookings(self, world: World):
        world.calcom.rows |= {"a": row("a"), "b": row("b")}
        world.comes(*(delivery_body(uid, number=n) for n in range(100) for uid in "ab"))
        assert world.drain(DrainRules(batch=4)).done == 200
        assert len(world.calcom.asked) <= 3

    def test_a_move_reads_both_bookings(self, world: World):
        world.calcom.rows |= {"new": row("new"), "old": row("old", status="cancelled", rescheduledToUid="new")}
        world.comes(delivery_body("new", "BOOKING_RESCHEDULED", rescheduleUid="old"))
        assert world.drain().done == 1
        assert world.mirrored() == {"new": "accepted", "old": "cancelled"}

    def test_an_older_read_overwrites_no_newer_one(self, world: World):
        world.calcom.rows["u1"] = row("u1", status="accepted")
        world.comes(delivery_body("u1"))

        def meanwhile(uid: str) -> None:
            """Somebody else reads the booking later, and stores it first."""
            page = World(world.database, world.spool)
            page.clock.now = world.clock.now + timedelta(seconds=1)
            page.calcom.rows["u1"] = row("u1", status="cancelled")
            page.comes(delivery_body("u1", other=1))
            world.calcom.before = lambda _: None
            page.drain()

        world.calcom.before = meanwhile
        world.drain()
        assert world.mirrored() == {"u1": "cancelled"}

    def test_an_unknown_trigger_is_kept_as_such_and_its_booking_read(self, world: World):
        world.calcom.rows["u1"] = row("u1")
        world.comes(delivery_body("u1", "BOOKING_TELEPORTED"), delivery_body(None, "SOMETHING"))
        assert world.drain() == DrainReport(unknown=1, bookings=1)
        assert world.states() == [("-", "unknown"), ("u1", "unknown")]
        assert fetch(world.database, "SELECT count(*) FROM webhook_inbox WHERE body <> ''") == [(2,)]

    def test_a_booking_that_cannot_be_read_is_in_the_bookings_quarantine(self, world: World):
        world.calcom.rows["u1"] = {**row("u1"), "start": 7}
        world.comes(delivery_body("u1"))
        assert world.drain().done == 1
        assert fetch(world.database, "SELECT stream, uid FROM quarantine") == [("bookings", "u1")]

    def test_the_spool_comes_first(self, world: World):
        world.calcom.rows["u1"] = row("u1")
        world.spool.put([world.delivery(delivery_body("u1"))])
        assert world.drain() == DrainReport(unspooled=1, done=1, bookings=1)
        assert world.spool.oldest() is None


class TestCancellations:
    def test_one_stays_open_until_a_read_shows_it(self, world: World):
        world.calcom.rows["u1"] = row("u1")
        world.comes(delivery_body("u1", "BOOKING_CANCELLED"))
        assert world.drain().not_yet == 1
        assert world.drain() == DrainReport(), "it is not due yet"
        world.clock.advance(seconds=2)
        world.calcom.rows["u1"] = row("u1", status="cancelled")
        assert world.drain().done == 1
        assert world.mirrored() == {"u1": "cancelled"}

    def test_one_that_is_never_shown_is_closed_after_two_minutes_and_a_last_read(self, world: World):
        """A seat was cancelled, and the booking goes on."""
        world.calcom.rows["u1"] = row("u1")
        world.comes(delivery_body("u1", "BOOKING_CANCELLED"))
        reads = 0
        for _ in range(130):
            reads += world.drain().bookings
            world.clock.advance(seconds=1)
        assert world.states() == [("u1", "done")]
        assert 5 <= reads <= 12
        assert fetch(world.database, "SELECT attempts FROM webhook_inbox") == [(0,)]

    def test_the_booking_before_a_move_may_be_early_as_well(self, world: World):
        world.calcom.rows |= {"new": row("new"), "old": row("old")}
        world.comes(delivery_body("new", "BOOKING_RESCHEDULED", rescheduleUid="old"))
        assert world.drain().not_yet == 1


class TestWhatFails:
    def test_one_that_fails_for_a_reason_of_its_own_is_put_away_and_holds_up_no_other(self, world: World):
        world.calcom.rows["good"] = row("good")
        world.comes(delivery_body("ghost"), delivery_body("good"))
        assert world.drain() == DrainReport(done=1, failed=1, bookings=1)
        for _ in range(RULES.attempts):
            world.clock.advance(hours=1)
            world.drain()
        assert world.states() == [("ghost", "quarantined"), ("good", "done")]
        assert world.calcom.asked.count("ghost") == RULES.attempts
        assert fetch(world.database, "SELECT reason FROM webhook_inbox WHERE uid = 'ghost'") == [
            ("Reading a booking: there is none",)
        ]

    def test_the_limit_is_no_ones_fault_and_ends_the_drain(self, world: World):
        world.calcom.rows |= {"a": RateLimited("Reading a booking: the limit", retry_after=30), "b": row("b")}
        world.comes(delivery_body("a"))
        world.comes(delivery_body("b"))
        assert world.drain().stopped
        assert world.calcom.asked == ["a"]
        assert fetch(world.database, "SELECT DISTINCT state, attempts FROM webhook_inbox") == [("open", 0)]
        world.calcom.rows["a"] = row("a")
        world.clock.advance(seconds=31)
        assert world.drain().done == 2

    def test_no_answer_is_no_ones_fault_and_the_others_go_on(self, world: World):
        world.calcom.rows |= {"a": TransientError("Reading a booking: HTTP 500"), "b": row("b")}
        world.comes(delivery_body("a"), delivery_body("b"))
        assert world.drain() == DrainReport(done=1, failed=1, bookings=1)
        for _ in range(20):
            world.clock.advance(hours=2)
            world.drain()
        assert world.states() == [("a", "open"), ("b", "done")]

    def test_a_key_that_is_no_good_costs_no_delivery(self, world: World):
        refused = Unauthorized("Reading a booking: HTTP 401", exchange=Exchange("Reading a booking", status=401))
        world.calcom.rows["a"] = refused
        world.comes(delivery_body("a"))
        for _ in range(RULES.attempts + 1):
            with pytest.raises(Unauthorized):
                world.drain()
            world.clock.advance(minutes=3)
        assert world.states() == [("a", "open")]

    def test_what_a_killed_drain_had_claimed_is_anothers_after_the_lease(self, world: World):
        class Killed(BaseException):
            pass

        def die(_: str) -> None:
            raise Killed

        world.calcom.rows["a"] = row("a")
        world.comes(delivery_body("a"))
        world.calcom.before = die
        with pytest.raises(Killed):
            world.drain()
        world.calcom.before = lambda _: None
        assert world.drain() == DrainReport()
        world.clock.advance(seconds=121)
        assert world.drain().done == 1

    def test_one_that_kills_whoever_touches_it_is_put_away_in_the_end(self, world: World):
        world.calcom.rows["a"] = row("a")
        world.comes(delivery_body("a"))
        with world.database.transaction("Testing") as cursor:
            cursor.execute("UPDATE webhook_inbox SET claims = 80")
        assert world.drain().quarantined == 1

    def test_nothing_is_closed_whose_booking_was_not_stored(self, world: World):
        class Away:
            def store(self, *_: Any, **__: Any) -> None:
                raise StoreError("PostgreSQL is away")

        world.calcom.rows["a"] = row("a")
        world.comes(delivery_body("a"))
        with pytest.raises(StoreError):
            world.drain(mirror=Away())
        assert world.states() == [("a", "open")]


class TestSeveralAtOnce:
    def test_they_share_the_work_and_do_nothing_twice(self, world: World):
        uids = [f"u{n}" for n in range(60)]
        world.calcom.rows |= {uid: row(uid) for uid in uids}
        world.comes(*map(delivery_body, uids))
        together = threading.Barrier(4)

        def one(_: int) -> DrainReport:
            together.wait(20)
            return world.drain(DrainRules(batch=5))

        with ThreadPoolExecutor(4) as drains:
            reports = list(drains.map(one, range(4)))
        assert sum(report.done for report in reports) == 60
        assert sorted(world.calcom.asked) == sorted(uids)

    def test_a_drain_that_was_away_longer_than_its_lease_settles_nothing(self, world: World):
        world.calcom.rows["a"] = row("a")
        world.comes(delivery_body("a"))

        def stall(_: str) -> None:
            world.calcom.before = lambda _: None
            world.clock.advance(seconds=121)
            assert world.drain().done == 1

        world.calcom.before = stall
        assert world.drain().done == 0
        assert world.states() == [("a", "done")]


def bodies(world: World) -> list[bytes]:
    return [bytes(body) for (body,) in fetch(world.database, "SELECT body FROM webhook_inbox WHERE body <> ''")]


class TestPeople:
    def test_a_body_is_gone_once_its_booking_was_read(self, world: World):
        world.calcom.rows["u1"] = row("u1")
        world.comes(delivery_body("u1"))
        assert len(bodies(world)) == 1
        world.drain()
        assert bodies(world) == []

    @pytest.mark.parametrize("policy", ["hash", "drop"])
    def test_where_people_are_not_kept_no_body_is(self, world: World, policy: Any):
        world.policy = policy
        world.comes(delivery_body("u1"), delivery_body(None, "SOMETHING"), b"carol@example.org")
        assert bodies(world) == []

    def test_what_was_kept_before_the_policy_changed_goes_with_the_next_drain(self, world: World):
        world.comes(delivery_body(None, "SOMETHING"))
        world.policy = "drop"
        world.drain()
        assert bodies(world) == []

    def test_erasing_a_person_reaches_what_is_open_put_away_and_unknown_and_nobody_else(self, world: World):
        other = delivery_body("u2", attendees=[{"email": "dan@example.org"}])
        world.comes(delivery_body("u1"), delivery_body(None, "SOMETHING"), b'"carol@example.org"', other)
        receipt = Eraser(world.database, world.people, replayed).erase("Carol@Example.org", now=world.clock())
        assert receipt.deliveries == 3
        assert bodies(world) == [other]

    def test_who_was_erased_does_not_come_back_by_a_delivery_nor_by_the_spool(self, world: World):
        Eraser(world.database, world.people, replayed).erase("carol@example.org", now=world.clock())
        world.calcom.rows["u2"] = TransientError("Reading a booking: HTTP 500")
        world.comes(delivery_body("u1"))
        world.spool.put([world.delivery(delivery_body("u2"))])
        world.drain()
        assert world.states() == [("u1", "open"), ("u2", "open")]
        assert bodies(world) == []

    def test_who_adds_while_a_person_is_erased_waits_and_sees_the_tombstone(self, world: World):
        people = world.people
        eraser, added = Eraser(world.database, people, replayed), threading.Event()

        def late(deliveries: Sequence[bytes]) -> None:
            world.comes(*deliveries)
            added.set()

        with world.database.transaction("Testing") as cursor:
            cursor.execute("LOCK TABLE webhook_inbox IN SHARE ROW EXCLUSIVE MODE")
            thread = threading.Thread(target=late, args=([delivery_body("u1")],))
            thread.start()
            assert not added.wait(0.3)
            cursor.execute(
                "INSERT INTO erasures (subject, erased_at, receipt) VALUES (%s, now(), '{}')",
                (eraser._people.pseudonyms.subject("carol@example.org"),),
            )
        thread.join(20)
        assert added.is_set()
        assert bodies(world) == []


def test_deliveries_have_a_lifetime_and_open_ones_stay(world: World):
    world.calcom.rows["done"] = row("done")
    world.comes(delivery_body("done"))
    world.drain()
    world.comes(delivery_body("open"))
    records = own_records(world.database)["webhook"]
    assert records.forget(before=world.clock() - timedelta(hours=1), limit=10) == 0
    assert records.forget(before=world.clock() + timedelta(hours=1), limit=10) == 1
    assert world.states() == [("open", "open")]


def test_when_a_booking_was_first_told_of_is_known(world: World):
    began, deliveries = world.clock(), PostgresDeliveries(world.database)
    world.clock.advance(seconds=5)
    world.comes(delivery_body("new", "BOOKING_RESCHEDULED", rescheduleUid="old"))
    assert deliveries.seen("old", began) == deliveries.seen("new", began) == world.clock()
    assert deliveries.seen("other", began) is None
    assert deliveries.seen("new", world.clock() + timedelta(seconds=1)) is None
