"""`POST /v2/bookings`: one booking, a seat, or a series.

Facts: fact sheet 6.5, recordings `03*`, `07*`, `21*` to `23*`, `29f`.
"""

import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from calcom_pipeline.sandbox.bookings import lookup, views
from calcom_pipeline.sandbox.bookings.bounds import check_booker, check_time
from calcom_pipeline.sandbox.bookings.creation import create, question_of
from calcom_pipeline.sandbox.bookings.hosts import assign
from calcom_pipeline.sandbox.bookings.request import SandboxBookingRequest, from_body
from calcom_pipeline.sandbox.bookings.seats import take_seat
from calcom_pipeline.sandbox.core.errors import bad_request, internal_error
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import moment_of, ms_of, zone
from calcom_pipeline.sandbox.event_types.personal_api import may_read
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, created
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import BOOKINGS
from calcom_pipeline.sandbox.slots.limits import refuse_past_limits
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.validation import bookings as rules
from calcom_pipeline.sandbox.validation.engine import clean_strictly

_MONTHS_PER_YEAR: Final = 12


async def create_booking(call: SandboxCall) -> SandboxAnswer:
    """POST /v2/bookings."""
    raw: Any = call.body
    schema = rules.create_body(raw if isinstance(raw, dict) else {}, call.version)  # pyright: ignore[reportUnknownArgumentType] - the schema looks at its keys alone
    body = clean_strictly(schema, raw)
    event_type = lookup.find_event_type(call, body)
    lookup.check_bookable(call, event_type)
    if body.get("instant"):
        return created(_instant(call, event_type, body))
    lookup.check_responses(event_type, body)
    if event_type.recurrence:
        return created(await _series(call, event_type, body))
    minutes = lookup.check_length(event_type, body.get("lengthInMinutes"))
    request = _with_flags(call, from_body(event_type, body, minutes=minutes), body)
    return created(await _single(call, request))


def _with_flags(call: SandboxCall, request: SandboxBookingRequest, body: Json) -> SandboxBookingRequest:
    """The host's flags of version 2026-02-25; from anybody else they change nothing."""
    is_host = call.user is not None and may_read(call.world, call.user, request.event_type)
    if not is_host:
        return request
    return replace(
        request,
        ignores_conflicts=bool(body.get("allowConflicts")),
        ignores_bounds=bool(body.get("allowBookingOutOfBounds")),
    )


async def _single(call: SandboxCall, request: SandboxBookingRequest) -> Json:
    if request.event_type.seats_per_slot:
        booking, seat_uid, is_first = await take_seat(call.sandbox, request)
        shows = shows_attendees(call, booking)
        shown = views.after_create(call.world, booking, seat_uid=seat_uid, is_first=is_first)
        return shown if shows else shown | {"attendees": []}
    booking = await create(call.sandbox, request)
    return views.after_create(call.world, booking)


def shows_attendees(call: SandboxCall, booking: SandboxBooking) -> bool:
    """Whether the caller may see who else sits in a booking."""
    event_type = call.world.event_types.get(booking.event_type_id or 0)
    if event_type is None or event_type.seats is None or event_type.seats.get("showAttendeeInfo"):
        return True
    return call.user is not None and may_read(call.world, call.user, event_type)


async def _series(call: SandboxCall, event_type: SandboxEventType, body: Json) -> list[Json]:
    """Every occurrence is a booking of its own; all of them must be free."""
    recurrence: Json = event_type.recurrence or {}
    lookup.check_length(event_type, body.get("lengthInMinutes"))
    wanted = body.get("recurrenceCount")
    if wanted and wanted > recurrence["occurrences"]:
        raise bad_request("Provided recurrence count is higher than the event type's recurring event count.")
    first = from_body(event_type, body, minutes=event_type.length)
    series_uid = call.sandbox.ids.uuid()
    starts = occurrences(first.start, first.booker.time_zone, recurrence, wanted or recurrence["occurrences"])
    requests = [replace(first, start=start, series_uid=series_uid) for start in starts]
    if event_type.seats_per_slot:
        seats = [await take_seat(call.sandbox, request) for request in requests]
        return [views.after_create(call.world, booking, seat_uid=seat) for booking, seat, _ in seats]
    for request in requests:
        check_booker(call.world, request, call.now)
        check_time(call.world, request, call.now)
        refuse_past_limits(call.world, event_type, request.start, request.minutes)
        assign(call.world, question_of(request))
    made = [await create(call.sandbox, request) for request in requests]
    made.sort(key=lambda booking: booking.start)
    return [views.after_create(call.world, booking) for booking in made]


def occurrences(start: int, time_zone: str, recurrence: Json, count: int) -> list[int]:
    """The starts of a series on the booker's wall clock, so that they keep their hour over a change of the clocks."""
    local = moment_of(start).astimezone(zone(time_zone))
    every = int(recurrence["interval"])
    return [ms_of(_later(local, recurrence["frequency"], number * every)) for number in range(count)]


def _later(moment: datetime, frequency: str, steps: int) -> datetime:
    if frequency == "weekly":
        return moment + timedelta(weeks=steps)
    months = steps * (_MONTHS_PER_YEAR if frequency == "yearly" else 1)
    year, month = divmod(moment.year * _MONTHS_PER_YEAR + moment.month - 1 + months, _MONTHS_PER_YEAR)
    for day in range(moment.day, 0, -1):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:  # the month is shorter: its last day
            continue
    return moment


def _instant(call: SandboxCall, event_type: SandboxEventType, body: Json) -> Json:
    """An instant meeting of a team: nobody hosts it yet."""
    if event_type.team_id is None:
        raise bad_request("Instant bookings are only supported for team event types, not individual user event types.")
    if event_type.scheduling == "collective":
        raise internal_error()  # fact sheet 10 16
    request = from_body(event_type, body, minutes=event_type.length)
    world, booker = call.world, request.booker
    uid = call.sandbox.ids.booking_uid()
    booking = SandboxBooking(
        id=world.sequences.take("booking"),
        uid=uid,
        title=f"Instant {event_type.title} between {world.teams[event_type.team_id].name} and {booker.name}",
        start=request.start,
        end=request.end,
        created=call.now,
        updated=call.now,
        status="awaiting_host",
        event_type_id=event_type.id,
        user_id=None,
        attendees=[SandboxAttendee(world.sequences.take("attendee"), booker.name, booker.email, booker.time_zone)],
        responses=request.responses,
        metadata=copy.deepcopy(request.metadata),
        ical_uid="",
    )
    world.bookings.add(booking)
    return views.after_create(world, booking)


ROUTES: Final = [Route("POST", "/v2/bookings", create_booking, BOOKINGS, Guard.OPTIONAL)]
