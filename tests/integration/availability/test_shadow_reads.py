"""A share of cached answers is compared with Cal.com's own, behind them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.redis.availability.shadow_book import RedisShadowBook
from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.app.availability.ports import ShadowCounts
from calcom_pipeline.app.availability.shadow import ShadowReads
from calcom_pipeline.domain.availability.changes import AffectedDays
from calcom_pipeline.domain.errors import TransientError
from calcom_pipeline.domain.event_types.models import EventType
from tests.support.calendars import ME, Calendar, Clock, Slots, Types
from tests.support.free_times import PREFIX, AtOnce, free_times, slot_cache

TALK = EventType(7, ME, "talk", "Talk", 30, schedule_zone="UTC", minimum_notice_minutes=120)
FIRST = date(2026, 12, 1)  # the day in which the notice ends: left out
NINE = datetime(2026, 12, 3, 9, tzinfo=UTC)


class World:
    def __init__(self, client: redis.Redis, share: float) -> None:
        self.clock = Clock()
        self.calendar = Calendar(self.clock)
        self.cache = slot_cache(client, clock=self.clock.seconds)
        self.book = RedisShadowBook(client, prefix=PREFIX, clock=self.clock.seconds)
        draws = iter([0.5] * 100)
        shadow = ShadowReads(
            calcom=self.calendar,
            cache=self.cache,
            book=self.book,
            background=AtOnce(),
            share=share,
            now=self.clock.now,
            chance=lambda: next(draws),
        )
        self.lookups = free_times(
            self.calendar, Types({7: TALK}), Slots(), self.cache, client, now=self.clock.now, shadow=shadow
        )

    def ask(self) -> Any:
        return self.lookups.free_slots(Wanted(7, FIRST, FIRST + timedelta(3)))


@pytest.fixture
def world(redis_client: redis.Redis) -> Callable[[float], World]:
    return lambda share: World(redis_client, share)


def test_only_cached_answers_of_the_share_are_looked_after(world: Callable[[float], World]):
    never, always = world(0.5), world(0.51)
    for _ in range(3):
        never.ask()
    assert len(never.calendar.asked) == 1
    always.ask()  # cached by the other
    assert always.book.lately() == ShadowCounts(answers=1, days=3, starts=9)
    assert [(q.first_day, q.spelling) for q in always.calendar.asked] == [(date(2026, 12, 2), 29)]


def test_what_the_cache_has_otherwise_than_cal_com_is_counted(world: Callable[[float], World]):
    one = world(1.0)
    one.ask()
    one.calendar.taken.add(NINE)  # behind the pipeline's back
    one.ask()
    found = one.book.lately()
    assert (found.wrong_starts, found.starts) == (1, 9)
    assert found.wrong_rate == pytest.approx(1 / 9)
    one.clock.advance(86_400)
    assert one.book.lately() == found, "yesterday's count as well"
    one.clock.advance(86_400)
    assert one.book.lately() == ShadowCounts()


def test_what_changed_just_now_or_cannot_be_asked_counts_for_nothing(world: Callable[[float], World]):
    one = world(1.0)
    one.ask()
    one.calendar.meanwhile = lambda: one.cache.clear([AffectedDays(7, "UTC", frozenset({FIRST}))])
    one.ask()
    one.calendar.meanwhile, one.calendar.error = lambda: None, TransientError("away")
    one.lookups.free_slots(Wanted(7, FIRST + timedelta(1), FIRST + timedelta(3)))
    assert one.book.lately() == ShadowCounts()
    assert len(one.calendar.asked) == 3
