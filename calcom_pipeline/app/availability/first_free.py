"""The first free start of one event type or several, read in stretches until one is found."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from calcom_pipeline.app.availability.free_days import FreeDays, StartRules
from calcom_pipeline.domain.availability.finding import Alternative, Offer, first
from calcom_pipeline.domain.availability.questions import FirstQuestion

# Most services have a free start within a fortnight; a month is what one call of Cal.com fetches anyway.
_STRETCHES = (timedelta(days=14), timedelta(days=31))


@dataclass(frozen=True, slots=True)
class FirstFree:
    """The first free start, or None where there is none within the days asked for. See `Alternatives` for the rest."""

    start: Alternative | None
    as_of: datetime | None
    stale: bool = False


def first_free(days: FreeDays, question: FirstQuestion, *, now: datetime) -> FirstFree:
    """The earliest start that may be booked; of several event types at one instant the one that is named first.

    Raises: as `alternatives`.
    """
    rules = {number: days.rules(number) for number in question.event_type_ids}
    read: list[datetime] = []
    stale = False
    for since, until in _stretches(question):
        offers: list[Offer] = []
        for number, rule in rules.items():
            last = _last_day_asked(question, rule)
            first_day = max(since, now + rule.notice).astimezone(rule.zone).date()
            last_day = min(until.astimezone(rule.zone).date(), last)
            if first_day > last_day:
                continue
            there = days.days(number, first_day, last_day, question.duration_minutes)
            offers.append(Offer(number, rule.zone, now + rule.notice, there.slots))
            stale = stale or there.stale
            if there.as_of:
                read.append(there.as_of)
        # Up to one instant for all of them: days of different zones end at different times.
        found = first(offers, after=since, until=until)
        if found:
            return FirstFree(found, min(read, default=None), stale)
    return FirstFree(None, min(read, default=None), stale)


def _stretches(question: FirstQuestion) -> Iterator[tuple[datetime, datetime]]:
    """From `after` on, until every zone's last day is over."""
    end = question.after + timedelta(days=question.within_days + 2)
    since, short = question.after, True
    while since < end:
        until = min(since + _STRETCHES[0 if short else 1], end)
        yield since, until
        since, short = until, False


def _last_day_asked(question: FirstQuestion, rule: StartRules) -> date:
    return question.after.astimezone(rule.zone).date() + timedelta(days=question.within_days)
