"""The slots of an event type by local day: the grid over free time, minus reservations, inside the booking window."""

from dataclasses import dataclass, replace

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import (
    DAY_MS,
    MINUTE_MS,
    day_key,
    start_of_local_day,
    utc_offset_minutes,
)
from calcom_pipeline.sandbox.slots import window
from calcom_pipeline.sandbox.slots.availability import Question, free_ranges
from calcom_pipeline.sandbox.slots.grid import Grid, starts
from calcom_pipeline.sandbox.slots.ranges import Range, overlaps
from calcom_pipeline.sandbox.state.columns import STATUS_CODES
from calcom_pipeline.sandbox.state.model import SandboxEventType
from calcom_pipeline.sandbox.state.world import World

_ROLLING_LOOK_BACK_MS = 30 * DAY_MS  # a rolling window is counted from a month before the asked start
_LONGEST_QUERY_MS = 3 * 366 * DAY_MS  # beyond this the real server takes minutes; ours answers what fits in


@dataclass(frozen=True, slots=True)
class FoundSlot:
    """One start; the seats that are taken and the booking that holds them, for a seated type."""

    start: int
    seats_booked: int = 0
    booking_uid: str | None = None


@dataclass(frozen=True, slots=True)
class SlotSearch:
    """One question to the slots endpoint, after its defaults were filled in. `zone` None is UTC."""

    event_type_id: int
    start: int
    end: int
    zone: str | None = None
    duration: int | None = None
    ignored_uid: str | None = None
    host_ids: tuple[int, ...] | None = None

    @property
    def zone_name(self) -> str:
        """The zone in which days are cut and starts are rounded."""
        return self.zone or "UTC"


def find_slots(world: World, event_type: SandboxEventType, query: SlotSearch, now: int) -> dict[str, list[FoundSlot]]:
    """Slots by local day, in order. Days without a slot are missing."""
    length = query.duration or event_type.length
    by_day = _by_day(_candidates(world, event_type, query, now), query.zone_name)
    limits = _window_limits(world, event_type, query, now, set(by_day))
    notice_end = now + event_type.notice * MINUTE_MS
    reserved = _reserved(world, event_type, now)
    seats = _seats_taken(world, event_type, query, now)
    wanted = _asked_days(query)
    found: dict[str, list[FoundSlot]] = {}
    for day, moments in by_day.items():
        if day not in wanted:
            continue
        kept = [
            moment
            for moment in moments
            if moment >= notice_end
            and (limits is None or limits[0] <= moment <= limits[1])
            and (moment in seats or not any(overlaps((moment, moment + length * MINUTE_MS), one) for one in reserved))
        ]
        if kept:
            found[day] = [seats.get(moment, FoundSlot(moment)) for moment in kept[: _most(event_type)]]
    return found


def _candidates(world: World, event_type: SandboxEventType, query: SlotSearch, now: int) -> list[int]:
    length = query.duration or event_type.length
    notice_end = now + max(event_type.notice, 1) * MINUTE_MS
    asked = query.start
    if window.is_rolling_window(event_type.window) and asked >= now - DAY_MS:
        asked -= _ROLLING_LOOK_BACK_MS
    start = max(asked, notice_end)
    end = min(query.end, start + _LONGEST_QUERY_MS)
    if end <= start:
        return []
    question = Question(event_type, start, end, length, query.ignored_uid, query.host_ids)
    grid = Grid(
        length,
        event_type.slot_interval or length,
        event_type.offset_start,
        optimized=bool(event_type.settings.get("showOptimizedSlots")),
    )
    earliest = now + event_type.notice * MINUTE_MS
    return starts(free_ranges(world, question), grid, zone=query.zone_name, earliest=earliest)


def _by_day(moments: list[int], zone: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for moment in moments:
        found.setdefault(day_key(moment, zone), []).append(moment)
    return found


def _asked_days(query: SlotSearch) -> set[str]:
    """The local days of the query: hours of a date override may reach beyond its instants, never beyond its days."""
    days: set[str] = set()
    moment = start_of_local_day(query.start, query.zone_name)
    last = min(query.end, query.start + _LONGEST_QUERY_MS + DAY_MS)
    while moment <= last:
        days.add(day_key(moment, query.zone_name))
        moment = start_of_local_day(moment + DAY_MS + DAY_MS // 2, query.zone_name)
    return days


def _window_limits(
    world: World, event_type: SandboxEventType, query: SlotSearch, now: int, bookable_days: set[str]
) -> Range | None:
    if not event_type.window:
        return None
    hosts = world.host_ids(event_type)
    zone = world.schedule_of(event_type, hosts[0]).time_zone if hosts else "UTC"
    return window.bounds(
        event_type.window,
        now=now,
        event_offset=utc_offset_minutes(now, zone),
        booker_offset=utc_offset_minutes(now, query.zone_name),
        bookable_days=bookable_days,
    )


def _reserved(world: World, event_type: SandboxEventType, now: int) -> list[Range]:
    """Times held by reservations of the type's hosts; a seated reservation takes a seat, not the time."""
    hosts = set(world.host_ids(event_type))
    return [
        (held.start, held.end)
        for held in world.reservations.values()
        if held.until > now and held.user_id in hosts and not held.seated
    ]


def _most(event_type: SandboxEventType) -> int | None:
    return 1 if event_type.only_first_slot else None


def _seats_taken(world: World, event_type: SandboxEventType, query: SlotSearch, now: int) -> dict[int, FoundSlot]:
    """The starts of a seated type at which somebody sits or holds a seat.

    The booking that is about to be moved counts for nothing (fact sheet 10 23). Guess, from the published
    source: every attendee of a booking counts but the hosts of a team's type.
    """
    if not event_type.seats_per_slot:
        return {}
    of_team = event_type.team_id is not None
    hosts = {world.users[one].email for one in world.host_ids(event_type) if of_team}
    columns = world.bookings.columns
    found: dict[int, FoundSlot] = {}
    for position in world.bookings.between(query.start - DAY_MS, query.end + DAY_MS):
        is_accepted = columns.status[position] == STATUS_CODES["accepted"]
        if columns.event_type[position] != event_type.id or not is_accepted:
            continue
        booking = world.bookings.at(position)
        if booking.uid != query.ignored_uid:
            seats = sum(attendee.email not in hosts for attendee in booking.attendees)
            found[booking.start] = FoundSlot(booking.start, seats, booking.uid)
    for held in world.reservations.values():
        if held.seated and held.event_type_id == event_type.id and held.until > now:
            slot = found.get(held.start, FoundSlot(held.start))
            found[held.start] = replace(slot, seats_booked=slot.seats_booked + 1)
    return found


def slot_json(slot: FoundSlot, start: str, end: str | None, seats_total: int) -> Json:
    """A slot as the endpoint answers it; `end` only in the range format, seats only for a seated type."""
    shown: Json = {"start": start}
    if end is not None:
        shown["end"] = end
    if seats_total:
        shown["seatsBooked"] = slot.seats_booked
        shown["seatsRemaining"] = seats_total - slot.seats_booked
        shown["seatsTotal"] = seats_total
        if slot.booking_uid is not None:
            shown["bookingUid"] = slot.booking_uid
    return shown
