"""Which cached days a change concerns, and what becomes of a clearing that goes wrong in one layer of the cache."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import redis

from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.adapters.redis.availability.days import ALTERNATIVES, DAYS
from calcom_pipeline.app.availability.invalidate import apply_outbox, resolve
from calcom_pipeline.domain.availability.changes import CHANGED_BEFORE_READ, AffectedDays, ChangeEvent
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.domain.listed import Listed
from tests.support.free_times import PREFIX, slot_cache
from tests.support.reconciling import ME, event_type

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
WEDNESDAY = date(2026, 12, 16)
ADA, BOB, CAROL, DAVE = 101, 102, 103, 104
TALK, CALL, TOGETHER, ROUND, PARENT, CHILD, BUFFERED = range(1, 8)
WEEKLY, MONTHLY, YEARLY, DAILY = range(8, 12)
TYPES = [
    event_type(TALK, host_ids=(ADA,)),
    event_type(CALL, host_ids=(BOB,)),
    event_type(TOGETHER, host_ids=(ADA, BOB), scheduling_type="collective"),
    event_type(ROUND, host_ids=(BOB, CAROL), scheduling_type="roundRobin"),
    event_type(PARENT, scheduling_type="managed"),
    event_type(CHILD, host_ids=(CAROL,), scheduling_type="managed", parent_id=PARENT),
    event_type(BUFFERED, host_ids=(DAVE,), before_buffer_minutes=60, after_buffer_minutes=60),
    event_type(WEEKLY, host_ids=(DAVE,), limit_periods=("week",)),
    event_type(MONTHLY, host_ids=(DAVE,), limit_periods=("month",)),
    event_type(YEARLY, host_ids=(DAVE,), limit_periods=("day", "year")),
    event_type(DAILY, host_ids=(DAVE,), limit_periods=("day",)),
]
NOON = datetime(2026, 12, 16, 12, tzinfo=UTC)
LATE = datetime(2026, 12, 16, 22, 45, tzinfo=UTC)


def booked(number: int | None, *users: int, start: datetime = NOON, why: str = "made") -> ChangeEvent:
    return ChangeEvent("booking", why, number, users, ((start, start + timedelta(minutes=30)),))


def days(first: int, last: int) -> frozenset[date]:
    return frozenset(date(2026, 12, day) for day in range(first, last + 1))


@pytest.fixture
def outbox(database: Database) -> PostgresOutbox:
    types = tuple(replace(one, schedule_zone="UTC") for one in TYPES)
    PostgresEventTypeMirror(database).replace(ME, Listed(types), read_at=NOW)
    return PostgresOutbox(database)


ONE = days(16, 16)
OF_DAVE = {BUFFERED: ONE, WEEKLY: days(14, 20), MONTHLY: days(1, 31), YEARLY: None, DAILY: ONE}


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        pytest.param(booked(TALK, ADA), {TALK: ONE, TOGETHER: ONE}, id="a booking: all types of its host"),
        pytest.param(booked(TOGETHER, ADA, BOB), {TALK: ONE, CALL: ONE, TOGETHER: ONE, ROUND: ONE}, id="a collective"),
        pytest.param(booked(None, BOB), {CALL: ONE, TOGETHER: ONE, ROUND: ONE}, id="an attendee who is a host"),
        pytest.param(
            booked(ROUND, BOB, CAROL), {CALL: ONE, TOGETHER: ONE, ROUND: ONE, CHILD: ONE}, id="a booking that was moved"
        ),
        pytest.param(
            booked(ROUND, why=CHANGED_BEFORE_READ),
            {CALL: ONE, TOGETHER: ONE, ROUND: ONE, CHILD: ONE},
            id="a booking whose former host nobody knows",
        ),
        pytest.param(booked(DAILY, DAVE), OF_DAVE, id="limits by day, week, month and year close whole periods"),
        pytest.param(
            booked(BUFFERED, DAVE, start=LATE),
            OF_DAVE | {BUFFERED: days(16, 17), DAILY: days(16, 17)},
            id="buffers of a late booking reach into the next day",
        ),
        pytest.param(ChangeEvent("event_type", "changed", TALK), {TALK: None}, id="an edit: all days of the type"),
        pytest.param(
            ChangeEvent("event_type", "changed", PARENT), {PARENT: None, CHILD: None}, id="a managed type: its children"
        ),
        pytest.param(
            ChangeEvent("schedule", "changed", user_ids=(CAROL,)),
            {ROUND: None, CHILD: None},
            id="a schedule: all days of all types of its owner",
        ),
    ],
)
def test_a_change_concerns_all_days_that_it_may_have_made_wrong_and_no_others(
    outbox: PostgresOutbox, change: ChangeEvent, concerned: dict[int, frozenset[date] | None]
):
    found = resolve(outbox, [change]).affected
    assert {one.event_type_id: one.days for one in found} == concerned


@pytest.fixture
def no_scripts(redis_client: redis.Redis) -> Iterator[redis.Redis]:
    """The same server as somebody who may run no script: days cannot be cleared, alternatives can."""
    name = "who-runs-no-scripts"
    redis_client.acl_setuser(
        name, enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-eval", "-evalsha", "-script"]
    )
    pool = redis_client.connection_pool
    given = {**pool.connection_kwargs, "username": name, "password": "any"}
    client = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=pool.connection_class, **given))
    yield client
    client.close()
    redis_client.acl_deluser(name)


def test_a_layer_that_cannot_be_cleared_is_told_the_other_is_cleared_and_the_change_stays_in_the_outbox(
    outbox: PostgresOutbox, redis_client: redis.Redis, no_scripts: redis.Redis, database: Database
):
    key = SlotKey(TALK, 30, "UTC", WEDNESDAY)
    cache = slot_cache(redis_client)
    cache.store([SlotDay(key, (Slot(NOON),), NOW)], generations={})
    redis_client.hset(f"{PREFIX}slots:near:{TALK}", "question", "answer")
    broken = slot_cache(no_scripts)
    told = {layer.layer: layer for layer in broken.clear([AffectedDays(TALK, "UTC", ONE)])}
    assert (told[ALTERNATIVES].keys, told[ALTERNATIVES].errors) == (1, ())
    assert told[DAYS].keys == 0
    assert "Clearing days of event type 1" in told[DAYS].errors[0]
    outbox.add([booked(TALK, ADA)])
    with pytest.raises(CacheError, match="Clearing the cache: Clearing days"):
        apply_outbox(outbox, broken, limit=10)
    assert (outbox.backlog().pending, outbox.backlog().due) == (1, 0), "tried again after a while"
    with database.transaction("Letting the while pass") as cursor:
        cursor.execute("UPDATE invalidations SET next_attempt_at = now()")
    report = apply_outbox(outbox, cache, limit=10)
    assert {layer.layer: (layer.keys, layer.errors) for layer in report.layers} == {
        DAYS: (1, ()),
        ALTERNATIVES: (0, ()),
    }
    assert outbox.backlog().pending == 0
    assert not cache.read([key])
