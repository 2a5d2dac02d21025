"""Lookups of free times: what is asked for, kept, shared, and answered while Cal.com cannot be asked."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.redis.coalescing.flights import FlightRules
from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.app.availability.lookup import Availability, FreeTimes, LookupRules, WarmTimes
from calcom_pipeline.app.availability.ports import DaysLook, DaysSeen
from calcom_pipeline.app.availability.window import facts_for_lookup
from calcom_pipeline.domain.availability.changes import AffectedDays
from calcom_pipeline.domain.availability.models import SlotKey
from calcom_pipeline.domain.errors import CircuitOpen, InvalidInput, NotFound, StoreError, TransientError
from calcom_pipeline.domain.event_types.models import EventType
from tests.support.calendars import ME, Calendar, Clock, Slots, Types
from tests.support.free_times import free_times, slot_cache

BERLIN = EventType(7, ME, "talk", "Talk", 30, schedule_zone="Europe/Berlin", minimum_notice_minutes=0)
FLEX = EventType(8, ME, "flex", "Flex", 30, duration_options=(15, 30, 45), schedule_zone="UTC")
#: A pace that does not divide the hour, and a notice that ends in the middle of tomorrow (UTC).
ODD = EventType(9, ME, "odd", "Odd", 7, schedule_zone="UTC", minimum_notice_minutes=24 * 60)
FIRST = date(2026, 12, 2)


@dataclass
class World:
    """One Cal.com, one Redis, one clock for all of them."""

    client: redis.Redis
    clock: Clock = field(default_factory=Clock)
    rules: LookupRules = field(default_factory=LookupRules)

    def __post_init__(self) -> None:
        self.calendar = Calendar(self.clock)
        self.types = Types({e.id: e for e in (BERLIN, FLEX, ODD)})
        self.slots = Slots()
        self.cache = slot_cache(self.client, clock=self.clock.seconds)
        self.flight_rules = FlightRules(lock_seconds=2, wait_seconds=10)
        self.free_times = self.opened()

    def opened(self, **changes: Any) -> FreeTimes:
        parts: dict[str, Any] = {"rules": self.rules, "flight_rules": self.flight_rules, **changes}
        return free_times(self.calendar, self.types, self.slots, self.cache, self.client, now=self.clock.now, **parts)

    def ask(
        self, first: date = FIRST, days: int = 1, event_type_id: int = 7, minutes: int | None = None
    ) -> Availability:
        return self.free_times.free_slots(Wanted(event_type_id, first, first + timedelta(days - 1), minutes))

    def cached(self, questions: list[Wanted]) -> list[Availability | None]:
        """As an event loop asks; the look itself is the threads' one."""

        async def look(looks: Sequence[DaysLook]) -> Sequence[DaysSeen]:
            return self.cache.look(looks)

        return asyncio.run(WarmTimes(self.free_times, look).availability(questions))

    def clear(self, *days: date, event_type_id: int = 7) -> int:
        zone = self.types.known[event_type_id].schedule_zone or "UTC"
        return self.cache.clear([AffectedDays(event_type_id, zone, frozenset(days) or None)])[0].keys

    @property
    def calls(self) -> list[tuple[date, date]]:
        return [(query.first_day, query.last_day) for query in self.calendar.asked]


@pytest.fixture
def world(redis_client: redis.Redis) -> World:
    return World(redis_client)


def hours(found: Availability) -> list[int]:
    return [slot.start.hour for slot in found.slots]


class TestMonths:
    def test_fifty_windows_inside_one_month_cost_one_call_and_then_none(self, world: World):
        windows = [(date(2026, 12, 1 + n % 24), 1 + n % 7) for n in range(50)]
        cold = [world.ask(*window) for window in windows]
        assert world.calls == [(date(2026, 12, 1), date(2026, 12, 31))]
        assert [world.ask(*window) for window in windows] == cold
        assert len(world.calls) == 1
        assert all(len(found.slots) >= 3 * (days - 1) for found, (_, days) in zip(cold, windows, strict=True))

    def test_a_window_over_the_end_of_a_month_costs_a_call_for_each(self, world: World):
        assert len(world.ask(date(2026, 12, 30), 5).slots) == 15
        assert world.calls == [(date(2026, 12, 1), date(2026, 12, 31)), (date(2027, 1, 1), date(2027, 1, 31))]

    def test_of_a_month_only_the_missing_days_are_fetched(self, world: World):
        world.ask()
        assert world.clear(date(2026, 12, 10), date(2026, 12, 12)) == 2
        assert len(world.ask(date(2026, 12, 9), 5).slots) == 15
        assert world.calls[1:] == [(date(2026, 12, 10), date(2026, 12, 12))]

    def test_days_that_are_over_cost_nothing_and_have_no_start(self, world: World):
        assert world.ask(date(2026, 11, 1), 20).slots == ()
        assert world.ask(date(2026, 11, 1), 20).as_of == world.clock.now()
        assert world.calls == []
        world.ask(date(2026, 11, 20), 15)
        assert world.calls == [(date(2026, 12, 1), date(2026, 12, 31))]

    def test_days_beyond_those_that_are_kept_are_asked_for_each_time(self, world: World):
        world.free_times = world.opened(rules=LookupRules(cached_days=40))
        far = date(2027, 1, 20)
        assert len(world.ask(far).slots) == 3
        assert len(world.ask(far).slots) == 3
        assert world.calls == [(date(2027, 1, 1), far), (date(2027, 1, 11), far)]
        assert world.cache.get([query_key(7, far)]) == {}

    def test_lengths_and_zones_are_kept_apart(self, world: World):
        for minutes in (None, 15, 45, 30):
            world.ask(event_type_id=8, minutes=minutes)
        assert [q.duration_minutes for q in world.calendar.asked] == [30, 15, 45]
        assert all(q.choose_duration for q in world.calendar.asked)

    @pytest.mark.parametrize(
        ("first", "days", "event_type_id", "minutes"),
        [
            (FIRST, 0, 7, None),
            (FIRST, 367, 7, None),
            (FIRST, 1, 8, 20),
            (FIRST, 1, 7, 60),
            (date(9999, 12, 31), 1, 7, None),
        ],
    )
    def test_what_cannot_be_asked_for_is_refused_before_a_call(
        self, world: World, first: date, days: int, event_type_id: int, minutes: int | None
    ):
        with pytest.raises(InvalidInput):
            world.ask(first, days, event_type_id, minutes)
        assert world.calls == []

    def test_an_unknown_event_type_is_not_found(self, world: World):
        with pytest.raises(NotFound):
            world.ask(event_type_id=99)


class TestLooking:
    """What a process believes of an event type is looked at together with the days that are cut by it."""

    def test_an_event_type_that_is_another_now_is_answered_as_it_is_now(self, world: World):
        longer = replace(facts_for_lookup(BERLIN), duration_minutes=60)
        assert hours(world.ask()) == [8, 9, 13]
        world.types.known[7] = replace(BERLIN, duration_minutes=60)
        other = World(world.client)
        other.types.known[7] = world.types.known[7]
        world.clear()
        other.ask()
        assert world.ask() == other.ask()
        assert world.free_times.event_type(7) == longer
        assert world.calls == [(date(2026, 12, 1), date(2026, 12, 31))], "the other has fetched the new length"

    def test_days_of_an_event_type_that_is_not_cached_any_more_are_not_believed(self, world: World):
        first = world.ask()
        world.types.known[7] = replace(BERLIN, schedule_zone="Asia/Kolkata")
        world.client.delete("calcom:v1:{a}:slots:type:7")  # its own life is over, or it was cleared
        assert world.cached([Wanted(7, FIRST, FIRST)]) == [None]
        assert hours(world.ask()) == [3, 4, 8] != hours(first)

    def test_many_questions_take_one_look_and_what_is_not_warm_is_left_to_others(self, world: World):
        warm, cold = Wanted(7, FIRST, FIRST + timedelta(2)), Wanted(8, FIRST, FIRST)
        refused, unknown = Wanted(7, FIRST, FIRST, 77), Wanted(99, FIRST, FIRST)
        known = world.free_times.free_slots(warm)
        assert world.cached([warm, cold, refused, unknown, warm]) == [known, None, None, None, known]
        assert len(world.calls) == 1
        world.clear(FIRST)
        assert world.cached([warm]) == [None]
        world.ask()
        world.clock.advance(2.9)
        assert world.cached([warm])[0] is not None
        world.clock.advance(310)
        assert world.cached([warm]) == [None], "past its life"

    def test_who_asks_is_counted_once_however_many_ask_together(self, world: World):
        wanted = Wanted(7, FIRST, FIRST)
        world.free_times.free_slots(wanted)
        world.cached([wanted] * 4)
        world.cache._flushed = -1e9
        world.cached([wanted])
        assert world.cache.hottest(5) == [((7, 30), 5.0)]


def query_key(event_type_id: int, day: date) -> SlotKey:
    return SlotKey(event_type_id, 30, "Europe/Berlin", day)


class TestSettling:
    TEN = datetime(2026, 12, 2, 9, tzinfo=UTC)  # 10 o'clock in Berlin

    def test_the_next_question_after_a_clearing_is_spelled_anew(self, world: World):
        assert self.TEN in starts(world.ask())
        world.calendar.taken.add(self.TEN)
        world.clear(FIRST)
        assert self.TEN not in starts(world.ask())
        world.calendar.taken.clear()
        world.clear(FIRST)
        assert self.TEN in starts(world.ask()), "spelled as never before in the last 2 s"
        spellings = [query.spelling for query in world.calendar.asked]
        assert len(set(spellings)) == len(spellings) == 3

    def test_what_is_fetched_while_a_clearing_settles_is_fetched_once_more(
        self, world: World, redis_client: redis.Redis
    ):
        world.ask()
        world.clear(FIRST)
        world.ask()
        name = world.cache.key(query_key(7, FIRST))
        assert 0 < redis_client.pttl(name) <= 3000
        world.ask()
        assert len(world.calls) == 2, "answered from the cache meanwhile"
        redis_client.delete("calcom:v1:{a}:slots:settling:7")  # it has settled
        world.clock.advance(3)
        world.ask()
        assert len(world.calls) == 3
        assert redis_client.pttl(name) > 300_000

    def test_what_was_asked_for_before_a_change_ended_is_stored_nowhere(self, world: World):
        world.calendar.meanwhile = lambda: world.clear(FIRST)
        world.ask()
        assert world.cache.get([query_key(7, FIRST)]) == {}
        assert world.slots.kept == {}
        world.calendar.meanwhile = lambda: None
        world.ask()
        assert len(world.calls) == 2
        assert world.slots.kept

    def test_who_waits_for_a_fetch_that_a_change_overtook_asks_anew(self, world: World):
        world.calendar.gate.clear()
        with ThreadPoolExecutor(2) as pool:
            early = pool.submit(world.ask)
            assert world.calendar.began.wait(20)
            world.calendar.taken.add(self.TEN)
            world.clear(FIRST)
            late = pool.submit(world.ask)
            world.calendar.gate.set()
            assert self.TEN not in starts(late.result(20))
            assert early.result(20).slots
        assert len(world.calls) == 2

    def test_a_changed_event_type_is_read_again_a_booked_day_leaves_it(self, world: World):
        world.ask()
        world.clear(FIRST)
        world.ask()
        assert world.types.asked == 1
        world.clear()
        world.ask()
        assert world.types.asked == 2


def starts(found: Availability) -> set[datetime]:
    return {slot.start for slot in found.slots}


class TestNotice:
    def test_it_is_applied_when_a_day_is_read(self, world: World):
        assert hours(world.ask(date(2026, 12, 1))) == [8, 9, 13]  # Berlin's 9, 10 and 14 o'clock
        world.clock.advance(61 * 60)
        world.calendar.error = TransientError("away")
        assert hours(world.ask(date(2026, 12, 1))) == [13]

    def test_the_day_in_which_it_ends_lives_for_one_pace_where_that_does_not_divide_the_hour(self, world: World):
        world.cache = slot_cache(world.client, clock=world.clock.seconds, full=6000)
        world.free_times = world.opened()
        world.ask(date(2026, 12, 1), 4, event_type_id=9)
        ttl = {day: world.client.ttl(f"calcom:v1:{{a}}:slots:day:9:7:UTC:2026-12-0{day}") for day in (1, 2, 3)}
        assert ttl[2] <= 7 * 60
        assert ttl[1] > 6000
        assert ttl[3] > 6000


class TestStale:
    def test_just_past_its_life_a_day_is_answered_at_once_and_refreshed(self, redis_client: redis.Redis):
        world = World(redis_client)
        behind = ThreadPoolExecutor(1)
        world.free_times = world.opened(background=behind)
        first = world.ask()
        world.clock.advance(310)
        world.calendar.gate.clear()
        assert world.ask() == replace(first, refreshing=True), "nobody waited"
        world.calendar.gate.set()
        behind.shutdown(wait=True)
        assert len(world.calls) == 2
        newer = world.opened().free_slots(Wanted(7, FIRST, FIRST))
        assert (newer.as_of, newer.stale) == (world.clock.now(), False)
        assert newer.age(world.clock.now() + timedelta(seconds=7)) == timedelta(seconds=7)

    def test_later_newer_days_are_waited_for(self, world: World):
        world.ask()
        world.clock.advance(1000)
        found = world.ask()
        assert (found.as_of, found.stale, len(world.calls)) == (world.clock.now(), False, 2)
        assert not found.refreshing, "all of it is newer"

    @pytest.mark.parametrize(
        "error", [TransientError("away"), CircuitOpen("closed", retry_after=9)], ids=["away", "breaker"]
    )
    def test_on_an_error_the_last_known_days_are_answered_with_their_age(self, world: World, error: Any):
        first = world.ask()
        world.calendar.error = error
        world.clock.advance(1000)
        found = world.ask()
        assert (found.slots, found.as_of, found.stale) == (first.slots, first.as_of, True)
        world.clock.advance(3600)
        with pytest.raises(type(error)):
            world.ask()

    def test_cal_com_that_does_not_answer_is_waited_for_no_longer_than_patience(self, redis_client: redis.Redis):
        world = World(redis_client, rules=LookupRules(patience_seconds=0.05))
        behind = ThreadPoolExecutor(1)
        world.free_times = world.opened(background=behind)
        world.ask()
        world.clock.advance(1000)
        world.calendar.gate.clear()
        assert world.ask().stale
        world.calendar.gate.set()
        behind.shutdown(wait=True)

    def test_a_cleared_day_comes_from_the_mirror_while_cal_com_is_away(self, world: World):
        first = world.ask()
        world.clear(FIRST)
        world.calendar.error = TransientError("away")
        found = world.ask()
        assert (found.slots, found.stale) == (first.slots, True)

    def test_without_redis_and_postgresql_cal_com_still_answers(self, world: World, redis_client: redis.Redis):
        first = world.ask()
        redis_client.flushdb()
        world.slots.error = StoreError("PostgreSQL is away")
        assert world.ask().slots == first.slots


class TestSharing:
    def test_threads_share_one_call(self, world: World):
        world.calendar.gate.clear()
        with ThreadPoolExecutor(25) as pool:
            askers = [pool.submit(world.ask, date(2026, 12, 2 + n), 3) for n in range(25)]
            assert world.calendar.began.wait(20)
            world.calendar.gate.set()
            assert {len(asker.result(30).slots) for asker in askers} == {9}
        assert len(world.calls) == 1

    def test_an_error_reaches_all_who_waited_and_is_met_once(self, world: World):
        world.calendar.gate.clear()
        world.calendar.error = TransientError("Cal.com is away")
        waiting = threading.Barrier(9)
        with ThreadPoolExecutor(8) as pool:

            def ask() -> Availability:
                waiting.wait(20)
                return world.ask()

            askers = [pool.submit(ask) for _ in range(8)]
            waiting.wait(20)
            assert world.calendar.began.wait(20)
            let_all_wait(world.free_times)
            world.calendar.gate.set()
            errors = [asker.exception(30) for asker in askers]
        assert {(type(error), str(error)) for error in errors} == {(TransientError, "Cal.com is away")}
        assert len(world.calls) == 1


def let_all_wait(free_times: FreeTimes) -> None:
    """Every other thread of the eight has met the one that flies: from asking to waiting there is nothing to see."""
    threading.Event().wait(0.3)
    assert free_times is not None
