"""How a generated row is written, taken from what the views make of a sample.

A sample is a booking with every optional part, and with marks in place of its values. What the views answer for it is
cut into segments: constant text, fields to fill, and members that a row may lack. So nothing here, nor in `rendering`,
knows how a booking is shown.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from calcom_pipeline.sandbox.accounts.generation.assembly import Leaves, Person, Shape, assemble
from calcom_pipeline.sandbox.bookings import views
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.state.model import SandboxEventType, User
from calcom_pipeline.sandbox.state.world import World

_OPEN, _CLOSE = "\ue000", "\ue001"  # private characters around a mark; no text of ours holds them
QUESTION: Final = "topic"  # the sample's own question; it stands where those of all offers stand
#: Members that a row may lack, by key. Their comma, key and quotes go with the value.
MEMBERS: Final = (
    "phoneNumber", "attendeePhoneNumber", "guests", "displayGuests", "notes", QUESTION, "rescheduledReason",
    "reschedulingReason", "rescheduledFromUid", "rescheduledToUid",
)  # fmt: skip
_SEGMENT: Final = re.compile(
    rf',"(?P<key>{"|".join(MEMBERS)})":"{_OPEN}(?P<member>\w+){_CLOSE}"'
    rf'|,"{_OPEN}(?P<more>more){_CLOSE}"'
    rf'|"{_OPEN}json_(?P<json>\w+){_CLOSE}"'
    rf"|{_OPEN}(?P<field>\w+){_CLOSE}"
)
_TYPE_ID: Final = 1
# Members of the answer that are marked as a whole: numbers, times, and what the views look up elsewhere.
_WHOLE: Final = {
    "id": "json_id",
    "hosts": "json_hosts",
    "start": "start",
    "end": "end",
    "duration": "json_offer",
    "createdAt": "created",
    "updatedAt": "json_updated",
    "metadata": "json_metadata",
    "guests": "guests",
}


def mark(name: str) -> Any:
    """What stands for a value in a sample. A name that begins with `json_` loses its quotes."""
    return f"{_OPEN}{name}{_CLOSE}"


class TemplateField(NamedTuple):
    """A value that every row has, and the constant text after it."""

    name: str
    after: str


class Member(NamedTuple):
    """A member that a row may lack: what stands before and behind its value, and the constant text after it all."""

    key: str
    before: str
    name: str
    behind: str
    after: str


Segment = TemplateField | Member


@dataclass(frozen=True, slots=True)
class Template:
    """How a row begins, its segments up to the comma at the end, and the text of a guest among the attendees."""

    start: str
    segments: tuple[Segment, ...]
    guest: str


def _sample(shape: Shape) -> Leaves:
    booker = Person(*(mark(name) for name in ("name", "email", "zone", "locale", "phone")))
    return Leaves(
        id=0,
        uid=mark("uid"),
        title=mark("title"),
        notes=mark("notes"),
        start=0,
        end=0,
        created=0,
        updated=0,
        status=mark("status"),
        type_id=_TYPE_ID,
        user_id=1,
        location=mark("location"),
        reason=mark("reason"),
        cancelled_by=mark("cancelled_by"),
        rejection=None,
        from_uid=mark("from_uid"),
        to_uid=mark("to_uid"),
        moved_by=mark("json_moved_by"),
        move_reason=mark("move_reason"),
        series_uid=mark("series_uid"),
        absent=mark("json_absent"),
        answer=mark("answer"),
        metadata={},
        booker_url="",
        people=[booker],
        guests=[mark("guest")] * shape.guests,
    )


def make_template(*, in_series: bool) -> Template:
    """The template of the rows with one booker and one organizer, or of those in a series."""
    shape = Shape(
        guests=1,
        phone=True,
        notes=True,
        question=QUESTION,
        moved_from=not in_series,
        moved_on=not in_series,
        move_reason=not in_series,
        series=in_series,
    )
    world = World(users={1: User(1, "", "", "", "UTC", 1)})
    world.event_types.put(SandboxEventType(_TYPE_ID, 1, "", "", owner_id=1))
    shown = views.shown(world, assemble(shape, _sample(shape)))
    booker, guest = shown["attendees"]
    text = _marked(shown, booker)
    matches = list(_SEGMENT.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)]
    segments = [_segment(match, text[match.end() : end]) for match, end in zip(matches, ends, strict=True)]
    return Template(text[: matches[0].start()], tuple(segments), orjson.dumps(guest).decode())


def _marked(shown: Json, booker: Json) -> str:
    shown |= {member: mark(name) for member, name in _WHOLE.items() if member in shown}
    for member in ("eventTypeId", "eventType"):  # they follow the duration, and are filled together with it
        shown[member] = mark("gone")
    shown["attendees"] = [booker, mark("more")]
    shown["bookingFieldsResponses"] |= {"guests": mark("guests"), "displayGuests": mark("guests")}
    text = orjson.dumps(shown).decode() + ","
    gone = "".join(f',"{member}":"{mark("gone")}"' for member in ("eventTypeId", "eventType"))
    return text.replace(f'"duration":"{mark("json_offer")}"{gone}', f'"{mark("json_offer")}"')


def _segment(match: "re.Match[str]", after: str) -> Segment:
    key, name = match["key"], match["member"]
    if key is None:
        return TemplateField(match["more"] or match["json"] or match["field"], after)
    if key == QUESTION:  # another key for every event type, so it comes with the value
        return Member(key, "", name, "", after)
    quote = "" if name == "guests" else '"'
    return Member(key, f',"{key}":{quote}', name, quote, after)


def fill_guest(template: Template, email: str, zone: str, locale: str) -> str:
    """A guest among the attendees."""
    text = template.guest.replace(mark("guest"), email)
    return text.replace(mark("zone"), zone).replace(mark("locale"), locale)
