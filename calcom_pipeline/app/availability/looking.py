"""The look at the cache that begins every lookup: one round trip, or two where an event type is not as it was.

Which days are to be looked at depends on the event type (its zone, its length). So they are looked at together with
it, as it was seen last in this process; where it turns out to be another, once more.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from calcom_pipeline.app.availability.ports import DaysLook, DaysSeen, LookupCache, SoonLook, WholeDays
from calcom_pipeline.app.availability.window import Window, window_of
from calcom_pipeline.domain.availability.models import BookableType, CachedDay, SlotKey
from calcom_pipeline.domain.errors import InvalidInput
from calcom_pipeline.domain.zones import zone_of

# What a process remembers; beyond that it starts anew.
_MOST_TYPES = 20_000
_MOST_WINDOWS = 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which starts: of one event type, in whole local days of its schedule's zone, of one of its lengths."""

    event_type_id: int
    first_day: date
    last_day: date
    duration_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the cache has of a question: all of its days, fresh (`whole`), or some (`known`), fresh or not.

    `event_type` is None where the cache has none, `window` where the question cannot be asked of this event type.
    """

    event_type: BookableType | None = None
    window: Window | None = None
    whole: WholeDays | None = None
    known: Mapping[SlotKey, CachedDay] = field(default_factory=dict[SlotKey, CachedDay])


class Looking:
    """Looks at a cache. Safe to share among threads: what one forgets is only looked at once more."""

    def __init__(self, cache: LookupCache, *, cached_days: int) -> None:
        self._cache = cache
        self._cached_days = cached_days
        self._types: dict[int, BookableType] = {}
        self._windows: dict[Wanted, Window] = {}

    def types(self, event_type_ids: Sequence[int]) -> Sequence[BookableType | None]:
        """Event types as the cache has them. Raises CacheError."""
        return [seen.event_type for seen in self._cache.look([DaysLook(number) for number in event_type_ids])]

    def of(self, questions: Sequence[Wanted], now: datetime) -> list[Seen]:
        """What the cache has of each question. Raises CacheError."""
        steps = self._steps(questions, now)
        looks = next(steps)
        while True:
            try:
                looks = steps.send(self._cache.look(looks))
            except StopIteration as ended:
                return ended.value

    async def soon(self, questions: Sequence[Wanted], now: datetime, look: SoonLook) -> list[Seen]:
        """The same, without a thread that waits."""
        steps = self._steps(questions, now)
        looks = next(steps)
        while True:
            seen = await look(looks)
            try:
                looks = steps.send(seen)
            except StopIteration as ended:
                return ended.value

    def window(self, wanted: Wanted, event_type: BookableType, now: datetime) -> Window:
        """The days of a question. Raises InvalidInput."""
        known = self._windows.get(wanted)
        today = now.astimezone(zone_of(event_type.zone)).date()
        if known is not None and known.event_type is event_type and known.today == today:
            return known
        made = window_of(
            event_type,
            first_day=wanted.first_day,
            last_day=wanted.last_day,
            duration_minutes=wanted.duration_minutes,
            now=now,
            cached_days=self._cached_days,
        )
        if len(self._windows) >= _MOST_WINDOWS:
            self._windows.clear()
        self._windows[wanted] = made
        return made

    def _steps(
        self, questions: Sequence[Wanted], now: datetime
    ) -> Generator[Sequence[DaysLook], Sequence[DaysSeen], list[Seen]]:
        """What is to be looked at, one or two times; whoever drives this sends what was seen."""
        believed = [self._types.get(one.event_type_id) for one in questions]
        windows = self._windows_of(questions, believed, now)
        looked = yield _looks(questions, windows)
        found = [_seen(window, seen) for window, seen in zip(windows, looked, strict=True)]
        others = [at for at, seen in enumerate(looked) if seen.event_type not in (None, believed[at])]
        if not others:
            return found
        kinds = [looked[at].event_type for at in others]
        for kind in kinds:
            self._remember(kind)
        again = [questions[at] for at in others]
        windows = self._windows_of(again, kinds, now)
        looked = yield _looks(again, windows)
        for at, kind, window, seen in zip(others, kinds, windows, looked, strict=True):
            # Changed again meanwhile: the days are of another window.
            found[at] = _seen(window, seen) if seen.event_type == kind else Seen()
        return found

    def _windows_of(
        self, questions: Sequence[Wanted], kinds: Sequence[BookableType | None], now: datetime
    ) -> list[Window | None]:
        return [
            None if kind is None else self._askable(wanted, kind, now)
            for wanted, kind in zip(questions, kinds, strict=True)
        ]

    def _askable(self, wanted: Wanted, event_type: BookableType, now: datetime) -> Window | None:
        """The window; None where it cannot be asked for. The event type may be another now, so nothing is raised."""
        try:
            return self.window(wanted, event_type, now)
        except InvalidInput:
            return None

    def _remember(self, event_type: BookableType | None) -> None:
        if event_type is not None:
            if len(self._types) >= _MOST_TYPES:
                self._types.clear()
            self._types[event_type.id] = event_type


def _seen(window: Window | None, seen: DaysSeen) -> Seen:
    """Nothing where the event type is not cached: what it was believed to be may be over, and its days with it."""
    return Seen() if seen.event_type is None else Seen(seen.event_type, window, seen.whole, seen.days)


def _looks(questions: Sequence[Wanted], windows: Sequence[Window | None]) -> list[DaysLook]:
    return [
        DaysLook(wanted.event_type_id, window.keys if window is not None else ())
        for wanted, window in zip(questions, windows, strict=True)
    ]
