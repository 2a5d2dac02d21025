"""Whether cached free times are right: what shadow reads came to, and whether changes reach the cache in time."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from calcom_pipeline.app.availability.ports import ShadowBook, ShadowCounts
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.domain.reasons import NO_REASON, Reason

#: A fact is dealt with within seconds; one that has waited for so long has been tried in vain, or nobody looks.
LONGEST_WAIT = timedelta(minutes=5)


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


def cache_now(book: ShadowBook, facts: WaitingFacts, *, allowed_rate: float, now: datetime) -> CacheNow:
    """Shadow reads of today and yesterday; what external calendars do is seen only when a day's life is over."""
    oldest = facts.oldest_pending_fact()
    behind = max(timedelta(), now - oldest) if oldest is not None else timedelta()
    try:
        return CacheNow(book.lately(), behind, allowed_rate)
    except CacheError as error:
        return CacheNow(behind=behind, allowed_rate=allowed_rate, unread=Reason.of(error))
