"""What somebody may ask of free starts, checked once at the edge. All that is wrong is reported at once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from calcom_pipeline.domain.availability.finding import Wishes
from calcom_pipeline.domain.errors import InvalidInput

#: More event types than one business offers for one service would only be a way to spend the limit.
MOST_EVENT_TYPES = 20
MOST_ALTERNATIVES = 100
#: Around a wanted start nobody looks further; it is also three calls of a month each, at most, for one event type.
MOST_DAYS_AROUND = 31
#: Cal.com answers a year of slots in about a second; a day beyond two years is a mistake.
MOST_DAYS_AHEAD = 366
FURTHEST = timedelta(days=2 * 366)
LONGEST_MINUTES = 24 * 60
_DAYS_OF_A_WEEK = 7
_UID = re.compile(r"[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True, slots=True)
class NearestQuestion:
    """Which free starts are nearest to `around` (UTC)? Equal questions have equal answers, until something changes."""

    event_type_ids: tuple[int, ...]
    around: datetime
    count: int
    duration_minutes: int | None
    wishes: Wishes

    @property
    def key(self) -> str:
        """Names this question alone."""
        wishes = self.wishes
        parts = (
            ",".join(map(str, self.event_type_ids)),
            self.around.isoformat(),
            self.count,
            self.duration_minutes,
            wishes.within_days,
            "".join(map(str, sorted(wishes.weekdays))),
            wishes.earliest.isoformat(),
            wishes.latest.isoformat(),
        )
        return "|".join(map(str, parts))


@dataclass(frozen=True, slots=True)
class FirstQuestion:
    """Which is the first free start from `after` (UTC) on, within so many local days?"""

    event_type_ids: tuple[int, ...]
    after: datetime
    within_days: int
    duration_minutes: int | None


def nearest_question(
    event_type_ids: int | Sequence[int],
    around: datetime,
    *,
    now: datetime,
    count: int = 5,
    duration_minutes: int | None = None,
    weekdays: frozenset[int] | None = None,
    earliest: time | None = None,
    latest: time | None = None,
    within_days: int = 14,
) -> NearestQuestion:
    """The question of these words. Raises InvalidInput with all that is wrong with them."""
    problems = _Problems()
    ids = problems.ids(event_type_ids)
    moment = problems.instant("around", around, now)
    problems.number("count", count, 1, MOST_ALTERNATIVES)
    problems.number("within_days", within_days, 0, MOST_DAYS_AROUND)
    problems.minutes("duration_minutes", duration_minutes, LONGEST_MINUTES)
    days = frozenset(range(_DAYS_OF_A_WEEK)) if weekdays is None else frozenset(weekdays)
    if any(type(day) is not int or not 0 <= day < _DAYS_OF_A_WEEK for day in days):
        problems.lines.append("weekdays: are numbers from 0 (Monday) to 6 (Sunday)")
    if any(one is not None and one.tzinfo is not None for one in (earliest, latest)):
        problems.lines.append("earliest, latest: are times of day of the schedule, without an offset")
    problems.finish()
    wishes = Wishes(within_days, days, earliest or time.min, latest or time.max)
    return NearestQuestion(ids, moment, count, duration_minutes, wishes)


def first_question(
    event_type_ids: int | Sequence[int],
    after: datetime | None,
    *,
    now: datetime,
    within_days: int,
    duration_minutes: int | None = None,
) -> FirstQuestion:
    """The question of these words; an `after` in the past is now. Raises InvalidInput with all that is wrong."""
    problems = _Problems()
    ids = problems.ids(event_type_ids)
    moment = problems.instant("after", after or now, now)
    problems.number("within_days", within_days, 0, MOST_DAYS_AHEAD)
    problems.minutes("duration_minutes", duration_minutes, LONGEST_MINUTES)
    problems.finish()
    return FirstQuestion(ids, max(moment, now), within_days, duration_minutes)


def check_month(year: int, month: int, *, now: datetime, duration_minutes: int | None = None) -> None:
    """Raises InvalidInput where this is no month, or one too far away."""
    problems = _Problems()
    problems.number("month", month, 1, 12)
    problems.number("year", year, now.year - 1, now.year + 2)
    problems.minutes("duration_minutes", duration_minutes, LONGEST_MINUTES)
    problems.finish()


def hold_start(start: datetime, *, now: datetime, minutes: int | None, duration_minutes: int | None) -> datetime:
    """The start in UTC. Raises InvalidInput with all that is wrong; a start that is over is."""
    problems = _Problems()
    moment = start
    if start.tzinfo is not None and start < now:
        problems.lines.append("start: is over")
    else:
        moment = problems.instant("start", start, now)
    problems.minutes("minutes", minutes, LONGEST_MINUTES)
    problems.minutes("duration_minutes", duration_minutes, LONGEST_MINUTES)
    problems.finish()
    return moment


def hold_uid(value: object) -> str:
    """A hold's uid, fit for a path. Raises InvalidInput."""
    if not isinstance(value, str) or not _UID.fullmatch(value):
        raise InvalidInput(["uid: is no uid of a hold"])
    return value


class _Problems:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def ids(self, given: int | Sequence[int]) -> tuple[int, ...]:
        """Each id once, in the order given."""
        ids = tuple(dict.fromkeys((given,) if isinstance(given, int) else given))
        if not 1 <= len(ids) <= MOST_EVENT_TYPES:
            self.lines.append(f"event_type_ids: are 1 to {MOST_EVENT_TYPES}")
        if any(type(one) is not int or not 0 < one < 2**63 for one in ids):
            self.lines.append("event_type_ids: are positive numbers")
        return ids

    def instant(self, name: str, value: datetime, now: datetime) -> datetime:
        """In UTC; `now` in place of one that is wrong."""
        if value.tzinfo is None:
            self.lines.append(f"{name}: has no offset to UTC")
            return now
        try:
            moment = value.astimezone(UTC)
        except OverflowError:
            moment = None
        if moment is None or abs(moment - now) > FURTHEST:
            self.lines.append(f"{name}: lies more than two years away")
            return now
        return moment

    def number(self, name: str, value: int, least: int, most: int) -> None:
        if type(value) is not int or not least <= value <= most:
            self.lines.append(f"{name}: is a number from {least} to {most}")

    def minutes(self, name: str, value: int | None, most: int) -> None:
        if value is not None:
            self.number(name, value, 1, most)

    def finish(self) -> None:
        if self.lines:
            raise InvalidInput(self.lines)
