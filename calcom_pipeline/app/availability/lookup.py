"""Free starts for application code: from the cache, asked for where it has none, older ones where nobody answers."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from calcom_pipeline.app.availability.ports import SlotApi, SlotCache, SlotMirror
from calcom_pipeline.app.availability.refresh import known_zone
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.errors import CacheError, NotFound, TransientError
from calcom_pipeline.domain.event_types.models import EventType


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which starts: of one event type, in whole local days of its schedule's zone, of one of its lengths."""

    event_type_id: int
    first_day: date
    last_day: date
    duration_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Availability:
    """Free starts (UTC) that may still be booked. `as_of` is when the oldest of the days was read.

    `stale` says that Cal.com could not be asked, or answered some day so that it could not be read, and older days had
    to do. `unread` are days of which nothing is known because of that.
    """

    slots: tuple[Slot, ...]
    as_of: datetime | None
    stale: bool = False
    unread: tuple[date, ...] = ()


def free_slots(
    calcom: SlotApi,
    event_types: EventTypeMirror,
    mirror: SlotMirror,
    cache: SlotCache,
    wanted: Wanted,
    *,
    now: datetime,
) -> Availability:
    """What may be booked; minimum notice is applied now, so that a cached day does not go stale by itself.

    A start that has no seat left is not among them.

    Raises:
        NotFound: no bookable event type of this id is mirrored.
        ContractBroken: its zone is none that our rules know.
        TransientError: Cal.com cannot be asked, and no older days are there.
    """
    event_type = next((e for e in event_types.bookable() if e.id == wanted.event_type_id), None)
    if event_type is None:
        raise NotFound(f"Event type {wanted.event_type_id} is not mirrored, or cannot be booked")
    query = _query(event_type, wanted)
    keys = _keys(query)
    try:
        known = _cached_or_fetched(calcom, mirror, cache, query)
    except TransientError:
        known = {day.key: day for day in mirror.days(query)}
        stale = True
        if len(known) < len(keys):
            raise
    else:
        older = {day.key: day for day in mirror.days(query)} if len(known) < len(keys) else {}
        stale = bool(older.keys() - known.keys())
        known = {**older, **known}
    days = [known[key] for key in keys if key in known]
    earliest = now + timedelta(minutes=event_type.minimum_notice_minutes)
    slots = tuple(slot for day in days for slot in day.free if slot.start >= earliest)
    unread = tuple(key.day for key in keys if key not in known)
    return Availability(slots, min((day.fetched_at for day in days), default=None), stale, unread)


def _query(event_type: EventType, wanted: Wanted) -> SlotQuery:
    return SlotQuery(
        event_type_id=event_type.id,
        duration_minutes=wanted.duration_minutes or event_type.duration_minutes,
        zone=known_zone(event_type).key,
        first_day=wanted.first_day,
        last_day=wanted.last_day,
        choose_duration=bool(event_type.duration_options),
    )


def _keys(query: SlotQuery) -> list[SlotKey]:
    days = range((query.last_day - query.first_day).days + 1)
    return [
        SlotKey(query.event_type_id, query.duration_minutes, query.zone, query.first_day + timedelta(days=n))
        for n in days
    ]


def _cached_or_fetched(
    calcom: SlotApi, mirror: SlotMirror, cache: SlotCache, query: SlotQuery
) -> dict[SlotKey, SlotDay]:
    """The days, without those that could not be read."""
    keys = _keys(query)
    try:
        found, generations = dict(cache.get(keys)), cache.generations([query.event_type_id])
    except CacheError:
        found, generations = {}, None
    missing = [key.day for key in keys if key not in found]
    if missing:
        asked = SlotQuery(
            query.event_type_id,
            query.duration_minutes,
            query.zone,
            missing[0],
            missing[-1],
            choose_duration=query.choose_duration,
        )
        fetched = calcom.free_days(asked)
        mirror.store(fetched)
        if generations is not None:
            cache.store(fetched, generations=generations)
        found |= {day.key: day for day in fetched}
    return {key: found[key] for key in keys if key in found}
