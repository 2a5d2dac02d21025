"""The free starts nearest to a wanted one, of one event type or several: the second layer of the cache.

An answer is kept no longer than the days it was made of, and none outlives a clearing of one of its event types: the
generations are read before the days, and compared when it is stored and whenever it is read.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from calcom_pipeline.app.availability.free_days import FreeDays, StartRules
from calcom_pipeline.app.availability.lookup import Availability
from calcom_pipeline.app.availability.ports import AlternativesCache
from calcom_pipeline.domain.availability.finding import Alternatives, Offer, days_around, nearest
from calcom_pipeline.domain.availability.questions import NearestQuestion
from calcom_pipeline.domain.errors import CacheError


def alternatives(
    days: FreeDays, cache: AlternativesCache, question: NearestQuestion, *, clock: Callable[[], datetime]
) -> Alternatives:
    """The answer; a kept one only while each of its starts may still be booked.

    Raises:
        NotFound: one of the event types is not mirrored, or cannot be booked.
        ContractBroken: its zone is none that our rules know.
        TransientError: Cal.com cannot be asked, and no older days are there.
    """
    now = clock()
    rules = {number: days.rules(number) for number in question.event_type_ids}
    try:
        kept = cache.look(question)
    except CacheError:
        kept = None
    if kept and kept.found and _may_be_booked(kept.found, rules, now):
        return kept.found
    stretches = {number: _stretch(question, rule, now) for number, rule in rules.items()}
    looked_at = _looked_at(days, question, stretches, may_keep=kept is not None)
    offers = [Offer(i, rules[i].zone, now + rules[i].notice, there.slots) for i, there in looked_at.answers.items()]
    starts = nearest(offers, around=question.around, count=question.count, wishes=question.wishes)
    found = Alternatives(starts, looked_at.as_of, looked_at.stale)
    if kept and looked_at.until:
        life = looked_at.until - clock()  # finding it may have taken a call, and the days have aged since
        if life > timedelta(0):
            with suppress(CacheError):  # the answer is right all the same; whoever asks next finds it again
                cache.keep(question, found, generations=kept.generations, seconds=life.total_seconds())
    return found


@dataclass(frozen=True, slots=True)
class _LookedAt:
    """Days by event type, and when the first of them ends its life; None where one is not to be kept."""

    answers: Mapping[int, Availability]
    until: datetime | None

    @property
    def as_of(self) -> datetime | None:
        return min((there.as_of for there in self.answers.values() if there.as_of), default=None)

    @property
    def stale(self) -> bool:
        return any(there.stale for there in self.answers.values())


def _may_be_booked(found: Alternatives, rules: Mapping[int, StartRules], now: datetime) -> bool:
    return all(one.start >= now + rules[one.event_type_id].notice for one in found.starts)


def _stretch(question: NearestQuestion, rules: StartRules, now: datetime) -> tuple[date, date]:
    return days_around(
        question.around, rules.zone, within_days=question.wishes.within_days, not_before=now + rules.notice
    )


def _looked_at(
    days: FreeDays, question: NearestQuestion, stretches: Mapping[int, tuple[date, date]], *, may_keep: bool
) -> _LookedAt:
    """The days. Each type's life is read right after its days: others may be cached by the time all are read."""
    answers: dict[int, Availability] = {}
    ends: list[datetime | None] = []
    for number, (first_day, last_day) in stretches.items():
        if first_day > last_day:
            continue
        there = answers[number] = days.days(number, first_day, last_day, question.duration_minutes)
        if may_keep and not (there.stale or there.refreshing):
            ends.append(days.fresh_until(number, first_day, last_day, question.duration_minutes))
        else:
            ends.append(None)
    known = [end for end in ends if end]
    return _LookedAt(answers, min(known) if known and len(known) == len(ends) else None)
