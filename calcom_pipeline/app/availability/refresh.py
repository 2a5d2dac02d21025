"""Refresh slots: the canonical query of each event type and length, stored as whole days in PostgreSQL and Redis."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from calcom_pipeline.app.availability.ports import SlotApi, SlotCache, SlotMirror
from calcom_pipeline.app.calls import Changes, Progress
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.domain.availability.models import SlotDay, SlotQuery
from calcom_pipeline.domain.errors import PermanentError
from calcom_pipeline.domain.event_types.models import EventType


@dataclass(frozen=True, slots=True)
class SlotsReport:
    """What a refresh brought. `failures` holds a sentence per event type that could not be read."""

    queries: int
    fresh_queries: int
    days: int
    slots: int
    cached_days: int
    changes: Changes
    failures: dict[int, str] = field(default_factory=dict[int, str])


@dataclass(frozen=True, slots=True)
class SlotOptions:
    """How far ahead, and how old a day may be before it is asked for again."""

    horizon_days: int
    fresh_for: timedelta


def canonical_queries(event_type: EventType, *, now: datetime, horizon_days: int) -> list[SlotQuery]:
    """One query per length: whole days in the schedule's zone, from today there, and that zone asked for."""
    zone = event_type.schedule_zone or "UTC"
    today = now.astimezone(ZoneInfo(zone)).date()
    lengths = event_type.duration_options or (event_type.duration_minutes,)
    return [
        SlotQuery(
            event_type_id=event_type.id,
            duration_minutes=length,
            zone=zone,
            first_day=today,
            last_day=today + timedelta(days=horizon_days - 1),
            choose_duration=bool(event_type.duration_options),
        )
        for length in lengths
    ]


def refresh_slots(
    calcom: SlotApi,
    event_types: EventTypeMirror,
    mirror: SlotMirror,
    cache: SlotCache,
    *,
    now: datetime,
    options: SlotOptions,
    progress: Progress | None = None,
) -> SlotsReport:
    """Fetch every bookable event type's free days, unless they are fresh; one that fails does not stop the others.

    Raises:
        TransientError: Cal.com is away or the budget is spent; what was fetched before stays stored.
    """
    bookable = event_types.bookable()
    asked = [q for e in bookable for q in canonical_queries(e, now=now, horizon_days=options.horizon_days)]
    days = slots = cached = fresh = 0
    changes, failures = Changes(), dict[int, str]()
    for done, query in enumerate(asked):
        if _is_fresh(query, mirror, cache, since=now - options.fresh_for, now=now):
            fresh += 1
            continue
        try:
            generations = cache.generations([query.event_type_id])
            found = calcom.free_days(query)
        except PermanentError as error:
            failures[query.event_type_id] = str(error)
            continue
        changes += mirror.store(found)
        cached += cache.store(found, generations=generations)
        days += len(found)
        slots += _count(found)
        if progress:
            progress(done + 1, len(asked), f"slots of event type {query.event_type_id}")
    first_day = min((q.first_day for q in asked), default=now.date())
    gone = mirror.prune(first_day=first_day, event_type_ids=[e.id for e in bookable])
    return SlotsReport(len(asked) - fresh, fresh, days, slots, cached, changes + Changes(gone=gone), failures)


def _is_fresh(query: SlotQuery, mirror: SlotMirror, cache: SlotCache, *, since: datetime, now: datetime) -> bool:
    """Every day was fetched a moment ago, and those with slots are still cached.

    What seems to be fetched later than now was fetched by a wrong clock, nobody knows when.
    """
    days = mirror.days(query)
    if len(days) != (query.last_day - query.first_day).days + 1:
        return False
    if not all(since <= day.fetched_at <= now for day in days):
        return False
    free = [day.key for day in days if day.slots]
    return len(cache.get(free)) == len(free)


def _count(days: Iterable[SlotDay]) -> int:
    return sum(len(day.slots) for day in days)
