"""Slots: their mirror, the cached days, the outbox of changes."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.bootstrap.cached_days import CachedDays, RedisAccess
from calcom_pipeline.clock import utc_now
from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox
    from calcom_pipeline.adapters.postgres.availability.slots import PostgresSlotMirror
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.app.availability.fetching import MonthFetches, Stores
    from calcom_pipeline.app.availability.lookup import FreeTimes
    from calcom_pipeline.app.availability.ports import SlotApi
    from calcom_pipeline.app.availability.refresh import SlotOptions
    from calcom_pipeline.app.availability.shadow import ShadowReads
    from calcom_pipeline.app.availability.warm import WarmRules

# Refreshes behind answers; the rate limit lets hardly more than two calls a second pass anyway.
_BACKGROUND_THREADS = 4


class AvailabilityGroup(CachedDays):
    """What use cases about free times work with."""

    def __init__(self, settings: Settings, database: "Database", access: RedisAccess, stack: ExitStack) -> None:
        super().__init__(settings, access)
        self._database = database
        self._stack = stack

    @cached_property
    def mirror(self) -> "PostgresSlotMirror":
        """The table `slots`."""
        from calcom_pipeline.adapters.postgres.availability.slots import PostgresSlotMirror

        return PostgresSlotMirror(self._database)

    @cached_property
    def background(self) -> ThreadPoolExecutor:
        """Threads for what nobody waits for; they end with the container."""
        pool = ThreadPoolExecutor(_BACKGROUND_THREADS, thread_name_prefix="slots")
        self._stack.callback(pool.shutdown, cancel_futures=True)
        return pool

    def free_times(
        self, calcom: "SlotApi", stores: "Callable[[], Stores]", *, calcom_behind: "SlotApi | None" = None
    ) -> "FreeTimes":
        """Free starts, asked of Cal.com with this client where Redis has none. `stores` opens what PostgreSQL has.

        `calcom_behind` is the client for shadow reads; without it there are none.
        """
        from calcom_pipeline.app.availability.lookup import FreeTimes, LookupRules

        s = self._settings
        rules = LookupRules(
            s.slot_revalidate_seconds, s.slot_stale_seconds, s.slot_patience_seconds, s.cached_slot_days
        )
        return FreeTimes(
            calcom=calcom,
            cache=self.cache,
            sharing=self.flights,
            background=self.background,
            stores=stores,
            now=utc_now,
            rules=rules,
            shadow=self._shadow(calcom_behind) if calcom_behind is not None else None,
        )

    def _shadow(self, calcom: "SlotApi") -> "ShadowReads":
        from calcom_pipeline.app.availability.shadow import ShadowReads

        return ShadowReads(
            calcom=calcom,
            cache=self.cache,
            book=self.shadow_book,
            background=self.background,
            share=self._settings.slot_shadow_share,
            now=utc_now,
        )

    @cached_property
    def outbox(self) -> "PostgresOutbox":
        """Facts that have not reached the caches yet."""
        from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox

        return PostgresOutbox(self._database)

    @property
    def options(self) -> "SlotOptions":
        """How far ahead slots are kept, and how old they may be."""
        from calcom_pipeline.app.availability.refresh import SlotOptions

        return SlotOptions(self._settings.slot_horizon_days, timedelta(seconds=self._settings.slot_ttl_seconds))

    def month_fetches(self, calcom: "SlotApi", stores: "Callable[[], Stores]") -> "MonthFetches":
        """Fetches of whole months with this client, shared with all lookups."""
        from calcom_pipeline.app.availability.fetching import MonthFetches

        return MonthFetches(calcom, self.cache, self.flights, stores, now=utc_now)

    def warm_rules(self, calls: int) -> "WarmRules":
        """What a warming may promise: so many calls until the next one."""
        from calcom_pipeline.app.availability.warm import WarmRules

        s = self._settings
        return WarmRules(s.slot_warm_days, calls, s.cached_slot_days)
