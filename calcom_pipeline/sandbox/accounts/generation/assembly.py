"""A generated row as a booking: which parts it has (its shape) and what stands in them (its leaves).

The same assembly serves real rows and the samples from which `rendering` takes its templates, so the two agree.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from calcom_pipeline.sandbox.core.json_types import Json, as_stored
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, Seat


class Shape(NamedTuple):
    """Which optional parts a row has. `people` are bookers: one, or as many as seats are taken."""

    seated: bool = False
    people: int = 1
    others: int = 0
    guests: int = 0
    phone: bool = False
    notes: bool = False
    question: str | None = None
    video: bool = False
    moved_from: bool = False
    moved_on: bool = False
    move_reason: bool = False
    series: bool = False


@dataclass(slots=True)
class Person:
    """An attendee; `seat_uid` only in a seated booking."""

    name: Any
    email: Any
    zone: Any
    locale: Any = "en"
    phone: Any = None
    seat_uid: Any = None


@dataclass(slots=True)
class Leaves:
    """The values of one row; in a sample, marks instead of values."""

    id: Any
    uid: Any
    title: Any
    notes: Any
    start: int
    end: int
    created: int
    updated: int | None
    status: Any
    type_id: Any
    user_id: Any
    location: Any
    reason: Any
    cancelled_by: Any
    rejection: Any
    from_uid: Any
    to_uid: Any
    moved_by: Any
    move_reason: Any
    series_uid: Any
    absent: Any
    answer: Any
    metadata: Json
    booker_url: str
    people: list[Person]
    guests: list[Any] = field(default_factory=list[object])
    others: list[Person] = field(default_factory=list[Person])
    first_attendee_id: int = 1


def assemble(shape: Shape, leaves: Leaves) -> SandboxBooking:
    """The booking of that shape with these values."""
    return SandboxBooking(
        id=leaves.id,
        uid=leaves.uid,
        title=leaves.title,
        start=leaves.start,
        end=leaves.end,
        created=leaves.created,
        updated=leaves.updated,
        status=leaves.status,
        event_type_id=leaves.type_id,
        user_id=leaves.user_id,
        attendees=_attendees(shape, leaves),
        description=leaves.notes if shape.notes else "",
        responses=_responses(shape, leaves, leaves.people[0]) if leaves.people else {},
        metadata=_metadata(shape, leaves),
        location=leaves.location,
        cancellation_reason=leaves.reason,
        cancelled_by=leaves.cancelled_by,
        rejection_reason=leaves.rejection,
        rescheduled=True if shape.moved_on else None,
        rescheduled_to=leaves.to_uid if shape.moved_on else None,
        rescheduled_from=leaves.from_uid if shape.moved_from else None,
        rescheduled_by=leaves.moved_by,
        absent_host=leaves.absent,
        ical_uid=f"{leaves.uid}@Cal.com",
        series_uid=leaves.series_uid if shape.series else None,
    )


def _attendees(shape: Shape, leaves: Leaves) -> list[SandboxAttendee]:
    found: list[SandboxAttendee] = []
    people = leaves.people[: shape.people]
    for person in people:
        seat = None
        if shape.seated:
            seat = Seat(person.seat_uid, as_stored(_responses(shape, leaves, person) | {"guests": []}), {})
        phone = person.phone if shape.phone else None
        found.append(SandboxAttendee(0, person.name, person.email, person.zone, person.locale, phone, seat=seat))
    booker = leaves.people[0]
    found += [SandboxAttendee(0, "", guest, booker.zone, booker.locale) for guest in leaves.guests[: shape.guests]]
    found += [SandboxAttendee(0, one.name, one.email, one.zone) for one in leaves.others[: shape.others]]
    for number, attendee in enumerate(found):
        attendee.id = leaves.first_attendee_id + number
    return found


def _responses(shape: Shape, leaves: Leaves, person: Person) -> Json:
    found: Json = {"name": person.name, "email": person.email}
    if shape.phone:
        found["attendeePhoneNumber"] = person.phone
    if shape.notes:
        found["notes"] = leaves.notes
    if shape.question is not None:
        found[shape.question] = leaves.answer
    if shape.guests:
        found["guests"] = leaves.guests[: shape.guests]
    if shape.move_reason:
        found["rescheduledReason"] = leaves.move_reason
    return as_stored(found)


def _metadata(shape: Shape, leaves: Leaves) -> Json:
    found = dict(leaves.metadata)
    if shape.video:
        found["videoCallUrl"] = f"{leaves.booker_url}/video/{leaves.uid}"
    return as_stored(found)
