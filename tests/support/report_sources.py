"""Fakes behind the ports of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from calcom_pipeline.app.reports.models import (
    AccountReport,
    Backlogs,
    DayOfBookings,
    DayOfStarts,
    GroupCalls,
    HourLag,
    HourOfCache,
    HourOfStarts,
    LaneMinute,
    LastPlan,
    LastRun,
    LimiterState,
    Webhooks,
)
from calcom_pipeline.app.reports.ports import Positions, ReportSources
from calcom_pipeline.app.reports.report import ReportRules, make_report
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service
from tests.support.reconciling import ME

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
RULES = ReportRules(
    account="calcom",
    mode="auto",
    zone=ZoneInfo("Europe/Berlin"),
    calls_per_minute=120,
    event_types_late=timedelta(hours=1),
    bookings_late=timedelta(minutes=15),
    slots_late=timedelta(hours=1),
)


@dataclass
class FakeReportSources:
    """All of it at once; what is raised by Redis or Dagster is said by `redis_away` and `dagster_away`."""

    rows: Sequence[Service] = ()
    stored_links: Sequence[Link] = ()
    mirrored: Sequence[EventType] = ()
    read_at: datetime | None = NOW - timedelta(minutes=2)
    others_read_at: Mapping[Owner, datetime] = field(default_factory=dict)
    polled_at: Mapping[str, datetime | None] = field(default_factory=lambda: {"mine": NOW - timedelta(minutes=1)})
    slots_at: datetime | None = NOW - timedelta(minutes=3)
    written: frozenset[str] = frozenset()
    plan: LastPlan | None = None
    waiting: Backlogs = field(default_factory=Backlogs)
    bookings: Sequence[DayOfBookings] = ()
    days: Sequence[DayOfStarts] = ()
    hours: Sequence[HourOfStarts] = ()
    lags: Sequence[HourLag] = ()
    cache: Sequence[HourOfCache] = ()
    minutes: Sequence[LaneMinute] = ()
    groups: Sequence[GroupCalls] = ()
    state: LimiterState = field(default_factory=lambda: LimiterState(5, 118, 0, {}, 0.0, 60.0))
    circuit_states: Mapping[str, str] = field(default_factory=lambda: {"slots": "closed"})
    redis_away: Exception | None = None
    hooks: Webhooks = field(default_factory=lambda: Webhooks(wanted=False))
    ran: Sequence[LastRun] = ()
    dagster_away: Exception | None = None
    asked_days: tuple[date, date, str] | None = None

    def services(self) -> Sequence[Service]:
        return self.rows

    def links(self) -> Sequence[Link]:
        return self.stored_links

    def event_types(self) -> Sequence[EventType]:
        return self.mirrored

    def positions(self) -> Positions:
        owners = {ME: self.read_at} if self.read_at is not None else {}
        return Positions(
            {**owners, **self.others_read_at},
            self.polled_at,
            (self.slots_at, NOW) if self.slots_at is not None else None,
        )

    def written_since(self) -> frozenset[str]:
        return self.written

    def last_plan(self) -> LastPlan | None:
        return self.plan

    def backlogs(self) -> Backlogs:
        return self.waiting

    def bookings_by_day(self, *, since: date, until: date, zone: str) -> Sequence[DayOfBookings]:
        self.asked_days = (since, until, zone)
        return self.bookings

    def free_by_day(self, *, since: date) -> Sequence[DayOfStarts]:
        return self.days

    def free_by_hour(self, *, since: date, until: date, now: datetime) -> Sequence[HourOfStarts]:
        return self.hours

    def sync_lags(self, *, since: datetime) -> Sequence[HourLag]:
        return self.lags

    def cache_ages(self, *, since: datetime) -> Sequence[HourOfCache]:
        return self.cache

    def calls_by_minute(self, *, since: datetime) -> Sequence[LaneMinute]:
        return self.minutes

    def calls_by_group(self, *, since: datetime) -> Sequence[GroupCalls]:
        return self.groups

    def limiter(self) -> LimiterState:
        if self.redis_away is not None:
            raise self.redis_away
        return self.state

    def circuits(self) -> Mapping[str, str]:
        if self.redis_away is not None:
            raise self.redis_away
        return self.circuit_states

    def webhooks(self, *, now: datetime) -> Webhooks:
        return self.hooks

    def last_runs(self, *, limit: int) -> Sequence[LastRun]:
        if self.dagster_away is not None:
            raise self.dagster_away
        return self.ran[:limit]

    def report(self, rules: ReportRules = RULES, *, now: datetime = NOW) -> AccountReport:
        """The report of all that."""
        sources = ReportSources(services=self, reads=self, limits=self, webhooks=self, runs=self)
        return make_report(sources, rules=rules, now=now)
