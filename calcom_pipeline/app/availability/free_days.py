"""The one way in which finding reads free days, so that nothing else of the cache has to be known there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from calcom_pipeline.app.availability.lookup import Availability, FreeTimes
from calcom_pipeline.app.availability.ports import LookupCache
from calcom_pipeline.app.availability.window import days_between
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.domain.zones import zone_of


@dataclass(frozen=True, slots=True)
class StartRules:
    """The zone that an event type's days are days of, and how long before a start it must be booked."""

    zone: ZoneInfo
    notice: timedelta


class FreeDays(Protocol):
    """Free starts of whole days. All methods raise NotFound for an event type that cannot be booked."""

    def rules(self, event_type_id: int) -> StartRules:
        """Its zone and notice. Raises ContractBroken where the zone is none that we know."""
        ...

    def days(self, event_type_id: int, first_day: date, last_day: date, duration_minutes: int | None) -> Availability:
        """What may be booked on these local days, both included. Raises TransientError where nobody knows."""
        ...

    def fresh_until(
        self, event_type_id: int, first_day: date, last_day: date, duration_minutes: int | None
    ) -> datetime | None:
        """When the first of these cached days ends its life; None where one of them is not cached (any more)."""
        ...


class LookedUpDays:
    """Free days as `lookup` answers them: warm ones of Redis alone."""

    def __init__(self, free_times: FreeTimes, cache: LookupCache, *, now: Callable[[], datetime]) -> None:
        self._free_times = free_times
        self._cache = cache
        self._now = now

    def rules(self, event_type_id: int) -> StartRules:
        """See the port."""
        event_type = self._free_times.event_type(event_type_id)
        return StartRules(zone_of(event_type.zone), timedelta(minutes=event_type.minimum_notice_minutes))

    def days(self, event_type_id: int, first_day: date, last_day: date, duration_minutes: int | None) -> Availability:
        """See the port."""
        return self._free_times.days(event_type_id, first_day, last_day, duration_minutes)

    def fresh_until(
        self, event_type_id: int, first_day: date, last_day: date, duration_minutes: int | None
    ) -> datetime | None:
        """See the port. A day that settles after a clearing ends soon."""
        event_type = self._free_times.event_type(event_type_id)
        keys = days_between(event_type, duration_minutes or event_type.duration_minutes, first_day, last_day)
        try:
            found = self._cache.read(keys)
        except CacheError:
            return None
        if len(found) < len(keys) or not all(cached.is_fresh for cached in found.values()):
            return None
        left = min((-cached.late_seconds for cached in found.values()), default=None)
        return None if left is None else self._now() + timedelta(seconds=left)
