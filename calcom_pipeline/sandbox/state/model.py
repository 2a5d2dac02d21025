"""The rows of an account as values. Times are milliseconds since 1970 (UTC), lengths are minutes."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import MINUTE_MS
from calcom_pipeline.sandbox.http.limiter import Limit

Status = Literal["accepted", "pending", "cancelled", "rejected", "awaiting_host"]
SchedulingType = Literal["roundRobin", "collective", "managed"]
Role = Literal["OWNER", "ADMIN", "MEMBER"]
ADMIN_ROLES: frozenset[Role] = frozenset({"OWNER", "ADMIN"})


@dataclass(slots=True)
class User:
    """A Cal.com user."""

    id: int
    username: str
    name: str
    email: str
    time_zone: str
    schedule_id: int
    week_start: str = "Monday"
    time_format: int = 24  # hours of the clock that the user sees
    bio: str | None = None
    organization_id: int | None = None


@dataclass(slots=True)
class Interval:
    """Working time on some weekdays (0 is Sunday), in minutes after local midnight; `end` 1440 is midnight."""

    days: list[int]
    start: int
    end: int


@dataclass(slots=True)
class Override:
    """Other hours on one date; an empty one (start equals end) closes the day."""

    day: date
    start: int
    end: int


@dataclass(slots=True)
class SandboxSchedule:
    """When a user works."""

    id: int
    owner_id: int
    name: str
    time_zone: str
    intervals: list[Interval]
    overrides: list[Override] = field(default_factory=list[Override])


@dataclass(slots=True)
class SandboxTeam:
    """A team; `organization_id` names its parent, `is_organization` marks an organization itself."""

    id: int
    name: str
    slug: str
    time_zone: str
    week_start: str = "Monday"
    organization_id: int | None = None
    is_organization: bool = False


@dataclass(slots=True)
class SandboxMembership:
    """A user's place in a team."""

    id: int
    user_id: int
    team_id: int
    role: Role
    accepted: bool = True


@dataclass(slots=True)
class ApiKey:
    """An API key (`cal_…`). Without limits of its own it has the default one.

    `name` is how tests call it; `expires_day` is the last calendar day (UTC) on which it works.
    """

    key: str
    user_id: int
    name: str
    limits: list[Limit] = field(default_factory=list[Limit])
    expires_day: date | None = None


@dataclass(slots=True)
class SandboxHost:
    """A host of a team's event type."""

    user_id: int
    mandatory: bool = False
    priority: str = "medium"
    created: int = 0


@dataclass(slots=True)
class SandboxEventType:
    """What can be booked. Optional settings that nothing here depends on stand in `settings`."""

    id: int
    length: int
    title: str
    slug: str
    owner_id: int | None = None
    team_id: int | None = None
    parent_id: int | None = None
    scheduling: SchedulingType | None = None
    hosts: list[SandboxHost] = field(default_factory=list[SandboxHost])
    assign_all: bool = False
    description: str | None = None
    locations: list[Json] = field(default_factory=list[Json])
    booking_fields: list[Json] = field(default_factory=list[Json])
    length_options: list[int] | None = None
    recurrence: Json | None = None
    slot_interval: int | None = None
    notice: int = 120
    before_buffer: int = 0
    after_buffer: int = 0
    price: int = 0
    currency: str = "usd"
    schedule_id: int | None = None
    limits_count: Json | None = None
    limits_duration: Json | None = None
    booker_limit: Json | None = None
    only_first_slot: bool = False
    offset_start: int = 0
    window: Json | None = None
    confirmation: Json | None = None
    seats: Json | None = None
    hidden: bool = False
    disable_guests: bool = False
    requires_authentication: bool = False
    created: int = 0
    settings: Json = field(default_factory=dict[str, object])

    @property
    def seats_per_slot(self) -> int:
        """Seats of one slot; 0 for a type without seats."""
        return int(self.seats["seatsPerTimeSlot"]) if self.seats else 0

    @property
    def metadata(self) -> Json:
        """The metadata object, which clients can read and not write."""
        found: Json = {"managedEventConfig": {}} if self.scheduling == "managed" or self.parent_id else {}
        if self.length_options is not None:
            found["multipleDuration"] = self.length_options
        return found


@dataclass(slots=True)
class Seat:
    """One place in a seated booking."""

    uid: str
    responses: Json
    metadata: Json


@dataclass(slots=True)
class SandboxAttendee:
    """Somebody who takes part; the first one is the booker."""

    id: int
    name: str
    email: str
    time_zone: str
    locale: str = "en"
    phone: str | None = None
    absent: bool = False
    seat: Seat | None = None


@dataclass(slots=True)
class SandboxBooking:
    """A booking's row and its attendees. `responses` and `metadata` are in stored order."""

    id: int
    uid: str
    title: str
    start: int
    end: int
    created: int
    updated: int | None
    status: Status
    event_type_id: int | None
    user_id: int | None
    attendees: list[SandboxAttendee]
    description: str | None = ""
    responses: Json | None = field(default_factory=dict[str, object])
    metadata: Json = field(default_factory=dict[str, object])
    location: str | None = None
    cancellation_reason: str | None = None
    cancelled_by: str | None = None
    rejection_reason: str | None = None
    rescheduled: bool | None = None
    rescheduled_to: str | None = None
    rescheduled_from: str | None = None
    rescheduled_by: str | None = None
    absent_host: bool = False
    rating: int | None = None
    ical_uid: str = ""
    ical_sequence: int = 0
    series_uid: str | None = None

    @property
    def minutes(self) -> int:
        """Its length in minutes."""
        return (self.end - self.start) // MINUTE_MS


@dataclass(slots=True)
class SandboxWebhook:
    """A subscription of a user, an event type or an organization."""

    id: str
    url: str
    triggers: list[str]
    active: bool
    created: int
    secret: str | None = None
    template: str | None = None
    version: str = "2021-10-20"
    time: int | None = None
    time_unit: str | None = None
    user_id: int | None = None
    event_type_id: int | None = None
    team_id: int | None = None


@dataclass(slots=True)
class Reservation:
    """A slot held for somebody who is still filling in the form."""

    uid: str
    event_type_id: int
    user_id: int
    start: int
    end: int
    until: int
    seated: bool = False
