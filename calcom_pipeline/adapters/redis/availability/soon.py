"""The same looks at cached days from an event loop, where a thread that waits for Redis costs more than the look."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
from calcom_pipeline.adapters.redis.soon import SoonConnection
from calcom_pipeline.app.availability.ports import DaysLook, DaysSeen


class SoonLooks:
    """Looks of one event loop, one after the other."""

    def __init__(self, cache: RedisSlotCache, connection: SoonConnection) -> None:
        self._cache = cache
        self._connection = connection

    async def look(self, looks: Sequence[DaysLook]) -> list[DaysSeen]:
        """As `RedisSlotCache.look`. Raises CacheError. A count that was not taken costs nobody an answer."""
        sights = self._cache.sights_of(looks)
        names = [name for sight in sights for name in sight.names]
        values = await self._connection.ask("Reading slots", ("MGET", *names), *self._cache.count_commands())
        return self._cache.seen(sights, values)


@asynccontextmanager
async def open_soon_looks(cache: RedisSlotCache, connection: SoonConnection) -> AsyncGenerator[SoonLooks]:
    """Looks of the running event loop, as long as the block."""
    try:
        yield SoonLooks(cache, connection)
    finally:
        await connection.close()
