"""What webhooks say when something happens to a booking that exists: confirmed, rejected, cancelled, somebody absent.

Unlike those of a new booking they are made from the stored rows, with other members in another order.
Facts: fact sheet 7.2 and 7.4.
"""

from typing import Any, Final

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import iso, iso_seconds_offset, utc_offset_minutes
from calcom_pipeline.sandbox.hooks.payloads import (
    Occasion,
    clock_format,
    described,
    entry,
    stored_scheduling,
    stored_series,
)
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.state.world import World

_OWN_EDITABLE: Final = frozenset({"user", "user-readonly"})


def confirmed(world: World, occasion: Occasion) -> Json:
    """The payload of `BOOKING_CREATED` when a host confirms."""
    payload = _decided(world, occasion) | {"status": "ACCEPTED"}
    location = occasion.booking.location or ""
    return payload | ({"metadata": {"videoCallUrl": location}} if location.startswith("http") else {})


def rejected(world: World, occasion: Occasion, reason: str | None) -> Json:
    """The payload of `BOOKING_REJECTED`."""
    return _decided(world, occasion, reason) | {"status": "REJECTED"}


def _decided(world: World, occasion: Occasion, reason: str | None = None) -> Json:
    """What a host's decision tells; its times carry milliseconds."""
    booking, event_type = occasion.booking, occasion.event_type
    setting: Json = event_type.settings if event_type else {}
    team = world.teams.get(event_type.team_id or 0) if event_type else None
    payload: Json = {
        "type": event_type.slug if event_type else "",
        "title": booking.title,
        "description": booking.description,
        "bookerUrl": world.booker_url,
        **_responses(occasion),
        "customInputs": {},
        "startTime": iso(booking.start),
        "endTime": iso(booking.end),
        "organizer": _organizer(world, booking, ("id", "email", "name", "username")),
        "attendees": [_attendee(booking, one) for one in booking.attendees],
        "location": booking.location or "",
        "uid": booking.uid,
        "destinationCalendar": [],
        "requiresConfirmation": True if event_type and event_type.confirmation else None,
        "hideOrganizerEmail": setting.get("hideOrganizerEmail", False),
        "hideCalendarNotes": setting.get("hideCalendarNotes", False),
        "hideCalendarEventDetails": setting.get("hideCalendarEventDetails", False),
        "eventTypeId": booking.event_type_id,
        "customReplyToEmail": None,
        "seatsPerTimeSlot": (event_type.seats_per_slot or None) if event_type else None,
        "seatsShowAttendees": _shows_seats(event_type),
    }
    if team is not None:
        payload["team"] = {"name": team.name, "id": team.id, "members": []}
    payload |= {"organizationId": _organization(world, booking), "additionalNotes": booking.description}
    if booking.series_uid is not None and event_type is not None:
        payload["recurringEvent"] = stored_series(event_type, with_count=True)
    if reason is not None:
        payload["rejectionReason"] = reason
    return payload | {
        "eventTitle": event_type.title if event_type else None,
        "eventDescription": event_type.description if event_type else None,
        "price": event_type.price if event_type else None,
        "currency": event_type.currency if event_type else None,
        "length": event_type.length if event_type else None,
        "bookingId": booking.id,
    }


def cancelled(
    world: World, occasion: Occasion, *, reason: str | None, whole_series: bool = False, asks_to_move: bool = False
) -> Json:
    """The payload of `BOOKING_CANCELLED`; its times end in `+00:00`."""
    booking, attendee = occasion.booking, occasion.attendee
    if attendee is not None:
        shown = [_seat_row(booking, attendee)]
        return _cancelled(world, occasion, shown, "" if reason is None else reason) | {"status": "CANCELLED"}
    attendees = [_attendee(booking, one) for one in _guests_and_booker(world, occasion)]
    payload = _cancelled(world, occasion, attendees, reason, whole_series=whole_series)
    return payload | {"status": "CANCELLED", "requestReschedule": asks_to_move}


def _cancelled(
    world: World, occasion: Occasion, attendees: list[Json], reason: str | None, *, whole_series: bool = False
) -> Json:
    booking, event_type = occasion.booking, occasion.event_type
    payload: Json = {
        "bookerUrl": world.booker_url,
        "title": booking.title,
        "length": event_type.length if event_type else None,
        "type": event_type.slug if event_type else None,
        "additionalNotes": booking.description,
        "description": described(event_type, booking),
        "customInputs": {},
        "eventTypeId": booking.event_type_id,
        **_responses(occasion),
        "startTime": iso_seconds_offset(booking.start),
        "endTime": iso_seconds_offset(booking.end),
        "organizer": _organizer(world, booking, ("id", "username", "email", "name")),
        "attendees": attendees,
        "uid": booking.uid,
        "bookingId": booking.id,
    }
    if whole_series and event_type is not None:
        payload["recurringEvent"] = stored_series(event_type, with_count=True)
    payload |= {"location": booking.location, "destinationCalendar": list[Json]()}
    if reason is not None:
        payload["cancellationReason"] = reason
    return payload | _team(world, occasion) | {
        "seatsPerTimeSlot": (event_type.seats_per_slot or None) if event_type else None,
        "seatsShowAttendees": _shows_seats(event_type),
        "iCalUID": booking.ical_uid,
        "iCalSequence": booking.ical_sequence + 1,
        "hideOrganizerEmail": bool(event_type.settings.get("hideOrganizerEmail")) if event_type else False,
        "customReplyToEmail": None,
        "organizationId": _organization(world, booking),
        "schedulingType": stored_scheduling(event_type),
        "eventTitle": event_type.title if event_type else None,
        "eventDescription": (event_type.description or None) if event_type else None,
        "requiresConfirmation": True if event_type and event_type.confirmation else None,
        "price": (event_type.price or None) if event_type else None,
        "currency": event_type.currency if event_type else None,
    }  # fmt: skip


def absent(booking: SandboxBooking, marked: list[SandboxAttendee]) -> Json:
    """The payload of `BOOKING_NO_SHOW_UPDATED`."""
    message = "No-show status updated for attendees"
    if len(marked) == 1:
        done = "marked" if marked[0].absent else "unmarked"
        message = f"{marked[0].email} {done} as no-show"
    return {
        "message": message,
        "attendees": [{"email": one.email, "noShow": one.absent} for one in marked],
        "bookingUid": booking.uid,
        "bookingId": booking.id,
    }


def _organizer(world: World, booking: SandboxBooking, members: tuple[str, ...]) -> Json:
    user = world.users.get(booking.user_id or 0)
    if user is None:
        return {}
    return {name: getattr(user, name) for name in members} | {
        "timeZone": user.time_zone,
        "timeFormat": clock_format(user),
        "language": {"locale": "en"},
        "utcOffset": utc_offset_minutes(booking.start, user.time_zone),
    }


def _attendee(booking: SandboxBooking, attendee: SandboxAttendee) -> Json:
    return _person(attendee) | {"utcOffset": utc_offset_minutes(booking.start, attendee.time_zone)}


def _person(attendee: SandboxAttendee) -> Json:
    return {
        "name": attendee.name,
        "email": attendee.email,
        "timeZone": attendee.time_zone,
        "phoneNumber": attendee.phone,
        "language": {"locale": attendee.locale},
    }


def _seat_row(booking: SandboxBooking, attendee: SandboxAttendee) -> Json:
    """Whoever gives back a seat, with the columns of the row."""
    return {
        "id": attendee.id,
        "email": attendee.email,
        "name": attendee.name,
        "timeZone": attendee.time_zone,
        "phoneNumber": attendee.phone,
        "locale": attendee.locale,
        "bookingId": booking.id,
        "noShow": attendee.absent,
        "language": {"locale": attendee.locale},
        "utcOffset": utc_offset_minutes(booking.start, attendee.time_zone),
    }


def _host_emails(world: World, event_type: SandboxEventType | None) -> set[str]:
    if event_type is None or event_type.team_id is None:
        return set()
    return {world.users[one].email for one in world.host_ids(event_type)}


def _guests_and_booker(world: World, occasion: Occasion) -> list[SandboxAttendee]:
    """The attendees but for a team's hosts; the first is the booker, whoever that is."""
    hosts = _host_emails(world, occasion.event_type)
    return [one for number, one in enumerate(occasion.booking.attendees) if number == 0 or one.email not in hosts]


def _team(world: World, occasion: Occasion) -> Json:
    event_type = occasion.event_type
    team = world.teams.get(event_type.team_id or 0) if event_type else None
    if team is None:
        return {}
    hosts = _host_emails(world, event_type)
    members = [_person(one) for one in occasion.booking.attendees[1:] if one.email in hosts]
    return {"team": {"name": team.name, "members": members, "id": team.id}}


def _organization(world: World, booking: SandboxBooking) -> int | None:
    user = world.users.get(booking.user_id or 0)
    return user.organization_id if user else None


def _shows_seats(event_type: SandboxEventType | None) -> bool | None:
    if event_type is None:
        return None
    return bool((event_type.seats or {}).get("showAttendeeInfo", False))


def _responses(occasion: Occasion) -> Json:
    """The answers as they were stored, by the fields of the type; without a type each is shown by its name."""
    given: Json = occasion.booking.responses or {}
    if occasion.event_type is None:
        plain = {name: entry(name, value, hidden=False) for name, value in given.items()}
        return {"responses": plain, "userFieldsResponses": {}}
    shown: Json = {}
    own: Json = {}
    for field in occasion.event_type.booking_fields:
        shown[field["name"]] = _answered(field, given)
        if field["editable"] in _OWN_EDITABLE:
            own[field["name"]] = _answered(field, given)
    return {"responses": shown, "userFieldsResponses": own}


def _answered(field: Json, given: Json) -> Json:
    is_hidden = bool(field.get("hidden"))
    value: Any = given.get(field["name"])
    if field["name"] == "guests" and is_hidden:
        value = list[str]()
    return entry(field.get("label") or field.get("defaultLabel") or "", value, hidden=is_hidden)
