"""`POST /v2/bookings/{uid}/cancel`: a booking, a series, or one seat.

Facts: fact sheet 6.6, recordings `05*`, `21d`.
"""

from http import HTTPStatus
from typing import Any, Final

from calcom_pipeline.sandbox.bookings.reading import shown_now
from calcom_pipeline.sandbox.bookings.seats import find_seat
from calcom_pipeline.sandbox.bookings.storable import refuse_nul
from calcom_pipeline.sandbox.core.errors import Bare, bad_request, not_found
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.hooks import notify
from calcom_pipeline.sandbox.hooks.payloads import Occasion
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import BOOKINGS, BOOKINGS_LEGACY, BOOKINGS_SINCE_2026_02_25
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.validation import bookings as rules
from calcom_pipeline.sandbox.validation.engine import clean_strictly

_FEWEST_FOR_ONE_SEAT: Final = 2  # the last attendee's seat is not taken away: the whole booking is cancelled


async def cancel_booking(call: SandboxCall) -> SandboxAnswer:
    """POST …/cancel in the modern versions."""
    raw: Any = call.body
    body = clean_strictly(rules.cancel_body(raw if isinstance(raw, dict) else {}), raw)  # pyright: ignore[reportUnknownArgumentType] - the schema looks at its keys alone
    uid = call.params["uid"]
    if "seatUid" in body:
        _check_seat(call, uid, body["seatUid"])
    await _cancel(call, uid, body)
    if body.get("cancelSubsequentBookings"):
        booking = call.world.bookings.find_uid(uid)
        if booking is None or booking.series_uid is None:
            raise bad_request(f"Booking with bookingUid={uid} is not part of a recurring booking.")
        return success(shown_now(call, booking.series_uid))
    return success(shown_now(call, uid))


def _check_seat(call: SandboxCall, uid: str, seat_uid: str) -> None:
    found = find_seat(call.world, seat_uid)
    if found is None:
        raise bad_request("Invalid seatUid: this seat does not exist or has already been cancelled.")
    if found[0].uid != uid:
        raise bad_request("Invalid seatUid: this seat does not belong to this booking.")


async def _cancel(call: SandboxCall, uid: str, body: Json) -> None:
    series = call.world.bookings.find_series(uid)
    if series and body.get("cancelSubsequentBookings"):
        raise bad_request(
            "Cannot cancel subsequent bookings for recurring event - you have to provide uid of one of the individual "
            "bookings of a recurring booking."
        )
    booking = _longest_unwritten(series) if series else call.world.bookings.find_uid(uid)
    if booking is None:
        raise not_found(f"Booking with uid={uid} not found")
    if booking.status == "cancelled":
        raise bad_request(
            f"Can't cancel booking with uid={uid} because it has been cancelled already. Please provide uid of a "
            "booking that is not cancelled."
        )
    event_type = call.world.event_types.get(booking.event_type_id or 0)
    _check_allowed(call, booking, event_type, body)
    reason = body.get("cancellationReason")
    refuse_nul(reason)
    if "seatUid" in body and len(booking.attendees) >= _FEWEST_FOR_ONE_SEAT:
        await _give_back(call, booking, event_type, body["seatUid"], reason)
        return
    occasion = Occasion(booking, event_type)
    await notify.about_cancelled(call.sandbox, occasion, reason=reason, whole_series=bool(series))
    if booking.series_uid is not None and (series or body.get("cancelSubsequentBookings")):
        since = call.now if series else booking.start
        _cancel_all(call, booking.series_uid, since, reason)
    else:
        _cancel_one(call, booking.id, reason)


def _longest_unwritten(series: list[SandboxBooking]) -> SandboxBooking:
    """The occurrence that decides for its series.

    Recording `05m` shows that a cancelled booking's own error comes before the host's missing reason;
    fact sheet 10 32 saw the reason asked for first. Guess, so that both hold: an unsorted query of a series
    gives the row first that was written longest ago, and that is one that was not cancelled.
    """
    return min(series, key=lambda one: (one.updated or 0, one.start))


def _check_allowed(call: SandboxCall, booking: SandboxBooking, event_type: SandboxEventType | None, body: Json) -> None:
    user_id = call.user.id if call.user is not None else None
    if booking.user_id is None or booking.user_id not in call.world.users:
        raise Bare(HTTPStatus.BAD_REQUEST, "User not found")
    if event_type is not None and event_type.settings.get("disableCancelling"):
        raise Bare(HTTPStatus.BAD_REQUEST, "This event type does not allow cancellations")
    if not (body.get("cancellationReason") or "").strip() and user_id == booking.user_id:
        raise Bare(HTTPStatus.BAD_REQUEST, "Cancellation reason is required when you are the host")
    if booking.end < call.now:
        raise Bare(HTTPStatus.BAD_REQUEST, "Cannot cancel a booking that has already ended")
    if event_type is not None and event_type.seats_per_slot and "seatUid" not in body:
        is_host = user_id is not None and user_id in call.world.host_ids(event_type)
        if not is_host:
            raise Bare(HTTPStatus.UNAUTHORIZED, "User not a host of this event or an admin of the booking user")


async def _give_back(
    call: SandboxCall, booking: SandboxBooking, event_type: SandboxEventType | None, seat_uid: str, reason: str | None
) -> None:
    """One seat is free again; the booking stays accepted and its `updatedAt` where it was."""
    attendee = next(one for one in booking.attendees if one.seat is not None and one.seat.uid == seat_uid)
    booking.attendees = [one for one in booking.attendees if one.id != attendee.id]
    call.world.bookings.save(booking)
    await notify.about_cancelled(call.sandbox, Occasion(booking, event_type, attendee=attendee), reason=reason)


def _cancel_one(call: SandboxCall, booking_id: int, reason: str | None) -> None:
    booking = call.world.bookings.find_id(booking_id)
    if booking is None:
        return
    event_type = call.world.event_types.get(booking.event_type_id or 0)
    if event_type is not None and event_type.seats_per_slot and call.version not in BOOKINGS_SINCE_2026_02_25:
        booking.attendees = list[SandboxAttendee]()
    booking.status = "cancelled"
    booking.cancellation_reason = reason
    booking.ical_sequence += 1
    booking.updated = call.now
    call.world.bookings.save(booking)


def _cancel_all(call: SandboxCall, series_uid: str, since: int, reason: str | None) -> None:
    """One write for the rest of a series: every row gets the same `updatedAt`."""
    now = call.now
    for booking in call.world.bookings.find_series(series_uid):
        if booking.start >= since:
            booking.status = "cancelled"
            booking.cancellation_reason = reason
            booking.updated = now
            call.world.bookings.save(booking)


ROUTES: Final = [Route("POST", "/v2/bookings/{uid}/cancel", cancel_booking, BOOKINGS | BOOKINGS_LEGACY, Guard.OPTIONAL)]
