"""Confirm, decline, mark absent, reassign.

Facts: fact sheet 6.8 and 6.9, recordings `05f` to `05n`.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from calcom_pipeline.sandbox.bookings import place
from calcom_pipeline.sandbox.bookings.hosts import luckiest
from calcom_pipeline.sandbox.bookings.reading import find_booking, shown_now
from calcom_pipeline.sandbox.bookings.storable import refuse_nul
from calcom_pipeline.sandbox.core.errors import Bare, bad_request, forbidden, not_found, trpc
from calcom_pipeline.sandbox.core.json_types import is_list
from calcom_pipeline.sandbox.core.times import iso
from calcom_pipeline.sandbox.event_types.personal_api import may_read, read_whole_number
from calcom_pipeline.sandbox.hooks import notify
from calcom_pipeline.sandbox.hooks.payloads import Occasion
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, json_answer, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import BOOKINGS
from calcom_pipeline.sandbox.slots.availability import Question, is_free
from calcom_pipeline.sandbox.state.model import SandboxBooking, SandboxEventType, User
from calcom_pipeline.sandbox.validation import bookings as rules
from calcom_pipeline.sandbox.validation.engine import clean


def _event_type(call: SandboxCall, booking: SandboxBooking) -> SandboxEventType | None:
    return call.world.event_types.get(booking.event_type_id or 0)


def _check_may_confirm(call: SandboxCall, booking: SandboxBooking) -> None:
    """Who hosts the booking or administers where it belongs; another host of the type may not (31)."""
    if booking.user_id != call.caller.id and not _administers(call, booking):
        raise trpc(HTTPStatus.UNAUTHORIZED, "User is not authorized to confirm this booking")
    if booking.status == "accepted":
        raise trpc(HTTPStatus.BAD_REQUEST, "Booking already confirmed")
    if booking.status != "pending":
        raise trpc(HTTPStatus.BAD_REQUEST, "Booking is not pending")


def _administers(call: SandboxCall, booking: SandboxBooking) -> bool:
    """Whether the caller administers the team of the booking's type, or its host's organization.

    Guess, from the published source: a managed type's child belongs to its parent's team.
    """
    world, user_id = call.world, call.caller.id
    event_type = _event_type(call, booking)
    parent = world.event_types.get(event_type.parent_id or 0) if event_type is not None else None
    host = world.users.get(booking.user_id or 0)
    groups = [one.team_id for one in (event_type, parent) if one is not None]
    groups += [host.organization_id] if host is not None else []
    return any(world.is_admin_of(user_id, group) for group in groups if group is not None)


def _pending(call: SandboxCall, booking: SandboxBooking) -> Iterable[SandboxBooking]:
    """The booking, or for one occurrence of a series every pending one of it."""
    if booking.series_uid is None:
        return [booking]
    return [one for one in call.world.bookings.find_series(booking.series_uid) if one.status == "pending"]


async def confirm_booking(call: SandboxCall) -> SandboxAnswer:
    """POST …/confirm."""
    booking = find_booking(call)
    _check_may_confirm(call, booking)
    now, event_type = call.now, _event_type(call, booking)
    changed = list(_pending(call, booking))
    for one in changed:
        one.status, one.updated = "accepted", now
        call.world.bookings.save(one)
    await notify.about_confirmed(call.sandbox, Occasion(booking, event_type))  # of a series: once
    return success(shown_now(call, booking.uid))


async def decline_booking(call: SandboxCall) -> SandboxAnswer:
    """POST …/decline: the reason is kept and not shown."""
    booking = find_booking(call)
    reason = clean(rules.DECLINE_BODY, call.body).get("reason")
    _check_may_confirm(call, booking)
    refuse_nul(reason)
    now, event_type = call.now, _event_type(call, booking)
    for one in _pending(call, booking):
        one.status, one.updated, one.rejection_reason = "rejected", now, reason
        call.world.bookings.save(one)
    rejected = call.world.bookings.find_id(booking.id) or booking
    await notify.about_rejected(call.sandbox, Occasion(rejected, event_type), reason)
    return success(shown_now(call, booking.uid))


async def mark_absent(call: SandboxCall) -> SandboxAnswer:
    """POST …/mark-absent: the host's absence moves `updatedAt`, an attendee's does not."""
    body = clean(rules.MARK_ABSENT_BODY, call.body)
    booking = find_booking(call)
    now = call.now
    if now < booking.start:
        raise bad_request(
            "Bookings can only be marked as absent after their scheduled start time. Current time in UTC+0: "
            f"{iso(now)}, Booking start time in UTC+0: {iso(booking.start)}"
        )
    event_type = _event_type(call, booking)
    is_admin = event_type is not None and may_read(call.world, call.caller, event_type)
    if booking.user_id != call.caller.id and not is_admin:
        raise Bare(HTTPStatus.FORBIDDEN, "You are not allowed to access this booking")
    if body.get("host") is not None:
        booking.absent_host = bool(body["host"])
        booking.updated = now
    wanted: dict[str, bool] = {one["email"]: bool(one["absent"]) for one in is_list(body.get("attendees")) or []}
    marked = [one for one in booking.attendees if one.email in wanted]
    for attendee in marked:
        attendee.absent = wanted[attendee.email]
    call.world.bookings.save(booking)
    if marked:
        await notify.about_absent(call.sandbox, booking, event_type, marked)
    return success(shown_now(call, booking.uid))


def _to_reassign(call: SandboxCall) -> tuple[SandboxBooking, SandboxEventType]:
    """The booking of the path and its type, of whatever kind: without another host it just cannot be done (27).

    Guess, from the published source: to a host that is named, bookings of every kind are handed over.
    """
    booking = find_booking(call)
    event_type = _event_type(call, booking)
    if event_type is None:
        raise bad_request(f"Event type with id={booking.event_type_id} was not found in the database")
    if not may_read(call.world, call.caller, event_type):
        raise forbidden("You do not have permission to reassign this booking")
    return booking, event_type


async def reassign_booking(call: SandboxCall) -> SandboxAnswer:
    """POST …/reassign: to another host that is free."""
    booking, event_type = _to_reassign(call)
    question = Question(event_type, booking.start, booking.end, booking.minutes, ignored_uid=booking.uid)
    rotates = event_type.scheduling == "roundRobin"
    others = [host for host in call.world.host_ids(event_type) if rotates and host != booking.user_id]
    free = [host for host in others if is_free(call.world, question, host)]
    if not free:
        raise bad_request("Can't reassign the booking because no other host is available at that time.")
    return _hand_over(call, booking, event_type, call.world.users[luckiest(call.world, event_type, free)])


async def reassign_to_user(call: SandboxCall) -> SandboxAnswer:
    """POST …/reassign/{userId}: to one of the type's hosts, free or not."""
    clean(rules.REASSIGN_BODY, call.body)
    booking, event_type = _to_reassign(call)
    user_id = read_whole_number(call.params["userId"])
    user = call.world.users.get(user_id)
    if user is None:
        raise not_found(f"User with id={user_id} was not found in the database")
    if user_id not in call.world.host_ids(event_type):
        raise bad_request(
            f"User with id={user_id} is not a valid Round Robin host - the user to which you reassign this booking "
            "must be one of the booking hosts. Fetch the booking using following endpoint and select id of one of the "
            "hosts: https://cal.com/docs/api-reference/v2/bookings/get-a-booking"
        )
    return _hand_over(call, booking, event_type, user)


def _hand_over(call: SandboxCall, booking: SandboxBooking, event_type: SandboxEventType, user: User) -> SandboxAnswer:
    booking.user_id = user.id
    booking.title = place.title(
        event_type,
        host=user.name,
        attendee=booking.attendees[0].name if booking.attendees else "",
        location=booking.location,
        minutes=booking.minutes,
    )
    booking.updated = call.now
    call.world.bookings.save(booking)
    reassigned = {"id": user.id, "name": user.name, "email": user.email, "displayEmail": user.email}
    return json_answer({"status": "success", "data": {"bookingUid": booking.uid, "reassignedTo": reassigned}})


_ONE: Final = "/v2/bookings/{uid}"
ROUTES: Final = [
    Route("POST", f"{_ONE}/confirm", confirm_booking, BOOKINGS, Guard.PERMISSION),
    Route("POST", f"{_ONE}/decline", decline_booking, BOOKINGS, Guard.PERMISSION),
    Route("POST", f"{_ONE}/mark-absent", mark_absent, BOOKINGS, Guard.PERMISSION),
    Route("POST", f"{_ONE}/reassign", reassign_booking, BOOKINGS, Guard.PERMISSION),
    Route("POST", f"{_ONE}/reassign/{{userId}}", reassign_to_user, BOOKINGS, Guard.PERMISSION),
]
