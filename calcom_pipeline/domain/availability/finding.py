"""Which of the free starts somebody wants: the nearest ones, the first one, how many a day has.

Instants are compared as instants; days, weekdays and times of day are those of the schedule's zone, so that in the
night when clocks go back a time that comes twice counts both times. Pure: nothing reads a clock.
"""

import calendar
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from calcom_pipeline.domain.availability.models import Slot

_WEEK = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Alternative:
    """A start (UTC) that may be booked; seats where the event type has them."""

    event_type_id: int
    start: datetime
    seats_remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Nearest first. `as_of` is when the oldest of the days looked at was read; None where none had to be.

    `stale`: Cal.com could not be asked, or answered some day so that it could not be read, and older days had to do.
    """

    starts: tuple[Alternative, ...]
    as_of: datetime | None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many starts of a local day may be booked."""

    day: date
    free: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What one event type offers, in its schedule's zone; `not_before` is now and its minimum notice."""

    event_type_id: int
    zone: ZoneInfo
    not_before: datetime
    slots: tuple[Slot, ...]

    def open(self) -> Iterator[Slot]:
        """Starts with a seat left that may still be booked."""
        return (slot for slot in self.slots if slot.is_free and slot.start >= self.not_before)


@dataclass(frozen=True, slots=True)
class Wishes:
    """Which starts are wanted: `weekdays` (0 = Monday), a time of day from `earliest` to `latest`, both inclusive.

    An `earliest` after `latest` means over midnight. `within_days` counts local days before and after the wanted one.
    """

    within_days: int = 14
    weekdays: frozenset[int] = _WEEK
    earliest: time = time.min
    latest: time = time.max

    def suit(self, local: datetime, around: date) -> bool:
        """Whether a local start is one of them, for somebody who wanted the local day `around`."""
        if local.weekday() not in self.weekdays or abs((local.date() - around).days) > self.within_days:
            return False
        clock = local.time()
        if self.earliest <= self.latest:
            return self.earliest <= clock <= self.latest
        return clock >= self.earliest or clock <= self.latest


def nearest(offers: Sequence[Offer], *, around: datetime, count: int, wishes: Wishes) -> tuple[Alternative, ...]:
    """At most `count` free starts, nearest to `around` first, a free `around` itself included.

    The law: those of the same local day (each in its own event type's zone) before all others; then the shorter
    distance; then the earlier one. A start that several event types offer comes once, of the one that is named first.
    """
    wanted = around.astimezone(UTC)
    best: dict[datetime, tuple[tuple[bool, timedelta, datetime], Alternative]] = {}
    for offer in offers:
        day = wanted.astimezone(offer.zone).date()
        for slot in offer.open():
            local = slot.start.astimezone(offer.zone)
            if slot.start in best or not wishes.suit(local, day):
                continue
            law = (local.date() != day, abs(slot.start - wanted), slot.start)
            best[slot.start] = law, Alternative(offer.event_type_id, slot.start, slot.seats_remaining)
    ordered = sorted(best.values(), key=lambda one: one[0])
    return tuple(alternative for _, alternative in ordered[:count])


def first(offers: Sequence[Offer], *, after: datetime, until: datetime | None = None) -> Alternative | None:
    """The earliest free start from `after` on, before `until`; of several event types at once the one named first."""
    found = [
        (slot.start, place, Alternative(offer.event_type_id, slot.start, slot.seats_remaining))
        for place, offer in enumerate(offers)
        for slot in offer.open()
        if slot.start >= after and (until is None or slot.start < until)
    ]
    return min(found, key=lambda one: one[:2])[2] if found else None


def per_day(offer: Offer, days: Iterable[date]) -> tuple[DayCount, ...]:
    """How many starts each of these local days has, one entry per day, in the order given."""
    counts: dict[date, int] = {}
    for slot in offer.open():
        day = slot.start.astimezone(offer.zone).date()
        counts[day] = counts.get(day, 0) + 1
    return tuple(DayCount(day, counts.get(day, 0)) for day in days)


def days_of(year: int, month: int) -> tuple[date, ...]:
    """The days of a month."""
    return tuple(date(year, month, n + 1) for n in range(calendar.monthrange(year, month)[1]))


def days_around(around: datetime, zone: ZoneInfo, *, within_days: int, not_before: datetime) -> tuple[date, date]:
    """First and last local day to look at; none before that of `not_before`. The last may lie before the first."""
    middle = around.astimezone(zone).date()
    first_day = max(middle - timedelta(days=within_days), not_before.astimezone(zone).date())
    return first_day, middle + timedelta(days=within_days)
