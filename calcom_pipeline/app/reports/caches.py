"""Whether cached free times are right: what shadow reads came to, and whether changes reach the cache in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Protocol

from calcom_pipeline.app.availability.ports import ShadowBook, ShadowCounts
from calcom_pipeline.app.reports.models import CacheAges
from calcom_pipeline.domain.availability.models import CachedDay, SlotKey
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.domain.reasons import NO_REASON, Reason

#: A fact is dealt with within seconds; one that has waited for so long has been tried in vain, or nobody looks.
LONGEST_WAIT = timedelta(minutes=5)
#: Enough for a median, and one round trip to Redis.
_SAMPLE = 1000


class WaitingFacts(Protocol):
    """Facts of changes that have not reached the caches."""

    def oldest_pending_fact(self) -> datetime | None:
        """When the oldest of them was written, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class CacheNow:
    """`behind`: how long the oldest change has waited to reach the cache. `unread` says why Redis was not asked."""

    shadow: ShadowCounts = field(default_factory=ShadowCounts)
    behind: timedelta = timedelta()
    allowed_rate: float = 0.0
    unread: Reason = NO_REASON

    @property
    def is_right(self) -> bool:
        """As far as is known."""
        return not self.unread and self.shadow.wrong_rate <= self.allowed_rate and self.behind <= LONGEST_WAIT


class DaysInCache(Protocol):
    """The days in Redis. Raises CacheError."""

    def read(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, CachedDay]:
        """Those that are there, and how fresh."""
        ...


class CacheAgeRecords(Protocol):
    """What the mirror has that is worth caching, and how old the cache was found. Raises StoreError."""

    def some_slot_keys(self, *, today: date, limit: int) -> Sequence[SlotKey]:
        """At most so many of the coming days' keys, at random."""
        ...

    def keep(self, ages: CacheAges, *, now: datetime) -> None:
        """Note a look; of an hour the worst stands."""
        ...


def look_at_ages(records: CacheAgeRecords, cache: DaysInCache, *, now: datetime) -> CacheAges | None:
    """Look at a sample of what can be cached, and keep what came of it; None where nothing is cached.

    Raises:
        CacheError: Redis cannot be asked.
        StoreError: PostgreSQL cannot be asked.
    """
    sample = records.some_slot_keys(today=now.date(), limit=_SAMPLE)
    days = cache.read(sample)
    ages = [(now - one.day.fetched_at).total_seconds() for one in days.values()]
    if not ages:
        return None
    fresh = sum(one.is_fresh for one in days.values())
    found = CacheAges(len(sample), fresh, median(ages), max(ages))
    records.keep(found, now=now)
    return found


def cache_now(book: ShadowBook, facts: WaitingFacts, *, allowed_rate: float, now: datetime) -> CacheNow:
    """Shadow reads of today and yesterday; what external calendars do is seen only when a day's life is over."""
    oldest = facts.oldest_pending_fact()
    behind = max(timedelta(), now - oldest) if oldest is not None else timedelta()
    try:
        return CacheNow(book.lately(), behind, allowed_rate)
    except CacheError as error:
        return CacheNow(behind=behind, allowed_rate=allowed_rate, unread=Reason.of(error))
