"""A Redis that was flushed, started anew or replaced has forgotten what was cleared; nothing of before is believed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.redis.availability.alternatives import RedisAlternativesCache
from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
from calcom_pipeline.adapters.redis.availability.epoch import Epoch
from calcom_pipeline.adapters.redis.availability.soon import open_soon_looks
from calcom_pipeline.adapters.redis.coalescing.cache import RequestCoalescingCache
from calcom_pipeline.adapters.redis.coalescing.errors import PipelineErrors
from calcom_pipeline.adapters.redis.coalescing.flights import Flights
from calcom_pipeline.adapters.redis.connection import RedisBounds, open_redis
from calcom_pipeline.adapters.redis.soon import SoonConnection
from calcom_pipeline.app.availability.ports import DaysLook
from calcom_pipeline.domain.availability.changes import AffectedDays
from calcom_pipeline.domain.availability.finding import Alternatives
from calcom_pipeline.domain.availability.models import BookableType, Slot, SlotDay, SlotKey
from calcom_pipeline.domain.availability.questions import nearest_question
from tests.support.free_times import PREFIX, slot_cache
from tests.support.redis_server import MortalRedis, mortal_redis

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
KEY = SlotKey(7, 30, "UTC", date(2026, 12, 2))
OLD = SlotDay(KEY, (Slot(NOW),), NOW)
ALL = [AffectedDays(7, "UTC", None)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MortalRedis]:
    with mortal_redis(tmp_path) as running:
        yield running


def epoch() -> Epoch:
    return Epoch(prefix=PREFIX, settle_seconds=3)


@contextmanager
def connected(server: MortalRedis, one: Epoch | None = None) -> Iterator[RedisSlotCache]:
    """A process's cache; all that share an epoch are connections of one process."""
    with open_redis(server.url, greet=(one or epoch()).greet) as client:
        yield slot_cache(client)


class TestFlushed:
    """Everything is gone, generations too."""

    def test_what_was_fetched_before_is_not_stored_although_nobody_knows_what_was_cleared(
        self, redis_client: redis.Redis
    ):
        cache = slot_cache(redis_client)
        never_cleared = cache.generations([7])
        cache.clear(ALL)
        once = cache.generations([7])
        redis_client.flushdb()
        for before in (never_cleared, once):
            assert cache.store([OLD], generations=before) == 0
            assert not cache.store_type(BookableType(7, "UTC", 30), standing=before[7])
        after = cache.generations([7])
        for before in (never_cleared, once):
            assert cache.store([OLD], generations=before) == 0
        assert cache.store([OLD], generations=after) == 1

    def test_clearings_after_it_are_not_those_of_before(self, redis_client: redis.Redis):
        cache = slot_cache(redis_client)
        cache.clear(ALL)
        before = cache.generations([7])
        redis_client.flushdb()
        cache.clear(ALL)
        assert cache.store([OLD], generations=before) == 0

    def test_what_is_fetched_right_after_it_settles(self, redis_client: redis.Redis):
        cache = slot_cache(redis_client)
        assert cache.generations([7])[7].settles_seconds == 0
        redis_client.flushdb()
        assert 0 < cache.generations([7])[7].settles_seconds <= 3
        assert 0 < cache.generations([8])[8].settles_seconds <= 3, "for all event types"

    def test_alternatives_of_before_are_not_kept(self, redis_client: redis.Redis):
        cache, near = slot_cache(redis_client), RedisAlternativesCache(redis_client, prefix=PREFIX)
        question = nearest_question(7, NOW, now=NOW)
        before = near.look(question).generations
        cache.clear(ALL)
        redis_client.flushdb()
        assert not near.keep(question, Alternatives((), NOW), generations=before, seconds=60)
        unknown = near.look(question).generations
        assert not near.keep(question, Alternatives((), NOW), generations=unknown, seconds=60), "no epoch yet"
        cache.generations([7])
        known = near.look(question).generations
        assert near.keep(question, Alternatives((), NOW), generations=known, seconds=60)

    def test_a_fetch_of_before_does_not_overwrite_that_of_another_with_the_same_turn(self, redis_client: redis.Redis):
        flights = Flights(redis_client, prefix=PREFIX, codec=PipelineErrors())
        cache = RequestCoalescingCache(redis_client, flights, prefix=PREFIX)

        def overtaken() -> bytes:
            redis_client.flushdb()
            state, token = flights._entered("k", "")  # another process flies now
            assert (state, len(token)) == ("lead", 16)
            return b"old"

        cache.get_or_fetch("k", overtaken, 60)
        assert cache._known("k") is None
        cache.close()


class TestStartedAnew:
    def test_what_was_cleared_after_a_snapshot_does_not_come_back(self, server: MortalRedis):
        one = epoch()
        with connected(server, one) as cache:
            standings = cache.generations([7])
            cache.store([OLD], generations=standings)
            cache.store_type(BookableType(7, "UTC", 30), standing=standings[7])
            server.snapshot()
            cache.clear(ALL)
            server.kill()
            server.start(from_snapshot=True)
            assert server.client.exists(cache.key(KEY)), "the snapshot has it"
            assert cache.look([DaysLook(7, (KEY,))])[0].days == {}, "nobody is shown it"
            assert cache.store([OLD], generations=standings) == 0
            assert cache.generations([7])[7].settles_seconds > 0

    def test_an_event_loop_that_connects_first_sees_nothing_of_it_either(self, server: MortalRedis):
        with connected(server) as cache:
            cache.store([OLD], generations=cache.generations([7]))
        server.snapshot()
        server.kill()
        server.start(from_snapshot=True)

        async def look() -> Any:
            connection = SoonConnection(server.url, RedisBounds(), greet=epoch().greet_soon)
            async with open_soon_looks(cache, connection) as looks:
                return await looks.look([DaysLook(7, (KEY,))])

        assert asyncio.run(look())[0].days == {}

    def test_other_processes_that_connect_later_clear_nothing_more(self, server: MortalRedis):
        first, second = epoch(), epoch()
        with connected(server, first) as cache, connected(server, second) as other:
            cache.generations([7])
            other.generations([7])
            server.kill()
            server.start()
            assert cache.store([OLD], generations=cache.generations([7])) == 1
            assert other.get([KEY]) == {KEY: OLD}


class TestReplaced:
    def test_a_server_that_was_left_for_another_is_not_believed_when_it_is_back(
        self, server: MortalRedis, tmp_path: Path
    ):
        (tmp_path / "other").mkdir()
        one = epoch()
        with mortal_redis(tmp_path / "other") as other:
            with connected(server, one) as cache:
                cache.store([OLD], generations=cache.generations([7]))
            with connected(other, one) as elsewhere:
                elsewhere.clear(ALL)
            with connected(server, one) as back:
                assert back.get([KEY]) == {}

    def test_a_server_that_allows_no_script_is_taken_as_it_is(self, server: MortalRedis):
        client = server.client
        client.acl_setuser("plain", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-info"])
        server.url = server.url.replace("redis://", "redis://plain:x@")
        with connected(server) as cache:
            assert cache.store([OLD], generations=cache.generations([7])) == 1
            assert cache.get([KEY]) == {KEY: OLD}
