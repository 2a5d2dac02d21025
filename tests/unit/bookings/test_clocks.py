"""Reading bookings by clocks that are wrong, Cal.com's or ours; and rows that claim to be from the future."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from calcom_pipeline.app.bookings.history import is_done, plan_backfill, read_month, read_months
from calcom_pipeline.app.bookings.mirror import BookingOptions, BookingsReport, Mode, pull_bookings
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.bookings.positions import FULL_STREAM, HISTORY_STREAM, Month, Position
from tests.support.booking_reads import HOUR, OPTIONS, SMALL, assert_mirrors, filled, later, pull
from tests.support.booking_world import BEGIN, FAR, MemoryMirror, World

SIX_HOURS = 6 * HOUR
ACCOUNT_OF_OURS = 12


def watermark(mirror: MemoryMirror) -> datetime:
    found = mirror.state(MINE).watermark
    assert found is not None
    return found


def read_by(world: World, mirror: MemoryMirror, our_clock: timedelta, mode: Mode = "changes") -> BookingsReport:
    """A read by a machine whose clock is off by so much. `sent_at` is that clock's as well."""
    real = world.page
    world.page = lambda query: (page := real(query)) and replace(page, sent_at=page.sent_at + our_clock)  # type: ignore[method-assign]
    try:
        return pull_bookings(world, mirror, OPTIONS, now=lambda: world.now + our_clock, mode=mode)
    finally:
        world.page = real  # type: ignore[method-assign]


@pytest.mark.parametrize("mode", ["changes", "full"])
@pytest.mark.parametrize("off", [SIX_HOURS, -SIX_HOURS, timedelta(days=3000), timedelta(seconds=20)], ids=str)
def test_no_change_is_missed_because_a_date_was_wrong_once(off: timedelta, mode: Mode):
    world, mirror = filled(ACCOUNT_OF_OURS), MemoryMirror()
    pull(world, mirror)
    later(world)
    world.clock_ahead = off
    world.change("u000001", title="changed")
    report = pull(world, mirror, mode)
    assert_mirrors(mirror, world)
    assert watermark(mirror) < world.now
    told = [note for note in report.notes if "Cal.com's Date" in note]
    assert len(told) == (abs(off) > OPTIONS.clock_tolerance)
    world.clock_ahead = timedelta()
    later(world, 600)
    world.change("u000003", status="cancelled")
    later(world, 600)
    pull(world, mirror)
    assert_mirrors(mirror, world)


@pytest.mark.parametrize("off", [SIX_HOURS, -SIX_HOURS], ids=["ahead", "behind"])
def test_a_server_whose_clock_is_always_off_is_read_as_fast_as_any(off: timedelta):
    """Its stamps are off as well, as those of a self-hosted one would be: by its own clock nothing is late."""
    world, mirror = filled(ACCOUNT_OF_OURS), MemoryMirror()
    real = world.page

    def page(query):  # type: ignore[no-untyped-def]
        answered = real(query)
        return replace(answered, sent_at=answered.sent_at - off)

    world.page = page  # type: ignore[method-assign]
    ours = lambda: world.now - off  # noqa: E731 - one line, used in one place
    pull_bookings(world, mirror, OPTIONS, now=ours)
    for n in range(3 * SMALL):
        later(world, 30)
        world.change("u000001", title=f"number {n}")
        world.add()
        pull_bookings(world, mirror, OPTIONS, now=ours)
        assert_mirrors(mirror, world)


@pytest.mark.parametrize("ours", [SIX_HOURS, -SIX_HOURS], ids=["ahead", "behind"])
def test_no_change_is_missed_because_our_clock_was_wrong(ours: timedelta):
    world, mirror = filled(ACCOUNT_OF_OURS), MemoryMirror()
    pull(world, mirror)
    later(world)
    world.change("u000001", title="changed")
    read_by(world, mirror, ours)
    assert watermark(mirror) < world.now
    later(world, 600)
    world.change("u000003", status="cancelled")
    later(world, 600)
    pull(world, mirror)
    assert_mirrors(mirror, world)


@pytest.mark.parametrize("ahead", [SIX_HOURS, timedelta(days=3000)], ids=str)
def test_a_position_ahead_of_now_is_found_and_set_anew_by_reading_everything(ahead: timedelta):
    """As an earlier release may have left it."""
    world, mirror = filled(ACCOUNT_OF_OURS), MemoryMirror()
    pull(world, mirror)
    mirror.states["mine"] = replace(mirror.state(MINE), watermark=world.now + ahead)
    later(world)
    world.change("u000003", status="cancelled")
    report = pull(world, mirror)
    assert report.full == "its position lay ahead of this clock"
    assert watermark(mirror) < world.now
    assert_mirrors(mirror, world)
    later(world)
    assert pull(world, mirror).full is None


def test_an_interrupted_full_read_of_a_wrong_clock_is_not_gone_on_with():
    world, mirror = filled(ACCOUNT_OF_OURS), MemoryMirror()
    pull(world, mirror)
    at = world.now + SIX_HOURS
    partition = "mine asked for"
    mirror.positions[FULL_STREAM, partition] = Position(FULL_STREAM, partition, at, at)
    later(world)
    pull(world, mirror, "full", resume=True)
    assert watermark(mirror) < world.now


def test_rows_stamped_in_the_future_are_not_transferred_by_every_read():
    world, mirror = filled(ACCOUNT_OF_OURS), MemoryMirror()
    for n in range(1, 9):
        world.change(f"u{n:06d}", silently=True, updated=FAR)
    pull(world, mirror)
    assert_mirrors(mirror, world)
    later(world)
    world.change("u000010", title="changed")
    later(world)
    report = pull(world, mirror)
    assert (report.read, report.pages) == (1, 2)
    assert_mirrors(mirror, world)


class TestHistory:
    OPTIONS = BookingOptions(page_size=SMALL)

    def fill(self, world: World, mirror: MemoryMirror, month: Month) -> None:
        world.limit_seen = lambda: None  # type: ignore[attr-defined]
        plan = plan_backfill(world, mirror, [month], self.OPTIONS, most_workers=1, now=world.now)  # type: ignore[arg-type]
        read_months(world, lambda: mirror, plan, self.OPTIONS, now=lambda: world.now)  # type: ignore[arg-type]

    def test_a_month_that_is_not_over_is_not_done_by_a_date_from_the_next_one(self):
        world, mirror, month = filled(ACCOUNT_OF_OURS), MemoryMirror(), Month.of(BEGIN)
        world.clock_ahead = timedelta(days=60)
        assert not read_month(world, mirror, month, self.OPTIONS).done
        world.clock_ahead = timedelta()
        later(world)
        new = world.add()
        self.fill(world, mirror, month)
        assert new.uid in mirror.rows

    @pytest.mark.parametrize("ahead", [SIX_HOURS, timedelta(days=90)], ids=["in it", "past it"])
    def test_a_position_ahead_of_now_is_read_anew(self, ahead: timedelta):
        world, mirror, month = filled(ACCOUNT_OF_OURS), MemoryMirror(), Month.of(BEGIN)
        reached = min(world.now + ahead, month.next.begin)
        mirror.positions[HISTORY_STREAM, str(month)] = Position(HISTORY_STREAM, str(month), reached, BEGIN)
        assert not is_done(mirror, month, now=world.now)
        self.fill(world, mirror, month)
        assert set(mirror.rows) == set(world.entries)
        position = mirror.position(HISTORY_STREAM, str(month))
        assert position is not None
        assert position.reached < world.now

    def test_a_first_row_that_is_deleted_while_it_is_looked_for_does_not_make_the_past_empty(self):
        world, mirror, month = filled(ACCOUNT_OF_OURS), MemoryMirror(), Month.of(BEGIN)

        def once() -> None:
            world.inside_page = lambda: None
            del world.entries[world.inside[0]]

        world.inside_page = once
        self.fill(world, mirror, month)
        assert set(mirror.rows) == set(world.entries)
