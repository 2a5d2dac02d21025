"""Warm the coming days of what is asked for most, before anybody waits for them, and never with others' calls."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from calcom_pipeline.app.availability.fetching import MonthFetches
from calcom_pipeline.app.availability.ports import LookupCache
from calcom_pipeline.app.availability.window import MonthWindow, facts_for_lookup, window_of
from calcom_pipeline.app.calls import Progress
from calcom_pipeline.domain.availability.models import BookableType
from calcom_pipeline.domain.errors import ContractBroken, PermanentError
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.zones import zone_of

# More pairs of event type and length than any limit could warm.
_HOTTEST = 10_000


class WarmCache(LookupCache, Protocol):
    """A cache that knows what was asked for."""

    def hottest(self, limit: int) -> list[tuple[tuple[int, int], float]]:
        """Event type and length that were asked for most, most first, with how often."""
        ...


@dataclass(frozen=True, slots=True)
class WarmRules:
    """`days`: how many are kept warm, today included. `calls`: how many this run may promise.

    `cached_days`: how far ahead days are kept.
    """

    days: int
    calls: int
    cached_days: int


@dataclass(frozen=True, slots=True)
class WarmForecast:
    """What is to be done: `months` are fetched, a call each, hottest first; `refused` are more than may be promised."""

    months: tuple[MonthWindow, ...] = ()
    refused: int = 0
    warm: int = 0
    failures: dict[int, str] = field(default_factory=dict[int, str])

    @property
    def calls(self) -> int:
        """What it will cost at most."""
        return len(self.months)


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What came of it: pairs of event type and length that were warm already, months fetched, months refused."""

    warm: int = 0
    fetched: int = 0
    refused: int = 0
    failures: dict[int, str] = field(default_factory=dict[int, str])


def forecast(
    cache: WarmCache,
    bookable: Sequence[EventType],
    active: Collection[int],
    *,
    now: datetime,
    rules: WarmRules,
) -> WarmForecast:
    """Which months to fetch, hottest first, and how many of them the limit does not allow.

    What nobody asked for comes after what was, in the order of ids and with its usual length alone. `active` are event
    types of active services; where there are none all are meant.

    Raises:
        CacheError: without a cache there is nothing to warm.
    """
    chosen = [e for e in bookable if not active or e.id in active]
    kinds, failures = dict[int, BookableType](), dict[int, str]()
    for event_type in chosen:
        try:
            kinds[event_type.id] = facts_for_lookup(event_type)
        except ContractBroken as error:
            failures[event_type.id] = str(error)
    months, warm = list[MonthWindow](), 0
    for event_type_id, minutes in _in_order(cache, kinds):
        lacking = _lacking(cache, kinds[event_type_id], minutes, now, rules)
        months += lacking
        warm += not lacking
    return WarmForecast(tuple(months[: rules.calls]), max(0, len(months) - rules.calls), warm, failures)


def warm(
    fetches: MonthFetches,
    cache: WarmCache,
    bookable: Sequence[EventType],
    active: Collection[int],
    *,
    now: Callable[[], datetime],
    rules: WarmRules,
    progress: Progress | None = None,
) -> WarmReport:
    """Fetch what the forecast promises; an event type that fails does not stop the others.

    Raises:
        CacheError: without a cache there is nothing to warm.
        TransientError: Cal.com is away or the budget is spent; what was fetched before stays.
    """
    plan = forecast(cache, bookable, active, now=now(), rules=rules)
    report = WarmReport(plan.warm, 0, plan.refused, dict(plan.failures))
    for done, month in enumerate(plan.months):
        event_type_id = month.window.event_type.id
        try:
            fetches.of(month)
        except PermanentError as error:
            report.failures[event_type_id] = str(error)
            continue
        report = replace(report, fetched=report.fetched + 1)
        if progress:
            progress(done + 1, plan.calls, f"free times of event type {event_type_id}")
    return report


def _in_order(cache: WarmCache, kinds: dict[int, BookableType]) -> list[tuple[int, int]]:
    hot = [pair for pair, _ in cache.hottest(_HOTTEST) if pair[0] in kinds and pair[1] in kinds[pair[0]].lengths]
    asked = {event_type_id for event_type_id, _ in hot}
    return hot + [(number, kind.duration_minutes) for number, kind in sorted(kinds.items()) if number not in asked]


def _lacking(cache: WarmCache, kind: BookableType, minutes: int, now: datetime, rules: WarmRules) -> list[MonthWindow]:
    today = now.astimezone(zone_of(kind.zone)).date()
    window = window_of(
        kind,
        first_day=today,
        last_day=today + timedelta(days=rules.days - 1),
        duration_minutes=minutes,
        now=now,
        cached_days=rules.cached_days,
    )
    known = cache.read(window.keys)
    return window.months(key for key in window.keys if key not in known or not known[key].is_fresh)
