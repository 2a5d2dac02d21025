"""What use cases need of slots: Cal.com, their mirror, the cached days, the outbox of changes."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.availability.changes import AffectedDays, ChangeEvent
from calcom_pipeline.domain.availability.finding import Alternatives
from calcom_pipeline.domain.availability.holds import Hold
from calcom_pipeline.domain.availability.models import BookableType, CachedDay, Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.availability.questions import NearestQuestion
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.listed import Listed

T = TypeVar("T")


class SlotApi(Protocol):
    """Free starts, asked for with the canonical query only."""

    def free_days(self, query: SlotQuery) -> Listed[SlotDay]:
        """One entry per day asked for, empty days included, in order. Days that cannot be read have none."""
        ...


class SlotMirror(Protocol):
    """The table `slots`."""

    def store(self, days: Listed[SlotDay]) -> Changes:
        """Write whole days; a day that is the same only gets its `fetched_at`. Unreadable ones go to quarantine."""
        ...

    def days(self, query: SlotQuery) -> list[SlotDay]:
        """The stored days of a query, in order."""
        ...

    def prune(self, *, first_day: date, event_type_ids: Sequence[int]) -> int:
        """Drop days before `first_day` and days of event types that are not named; how many."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How often an event type was cleared, and for how many seconds yet what is fetched of it is provisional."""

    number: int = 0
    settles_seconds: float = 0.0


class SlotCache(Protocol):
    """The days in Redis that the website reads."""

    def generations(self, event_type_ids: Sequence[int]) -> Mapping[int, Standing]:
        """Where each event type stands; read before Cal.com is asked."""
        ...

    def store(
        self,
        days: Sequence[SlotDay],
        *,
        generations: Mapping[int, Standing],
        at_most: Mapping[SlotKey, float] | None = None,
        still_empty: Collection[SlotKey] = (),
    ) -> int:
        """Keep whole days for their lifetime, unless they were cleared since; how many were kept.

        `at_most`: seconds that some days may live at most. `still_empty`: days that had no free start before either;
        they live as long as others.
        """
        ...

    def get(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, SlotDay]:
        """The fresh days that are there; a value that cannot be read is not."""
        ...

    def spoiled(self) -> int:
        """Values that could not be read and were taken for missing, since this cache was opened."""
        ...


@dataclass(frozen=True, slots=True)
class DaysLook:
    """What to look for: an event type, and days that are cut and measured as it is believed to be; or it alone."""

    event_type_id: int
    keys: tuple[SlotKey, ...] = ()


@dataclass(frozen=True, slots=True)
class WholeDays:
    """Days of which every one was there and fresh. `free` are their starts that may be booked, in order."""

    days: Mapping[SlotKey, SlotDay]
    free: tuple[Slot, ...]
    starts: tuple[datetime, ...]
    as_of: datetime


@dataclass(frozen=True, slots=True)
class DaysSeen:
    """What was there: the event type, and either `whole` or those of the days that can be read, fresh or not."""

    event_type: BookableType | None
    whole: WholeDays | None = None
    days: Mapping[SlotKey, CachedDay] = field(default_factory=dict[SlotKey, CachedDay])


#: As `LookupCache.look`, without a thread that waits.
SoonLook = Callable[[Sequence[DaysLook]], Awaitable[Sequence[DaysSeen]]]


class LookupCache(SlotCache, Protocol):
    """The same, as a lookup needs it: with event types, and with days that are past their life."""

    def look(self, looks: Sequence[DaysLook]) -> Sequence[DaysSeen]:
        """What there is, in one round trip for all. The same object comes again for what has not changed."""
        ...

    def count(self, event_type_id: int, duration_minutes: int, times: int) -> None:
        """Somebody asked for it; costs no round trip of its own."""
        ...

    def store_type(self, event_type: BookableType, *, standing: Standing) -> bool:
        """Keep an event type, unless it was cleared since."""
        ...

    def read(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, CachedDay]:
        """The days that are there, and how fresh."""
        ...


class Sharing(Protocol):
    """One caller at a time does what all wait for, over threads and processes."""

    def run(self, key: str, *, look: Callable[[], T | None], fly: Callable[[str], T]) -> T:
        """What `look` finds, else what `fly` brings; of all who ask at once only one flies.

        Raises:
            WaitedTooLong: another's flight did not end in time.
        """
        ...

    def try_run(self, key: str, fly: Callable[[str], object]) -> bool:
        """Fly if nobody else does; False, at once, if somebody does."""
        ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is pending in the outbox, and how much of it is due. It differs whenever a fact is added, tried or done."""

    pending: int
    newest: int | None
    attempts: int
    due: int

    @property
    def key(self) -> str:
        """Names the cause of a run."""
        return f"invalidations:{self.newest}:{self.pending}:{self.attempts}"


class Outbox(Protocol):
    """Facts of changes that caches have not heard of yet."""

    def pending(self, *, limit: int) -> list[ChangeEvent]:
        """Facts that are due, oldest first."""
        ...

    def concerned_by(self, facts: Sequence[ChangeEvent]) -> list[list[EventType]]:
        """Per fact the event types it is about: its own, and all that its users host. One look for all facts."""
        ...

    def done(self, facts: Sequence[ChangeEvent], result: Mapping[str, Any]) -> int:
        """These were applied; how many nobody had closed before."""
        ...

    def failed(self, facts: Sequence[ChangeEvent], error: str) -> int:
        """These stay pending and are due again after a growing pause; how many nobody had closed before."""
        ...


@dataclass(frozen=True, slots=True)
class CacheClearResult:
    """What clearing did to one layer of the cache: keys that were there and are gone, and errors."""

    layer: str
    keys: int
    errors: tuple[str, ...] = ()


class CacheClearer(Protocol):
    """Clears what may be wrong; every layer is tried, whatever became of the others."""

    def clear(self, affected: Sequence[AffectedDays]) -> list[CacheClearResult]:
        """One result per layer."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What the cache has of a question, and how often each event type of it was cleared by then."""

    found: Alternatives | None
    generations: tuple[str, ...]


class AlternativesCache(Protocol):
    """Answers by question."""

    def look(self, question: NearestQuestion) -> Kept:
        """The answer, if one is kept and none of its event types was cleared since. Raises CacheError."""
        ...

    def keep(
        self, question: NearestQuestion, found: Alternatives, *, generations: Sequence[str], seconds: float
    ) -> bool:
        """Keep an answer for so long, unless one of its event types was cleared since; whether. Raises CacheError."""
        ...


class ChangeOutbox(Outbox, Protocol):
    """An outbox that takes facts of a change nobody stored in PostgreSQL."""

    def add(self, facts: Sequence[ChangeEvent]) -> list[ChangeEvent]:
        """Add facts in a transaction of their own; the same with their ids."""
        ...


class HoldOutbox(ChangeOutbox, Protocol):
    """... and facts of a change that is yet to come."""

    def add_later(self, facts: Sequence[ChangeEvent], *, due: datetime) -> list[ChangeEvent]:
        """Add facts that are due at an instant, not before; the same with their ids."""
        ...


class HeldDays(Protocol):
    """What the cache knows of holds."""

    def note(self, affected: Sequence[AffectedDays], *, seconds: float) -> None:
        """What is stored of these days from now on lives no longer than so many seconds. Raises CacheError."""
        ...


class HoldApi(Protocol):
    """Holds at Cal.com (fact sheet 5.2). They know nobody: whoever has the uid may read, move and release one."""

    def hold_start(
        self, event_type_id: int, start: datetime, *, minutes: int | None, duration_minutes: int | None
    ) -> Hold:
        """Hold a start for so many minutes (None: Cal.com's 5), never sent twice.

        Raises:
            Conflict: it is held or booked.
            NotFound: there is no such event type.
            CalcomError: with `exchange.in_doubt` where it may be held although no usable answer came.
        """
        ...

    def move_hold(self, hold: Hold, start: datetime, *, minutes: int | None, duration_minutes: int | None) -> Hold:
        """Hold another start instead, for so many minutes from now; the uid stays. Raises as `hold_start`."""
        ...

    def read_hold(self, uid: str) -> Hold | None:
        """The hold; None when it is unknown, was released, or is over by Cal.com's own clock."""
        ...

    def release_hold(self, uid: str) -> None:
        """End a hold; an unknown one is no error."""
        ...


@dataclass(frozen=True, slots=True)
class ShadowCounts:
    """What shadow reads came to: answers and days compared, starts that either side shows, those that only one does."""

    answers: int = 0
    days: int = 0
    starts: int = 0
    wrong_starts: int = 0

    @property
    def wrong_rate(self) -> float:
        """The part of starts that is wrong, from 0 to 1."""
        return self.wrong_starts / self.starts if self.starts else 0.0


class ShadowBook(Protocol):
    """Where counts are kept, for all processes."""

    def add(self, counts: ShadowCounts) -> None:
        """Add to today's."""
        ...

    def lately(self) -> ShadowCounts:
        """Today's and yesterday's (UTC)."""
        ...
