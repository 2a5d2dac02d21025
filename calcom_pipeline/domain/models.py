"""The values that cross every border: event types, bookings, slots and the people in them.

All instants are aware and in UTC. Lengths say their unit in their name. Nothing here knows where a value came
from; the wire shapes of Cal.com are `adapters/calcom/schemas.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from calcom_pipeline.domain.text import content_hash

OwnerKind = Literal["user", "team"]
BookingStatus = Literal["accepted", "pending", "cancelled", "rejected", "awaiting_host"]

Json = Mapping[str, Any]

# Parts of an event type that change without the event type having changed: pictures and brands of its people.
_NOT_CONTENT = frozenset({"users", "hosts", "team"})


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """Whose event type it is. Slugs are unique within an owner (fact sheet 4.1)."""

    kind: OwnerKind
    id: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Owner":
        """Read what `str()` wrote. Raises ValueError for anything else."""
        kind, _, number = text.partition(":")
        if kind not in ("user", "team"):
            raise ValueError(f"{text!r} is no owner")
        return cls(kind, int(number))  # type: ignore[arg-type]  # narrowed by the line above


@dataclass(frozen=True, slots=True)
class EventType:
    """What can be booked at Cal.com."""

    id: int
    owner: Owner
    slug: str
    title: str
    duration_minutes: int
    description: str = ""
    duration_options: tuple[int, ...] = ()
    hidden: bool = False
    schedule_id: int | None = None
    schedule_zone: str | None = None
    scheduling_type: str | None = None
    parent_id: int | None = None
    slot_interval_minutes: int | None = None
    minimum_notice_minutes: int = 120
    before_buffer_minutes: int = 0
    after_buffer_minutes: int = 0
    seats_per_slot: int | None = None
    requires_confirmation: bool = False
    recurring: bool = False
    price_minor: int = 0
    currency: str = "usd"
    host_ids: tuple[int, ...] = ()
    assign_all_team_members: bool = False
    limit_periods: tuple[str, ...] = ()
    raw: Json = field(default_factory=dict[str, Any], compare=False, repr=False)
    content_hash: str = field(default="", compare=False)

    @property
    def content(self) -> dict[str, Any]:
        """The payload without what changes although the event type has not."""
        return {key: value for key, value in self.raw.items() if key not in _NOT_CONTENT}

    @property
    def listing_hash(self) -> str:
        """A hash of what a listing alone tells; `content_hash` covers the zone too, which takes more calls."""
        return content_hash([self.content, list(self.host_ids)])

    @property
    def is_managed_parent(self) -> bool:
        """Managed parents have no slots of their own and take no bookings (captures 29e, 29f)."""
        return self.scheduling_type == "managed" and self.parent_id is None


@dataclass(frozen=True, slots=True)
class Account:
    """Who the key belongs to."""

    user_id: int
    username: str | None
    time_zone: str
    default_schedule_id: int | None = None
    organization_id: int | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """A team the key's user belongs to."""

    id: int
    slug: str | None
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """Working hours; only its zone matters here, Cal.com computes the slots."""

    id: int
    time_zone: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """A start that may be booked, with seats where the event type has them."""

    start: datetime
    seats_remaining: int | None = None
    seats_total: int | None = None


@dataclass(frozen=True, slots=True)
class SlotKey:
    """What a cached day is stored under: one canonical query's zone and length, one local day of it."""

    event_type_id: int
    duration_minutes: int
    zone: str
    day: date


@dataclass(frozen=True, slots=True)
class SlotDay:
    """The free starts of one local day; an empty day is a fact too."""

    key: SlotKey
    slots: tuple[Slot, ...]
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class SlotQuery:
    """The canonical query (design section 8): whole days in the schedule's zone, and that zone asked for.

    Another zone or another start yields other starts (captures 31), so nothing else is ever asked for.
    """

    event_type_id: int
    duration_minutes: int
    zone: str
    first_day: date
    last_day: date
    #: Only event types that offer several lengths may be asked for one (capture 02o).
    choose_duration: bool = False


@dataclass(frozen=True, slots=True)
class Attendee:
    """Somebody who booked. The address never leaves the mirror and quarantine tables."""

    email: str | None = field(repr=False)
    name: str | None = field(repr=False)
    time_zone: str | None = None
    language: str | None = None
    absent: bool | None = None
    phone_number: str | None = field(default=None, repr=False)
    seat_uid: str | None = None
    #: Who this is at Cal.com, where we know that; filled when a booking is stored, never from the wire.
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The organizer row that Cal.com shows. `id` is None where it says "unknown" (fact sheet 6.4)."""

    id: int | None
    username: str | None = None
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """One row of Cal.com's booking list, with the raw payload it was read from (UTF-8 JSON)."""

    uid: str
    id: int
    status: BookingStatus
    start: datetime
    end: datetime
    created_at: datetime | None
    updated_at: datetime | None
    title: str = field(default="", repr=False)
    description: str | None = field(default=None, repr=False)
    event_type_id: int | None = None
    event_type_slug: str | None = None
    location: str | None = field(default=None, repr=False)
    cancellation_reason: str = field(default="", repr=False)
    rescheduled_from_uid: str | None = None
    rescheduled_to_uid: str | None = None
    recurring_uid: str | None = None
    absent_host: bool = False
    attendees: tuple[Attendee, ...] = field(default=(), repr=False)
    hosts: tuple[Host, ...] = field(default=(), repr=False)
    raw: bytes = field(default=b"{}", compare=False, repr=False)
    payload_hash: bytes = field(default=b"", compare=False, repr=False)
