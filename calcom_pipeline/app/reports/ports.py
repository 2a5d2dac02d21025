"""What a report is gathered from. All of it reads, and nothing of it asks Cal.com."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from calcom_pipeline.app.reports.models import (
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
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service


class ServiceReads(Protocol):
    """Services and their links."""

    def services(self) -> Sequence[Service]:
        """All services."""
        ...

    def links(self) -> Sequence[Link]:
        """All links."""
        ...


@dataclass(frozen=True, slots=True)
class Positions:
    """When each owner's event types, each listing of bookings, and slots (oldest and newest) were last read."""

    owners: Mapping[Owner, datetime]
    listings: Mapping[str, datetime | None]
    slots: tuple[datetime, datetime] | None


class ReportReads(Protocol):
    """What stands in PostgreSQL about everything. Raises StoreError."""

    def positions(self) -> Positions:
        """How old what is mirrored is."""
        ...

    def event_types(self) -> Sequence[EventType]:
        """All that are mirrored, without what Cal.com answered as a whole (`raw`), which is most of a row."""
        ...

    def written_since(self) -> frozenset[str]:
        """Services whose link changed after their owner's event types were read."""
        ...

    def last_plan(self) -> LastPlan | None:
        """The newest plan."""
        ...

    def backlogs(self) -> Backlogs:
        """What waits."""
        ...

    def bookings_by_day(self, *, since: date, until: date, zone: str) -> Sequence[DayOfBookings]:
        """Bookings that start on these days of that zone, `until` not among them."""
        ...

    def free_by_day(self, *, since: date) -> Sequence[DayOfStarts]:
        """Free starts from that local day on."""
        ...

    def free_by_hour(self, *, since: date, until: date, now: datetime) -> Sequence[HourOfStarts]:
        """Free starts of these local days after now, `until` not among them."""
        ...

    def sync_lags(self, *, since: datetime) -> Sequence[HourLag]:
        """How late changes of bookings since then were mirrored, by hour."""
        ...

    def cache_ages(self, *, since: datetime) -> Sequence[HourOfCache]:
        """How old the cached days were since then, by hour."""
        ...

    def calls_by_minute(self, *, since: datetime) -> Sequence[LaneMinute]:
        """Requests since then."""
        ...

    def calls_by_group(self, *, since: datetime) -> Sequence[GroupCalls]:
        """The same, by endpoint group."""
        ...


class LimitReads(Protocol):
    """The limiter and the circuits, in Redis. Raises CacheError."""

    def limiter(self) -> LimiterState:
        """As it stands."""
        ...

    def circuits(self) -> Mapping[str, str]:
        """State by endpoint group."""
        ...


class WebhookReads(Protocol):
    """Subscriptions and deliveries. Raises StoreError."""

    def webhooks(self, *, now: datetime) -> Webhooks:
        """As they were last found."""
        ...


class RunReads(Protocol):
    """Dagster's runs, in its own database. Raises StoreError."""

    def last_runs(self, *, limit: int) -> Sequence[LastRun]:
        """The newest; none where Dagster has never run."""
        ...


@dataclass(frozen=True, slots=True)
class ReportSources:
    """All of it."""

    services: ServiceReads
    reads: ReportReads
    limits: LimitReads
    webhooks: WebhookReads
    runs: RunReads
