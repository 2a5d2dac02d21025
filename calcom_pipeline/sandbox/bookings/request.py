"""A request for a booking as values: who, when, where, with what answers. Built from a body or from a predecessor."""

from dataclasses import dataclass, field
from typing import Any

from calcom_pipeline.sandbox.bookings import place
from calcom_pipeline.sandbox.bookings.core_schema import check_core
from calcom_pipeline.sandbox.core.errors import bad_request
from calcom_pipeline.sandbox.core.json_types import Json, as_stored
from calcom_pipeline.sandbox.core.times import MINUTE_MS, parse_iso
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType


@dataclass(frozen=True, slots=True)
class Booker:
    """The first attendee."""

    name: str
    email: str
    time_zone: str
    locale: str = "en"
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class SandboxBookingRequest:
    """One wanted booking of an event type."""

    event_type: SandboxEventType
    start: int
    minutes: int
    booker: Booker
    guests: tuple[str, ...] | None = None
    metadata: Json = field(default_factory=dict[str, object])
    responses: Json = field(default_factory=dict[str, object])
    place: Any = None
    notes: str = ""
    series_uid: str | None = None
    predecessor: SandboxBooking | None = None
    moved_by: str | None = None
    reason: str | None = None
    host_ids: tuple[int, ...] | None = None
    ignores_conflicts: bool = False
    ignores_bounds: bool = False

    @property
    def end(self) -> int:
        """When it would end."""
        return self.start + self.minutes * MINUTE_MS


def from_body(event_type: SandboxEventType, body: Json, *, minutes: int) -> SandboxBookingRequest:
    """The request that a validated body makes; raises 400 for what the core's schema refuses."""
    attendee: Json = body["attendee"]
    start = parse_iso(body["start"])
    if start is None:
        raise bad_request("Invalid start date")
    given = body.get("location") or body.get("meetingUrl")
    place.check_offered(event_type, given)
    metadata: Json = dict(body.get("metadata") or {})
    check_core(event_type, attendee, body.get("guests"), metadata)
    booker = Booker(
        name=attendee["name"],
        email=attendee.get("email") or _email_for(attendee.get("phoneNumber")),
        time_zone=attendee["timeZone"],  # as it is spelled (fact sheet 10 20)
        locale=attendee.get("language") or "en",
        phone=attendee.get("phoneNumber") or None,
    )
    own: Json = dict(body.get("bookingFieldsResponses") or {})
    return SandboxBookingRequest(
        event_type=event_type,
        start=start,
        minutes=minutes,
        booker=booker,
        guests=tuple(body["guests"]) if body.get("guests") is not None else None,
        metadata=metadata,
        responses=_responses(own, booker, attendee.get("email") or "", body.get("guests"), given),
        place=given,
        notes=str(own.get("notes") or ""),
        host_ids=tuple(body["rrHostSubsetIds"]) if body.get("rrHostSubsetIds") else None,
    )


def _email_for(phone: str | None) -> str:
    """Whoever gives only a phone number gets an address made of it."""
    digits = "".join(character for character in phone or "" if character.isdigit())
    return f"{digits}@sms.cal.com"


def _responses(own: Json, booker: Booker, email: str, guests: list[str] | None, given: Any) -> Json:
    found: Json = own | {"name": booker.name, "email": email}
    if booker.phone is not None:
        found["attendeePhoneNumber"] = booker.phone
    if guests is not None:
        found["guests"] = guests
    location = place.as_response(given)
    if location is not None:
        found["location"] = location
    return as_stored(found)


def _booker_of(old: SandboxBooking) -> SandboxAttendee:
    """Who booked a seated booking whose attendees went with its cancellation."""
    responses: Json = old.responses or {}
    return SandboxAttendee(0, str(responses.get("name") or ""), str(responses.get("email") or ""), "UTC")


def from_predecessor(
    event_type: SandboxEventType, old: SandboxBooking, start: int, body: Json
) -> SandboxBookingRequest:
    """The request that moves a booking: everything but the time stays."""
    first = old.attendees[0] if old.attendees else _booker_of(old)
    metadata = {key: value for key, value in old.metadata.items() if key != "videoCallUrl"}
    responses: Json = dict(old.responses or {"name": first.name, "email": first.email})
    reason = body.get("reschedulingReason")
    responses.pop("rescheduledReason", None)
    if reason is not None:
        responses["rescheduledReason"] = reason
    guests = responses.get("guests")
    return SandboxBookingRequest(
        event_type=event_type,
        start=start,
        minutes=old.minutes,
        booker=Booker(first.name, first.email, first.time_zone, first.locale, first.phone),
        guests=tuple(guests) if guests is not None else None,
        metadata=metadata,
        responses=as_stored(responses),
        place=None if old.location == place.CAL_VIDEO_LOCATION else old.location,
        notes=old.description or "",
        series_uid=old.series_uid,
        predecessor=old,
        moved_by=body.get("rescheduledBy"),
        reason=reason,
        host_ids=tuple(body["rrHostSubsetIds"]) if body.get("rrHostSubsetIds") else None,
    )
