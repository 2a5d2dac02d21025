"""How far ahead an event type may be booked: rolling windows in days and fixed ranges. Pure."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import MINUTE_MS, moment_of, ms_of, parse_iso
from calcom_pipeline.sandbox.slots.ranges import Range

_SATURDAY = 5
_FAR_PAST = 0
_ROLLING_DAYS_TO_CHECK = 30 + 31  # days after which Cal.com stops looking for bookable ones
_MOST_DAYS = 36_500  # a window beyond a hundred years is no window
_DAY = timedelta(days=1)


def is_rolling_window(window: Json | None) -> bool:
    """Whether the window counts bookable days only."""
    return bool(window and window.get("rolling"))


def bounds(
    window: Json | None,
    *,
    now: int,
    event_offset: int,
    booker_offset: int,
    bookable_days: Collection[str] | None = None,
) -> Range | None:
    """The first and last instant that may be booked (both included), or None without a window.

    Offsets are minutes ahead of UTC: a rolling end is the end of a day of the booker, a fixed range is days of the
    event type's zone. `bookable_days` (local days of the booker) are what a rolling window counts; without them it
    is not checked, as when booking.
    """
    if not window:
        return None
    if window["type"] == "range":
        first, last = (_local_day(str(value), event_offset) for value in window["value"])
        return _day_start(first, event_offset), _day_start(last + _DAY, event_offset) - 1
    today = moment_of(now + booker_offset * MINUTE_MS).date()
    business_only = window["type"] == "businessDays"
    if not window.get("rolling"):
        last = _add_days(today, _days(window), business_only=business_only)
        return _FAR_PAST, _day_start(last + _DAY, booker_offset) - 1
    if bookable_days is None:
        return None
    last = _rolling_end(today, _days(window), bookable_days, business_only=business_only)
    return _FAR_PAST, _day_start(last + _DAY, booker_offset) - 1


def _rolling_end(today: date, needed: int, bookable_days: Collection[str], *, business_only: bool) -> date:
    day, last, counted = today, None, 0
    for _ in range(_ROLLING_DAYS_TO_CHECK):
        if counted >= needed:
            break
        if day.isoformat() in bookable_days:
            counted += 1
            last = day
        day = _add_days(day, 1, business_only=business_only)
    return last or day


def _add_days(day: date, count: int, *, business_only: bool) -> date:
    if not business_only:
        return day + timedelta(days=count)
    left = count
    while left > 0:
        day += _DAY
        if day.weekday() < _SATURDAY:
            left -= 1
    return day


def _days(window: Json) -> int:
    return max(min(int(window["value"]), _MOST_DAYS), -_MOST_DAYS)


def _local_day(text: str, offset: int) -> date:
    """The day west or east of UTC in which the stored instant, midnight UTC of the given day, falls."""
    stored = parse_iso(text) or 0
    return moment_of(stored + offset * MINUTE_MS).date()


def _day_start(day: date, offset: int) -> int:
    return ms_of(datetime(day.year, day.month, day.day, tzinfo=UTC)) - offset * MINUTE_MS
