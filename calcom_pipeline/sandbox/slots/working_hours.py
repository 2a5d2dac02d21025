"""When a schedule is open, as stretches of time. Pure."""

from datetime import date, timedelta

from calcom_pipeline.sandbox.core.times import (
    DAY_MS,
    MINUTE_MS,
    moment_of,
    wall_clock,
    zone,
)
from calcom_pipeline.sandbox.slots.ranges import Range, merge
from calcom_pipeline.sandbox.state.model import SandboxSchedule

_LAST_MINUTE = 23 * 60 + 59  # 23:59 means until midnight: Cal.com's forms end there


def open_ranges(schedule: SandboxSchedule, start: int, end: int) -> list[Range]:
    """The open stretches between two instants. Hours of a date override are not cut at `start` and `end`."""
    by_day: dict[date, list[Range]] = {}
    local_zone = zone(schedule.time_zone)
    day = moment_of(start).astimezone(local_zone).date()
    last = moment_of(max(end, start)).astimezone(local_zone).date()
    while day <= last:
        found = _regular(schedule, day, start, end)
        if found:
            by_day[day] = found
        day += timedelta(days=1)
    by_day |= _overrides(schedule, start, end)
    return merge(one for ranges in by_day.values() for one in ranges)


def _regular(schedule: SandboxSchedule, day: date, start: int, end: int) -> list[Range]:
    weekday = day.isoweekday() % 7
    found: list[Range] = []
    for interval in schedule.intervals:
        if weekday not in interval.days:
            continue
        opens = max(wall_clock(day, interval.start, schedule.time_zone), start)
        closes = min(wall_clock(day, interval.end, schedule.time_zone), end)
        local = moment_of(closes).astimezone(zone(schedule.time_zone))
        if (local.hour, local.minute) == divmod(_LAST_MINUTE, 60):
            closes += MINUTE_MS
        if opens < closes:
            found.append((opens, closes))
    return found


def _overrides(schedule: SandboxSchedule, start: int, end: int) -> dict[date, list[Range]]:
    first = moment_of(start - DAY_MS).date()
    last = moment_of(end + DAY_MS).date()
    found: dict[date, list[Range]] = {}
    for override in schedule.overrides:
        if first <= override.day <= last:
            closes = _LAST_MINUTE + 1 if override.end == _LAST_MINUTE else override.end
            opened = wall_clock(override.day, override.start, schedule.time_zone)
            closed = wall_clock(override.day, closes, schedule.time_zone)
            found.setdefault(override.day, []).append((opened, closed))
    return found
