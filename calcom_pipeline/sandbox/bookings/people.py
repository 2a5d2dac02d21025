"""Guests, attendees and the location of a booking, each with a rate limit of its own.

Facts: fact sheet 3 and 6.8.
"""

from http import HTTPStatus
from typing import Final

from calcom_pipeline.sandbox.bookings import place
from calcom_pipeline.sandbox.bookings.reading import find_booking, shown_now
from calcom_pipeline.sandbox.bookings.storable import refuse_nul
from calcom_pipeline.sandbox.core.errors import bad_request, forbidden, not_found, trpc
from calcom_pipeline.sandbox.core.json_types import Json, as_stored
from calcom_pipeline.sandbox.event_types.personal_api import may_read, read_whole_number
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, created, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import BOOKINGS
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.validation import bookings as rules
from calcom_pipeline.sandbox.validation.engine import clean

MOST_GUESTS: Final = 30
GUESTS_LIMIT: Final = "booking_guests_add"
LOCATION_LIMIT: Final = "booking_location_update"
ATTENDEE_ADD_LIMIT: Final = "booking_attendees_add"
ATTENDEE_REMOVE_LIMIT: Final = "booking_attendees_remove"
_NOT_LOCATED: Final = (
    "User is not authorized to update this booking location. User must be the event type owner, host, team admin or "
    "owner, or org admin or owner."
)
# The member of a new location that says where it is.
_LOCATION_MEMBERS: Final = {
    "address": "address",
    "link": "link",
    "phone": "phone",
    "attendeeAddress": "address",
    "attendeePhone": "phone",
    "attendeeDefined": "location",
}


def _base(email: str) -> str:
    """An address without what stands after a plus sign, in lower case: how Cal.com tells guests apart."""
    name, _, domain = email.rpartition("@")
    return f"{name.partition('+')[0]}@{domain}".lower()


def _is_hosts_or_attendees(call: SandboxCall, booking: SandboxBooking) -> bool:
    """Whether the caller organizes the booking, administers its team or takes part."""
    event_type = call.world.event_types.get(booking.event_type_id or 0)
    is_admin = event_type is not None and may_read(call.world, call.caller, event_type)
    return booking.user_id == call.caller.id or is_admin or any(a.email == call.caller.email for a in booking.attendees)


def _own_booking(call: SandboxCall) -> SandboxBooking:
    """The booking of the path, if the caller is its host, an admin or takes part; raises 403."""
    booking = find_booking(call)
    if not _is_hosts_or_attendees(call, booking):
        raise forbidden("You do not have permission to access this booking")
    return booking


async def add_guests(call: SandboxCall) -> SandboxAnswer:
    """POST …/guests."""
    booking = find_booking(call)
    guests: list[Json] = clean(rules.GUESTS_BODY, call.body)["guests"]
    if not _is_hosts_or_attendees(call, booking):
        raise trpc(HTTPStatus.FORBIDDEN, "you_do_not_have_permission")
    seen = {_base(one.email) for one in booking.attendees}
    new: list[Json] = []
    for guest in guests:
        if _base(guest["email"]) not in seen:
            seen.add(_base(guest["email"]))
            new.append(guest)
    if not new:
        raise trpc(HTTPStatus.BAD_REQUEST, "emails_must_be_unique_valid")
    if len(booking.attendees) - 1 + len(new) > MOST_GUESTS:
        raise bad_request(f"Total number of guests cannot exceed {MOST_GUESTS} per booking.")
    for guest in new:
        booking.attendees.append(_attendee(call, booking, guest))
    responses: Json = dict(booking.responses or {})
    responses["guests"] = [*(responses.get("guests") or []), *(guest["email"] for guest in new)]
    booking.responses = as_stored(responses)
    booking.updated = call.now
    call.world.bookings.save(booking)
    return success(shown_now(call, booking.uid))


def _attendee(call: SandboxCall, booking: SandboxBooking, given: Json) -> SandboxAttendee:
    """Somebody new, with the organizer's zone if none is given."""
    refuse_nul(given.get("name"), given.get("phoneNumber"))
    organizer = call.world.users.get(booking.user_id or 0) or call.caller
    return SandboxAttendee(
        call.world.sequences.take("attendee"),
        given.get("name") or "",
        given["email"],
        given.get("timeZone") or organizer.time_zone,
        given.get("language") or "en",
        given.get("phoneNumber"),
    )


async def change_location(call: SandboxCall) -> SandboxAnswer:
    """PATCH …/location: for hosts and admins; without a location that the type offers nothing changes."""
    booking = find_booking(call)
    given: Json | None = clean(rules.LOCATION_BODY, call.body).get("location")
    event_type = call.world.event_types.get(booking.event_type_id or 0)
    if event_type is not None and not may_read(call.world, call.caller, event_type):
        raise forbidden(_NOT_LOCATED)
    if not given:
        return success(shown_now(call, booking.uid))
    if booking.user_id is None:
        raise not_found(f"No user found for booking with uid={booking.uid}")
    if event_type is None:
        raise not_found(f"No event type found for booking with uid={booking.uid}")
    if given["type"] not in {offered["type"] for offered in event_type.locations}:
        return success(shown_now(call, booking.uid))  # fact sheet 10 26; guess: `updatedAt` stays as well
    location = _new_location(event_type, given)
    refuse_nul(location)
    metadata = {key: value for key, value in booking.metadata.items() if key != "videoCallUrl"}
    if given["type"] == "integration":
        video = place.video_url(location, call.world.booker_url, booking.uid)
        metadata |= {"videoCallUrl": video} if video else {}
    booking.metadata, booking.location = as_stored(metadata), location
    booking.responses = as_stored(dict(booking.responses or {}) | {"location": place.as_response(given)})
    booking.updated = call.now
    call.world.bookings.save(booking)
    return success(shown_now(call, booking.uid))


def _new_location(event_type: SandboxEventType, given: Json) -> str:
    if given["type"] == "integration":
        return place.stored_location(event_type, given) or place.CAL_VIDEO_LOCATION
    member = _LOCATION_MEMBERS.get(given["type"])
    value = given.get(member) if member else None
    if not value:
        raise bad_request(f"Missing or invalid location value for type: {given['type']}")
    return str(value)


def _shown(booking: SandboxBooking, attendee: SandboxAttendee) -> Json:
    shown: Json = {
        "id": attendee.id,
        "bookingId": booking.id,
        "name": attendee.name,
        "email": attendee.email,
        "displayEmail": attendee.email,
        "timeZone": attendee.time_zone,
        "language": attendee.locale,
        "absent": attendee.absent,
    }
    return shown | ({"phoneNumber": attendee.phone} if attendee.phone is not None else {})


async def list_attendees(call: SandboxCall) -> SandboxAnswer:
    """GET …/attendees."""
    booking = _own_booking(call)
    return success([_shown(booking, one) for one in booking.attendees])


def _find(call: SandboxCall, booking: SandboxBooking) -> SandboxAttendee:
    attendee_id = read_whole_number(call.params["attendeeId"])
    found = next((one for one in booking.attendees if one.id == attendee_id), None)
    if found is None:
        raise not_found(f"Attendee with id {attendee_id} not found in booking {booking.uid}")
    return found


async def read_attendee(call: SandboxCall) -> SandboxAnswer:
    """GET …/attendees/{attendeeId}."""
    booking = _own_booking(call)
    return success(_shown(booking, _find(call, booking)))


async def add_attendee(call: SandboxCall) -> SandboxAnswer:
    """POST …/attendees: child rows alone change, the booking's `updatedAt` stays."""
    booking = _own_booking(call)
    body = clean(rules.ATTENDEE_BODY, call.body)
    if any(one.email == body["email"] for one in booking.attendees):
        raise trpc(HTTPStatus.BAD_REQUEST, "emails_must_be_unique_valid")
    attendee = _attendee(call, booking, body)
    booking.attendees.append(attendee)
    call.world.bookings.save(booking)
    return created(_shown(booking, attendee))


async def remove_attendee(call: SandboxCall) -> SandboxAnswer:
    """DELETE …/attendees/{attendeeId}: the booker cannot be removed."""
    booking = _own_booking(call)
    attendee = _find(call, booking)
    if booking.attendees[0].id == attendee.id:
        raise bad_request("Cannot remove the primary attendee of a booking.")
    booking.attendees = [one for one in booking.attendees if one.id != attendee.id]
    call.world.bookings.save(booking)
    shown = _shown(booking, attendee)
    return success({name: shown[name] for name in ("id", "bookingId", "name", "email", "timeZone")})


_ONE: Final = "/v2/bookings/{uid}"
_PERMISSION: Final = Guard.PERMISSION
ROUTES: Final = [
    Route("POST", f"{_ONE}/guests", add_guests, BOOKINGS, _PERMISSION, GUESTS_LIMIT),
    Route("PATCH", f"{_ONE}/location", change_location, BOOKINGS, _PERMISSION, LOCATION_LIMIT),
    Route("GET", f"{_ONE}/attendees", list_attendees, BOOKINGS, _PERMISSION),
    Route("POST", f"{_ONE}/attendees", add_attendee, BOOKINGS, _PERMISSION, ATTENDEE_ADD_LIMIT),
    Route("GET", f"{_ONE}/attendees/{{attendeeId}}", read_attendee, BOOKINGS, _PERMISSION),
    Route("DELETE", f"{_ONE}/attendees/{{attendeeId}}", remove_attendee, BOOKINGS, _PERMISSION, ATTENDEE_REMOVE_LIMIT),
]
