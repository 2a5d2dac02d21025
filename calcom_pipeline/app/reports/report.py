"""Gather the report of an account. Reads only, asks Cal.com nothing, and every question has a bound."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from calcom_pipeline.app.reports.concerns import concerns_of
from calcom_pipeline.app.reports.models import (
    AccountReport,
    LastPlan,
    Mode,
    Pictures,
    ReadAge,
    ReportPart,
    Traffic,
)
from calcom_pipeline.app.reports.ports import Positions, ReportReads, ReportSources
from calcom_pipeline.domain.errors import CacheError, StoreError
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.reports.standing import ServiceStanding, known_event_types, standings
from calcom_pipeline.domain.reports.verdict import headline
from calcom_pipeline.domain.services.fields import Side
from calcom_pipeline.domain.services.reconcile import Situation

if TYPE_CHECKING:
    from calcom_pipeline.domain.services.remedies import Standing

_HOUR = timedelta(hours=1)
_WEEK = timedelta(days=7)
#: Days of bookings that are drawn, before today and from today on: four weeks each, as a month reads.
_DAYS_DRAWN = timedelta(days=28)
#: Lags and ages of the cache: two days, so that a day is seen beside the day before.
HOURS_DRAWN = timedelta(hours=48)
_RUNS_SHOWN = 12
#: Who plans for nobody known: services without a team are then of an owner whose event types were not read.
_NOBODY = Owner("user", 0)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ReportRules:
    """How an account is judged. `event_types_late`, `bookings_late`, `slots_late`: ages that are trouble.

    `cache_life`: how long a cached day counts as fresh.
    """

    account: str
    mode: Mode
    zone: ZoneInfo
    calls_per_minute: int
    event_types_late: timedelta
    bookings_late: timedelta
    slots_late: timedelta
    cache_life: timedelta = timedelta()
    field_owners: Mapping[str, Side] = field(default_factory=dict[str, Side])


def make_report(sources: ReportSources, *, rules: ReportRules, now: datetime) -> AccountReport:
    """The report as of now.

    Raises:
        StoreError: PostgreSQL cannot be asked. Redis's and Dagster's parts say by themselves why they are missing.
    """
    positions = _current(sources.reads.positions(), rules.event_types_late)
    plan = sources.reads.last_plan()
    services = _standings(sources, positions, plan, rules, now)
    counts: dict[Standing, int] = dict(Counter(one.standing for one in services))
    backlogs = sources.reads.backlogs()
    traffic = _traffic(sources, rules, now)
    webhooks = sources.webhooks.webhooks(now=now)
    runs = _report_part(lambda: sources.runs.last_runs(limit=_RUNS_SHOWN))
    reads = _reads(positions, rules, now)
    return AccountReport(
        account=rules.account,
        at=now,
        mode=rules.mode,
        headline=headline(
            counts,
            as_of=min(positions.owners.values(), default=None),
            now=now,
            stale=rules.event_types_late,
            writes=rules.mode == "auto",
        ),
        concerns=concerns_of(reads, backlogs, traffic, webhooks, runs, now=now),
        services=services,
        counts=counts,
        plan=plan,
        reads=reads,
        backlogs=backlogs,
        pictures=_pictures(sources.reads, rules, now),
        traffic=traffic,
        webhooks=webhooks,
        runs=runs,
    )


def _current(positions: Positions, late: timedelta) -> Positions:
    """Without owners that are not read any more: others were, since. What is theirs cannot be judged."""
    newest = max(positions.owners.values(), default=None)
    if newest is None:
        return positions
    return replace(positions, owners={owner: at for owner, at in positions.owners.items() if newest - at <= late})


def _standings(
    sources: ReportSources, positions: Positions, plan: LastPlan | None, rules: ReportRules, now: datetime
) -> list[ServiceStanding]:
    links = sources.services.links()
    situation = Situation(
        me=max((o for o in positions.owners if o.kind == "user"), key=positions.owners.__getitem__, default=_NOBODY),
        services=sources.services.services(),
        event_types=known_event_types(sources.reads.event_types(), links, sources.reads.written_since()),
        listed=frozenset(positions.owners),
        links=links,
        now=now,
        field_owners=rules.field_owners,
    )
    return standings(situation, plan.held if plan is not None and plan.is_open(now) else {})


def _reads(positions: Positions, rules: ReportRules, now: datetime) -> list[ReadAge]:
    def aged(what: str, read_at: datetime | None, late: timedelta, command: str) -> ReadAge:
        return ReadAge(what, read_at, read_at is None or now - read_at > late, f"calcom-pipeline sync {command}")

    listings = [at for at in positions.listings.values() if at is not None]
    whole = len(listings) == len(positions.listings)
    event_types = min(positions.owners.values(), default=None)
    bookings = min(listings, default=None) if whole else None
    return [
        aged("Event types", event_types, rules.event_types_late, "event-types"),
        aged("Bookings", bookings, rules.bookings_late, "bookings"),
        aged("Free starts", positions.slots[0] if positions.slots else None, rules.slots_late, "slots"),
    ]


def _traffic(sources: ReportSources, rules: ReportRules, now: datetime) -> Traffic:
    since = now - _HOUR
    return Traffic(
        limit=rules.calls_per_minute,
        minutes=sources.reads.calls_by_minute(since=since),
        groups=sources.reads.calls_by_group(since=since),
        limiter=_report_part(sources.limits.limiter),
        circuits=_report_part(sources.limits.circuits),
    )


def _pictures(reads: ReportReads, rules: ReportRules, now: datetime) -> Pictures:
    today = now.astimezone(rules.zone).date()
    since, until = today - _DAYS_DRAWN, today + _DAYS_DRAWN
    return Pictures(
        today=today,
        since=since,
        until=until,
        zone=rules.zone.key,
        bookings=reads.bookings_by_day(since=since, until=until, zone=rules.zone.key),
        days=reads.free_by_day(since=today),
        hours=reads.free_by_hour(since=today, until=today + _WEEK, now=now),
        lags=reads.sync_lags(since=now - HOURS_DRAWN),
        cache=reads.cache_ages(since=now - HOURS_DRAWN),
        cache_life_seconds=round(rules.cache_life.total_seconds()),
    )


def _report_part(read: Callable[[], _T]) -> ReportPart[_T]:
    try:
        return ReportPart(read())
    except (CacheError, StoreError) as error:
        return ReportPart(why_not=str(error))
