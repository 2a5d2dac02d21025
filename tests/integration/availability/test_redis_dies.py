"""Redis is killed, flushed and replaced while many ask and somebody books: no wrong start afterwards, and no hang."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.availability.invalidate import apply_outbox
from calcom_pipeline.app.event_types.mirror import TeamChoice, pull_event_types
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import CacheError, PipelineError
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from calcom_pipeline.settings import Settings
from tests.support.given import settings_of
from tests.support.live_slots import live_starts
from tests.support.redis_server import MortalRedis, mortal_redis
from tests.support.waiting import until

MONDAY = date.today() + timedelta(days=14 - date.today().weekday())  # noqa: DTZ011 - a day, far enough ahead
WEEK = (MONDAY, MONDAY + timedelta(6))
ZONE = "Europe/Berlin"
CONSULT, COLLECTIVE = 2, 9
#: A whole lookup: one wait for Redis, a lock's life, a call; far less than for ever.
LONGEST_SECONDS = 20.0


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with serve_sandbox("captures") as running:
        yield running


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[MortalRedis]:
    with mortal_redis(tmp_path) as running:
        yield running


@pytest.fixture
def settings(
    sandbox: RunningSandbox, servers: Any, schema_name: str, database: Database, redis_server: MortalRedis
) -> Settings:
    del database  # made
    sandbox.control.reset(account=True)
    changes = {"apply": "auto", "slot_lock_seconds": 2.0, "read_timeout_seconds": 15.0, "redis_pause_seconds": 0.2}
    found = settings_of(sandbox, servers, schema_name, redis_server.url, **changes)
    with ready_container(found) as opened:
        pull_event_types(opened.calcom, opened.event_types.mirror, teams=TeamChoice(), now=utc_now)
    return found


@dataclass
class Asker:
    """A process's worth: it asks again and again, and notes how long each answer took."""

    service: CalcomService
    stop: threading.Event
    answers: int = 0
    longest: float = 0.0
    bugs: list[BaseException] = field(default_factory=list[BaseException])

    def run(self) -> None:
        while not self.stop.is_set():
            for number in (CONSULT, COLLECTIVE):
                began = time.monotonic()
                try:
                    self.service.availability(number, first_day=WEEK[0], last_day=WEEK[1])
                except PipelineError:  # told, and in time
                    pass
                except BaseException as error:  # noqa: BLE001 - what the test is about
                    self.bugs.append(error)
                self.answers += 1
                self.longest = max(self.longest, time.monotonic() - began)


@dataclass
class Business:
    """Books and cancels, hears of it if a cache could not be cleared, and tries again until it could."""

    container: Container
    chance: random.Random
    booked: list[str] = field(default_factory=list[str])
    problems: int = 0

    def __post_init__(self) -> None:
        self.service = CalcomService(self.container)

    def change(self) -> None:
        if self.booked and self.chance.random() < 0.4:
            made = self.service.cancel(self.booked.pop(), reason="ill")
        else:
            hour = timedelta(hours=8 + self.chance.randrange(8), days=self.chance.randrange(5))
            start = datetime.combine(MONDAY, datetime.min.time(), UTC) + hour
            details = {"eventTypeId": CONSULT, "start": start, "name": "Carol", "email": "carol@example.org"}
            try:
                made = self.service.book(details)
            except PipelineError:  # taken
                return
            self.booked.append(made.booking.uid)
        self.problems += bool(made.cache_problem)

    def settle(self) -> None:
        """Until every fact was applied, without the pause before the next try."""
        until = time.monotonic() + 60
        outbox, cache = self.container.availability.outbox, self.container.availability.cache
        while outbox.backlog().pending:
            assert time.monotonic() < until, outbox.backlog()
            with self.container.database.transaction("Testing") as cursor:
                cursor.execute("UPDATE invalidations SET next_attempt_at = NULL WHERE state = 'pending'")
            try:
                apply_outbox(outbox, cache, limit=100)
            except CacheError:
                time.sleep(0.05)


def killed(server: MortalRedis) -> None:
    server.kill()
    server.start()


def started_from_an_older_snapshot(server: MortalRedis) -> None:
    server.kill()
    server.start(from_snapshot=True)


def flushed(server: MortalRedis) -> None:
    server.client.flushall()


def away_for_a_while(server: MortalRedis) -> None:
    server.kill()
    time.sleep(0.5)
    server.start()


FAULTS = [killed, started_from_an_older_snapshot, flushed, away_for_a_while]


@pytest.mark.parametrize(
    ("rounds", "askers"), [(4, 3), pytest.param(40, 8, marks=[pytest.mark.proof, pytest.mark.timeout(900)])]
)
@pytest.mark.timeout(240)
def test_after_whatever_becomes_of_redis_in_a_storm_every_answer_is_true(
    settings: Settings, sandbox: RunningSandbox, redis_server: MortalRedis, rounds: int, askers: int
):
    chance = random.Random(13)
    with ExitStack() as stack, ThreadPoolExecutor(askers + 1) as pool:
        stop = threading.Event()
        business = Business(stack.enter_context(ready_container(settings)), chance)
        crowd = [Asker(CalcomService(stack.enter_context(ready_container(settings))), stop) for _ in range(askers)]
        running = [pool.submit(asker.run) for asker in crowd]
        try:
            for turn in range(rounds):
                redis_server.snapshot()
                fault = FAULTS[turn % len(FAULTS)]
                fateful = pool.submit(_later, chance.random() * 0.3, fault, redis_server)
                for _ in range(3):
                    business.change()
                fateful.result(60)
                business.settle()
                _all_true(settings, sandbox, crowd, f"after it was {fault.__name__}")
        finally:
            stop.set()  # else the pool would wait for them for ever
        for one in running:
            one.result(60)
        time.sleep(settings.slot_settle_seconds)
        _all_true(settings, sandbox, crowd, "when all had settled")
    answers, longest = sum(asker.answers for asker in crowd), max(asker.longest for asker in crowd)
    print(
        f"{rounds} faults, {answers} answers, the longest {longest:.1f} s; {business.problems} clearings failed first"
    )
    assert [bug for asker in crowd for bug in asker.bugs] == []
    assert longest < LONGEST_SECONDS
    assert answers > rounds


def _later(seconds: float, fault: Callable[[MortalRedis], None], server: MortalRedis) -> None:
    time.sleep(seconds)  # somewhere between a booking and the clearing of its days
    fault(server)


def _all_true(settings: Settings, sandbox: RunningSandbox, crowd: list[Asker], moment: str) -> None:
    """What each process answers is what Cal.com has, at the latest when it has settled, and is nothing older.

    While Redis is away everybody asks Cal.com, each in one of 58 spellings at random. They are soon used up, and
    Cal.com repeats its answer to each for 2 s; what is fetched then is fetched once more when that is over.
    """
    for number in (CONSULT, COLLECTIVE):
        truth = live_starts(sandbox, sandbox.keys["alice"], number, WEEK, zone=ZONE, minutes=None)
        for asker in crowd:
            look = partial(_is_true, asker, number, truth)
            until(look, 2 * settings.slot_settle_seconds, what=f"type {number} {moment}")


def _is_true(asker: Asker, number: int, truth: set[datetime]) -> bool:
    found = asker.service.availability(number, first_day=WEEK[0], last_day=WEEK[1])
    return {slot.start for slot in found.slots} == truth and not found.stale
