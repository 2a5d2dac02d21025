"""Looks at cached days from an event loop: the same as a thread sees, within bounds, whatever becomes of Redis."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
from calcom_pipeline.adapters.redis.availability.epoch import Epoch
from calcom_pipeline.adapters.redis.availability.soon import SoonLooks, open_soon_looks
from calcom_pipeline.adapters.redis.connection import RedisBounds
from calcom_pipeline.adapters.redis.soon import SoonConnection
from calcom_pipeline.app.availability.ports import DaysLook
from calcom_pipeline.domain.availability.models import BookableType, Slot, SlotDay, SlotKey
from calcom_pipeline.domain.errors import CacheError
from tests.support.free_times import PREFIX, slot_cache

NOW = datetime.now(UTC).replace(microsecond=0)
TALK = BookableType(7, "UTC", 30)
DAYS = [SlotDay(SlotKey(7, 30, "UTC", date(2026, 12, n)), (Slot(NOW + timedelta(n)),), NOW) for n in (1, 2, 3)]
LOOKS = [DaysLook(7, tuple(day.key for day in DAYS)), DaysLook(7), DaysLook(9, (SlotKey(9, 30, "UTC", NOW.date()),))]
EPOCH = Epoch(prefix=PREFIX, settle_seconds=3)
SHORT = RedisBounds(total_seconds=0.2, pause_seconds=0.0)


@pytest.fixture
def cache(redis_client: redis.Redis) -> RedisSlotCache:
    made = slot_cache(redis_client)
    standings = made.generations([7])
    made.store_type(TALK, standing=standings[7])
    made.store(DAYS, generations=standings)
    return made


def soon(cache: RedisSlotCache, url: str, bounds: RedisBounds, work: Callable[[SoonLooks], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with open_soon_looks(cache, SoonConnection(url, bounds, greet=EPOCH.greet_soon)) as looks:
            return await work(looks)

    return asyncio.run(run())


def test_it_sees_what_a_thread_sees(cache: RedisSlotCache, redis_url: str):
    async def twice(looks: SoonLooks) -> Any:
        return await looks.look(LOOKS), await looks.look(LOOKS)

    first, second = soon(cache, redis_url, RedisBounds(), twice)
    assert first == second == cache.look(LOOKS)
    assert first[0] is second[0], "nothing was made anew"
    assert [seen.event_type for seen in first] == [TALK, TALK, None]
    assert first[0].whole.free == tuple(day.slots[0] for day in DAYS)


def test_counts_of_what_was_asked_for_go_with_a_look(cache: RedisSlotCache, redis_url: str):
    async def look(looks: SoonLooks) -> Any:
        cache.count(7, 30, 3)
        cache._flushed = -1e9
        first = await looks.look(LOOKS)
        return first, await looks.look(LOOKS)

    first, second = soon(cache, redis_url, RedisBounds(), look)
    assert first == second
    assert cache.hottest(5) == [((7, 30), 3.0)]


def test_a_redis_that_hangs_is_waited_for_no_longer_than_an_operation_may_take(cache: RedisSlotCache):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"

        async def look(looks: SoonLooks) -> float:
            began = asyncio.get_running_loop().time()
            with pytest.raises(CacheError):
                await looks.look(LOOKS)
            return asyncio.get_running_loop().time() - began

        assert soon(cache, url, SHORT, look) < 5


def test_after_a_failure_it_leaves_redis_alone_for_a_while_and_then_asks_again(cache: RedisSlotCache, redis_url: str):
    seconds = [0.0]

    async def run() -> Any:
        connection = SoonConnection(redis_url, RedisBounds(3, pause_seconds=10), clock=lambda: seconds[0])
        looks = SoonLooks(cache, connection)
        await looks.look(LOOKS)
        await connection._connection.disconnect()
        connection._connection.port = connection._connection.path = "/nowhere"
        with pytest.raises(CacheError, match="cannot be asked"):
            await looks.look(LOOKS)
        with pytest.raises(CacheError, match="left alone"):
            await looks.look(LOOKS)
        seconds[0] = 11.0
        found = await looks.look(LOOKS)
        await connection.close()
        return found

    assert asyncio.run(run()) == cache.look(LOOKS)


@pytest.mark.parametrize("turns", range(1, 6))
def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(cache: RedisSlotCache, redis_url: str, turns: int):
    async def look(looks: SoonLooks) -> Any:
        await looks.look(LOOKS)
        given_up = asyncio.create_task(looks.look(LOOKS[2:]))
        for _ in range(turns):
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        return await looks.look(LOOKS[:1])

    (seen,) = soon(cache, redis_url, RedisBounds(), look)
    assert seen == cache.look(LOOKS[:1])[0]
