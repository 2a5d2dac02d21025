"""A day's visitors, replayed: how many calls free times cost with this cache, and with a plain one.

    python -m bench.availability_calls [--hours N] [--services N] [--a-second N] [--latency SECONDS] [--processes N]

Visitors come at random, 20 a second; services are asked for by Zipf's law. Most look at a week from some near day,
some at a month, some at one day. Bookings clear what they concern, on both sides.

* **Plain**: a value per question (event type, first day, last day) with the same lives, cleared exactly; whoever asks
  while another's call is under way makes one of its own. That is what a cache around the call comes to.
* **Ours**: the lookups of this package over a real Valkey, on a clock that is moved. A call answers at once there, so
  nobody waits for another's; those who would have waited cost no call, as threads and processes that share one.

Cal.com is a calendar in memory: nothing but calls is counted. No call concerns two services, so the services are dealt
out to several processes, each of which sees the same day; their counts are added.
"""

import argparse
import asyncio
import bisect
import itertools
import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import redis

from bench.ground import UNLIMITED, ground
from bench.results import Result, Table, publish
from calcom_pipeline.adapters.redis.availability.days import Lifetimes, RedisSlotCache
from calcom_pipeline.adapters.redis.coalescing.errors import PipelineErrors
from calcom_pipeline.adapters.redis.coalescing.flights import Flights
from calcom_pipeline.app.availability.fetching import Stores
from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.app.availability.lookup import FreeTimes, WarmTimes
from calcom_pipeline.app.availability.ports import DaysLook, DaysSeen
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.availability.changes import AffectedDays
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.listed import Listed
from tests.support.calendars import ME, Calendar, Clock, Slots, Types

SERVICES, A_SECOND, HOURS, BOOKINGS_A_DAY = 60, 20.0, 24.0, 300
LATENCY_SECONDS = 0.3  # Cal.com takes 80 to 800 ms
ZIPF = 1.0
PROCESSES = 4  # more than cores: each waits for Valkey half of its time
AHEAD_DAYS = 56
_FULL, _EMPTY = 300.0, 60.0
_SATURDAY = 5


class OfficeHours(Calendar):
    """Free from Monday to Friday, as most businesses are. Counts calls."""

    calls = 0

    def free_days(self, query: SlotQuery) -> Listed[SlotDay]:
        self.calls += 1
        days = [query.first_day + timedelta(n) for n in range((query.last_day - query.first_day).days + 1)]
        return Listed(tuple(self._found(query, day) for day in days))

    def _found(self, query: SlotQuery, day: date) -> SlotDay:
        key = SlotKey(query.event_type_id, query.duration_minutes, query.zone, day)
        return SlotDay(key, _starts(day), self.clock.now())


@cache
def _starts(day: date) -> tuple[Slot, ...]:
    nine = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    return tuple(Slot(nine + timedelta(hours=n)) for n in range(8)) if day.weekday() < _SATURDAY else ()


class Nowhere(Slots):
    """A mirror that keeps nothing."""

    def store(self, days: Listed[SlotDay]) -> Changes:
        del days
        return Changes()


class AtOnce:
    """Work that nobody waits for is done in between."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass
class Visitors:
    """Who comes when and asks for what; the same for both sides."""

    services: int
    a_second: float
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        self._shares = list(itertools.accumulate(1 / n**ZIPF for n in range(1, self.services + 1)))

    def until(self, seconds: float) -> Iterator[tuple[float, int, int, int]]:
        """Second, service, first day from today and number of days, in order."""
        at = 0.0
        while (at := at + self.chance.expovariate(self.a_second)) < seconds:
            service = bisect.bisect(self._shares, self.chance.random() * self._shares[-1])
            yield (at, service, *self._window())

    def _window(self) -> tuple[int, int]:
        kind = self.chance.random()
        first = min(int(self.chance.expovariate(1 / 6)), AHEAD_DAYS - 31)
        return (first, 7) if kind < 0.6 else (first, 1) if kind < 0.8 else (0 if kind < 0.95 else 28, 28)


class Plain:
    """A value per question."""

    def __init__(self, calendar: OfficeHours, latency: float) -> None:
        self._calendar = calendar
        self._latency = latency
        self._kept: dict[tuple[int, int, int], tuple[float, float]] = {}
        self.calls = 0

    def ask(self, at: float, service: int, first: int, days: int) -> None:
        there, gone = self._kept.get((service, first, days), (0.0, -1.0))
        if at >= gone or at < there:
            self.calls += 1
            if at >= gone:  # the first of them stores it
                self._kept[service, first, days] = at + self._latency, at + self._latency + self._life(first, days)

    def clear(self, service: int, day: int) -> None:
        for key in [k for k in self._kept if k[0] == service and k[1] <= day < k[1] + k[2]]:
            del self._kept[key]

    def _life(self, first: int, days: int) -> float:
        today = self._calendar.clock.moment.date()
        return _FULL if any((today + timedelta(first + n)).weekday() < _SATURDAY for n in range(days)) else _EMPTY


class Ours:
    """The lookups of this package."""

    def __init__(self, calendar: OfficeHours, client: redis.Redis, services: int) -> None:
        clock = calendar.clock
        types = {n: EventType(n, ME, f"s{n}", f"S{n}", 30, schedule_zone="UTC") for n in range(services)}
        # Settling is in Redis's own seconds, of which a day here has few: what it costs is counted by `clear`.
        lives = Lifetimes(_FULL, _EMPTY, stale=86_400, settle=0)
        self._cache = RedisSlotCache(client, prefix="bench:{a}:", lifetimes=lives, clock=clock.seconds)
        sharing = Flights(client, prefix="bench:{a}:", codec=PipelineErrors())
        stores = Stores(Types(types), Nowhere())  # pyright: ignore[reportArgumentType]
        self._lookups = FreeTimes(
            calcom=calendar,
            cache=self._cache,
            sharing=sharing,
            background=AtOnce(),
            stores=lambda: stores,
            now=clock.now,
        )
        self._warm = WarmTimes(self._lookups, self._look)
        self._loop = asyncio.new_event_loop()
        self._calendar = calendar
        self._today = clock.moment.date()
        self._again = 0

    @property
    def calls(self) -> int:
        """Calls so far; what was fetched right after a clearing is fetched once more."""
        return self._calendar.calls + self._again

    def ask(self, questions: Sequence[tuple[int, int, int]]) -> None:
        """Those of one second: what is warm by one look, as the HTTP API does; the others one by one."""
        wanted = [self._wanted(*one) for one in questions]
        # One loop for all: with `asyncio.run` making and unmaking them was a third of the whole day.
        answers = self._loop.run_until_complete(self._warm.availability(wanted))
        for one, answer in zip(wanted, answers, strict=True):
            if answer is None:
                self._lookups.free_slots(one)

    def _wanted(self, service: int, first: int, days: int) -> Wanted:
        since = self._today + timedelta(first)
        return Wanted(service, since, since + timedelta(days - 1))

    async def _look(self, looks: Sequence[DaysLook]) -> Sequence[DaysSeen]:
        return self._cache.look(looks)

    def clear(self, service: int, day: int) -> None:
        self._cache.clear([AffectedDays(service, "UTC", frozenset({self._today + timedelta(day)}))])
        self._again += 1


@dataclass(frozen=True)
class Share:
    """Every so-manieth service of the same day: `number` of `of`."""

    given: argparse.Namespace
    redis_url: str
    number: int
    of: int


def replayed(share: Share) -> tuple[int, int, int]:
    """All visitors of so many hours, and bookings in between: how many questions, calls of the plain one, and ours."""
    given, is_ours = share.given, lambda service: service % share.of == share.number
    client = redis.Redis.from_url(share.redis_url)
    clock = Clock(datetime(2026, 12, 1, 8, tzinfo=UTC))
    began, calendar = clock.moment, OfficeHours(clock)
    plain, ours = Plain(calendar, given.latency), Ours(calendar, client, given.services)
    visitors, asked = Visitors(given.services, given.a_second), 0
    books = random.Random(11)
    pause = 86_400 / BOOKINGS_A_DAY
    next_booking = books.expovariate(1 / pause)
    for second, group in itertools.groupby(visitors.until(given.hours * 3600), key=lambda one: int(one[0])):
        clock.moment = began + timedelta(seconds=second)
        if second > next_booking:
            booked, day = books.randrange(given.services), books.randrange(AHEAD_DAYS)
            if is_ours(booked):
                plain.clear(booked, day)
                ours.clear(booked, day)
            next_booking = second + books.expovariate(1 / pause)
        came = [one for one in group if is_ours(one[1])]
        for one in came:
            plain.ask(*one)
        if came:
            ours.ask([(service, first, days) for _, service, first, days in came])
        asked += len(came)
    client.close()
    return asked, plain.calls, ours.calls


def replayed_by(processes: int, given: argparse.Namespace, redis_url: str) -> tuple[int, int, int]:
    """The same of all services, dealt out."""
    shares = [Share(given, redis_url, number, processes) for number in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        asked, plain, ours = zip(*pool.map(replayed, shares), strict=True)
    return sum(asked), sum(plain), sum(ours)


def rows_of(asked: int, plain: int, ours: int) -> Sequence[tuple[str, ...]]:
    """Both sides."""
    return [
        ("plain cache", f"{asked:,}", f"{plain:,}", f"{100 * (1 - plain / asked):.1f}%", ""),
        ("ours", f"{asked:,}", f"{ours:,}", f"{100 * (1 - ours / asked):.1f}%", f"{100 * (1 - ours / plain):.1f}%"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--services", type=int, default=SERVICES)
    parser.add_argument("--a-second", type=float, default=A_SECOND)
    parser.add_argument("--latency", type=float, default=LATENCY_SECONDS)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    given = parser.parse_args()
    with ground(event_types=1, teams=0, bookings=0, seed=7, limit=UNLIMITED) as field_:
        began = time.perf_counter()
        asked, plain, ours = replayed_by(given.processes, given, field_.servers.redis_url)
        seconds = time.perf_counter() - began
    head = ("", "asked", "calls", "fewer than without a cache", "fewer than the plain cache")
    title = f"{given.hours:g} hours, replayed in {seconds:.0f} s:"
    ratios = {"calls / questions": ours / asked, "calls / calls of a plain cache": ours / plain}
    publish(Result([Table(head, rows_of(asked, plain, ours), title)], ratios))


if __name__ == "__main__":
    main()
