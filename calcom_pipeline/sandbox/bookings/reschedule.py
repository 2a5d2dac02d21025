"""`POST /v2/bookings/{uid}/reschedule`: a new booking in place of the old one.

Facts: fact sheet 6.7, recordings `04*`.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from calcom_pipeline.sandbox.bookings import views
from calcom_pipeline.sandbox.bookings.bounds import check_time
from calcom_pipeline.sandbox.bookings.creation import create, question_of
from calcom_pipeline.sandbox.bookings.hosts import assign
from calcom_pipeline.sandbox.bookings.reading import find_booking
from calcom_pipeline.sandbox.bookings.request import Booker, SandboxBookingRequest, from_predecessor
from calcom_pipeline.sandbox.bookings.seats import seated_at, take_seat
from calcom_pipeline.sandbox.core.errors import Bare, bad_request, internal_error, not_found
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import MINUTE_MS, parse_iso
from calcom_pipeline.sandbox.event_types.personal_api import may_read
from calcom_pipeline.sandbox.hooks import notify
from calcom_pipeline.sandbox.hooks.payloads import Occasion
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, created, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import BOOKINGS, BOOKINGS_SINCE_2026_02_25
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.validation import bookings as rules
from calcom_pipeline.sandbox.validation.engine import clean, clean_strictly

_SEAT_NEEDED: Final = (
    "Booking with uid={uid} is a seated booking which means you have to provide seatUid in the request body to specify "
    "which seat specifically you want to reschedule. First, fetch the booking using "
    "https://cal.com/docs/api-reference/v2/bookings/get-a-booking and then within the attendees array you will find "
    "the seatUid of the booking you want to reschedule. Second, provide the seatUid in the request body to specify "
    "which seat specifically you want to reschedule using the reschedule endpoint "
    "https://cal.com/docs/api-reference/v2/bookings/reschedule-a-booking#option-2"
)
_MOVABLE: Final = frozenset({"accepted", "pending"})


async def reschedule_booking(call: SandboxCall) -> SandboxAnswer:
    """POST …/reschedule."""
    booking = find_booking(call)
    raw: Any = call.body
    schema = rules.reschedule_body(raw if isinstance(raw, dict) else {}, call.version)  # pyright: ignore[reportUnknownArgumentType] - the schema looks at its keys alone
    body = clean_strictly(schema, raw)
    start = parse_iso(body["start"])
    if start is None:
        raise bad_request("Invalid start date")
    event_type = call.world.event_types.get(booking.event_type_id or 0)
    if event_type is None:
        raise _no_original()
    _check_state(booking)
    _check_settings(call, booking, event_type)
    if event_type.seats_per_slot:
        return created(await _move_seats(call, booking, event_type, start, body))
    request = replace(from_predecessor(event_type, booking, start, body), **_host_flags(call, event_type, body))
    moved = await create(call.sandbox, request, owner_moves=_owner_moves(call, booking, body))
    return created(views.after_create(call.world, moved))


def _host_flags(call: SandboxCall, event_type: SandboxEventType, body: Json) -> dict[str, bool]:
    if call.user is None or not may_read(call.world, call.user, event_type):
        return {}
    return {
        "ignores_conflicts": bool(body.get("allowConflicts")),
        "ignores_bounds": bool(body.get("allowBookingOutOfBounds")),
    }


def _owner_moves(call: SandboxCall, booking: SandboxBooking, body: Json) -> bool:
    """Whether the host of a booking moves it: it then needs no new confirmation (fact sheet 10 21).

    Guess, from the published source: whose address `rescheduledBy` is decides before whose key it is, unless it is the
    booker's own.
    """
    named = body.get("rescheduledBy")
    booker = (booking.responses or {}).get("email")
    mover = call.world.user_with_email(named) if named and named != booker else None
    mover = mover or call.user
    return mover is not None and mover.id == booking.user_id


def _no_original() -> Bare:
    """The core finds only accepted, pending and cancelled bookings of a type that is there (35).

    Guess: a cancelled booking whose type is gone is not found either.
    """
    return Bare(HTTPStatus.NOT_FOUND, "Could not find original booking")


def _check_state(booking: SandboxBooking) -> None:
    uid = booking.uid
    if booking.status == "cancelled" and booking.rescheduled:
        to = booking.rescheduled_to
        raise bad_request(
            f"Can't reschedule booking with uid={uid} because it has been cancelled and rescheduled already to booking "
            f"with uid={to}. You probably want to reschedule {to} instead by passing it within the request URL."
        )
    if booking.status == "cancelled":  # whatever the type allows: that setting is for booking pages
        raise bad_request(
            f"Can't reschedule booking with uid={uid} because it has been cancelled. Please provide uid of a booking "
            "that is not cancelled."
        )
    if booking.status not in _MOVABLE:
        raise _no_original()


def _check_settings(call: SandboxCall, booking: SandboxBooking, event_type: SandboxEventType) -> None:
    settings = event_type.settings
    if settings.get("disableRescheduling"):
        raise Bare(HTTPStatus.BAD_REQUEST, "This event type does not allow rescheduling")
    notice = settings.get("minimumRescheduleNotice")
    if notice and booking.start - call.now < notice * MINUTE_MS:
        raise Bare(
            HTTPStatus.FORBIDDEN,
            f"Rescheduling is not allowed within {notice} minutes before the event",
        )
    if booking.end < call.now and not settings.get("allowReschedulingPastBookings"):
        raise bad_request("Attempting to book a meeting in the past.")


async def _move_seats(
    call: SandboxCall, booking: SandboxBooking, event_type: SandboxEventType, start: int, body: Json
) -> Json:
    if "seatUid" in body:
        return await _move_one_seat(call, booking, event_type, start, body)
    if call.user is None:
        raise internal_error()  # nobody foresaw that an unknown caller sends no seat
    if call.user.id not in call.world.host_ids(event_type):
        raise bad_request(_SEAT_NEEDED.format(uid=booking.uid))
    return await _move_all_seats(call, booking, event_type, start, body)


async def _move_one_seat(
    call: SandboxCall, booking: SandboxBooking, event_type: SandboxEventType, start: int, body: Json
) -> Json:
    """One attendee goes to another slot; the booking that is left without attendees is cancelled."""
    attendee = next((a for a in booking.attendees if a.seat is not None and a.seat.uid == body["seatUid"]), None)
    if attendee is None or attendee.seat is None:
        raise not_found(f"Seat with uid={body['seatUid']} does not exist.")
    request = SandboxBookingRequest(
        event_type=event_type,
        start=start,
        minutes=booking.minutes,
        booker=_booker(attendee),
        metadata=attendee.seat.metadata,
        responses={key: value for key, value in attendee.seat.responses.items() if key != "guests"},
        moved_by=body.get("rescheduledBy"),
    )
    moved, seat_uid, _ = await take_seat(call.sandbox, request, booking)
    current = call.world.bookings.find_id(booking.id)
    if current is not None:
        current.attendees = [one for one in current.attendees if one.id != attendee.id]
        if not current.attendees:
            current.status, current.rescheduled, current.rescheduled_to = "cancelled", True, moved.uid
            current.updated = call.now
            moved.rescheduled_from, moved.rescheduled_by = current.uid, body.get("rescheduledBy")
            call.world.bookings.save(moved)
        call.world.bookings.save(current)
    return views.after_create(call.world, moved, seat_uid=seat_uid)


def _booker(attendee: SandboxAttendee) -> Booker:
    return Booker(attendee.name, attendee.email, attendee.time_zone, attendee.locale, attendee.phone)


async def _move_all_seats(
    call: SandboxCall, booking: SandboxBooking, event_type: SandboxEventType, start: int, body: Json
) -> Json:
    """The host moves the whole booking in place, or joins it to the one that stands there already."""
    request = replace(from_predecessor(event_type, booking, start, body), predecessor=booking)
    check_time(call.world, request, call.now)
    there = seated_at(call.world, event_type, start)
    if there is not None and there.id != booking.id:
        if len(there.attendees) + len(booking.attendees) > event_type.seats_per_slot:
            raise bad_request("Booking does not have enough available seats")
        there.attendees += booking.attendees
        booking.attendees, booking.status = [], "cancelled"
        booking.rescheduled, booking.rescheduled_to, booking.updated = True, there.uid, call.now
        call.world.bookings.save(booking)
        moved = there
    else:
        assign(call.world, question_of(request))
        booking.end, booking.start = start + booking.minutes * MINUTE_MS, start
        moved = booking
    moved.updated = call.now
    call.world.bookings.save(moved)
    await notify.about_new(call.sandbox, Occasion(moved, event_type, predecessor=booking))
    return views.after_create(call.world, moved, seat_uid="")


async def request_reschedule(call: SandboxCall) -> SandboxAnswer:
    """POST …/request-reschedule (version 2026-02-25): the booking is cancelled, the attendee gets a link."""
    booking = find_booking(call)
    body = clean(rules.REQUEST_RESCHEDULE_BODY, call.body)
    if booking.user_id != call.caller.id:
        raise Bare(HTTPStatus.FORBIDDEN, "User isn't owner of the current booking")
    if booking.status not in _MOVABLE:
        raise bad_request(f"Booking with uid={booking.uid} is {booking.status} and can't be rescheduled.")
    event_type = call.world.event_types.get(booking.event_type_id or 0)
    reason = body.get("rescheduleReason")
    await notify.about_cancelled(call.sandbox, Occasion(booking, event_type), reason=reason, asks_to_move=True)
    current = call.world.bookings.find_id(booking.id)
    if current is not None:
        current.status, current.rescheduled = "cancelled", True
        current.cancellation_reason, current.updated = reason, call.now
        call.world.bookings.save(current)
    return success(None)


ROUTES: Final = [
    Route("POST", "/v2/bookings/{uid}/reschedule", reschedule_booking, BOOKINGS, Guard.OPTIONAL),
    Route(
        "POST",
        "/v2/bookings/{uid}/request-reschedule",
        request_reschedule,
        BOOKINGS_SINCE_2026_02_25,
        Guard.PERMISSION,
    ),
]
