"""A warm lookup of 7 days through the facade, beside the least that any reader of the same bytes pays.

    python -m bench.availability_lookup [--event-types N ...] [--askers N ...] [--rounds N]

The least is one MGET of the 7 days on a plain connection, and orjson for each. Both sides ask the same Valkey, in
turns of a few answers, so that whatever else runs here meets both. `one` asks for the same event type again and again,
as most visitors do; `any` for another one each time, of 500 that are warm and were met by the process before. Askers
are threads of one process. Event types and days are written as a sync and a fetch leave them; Cal.com is not asked.
"""

import argparse
import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from time import perf_counter
from typing import cast
from zoneinfo import ZoneInfo

import orjson
import redis

from bench.ground import UNLIMITED, ground, percentile
from bench.results import Plot, Result, Table, publish
from calcom_pipeline.adapters.redis.availability.values import Names
from calcom_pipeline.app.availability.window import days_between, facts_for_lookup
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.models import Slot, SlotDay
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.settings import load_settings

EVENT_TYPES = (10, 100, 1000, 10_000)
ASKERS = (1, 8, 32)
ROUNDS = 2000  # answers of each side
DAYS = 7
ZONE = "Europe/Berlin"
WARM_TYPES = 500
_TURNS = 20

Work = Callable[[int], object]


class Sides:
    """Both ways to the same days of the same event types. The numbers that they take go round."""

    def __init__(
        self, container: Container, plain: redis.Redis, types: Sequence[int], names: Sequence[list[str]]
    ) -> None:
        self._service = CalcomService(container)
        self._plain = plain
        self._types, self._names = types, names
        self._first = date.today() + timedelta(days=1)  # noqa: DTZ011 - a day ahead

    def ours(self, number: int) -> object:
        """Through the facade."""
        one = self._types[number % len(self._types)]
        return self._service.availability(one, first_day=self._first, last_day=self._first + timedelta(DAYS - 1))

    def bare(self, number: int) -> object:
        """The least."""
        found = cast("list[bytes]", self._plain.mget(self._names[number % len(self._names)]))
        return [orjson.loads(value) for value in found]


def mirrored(container: Container, number: int) -> list[EventType]:
    """So many event types as a sync of a large account leaves them in PostgreSQL, in one page."""
    owner = Owner("user", 1)
    types = [
        EventType(n, owner, f"service-{n}", f"Service {n}", 30, host_ids=(1,), schedule_zone=ZONE)
        for n in range(1, number + 1)
    ]
    container.event_types.mirror.replace(owner, Listed(tuple(types)), read_at=utc_now())
    return types


def warm_sides(container: Container, plain: redis.Redis, types: Sequence[EventType]) -> Sides:
    """Sides over these event types, whose days are put into Redis as a fetch does, without asking Cal.com for each."""
    cache, names = container.availability.cache, Names(container.settings.redis_prefix)
    first, found = date.today() + timedelta(days=1), list[list[str]]()  # noqa: DTZ011 - a day ahead
    for event_type in types:
        facts = facts_for_lookup(event_type)
        keys = days_between(facts, event_type.duration_minutes, first, first + timedelta(DAYS - 1))
        standings = cache.generations([event_type.id])
        cache.store_type(facts, standing=standings[event_type.id])
        cache.store([SlotDay(key, starts(key.day), utc_now()) for key in keys], generations=standings)
        found.append([names.day(key) for key in keys])
    if any(value is None for keys in found for value in cast("list[bytes | None]", plain.mget(keys))):
        raise RuntimeError("not all days are warm")
    return Sides(container, plain, [event_type.id for event_type in types], found)


def starts(day: date) -> tuple[Slot, ...]:
    """Each half hour from 9 to 17, at weekends too, so that no day is cheaper to read than others."""
    nine = datetime.combine(day, time(9), ZoneInfo(ZONE)).astimezone(UTC)
    return tuple(Slot(nine + timedelta(minutes=30 * n)) for n in range(16))


def timed(work: Work, numbers: Iterator[int], askers: int, answers: int) -> list[float]:
    """Seconds of so many answers to so many askers at once."""

    def one(share: int) -> list[float]:
        seconds: list[float] = []
        for _ in range(share):
            number, began = next(numbers), perf_counter()
            work(number)
            seconds.append(perf_counter() - began)
        return seconds

    with ThreadPoolExecutor(askers) as pool:
        return [each for share in pool.map(one, [max(1, answers // askers)] * askers) for each in share]


def compared(sides: Sides, *, step: int, askers: int, rounds: int) -> tuple[str, ...]:
    """Milliseconds of both sides, in turns. `step` is 0 for one event type, 1 for another one each time."""
    works: dict[str, Work] = {"bare": sides.bare, "ours": sides.ours}
    numbers = {name: itertools.count(0, step) for name in works}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        timed(work, itertools.count(0, step), askers, max(rounds // _TURNS, WARM_TYPES * step))
    for _ in range(_TURNS):
        for name, work in works.items():
            seconds[name] += timed(work, numbers[name], askers, rounds // _TURNS)
    middle = {name: statistics.median(found) for name, found in seconds.items()}
    tail = {name: percentile(found, 99) for name, found in seconds.items()}
    figures = [f"{1000 * found:.3f}" for name in works for found in (middle[name], tail[name])]
    return (*figures, f"{middle['ours'] / middle['bare']:.2f}", f"{tail['ours'] / tail['bare']:.2f}")


def rows_of(event_types: int, askers: Sequence[int], rounds: int) -> list[tuple[str, ...]]:
    """One account of so many event types."""
    with ground(event_types=1, teams=0, bookings=0, seed=7, limit=UNLIMITED) as field:
        settings = load_settings(
            field.environment(
                CALCOM_RATE_LIMIT_PER_MINUTE="100000",
                CALCOM_RATE_BURST_REQUESTS="50",
                CALCOM_SLOT_TTL_SECONDS="3600",
                CALCOM_SLOT_EMPTY_TTL_SECONDS="3600",
                CALCOM_SLOT_SHADOW_SHARE="0",
                CALCOM_SLOT_SETTLE_SECONDS="0",
            )
        )
        with ready_container(settings) as container, closing(redis.Redis.from_url(field.servers.redis_url)) as plain:
            types = mirrored(container, event_types)
            sides = warm_sides(container, plain, types[:: max(1, event_types // WARM_TYPES)])
            return [
                (f"{event_types:,}", which, str(count), *compared(sides, step=step, askers=count, rounds=rounds))
                for count in askers
                for which, step in (("one", 0), ("any", 1))
            ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--event-types", type=int, nargs="*", default=EVENT_TYPES)
    parser.add_argument("--askers", type=int, nargs="*", default=ASKERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    # Askers at once are a question of the process, not of the account: asked once, of the largest.
    rows = [
        row
        for number in given.event_types
        for row in rows_of(number, given.askers if number == max(given.event_types) else given.askers[:1], given.rounds)
    ]
    head = (
        "event types",
        "asked for",
        "askers",
        "bare p50 ms",
        "p99 ms",
        "facade p50 ms",
        "p99 ms",
        "ratio of p50",
        "of p99",
    )
    ratios = {f"{number} types, {which}, {askers} askers": float(p50) for number, which, askers, *_, p50, _ in rows}
    alone = [(float(row[0].replace(",", "")), 1000 * float(row[5])) for row in rows if row[1:3] == ("one", "1")]
    plot = Plot("A warm lookup of seven days", "event types", "µs, median", {"facade": alone})
    publish(Result([Table(head, rows)], ratios, [plot]))


if __name__ == "__main__":
    main()
