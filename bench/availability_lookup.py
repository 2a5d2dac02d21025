"""A warm lookup of 7 days through the facade, beside the least that any reader of the same bytes pays.

    python -m bench.availability_lookup [--event-types N ...] [--askers N ...] [--rounds N]

The least is one MGET of the 7 days on a plain connection, and orjson for each. Both sides ask the same Valkey, in
turns of a few answers, so that whatever else runs here meets both. `one` asks for the same event type again and again,
as most visitors do; `any` for another one each time, of up to 500 that are warm. Askers are threads of one process.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, timedelta
from typing import cast

import orjson
import redis

from bench.ground import UNLIMITED, ground, machine, percentile, table
from calcom_pipeline.adapters.redis.availability.values import Names
from calcom_pipeline.app.availability.window import days_between, facts_for_lookup
from calcom_pipeline.app.event_types.mirror import TeamChoice, pull_event_types
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.settings import load_settings

EVENT_TYPES = (10, 100, 1000, 10_000)
ASKERS = (1, 8, 32)
ROUNDS = 2000  # answers of each side
DAYS = 7
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


def warm_sides(container: Container, plain: redis.Redis, most: int) -> Sides:
    """Sides over so many event types, whose days were fetched. An event type without a free start is left out."""
    service = CalcomService(container)
    first = date.today() + timedelta(days=1)  # noqa: DTZ011 - a day ahead
    names, types, found = Names(container.settings.redis_prefix), list[int](), list[list[str]]()
    for event_type in container.event_types.mirror.bookable():
        if len(types) == most:
            break
        if not service.availability(event_type.id, first_day=first, last_day=first + timedelta(DAYS - 1)).slots:
            continue
        keys = days_between(
            facts_for_lookup(event_type), event_type.duration_minutes, first, first + timedelta(DAYS - 1)
        )
        types.append(event_type.id)
        found.append([names.day(key) for key in keys])
    if any(value is None for keys in found for value in cast("list[bytes | None]", plain.mget(keys))):
        raise RuntimeError("not all days are warm")
    return Sides(container, plain, types, found)


def timed(work: Work, numbers: Iterator[int], askers: int, answers: int) -> list[float]:
    """Seconds of so many answers to so many askers at once."""

    def one(share: int) -> list[float]:
        seconds: list[float] = []
        for _ in range(share):
            number, began = next(numbers), time.perf_counter()
            work(number)
            seconds.append(time.perf_counter() - began)
        return seconds

    with ThreadPoolExecutor(askers) as pool:
        return [each for share in pool.map(one, [max(1, answers // askers)] * askers) for each in share]


def compared(sides: Sides, *, step: int, askers: int, rounds: int) -> tuple[str, ...]:
    """Milliseconds of both sides, in turns. `step` is 0 for one event type, 1 for another one each time."""
    works: dict[str, Work] = {"bare": sides.bare, "ours": sides.ours}
    numbers = {name: itertools.count(0, step) for name in works}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        timed(work, itertools.count(0, step), askers, rounds // _TURNS)
    for _ in range(_TURNS):
        for name, work in works.items():
            seconds[name] += timed(work, numbers[name], askers, rounds // _TURNS)
    middle = {name: statistics.median(found) for name, found in seconds.items()}
    figures = [f"{1000 * found:.3f}" for name in works for found in (middle[name], percentile(seconds[name], 99))]
    return (*figures, f"{middle['ours'] / middle['bare']:.2f}")


def rows_of(event_types: int, askers: Sequence[int], rounds: int) -> list[tuple[str, ...]]:
    """One account of so many event types."""
    with ground(event_types=event_types, teams=0, bookings=0, seed=7, limit=UNLIMITED) as field:
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
            pull_event_types(container.calcom, container.event_types.mirror, teams=TeamChoice(), now=utc_now)
            sides = warm_sides(container, plain, WARM_TYPES)
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
    head = ("event types", "asked for", "askers", "bare p50 ms", "p99 ms", "facade p50 ms", "p99 ms", "ratio of p50")
    print(f"{table(head, rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
