"""Bookings as version 2024-08-13 answers them: normal, recurring, seated, in the recorded key order.

Which shape a row has depends on the booking and its event type as they are now (fact sheet 6.4).
"""

from typing import Any

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import iso
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.state.world import World

_UNKNOWN = "unknown"
_HOST_KEYS = ("id", "name", "email", "displayEmail", "username", "timeZone")
# Cal.com's schema of responses puts these first, in this order; the rest follows as stored.
_RESPONSE_KEYS = ("email", "attendeePhoneNumber", "name", "guests", "rescheduleReason")


def shown(world: World, booking: SandboxBooking, *, with_attendees: bool = True) -> Json:
    """One booking in the shape that fits it."""
    event_type = world.event_types.get(booking.event_type_id or 0)
    is_seated = event_type is not None and bool(event_type.seats_per_slot)
    if is_seated:
        return _seated(world, booking, event_type, with_attendees=with_attendees)
    if booking.series_uid is not None:
        return _recurring(world, booking, event_type)
    return _normal(world, booking, event_type)


def _head(world: World, booking: SandboxBooking) -> Json:
    return {
        "id": booking.id,
        "uid": booking.uid,
        "title": booking.title,
        "description": booking.description,
        "hosts": shown_hosts(world, booking.user_id),
        "status": booking.status,
        "cancellationReason": booking.cancellation_reason or "",
    }


def shown_hosts(world: World, user_id: int | None) -> list[Json]:
    """The organizer in a list, also of a type with several hosts."""
    user = world.users.get(user_id or 0)
    if user is None:
        return [dict.fromkeys(_HOST_KEYS, _UNKNOWN)]
    own = (user.id, user.name, user.email, user.email, user.username, user.time_zone)
    return [dict(zip(_HOST_KEYS, own, strict=True))]


def _moved(world: World, booking: SandboxBooking) -> Json:
    """Who moved it, from where and to where. A moved booking names who moved its successor."""
    successor = world.bookings.find_uid(booking.rescheduled_to) if booking.rescheduled_to else None
    by = successor.rescheduled_by if booking.rescheduled and successor else booking.rescheduled_by
    found: Json = {"rescheduledByEmail": by}
    if booking.rescheduled_from:
        found["rescheduledFromUid"] = booking.rescheduled_from
    if booking.rescheduled and booking.rescheduled_to:
        found["rescheduledToUid"] = booking.rescheduled_to
    return found


def _reason(booking: SandboxBooking) -> Json:
    reason = (booking.responses or {}).get("rescheduledReason")
    return {} if reason is None else {"reschedulingReason": reason}


def _time_and_place(booking: SandboxBooking, event_type: SandboxEventType | None) -> Json:
    location = booking.metadata.get("videoCallUrl") or booking.location
    return {
        "start": iso(booking.start),
        "end": iso(booking.end),
        "duration": booking.minutes,
        "eventTypeId": booking.event_type_id,
        "eventType": None if event_type is None else {"id": event_type.id, "slug": event_type.slug},
        "meetingUrl": location,
        "location": location,
        "absentHost": booking.absent_host,
        "createdAt": iso(booking.created),
        "updatedAt": None if booking.updated is None else iso(booking.updated),
    }


def _metadata(booking: SandboxBooking) -> Json:
    return {key: value for key, value in booking.metadata.items() if key != "videoCallUrl"}


def shown_attendee(name: str, email: str, time_zone: str, locale: str = "en", *, absent: bool = False) -> Json:
    """An attendee without a phone number."""
    return {
        "name": name,
        "email": email,
        "displayEmail": email,
        "timeZone": time_zone,
        "language": locale,
        "absent": absent,
    }


def _attendee(attendee: SandboxAttendee, *, with_phone: bool) -> Json:
    found = shown_attendee(attendee.name, attendee.email, attendee.time_zone, attendee.locale, absent=attendee.absent)
    if with_phone and attendee.phone is not None:
        found["phoneNumber"] = attendee.phone
    return found


def _guests(booking: SandboxBooking) -> Json:
    guests = (booking.responses or {}).get("guests")
    return {} if guests is None else {"guests": guests}


def _responses(booking: SandboxBooking) -> Json:
    stored = booking.responses or {}
    found: Json = {key: stored[key] for key in _RESPONSE_KEYS if stored.get(key) is not None}
    found |= {key: value for key, value in stored.items() if key not in _RESPONSE_KEYS}
    if "email" in stored:
        found["displayEmail"] = stored["email"]
    if stored.get("guests") is not None:
        found["displayGuests"] = stored["guests"]
    return found


def _normal(world: World, booking: SandboxBooking, event_type: SandboxEventType | None) -> Json:
    found = _head(world, booking) | {"cancelledByEmail": booking.cancelled_by or ""}
    found |= _reason(booking) | _moved(world, booking) | _time_and_place(booking, event_type)
    found |= {"metadata": _metadata(booking), "rating": booking.rating, "icsUid": booking.ical_uid}
    found["attendees"] = [_attendee(one, with_phone=True) for one in booking.attendees]
    return found | _guests(booking) | {"bookingFieldsResponses": _responses(booking)}


def _recurring(world: World, booking: SandboxBooking, event_type: SandboxEventType | None) -> Json:
    found: Json = {"attendees": [_attendee(one, with_phone=False) for one in booking.attendees]}
    found |= _guests(booking) | {"bookingFieldsResponses": _responses(booking)}
    found |= _head(world, booking) | {"cancelledByEmail": booking.cancelled_by or ""} | _reason(booking)
    if booking.rescheduled_from:
        found["rescheduledFromUid"] = booking.rescheduled_from
    found |= _time_and_place(booking, event_type)
    found |= {"metadata": _metadata(booking), "rating": booking.rating, "icsUid": booking.ical_uid}
    return found | {"recurringBookingUid": booking.series_uid}


def _seated(
    world: World, booking: SandboxBooking, event_type: SandboxEventType | None, *, with_attendees: bool
) -> Json:
    found = _head(world, booking)
    if booking.series_uid is None:
        found |= _moved(world, booking)
    elif booking.rescheduled_from:
        found["rescheduledFromUid"] = booking.rescheduled_from
    found |= _time_and_place(booking, event_type) | {"rating": booking.rating, "icsUid": booking.ical_uid}
    found["attendees"] = [_seat(one) for one in booking.attendees] if with_attendees else []
    if booking.series_uid is not None:
        found["recurringBookingUid"] = booking.series_uid
    return found


def _seat(attendee: SandboxAttendee) -> Json:
    seat = attendee.seat
    # Guess, from the published source: whoever takes part without a seat has what stands for unreadable answers.
    stored: Json = {"name": _UNKNOWN} if seat is None else seat.responses
    responses: Json = {key: value for key, value in stored.items() if key != "email"}
    more: dict[str, Any] = {"bookingFieldsResponses": responses, "metadata": seat.metadata if seat else {}}
    found = _attendee(attendee, with_phone=False)
    if seat is not None:
        found["seatUid"] = seat.uid
    return found | more


def after_create(world: World, booking: SandboxBooking, *, seat_uid: str | None = None, is_first: bool = True) -> Json:
    """A booking as create and reschedule answer it: with its seat, and whether its user is a platform's."""
    found = shown(world, booking)
    if seat_uid is not None:
        found["seatUid"] = seat_uid
    if is_first:
        found["isPlatformManagedUserBooking"] = False
    return found
