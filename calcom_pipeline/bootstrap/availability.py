"""Slots: their mirror, the cached days, the outbox of changes."""

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox
    from calcom_pipeline.adapters.postgres.availability.slots import PostgresSlotMirror
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.redis.availability.alternatives import RedisAlternativesCache
    from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
    from calcom_pipeline.adapters.redis.availability.holds import RedisHeldDays
    from calcom_pipeline.adapters.redis.connection import Client as RedisClient
    from calcom_pipeline.app.availability.free_days import Lives
    from calcom_pipeline.app.availability.refresh import SlotOptions


class AvailabilityGroup:
    """What use cases about free times work with."""

    def __init__(self, settings: Settings, database: "Database", redis: "RedisClient") -> None:
        self._settings = settings
        self._database = database
        self._redis = redis

    @cached_property
    def mirror(self) -> "PostgresSlotMirror":
        """The table `slots`."""
        from calcom_pipeline.adapters.postgres.availability.slots import PostgresSlotMirror

        return PostgresSlotMirror(self._database)

    @cached_property
    def cache(self) -> "RedisSlotCache":
        """The days in Redis."""
        from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache

        s = self._settings
        return RedisSlotCache(
            self._redis,
            prefix=s.redis_prefix,
            ttl_seconds=s.slot_ttl_seconds,
            empty_ttl_seconds=s.slot_empty_ttl_seconds,
        )

    @cached_property
    def outbox(self) -> "PostgresOutbox":
        """Facts that the caches have not heard of yet."""
        from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox

        return PostgresOutbox(self._database)

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

    @property
    def lives(self) -> "Lives":
        """How long days are kept."""
        from calcom_pipeline.app.availability.free_days import Lives

        s = self._settings
        return Lives(timedelta(seconds=s.slot_ttl_seconds), timedelta(seconds=s.slot_empty_ttl_seconds))

    @property
    def options(self) -> "SlotOptions":
        """How far ahead slots are kept, and how old they may be."""
        from calcom_pipeline.app.availability.refresh import SlotOptions

        return SlotOptions(self._settings.slot_horizon_days, timedelta(seconds=self._settings.slot_ttl_seconds))
