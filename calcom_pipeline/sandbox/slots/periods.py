"""Days, weeks, months and years on a local calendar, for booking limits. Weeks begin on Monday. Pure."""

from datetime import date, timedelta
from typing import Final, Literal

from calcom_pipeline.sandbox.core.times import moment_of, wall_clock, zone
from calcom_pipeline.sandbox.slots.ranges import Range

Unit = Literal["day", "week", "month", "year"]
UNITS: Final[tuple[Unit, ...]] = ("year", "month", "week", "day")  # the order in which Cal.com checks them
_DECEMBER = 12


def first_day(day: date, unit: Unit) -> date:
    """The first day of the period in which `day` falls."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "year" else day


def next_first_day(day: date, unit: Unit) -> date:
    """The first day of the period after the one that begins on `day`."""
    if unit == "day":
        return day + timedelta(days=1)
    if unit == "week":
        return day + timedelta(days=7)
    if unit == "year" or day.month == _DECEMBER:
        return date(day.year + 1, 1, 1)
    return date(day.year, day.month + 1, 1)


def period_around(moment: int, unit: Unit, zone_name: str) -> Range:
    """The period in which an instant falls, from its first instant to the next period's."""
    day = first_day(moment_of(moment).astimezone(zone(zone_name)).date(), unit)
    return wall_clock(day, 0, zone_name), wall_clock(next_first_day(day, unit), 0, zone_name)


def periods_between(start: int, end: int, unit: Unit, zone_name: str) -> list[Range]:
    """The periods that two instants span."""
    found: list[Range] = []
    moment = start
    while moment <= end:
        period = period_around(moment, unit, zone_name)
        found.append(period)
        moment = period[1]
    return found
