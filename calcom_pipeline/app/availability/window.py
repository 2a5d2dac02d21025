"""What is asked for: whole local days, month by month, spelled so that Cal.com does not repeat an old answer."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from calcom_pipeline.app.availability.ports import Standing
from calcom_pipeline.domain.availability.models import BookableType, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.errors import ContractBroken, InvalidInput
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.zones import UnknownZoneError, zone_of

#: Seconds of the last minute of a day by which an end may be moved: starts lie on whole minutes, and the second before
#: midnight is taken already. A spelling comes again after so many clearings, and Cal.com has forgotten it after 2 s.
SPELLINGS = 58
#: Longest stretch of one question: what a year's overview takes.
LONGEST_DAYS = 366
#: Farthest day that is asked for; a date beyond is a mistake.
FARTHEST_DAYS = 3660
_HOUR = 60


def known_zone(event_type: EventType) -> ZoneInfo:
    """The zone that an event type's slots are asked for in.

    Raises:
        ContractBroken: it is none that our rules know.
    """
    try:
        return zone_of(event_type.schedule_zone or "UTC")
    except UnknownZoneError as error:
        raise ContractBroken(
            f"Event type {event_type.id}: {error}",
            advice="Correct the zone of its schedule at Cal.com, or install a newer tzdata.",
        ) from None


def facts_for_lookup(event_type: EventType) -> BookableType:
    """What lookups must know of an event type.

    Raises:
        ContractBroken: its zone is none that our rules know.
    """
    return BookableType(
        id=event_type.id,
        zone=known_zone(event_type).key,
        duration_minutes=event_type.duration_minutes,
        duration_options=event_type.duration_options,
        minimum_notice_minutes=event_type.minimum_notice_minutes,
        slot_interval_minutes=event_type.slot_interval_minutes,
        before_buffer_minutes=event_type.before_buffer_minutes,
        after_buffer_minutes=event_type.after_buffer_minutes,
        seats_per_slot=event_type.seats_per_slot,
    )


def spelled(query: SlotQuery, standing: Standing | None) -> SlotQuery:
    """The query as it is asked since the last clearing, which is not how it was asked before.

    Without a standing nobody knows of clearings: then it is spelled at random.
    """
    number = standing.number if standing is not None else random.randrange(SPELLINGS)  # noqa: S311 - no secret
    return replace(query, spelling=number % SPELLINGS)


def respelled(query: SlotQuery) -> SlotQuery:
    """The same question in words that nothing else is asked in."""
    return replace(query, spelling=(query.spelling + SPELLINGS // 2) % SPELLINGS)


def short_lives(days: Iterable[SlotDay], event_type: BookableType, *, found_at: datetime) -> dict[SlotKey, float]:
    """Seconds that some days may live at most.

    The day in which the minimum notice ends is a function of now where the pace of starts does not divide the hour
    (fact sheet 11): it lives for one pace.
    """
    short: dict[SlotKey, float] = {}
    notice_ends = found_at + timedelta(minutes=event_type.minimum_notice_minutes)
    for day in days:
        pace = event_type.interval_minutes(day.key.duration_minutes)
        if _HOUR % pace and notice_ends.astimezone(zone_of(day.key.zone)).date() == day.key.day:
            short[day.key] = pace * 60.0
    return short


@dataclass(frozen=True, slots=True)
class Window:
    """Days that are asked for of one event type and length. Days that are over, which nobody can book, are left out.

    `today` is the local one; `last_cached` the last day that is kept: changes of later days are told to nobody.
    """

    event_type: BookableType
    duration_minutes: int
    keys: tuple[SlotKey, ...]
    today: date
    last_cached: date

    def months(self, keys: Iterable[SlotKey]) -> "list[MonthWindow]":
        """The local months of some of its days."""
        grouped = groupby(sorted(keys, key=lambda key: key.day), key=lambda key: key.day.replace(day=1))
        return [MonthWindow(self, first, tuple(found)) for first, found in grouped]

    def query(self, days: Sequence[SlotKey]) -> SlotQuery:
        """The canonical query from the first to the last of some days, in order."""
        kind = self.event_type
        choose = bool(kind.duration_options)
        return SlotQuery(kind.id, self.duration_minutes, kind.zone, days[0].day, days[-1].day, choose_duration=choose)


@dataclass(frozen=True, slots=True)
class MonthWindow:
    """The unit of a fetch: a month in the event type's zone, of which some days are wanted."""

    window: Window
    first: date
    wanted: tuple[SlotKey, ...]

    @property
    def name(self) -> str:
        """What askers share a fetch by. Days that are not kept are another fetch."""
        window = self.window
        far = ":far" if self.is_far else ""
        kind = window.event_type
        return f"slots:{kind.id}:{window.duration_minutes}:{kind.zone}:{self.first:%Y-%m}{far}"

    @property
    def is_far(self) -> bool:
        """Whether a wanted day lies beyond those that are kept."""
        return self.wanted[-1].day > self.window.last_cached

    @property
    def keys(self) -> list[SlotKey]:
        """Its days that may be fetched: from today on, no farther than days are kept unless somebody wants them."""
        window = self.window
        next_month = (self.first + timedelta(days=32)).replace(day=1)
        first = max(self.first, window.today)
        last = min(next_month - timedelta(days=1), max(window.last_cached, self.wanted[-1].day))
        return days_between(window.event_type, window.duration_minutes, first, last)


def window_of(
    event_type: BookableType,
    *,
    first_day: date,
    last_day: date,
    duration_minutes: int | None,
    now: datetime,
    cached_days: int,
) -> Window:
    """The days of a question; `cached_days` is how far ahead days are kept.

    Raises:
        InvalidInput: the days are in the wrong order or too many, or the length is none of the event type's.
    """
    minutes = duration_minutes or event_type.duration_minutes
    today = now.astimezone(zone_of(event_type.zone)).date()
    problems: list[str] = []
    if last_day < first_day:
        problems.append(f"last_day: {last_day} is before the first day, {first_day}")
    if (last_day - first_day).days >= LONGEST_DAYS:
        problems.append(f"last_day: more than {LONGEST_DAYS} days are asked for")
    if (last_day - today).days > FARTHEST_DAYS:
        problems.append(f"last_day: {last_day} is more than {FARTHEST_DAYS} days ahead")
    if minutes not in event_type.lengths and duration_minutes:
        offered = ", ".join(map(str, event_type.lengths))
        problems.append(f"duration_minutes: {minutes} is none of event type {event_type.id}, which offers {offered}")
    if problems:
        raise InvalidInput(problems)
    keys = days_between(event_type, minutes, max(first_day, today), last_day)
    return Window(event_type, minutes, tuple(keys), today, today + timedelta(days=cached_days))


def days_between(event_type: BookableType, duration_minutes: int, first: date, last: date) -> list[SlotKey]:
    """The keys of days, both ends included; none where they are in the wrong order."""
    return [
        SlotKey(event_type.id, duration_minutes, event_type.zone, first + timedelta(days=n))
        for n in range((last - first).days + 1)
    ]
