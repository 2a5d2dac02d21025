"""Whether a time may be booked at all: past, notice, window, and how many bookings one booker may have.

Facts: fact sheet 6.5, recordings `07p`.
"""

from calcom_pipeline.sandbox.bookings.request import SandboxBookingRequest
from calcom_pipeline.sandbox.core.errors import bad_request
from calcom_pipeline.sandbox.core.times import MINUTE_MS, utc_offset_minutes
from calcom_pipeline.sandbox.slots.window import bounds
from calcom_pipeline.sandbox.state.world import World

_OUT_OF_BOUNDS = (
    "The event type can't be booked at the \"start\" time provided. This could be because it's too soon (violating the "
    "minimum booking notice) or too far in the future (outside the event's scheduling window). Try fetching available "
    'slots first using the GET /v2/slots endpoint and then make a booking with "start" time equal to one of the '
    "available slots: https://cal.com/docs/api-reference/v2/slots"
)
_TOO_MANY = "Attendee with this email can't book because the maximum number of active bookings has been reached."


def check_time(world: World, request: SandboxBookingRequest, now: int) -> None:
    """Raises 400 for a start in the past, inside the notice or outside the window."""
    event_type = request.event_type
    if request.start < now:
        raise bad_request("Attempting to book a meeting in the past.")
    if request.start < now + event_type.notice * MINUTE_MS:
        raise bad_request(_OUT_OF_BOUNDS)
    hosts = world.host_ids(event_type)
    zone = world.schedule_of(event_type, hosts[0]).time_zone if hosts else "UTC"
    limits = bounds(
        event_type.window,
        now=now,
        event_offset=utc_offset_minutes(now, zone),
        booker_offset=utc_offset_minutes(now, request.booker.time_zone),
    )
    if limits is not None and not limits[0] <= request.start <= limits[1]:
        raise bad_request(_OUT_OF_BOUNDS)


def check_booker(world: World, request: SandboxBookingRequest, now: int) -> None:
    """Raises 400 if the booker already has as many active bookings of the type as it allows."""
    limit = request.event_type.booker_limit
    most = limit.get("maximumActiveBookings") if limit else None
    if limit is None or not most or request.predecessor is not None:
        return
    positions = world.bookings.positions_with_email(request.booker.email).tolist()
    active = [
        booking
        for booking in (world.bookings.at(position) for position in positions)
        if booking.event_type_id == request.event_type.id
        and booking.status in {"accepted", "pending"}
        and booking.start >= now
        and booking.attendees
        and booking.attendees[0].email == request.booker.email
    ]
    if len(active) < most:
        return
    message = _TOO_MANY
    if limit.get("offerReschedule"):
        latest = max(active, key=lambda booking: booking.start)
        message += f" You can reschedule your existing booking ({latest.uid}) to a new timeslot instead."
    raise bad_request(message)
