"""Making a booking: check, assign hosts, insert, tell the subscribers, stamp. Facts: fact sheet 6.5 and 11.

Between the check and the insert real time passes, as it does at Cal.com: requests that race for one slot all pass
the check, and the database lets one of them in (`10-*`). A lost race uses up an id.
"""

import asyncio

from calcom_pipeline.sandbox.bookings import bounds, place
from calcom_pipeline.sandbox.bookings.hosts import Assignment, assign, unavailable
from calcom_pipeline.sandbox.bookings.request import SandboxBookingRequest
from calcom_pipeline.sandbox.bookings.storable import refuse_nul
from calcom_pipeline.sandbox.core.errors import lost_race
from calcom_pipeline.sandbox.core.json_types import as_stored
from calcom_pipeline.sandbox.core.times import HOUR_MS, MINUTE_MS
from calcom_pipeline.sandbox.hooks import notify
from calcom_pipeline.sandbox.hooks.payloads import Occasion
from calcom_pipeline.sandbox.runtime import Sandbox
from calcom_pipeline.sandbox.slots.availability import Question
from calcom_pipeline.sandbox.slots.limits import refuse_past_limits
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, Status, User
from calcom_pipeline.sandbox.state.world import World


def question_of(request: SandboxBookingRequest) -> Question:
    """The availability question for exactly the request's time."""
    old = request.predecessor
    return Question(
        request.event_type,
        request.start,
        request.end,
        request.minutes,
        ignored_uid=old.uid if old else None,
        host_ids=request.host_ids,
    )


def needs_confirmation(request: SandboxBookingRequest, now: int) -> bool:
    """Whether the host must confirm; a threshold asks for it only close to the start."""
    policy = request.event_type.confirmation
    if not policy:
        return False
    threshold = policy.get("noticeThreshold") if policy.get("type") == "time" else None
    if not threshold:
        return True
    unit = HOUR_MS if threshold.get("unit") == "hours" else MINUTE_MS
    return request.start - now <= threshold["count"] * unit


def existing_twin(world: World, request: SandboxBookingRequest, *, pending: bool) -> SandboxBooking | None:
    """The same attendee's booking of the same slot, which types with confirmation and round robin hand out again."""
    if not pending and request.event_type.scheduling != "roundRobin":
        return None
    wanted: Status = "pending" if pending else "accepted"
    for position in world.bookings.between(request.start, request.end):
        booking = world.bookings.at(position)
        same = booking.event_type_id == request.event_type.id and booking.start == request.start
        if same and booking.status == wanted and any(a.email == request.booker.email for a in booking.attendees):
            return booking
    return None


async def create(sandbox: Sandbox, request: SandboxBookingRequest, *, owner_moves: bool = False) -> SandboxBooking:
    """A new booking, or the twin that exists; raises what Cal.com answers if it cannot be made.

    `owner_moves` says that the event type's owner moves a booking, which then needs no new confirmation.
    """
    world, now = sandbox.world, sandbox.clock.now()
    bounds.check_booker(world, request, now)
    if not request.ignores_bounds:
        bounds.check_time(world, request, now)
    pending = needs_confirmation(request, now) and not owner_moves
    twin = existing_twin(world, request, pending=pending) if request.predecessor is None else None
    if twin is not None:
        return twin
    old = request.predecessor
    refuse_past_limits(world, request.event_type, request.start, request.minutes, old.uid if old else None)
    assignment = _assign(world, request)
    await asyncio.sleep(sandbox.insert_seconds)
    booking = insert(sandbox, request, assignment, pending=pending)
    occasion = Occasion(
        booking,
        request.event_type,
        predecessor=request.predecessor,
        moved_by=request.moved_by,
        one_time_password=sandbox.ids.uuid() if pending else None,
    )
    await notify.about_new(sandbox, occasion)
    return stamp(sandbox, booking)


def _assign(world: World, request: SandboxBookingRequest) -> Assignment:
    question = question_of(request)
    if request.ignores_conflicts:
        hosts = world.host_ids(request.event_type)
        if not hosts:
            raise unavailable(request.event_type, moving=request.predecessor is not None)
        users = [world.users[host] for host in hosts]
        return Assignment(users[0], tuple(users[1:]) if request.event_type.scheduling == "collective" else ())
    keeps_host = request.event_type.settings.get("rescheduleWithSameRoundRobinHost")
    old = request.predecessor
    preferred = old.user_id if old and keeps_host else None
    return assign(world, question, preferred=preferred, moving=old is not None)


def stamp(sandbox: Sandbox, booking: SandboxBooking) -> SandboxBooking:
    """The last write of a create, after the webhooks went out; the row may have changed meanwhile."""
    current = sandbox.world.bookings.find_id(booking.id)
    if current is None:
        return booking
    current.updated = max(sandbox.clock.now(), current.updated or 0)
    sandbox.world.bookings.save(current)
    return current


def insert(
    sandbox: Sandbox, request: SandboxBookingRequest, assignment: Assignment, *, pending: bool
) -> SandboxBooking:
    """Writes the row; raises 400 (bare) if another request took the time meanwhile."""
    world, now = sandbox.world, sandbox.clock.now()
    _check_storable(request)
    booking_id = world.sequences.take("booking")
    if not pending and not request.ignores_conflicts and _is_taken(world, request, assignment.organizer):
        raise lost_race()
    old = request.predecessor
    if old is not None:
        _retire(sandbox, old)
        now = sandbox.clock.now()
    uid = sandbox.ids.booking_uid()
    if old is not None:
        old.rescheduled_to = uid
        world.bookings.save(old)
    booking = _row(sandbox, request, assignment, booking_id, uid, now)
    booking.status = "pending" if pending else "accepted"
    world.bookings.add(booking)
    return booking


def _check_storable(request: SandboxBookingRequest) -> None:
    location = place.stored_location(request.event_type, request.place)
    guests = request.guests or ()
    refuse_nul(
        request.booker.name,
        request.booker.email,
        request.notes,
        location,
        request.moved_by,
        *guests,
        documents=(request.responses, request.metadata),
    )


def _is_taken(world: World, request: SandboxBookingRequest, organizer: User) -> bool:
    """PostgreSQL's unique key over start, end and organizer of accepted bookings."""
    old = request.predecessor
    for position in world.bookings.between(request.start, request.end):
        booking = world.bookings.at(position)
        is_same = booking.start == request.start and booking.end == request.end and booking.user_id == organizer.id
        if is_same and booking.status == "accepted" and (old is None or booking.uid != old.uid):
            return True
    return False


def _retire(sandbox: Sandbox, old: SandboxBooking) -> None:
    old.status = "cancelled"
    old.rescheduled = True
    old.updated = sandbox.clock.now()
    sandbox.world.bookings.save(old)


def _row(
    sandbox: Sandbox, request: SandboxBookingRequest, assignment: Assignment, booking_id: int, uid: str, now: int
) -> SandboxBooking:
    world, event_type, old = sandbox.world, request.event_type, request.predecessor
    location = place.stored_location(event_type, request.place)
    video = place.video_url(location, world.booker_url, uid)
    is_collective = event_type.scheduling == "collective"
    team = world.teams.get(event_type.team_id or 0)
    host = team.name if is_collective and team else assignment.organizer.name
    return SandboxBooking(
        id=booking_id,
        uid=uid,
        title=place.title(
            event_type, host=host, attendee=request.booker.name, location=location, minutes=request.minutes
        ),
        start=request.start,
        end=request.end,
        created=now,
        updated=now,
        status="accepted",
        event_type_id=event_type.id,
        user_id=assignment.organizer.id,
        attendees=attendees(world, request, assignment),
        description=request.notes,
        responses=request.responses,
        metadata=as_stored(request.metadata | ({"videoCallUrl": video} if video else {})),
        location=location,
        rescheduled_from=old.uid if old else None,
        rescheduled_by=request.moved_by,
        ical_uid=old.ical_uid if old else f"{uid}@Cal.com",
        ical_sequence=old.ical_sequence + 1 if old else 0,
        series_uid=request.series_uid,
    )


def attendees(world: World, request: SandboxBookingRequest, assignment: Assignment) -> list[SandboxAttendee]:
    """The booker, the guests, and the hosts who join the organizer."""
    booker = request.booker
    found = [
        SandboxAttendee(
            world.sequences.take("attendee"),
            booker.name,
            booker.email,
            booker.time_zone,
            booker.locale,
            booker.phone,
        )
    ]
    hosts = {assignment.organizer.email, *(user.email for user in assignment.others)}
    seen = {booker.email, *hosts}
    for guest in request.guests or ():
        if guest not in seen:
            seen.add(guest)
            attendee_id = world.sequences.take("attendee")
            found.append(SandboxAttendee(attendee_id, "", guest, booker.time_zone))
    for user in assignment.others:
        attendee_id = world.sequences.take("attendee")
        found.append(SandboxAttendee(attendee_id, user.name, user.email, user.time_zone))
    return found
