"""The one way in which finding reads free days, so that nothing else of the cache has to be known there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from calcom_pipeline.app.availability.lookup import Availability, Wanted, free_slots
from calcom_pipeline.app.availability.ports import SlotApi, SlotCache, SlotMirror
from calcom_pipeline.app.availability.refresh import known_zone
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.domain.availability.models import SlotKey
from calcom_pipeline.domain.errors import CacheError, NotFound
from calcom_pipeline.domain.event_types.models import EventType


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


@dataclass(frozen=True, slots=True)
class Lives:
    """How long a day with and one without a free start is kept; see the settings `slot_ttl_seconds`."""

    some: timedelta
    none: timedelta


class LookedUpDays:
    """Free days as `lookup` answers them. For one question: what an event type is like is read once."""

    def __init__(
        self,
        calcom: SlotApi,
        event_types: EventTypeMirror,
        mirror: SlotMirror,
        cache: SlotCache,
        *,
        now: Callable[[], datetime],
        lives: Lives,
    ) -> None:
        self._calcom = calcom
        self._event_types = event_types
        self._mirror = mirror
        self._cache = cache
        self._now = now
        self._lives = lives
        self._known: dict[int, EventType] | None = None

    def rules(self, event_type_id: int) -> StartRules:
        """See the port."""
        event_type = self._event_type(event_type_id)
        return StartRules(known_zone(event_type), timedelta(minutes=event_type.minimum_notice_minutes))

    def days(self, event_type_id: int, first_day: date, last_day: date, duration_minutes: int | None) -> Availability:
        """See the port."""
        wanted = Wanted(event_type_id, first_day, last_day, duration_minutes)
        return free_slots(self._calcom, self._event_types, self._mirror, self._cache, wanted, now=self._now())

    def fresh_until(
        self, event_type_id: int, first_day: date, last_day: date, duration_minutes: int | None
    ) -> datetime | None:
        """See the port."""
        event_type = self._event_type(event_type_id)
        length, zone = duration_minutes or event_type.duration_minutes, known_zone(event_type).key
        days = (first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1))
        keys = [SlotKey(event_type_id, length, zone, day) for day in days]
        try:
            found = self._cache.get(keys)
        except CacheError:
            return None
        if len(found) < len(keys):
            return None
        ends = (day.fetched_at + (self._lives.some if day.free else self._lives.none) for day in found.values())
        return min(ends, default=None)

    def _event_type(self, event_type_id: int) -> EventType:
        if self._known is None:
            self._known = {one.id: one for one in self._event_types.bookable()}
        if event_type_id not in self._known:
            raise NotFound(f"Event type {event_type_id} is not mirrored, or cannot be booked")
        return self._known[event_type_id]
