"""`GET /v2/bookings/{uid}` and what else can be read about one booking.

Facts: fact sheet 6.4 and 6.8, recordings `03w` to `03y`.
"""

from typing import Final

from calcom_pipeline.sandbox.bookings import views
from calcom_pipeline.sandbox.bookings.calendar_links import calendar_links
from calcom_pipeline.sandbox.bookings.create_api import shows_attendees
from calcom_pipeline.sandbox.bookings.seats import find_seat
from calcom_pipeline.sandbox.core.errors import bad_request, not_found
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import BOOKINGS
from calcom_pipeline.sandbox.state.model import SandboxBooking


def find_booking(call: SandboxCall) -> SandboxBooking:
    """The booking of the path; raises 404 with the guard's text."""
    booking = call.world.bookings.find_uid(call.params["uid"])
    if booking is None:
        raise not_found(f"Booking with uid={call.params['uid']} was not found in the database")
    return booking


def shown_now(call: SandboxCall, uid: str) -> Json | list[Json]:
    """A booking as it is now, or every occurrence of a series; raises 404."""
    booking = call.world.bookings.find_uid(uid)
    if booking is not None:
        return views.shown(call.world, booking, with_attendees=shows_attendees(call, booking))
    series = call.world.bookings.find_series(uid)
    if not series:
        raise not_found(f"Booking with uid={uid} was not found in the database")
    return [views.shown(call.world, one, with_attendees=shows_attendees(call, one)) for one in series]


async def read_booking(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/bookings/{uid}."""
    return success(shown_now(call, call.params["uid"]))


async def read_by_seat(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/bookings/by-seat/{seatUid}: outsiders see their own seat alone."""
    seat_uid = call.params["seatUid"]
    found = find_seat(call.world, seat_uid)
    if found is None:
        raise not_found(f"Booking with seatUid={seat_uid} was not found in the database")
    booking, _ = found
    shown = views.shown(call.world, booking)
    if not shows_attendees(call, booking):
        shown["attendees"] = [one for one in shown["attendees"] if one.get("seatUid") == seat_uid]
    return success(shown)


async def read_nothing(call: SandboxCall) -> SandboxAnswer:
    """Recordings, transcripts, references: there are none."""
    find_booking(call)
    return success([])


async def read_calendar_links(call: SandboxCall) -> SandboxAnswer:
    """Four links; without an event type there are none to make."""
    booking = find_booking(call)
    if call.world.event_types.get(booking.event_type_id or 0) is None:
        raise bad_request(f"Booking with uid {booking.uid} has no event type")
    return success(calendar_links(booking))


_ONE: Final = "/v2/bookings/{uid}"
ROUTES: Final = [
    Route("GET", "/v2/bookings/by-seat/{seatUid}", read_by_seat, BOOKINGS, Guard.OPTIONAL),
    Route("GET", _ONE, read_booking, BOOKINGS, Guard.OPTIONAL),
    Route("GET", f"{_ONE}/calendar-links", read_calendar_links, BOOKINGS, Guard.PERMISSION),
    *(
        Route("GET", f"{_ONE}/{name}", read_nothing, BOOKINGS, guard)
        for name, guard in (
            ("recordings", Guard.NONE),
            ("transcripts", Guard.NONE),
            ("references", Guard.PERMISSION),
            ("conferencing-sessions", Guard.PERMISSION),
        )
    ),
]
