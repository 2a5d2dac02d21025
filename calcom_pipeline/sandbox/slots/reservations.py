"""`/v2/slots/reservations`: holding a slot for some minutes.

Facts: fact sheet 5.2, recordings `17*`.
"""

from collections.abc import Iterator
from typing import Final

from calcom_pipeline.sandbox.core.errors import (
    bad_request,
    forbidden,
    not_found,
    unauthorized,
    unprocessable,
)
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import MINUTE_MS, iso, parse_iso
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, created, json_answer, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import SLOTS
from calcom_pipeline.sandbox.slots.ranges import Range, overlaps
from calcom_pipeline.sandbox.state.model import Reservation, SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.state.world import World
from calcom_pipeline.sandbox.validation import slots as rules
from calcom_pipeline.sandbox.validation.engine import clean

DEFAULT_MINUTES: Final = 5
_BLOCKING: Final = frozenset({"accepted", "pending", "awaiting_host"})


async def reserve(call: SandboxCall) -> SandboxAnswer:
    """POST /v2/slots/reservations."""
    body = clean(rules.RESERVATION_BODY, call.body)
    if body.get("reservationDuration") and call.user is None:
        raise unauthorized(
            "reservationDuration can only be used for authenticated requests - use access token, api key or OAuth "
            "credentials"
        )
    event_type = _event_type(call, body)
    if body.get("reservationDuration") and not _may_choose(call, event_type):
        raise forbidden(
            "authenticated user is not owner of event type, does not have memberships in common with owner of the "
            "event type, nor does belong to event type's team or org."
        )
    held = _hold(call, body, event_type)
    hosts = call.world.host_ids(event_type)
    if not hosts:
        raise bad_request("Cannot reserve a slot for a team event without any hosts")
    reservation = Reservation(
        uid=call.sandbox.ids.uuid(),
        event_type_id=event_type.id,
        user_id=hosts[0],
        start=held[0],
        end=held[1],
        until=call.now + _minutes(body) * MINUTE_MS,
        seated=bool(event_type.seats_per_slot),
    )
    call.world.reservations[reservation.uid] = reservation
    return created(_shown_new(reservation, _minutes(body)))


def _minutes(body: Json) -> int:
    return int(body.get("reservationDuration") or DEFAULT_MINUTES)


def _event_type(call: SandboxCall, body: Json) -> SandboxEventType:
    event_type = call.world.event_types.get(int(body["eventTypeId"]))
    if event_type is None:
        raise not_found(f"Event Type with ID={body['eventTypeId']} not found")
    return event_type


def _may_choose(call: SandboxCall, event_type: SandboxEventType) -> bool:
    user = call.caller
    if event_type.team_id is not None:
        return call.world.role_in(user.id, event_type.team_id) is not None
    owner = event_type.owner_id
    return owner is not None and (owner == user.id or call.world.share_a_team(user.id, owner))


def _hold(call: SandboxCall, body: Json, event_type: SandboxEventType) -> Range:
    """The time to hold, once it is known to be free; raises 400 or 422. A change collides with its own old time."""
    start = parse_iso(body["slotStart"])
    if start is None:
        raise bad_request("Invalid start date")
    end = start + _length(body, event_type) * MINUTE_MS
    booked = list(_overlapping(call.world, event_type, (start, end)))
    if event_type.seats_per_slot:  # bookings of other starts close nothing, as when booking
        if any(len(one.attendees) >= event_type.seats_per_slot for one in booked if one.start == start):
            raise unprocessable(f"Booking with id={body['eventTypeId']} at {body['slotStart']} has no more seats left.")
    elif booked:
        raise unprocessable("Can't reserve a slot if the event is already booked.")
    for held in call.world.reservations.values():
        is_active = held.until > call.now and held.event_type_id == event_type.id
        if is_active and overlaps((held.start, held.end), (start, end)):
            raise unprocessable("This time slot is already reserved by another user. Please choose a different time.")
    return start, end


def _length(body: Json, event_type: SandboxEventType) -> int:
    wanted = body.get("slotDuration")
    if not wanted:
        return event_type.length
    options = event_type.length_options
    if options is None:
        raise bad_request("You passed 'slotDuration' but this event type is not a variable length event type.")
    if wanted not in options:
        shown = ", ".join(str(option) for option in options)
        raise bad_request(
            "Provided 'slotDuration' is not one of the possible lengths for the event type. The possible lengths for "
            f"this variable length event type are: {shown}"
        )
    return int(wanted)


def _overlapping(world: World, event_type: SandboxEventType, wanted: Range) -> Iterator[SandboxBooking]:
    for position in world.bookings.between(*wanted):
        booking = world.bookings.at(position)
        if booking.event_type_id == event_type.id and booking.status in _BLOCKING:
            yield booking


def _shown(reservation: Reservation) -> Json:
    return {
        "eventTypeId": reservation.event_type_id,
        "slotStart": iso(reservation.start),
        "slotEnd": iso(reservation.end),
        "slotDuration": (reservation.end - reservation.start) // MINUTE_MS,
    }


def _shown_new(reservation: Reservation, minutes: int) -> Json:
    more = {"reservationUid": reservation.uid, "reservationDuration": minutes}
    return _shown(reservation) | more | {"reservationUntil": iso(reservation.until)}


async def read_reservation(call: SandboxCall) -> SandboxAnswer:
    """GET …/{uid}: an unknown one is null."""
    reservation = call.world.reservations.get(call.params["uid"])
    if reservation is None:
        return success(None)
    shown = {"reservationUid": reservation.uid} | _shown(reservation)
    return success(shown | {"reservationUntil": iso(reservation.until)})


async def change_reservation(call: SandboxCall) -> SandboxAnswer:
    """PATCH …/{uid}."""
    body = clean(rules.RESERVATION_BODY, call.body)
    reservation = call.world.reservations.get(call.params["uid"])
    if reservation is None:
        raise not_found(f"Slot with uid={call.params['uid']} not found")
    event_type = _event_type(call, body)
    reservation.start, reservation.end = _hold(call, body, event_type)
    reservation.event_type_id = event_type.id
    reservation.until = call.now + _minutes(body) * MINUTE_MS
    return success(_shown_new(reservation, _minutes(body)))


async def release(call: SandboxCall) -> SandboxAnswer:
    """DELETE …/{uid}: always 200."""
    call.world.reservations.pop(call.params["uid"], None)
    return json_answer({"status": "success"})


_ONE = "/v2/slots/reservations/{uid}"
ROUTES: Final = [
    Route("POST", "/v2/slots/reservations", reserve, SLOTS, Guard.OPTIONAL),
    Route("GET", _ONE, read_reservation, SLOTS, Guard.NONE),
    Route("PATCH", _ONE, change_reservation, SLOTS, Guard.NONE),
    Route("DELETE", _ONE, release, SLOTS, Guard.NONE),
]
