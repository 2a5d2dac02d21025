"""Cached days that somebody spoiled, and starts that nobody can book."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.postgres.availability.slots import PostgresSlotMirror
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.adapters.postgres.reports.figures import FreeHour, PostgresFigures
from calcom_pipeline.adapters.postgres.reports.overview import PostgresOverview
from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.app.availability.lookup import Availability
from calcom_pipeline.app.availability.ports import Standing
from calcom_pipeline.app.availability.refresh import SlotOptions, refresh_slots
from calcom_pipeline.domain.availability.changes import AffectedDays
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from tests.support.free_times import PREFIX, free_times, long_there, slot_cache

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
ME = Owner("user", 101)
CLASS = EventType(7, ME, "class", "Class", 60, schedule_zone="UTC", seats_per_slot=2, minimum_notice_minutes=0)
FIRST = date(2026, 12, 2)


@dataclass
class Calendar:
    """Cal.com's slots of one event type: by hour of every day, with seats left; counts what was asked."""

    hours: dict[int, int | None] = field(default_factory=dict[int, int | None])
    asked: list[SlotQuery] = field(default_factory=list[SlotQuery])
    meanwhile: Callable[[], Any] = lambda: None

    def free_days(self, query: SlotQuery) -> Listed[SlotDay]:
        self.asked.append(query)
        self.meanwhile()
        days = [query.first_day + timedelta(n) for n in range((query.last_day - query.first_day).days + 1)]
        return Listed(tuple(self.day(query, day) for day in days))

    def day(self, query: SlotQuery, day: date) -> SlotDay:
        start = datetime.combine(day, datetime.min.time(), UTC)
        slots = [
            Slot(start + timedelta(hours=hour), left, None if left is None else 2) for hour, left in self.hours.items()
        ]
        return SlotDay(SlotKey(query.event_type_id, query.duration_minutes, query.zone, day), tuple(slots), NOW)


@pytest.fixture
def cache(redis_client: redis.Redis) -> RedisSlotCache:
    return slot_cache(redis_client)


@pytest.fixture
def ask(database: Database, cache: RedisSlotCache, redis_client: redis.Redis) -> Callable[[Calendar], Availability]:
    event_types = PostgresEventTypeMirror(database)
    event_types.replace(ME, Listed((CLASS,)), read_at=NOW)
    wanted = Wanted(7, FIRST, FIRST + timedelta(1))
    mirror = PostgresSlotMirror(database)

    def asked(calcom: Calendar) -> Availability:
        return free_times(calcom, event_types, mirror, cache, redis_client, now=lambda: NOW).free_slots(wanted)

    return asked


def key(day: date = FIRST) -> SlotKey:
    return SlotKey(7, 60, "UTC", day)


GOOD = b'{"v":2,"fetched_at":"2026-12-01T08:00:00+00:00","fresh_until":4000000000000,"slots":'
SPOILED = [
    b"",
    b"\xff\xfe",
    b"no JSON",
    b"null",
    b"[]",
    b"{}",
    b"7",
    b"[" * 5000,
    GOOD + b"7}",
    GOOD + b"[[]]}",
    GOOD + b"[[1,2]]}",
    GOOD + b'[["soon"]]}',
    GOOD + b"[[true]]}",
    GOOD + b"[[1e300]]}",
    GOOD + b"[[9007199254740993000]]}",
    GOOD + b'[[1,"two",3]]}',
    b'{"v":1,"fetched_at":"2026-12-01T08:00:00+00:00","fresh_until":4000000000000,"slots":[]}',
    b'{"v":2,"fetched_at":"2026-12-01T08:00:00","fresh_until":4000000000000,"slots":[]}',
    b'{"v":2,"fetched_at":"soon","fresh_until":4000000000000,"slots":[]}',
    b'{"v":2,"fetched_at":"2026-12-01T08:00:00+00:00","fresh_until":"soon","slots":[]}',
    b'{"v":2,"fetched_at":"2026-12-01T08:00:00+00:00","slots":[]}',
]


class TestSpoiled:
    @pytest.mark.parametrize("value", SPOILED)
    def test_a_day_that_cannot_be_read_is_missing_replaced_and_counted(
        self, cache: RedisSlotCache, redis_client: redis.Redis, ask: Callable[[Calendar], Availability], value: bytes
    ):
        calcom = Calendar({9: None})
        whole = ask(calcom)
        redis_client.set(cache.key(key()), value)
        assert ask(calcom) == whole
        assert len(calcom.asked) == 2
        assert cache.spoiled() == 1
        assert ask(calcom) == whole
        assert (len(calcom.asked), cache.spoiled()) == (2, 1), "it was replaced"

    def test_a_value_of_another_kind_is_missing_and_replaced(
        self, cache: RedisSlotCache, redis_client: redis.Redis, ask: Callable[[Calendar], Availability]
    ):
        whole = ask(Calendar({9: None}))
        redis_client.delete(cache.key(key()))
        redis_client.lpush(cache.key(key()), "a list")
        assert ask(Calendar({9: None})) == whole
        assert cache.get([key()])

    def test_a_refresh_replaces_it_and_says_so(
        self, cache: RedisSlotCache, redis_client: redis.Redis, database: Database
    ):
        event_types, mirror = PostgresEventTypeMirror(database), PostgresSlotMirror(database)
        event_types.replace(ME, Listed((CLASS,)), read_at=NOW)
        options = SlotOptions(3, timedelta(minutes=5))

        def refresh() -> tuple[int, int]:
            report = refresh_slots(Calendar({9: None}), event_types, mirror, cache, now=NOW, options=options)
            return report.queries, report.spoiled

        assert [refresh(), refresh()] == [(1, 0), (0, 0)]
        redis_client.set(cache.key(key()), b"garbage")
        assert [refresh(), refresh()] == [(1, 1), (0, 0)]

    @pytest.mark.parametrize("garbage", [b"x", b"-1", b"1.5", b"", b"9" * 40, b" 7", ["a list"]])
    def test_a_generation_that_is_no_number_stores_nothing_old_and_is_replaced(
        self, cache: RedisSlotCache, redis_client: redis.Redis, garbage: Any
    ):
        name = f"{PREFIX}slots:generation:7"
        before = cache.generations([7])
        if isinstance(garbage, list):
            redis_client.lpush(name, *garbage)
        else:
            redis_client.set(name, garbage)
        day = SlotDay(key(), (Slot(NOW),), NOW)
        assert cache.store([day], generations=before) == 0, "nobody knows what was cleared meanwhile"
        healed = cache.generations([7, 8])
        assert healed[7].number > 1_000_000_000_000
        assert healed[8] == Standing()
        assert cache.generations([7])[7] == healed[7]
        assert cache.store([day], generations=healed) == 1
        assert cache.get([key()])

    @pytest.mark.parametrize("garbage", [b"x", b"9" * 40, ["a list"]])
    def test_clearing_works_whatever_stands_in_the_generation(
        self, cache: RedisSlotCache, redis_client: redis.Redis, garbage: Any
    ):
        day = SlotDay(key(), (Slot(NOW),), NOW)
        under_way = cache.generations([7])
        cache.store([day], generations=under_way)
        name = f"{PREFIX}slots:generation:7"
        redis_client.delete(name)
        if isinstance(garbage, list):
            redis_client.lpush(name, *garbage)
        else:
            redis_client.set(name, garbage)
        results = cache.clear([AffectedDays(7, "UTC", None)])
        assert [(result.keys, result.errors) for result in results] == [(1, ()), (0, ())]
        assert cache.get([key()]) == {}
        assert cache.store([day], generations=under_way) == 0

    def test_an_index_that_is_no_set_is_made_anew_from_the_days(self, cache: RedisSlotCache, redis_client: redis.Redis):
        days = [SlotDay(key(FIRST + timedelta(n)), (Slot(NOW),), NOW) for n in range(3)]
        other = replace(days[0], key=replace(days[0].key, event_type_id=77))
        cache.store(days[:2], generations={})
        cache.store([other], generations={})
        redis_client.set(f"{PREFIX}slots:index:7", "no set")
        assert cache.store(days[2:], generations={}) == 1
        redis_client.set(f"{PREFIX}slots:index:7", "no set")
        (cleared, _) = cache.clear([AffectedDays(7, "UTC", None)])
        assert (cleared.keys, cleared.errors) == (3, ())
        assert cache.get([other.key]), "another event type's"


class TestSeats:
    """Cal.com lists a start whose seats are all taken, with `seatsRemaining` 0: seen on a real server."""

    SEATS: dict[int, int | None] = {9: 0, 10: 1, 11: -1, 12: None}  # noqa: RUF012 - read only

    def test_a_start_without_a_seat_is_kept_and_not_handed_out(
        self, cache: RedisSlotCache, database: Database, ask: Callable[[Calendar], Availability]
    ):
        for _ in range(2):  # fetched, then cached
            assert [slot.start.hour for slot in ask(Calendar(self.SEATS)).slots] == [10, 12, 10, 12]
        stored = PostgresSlotMirror(database).days(SlotQuery(7, 60, "UTC", FIRST, FIRST))
        assert [slot.seats_remaining for slot in stored[0].slots] == [0, 1, -1, None]
        assert cache.get([key()])[key()].slots == stored[0].slots

    def test_a_day_whose_starts_are_all_full_lives_as_short_as_an_empty_one(
        self, cache: RedisSlotCache, redis_client: redis.Redis, ask: Callable[[Calendar], Availability]
    ):
        stale = 3600  # for so long it is kept beyond its life
        assert ask(Calendar({9: 0})).slots == ()
        assert redis_client.ttl(cache.key(key())) <= 60 + stale
        redis_client.flushdb()
        long_there(redis_client)
        assert len(ask(Calendar({9: 2})).slots) == 2
        assert redis_client.ttl(cache.key(key())) > 60 + stale

    def test_counts_and_pictures_leave_it_out(self, cache: RedisSlotCache, database: Database):
        event_types, mirror = PostgresEventTypeMirror(database), PostgresSlotMirror(database)
        event_types.replace(ME, Listed((CLASS,)), read_at=NOW)
        options = SlotOptions(3, timedelta(minutes=5))
        report = refresh_slots(Calendar(self.SEATS), event_types, mirror, cache, now=NOW, options=options)
        assert (report.slots, report.full) == (6, 6)
        overview = PostgresOverview(database)
        assert (overview.counts().slots, overview.counts().slot_days) == (6, 3)
        assert [row["free"] for row in overview.free_starts_by_day()] == [2, 2, 2]
        by_hour = PostgresFigures(database).free_starts_by_hour(now=NOW)
        wanted = [FreeHour(weekday, hour, 1) for weekday in (2, 3, 4) for hour in (10, 12)]
        assert by_hour == wanted, "Tuesday to Thursday"
        assert overview.slot_keys() == [key(FIRST + timedelta(n)) for n in (-1, 0, 1)]

    def test_days_of_full_starts_count_as_fresh_although_they_are_no_longer_cached(
        self, cache: RedisSlotCache, redis_client: redis.Redis, database: Database
    ):
        event_types, mirror = PostgresEventTypeMirror(database), PostgresSlotMirror(database)
        event_types.replace(ME, Listed((CLASS,)), read_at=NOW)
        options, calcom = SlotOptions(3, timedelta(minutes=5)), Calendar({9: 0})
        refresh_slots(calcom, event_types, mirror, cache, now=NOW, options=options)
        redis_client.flushdb()
        assert refresh_slots(calcom, event_types, mirror, cache, now=NOW, options=options).fresh_queries == 1
