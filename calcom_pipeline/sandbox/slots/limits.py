"""Booking limits of an event type: how many bookings, or minutes of them, a period may hold.

A used-up period is closed as a whole in the slots and refused when booking: 401, bare (recordings `23c`, `23d`).
"""

from collections.abc import Iterable
from http import HTTPStatus

from calcom_pipeline.sandbox.core.errors import Bare
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import MINUTE_MS
from calcom_pipeline.sandbox.slots.periods import UNITS, Unit, period_around, periods_between
from calcom_pipeline.sandbox.slots.ranges import Range
from calcom_pipeline.sandbox.state.columns import STATUS_CODES
from calcom_pipeline.sandbox.state.model import SandboxEventType
from calcom_pipeline.sandbox.state.world import World

Counted = tuple[int, int, int]  # start, end, organizer


def _limits(limits: Json | None) -> Iterable[tuple[Unit, int]]:
    if not limits:
        return []
    return [(unit, int(limits[unit])) for unit in UNITS if limits.get(unit)]


def _counted(world: World, event_type: SandboxEventType, period: Range, ignored_uid: str | None) -> list[Counted]:
    """Accepted bookings of the type that lie wholly inside a period."""
    columns = world.bookings.columns
    found: list[Counted] = []
    for position in world.bookings.between(*period):
        start, end = int(columns.start[position]), int(columns.end[position])
        is_of_type = columns.event_type[position] == event_type.id
        is_inside = start >= period[0] and end <= period[1]
        if not is_of_type or not is_inside or columns.status[position] != STATUS_CODES["accepted"]:
            continue
        if ignored_uid is None or world.bookings.at(position).uid != ignored_uid:
            found.append((start, end, int(columns.user[position])))
    return found


def limit_ranges(
    world: World,
    event_type: SandboxEventType,
    start: int,
    end: int,
    length: int,
    zone: str,
    *,
    host_id: int,
    ignored_uid: str | None,
) -> list[Range]:
    """The periods between two instants that are closed for one host because a limit is used up."""
    closed: list[Range] = []
    for unit, limit in _limits(event_type.limits_count):
        closed += [
            period
            for period in periods_between(start, end, unit, zone)
            if len(_counted(world, event_type, period, ignored_uid)) >= limit
        ]
    for unit, limit in _limits(event_type.limits_duration):
        for period in periods_between(start, end, unit, zone):
            rows = _counted(world, event_type, period, ignored_uid)
            used = sum((row[1] - row[0]) // MINUTE_MS for row in rows if row[2] == host_id or unit == "year")
            if used + length > limit:
                closed.append(period)
    return closed


def refuse_past_limits(
    world: World, event_type: SandboxEventType, start: int, length: int, ignored_uid: str | None = None
) -> None:
    """Raises what Cal.com answers when a booking would go past one of the type's limits."""
    hosts = world.host_ids(event_type)
    schedule = world.schedule_of(event_type, hosts[0]) if hosts else None
    zone = schedule.time_zone if schedule else "UTC"
    for unit, limit in _limits(event_type.limits_count):
        period = period_around(start, unit, zone)
        if len(_counted(world, event_type, period, ignored_uid)) >= limit:
            raise Bare(HTTPStatus.UNAUTHORIZED, "booking_limit_reached")
    for unit, limit in _limits(event_type.limits_duration):
        period = period_around(start, unit, zone)
        rows = _counted(world, event_type, period, ignored_uid)
        if sum((row[1] - row[0]) // MINUTE_MS for row in rows) + length > limit:
            raise Bare(HTTPStatus.UNAUTHORIZED, "duration_limit_reached")
