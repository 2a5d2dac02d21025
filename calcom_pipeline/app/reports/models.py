"""What a report is made of. Instants are UTC; nobody who booked is named in it, and no secret stands in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Generic, Literal, TypeVar

from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.reports.standing import ServiceStanding
from calcom_pipeline.domain.reports.verdict import Headline
from calcom_pipeline.domain.services.remedies import Standing
from calcom_pipeline.domain.webhooks.arrivals import Arrivals

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReportPart(Generic[T]):
    """A part of the report, or why it is not known: another server than PostgreSQL is asked for it."""

    value: T | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class ReadAge:
    """When a part of Cal.com was last read; `late` past the time after which that is trouble. None: never."""

    what: str
    read_at: datetime | None
    late: bool
    command: str


@dataclass(frozen=True, slots=True)
class LastPlan:
    """The newest plan; `held` names kinds of action that wait for approval, with their reasons."""

    id: str
    source: str
    state: str
    counts: Mapping[str, int]
    held: Mapping[str, Reason]
    created_at: datetime
    expires_at: datetime
    applied_at: datetime | None

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be applied."""
        return self.state == "planned" and self.expires_at > now


@dataclass(frozen=True, slots=True)
class DayOfBookings:
    """Bookings that start on a day of the business's zone, by status."""

    day: date
    status: str
    bookings: int


@dataclass(frozen=True, slots=True)
class DayOfStarts:
    """Free starts of all event types on a local day."""

    day: date
    starts: int


@dataclass(frozen=True, slots=True)
class HourOfStarts:
    """Free starts of the coming seven days in an hour of a weekday (0 = Monday), local to each schedule."""

    weekday: int
    hour: int
    starts: int


@dataclass(frozen=True, slots=True)
class HourLag:
    """Changes of bookings in one hour (UTC) and how long they took to be mirrored, seconds."""

    hour: datetime
    median_seconds: float
    longest_seconds: float
    changes: int


@dataclass(frozen=True, slots=True)
class HourOfCache:
    """How old the cached days were in one hour (UTC), seconds, and the share of the mirrored ones that was fresh."""

    hour: datetime
    median_seconds: float
    oldest_seconds: float
    fresh_share: float


@dataclass(frozen=True, slots=True)
class CacheAges:
    """How old the cached days in a sample are: seconds since Cal.com was asked, and how many of it are fresh."""

    sampled: int
    fresh: int
    median_seconds: float
    oldest_seconds: float

    @property
    def fresh_share(self) -> float:
        """From 0 to 1."""
        return self.fresh / self.sampled


@dataclass(frozen=True, slots=True)
class LaneMinute:
    """Requests to Cal.com that one lane sent in the minute that began then."""

    minute: datetime
    lane: str
    calls: int


@dataclass(frozen=True, slots=True)
class GroupCalls:
    """Requests of the last hour to an endpoint group: how many, refused with 429, failed, milliseconds they took."""

    group: str
    calls: int
    refused: int
    failed: int
    median_ms: float
    slow_ms: float


@dataclass(frozen=True, slots=True)
class LimiterState:
    """The limiter of the API key; `waiting` by lane."""

    used: int
    spendable: int
    others: int
    waiting: Mapping[str, int]
    paused_seconds: float
    window_seconds: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls to Cal.com in the last hour; `limit` is what the key is granted per minute."""

    limit: int
    minutes: Sequence[LaneMinute]
    groups: Sequence[GroupCalls]
    limiter: ReportPart[LimiterState]
    circuits: ReportPart[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class WrongScope:
    """A webhook subscription that is not as it should be."""

    scope: str
    state: str
    reason: Reason
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Subscriptions and deliveries. `wanted`: an address is set that Cal.com should call."""

    wanted: bool
    right: int = 0
    wrong: Sequence[WrongScope] = ()
    arrivals: Arrivals | None = None
    deliveries: Mapping[str, int] = field(default_factory=dict[str, int])
    last_delivery_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastRun:
    """A run of Dagster, newest first."""

    run_id: str
    job: str
    status: str
    began_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Backlogs:
    """What waits here: facts for the caches, rows that could not be read, bookings of which nobody knows the end."""

    facts: int = 0
    oldest_fact_at: datetime | None = None
    failed_facts: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict[str, int])
    doubtful_bookings: int = 0
    missing_event_types: int = 0


@dataclass(frozen=True, slots=True)
class Concern:
    """Something beside the services that a person should know. `serious`: somebody has to do something."""

    code: str
    sentence: str
    command: str = ""
    serious: bool = True


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is drawn. `since` and `until` bound the days of bookings; `zone` is the business's own.

    `lags` and `cache` are by hour, oldest first; `cache_life_seconds` is how long a cached day counts as fresh.
    """

    today: date
    since: date
    until: date
    zone: str
    bookings: Sequence[DayOfBookings]
    days: Sequence[DayOfStarts]
    hours: Sequence[HourOfStarts]
    lags: Sequence[HourLag] = ()
    cache: Sequence[HourOfCache] = ()
    cache_life_seconds: int = 0


Mode = Literal["auto", "plan"]


@dataclass(frozen=True, slots=True)
class AccountReport:
    """Everything about an account, at one moment. `mode`: whether changes are written unasked."""

    account: str
    at: datetime
    mode: Mode
    headline: Headline
    concerns: Sequence[Concern]
    services: Sequence[ServiceStanding]
    counts: Mapping[Standing, int]
    plan: LastPlan | None
    reads: Sequence[ReadAge]
    backlogs: Backlogs
    pictures: Pictures
    traffic: Traffic
    webhooks: Webhooks
    runs: ReportPart[Sequence[LastRun]]

    @property
    def open_plan(self) -> str | None:
        """The plan that waits to be applied."""
        return self.plan.id if self.plan is not None and self.plan.is_open(self.at) else None
