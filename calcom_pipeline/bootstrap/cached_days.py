"""What Redis keeps of free times: days, alternatives, holds, and who fetches while others wait."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from calcom_pipeline.adapters.redis.availability.alternatives import RedisAlternativesCache
    from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
    from calcom_pipeline.adapters.redis.availability.holds import RedisHeldDays
    from calcom_pipeline.adapters.redis.availability.shadow_book import RedisShadowBook
    from calcom_pipeline.adapters.redis.availability.soon import SoonLooks
    from calcom_pipeline.adapters.redis.coalescing.flights import Flights
    from calcom_pipeline.adapters.redis.connection import Client as RedisClient
    from calcom_pipeline.adapters.redis.soon import SoonConnection


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """Redis as threads ask it, and a connection of the running event loop."""

    client: "RedisClient"
    soon: "Callable[[], SoonConnection]"


class CachedDays:
    """All that needs Redis alone."""

    def __init__(self, settings: Settings, access: RedisAccess) -> None:
        self._settings = settings
        self._access = access
        self._redis = access.client

    @cached_property
    def cache(self) -> "RedisSlotCache":
        """The days in Redis."""
        from calcom_pipeline.adapters.redis.availability.days import Lifetimes, RedisSlotCache

        s = self._settings
        lifetimes = Lifetimes(s.slot_ttl_seconds, s.slot_empty_ttl_seconds, s.slot_stale_seconds, s.slot_settle_seconds)
        return RedisSlotCache(self._redis, prefix=s.redis_prefix, lifetimes=lifetimes)

    def soon_looks(self) -> "AbstractAsyncContextManager[SoonLooks]":
        """Looks at the days from the running event loop, as long as the block."""
        from calcom_pipeline.adapters.redis.availability.soon import open_soon_looks

        return open_soon_looks(self.cache, self._access.soon())

    @cached_property
    def flights(self) -> "Flights":
        """Who fetches, while others wait."""
        from calcom_pipeline.adapters.redis.coalescing.errors import PipelineErrors
        from calcom_pipeline.adapters.redis.coalescing.flights import FlightRules, Flights

        s = self._settings
        # Whoever waits for a process that was killed has its lock's life to wait, and then a fetch of another.
        rules = FlightRules(s.slot_lock_seconds, s.slot_lock_seconds + s.slot_wait_seconds)
        return Flights(self._redis, prefix=s.redis_prefix, codec=PipelineErrors(), rules=rules)

    @cached_property
    def shadow_book(self) -> "RedisShadowBook":
        """What shadow reads came to."""
        from calcom_pipeline.adapters.redis.availability.shadow_book import RedisShadowBook

        return RedisShadowBook(self._redis, prefix=self._settings.redis_prefix)

    @cached_property
    def near(self) -> "RedisAlternativesCache":
        """Answers to questions for alternatives, in Redis."""
        from calcom_pipeline.adapters.redis.availability.alternatives import RedisAlternativesCache

        return RedisAlternativesCache(self._redis, prefix=self._settings.redis_prefix)

    @cached_property
    def held_days(self) -> "RedisHeldDays":
        """Which days have a held start."""
        from calcom_pipeline.adapters.redis.availability.holds import RedisHeldDays

        return RedisHeldDays(self._redis, prefix=self._settings.redis_prefix)
