"""What a create of a booking says, and what of it the answer shows. Facts: fact sheet 6.4, 6.5."""

from collections.abc import Mapping
from typing import Any

import orjson

from calcom_pipeline.adapters.calcom.bookings.lists import instant
from calcom_pipeline.domain.addresses import canonical
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.requests import KEY_NAME, BookingRequest

_SECONDS_PER_MINUTE = 60


def create_body(request: BookingRequest) -> dict[str, Any]:
    """The body of a create. An unknown property would be refused (fact sheet 2.3), so nothing empty is sent."""
    who = request.attendee
    attendee = {
        "name": who.name,
        "timeZone": who.time_zone,
        "language": who.language,
        "email": who.email,
        "phoneNumber": who.phone_number,
    }
    body = {
        "start": instant(request.start),
        "eventTypeId": request.event_type_id,
        "attendee": {name: value for name, value in attendee.items() if value is not None},
        "lengthInMinutes": request.length_minutes,
        "guests": list(request.guests) or None,
        "bookingFieldsResponses": dict(request.responses) or None,
        "location": request.location,
        "metadata": {**request.metadata, KEY_NAME: request.key},
    }
    return {name: value for name, value in body.items() if value is not None}


def ignored_details(request: BookingRequest, booking: Booking) -> tuple[str, ...]:
    """Names of details that were sent and that the answer does not show as sent: accepted but ignored.

    Answers to an event type's own questions and the location are not compared: Cal.com rewrites both.
    """
    payload = _payload(booking)
    answered_metadata = _metadata(payload)
    responses: dict[str, Any] = payload.get("bookingFieldsResponses") or {}
    guests: list[str] = payload.get("guests") or responses.get("guests") or list[str]()
    minutes = (booking.end - booking.start).total_seconds() / _SECONDS_PER_MINUTE
    who = {canonical(attendee.email) for attendee in booking.attendees if attendee.email}
    shown = {
        "eventTypeId": booking.event_type_id == request.event_type_id,
        "start": booking.start == request.start,
        "lengthInMinutes": request.length_minutes in (None, minutes),
        "attendee": request.attendee.email is None or canonical(request.attendee.email) in who,
        "guests": set(map(canonical, request.guests)) <= set(map(canonical, guests)),
        "metadata": all(
            any(one.get(name) == value for one in answered_metadata) for name, value in request.metadata.items()
        ),
    }
    return tuple(name for name, as_sent in shown.items() if not as_sent)


def carries_key(booking: Booking, key: str) -> bool:
    """Whether our key stands in the metadata of a booking, or of one of its seats."""
    return any(one.get(KEY_NAME) == key for one in _metadata(_payload(booking)))


def _payload(booking: Booking) -> dict[str, Any]:
    return orjson.loads(booking.raw)


def _metadata(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """That of the booking, and those of its seats."""
    holders: list[Mapping[str, Any]] = [payload, *(payload.get("attendees") or ())]
    return [holder.get("metadata") or {} for holder in holders]
