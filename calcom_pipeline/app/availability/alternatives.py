"""The free starts nearest to a wanted one, of one event type or several: the second layer of the cache.

An answer is kept no longer than the days it was made of, and none outlives a clearing of one of its event types: the
generations are read before the days, and compared when it is stored and whenever it is read.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

from calcom_pipeline.app.availability.free_days import FreeDays, StartRules
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
    found = _found(days, question, rules, stretches, now)
    if kept and not found.stale:
        _keep(days, cache, question, found, stretches, generations=kept.generations, clock=clock)
    return found


def _may_be_booked(found: Alternatives, rules: Mapping[int, StartRules], now: datetime) -> bool:
    return all(one.start >= now + rules[one.event_type_id].notice for one in found.starts)


def _stretch(question: NearestQuestion, rules: StartRules, now: datetime) -> tuple[date, date]:
    return days_around(
        question.around, rules.zone, within_days=question.wishes.within_days, not_before=now + rules.notice
    )


def _found(
    days: FreeDays,
    question: NearestQuestion,
    rules: Mapping[int, StartRules],
    stretches: Mapping[int, tuple[date, date]],
    now: datetime,
) -> Alternatives:
    offers: list[Offer] = []
    read: list[datetime] = []
    stale = False
    for number, (first_day, last_day) in stretches.items():
        if first_day > last_day:
            continue
        there = days.days(number, first_day, last_day, question.duration_minutes)
        offers.append(Offer(number, rules[number].zone, now + rules[number].notice, there.slots))
        stale = stale or there.stale
        if there.as_of:
            read.append(there.as_of)
    starts = nearest(offers, around=question.around, count=question.count, wishes=question.wishes)
    return Alternatives(starts, min(read, default=None), stale)


def _keep(
    days: FreeDays,
    cache: AlternativesCache,
    question: NearestQuestion,
    found: Alternatives,
    stretches: Mapping[int, tuple[date, date]],
    *,
    generations: Sequence[str],
    clock: Callable[[], datetime],
) -> None:
    ends = [
        days.fresh_until(number, first_day, last_day, question.duration_minutes)
        for number, (first_day, last_day) in stretches.items()
        if first_day <= last_day
    ]
    known = [end for end in ends if end is not None]
    now = clock()  # finding it may have taken a call, and the days have aged since
    life = min(known, default=now) - now
    if len(known) < len(ends) or life <= timedelta(0):
        return
    with suppress(CacheError):  # the answer is right all the same; whoever asks next finds it again
        cache.keep(question, found, generations=generations, seconds=life.total_seconds())
