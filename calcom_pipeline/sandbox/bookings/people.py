"""Guests, attendees and the location of a booking, each with a rate limit of its own.

Facts: fact sheet 3 and 6.8.
"""

from typing import Final

from calcom_pipeline.sandbox.bookings import place
from calcom_pipeline.sandbox.bookings.reading import find_booking, shown_now
from calcom_pipeline.sandbox.core.errors import bad_request, forbidden, not_found, trpc
from calcom_pipeline.sandbox.core.json_types import Json, as_stored
from calcom_pipeline.sandbox.event_types.personal_api import may_read, read_whole_number
from calcom_pipeline.sandbox.http.answers import Answer, created, success
from calcom_pipeline.sandbox.http.call import Call, Guard, Route
from calcom_pipeline.sandbox.http.versions import BOOKINGS
from calcom_pipeline.sandbox.state.model import Attendee, Booking
from calcom_pipeline.sandbox.validation import bookings as rules
from calcom_pipeline.sandbox.validation.engine import clean

MOST_GUESTS: Final = 30
GUESTS_LIMIT: Final = "booking_guests_add"
LOCATION_LIMIT: Final = "booking_location_update"
ATTENDEE_ADD_LIMIT: Final = "booking_attendees_add"
ATTENDEE_REMOVE_LIMIT: Final = "booking_attendees_remove"


def _own_booking(call: Call) -> Booking:
    """The booking of the path, if the caller is its host, an admin or takes part; raises 403."""
    booking = find_booking(call)
    event_type = call.world.event_types.get(booking.event_type_id or 0)
    is_admin = event_type is not None and may_read(call.world, call.caller, event_type)
    takes_part = any(one.email == call.caller.email for one in booking.attendees)
    if booking.user_id != call.caller.id and not is_admin and not takes_part:
        raise forbidden("You do not have permission to access this booking")
    return booking


async def add_guests(call: Call) -> Answer:
    """POST …/guests."""
    booking = _own_booking(call)
    guests: list[Json] = clean(rules.GUESTS_BODY, call.body)["guests"]
    present = {one.email for one in booking.attendees}
    new = [guest for guest in guests if guest["email"] not in present]
    if not new:
        raise trpc(400, "emails_must_be_unique_valid")
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


def _attendee(call: Call, booking: Booking, given: Json) -> Attendee:
    """Somebody new, with the booker's zone and language if none are given."""
    booker = booking.attendees[0] if booking.attendees else None
    time_zone = booker.time_zone if booker else call.caller.time_zone
    locale = booker.locale if booker else "en"
    return Attendee(
        call.world.sequences.take("attendee"),
        given.get("name") or "",
        given["email"],
        given.get("timeZone") or time_zone,
        given.get("language") or locale,
        given.get("phoneNumber"),
    )


async def change_location(call: Call) -> Answer:
    """PATCH …/location."""
    booking = _own_booking(call)
    given = clean(rules.LOCATION_BODY, call.body)["location"]
    event_type = call.world.event_types.get(booking.event_type_id or 0)
    if event_type is None:
        raise bad_request(f"Booking with uid {booking.uid} has no event type")
    location = place.stored_location(event_type, given)
    if isinstance(given, dict) and given.get("type") in {"address", "link", "phone"}:  # pyright: ignore[reportUnknownMemberType] - any JSON
        location = str(given.get(given["type"]) or location)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - any JSON
    video = place.video_url(location, call.world.booker_url, booking.uid)
    metadata = {key: value for key, value in booking.metadata.items() if key != "videoCallUrl"}
    booking.metadata = as_stored(metadata | ({"videoCallUrl": video} if video else {}))
    booking.location = location
    responses: Json = dict(booking.responses or {})
    response = place.as_response(given)
    if booking.responses is not None and response is not None:
        booking.responses = as_stored(responses | {"location": response})
    booking.updated = call.now
    call.world.bookings.save(booking)
    return success(shown_now(call, booking.uid))


def _shown(booking: Booking, attendee: Attendee) -> Json:
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


async def list_attendees(call: Call) -> Answer:
    """GET …/attendees."""
    booking = _own_booking(call)
    return success([_shown(booking, one) for one in booking.attendees])


def _find(call: Call, booking: Booking) -> Attendee:
    attendee_id = read_whole_number(call.params["attendeeId"])
    found = next((one for one in booking.attendees if one.id == attendee_id), None)
    if found is None:
        raise not_found(f"Attendee with id {attendee_id} not found in booking {booking.uid}")
    return found


async def read_attendee(call: Call) -> Answer:
    """GET …/attendees/{attendeeId}."""
    booking = _own_booking(call)
    return success(_shown(booking, _find(call, booking)))


async def add_attendee(call: Call) -> Answer:
    """POST …/attendees: child rows alone change, the booking's `updatedAt` stays."""
    booking = _own_booking(call)
    body = clean(rules.ATTENDEE_BODY, call.body)
    if any(one.email == body["email"] for one in booking.attendees):
        raise trpc(400, "emails_must_be_unique_valid")
    attendee = _attendee(call, booking, body)
    booking.attendees.append(attendee)
    call.world.bookings.save(booking)
    return created(_shown(booking, attendee))


async def remove_attendee(call: Call) -> Answer:
    """DELETE …/attendees/{attendeeId}: the booker cannot be removed."""
    booking = _own_booking(call)
    attendee = _find(call, booking)
    if booking.attendees[0].id == attendee.id:
        raise bad_request("Cannot remove the primary attendee of a booking.")
    booking.attendees = [one for one in booking.attendees if one.id != attendee.id]
    call.world.bookings.save(booking)
    return success(_shown(booking, attendee))


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
