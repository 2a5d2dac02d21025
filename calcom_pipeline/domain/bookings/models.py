"""A booking with the people in it. All instants are aware and in UTC."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

BookingStatus = Literal["accepted", "pending", "cancelled", "rejected", "awaiting_host"]


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
