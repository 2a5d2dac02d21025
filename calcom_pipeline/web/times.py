"""Parts `slots` and `finding`: free times as Cal.com tells them, and what booking pages ask beyond."""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from hashlib import blake2b
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.domain.availability.models import Slot
from calcom_pipeline.web import answers, asked
from calcom_pipeline.web.operations import CheckedRequest, JsonReply, Operation, WarmWay, success
from calcom_pipeline.web.ports import Aged, FindsTimes, FreeSlots, FreeStart, ReadsTimes

#: A day in any zone lies within so many days of its instants' days in UTC, whatever zone the schedule has.
_BOTH_SIDES = timedelta(days=1)
#: Rendered answers that are kept to be compared; the busiest windows of a website are fewer.
_KEPT = 512


class SlotsPart:
    """`/v2/slots` and `/v1/availability`."""

    def __init__(self, service: ReadsTimes) -> None:
        self._service = service
        self._rendered = Rendered()

    def operations(self) -> list[Operation]:
        """What this part offers."""
        return [
            Operation(
                "slots",
                "GET",
                "/v2/slots",
                "Free starts between two instants, by local day, as Cal.com tells them.",
                "slots",
                self.slots,
                answers.SlotsAnswer,
                query=asked.SlotsQuery,
                aged=True,
                warm=WarmWay(self._slots_wanted, self._slots_at_hand),
                problems=(404,),
            ),
            Operation(
                "availability",
                "GET",
                "/v1/availability",
                "Free starts (UTC) of whole local days of the event type's schedule, with their age.",
                "slots",
                self.availability,
                answers.AvailabilityAnswer,
                query=asked.AvailabilityQuery,
                aged=True,
                problems=(404,),
            ),
        ]

    def slots(self, call: CheckedRequest) -> JsonReply:
        """Whole days are asked for, whatever the schedule's zone; what lies outside of the window is left out."""
        wanted = self._slots_wanted(call)
        if wanted is None:
            return JsonReply(success({}), as_of=call.now, tag=_tag(b"{}"))
        return self._slots_told(call, self._answered(wanted))

    def availability(self, call: CheckedRequest) -> JsonReply:
        """Straight from the facade."""
        query: asked.AvailabilityQuery = call.query
        found = self._answered(Wanted(query.eventTypeId, query.firstDay, query.lastDay, query.duration))
        slots = [{"start": utc(slot.start), **answers.seats_of(slot)} for slot in found.slots]
        return aged({"slots": slots, "unread": [day.isoformat() for day in found.unread]}, found)

    def _answered(self, wanted: Wanted) -> FreeSlots:
        return self._service.availability(
            wanted.event_type_id,
            first_day=wanted.first_day,
            last_day=wanted.last_day,
            duration_minutes=wanted.duration_minutes,
        )

    def _slots_wanted(self, call: CheckedRequest) -> Wanted | None:
        query: asked.SlotsQuery = call.query
        first = max(query.start, call.now)
        if query.end < first:
            return None
        last_day = (query.end + _BOTH_SIDES).date()
        return Wanted(query.eventTypeId, (first - _BOTH_SIDES).date(), last_day, query.duration)

    def _slots_told(self, call: CheckedRequest, found: FreeSlots) -> JsonReply:
        kept = self._rendered.slots(call.query, _within(call.query, found.slots))
        return JsonReply(kept.body, found.as_of, found.stale, kept.tag)

    def _slots_at_hand(self, call: CheckedRequest, found: FreeSlots) -> JsonReply | None:
        kept = self._rendered.kept(call.query, _within(call.query, found.slots))
        return None if kept is None else JsonReply(kept.body, found.as_of, found.stale, kept.tag)


def _within(query: asked.SlotsQuery, slots: Sequence[Slot]) -> Sequence[Slot]:
    """Those of the window. At Cal.com one that would end later is not among them, to the second.

    How long it takes only `duration` says.
    """
    last = query.end - timedelta(minutes=query.duration) + timedelta(seconds=1) if query.duration else query.end
    first_at = bisect_left(slots, query.start, key=_start_of)
    return slots[first_at : bisect_right(slots, last, key=_start_of)]


class FindingPart:
    """`/v1/alternatives`, `/v1/first-free`, `/v1/month`."""

    def __init__(self, service: FindsTimes) -> None:
        self._service = service

    def operations(self) -> list[Operation]:
        """What this part offers."""
        rows: list[tuple[Any, ...]] = [
            (
                "alternatives",
                "The free starts nearest to a wanted one: the same day first, then outward.",
                self.alternatives,
                answers.AlternativesAnswer,
                asked.AlternativesQuery,
            ),
            (
                "first-free",
                "The first free start of an event type, or of any of several.",
                self.first_free,
                answers.FirstFreeAnswer,
                asked.FirstFreeQuery,
            ),
            (
                "month",
                "How many starts each day of a month has left.",
                self.month,
                answers.MonthAnswer,
                asked.MonthQuery,
            ),
        ]
        return [
            Operation(
                name, "GET", f"/v1/{name}", summary, "finding", handle, answer, query=query, aged=True, problems=(404,)
            )
            for name, summary, handle, answer, query in rows
        ]

    def alternatives(self, call: CheckedRequest) -> JsonReply:
        """The nearest."""
        query: asked.AlternativesQuery = call.query
        found = self._service.alternatives(
            query.eventTypeId,
            around=query.around,
            count=query.count,
            duration_minutes=query.duration,
            weekdays=frozenset(query.weekdays) or None,
            earliest=query.earliest,
            latest=query.latest,
            within_days=query.withinDays,
        )
        return aged({"starts": [_start(start) for start in found.starts]}, found)

    def first_free(self, call: CheckedRequest) -> JsonReply:
        """The first."""
        query: asked.FirstFreeQuery = call.query
        found = self._service.first_free(
            query.eventTypeId, after=query.after, duration_minutes=query.duration, within_days=query.withinDays
        )
        return aged({"start": None if found.start is None else _start(found.start)}, found)

    def month(self, call: CheckedRequest) -> JsonReply:
        """Counted."""
        query: asked.MonthQuery = call.query
        found = self._service.month(
            query.eventTypeId, year=query.year, month=query.month, duration_minutes=query.duration
        )
        return aged({"days": [{"day": one.day.isoformat(), "free": one.free} for one in found.days]}, found)


@dataclass(frozen=True, slots=True)
class KeptBody:
    """A body of /v2/slots and what it was made of."""

    slots: Sequence[Slot]
    body: bytes
    tag: str


class Rendered:
    """Bodies of `/v2/slots` by query. The starts are always asked for anew; the same ones are not written anew."""

    def __init__(self) -> None:
        self._kept: OrderedDict[asked.SlotsQuery, KeptBody] = OrderedDict()
        self._lock = Lock()

    def slots(self, query: asked.SlotsQuery, slots: Sequence[Slot]) -> KeptBody:
        """Body and tag of these starts."""
        kept = self.kept(query, slots)
        if kept is not None:
            return kept
        body = success(_by_day(slots, query))
        made = KeptBody(slots, body, _tag(body))
        with self._lock:
            self._kept[query] = made
            self._kept.move_to_end(query)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made

    def kept(self, query: asked.SlotsQuery, slots: Sequence[Slot]) -> KeptBody | None:
        """The same, if they are written already."""
        with self._lock:
            kept = self._kept.get(query)
        return kept if kept is not None and kept.slots == slots else None


def _start_of(slot: Slot) -> datetime:
    return slot.start


def utc(moment: datetime) -> str:
    """As Cal.com writes instants."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def aged(data: Mapping[str, Any], found: Aged) -> JsonReply:
    """An answer with its age. Two that differ in nothing but their age have one tag."""
    as_of = None if found.as_of is None else utc(found.as_of)
    body = success({"asOf": as_of, "stale": found.stale, **data})
    return JsonReply(body, found.as_of, found.stale, _tag(orjson.dumps([found.stale, data])))


def _by_day(slots: Sequence[Slot], query: asked.SlotsQuery) -> dict[str, list[dict[str, Any]]]:
    zone = UTC if query.timeZone == "UTC" else ZoneInfo(query.timeZone)
    length = timedelta(minutes=query.duration) if query.format == "range" and query.duration else None
    days: dict[str, list[dict[str, Any]]] = {}
    for slot in slots:
        start = _local(slot.start, zone)
        entry: dict[str, Any] = {"start": start}
        if length is not None:
            entry["end"] = _local(slot.start + length, zone)
        entry |= answers.seats_of(slot)
        days.setdefault(start[:10], []).append(entry)
    return days


def _local(moment: datetime, zone: ZoneInfo | timezone) -> str:
    text = moment.astimezone(zone).isoformat(timespec="milliseconds")
    return text[:-6] + "Z" if zone is UTC else text


def _start(start: FreeStart) -> dict[str, Any]:
    entry: dict[str, Any] = {"eventTypeId": start.event_type_id, "start": utc(start.start)}
    if start.seats_remaining is not None:
        entry["seatsRemaining"] = start.seats_remaining
    return entry


def _tag(content: bytes) -> str:
    return blake2b(content, digest_size=12).hexdigest()
