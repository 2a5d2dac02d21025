"""What was made of the days of a window, as long as Redis has the same bytes: most askers ask for the same windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from calcom_pipeline.adapters.redis.availability.values import Names, unpacked_day, unpacked_type
from calcom_pipeline.app.availability.ports import DaysLook, DaysSeen, WholeDays
from calcom_pipeline.domain.availability.models import CachedDay, SlotKey

# Windows that are remembered, some 5 KB for each of their days; the busiest windows of a website are fewer.
_MOST_WINDOWS = 512


class Sights:
    """Sights by window. Safe to share among threads: one that is lost is made anew."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._kept: dict[DaysLook | tuple[SlotKey, SlotKey], Sight] = {}

    def of(self, look: DaysLook) -> "Sight":
        """The sight of a look, with the keys that it takes. Days of one look follow each other."""
        if not look.keys:
            return Sight([self._names.type(look.event_type_id)], look)
        ends = look.keys[0], look.keys[-1]
        kept = self._kept.get(ends)
        if kept is None:
            if len(self._kept) >= _MOST_WINDOWS:
                self._kept.clear()
            names = [self._names.type(look.event_type_id), *map(self._names.day, look.keys)]
            kept = self._kept[ends] = Sight(names, look)
        return kept


@dataclass(frozen=True, slots=True)
class _Made:
    values: Sequence[bytes | None]
    seen: DaysSeen
    fresh_until: float


class Sight:
    """The event type's key and those of its days, and what was made of their values last."""

    def __init__(self, names: list[str], look: DaysLook) -> None:
        self.names = names
        self._look = look
        self._made: _Made | None = None

    def seen(self, values: Sequence[bytes | None], now: float) -> tuple[DaysSeen, int]:
        """What these values are at an instant (seconds since 1970), and how many of them cannot be read."""
        made = self._made
        if made is not None and now < made.fresh_until and made.values == values:
            return made.seen, 0
        event_type = unpacked_type(values[0]) if values[0] is not None else None
        if event_type is not None and event_type.id != self._look.event_type_id:
            event_type = None
        keys = self._look.keys
        days, spoiled = cached_days(keys, values[1:], now)
        if not keys or len(days) < len(keys) or not all(cached.is_fresh for cached in days.values()):
            return DaysSeen(event_type, None, days), spoiled
        seen = DaysSeen(event_type, _whole(days))
        # An instant that is fresh no more belongs to the next look.
        self._made = _Made(values, seen, now - max(cached.late_seconds for cached in days.values()))
        return seen, spoiled


def cached_days(
    keys: Sequence[SlotKey], values: Sequence[bytes | None], now: float
) -> tuple[dict[SlotKey, CachedDay], int]:
    """The days that can be read, with how late they are at an instant, and how many values cannot be read."""
    days, there = dict[SlotKey, CachedDay](), 0
    for key, value in zip(keys, values, strict=True):
        if value is not None:
            there += 1
            found = unpacked_day(key, value)
            if found is not None:
                days[key] = CachedDay(found[0], now - found[1])
    return days, there - len(days)


def _whole(days: Mapping[SlotKey, CachedDay]) -> WholeDays:
    free = [slot for cached in days.values() for slot in cached.day.slots if slot.is_free]
    if any(one.start > other.start for one, other in pairwise(free)):
        free.sort(key=lambda slot: slot.start)
    return WholeDays(
        {key: cached.day for key, cached in days.items()},
        tuple(free),
        tuple(slot.start for slot in free),
        min(cached.day.fetched_at for cached in days.values()),
    )
