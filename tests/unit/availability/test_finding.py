"""Nearest, first and counted free starts: the laws, and the nights when clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.domain.availability.finding import (
    Alternative,
    DayCount,
    Offer,
    Wishes,
    days_around,
    days_of,
    first,
    nearest,
    per_day,
)
from calcom_pipeline.domain.availability.models import Slot

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [BERLIN, ZoneInfo("UTC"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")]
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def offer(*starts: datetime, event_type_id: int = 1, zone: ZoneInfo = BERLIN, not_before: datetime = NEVER) -> Offer:
    return Offer(event_type_id, zone, not_before, tuple(Slot(start.astimezone(UTC)) for start in starts))


def local(day: int, hour: int, minute: int = 0, month: int = 12) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN)


def starts(found: tuple[Alternative, ...]) -> list[str]:
    return [f"{one.start.astimezone(BERLIN):%d %H:%M}" for one in found]


def near(*offers: Offer, around: datetime, count: int = 9, **wishes) -> list[str]:
    return starts(nearest(offers, around=around, count=count, wishes=Wishes(**wishes)))


WEEK = offer(*(local(day, hour) for day in range(7, 14) for hour in (9, 13, 17)))  # Monday 7 to Sunday 13


def test_the_same_day_comes_first_though_another_day_is_nearer():
    late = offer(local(8, 8), local(8, 23), local(9, 0, 30))
    assert near(late, around=local(8, 23, 30)) == ["08 23:00", "08 08:00", "09 00:30"]


def test_after_the_same_day_it_goes_outward_and_of_two_as_near_the_earlier_comes_first():
    assert near(WEEK, around=local(9, 13), count=5) == ["09 13:00", "09 09:00", "09 17:00", "08 17:00", "10 09:00"]


@pytest.mark.parametrize(
    ("wishes", "found"),
    [
        ({"weekdays": frozenset({0, 4})}, ["07 17:00", "11 09:00", "07 13:00", "11 13:00"]),
        ({"earliest": time(12), "within_days": 0}, ["09 13:00", "09 17:00"]),
        ({"earliest": time(13), "latest": time(13), "within_days": 1}, ["09 13:00", "08 13:00", "10 13:00"]),
        ({"earliest": time(17), "latest": time(9), "within_days": 0}, ["09 09:00", "09 17:00"]),
        ({"weekdays": frozenset(), "within_days": 60}, []),
    ],
)
def test_wishes_are_kept(wishes, found):
    assert near(WEEK, around=local(9, 13), count=4, **wishes) == found


def test_a_start_without_a_seat_left_or_before_the_notice_is_none():
    full = Slot(local(8, 9).astimezone(UTC), 0, 3)
    some = Slot(local(8, 10).astimezone(UTC), 2, 3)
    early = Slot(local(7, 9).astimezone(UTC), 3, 3)
    one = Offer(1, BERLIN, local(8, 0).astimezone(UTC), (early, full, some))
    assert nearest([one], around=local(8, 9), count=5, wishes=Wishes()) == (Alternative(1, some.start, 2),)
    assert first([one], after=NEVER) == Alternative(1, some.start, 2)


def test_a_start_that_several_types_offer_comes_once_of_the_type_that_is_named_first():
    one, two = offer(local(8, 9), local(8, 11), event_type_id=7), offer(local(8, 9), local(8, 10), event_type_id=3)
    found = nearest([two, one], around=local(8, 9), count=5, wishes=Wishes())
    assert [(a.event_type_id, s) for a, s in zip(found, starts(found), strict=True)] == [
        (3, "08 09:00"),
        (3, "08 10:00"),
        (7, "08 11:00"),
    ]


def test_the_first_of_several_types_is_the_earliest_and_of_two_at_once_the_one_named_first():
    one, two = offer(local(8, 11), event_type_id=7), offer(local(8, 11), local(9, 8), event_type_id=3)
    assert first([one, two], after=local(8, 0)) == Alternative(7, local(8, 11).astimezone(UTC))
    assert first([one, two], after=local(8, 12)) == Alternative(3, local(9, 8).astimezone(UTC))
    assert first([one, two], after=local(8, 12), until=local(9, 8)) is None


class TestNightsWhenClocksChange:
    """Berlin: 25 October 2026 has 02:30 twice, 29 March 2026 has no 02:30."""

    TWICE = (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC))

    def test_a_time_of_day_that_comes_twice_counts_both_times(self):
        night = offer(*self.TWICE)
        found = nearest([night], around=self.TWICE[0], count=5, wishes=Wishes(earliest=time(2, 30), latest=time(2, 30)))
        assert tuple(one.start for one in found) == self.TWICE
        assert per_day(night, [date(2026, 10, 25)]) == (DayCount(date(2026, 10, 25), 2),)

    def test_distance_is_what_passes_not_what_clocks_show(self):
        early = datetime(
            2026, 10, 24, 23, 30, tzinfo=UTC
        )  # 01:30: an hour by the clock, two hours before the second 02:30
        late = datetime(2026, 10, 25, 3, 0, tzinfo=UTC)  # 04:00: an hour and a half, by the clock too
        wanted = self.TWICE[1].astimezone(BERLIN)
        assert [one.start for one in nearest([offer(early, late)], around=wanted, count=2, wishes=Wishes())] == [
            late,
            early,
        ]

    def test_a_day_of_23_or_25_hours_is_one_day(self):
        hours = [datetime(2026, 3, 28, 23, tzinfo=UTC) + timedelta(hours=n) for n in range(24)]
        assert per_day(offer(*hours), [date(2026, 3, 29), date(2026, 3, 30)]) == (
            DayCount(date(2026, 3, 29), 23),
            DayCount(date(2026, 3, 30), 1),
        )
        hours = [datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(hours=n) for n in range(26)]
        assert [one.free for one in per_day(offer(*hours), [date(2026, 10, 25), date(2026, 10, 26)])] == [25, 1]


@pytest.mark.parametrize(("year", "month", "days"), [(2026, 2, 28), (2028, 2, 29), (2026, 12, 31)])
def test_a_month_has_its_days(year: int, month: int, days: int):
    found = days_of(year, month)
    assert (len(found), found[0], found[-1]) == (days, date(year, month, 1), date(year, month, days))


def test_days_before_the_notice_are_not_looked_at():
    assert days_around(local(9, 13), BERLIN, within_days=3, not_before=local(8, 23, 59)) == (
        date(2026, 12, 8),
        date(2026, 12, 12),
    )


# --- for all ------------------------------------------------------------------------------------------------


def moments_from(day: datetime, days: int) -> st.SearchStrategy[datetime]:
    return st.integers(0, days * 86_400).map(lambda seconds: day + timedelta(seconds=seconds))


MOMENTS = moments_from(datetime(2026, 3, 27, tzinfo=UTC), 6) | moments_from(datetime(2026, 10, 23, tzinfo=UTC), 5)
SLOTS = st.builds(
    lambda at, seats: Slot(at, seats, 3 if seats is not None else None), MOMENTS, st.none() | st.integers(-1, 3)
)


@st.composite
def some_offers(draw: st.DrawFn) -> list[Offer]:
    ids = draw(st.lists(st.integers(1, 9), unique=True, max_size=3))
    one = st.lists(SLOTS, max_size=12, unique_by=lambda slot: slot.start)
    return [
        Offer(number, draw(st.sampled_from(ZONES)), draw(MOMENTS), tuple(sorted(draw(one), key=lambda s: s.start)))
        for number in ids
    ]


WISHES = st.builds(
    Wishes,
    within_days=st.integers(0, 5),
    weekdays=st.frozensets(st.integers(0, 6)),
    earliest=st.times(),
    latest=st.times(),
)


def free(offers: list[Offer]) -> dict[tuple[int, datetime], int | None]:
    """What may be booked at all, said another way than the code does."""
    return {
        (o.event_type_id, s.start): s.seats_remaining
        for o in offers
        for s in o.slots
        if s.start >= o.not_before and s.seats_remaining not in (0, -1)
    }


@given(some_offers(), MOMENTS, st.integers(0, 8), WISHES)
def test_alternatives_are_free_starts_in_the_order_of_the_law(offers, around, count, wishes):
    found = nearest(offers, around=around, count=count, wishes=wishes)
    known, zones = free(offers), {o.event_type_id: o.zone for o in offers}
    assert len(found) <= count
    assert all(known[one.event_type_id, one.start] == one.seats_remaining for one in found)
    assert len({one.start for one in found}) == len(found)

    def law(one: Alternative) -> tuple[bool, float, datetime]:
        zone = zones[one.event_type_id]
        other_day = one.start.astimezone(zone).date() != around.astimezone(zone).date()
        return other_day, abs((one.start - around).total_seconds()), one.start

    assert [law(one) for one in found] == sorted(law(one) for one in found)
    for one in found:
        there = one.start.astimezone(zones[one.event_type_id])
        wanted = around.astimezone(zones[one.event_type_id]).date()
        assert there.weekday() in wishes.weekdays
        assert abs((there.date() - wanted).days) <= wishes.within_days


@given(some_offers(), MOMENTS, st.integers(0, 8), WISHES)
def test_asking_for_fewer_gives_the_beginning_and_the_order_of_starts_does_not_matter(offers, around, count, wishes):
    everything = nearest(offers, around=around, count=99, wishes=wishes)
    assert nearest(offers, around=around, count=count, wishes=wishes) == everything[:count]
    turned = [Offer(o.event_type_id, o.zone, o.not_before, o.slots[::-1]) for o in offers]
    assert nearest(turned, around=around, count=99, wishes=wishes) == everything


@given(some_offers(), MOMENTS)
def test_without_wishes_nothing_is_left_out(offers, around):
    everything = nearest(offers, around=around, count=99, wishes=Wishes(within_days=400))
    assert {one.start for one in everything} == {start for _, start in free(offers)}


@given(some_offers(), MOMENTS)
def test_the_first_is_the_earliest_free_start(offers, after):
    found = first(offers, after=after)
    later = [start for _, start in free(offers) if start >= after]
    assert (found.start if found else None) == min(later, default=None)


@given(some_offers())
def test_every_free_start_is_counted_on_one_day(offers):
    for one in offers:
        days = [date(2026, 3, 1) + timedelta(days=n) for n in range(300)]
        assert sum(day.free for day in per_day(one, days)) == len(free([one]))
