"""The same looks at cached days from an event loop, where a thread that waits for Redis costs more than the look."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio.connection import ConnectionPool
from redis.exceptions import RedisError, ResponseError

from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
from calcom_pipeline.adapters.redis.availability.epoch import Epoch
from calcom_pipeline.adapters.redis.connection import RedisBounds
from calcom_pipeline.app.availability.ports import DaysLook, DaysSeen
from calcom_pipeline.domain.errors import CacheError

_LEFT_ALONE = "Reading slots: Redis did not answer a moment ago and is left alone"


class SoonLooks:
    """Looks of one event loop, one after the other: on one connection, which is made anew after any failure."""

    def __init__(
        self,
        cache: RedisSlotCache,
        url: str,
        bounds: RedisBounds,
        *,
        epoch: Epoch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._url = url
        self._bounds = bounds
        self._epoch = epoch
        self._clock = clock
        self._connection: Any = None
        self._alone_until = 0.0

    async def look(self, looks: Sequence[DaysLook]) -> list[DaysSeen]:
        """As `RedisSlotCache.look`; at most so long as an operation of Redis may take. Raises CacheError.

        After any failure Redis is left alone for a while: there are others who ask it, and wait less dearly.
        """
        if self._clock() < self._alone_until:
            raise CacheError(_LEFT_ALONE)
        sights = self._cache.sights_of(looks)
        names = [name for sight in sights for name in sight.names]
        try:
            async with asyncio.timeout(self._bounds.total_seconds):
                values = await self._values(names)
        except BaseException as error:
            # Whatever was on its way would be taken for the next answer.
            await self.close()
            if not isinstance(error, RedisError | OSError | TimeoutError):
                raise
            self._alone_until = self._clock() + self._bounds.pause_seconds
            raise CacheError("Reading slots: Redis cannot be asked") from None
        return self._cache.seen(sights, values)

    async def close(self) -> None:
        """End the connection; the next look makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    async def _values(self, names: list[str]) -> Sequence[bytes | None]:
        connection = self._connection
        if connection is None:
            # One bound for all of it: redis-py would make a task for each piece that has one of its own.
            pool: Any = ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # loosely typed
                self._url, socket_timeout=None, socket_connect_timeout=None, redis_connect_func=self._epoch.greet_soon
            )
            connection = self._connection = pool.make_connection()
            await connection.connect()
        counts = self._cache.count_commands()
        if not counts:
            await connection.send_command("MGET", *names, check_health=False)
            return await connection.read_response()
        await connection.send_packed_command(connection.pack_commands([("MGET", *names), *counts]), check_health=False)
        values = await connection.read_response()
        for _ in counts:
            with suppress(ResponseError):  # one that was not taken costs nobody an answer
                await connection.read_response()
        return values


@asynccontextmanager
async def open_soon_looks(
    cache: RedisSlotCache, url: str, bounds: RedisBounds, *, epoch: Epoch
) -> AsyncGenerator[SoonLooks]:
    """Looks of the running event loop, as long as the block."""
    looks = SoonLooks(cache, url, bounds, epoch=epoch)
    try:
        yield looks
    finally:
        await looks.close()
