"""Appointments let exactly their own cached days go: behind a backlog, beside the outbox job, without Redis."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox
from calcom_pipeline.adapters.postgres.bookings.in_doubt import PostgresOutcomeStore
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks
from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
from calcom_pipeline.adapters.redis.connection import open_redis
from calcom_pipeline.app.availability.invalidate import clear, resolve
from calcom_pipeline.app.availability.ports import CacheClearer, CacheClearResult
from calcom_pipeline.app.bookings.commands import Appointments
from calcom_pipeline.app.event_types.mirror import TeamChoice, pull_event_types
from calcom_pipeline.domain.availability.changes import AffectedDays, ChangeEvent
from calcom_pipeline.domain.availability.models import SlotDay, SlotKey
from calcom_pipeline.domain.bookings.requests import BookingRequest, BookingRules, booking_request
from tests.support.captured import NOW, account, calcom, captured
from tests.support.free_times import slot_cache

__all__ = ["account", "calcom", "captured"]  # fixtures

CONSULT, ELSEWHERE = 2, 77
DAY = date(2026, 12, 2)
#: More than any one pass takes.
BACKLOG = 120
NOBODY_THERE = "redis://127.0.0.1:9"


class Overtaken:
    """A cache, just before whose clearing somebody else does something."""

    def __init__(self, cache: CacheClearer, meanwhile: Callable[[], object]) -> None:
        self._cache = cache
        self._meanwhile = meanwhile

    def clear(self, affected: Sequence[AffectedDays]) -> list[CacheClearResult]:
        self._meanwhile()
        return self._cache.clear(affected)


def cache_of(client: redis.Redis) -> RedisSlotCache:
    return slot_cache(client, prefix="calcom:v1:{calcom}:")


@pytest.fixture
def cache(redis_client: redis.Redis) -> RedisSlotCache:
    """Every event type's day is cached."""
    made = cache_of(redis_client)
    days = [SlotDay(SlotKey(number, 30, "Europe/Berlin", DAY), (), NOW) for number in (*range(1, 11), ELSEWHERE)]
    assert made.store(days, generations={}) == len(days)
    return made


@pytest.fixture
def outbox(database: Database, calcom: CalcomClient) -> PostgresOutbox:
    """Empty, over a mirror of the account."""
    pull_event_types(calcom, PostgresEventTypeMirror(database), teams=TeamChoice(), now=lambda: NOW)
    rows(database, "DELETE FROM invalidations RETURNING id")
    return PostgresOutbox(database)


@pytest.fixture
def appointments(
    calcom: CalcomClient, database: Database, outbox: PostgresOutbox
) -> Callable[[CacheClearer], Appointments]:
    def made(cache: CacheClearer) -> Appointments:
        outcomes, locks = PostgresOutcomeStore(database), PostgresKeyLocks(database, wait_seconds=1)
        return Appointments(calcom, outcomes, locks, outbox, cache, now=lambda: NOW, horizon=timedelta(days=28))

    return made


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction("Testing") as cursor:
        return cursor.execute(query).fetchall()  # type: ignore[arg-type]  # written in this file


def wanted() -> BookingRequest:
    details = {"eventTypeId": CONSULT, "start": f"{DAY}T10:00:00Z", "name": "Carol", "email": "carol@example.org"}
    return booking_request(details, BookingRules(now=NOW))


def stands(cache: RedisSlotCache, event_type_id: int = CONSULT) -> bool:
    return bool(cache.get([SlotKey(event_type_id, 30, "Europe/Berlin", DAY)]))


def test_behind_a_backlog_its_own_days_go_and_the_facts_of_others_stay_as_they_were(
    appointments: Any, cache: RedisSlotCache, outbox: PostgresOutbox, database: Database
):
    theirs = outbox.add([ChangeEvent("event_type", "changed", ELSEWHERE)] * BACKLOG)
    outbox.failed(theirs[:10], "Redis is away")
    all_of_them = "SELECT * FROM invalidations ORDER BY id"
    before = rows(database, all_of_them)
    done = appointments(cache).book(wanted())
    assert (done.cache_problem, done.cleared_by_others) == ("", False)
    assert done.cached_days_cleared > 1, "the host's other types concern the same time"
    assert not stands(cache)
    assert stands(cache, ELSEWHERE)
    after = rows(database, all_of_them)
    assert after[:BACKLOG] == before
    assert [row[7] for row in after[BACKLOG:]] == ["done"]


def test_facts_that_the_outbox_job_has_just_taken_are_cleared_all_the_same_and_that_is_said(
    appointments: Any, cache: RedisSlotCache, outbox: PostgresOutbox, database: Database
):
    def job() -> None:
        clear(outbox, cache, resolve(outbox, outbox.pending(limit=10)))

    done = appointments(Overtaken(cache, job)).book(wanted())
    assert not stands(cache)
    assert (done.cached_days_cleared, done.cleared_by_others, done.cache_problem) == (0, True, "")
    ((state, attempts, result),) = rows(database, "SELECT state, attempts, result FROM invalidations")
    assert (state, attempts) == ("done", 0)
    assert result["days"] > 1, "what the job did stands"


def test_when_redis_is_lost_just_after_the_job_has_cleared_them_there_is_no_problem(
    appointments: Any, cache: RedisSlotCache, outbox: PostgresOutbox, database: Database
):
    with open_redis(NOBODY_THERE) as nobody:
        job = lambda: clear(outbox, cache, resolve(outbox, outbox.pending(limit=10)))  # noqa: E731 - one line, used once
        done = appointments(Overtaken(cache_of(nobody), job)).book(wanted())
    assert (done.cleared_by_others, done.cache_problem) == (True, "")
    assert rows(database, "SELECT state, attempts, error FROM invalidations") == [("done", 0, None)]


def test_without_redis_the_booking_stands_and_its_facts_alone_are_tried_again_later(
    appointments: Any, cache: RedisSlotCache, outbox: PostgresOutbox, database: Database
):
    outbox.add([ChangeEvent("event_type", "changed", ELSEWHERE)])
    with open_redis(NOBODY_THERE) as nobody:
        done = appointments(cache_of(nobody)).book(wanted())
    assert done.booking.status == "accepted"
    assert "Redis cannot be reached" in done.cache_problem
    assert rows(database, "SELECT state, attempts FROM invalidations ORDER BY id") == [("pending", 0), ("pending", 1)]


def test_facts_keep_what_they_say_and_get_an_id_when_they_are_added(outbox: PostgresOutbox):
    facts = [
        ChangeEvent("booking", "moved", CONSULT, (101, 102), ((NOW, NOW + timedelta(hours=1)),)),
        ChangeEvent("schedule", "x"),
    ]
    added = outbox.add(facts)
    assert [replace(fact, id=0) for fact in added] == facts
    assert outbox.pending(limit=10) == added
    assert outbox.add([]) == []
