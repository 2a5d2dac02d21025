"""Which days of a month have free starts, and how many: what a booking page's calendar shows."""

from dataclasses import dataclass
from datetime import date, datetime

from calcom_pipeline.app.availability.free_days import FreeDays
from calcom_pipeline.domain.availability.finding import DayCount, Offer, days_of, per_day


@dataclass(frozen=True, slots=True)
class MonthView:
    """Every day of the month; days that are over have none. `unread` are days of which nothing is known.

    `as_of` is None where no day had to be looked at. `stale` as in `Alternatives`.
    """

    days: tuple[DayCount, ...]
    as_of: datetime | None
    stale: bool = False
    unread: tuple[date, ...] = ()


def month_view(
    days: FreeDays, event_type_id: int, *, year: int, month: int, duration_minutes: int | None, now: datetime
) -> MonthView:
    """The month in the zone of the event type's schedule. Raises: as `alternatives`."""
    rules = days.rules(event_type_id)
    not_before = now + rules.notice
    wanted = days_of(year, month)
    ahead = [day for day in wanted if day >= not_before.astimezone(rules.zone).date()]
    if not ahead:
        return MonthView(tuple(DayCount(day, 0) for day in wanted), None)
    there = days.days(event_type_id, ahead[0], ahead[-1], duration_minutes)
    offer = Offer(event_type_id, rules.zone, not_before, there.slots)
    return MonthView(per_day(offer, wanted), there.as_of, there.stale, there.unread)
