"""Seated bookings: taking a place in one, moving a place, giving it back.

Facts: fact sheet 6.4 to 6.7, recordings `03g`, `03h`.
"""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from calcom_pipeline.sandbox.bookings import bounds, place
from calcom_pipeline.sandbox.bookings.creation import insert, question_of, stamp
from calcom_pipeline.sandbox.bookings.hosts import assign
from calcom_pipeline.sandbox.bookings.request import SandboxBookingRequest
from calcom_pipeline.sandbox.bookings.storable import refuse_nul
from calcom_pipeline.sandbox.core.errors import Bare, conflict
from calcom_pipeline.sandbox.core.json_types import as_stored
from calcom_pipeline.sandbox.hooks import notify
from calcom_pipeline.sandbox.hooks.payloads import Occasion
from calcom_pipeline.sandbox.runtime import Sandbox
from calcom_pipeline.sandbox.slots.limits import refuse_past_limits
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType, Seat
from calcom_pipeline.sandbox.state.world import World

NO_SEATS: Final = "No more seats left at this seated booking."


def seated_at(world: World, event_type: SandboxEventType, start: int) -> SandboxBooking | None:
    """The accepted booking of a slot, which further seats join."""
    for position in world.bookings.between(start, start + 1):
        booking = world.bookings.at(position)
        if booking.event_type_id == event_type.id and booking.start == start and booking.status == "accepted":
            return booking
    return None


async def take_seat(
    sandbox: Sandbox, request: SandboxBookingRequest, moved_from: SandboxBooking | None = None
) -> tuple[SandboxBooking, str, bool]:
    """A seat for the booker: the booking, the seat's uid, and whether it is the booking's first.

    `moved_from` is the booking in which the booker sat until now.
    """
    world, now = sandbox.world, sandbox.clock.now()
    bounds.check_booker(world, request, now)
    bounds.check_time(world, request, now)
    if seated_at(world, request.event_type, request.start) is not None:
        await asyncio.sleep(sandbox.insert_seconds)
        booking = seated_at(world, request.event_type, request.start)
        if booking is not None:
            return await _join(sandbox, request, booking, moved_from)
    refuse_past_limits(world, request.event_type, request.start, request.minutes)
    assignment = assign(world, question_of(request))
    await asyncio.sleep(sandbox.insert_seconds)
    taken_meanwhile = seated_at(world, request.event_type, request.start)
    if taken_meanwhile is not None:
        return await _join(sandbox, request, taken_meanwhile, moved_from)
    booking = insert(sandbox, replace(request, guests=()), assignment, pending=False)
    attendee = booking.attendees[0]
    attendee.seat = _new_seat(sandbox, request)
    booking.responses, booking.description = None, None
    booking.ical_uid = f"{sandbox.ids.booking_uid()}@Cal.com"
    booking.metadata = {key: value for key, value in booking.metadata.items() if key == "videoCallUrl"}
    world.bookings.save(booking)
    occasion = Occasion(
        booking, request.event_type, attendee=attendee, predecessor=moved_from, moved_by=request.moved_by
    )
    await notify.about_new(sandbox, occasion)
    return stamp(sandbox, booking), attendee.seat.uid, True


def _new_seat(sandbox: Sandbox, request: SandboxBookingRequest) -> Seat:
    """A seat with its answers as they were given, but for guests: a seat has none (fact sheet 10 22)."""
    metadata = {key: value for key, value in request.metadata.items() if isinstance(value, str)}
    return Seat(sandbox.ids.uuid(), as_stored(request.responses | {"guests": []}), as_stored(metadata))


async def _join(
    sandbox: Sandbox, request: SandboxBookingRequest, booking: SandboxBooking, moved_from: SandboxBooking | None
) -> tuple[SandboxBooking, str, bool]:
    """One more seat in a booking that exists: its `updatedAt` stays as it is (measured)."""
    world, event_type, booker = sandbox.world, request.event_type, request.booker
    if any(attendee.email == booker.email for attendee in booking.attendees):
        raise Bare(HTTPStatus.CONFLICT, "already_signed_up_for_this_booking_error")
    if sum(attendee.seat is not None for attendee in booking.attendees) >= event_type.seats_per_slot:
        raise conflict(NO_SEATS)
    refuse_nul(booker.name, booker.email, documents=(request.responses, request.metadata))
    attendee = SandboxAttendee(
        world.sequences.take("attendee"), booker.name, booker.email, booker.time_zone, booker.locale, booker.phone
    )
    attendee.seat = _new_seat(sandbox, request)
    booking.attendees.append(attendee)
    world.bookings.save(booking)
    organizer = world.users.get(booking.user_id or 0)
    title = place.title(
        event_type,
        host=organizer.name if organizer else "",
        attendee=booker.name,
        location=booking.location,
        minutes=request.minutes,
    )
    occasion = Occasion(
        booking,
        event_type,
        attendee=attendee,
        joins=True,
        predecessor=moved_from,
        moved_by=request.moved_by,
        ical_uid=f"{sandbox.ids.booking_uid()}@Cal.com",
        title=title,
    )
    await notify.about_new(sandbox, occasion)
    return world.bookings.find_id(booking.id) or booking, attendee.seat.uid, False


def find_seat(world: World, seat_uid: str) -> tuple[SandboxBooking, SandboxAttendee] | None:
    """The booking and attendee of a seat."""
    booking = world.bookings.find_seat(seat_uid)
    if booking is None:
        return None
    return next(
        ((booking, one) for one in booking.attendees if one.seat is not None and one.seat.uid == seat_uid), None
    )
