"""The history of bookings by month: what it costs, that it resumes, that one month's failure is its own."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from calcom_pipeline.app.bookings.history import BackfillPlan, is_done, plan_backfill, read_month, read_months
from calcom_pipeline.app.bookings.mirror import BookingOptions
from calcom_pipeline.domain.bookings.listing import BookingPage, BookingQuery
from calcom_pipeline.domain.bookings.positions import HISTORY_STREAM, Forecast, Month, forecast, workers_for
from calcom_pipeline.domain.errors import TransientError
from tests.support.booking_world import BEGIN, MemoryMirror, World

OPTIONS = BookingOptions(page_size=5, calls_per_minute=116)
NOVEMBER, JANUARY, MARCH = Month(2025, 11), Month(2026, 1), Month(2026, 3)


def history() -> World:
    """30 bookings over November to February, and 5 of this month; it is March 2 in the world."""
    world = World()
    for n in range(30):
        world.add(created=datetime(2025, 11, 3, tzinfo=BEGIN.tzinfo) + timedelta(days=4 * n - n // 29))
    for _ in range(5):
        world.add()
    world.tick(600_000)
    world.limit_seen = lambda: 120  # type: ignore[attr-defined]
    return world


def created(world: World, month: Month) -> set[str]:
    return {e.uid for e in world.entries.values() if month.begin <= e.created < month.next.begin}


def fill(world: World, mirror: MemoryMirror, plan: BackfillPlan, **more: Any) -> Any:
    return read_months(world, lambda: mirror, plan, OPTIONS, now=lambda: world.now, **more)  # type: ignore[arg-type]


def planned(world: World, mirror: MemoryMirror, first: Month, **more: Any) -> BackfillPlan:
    months = first.through(Month.of(world.now))
    return plan_backfill(world, mirror, months, OPTIONS, most_workers=8, **more)  # type: ignore[arg-type]


class TestMonths:
    def test_months_follow_each_other_over_the_year(self):
        assert [str(m) for m in NOVEMBER.through(Month(2026, 2))] == ["2025-11", "2025-12", "2026-01", "2026-02"]
        assert MARCH.through(NOVEMBER) == []

    @pytest.mark.parametrize("text", ["2024", "2024-13", "2024-1", "24-01", "2024-01-01", ""])
    def test_what_is_no_month_is_refused(self, text: str):
        with pytest.raises(ValueError, match="no month"):
            Month.parse(text)


class TestForecast:
    def test_a_million_bookings_at_the_usual_limit_take_over_half_an_hour(self):
        cost = forecast(1_000_000, page_size=250, calls_per_minute=116)
        assert cost.calls == 4019
        assert 34 < cost.minutes < 42

    def test_it_says_so_in_a_sentence(self):
        assert str(Forecast(5000, 23, 0.25)) == "5,000 bookings, at most 23 calls and 0.2 minutes"

    @pytest.mark.parametrize(("limit", "workers"), [(60, 1), (116, 1), (240, 2), (500, 5), (800, 8), (100_000, 8)])
    def test_as_many_months_at_once_as_the_limit_can_feed(self, limit: int, workers: int):
        assert workers_for(limit, 8) == workers


class TestPlanning:
    def test_months_before_the_first_booking_are_not_read(self):
        world, mirror = history(), MemoryMirror()
        with world.counted_calls() as calls:
            plan = planned(world, mirror, Month(2025, 6))
        assert [str(m) for m in plan.empty] == ["2025-06", "2025-07", "2025-08", "2025-09", "2025-10"]
        assert [str(m) for m in plan.months] == ["2025-11", "2025-12", "2026-01", "2026-02", "2026-03"]
        assert calls == ["page"]

    def test_what_was_read_is_not_planned_again_unless_asked_for(self):
        world, mirror = history(), MemoryMirror()
        fill(world, mirror, planned(world, mirror, NOVEMBER))
        assert planned(world, mirror, NOVEMBER).months == (MARCH,)
        assert len(planned(world, mirror, NOVEMBER, again=True).months) == 5

    def test_the_forecast_is_not_exceeded(self):
        world, mirror = history(), MemoryMirror()
        plan = planned(world, mirror, NOVEMBER)
        with world.counted_calls() as calls:
            fill(world, mirror, plan)
        assert len(calls) <= plan.cost.calls

    def test_an_account_without_bookings_has_nothing_to_read(self):
        world = World()
        world.limit_seen = lambda: None  # type: ignore[attr-defined]
        plan = planned(world, MemoryMirror(), NOVEMBER)
        assert (plan.months, len(plan.empty)) == ((), 5)


class TestReading:
    def test_every_month_is_read_and_its_bookings_alone(self):
        world, mirror = history(), MemoryMirror()
        read_month(world, mirror, JANUARY, OPTIONS)
        assert set(mirror.rows) == created(world, JANUARY)
        assert is_done(mirror, JANUARY)
        report = fill(world, mirror, planned(world, mirror, NOVEMBER))
        assert set(mirror.rows) == set(world.entries)
        assert [m.done for m in report.months] == [True, True, True, False]

    def test_an_interrupted_month_goes_on_where_it_stopped(self):
        world, mirror = history(), MemoryMirror()
        for n in range(40):
            world.add(created=JANUARY.begin + timedelta(hours=n))

        def fails() -> None:
            if len(world.queries) == 8:
                raise TransientError("gone")

        world.between_pages = fails
        with pytest.raises(TransientError):
            read_month(world, mirror, JANUARY, OPTIONS)
        world.between_pages = lambda: None
        before = len(mirror.rows)
        with world.counted_calls() as calls:
            read_month(world, mirror, JANUARY, OPTIONS)
        assert before > 20
        assert len(calls) < 10
        assert set(mirror.rows) == created(world, JANUARY)

    def test_the_current_month_is_read_up_to_now_and_goes_on_later(self):
        world, mirror = history(), MemoryMirror()
        assert not read_month(world, mirror, MARCH, OPTIONS).done
        position = mirror.position(HISTORY_STREAM, "2026-03")
        assert position is not None
        assert position.reached <= world.now - OPTIONS.overlap
        world.tick(1000)
        new = world.add()
        world.tick(600_000)
        read_month(world, mirror, MARCH, OPTIONS)
        assert new.uid in mirror.rows

    def test_a_booking_that_is_committed_late_is_read_by_the_next_read(self):
        world, mirror = history(), MemoryMirror()
        for _ in range(12):
            world.tick(1000)
            world.add()
        stamp = world.now - timedelta(seconds=5)
        read_month(world, mirror, MARCH, OPTIONS)
        late = world.add(created=stamp)
        read_month(world, mirror, MARCH, OPTIONS)
        assert late.uid in mirror.rows

    def test_a_month_that_ends_while_it_is_read_is_not_done(self):
        world, mirror = history(), MemoryMirror()
        world.tick((MARCH.next.begin - world.now) / timedelta(milliseconds=1) - 1000)
        world.between_pages = lambda: world.tick(600_000 if len(world.queries) > 1 else 0)
        assert not read_month(world, mirror, MARCH, OPTIONS).done

    def test_one_months_failure_is_that_months_result(self):
        world, mirror = history(), MemoryMirror()
        plan, real = planned(world, mirror, NOVEMBER), world.page

        def page(query: BookingQuery) -> BookingPage:
            if query.after_created_at and Month.of(query.after_created_at) == JANUARY:
                raise TransientError("gone")
            return real(query)

        world.page = page  # type: ignore[method-assign]
        report = fill(world, mirror, plan)
        assert report.failures == {"2026-01": "gone"}
        assert set(mirror.rows) == set(world.entries) - created(world, JANUARY)
        assert not is_done(mirror, JANUARY)

    def test_when_no_month_can_be_read_the_reason_is_raised(self):
        world, mirror = history(), MemoryMirror()
        plan = planned(world, mirror, NOVEMBER)

        def fails() -> None:
            raise TransientError("gone")

        world.between_pages = fails
        with pytest.raises(TransientError):
            fill(world, mirror, plan)

    def test_several_months_at_once_bring_the_same(self):
        world, mirror = history(), MemoryMirror()
        plan = planned(world, mirror, NOVEMBER)
        told: list[tuple[int, int | None, str]] = []
        report = fill(
            world,
            mirror,
            replace(plan, cost=replace(plan.cost, workers=4)),
            progress=lambda done, total, what: told.append((done, total, what)),
        )
        assert set(mirror.rows) == set(world.entries)
        assert (report.total.stored.changes.added, told[-1][:2]) == (35, (5, 5))

    def test_a_deletion_in_a_past_month_is_proven(self):
        world, mirror = history(), MemoryMirror()
        fill(world, mirror, planned(world, mirror, NOVEMBER))
        del world.entries[min(created(world, JANUARY))]
        report = fill(world, mirror, planned(world, mirror, NOVEMBER, again=True), again=True)
        assert report.proven.gone == 1
