"""Fetch a month's days once for all who ask for any of them at the same time."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from calcom_pipeline.app.availability.ports import LookupCache, Sharing, SlotApi, SlotMirror, Standing
from calcom_pipeline.app.availability.window import MonthWindow, short_lives, spelled
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.domain.availability.models import CachedDay, SlotDay, SlotKey
from calcom_pipeline.domain.errors import CacheError, StoreError
from calcom_pipeline.domain.listed import Listed

_LOG = logging.getLogger(__name__)
# Answers that are not kept in Redis are remembered for those who wait for them just now.
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Stores:
    """What PostgreSQL has: event types, and slots as they were read last."""

    event_types: EventTypeMirror
    slots: SlotMirror


@dataclass(frozen=True, slots=True)
class Fetched:
    """Days by key; `stale` when some are older than they should be, `refreshing` when some just past their life are."""

    days: Mapping[SlotKey, SlotDay] = field(default_factory=dict[SlotKey, SlotDay])
    stale: bool = False
    refreshing: bool = False


class MonthFetches:
    """Months of event types. Safe to share among threads."""

    def __init__(
        self,
        calcom: SlotApi,
        cache: LookupCache,
        sharing: Sharing,
        stores: Callable[[], Stores],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._calcom = calcom
        self._cache = cache
        self._sharing = sharing
        self._stores = stores
        self._now = now
        self._latest: OrderedDict[str, tuple[float, Fetched]] = OrderedDict()
        self._guard = Lock()

    def of(self, month: MonthWindow) -> Fetched:
        """The wanted days of a month, fresh. Days that could not be read are missing.

        Who waits for another's fetch is answered with what it stored; with what it found but could not store only where
        it began after they had asked, since a change may lie in between.

        Raises:
            TransientError: Cal.com cannot be asked, or another's fetch did not end in time.
        """
        asked = time.monotonic()

        def look() -> Fetched | None:
            fresh = self._fresh(month)
            if fresh is not None:
                return fresh
            with self._guard:
                began, latest = self._latest.get(month.name, (-1.0, Fetched()))
            return latest if began >= asked else None

        return self._sharing.run(month.name, look=look, fly=lambda _: self._flown(month))

    def _fresh(self, month: MonthWindow) -> Fetched | None:
        try:
            found = self._cache.read(month.wanted)
        except CacheError:
            return None
        days = {key: cached.day for key, cached in found.items() if cached.is_fresh}
        return Fetched(days) if len(days) == len(month.wanted) else None

    def _flown(self, month: MonthWindow) -> Fetched:
        """Ask Cal.com for the days of the month that are missing, from the first to the last of them."""
        began, kind = time.monotonic(), month.window.event_type
        read: Mapping[SlotKey, CachedDay] = {}
        standing: Standing | None = None
        try:
            standing = self._cache.generations([kind.id])[kind.id]
            read = self._cache.read(month.keys)
        except CacheError as error:
            _LOG.warning("Slots of event type %s are fetched without a cache: %s", kind.id, error)
        known = {key: cached.day for key, cached in read.items() if cached.is_fresh}
        missing = [key for key in month.keys if key not in known]
        if not missing:
            return Fetched(known)
        asked_at = self._now()
        found = self._calcom.free_days(spelled(month.window.query(missing), standing))
        was_empty = frozenset(key for key, cached in read.items() if not cached.day.free)
        self._keep(month, found, standing, asked_at, was_empty)
        fetched = Fetched({**known, **{day.key: day for day in found}})
        with self._guard:
            self._latest[month.name] = (began, fetched)
            self._latest.move_to_end(month.name)
            if len(self._latest) > _REMEMBERED:
                self._latest.popitem(last=False)
        return fetched

    def _keep(
        self,
        month: MonthWindow,
        found: Listed[SlotDay],
        standing: Standing | None,
        asked_at: datetime,
        was_empty: frozenset[SlotKey],
    ) -> None:
        """In Redis first: what is not kept there, since a change came in between, is not kept elsewhere either."""
        kept = [day for day in found if day.key.day <= month.window.last_cached]
        kind = month.window.event_type
        if standing is not None:
            short = short_lives(kept, kind, found_at=asked_at)
            try:
                stored = self._cache.store(kept, generations={kind.id: standing}, at_most=short, still_empty=was_empty)
                if kept and not stored:
                    return
            except CacheError as error:
                _LOG.warning("Slots of event type %s are not cached: %s", kind.id, error)
        try:
            self._stores().slots.store(Listed(tuple(kept), found.unreadable))
        except StoreError as error:
            _LOG.warning("Slots of event type %s are not mirrored: %s", kind.id, error)
