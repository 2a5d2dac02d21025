"""Free starts for application code: from the cache, asked for where it has none, older ones where nobody answers.

A warm answer takes one look at Redis, two at most (`looking`), and nothing else. What is missing is fetched month by
month, once for all who ask at the same time in any process. What is just past its life is answered at once and
refreshed behind it.
"""

import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Lock
from typing import Any, Protocol

from calcom_pipeline.app.availability.fetching import Fetched, MonthFetches, Stores
from calcom_pipeline.app.availability.looking import Looking, Seen, Wanted
from calcom_pipeline.app.availability.ports import LookupCache, Sharing, SlotApi, SoonLook, Standing, WholeDays
from calcom_pipeline.app.availability.window import MonthWindow, Window, facts_for_lookup
from calcom_pipeline.domain.availability.models import BookableType, CachedDay, Slot, SlotDay, SlotKey
from calcom_pipeline.domain.errors import CacheError, NotFound, PipelineError, StoreError, TransientError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Availability:
    """Free starts (UTC) that may still be booked. `as_of` is when the oldest of the days was read.

    `stale` says that Cal.com could not be asked, or answered some day so that it could not be read, and older days had
    to do. `unread` are days of which nothing is known because of that. Without a day that may still be booked `as_of`
    is the moment of the question. `refreshing` says that some day was just past its life and is read anew behind the
    answer, which is nothing to keep.
    """

    slots: tuple[Slot, ...]
    as_of: datetime | None
    stale: bool = False
    unread: tuple[date, ...] = ()
    refreshing: bool = False

    def age(self, now: datetime) -> timedelta:
        """How old the answer is at most; nothing for one without days."""
        return max(timedelta(), now - self.as_of) if self.as_of else timedelta()


@dataclass(frozen=True, slots=True)
class LookupRules:
    """`revalidate_seconds`: how long past its life a day is answered at once, while it is refreshed.

    `stale_seconds`: how old past its life one may be that is answered because Cal.com cannot be asked, and
    `patience_seconds`: how long Cal.com is waited for by those who could be answered so. `cached_days`: how far ahead
    days are kept.
    """

    revalidate_seconds: float = 30.0
    stale_seconds: float = 3600.0
    patience_seconds: float = 2.0
    cached_days: int = 366


class Background(Protocol):
    """Work that nobody waits for; an executor of threads."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Begin it, or queue it."""
        ...


class Shadow(Protocol):
    """What looks after some cached answers."""

    def seen(self, window: Window, days: Mapping[SlotKey, SlotDay]) -> None:
        """These days were answered from the cache; never raises, never waits."""
        ...


class FreeTimes:
    """Free starts of event types. One instance may be shared by threads.

    `stores` opens what PostgreSQL holds; it is called for event types and days that Redis does not have.
    """

    def __init__(
        self,
        *,
        calcom: SlotApi,
        cache: LookupCache,
        sharing: Sharing,
        background: Background,
        stores: Callable[[], Stores],
        now: Callable[[], datetime],
        rules: LookupRules | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        self._cache = cache
        self._background = background
        self._stores = stores
        self._now = now
        self._rules = rules or LookupRules()
        self._shadow = shadow
        self._fetches = MonthFetches(calcom, cache, sharing, stores, now=now)
        self._refreshing: dict[str, Future[Any]] = {}
        self._looking = Looking(cache, cached_days=self._rules.cached_days)
        self._guard = Lock()

    def days(
        self, event_type_id: int, first_day: date, last_day: date, duration_minutes: int | None = None
    ) -> Availability:
        """What may be booked of whole local days; see `free_slots`."""
        return self.free_slots(Wanted(event_type_id, first_day, last_day, duration_minutes))

    def free_slots(self, wanted: Wanted) -> Availability:
        """What may be booked; minimum notice is applied now, so that a cached day does not go stale by itself.

        A start that has no seat left is not among them, nor one in the past. It is waited for Cal.com, but not for
        ever: at most as long as a flight of another may take and then one of its own.

        Raises:
            NotFound: no bookable event type of this id is mirrored.
            InvalidInput: the days or the length are none that can be asked for.
            ContractBroken: the event type's zone is none that our rules know.
            TransientError: Cal.com cannot be asked, and no older days are there.
        """
        now = self._now()
        seen = self._seen(wanted, now)
        event_type = seen.event_type or self._mirrored(wanted.event_type_id)
        window = seen.window or self._looking.window(wanted, event_type, now)
        self._cache.count(event_type.id, window.duration_minutes, 1)
        if seen.whole is not None:
            return self._from_cache(window, seen.whole, now)
        return self._answer(window, self._found(window, seen.known), now)

    async def cached(self, questions: Sequence[Wanted], look: SoonLook) -> list[Availability | None]:
        """Answers of which every day is cached and fresh, in one look for all; None for the others.

        Asks nobody else. Raises CacheError.
        """
        now, times = self._now(), dict[Wanted, int]()
        for one in questions:
            times[one] = times.get(one, 0) + 1
        looked = await self._looking.soon(list(times), now, look)
        answers: dict[Wanted, Availability] = {}
        for wanted, seen in zip(times, looked, strict=True):
            if seen.whole is not None and seen.window is not None:
                self._cache.count(wanted.event_type_id, seen.window.duration_minutes, times[wanted])
                answers[wanted] = self._from_cache(seen.window, seen.whole, now)
        return [answers.get(wanted) for wanted in questions]

    def event_type(self, event_type_id: int) -> BookableType:
        """What lookups know of an event type: from Redis; else from PostgreSQL, and kept. Raises NotFound."""
        try:
            (known,) = self._looking.types([event_type_id])
        except CacheError:
            known = None
        return known or self._mirrored(event_type_id)

    # --- inside ------------------------------------------------------------------------------------------

    def _seen(self, wanted: Wanted, now: datetime) -> Seen:
        try:
            return self._looking.of([wanted], now)[0]
        except CacheError as error:
            _LOG.warning("Event type %s is read from PostgreSQL: %s", wanted.event_type_id, error)
            return Seen()

    def _from_cache(self, window: Window, whole: WholeDays, now: datetime) -> Availability:
        if self._shadow is not None:
            self._shadow.seen(window, whole.days)
        first = bisect_left(whole.starts, now + timedelta(minutes=window.event_type.minimum_notice_minutes))
        return Availability(whole.free[first:], whole.as_of)

    def _answer(self, window: Window, found: Fetched, now: datetime) -> Availability:
        earliest = now + timedelta(minutes=window.event_type.minimum_notice_minutes)
        days = [found.days[key] for key in window.keys if key in found.days]
        slots = tuple(slot for day in days for slot in day.slots if slot.start >= earliest and slot.is_free)
        unread = tuple(key.day for key in window.keys if key not in found.days)
        as_of = min((day.fetched_at for day in days), default=None if unread else now)
        return Availability(slots, as_of, found.stale, unread, found.refreshing)

    def _mirrored(self, event_type_id: int) -> BookableType:
        """An event type as PostgreSQL has it, and kept. Raises NotFound."""
        standing: Standing | None = None
        with suppress(CacheError):  # then it is not kept
            standing = self._cache.generations([event_type_id])[event_type_id]
        mirrored = self._stores().event_types.bookable_one(event_type_id)
        if mirrored is None:
            raise NotFound(f"Event type {event_type_id} is not mirrored, or cannot be booked")
        found = facts_for_lookup(mirrored)
        if standing is not None:
            with suppress(CacheError):  # the next lookup reads PostgreSQL again
                self._cache.store_type(found, standing=standing)
        return found

    def _found(self, window: Window, seen: Mapping[SlotKey, CachedDay]) -> Fetched:
        """The days, of which some are not cached or not fresh."""
        known = {key: cached for key, cached in seen.items() if cached.late_seconds < self._rules.stale_seconds}
        late = {key: cached for key, cached in known.items() if not cached.is_fresh}
        days = {key: cached.day for key, cached in known.items()}
        missing = [key for key in window.keys if key not in known]
        if missing:
            return self._fetched(window, known)
        running = [self._refresh(month) for month in window.months(late)]
        due = {key for key, cached in late.items() if cached.late_seconds >= self._rules.revalidate_seconds}
        newer = self._waited_for(running) if due else {}
        days = {key: newer.get(key, day) for key, day in days.items()}
        return Fetched(days, stale=not due <= newer.keys(), refreshing=not late.keys() <= newer.keys())

    def _waited_for(self, running: "list[Future[Fetched | None]]") -> dict[SlotKey, SlotDay]:
        """Newer days, waited for a moment."""
        newer: dict[SlotKey, SlotDay] = {}
        deadline = time.monotonic() + self._rules.patience_seconds
        for future in running:
            with suppress(FutureTimeout):
                found = future.result(max(0.0, deadline - time.monotonic()))
                newer |= found.days if found else {}
        return newer

    def _refresh(self, month: MonthWindow) -> "Future[Fetched | None]":
        """Fetch a month's late days behind the answer, once for all threads of this process."""
        with self._guard:
            running = self._refreshing.get(month.name)
            if running is not None and not running.done():
                return running
            self._refreshing = {name: future for name, future in self._refreshing.items() if not future.done()}
        # Not under the lock: two that begin at once share a fetch all the same.
        begun = self._background.submit(self._refreshing_of, month)
        with self._guard:
            self._refreshing[month.name] = begun
        return begun

    def _refreshing_of(self, month: MonthWindow) -> Fetched | None:
        try:
            return self._fetches.of(month)
        except PipelineError as error:
            _LOG.info("Slots of event type %s stay as they are: %s", month.window.event_type.id, error)
            return None

    def _fetched(self, window: Window, known: Mapping[SlotKey, CachedDay]) -> Fetched:
        """What is missing or late, from Cal.com; else what is known of it."""
        days = {key: cached.day for key, cached in known.items()}
        stale, lacking = False, [key for key in window.keys if key not in known or not known[key].is_fresh]
        for month in window.months(lacking):
            try:
                days |= self._fetches.of(month).days
            except TransientError as error:
                older = self._older(window)
                if any(key not in days and key not in older for key in month.wanted):
                    raise
                _LOG.info("Older slots of event type %s are answered: %s", window.event_type.id, error)
                days, stale = {**older, **days}, True
        if any(key not in days for key in window.keys):  # Cal.com answered, but some day cannot be read
            older = self._older(window)
            stale = stale or any(key not in days for key in older)
            days = {**older, **days}
        return Fetched(days, stale)

    def _older(self, window: Window) -> dict[SlotKey, SlotDay]:
        """The days as PostgreSQL has them, unless they are too old; none where it is away."""
        since = self._now() - timedelta(seconds=self._rules.stale_seconds)
        try:
            found = self._stores().slots.days(window.query(window.keys))
            return {day.key: day for day in found if day.fetched_at >= since}
        except StoreError as error:
            _LOG.warning("No older slots of event type %s: %s", window.event_type.id, error)
            return {}


class WarmTimes:
    """Free starts that are warm, asked for from an event loop. `look` is the cache's."""

    def __init__(self, free_times: FreeTimes, look: SoonLook) -> None:
        self._free_times = free_times
        self._look = look

    async def availability(self, questions: Sequence[Wanted]) -> list[Availability | None]:
        """Answers whose every day is cached and fresh, in one look for all; None for the others. Raises CacheError."""
        return await self._free_times.cached(questions, self._look)
