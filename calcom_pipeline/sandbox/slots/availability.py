"""When an event type's hosts are free: their schedules, minus their bookings, buffers and used-up limits.

Facts: fact sheet section 11 (host conflicts, attendees who are hosts, buffers, limits), recordings `21*` to `23*`,
`32*`. The reading is of the state as it is; nothing here changes it.
"""

from collections import Counter
from dataclasses import dataclass

from calcom_pipeline.sandbox.core.times import MINUTE_MS
from calcom_pipeline.sandbox.slots.limits import limit_ranges
from calcom_pipeline.sandbox.slots.ranges import Range, covers, intersect, overlaps, subtract
from calcom_pipeline.sandbox.slots.working_hours import open_ranges
from calcom_pipeline.sandbox.state.columns import STATUS_CODES
from calcom_pipeline.sandbox.state.model import SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.state.world import World

_BLOCKING_CODES = frozenset({STATUS_CODES["accepted"], STATUS_CODES["pending"]})
_WIDEST_BUFFER_MS = 12 * 60 * MINUTE_MS  # bookings farther away than this cannot reach into a query by their buffers


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: free time of an event type between two instants, for bookings of `length` minutes.

    `ignored_uid` is the booking that is about to be moved; `host_ids` narrows the hosts of a round-robin type.
    """

    event_type: SandboxEventType
    start: int
    end: int
    length: int
    ignored_uid: str | None = None
    host_ids: tuple[int, ...] | None = None


def free_ranges(world: World, question: Question) -> list[Range]:
    """The stretches in which the type can be booked, before the grid is laid over them."""
    event_type = question.event_type
    by_host = {host: host_free(world, question, host) for host in asked_hosts(world, question)}
    if not by_host or event_type.scheduling == "managed":
        return []
    if event_type.scheduling != "roundRobin":
        return intersect(list(by_host.values()))
    fixed = {host.user_id for host in world.hosts_of(event_type) if host.mandatory}
    rotating = sorted({one for host, ranges in by_host.items() if host not in fixed for one in ranges})
    lists = [ranges for host, ranges in by_host.items() if host in fixed]
    if rotating or not lists:
        common = intersect(lists) if lists else None
        return rotating if common is None else _clip(rotating, common)
    return intersect(lists)


def _clip(ranges: list[Range], common: list[Range]) -> list[Range]:
    """Each rotating host's stretches cut to the fixed hosts' common time; overlaps stay, they are other hosts."""
    return sorted({piece for one in ranges for piece in intersect([[one], common])})


def asked_hosts(world: World, question: Question) -> list[int]:
    """The hosts that count for the question."""
    hosts = world.host_ids(question.event_type)
    subset = question.host_ids
    if subset is None or question.event_type.scheduling != "roundRobin":
        return hosts
    return [host for host in hosts if host in subset]


def host_free(world: World, question: Question, host_id: int) -> list[Range]:
    """One host's free stretches for the type."""
    schedule = world.schedule_of(question.event_type, host_id)
    open_time = open_ranges(schedule, question.start, question.end)
    return subtract(open_time, busy_ranges(world, question, host_id))


def busy_ranges(world: World, question: Question, host_id: int) -> list[Range]:
    """A host's taken time, widened by the buffers of both types, and the periods whose limit is used up."""
    found: list[Range] = []
    statuses = world.bookings.columns.status
    reach = _WIDEST_BUFFER_MS
    shared = [one.id for one in world.event_types.values() if one.scheduling == "collective"]
    start, end = question.start - reach, question.end + reach
    seated: Counter[Range] = Counter()
    for position in world.bookings.concerning(start, end, host_id, shared):
        if int(statuses[position]) not in _BLOCKING_CODES:
            continue
        booking = world.bookings.at(position)
        if blocks(world, booking, question.event_type) and host_id in world.hosts_booked(booking):
            found += _taken(world, booking, question, seated)
    zone = world.users[world.host_ids(question.event_type)[0]].time_zone
    limits = limit_ranges(
        world,
        question.event_type,
        question.start,
        question.end,
        question.length,
        zone,
        host_id=host_id,
        ignored_uid=question.ignored_uid,
    )
    return found + limits


def blocks(world: World, booking: SandboxBooking, event_type: SandboxEventType) -> bool:
    """Whether a booking takes time away from an event type's hosts at all.

    A pending one does so only for its own type, and only if that type's confirmation policy says so.
    """
    if booking.status == "accepted":
        return True
    own = world.event_types.get(booking.event_type_id or 0)
    if booking.status != "pending" or own is None or own.id != event_type.id:
        return False
    return bool(own.confirmation and own.confirmation.get("blockUnconfirmedBookingsInBooker"))


def _taken(world: World, booking: SandboxBooking, question: Question, seated: Counter[Range]) -> list[Range]:
    """The time that a booking takes, with the buffers of both types.

    A seated booking takes nothing but its buffers from its own type, full or not (fact sheet 10 S1 to S4).
    `seated` counts the bookings of each time so far. Guess, from the published source: as many of them as the type has
    seats take the time after all, so the one booking of a type with a single seat does.
    """
    own = world.event_types.get(booking.event_type_id or 0)
    asked = question.event_type
    before = ((own.before_buffer if own else 0) + asked.after_buffer) * MINUTE_MS
    after = ((own.after_buffer if own else 0) + asked.before_buffer) * MINUTE_MS
    if own is not None and own.id == asked.id and any(one.seat is not None for one in booking.attendees):
        time = (booking.start, booking.end)
        seated[time] += 1
        if seated[time] < own.seats_per_slot:
            buffers = ((booking.start - before, booking.start), (booking.end, booking.end + after))
            return [one for one in buffers if one[0] < one[1]]
        del seated[time]
    if booking.uid == question.ignored_uid:
        return []
    return [(booking.start - before, booking.end + after)]


def is_free(world: World, question: Question, host_id: int) -> bool:
    """Whether a host can take a booking of exactly the question's time, on the grid or off it (`07u`)."""
    wanted = (question.start, question.end)
    schedule = world.schedule_of(question.event_type, host_id)
    if not covers(open_ranges(schedule, *wanted), wanted):
        return False
    return not any(overlaps(wanted, taken) for taken in busy_ranges(world, question, host_id))
