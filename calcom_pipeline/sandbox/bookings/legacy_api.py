"""`/v2/bookings` in the versions before 2024-08-13: status 200, another shape.

Facts: recordings `08-version-*`.
"""

from typing import Any, Final

import numpy as np

from calcom_pipeline.sandbox.bookings.filters import bucket
from calcom_pipeline.sandbox.bookings.listing import visible_to
from calcom_pipeline.sandbox.bookings.paging import second_query
from calcom_pipeline.sandbox.core.errors import bad_request, not_found
from calcom_pipeline.sandbox.core.json_types import Json, is_object
from calcom_pipeline.sandbox.core.times import iso
from calcom_pipeline.sandbox.event_types.legacy_api import SCHEDULING, stored_recurrence
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import BOOKINGS_LEGACY
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType
from calcom_pipeline.sandbox.state.world import World
from calcom_pipeline.sandbox.validation import bookings as rules
from calcom_pipeline.sandbox.validation.engine import clean

_DEFAULT_LIMIT: Final = 10
_MOST: Final = 100
_STATUSES: Final = {
    "accepted": "ACCEPTED",
    "cancelled": "CANCELLED",
    "rejected": "REJECTED",
    "pending": "PENDING",
    "awaiting_host": "AWAITING_HOST",
}


async def list_bookings(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/bookings before 2024-08-13: `data` is an object, `take` is not known."""
    query = clean(rules.LEGACY_LIST_QUERY, call.query)
    filters = is_object(query.get("filters")) or {}
    status = filters.get("status") or "upcoming"
    if status not in rules.LIST_STATUSES:
        raise bad_request(f"Invalid status. Allowed are {', '.join(rules.LIST_STATUSES)}")
    limit = min(int(query.get("limit") or _DEFAULT_LIMIT), _MOST)
    cursor = int(query.get("cursor") or 0)
    visible = visible_to(call.sandbox, call.caller).rows
    columns = call.world.bookings.columns
    order, _ = call.world.bookings.order("start")
    chosen = (visible & bucket(columns, status, call.now))[order]
    found = order[chosen] if status not in {"past", "cancelled"} else order[chosen][::-1]
    world, series = call.world, _series(call, visible)
    rows = await second_query(call, found[cursor : cursor + limit])
    page = [world.bookings.at(position) for position in rows.tolist()]
    return success(
        {
            "bookings": [_row(world, one) for one in page],
            "recurringInfo": series,
            "totalCount": len(found),
            "nextCursor": cursor + limit if cursor + limit < len(found) else None,
        }
    )


def _series(call: SandboxCall, visible: Any) -> list[Json]:
    """Every series of the caller, with the starts of its occurrences by status."""
    columns = call.world.bookings.columns
    found: dict[str, list[SandboxBooking]] = {}
    for position in np.flatnonzero(visible & columns.is_series & columns.alive)[:_MOST].tolist():
        booking = call.world.bookings.at(position)
        found.setdefault(booking.series_uid or "", []).append(booking)
    return [_one_series(uid, sorted(rows, key=lambda one: one.start)) for uid, rows in found.items()]


def _one_series(uid: str, rows: list[SandboxBooking]) -> Json:
    starts: dict[str, list[str]] = {
        name: [] for name in ("ACCEPTED", "CANCELLED", "REJECTED", "PENDING", "AWAITING_HOST")
    }
    for row in rows:
        starts[_STATUSES[row.status]].append(iso(row.start))
    return {"recurringEventId": uid, "count": len(rows), "firstDate": iso(rows[0].start), "bookings": starts}


def _event_type(world: World, event_type: SandboxEventType | None) -> Json:
    if event_type is None:
        return {"price": 0, "currency": "usd", "recurringEvent": None, "metadata": {}, "bookingFields": None}
    setting = event_type.settings.get
    team = world.teams.get(event_type.team_id or 0)
    hosts = [] if event_type.owner_id is not None else world.host_ids(event_type)
    seats: Json = event_type.seats or {}
    return {
        "slug": event_type.slug,
        "id": event_type.id,
        "title": event_type.title,
        "eventName": setting("customName"),
        "price": event_type.price,
        "recurringEvent": stored_recurrence(event_type),
        "currency": event_type.currency,
        "metadata": event_type.metadata,
        "disableGuests": event_type.disable_guests,
        "bookingFields": event_type.booking_fields,
        "seatsPerTimeSlot": event_type.seats_per_slot or None,
        "seatsShowAttendees": bool(seats.get("showAttendeeInfo", False)),
        "seatsShowAvailabilityCount": bool(seats.get("showAvailabilityCount", True)),
        "eventTypeColor": setting("color"),
        "customReplyToEmail": None,
        "allowReschedulingPastBookings": setting("allowReschedulingPastBookings", False),
        "hideOrganizerEmail": setting("hideOrganizerEmail", False),
        "disableCancelling": bool(setting("disableCancelling", False)),
        "disableRescheduling": bool(setting("disableRescheduling", False)),
        "minimumRescheduleNotice": setting("minimumRescheduleNotice"),
        "teamId": event_type.team_id,
        "parentId": event_type.parent_id,
        "schedulingType": SCHEDULING.get(event_type.scheduling or ""),
        "hosts": [{"userId": one, "user": {"id": one, "email": world.users[one].email}} for one in hosts],
        "length": event_type.length,
        "team": {"id": team.id, "name": team.name, "slug": team.slug} if team else None,
        "hostGroups": [],
    }


def _user(world: World, booking: SandboxBooking, keys: tuple[str, ...]) -> Json | None:
    user = world.users.get(booking.user_id or 0)
    if user is None:
        return None
    values = {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "avatarUrl": None,
        "username": user.username,
        "timeZone": user.time_zone,
    }
    return {key: values[key] for key in keys}


def _attendee(world: World, booking: SandboxBooking, attendee: SandboxAttendee) -> Json:
    user = world.user_with_email(attendee.email)
    return {
        "id": attendee.id,
        "email": attendee.email,
        "name": attendee.name,
        "timeZone": attendee.time_zone,
        "bookingId": booking.id,
        "locale": attendee.locale,
        "phoneNumber": attendee.phone,
        "noShow": attendee.absent,
        "user": {
            "name": user.name if user else None,
            "email": attendee.email,
            "avatarUrl": None,
            "username": user.username if user else None,
        },
    }


def _row(world: World, booking: SandboxBooking) -> Json:
    user = world.users.get(booking.user_id or 0)
    event_type = world.event_types.get(booking.event_type_id or 0)
    return {
        "id": booking.id,
        "title": booking.title,
        "userPrimaryEmail": user.email if user else None,
        "description": booking.description,
        "customInputs": {},
        "startTime": iso(booking.start),
        "createdAt": iso(booking.created),
        "updatedAt": None if booking.updated is None else iso(booking.updated),
        "endTime": iso(booking.end),
        "metadata": booking.metadata,
        "uid": booking.uid,
        "responses": booking.responses,
        "recurringEventId": booking.series_uid,
        "location": booking.location,
        "status": _STATUSES[booking.status],
        "paid": False,
        "fromReschedule": booking.rescheduled_from,
        "rescheduled": booking.rescheduled,
        "rescheduledBy": booking.rescheduled_by,
        "cancelledBy": booking.cancelled_by,
        "isRecorded": False,
        "cancellationReason": booking.cancellation_reason,
        "rejectionReason": booking.rejection_reason,
        "routedFromRoutingFormReponse": None,
        "eventType": _event_type(world, event_type),
        "references": [],
        "payment": [],
        "user": _user(world, booking, ("id", "name", "email", "avatarUrl", "username", "timeZone")),
        "attendees": [_attendee(world, booking, one) for one in booking.attendees],
        "seatsReferences": [
            {"referenceUid": one.seat.uid, "attendee": {"email": one.email}}
            for one in booking.attendees
            if one.seat is not None
        ],
        "assignmentReason": [],
        "report": None,
        "rescheduler": None,
    }


async def read_booking(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/bookings/{uid} before 2024-08-13."""
    world = call.world
    booking = world.bookings.find_uid(call.params["uid"])
    if booking is None:
        raise not_found(f"Booking with UID={call.params['uid']} does not exist.")
    event_type = world.event_types.get(booking.event_type_id or 0)
    user = world.users.get(booking.user_id or 0)
    found: Json = {
        "title": booking.title,
        "id": booking.id,
        "uid": booking.uid,
        "description": booking.description,
        "customInputs": {},
        "smsReminderNumber": None,
        "recurringEventId": booking.series_uid,
        "startTime": iso(booking.start),
        "endTime": iso(booking.end),
        "location": booking.location,
        "status": _STATUSES[booking.status],
        "metadata": booking.metadata,
        "cancellationReason": booking.cancellation_reason,
        "cancelledBy": None,
        "responses": booking.responses,
        "rejectionReason": booking.rejection_reason,
        "userPrimaryEmail": user.email if user else None,
        "fromReschedule": booking.rescheduled_from,
        "rescheduled": booking.rescheduled,
        "rescheduledBy": None,  # kept from whoever is not the host, whoever asks (`08-version-booking-uid-none`)
        "user": _user(world, booking, ("id", "name", "email", "username", "timeZone", "avatarUrl")),
        "attendees": [
            {"name": one.name, "email": one.email, "timeZone": one.time_zone, "phoneNumber": one.phone}
            for one in booking.attendees
        ],
        "eventTypeId": booking.event_type_id,
        "eventType": None,
        "seatsReferences": [],
        "tracking": None,
        "assignmentReason": [],
    }
    if event_type is not None:
        found["eventType"] = {
            "eventName": event_type.settings.get("customName"),
            "slug": event_type.slug,
            "timeZone": None,
            "schedulingType": SCHEDULING.get(event_type.scheduling or ""),
            "hideOrganizerEmail": event_type.settings.get("hideOrganizerEmail", False),
        }
    return success(found)


async def create_booking(call: SandboxCall) -> SandboxAnswer:
    """POST /v2/bookings before 2024-08-13: a body of the modern kind is refused; the old kind is not played here."""
    clean(rules.LEGACY_CREATE_BODY, call.body)
    raise bad_request("This sandbox does not book with versions before 2024-08-13.")


_V = BOOKINGS_LEGACY
ROUTES: Final = [
    Route("GET", "/v2/bookings", list_bookings, _V, Guard.PERMISSION),
    Route("GET", "/v2/bookings/{uid}", read_booking, _V, Guard.NONE),
    Route("POST", "/v2/bookings", create_booking, _V, Guard.OPTIONAL),
]
