"""Refresh slots: the canonical query of each event type and length, stored as whole days in PostgreSQL and Redis."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from calcom_pipeline.app.availability.ports import SlotApi, SlotCache, SlotMirror
from calcom_pipeline.app.availability.tolerant_cache import TolerantCache
from calcom_pipeline.app.availability.window import facts_for_lookup, known_zone, respelled, short_lives, spelled
from calcom_pipeline.app.calls import Changes, Progress
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.domain.availability.models import BookableType, SlotDay, SlotQuery
from calcom_pipeline.domain.errors import ContractBroken, PermanentError
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.listed import Listed


@dataclass(frozen=True, slots=True)
class SlotsReport:
    """What a refresh brought. `failures` holds a sentence per event type that could not be read.

    `slots` are free starts, `full` those without a seat left. `quarantined` days could not be read and are as they
    were. `spoiled` cached values could not be read and were replaced. `asked_again` queries had suddenly no start.
    """

    queries: int = 0
    fresh_queries: int = 0
    days: int = 0
    slots: int = 0
    cached_days: int = 0
    changes: Changes = field(default_factory=Changes)
    failures: dict[int, str] = field(default_factory=dict[int, str])
    cache_error: str = ""
    full: int = 0
    quarantined: int = 0
    spoiled: int = 0
    asked_again: int = 0

    def with_days(self, found: Listed[SlotDay], changes: Changes, *, cached: int, again: bool) -> "SlotsReport":
        """The report, one query later."""
        free = sum(len(day.free) for day in found)
        return replace(
            self,
            queries=self.queries + 1,
            days=self.days + len(found),
            slots=self.slots + free,
            full=self.full + sum(len(day.slots) for day in found) - free,
            cached_days=self.cached_days + cached,
            changes=self.changes + changes,
            quarantined=self.quarantined + len(found.unreadable),
            asked_again=self.asked_again + again,
        )


@dataclass(frozen=True, slots=True)
class SlotOptions:
    """How far ahead, and how old a day may be before it is asked for again."""

    horizon_days: int
    fresh_for: timedelta


def canonical_queries(event_type: EventType, *, now: datetime, horizon_days: int) -> list[SlotQuery]:
    """One query per length: whole days in the schedule's zone, from today there, and that zone asked for.

    Raises:
        ContractBroken: the zone is none that our rules know.
    """
    zone = known_zone(event_type)
    today = now.astimezone(zone).date()
    lengths = event_type.duration_options or (event_type.duration_minutes,)
    return [
        SlotQuery(
            event_type_id=event_type.id,
            duration_minutes=length,
            zone=zone.key,
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

    Nor does a cache that fails: PostgreSQL is filled without it, and the report says so.

    Raises:
        TransientError: Cal.com is away or the budget is spent; what was fetched before stays stored.
    """
    bookable = event_types.bookable()
    asked, failures = _queries(bookable, now, options)
    kept, types = TolerantCache(cache), {e.id: e for e in bookable}
    report, spoiled = SlotsReport(failures=failures), cache.spoiled()
    for done, query in enumerate(asked):
        if _is_fresh(query, mirror, kept, since=now - options.fresh_for, now=now):
            report = replace(report, fresh_queries=report.fresh_queries + 1)
            continue
        try:
            report = _refreshed(report, calcom, mirror, kept, query, facts_for_lookup(types[query.event_type_id]), now)
        except PermanentError as error:
            failures[query.event_type_id] = str(error)
            continue
        if progress:
            progress(done + 1, len(asked), f"slots of event type {query.event_type_id}")
    first_day = min((q.first_day for q in asked), default=now.date())
    gone = mirror.prune(first_day=first_day, event_type_ids=[e.id for e in bookable])
    spoiled = cache.spoiled() - spoiled
    return replace(report, changes=report.changes + Changes(gone=gone), spoiled=spoiled, cache_error=kept.error)


def _queries(
    bookable: Iterable[EventType], now: datetime, options: SlotOptions
) -> tuple[list[SlotQuery], dict[int, str]]:
    """What to ask for, and why not for the others, by event type."""
    asked, failures = list[SlotQuery](), dict[int, str]()
    for event_type in bookable:
        try:
            asked += canonical_queries(event_type, now=now, horizon_days=options.horizon_days)
        except ContractBroken as error:
            failures[event_type.id] = str(error)
    return asked, failures


def _refreshed(
    report: SlotsReport,
    calcom: SlotApi,
    mirror: SlotMirror,
    cache: TolerantCache,
    query: SlotQuery,
    event_type: BookableType,
    now: datetime,
) -> SlotsReport:
    generations = cache.generations([query.event_type_id])
    asked = spelled(query, generations.get(query.event_type_id))
    found = calcom.free_days(asked)
    again = not found.unreadable and not _any_start(found) and _any_start(mirror.days(query))
    if again:  # everything booked since, or an answer that is not to be believed: the second one counts
        found = calcom.free_days(respelled(asked))
    cached = cache.store(found, generations=generations, at_most=short_lives(found, event_type, found_at=now))
    return report.with_days(found, mirror.store(found), cached=cached, again=again)


def _any_start(days: Iterable[SlotDay]) -> bool:
    return any(day.slots for day in days)


def _is_fresh(query: SlotQuery, mirror: SlotMirror, cache: SlotCache, *, since: datetime, now: datetime) -> bool:
    """Every day was fetched a moment ago, and those with free starts are still cached.

    What seems to be fetched later than now was fetched by a wrong clock, nobody knows when.
    """
    days = mirror.days(query)
    if len(days) != (query.last_day - query.first_day).days + 1:
        return False
    if not all(since <= day.fetched_at <= now for day in days):
        return False
    free = [day.key for day in days if day.free]
    return len(cache.get(free)) == len(free)
