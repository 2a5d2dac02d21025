"""What a webhook's `payload` says, per trigger, in the recorded key order.

Facts: fact sheet 7.4, recordings `hook-*`.
"""

from dataclasses import dataclass
from typing import Any, Final

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import (
    iso,
    iso_seconds,
    utc_offset_minutes,
)
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType, User
from calcom_pipeline.sandbox.state.world import World

_STATUS: Final = {"accepted": "ACCEPTED", "pending": "PENDING", "cancelled": "CANCELLED", "rejected": "REJECTED"}
_SCHEDULING: Final = {"roundRobin": "ROUND_ROBIN", "collective": "COLLECTIVE", "managed": "MANAGED"}
_FREQUENCIES: Final = {"yearly": 0, "monthly": 1, "weekly": 2}
_HOURS_OF_A_LONG_CLOCK: Final = 24
# Every field that the booking form may have, with its label and whether the form hides it.
_FORM: Final = (
    ("attendeePhoneNumber", "phone_number", True),
    ("name", "your_name", False),
    ("email", "email_address", False),
    ("location", "location", False),
)
_FORM_END: Final = (
    ("title", "what_is_this_meeting_about", True),
    ("notes", "additional_notes", False),
    ("guests", "additional_guests", False),
    ("rescheduleReason", "reason_for_reschedule", False),
)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a payload is about: a booking of an event type, perhaps one seat of it, perhaps its predecessor."""

    booking: SandboxBooking
    event_type: SandboxEventType | None
    attendee: SandboxAttendee | None = None
    joins: bool = False
    ical_uid: str | None = None
    title: str | None = None
    predecessor: SandboxBooking | None = None
    moved_by: str | None = None
    one_time_password: str | None = None


def created(world: World, occasion: Occasion) -> Json:
    """The payload of `BOOKING_CREATED`, `BOOKING_REQUESTED` and `BOOKING_RESCHEDULED`."""
    booking, event_type = occasion.booking, occasion.event_type
    payload = _event(world, occasion)
    info = _event_type_info(event_type, booking)
    seat = occasion.attendee.seat if occasion.attendee else None
    own: Json = {"uid": booking.uid}
    in_new_series = booking.series_uid is not None and occasion.predecessor is None
    if in_new_series and event_type is not None and event_type.recurrence:
        payload["recurringEvent"] = stored_series(event_type, with_count=False)
    if seat is not None and not occasion.joins:
        own["attendeeSeatId"] = seat.uid
    if occasion.predecessor is not None and seat is None:
        own |= _moved(occasion)
        del payload["iCalUID"]  # taken from the calendar's answer, and no calendar is connected
    old = occasion.predecessor
    if occasion.joins:
        payload |= info | own | {"bookingId": booking.id} | ({"attendeeSeatId": seat.uid} if seat else {})
        payload |= {key: value for key, value in _moved_from(old).items() if key != "rescheduleId"}
    elif seat is not None:  # the first seat of a booking: the core has forgotten all but the uid of the old one
        payload |= own | info | {"bookingId": booking.id} | ({"rescheduleUid": old.uid} if old else {})
    else:
        payload |= own | info | {"bookingId": booking.id} | _moved_from(old)
    payload["metadata"] = _metadata(booking)
    payload["status"] = stored_status(booking)
    return payload


def _moved(occasion: Occasion) -> Json:
    """What moving a booking adds before everything that is said of the event type."""
    by = {"rescheduledBy": occasion.moved_by} if occasion.moved_by is not None else {}
    return by | {"appsStatus": list[Json]()}


def stored_status(booking: SandboxBooking) -> str:
    """A booking's state as the database spells it."""
    return _STATUS.get(booking.status, booking.status.upper())


def stored_scheduling(event_type: SandboxEventType | None) -> str | None:
    """How a team's type finds its host, as the database spells it."""
    return _SCHEDULING.get(event_type.scheduling or "") if event_type else None


def stored_series(event_type: SandboxEventType, *, with_count: bool) -> Json | None:
    """A type's recurrence as payloads show it; a new booking of a series does not say how many there are."""
    rule = event_type.recurrence
    if not rule:
        return None
    count = {"count": rule["occurrences"]} if with_count else {}
    return {"interval": rule["interval"]} | count | {"freq": _FREQUENCIES[rule["frequency"]]}


def _metadata(booking: SandboxBooking) -> Json:
    video = booking.metadata.get("videoCallUrl")
    rest = {key: value for key, value in booking.metadata.items() if key != "videoCallUrl"}
    return ({"videoCallUrl": video} if video else {}) | rest


def _moved_from(predecessor: SandboxBooking | None) -> Json:
    if predecessor is None:
        return {}
    return {
        "rescheduleId": predecessor.id,
        "rescheduleUid": predecessor.uid,
        "rescheduleStartTime": iso_seconds(predecessor.start),
        "rescheduleEndTime": iso_seconds(predecessor.end),
    }


def _event_type_info(event_type: SandboxEventType | None, booking: SandboxBooking) -> Json:
    return {
        "eventTitle": event_type.title if event_type else "",
        "eventDescription": event_type.description if event_type else None,
        "price": event_type.price if event_type else 0,
        "currency": event_type.currency if event_type else "usd",
        "length": booking.minutes,
    }


def _event(world: World, occasion: Occasion) -> Json:
    booking, event_type = occasion.booking, occasion.event_type
    setting: Json = event_type.settings if event_type else {}
    seats: Json = (event_type.seats if event_type else None) or {}
    needs_confirmation = booking.status == "pending"
    return {
        "bookerUrl": world.booker_url,
        "title": occasion.title or booking.title,
        "startTime": iso_seconds(booking.start),
        "endTime": iso_seconds(booking.end),
        "additionalNotes": booking.description or "",
        "type": event_type.slug if event_type else "",
        "description": described(event_type, booking) or "",
        "eventTypeId": booking.event_type_id,
        "hideCalendarNotes": setting.get("hideCalendarNotes", False),
        "hideCalendarEventDetails": setting.get("hideCalendarEventDetails", False),
        "hideOrganizerEmail": setting.get("hideOrganizerEmail", False),
        "schedulingType": stored_scheduling(event_type),
        "seatsPerTimeSlot": (event_type.seats_per_slot or None) if event_type else None,
        "seatsShowAttendees": bool(seats.get("showAttendeeInfo", True)),
        "seatsShowAvailabilityCount": bool(seats.get("showAvailabilityCount", True)),
        "customReplyToEmail": None,
        "disableRescheduling": bool(setting.get("disableRescheduling", False)),
        "disableCancelling": bool(setting.get("disableCancelling", False)),
        "organizer": _organizer(world, booking),
        "attendees": [_attendee(booking, one) for one in _shown_attendees(occasion)],
        "customInputs": {},
        **_responses(occasion),
        "location": booking.location,
        "destinationCalendar": None,
        **_team(world, occasion),
        "iCalUID": occasion.ical_uid or booking.ical_uid,
        "iCalSequence": booking.ical_sequence,
        "requiresConfirmation": needs_confirmation,
        "oneTimePassword": occasion.one_time_password,
        "hashedLink": None,
    }


def _shown_attendees(occasion: Occasion) -> list[SandboxAttendee]:
    return [occasion.attendee] if occasion.attendee is not None else occasion.booking.attendees


def _team(world: World, occasion: Occasion) -> Json:
    """The team and those of its members who join the organizer."""
    event_type = occasion.event_type
    team = world.teams.get(event_type.team_id or 0) if event_type else None
    if team is None:
        return {}
    by_email = {user.email: user for user in world.users.values()}
    members = [
        {"id": by_email[one.email].id, "email": one.email, "name": one.name, "timeZone": one.time_zone}
        for one in occasion.booking.attendees[1:]
        if one.email in by_email
    ]
    return {"team": {"members": members, "name": team.name, "id": team.id}}


def described(event_type: SandboxEventType | None, booking: SandboxBooking) -> str | None:
    """What stands for the description: the type's, or else the booker's notes."""
    own = event_type.description if event_type else None
    return own or booking.description


def clock_format(user: User) -> str:
    """How a user's clock writes a time."""
    return "HH:mm" if user.time_format == _HOURS_OF_A_LONG_CLOCK else "h:mma"


def _organizer(world: World, booking: SandboxBooking) -> Json:
    user: User | None = world.users.get(booking.user_id or 0)
    if user is None:
        return {}
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "username": user.username,
        "timeZone": user.time_zone,
        "language": {"locale": "en"},
        "timeFormat": clock_format(user),
        "utcOffset": utc_offset_minutes(booking.start, user.time_zone),
    }


def _attendee(booking: SandboxBooking, attendee: SandboxAttendee) -> Json:
    found: Json = {"email": attendee.email, "name": attendee.name}
    if attendee.phone is not None:
        found["phoneNumber"] = attendee.phone
    return found | {
        "firstName": "",
        "lastName": "",
        "timeZone": attendee.time_zone,
        "language": {"locale": attendee.locale},
        "utcOffset": utc_offset_minutes(booking.start, attendee.time_zone),
    }


def _given(occasion: Occasion) -> Json:
    seat = occasion.attendee.seat if occasion.attendee else None
    stored = seat.responses if seat is not None else occasion.booking.responses
    place = {"value": occasion.booking.location or "", "optionValue": ""}
    return {"location": place} | (stored or {})


def entry(label: str, value: Any, *, hidden: bool) -> Json:
    """One field of the booking form with its answer."""
    found: Json = {"label": label}
    if value is not None:
        found["value"] = value
    return found | {"isHidden": hidden}


def _responses(occasion: Occasion) -> Json:
    given = _given(occasion)
    fields = occasion.event_type.booking_fields if occasion.event_type else []
    own = {
        field["name"]: entry(field["label"], given.get(field["name"]), hidden=bool(field.get("hidden")))
        for field in fields
        if not field["editable"].startswith("system")
    }
    form = {name: entry(label, given.get(name), hidden=hidden) for name, label, hidden in _FORM}
    end = {name: entry(label, given.get(name), hidden=hidden) for name, label, hidden in _FORM_END}
    return {"responses": form | own | end, "userFieldsResponses": own}


def meeting_row(booking: SandboxBooking, trigger: str) -> Json:
    """The whole body of `MEETING_STARTED` and `MEETING_ENDED`: the raw row, flat, without a `payload`."""
    return {
        "triggerEvent": trigger,
        "createdAt": iso(booking.created),
        "id": booking.id,
        "uid": booking.uid,
        "idempotencyKey": None,
        "userId": booking.user_id,
        "userPrimaryEmail": None,
        "eventTypeId": booking.event_type_id,
        "title": booking.title,
        "description": booking.description,
        "customInputs": {},
        "responses": booking.responses,
        "startTime": iso(booking.start),
        "endTime": iso(booking.end),
        "location": booking.location,
        "updatedAt": None if booking.updated is None else iso(booking.updated),
        "status": stored_status(booking),
        "paid": False,
        "cancellationReason": booking.cancellation_reason,
        "rejectionReason": booking.rejection_reason,
        "rescheduled": booking.rescheduled,
        "fromReschedule": booking.rescheduled_from,
        "recurringEventId": booking.series_uid,
        "metadata": booking.metadata,
        "iCalUID": booking.ical_uid,
        "iCalSequence": booking.ical_sequence,
        "noShowHost": booking.absent_host,
    }
