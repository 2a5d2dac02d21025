"""Warming: what is asked for most first, no more than the limit allows, in its own lane."""

from dataclasses import replace
from datetime import date

import pytest
import redis

from calcom_pipeline.adapters.redis.coalescing.errors import PipelineErrors
from calcom_pipeline.adapters.redis.coalescing.flights import Flights
from calcom_pipeline.app.availability.fetching import MonthFetches, Stores
from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.app.availability.warm import WarmReport, WarmRules, forecast, warm
from calcom_pipeline.domain.availability.changes import AffectedDays
from calcom_pipeline.domain.errors import Rejected, TransientError
from calcom_pipeline.domain.event_types.models import EventType
from tests.support.calendars import ME, Calendar, Clock, Slots, Types
from tests.support.free_times import PREFIX, free_times, slot_cache

PLAIN = EventType(1, ME, "e1", "E", 30, schedule_zone="UTC", minimum_notice_minutes=0)
KINDS = [replace(PLAIN, id=n) for n in (1, 2, 3)] + [replace(PLAIN, id=4, duration_options=(30, 60))]
RULES = WarmRules(days=7, calls=100, cached_days=366)


class World:
    def __init__(self, client: redis.Redis) -> None:
        self.clock = Clock()
        self.calendar, self.slots = Calendar(self.clock), Slots()
        self.types = Types({kind.id: kind for kind in KINDS})
        self.cache = slot_cache(client, clock=self.clock.seconds)
        flights = Flights(client, prefix=PREFIX, codec=PipelineErrors())
        stores = Stores(self.types, self.slots)  # pyright: ignore[reportArgumentType]  # as much of the mirrors as is asked
        self.fetches = MonthFetches(self.calendar, self.cache, flights, lambda: stores, now=self.clock.now)
        self.lookups = free_times(self.calendar, self.types, self.slots, self.cache, client, now=self.clock.now)

    def warm(self, active: tuple[int, ...] = (), rules: WarmRules = RULES) -> WarmReport:
        return warm(self.fetches, self.cache, KINDS, active, now=self.clock.now, rules=rules)

    def ask(self, event_type_id: int, minutes: int | None, times: int) -> None:
        day = date(2027, 3, 1)  # another month than those that are warmed
        for _ in range(times):
            self.lookups.free_slots(Wanted(event_type_id, day, day, minutes))

    @property
    def asked(self) -> list[tuple[int, int]]:
        return [(query.event_type_id, query.duration_minutes) for query in self.calendar.asked]


@pytest.fixture
def world(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> World:
    # Counts are handed over with the next lookup instead of after seconds.
    monkeypatch.setattr("calcom_pipeline.adapters.redis.availability.days._FLUSH_SECONDS", 0)
    return World(redis_client)


def test_the_coming_days_of_all_are_fetched_and_then_are_warm(world: World):
    assert world.warm() == WarmReport(warm=0, fetched=4)
    assert world.asked == [(1, 30), (2, 30), (3, 30), (4, 30)]
    assert world.warm() == WarmReport(warm=4, fetched=0)
    world.lookups.free_slots(Wanted(3, date(2026, 12, 1), date(2026, 12, 7)))
    assert len(world.asked) == 4, "nobody waited for Cal.com"


def test_hottest_first_and_what_nobody_asks_for_last(world: World):
    world.ask(3, None, 5)
    world.ask(4, 60, 9)
    world.calendar.asked.clear()
    world.warm()
    assert world.asked == [(4, 60), (3, 30), (1, 30), (2, 30)]


def test_only_active_services_are_warmed_and_what_was_cleared_again(world: World):
    assert world.warm(active=(2, 3)).fetched == 2
    world.cache.clear([AffectedDays(2, "UTC", frozenset({date(2026, 12, 3)}))])
    assert world.warm(active=(2, 3)) == WarmReport(warm=1, fetched=1)
    last = world.calendar.asked[-1]
    assert (last.event_type_id, last.first_day, last.last_day) == (2, date(2026, 12, 3), date(2026, 12, 3))


def test_no_more_is_promised_than_the_limit_allows(world: World):
    few = replace(RULES, calls=3)
    plan = forecast(world.cache, KINDS, (), now=world.clock.now(), rules=few)
    assert (plan.calls, plan.refused) == (3, 1)
    assert world.warm(rules=few) == WarmReport(fetched=3, refused=1)
    assert len(world.asked) == 3
    assert world.warm(rules=few) == WarmReport(warm=3, fetched=1)


def test_one_that_fails_for_good_stops_nobody_and_an_outage_stops_the_run(world: World):
    world.calendar.error = Rejected("no")
    assert world.warm().failures == dict.fromkeys((1, 2, 3, 4), "no")
    world.calendar.error = TransientError("away")
    with pytest.raises(TransientError):
        world.warm()
    assert len(world.asked) == 5
