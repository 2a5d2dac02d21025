"""Reading bookings while one thing changes: nothing is lost, and what must not be believed is refused."""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from calcom_pipeline.app.bookings.paging import QUIET_PASSES, created_between
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, BookingQuery
from calcom_pipeline.domain.errors import ContractBroken, TransientError
from tests.support.booking_reads import HOUR, OPTIONS, SMALL, assert_mirrors, expected, filled, later, pull
from tests.support.booking_world import BEGIN, FAR, MS, MemoryMirror, World


class TestOneThingAtATime:
    def test_what_was_added_and_changed_is_found_by_the_next_read(self):
        world, mirror = filled(12), MemoryMirror()
        pull(world, mirror)
        later(world)
        world.add()
        world.change("u000003", title="another")
        world.move("u000004", world.now + HOUR)
        report = pull(world, mirror)
        assert (report.full, report.stored.changes.added, report.stored.changes.changed) == (None, 2, 2)
        assert_mirrors(mirror, world)

    def test_changes_within_the_second_of_the_read_are_found(self):
        world, mirror = filled(3), MemoryMirror()
        pull(world, mirror)
        later(world)
        world.now = world.now.replace(microsecond=0)
        for uid in [world.add().uid for _ in range(20)]:
            world.change(uid, title="at once")
        pull(world, mirror)
        assert_mirrors(mirror, world)

    def test_a_busy_account_is_not_chased_for_ever(self):
        world, mirror = filled(30), MemoryMirror()
        pull(world, mirror)
        later(world)

        def busy() -> None:
            for uid in world.rng.sample(sorted(world.entries), 2 * SMALL):
                world.tick(200)
                world.change(uid, title=str(world.now))

        world.between_pages = busy
        with world.counted_calls() as calls:
            pull(world, mirror)
            pull(world, mirror, "full")
        assert len(calls) < 60
        world.between_pages = lambda: None
        pull(world, mirror)
        assert_mirrors(mirror, world)

    def test_bookings_that_are_made_all_the_time_do_not_keep_a_full_read_going(self):
        world, mirror = filled(12), MemoryMirror()

        def busy() -> None:
            world.tick(400)
            world.add()

        world.between_pages = busy
        with world.counted_calls() as calls:
            pull(world, mirror)
        assert len(calls) < 15

    def test_a_page_from_which_a_row_was_deleted_under_way_does_not_end_the_read(self):
        """Cal.com finds ids first and reads rows after, so a deleted one leaves a short page in the middle."""
        world, mirror = filled(40), MemoryMirror()

        def deletes() -> None:
            if world.queries and len(world.queries) % 3 == 0:
                first = min(e.created for e in world.entries.values())
                bound = world.queries[-1].after_created_at or first
                here = [u for u, e in world.entries.items() if e.created >= bound]
                del world.entries[min(here)]

        world.inside_page = deletes
        pull(world, mirror)
        assert_mirrors(mirror, world)

    def test_a_row_stamped_in_the_year_9999_moves_nothing(self):
        world, mirror = filled(12), MemoryMirror()
        world.change("u000005", silently=True, updated=FAR)
        pull(world, mirror)
        for _ in range(3):
            later(world)
            world.change("u000001", title=str(world.now))
            pull(world, mirror)
            watermark = mirror.state(MINE).watermark
            assert watermark is not None
            assert watermark < world.now
            assert_mirrors(mirror, world)

    def test_rows_created_in_the_year_9999_and_1_are_read(self):
        world = filled(11)
        world.entries["u000002"] = replace(world.entries["u000002"], created=FAR, updated=FAR, start=FAR - HOUR)
        world.entries["u000003"] = replace(world.entries["u000003"], created=datetime(1, 1, 2, tzinfo=BEGIN.tzinfo))
        mirror = MemoryMirror()
        pull(world, mirror)
        assert_mirrors(mirror, world)

    def test_old_rows_without_a_stamp_come_with_the_first_read_and_with_full_ones(self):
        world, mirror = filled(20), MemoryMirror()
        for n in (1, 7, 20):
            world.change(f"u{n:06d}", silently=True, updated=None)
        pull(world, mirror)
        assert_mirrors(mirror, world)
        world.change("u000007", silently=True, title="changed by hand")
        later(world)
        pull(world, mirror)
        assert mirror.contents()["u000007"] != expected(world)["u000007"]
        later(world)
        pull(world, mirror, "full")
        assert_mirrors(mirror, world)

    @pytest.mark.parametrize("delay", [1, 60, 119])
    def test_a_commit_that_is_late_is_found_within_the_overlap(self, delay: int):
        world, mirror = filled(12), MemoryMirror()
        pull(world, mirror)
        later(world)
        world.change("u000004", title="stamped early, seen late", late=timedelta(seconds=delay))
        world.change("u000005", title="seen at once")
        pull(world, mirror)
        later(world, delay + 1)
        world.change("u000006", title="after it")
        pull(world, mirror)
        assert_mirrors(mirror, world)

    def test_a_commit_that_is_late_is_found_even_if_the_read_outlasts_the_overlap(self):
        """Stamped before a page that had been read, seen within the second in which the read began."""
        world, mirror = filled(12), MemoryMirror()
        pull(world, mirror)
        begins = world.now.replace(microsecond=0) + OPTIONS.overlap
        for n in range(1, 11):
            earlier = begins - OPTIONS.overlap + timedelta(milliseconds=100 + n)
            world.change(f"u{n:06d}", silently=True, updated=earlier, title="before")
        world.now = begins
        read_before = len(world.queries)

        def meanwhile() -> None:
            if len(world.queries) == read_before + 1:
                world.tick(20)
                late = world.now - OPTIONS.overlap + 10 * MS
                world.change("u000012", silently=True, updated=late, title="stamped before the first page's last row")
                world.tick(480)
                world.change("u000011", title="seen by this read")
            elif len(world.queries) > read_before + 1:
                world.tick(200_000)

        world.between_pages = meanwhile
        pull(world, mirror)
        world.between_pages = lambda: None
        later(world)
        pull(world, mirror)
        assert_mirrors(mirror, world)

    def test_seats_and_absences_are_found_by_the_sliding_re_read(self):
        world, mirror = filled(20), MemoryMirror()
        pull(world, mirror)
        later(world)
        world.change("u000004", silently=True, seats=3)
        pull(world, mirror)
        assert mirror.contents()["u000004"] != expected(world)["u000004"]
        report = pull(world, mirror, "reread")
        assert report.stored.changes.changed == 1
        assert_mirrors(mirror, world)

    def test_the_sliding_re_read_keeps_to_its_window(self):
        world = World()
        for day in range(60):
            world.add(start=BEGIN + timedelta(days=day - 20))
        mirror = MemoryMirror()
        pull(world, mirror)
        with world.counted_calls() as calls:
            pull(world, mirror, "reread", options={"reread_past": timedelta(2), "reread_future": timedelta(14)})
        assert len(calls) <= math.ceil(16 / (SMALL - 1)) + 3

    def test_a_thousand_alike_are_all_read(self):
        """Equal in update, creation and start: nothing tells them apart, so they are read until no more turn up."""
        at = BEGIN - HOUR
        world, mirror = World(), MemoryMirror()
        for _ in range(23):
            world.add(created=at, start=BEGIN)
        world.add()
        later(world)
        pull(world, mirror)
        assert_mirrors(mirror, world)
        assert len(world.queries) < 5 * (QUIET_PASSES + 12)

    @pytest.mark.parametrize("same", [{"start": BEGIN}, {}])
    def test_a_group_whose_rows_leave_while_it_is_read_loses_none(self, same: dict[str, Any]):
        world, mirror = filled(10), MemoryMirror()
        pull(world, mirror)
        later(world)
        group = [world.add(**same).uid for _ in range(4 * SMALL)]
        at = world.tick()
        for uid in group:
            world.change(uid, silently=True, updated=at)

        def leaves() -> None:
            staying = [u for u in group if world.entries[u].updated == at]
            for uid in world.rng.sample(staying, min(len(staying), 2)):
                world.tick(1500)
                world.change(uid, title="left")

        world.between_pages = leaves
        pull(world, mirror)
        world.between_pages = lambda: None
        pull(world, mirror)
        assert_mirrors(mirror, world)


class TestContract:
    def test_a_list_that_ignores_the_bounds_breaks_the_contract_and_moves_nothing(self):
        world, mirror = filled(12), MemoryMirror()
        pull(world, mirror)
        later(world)
        before = mirror.state(MINE), mirror.stores
        real = world.page
        world.page = lambda query: real(replace(query, after_updated_at=None, before_updated_at=None))  # type: ignore[method-assign]
        with pytest.raises(ContractBroken, match="outside the bounds"):
            pull(world, mirror)
        assert (mirror.state(MINE), mirror.stores) == before

    def test_rows_out_of_order_break_the_contract(self):
        world = filled(4)

        class Backwards:
            def page(self, query: BookingQuery) -> BookingPage:
                page = world.page(query)
                return replace(page, bookings=page.bookings[::-1], keys=page.keys[::-1])

        with pytest.raises(ContractBroken, match="order"):
            list(created_between(Backwards(), MINE, None, None, take=SMALL))  # type: ignore[arg-type]

    def test_a_server_that_goes_away_leaves_what_was_stored_and_the_next_read_goes_on_there(self):
        world, mirror = filled(60), MemoryMirror()

        def fails() -> None:
            if len(world.queries) == 8:
                raise TransientError("gone")

        world.between_pages = fails
        with pytest.raises(TransientError):
            pull(world, mirror)
        assert len(mirror.rows) > 20
        world.between_pages = lambda: None
        with world.counted_calls() as calls:
            pull(world, mirror)
        assert len(calls) < 12
        assert_mirrors(mirror, world)
        assert mirror.state(MINE).watermark is not None

    def test_unreadable_rows_are_handed_on_once_per_page_and_the_read_goes_on(self):
        world, mirror = filled(30), MemoryMirror()
        for n in range(1, 30, 2):
            world.change(f"u{n:06d}", silently=True, extra={"title": n})
        pull(world, mirror)
        assert set(mirror.unreadable) == {f"u{n:06d}" for n in range(1, 30, 2)}
        assert len(mirror.contents()) == 15
