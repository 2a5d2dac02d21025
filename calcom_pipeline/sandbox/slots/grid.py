"""Which starts exist inside free stretches of time. Pure.

The grid depends on the zone of the query, on where a stretch begins and on now + notice, because a stretch's
first start is rounded up to a multiple of an interval on the local clock (fact sheet section 11, `31*`).
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from calcom_pipeline.sandbox.core.times import MINUTE_MS, SECOND_MS, utc_offset_minutes
from calcom_pipeline.sandbox.slots.ranges import Range

_INTERVALS = (60, 30, 20, 15, 10, 5)  # minutes; the first that divides the frequency sets the rounding
_QUARTER = 15  # minutes
_FIVE = 5  # minutes
_MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True)
class Grid:
    """How starts follow each other: every `frequency` minutes, each `length` minutes long, `offset` apart."""

    length: int
    frequency: int
    offset: int = 0
    optimized: bool = False

    @property
    def interval(self) -> int:
        """Minutes to a multiple of which the first start of a stretch is rounded."""
        return next((minutes for minutes in _INTERVALS if self.step % minutes == 0), 1)

    @property
    def step(self) -> int:
        """The frequency, at least one minute."""
        return max(self.frequency, 1)


def starts(ranges: Iterable[Range], grid: Grid, *, zone: str, earliest: int) -> list[int]:
    """The starts that fit into the ranges, ascending; none before `earliest`, which is rounded down to a minute.

    Ranges may overlap (round robin): a later one continues the starts of an earlier one where it can.
    """
    length = max(grid.length, 1) * MINUTE_MS
    step = (grid.step + grid.offset) * MINUTE_MS
    found: list[int] = []
    for start, end in sorted(ranges):
        current = _first_start(max(start, earliest), end, grid, zone) + grid.offset * MINUTE_MS
        current = _join(current, start, step, found)
        fitting: list[int] = []
        while current + length - SECOND_MS <= end:
            fitting.append(current)
            current += step
        if fitting and found and fitting[0] <= found[-1]:
            found = sorted({*found, *fitting})
        else:
            found += fitting
    return found


def _first_start(moment: int, end: int, grid: Grid, zone: str) -> int:
    moment -= moment % MINUTE_MS
    minute = (moment // MINUTE_MS + utc_offset_minutes(moment, zone)) % _MINUTES_PER_HOUR
    if minute % grid.interval == 0:
        return moment
    if grid.optimized:
        return moment + _optimized_shift(minute, (end - moment) // MINUTE_MS, grid.interval) * MINUTE_MS
    return moment + (math.ceil(minute / grid.interval) * grid.interval - minute) * MINUTE_MS


def _optimized_shift(minute: int, available: int, interval: int) -> int:
    """Minutes to wait for a rounder start, if no start is lost by it."""
    spare = available % interval
    for wanted in (interval, _QUARTER, _FIVE):
        shift = wanted - minute % wanted
        if spare >= shift:
            return shift
    return 0


def _join(current: int, range_start: int, step: int, found: list[int]) -> int:
    """Steps onto the starts that exist already, instead of beginning between two of them."""
    place = bisect_left(found, current)
    before = found[place - 1] if place else None
    if before is None or before + step <= current:
        return current
    return before if before >= range_start else before + step
