"""Untouched generated rows as JSON, fast: a template for every shape, taken from what the views make of a sample.

A sample is a booking of that shape with marks in place of its values. What the views answer for it, with the marks
turned into places to fill, is the template; so nothing here knows how a booking is shown.
"""

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from calcom_pipeline.sandbox.accounts.generation.assembly import Leaves, Person, Shape, assemble
from calcom_pipeline.sandbox.accounts.generation.details import Details, Source
from calcom_pipeline.sandbox.bookings import views
from calcom_pipeline.sandbox.accounts.generation.moments import iso_texts, quoted_iso_texts
from calcom_pipeline.sandbox.core.times import MINUTE_MS
from calcom_pipeline.sandbox.state.columns import STATUSES
from calcom_pipeline.sandbox.state.model import EventType, User
from calcom_pipeline.sandbox.state.sorting import Positions
from calcom_pipeline.sandbox.state.world import World

_OPEN, _CLOSE = "\ue000", "\ue001"  # private characters around a mark; no text of ours holds them
_AS_JSON: Final = "j_"  # marks of values that are not texts: their quotes go
_MARK = re.compile(f'"{_OPEN}({_AS_JSON}\\w+){_CLOSE}"|{_OPEN}(\\w+){_CLOSE}')
_TYPE_ID: Final = 1
# The columns of a common row, in the order in which `_columns` gives them.
COMMON: Final = (
    "j_id", "uid", "title", "notes", "status", "reason", "cancelled_by", "j_moved_by", "from_uid", "to_uid",
    "move_reason", "start", "end", "j_minutes", "j_type_id", "j_type", "location", "j_absent", "created", "j_updated",
    "series_uid", "answer", "source", "order_number", "name0", "email0", "zone0", "locale0", "phone0", "guest0",
    "guest1", "j_hosts",
)  # fmt: skip


class Template(NamedTuple):
    """JSON with places to fill; `pick` finds the values of a common row, and is None for a shape by names."""

    text: str
    pick: Any


def _mark(name: str) -> Any:
    return f"{_OPEN}{name}{_CLOSE}"


def _sample(shape: Shape, booker_url: str) -> Leaves:
    people = [Person(*(_mark(f"{part}{n}") for part in _PERSON)) for n in range(max(shape.people, 1))]
    return Leaves(
        id=1,
        uid=_mark("uid"),
        title=_mark("title"),
        notes=_mark("notes"),
        start=0,
        end=0,
        created=0,
        updated=0,
        status=_mark("status"),
        type_id=_TYPE_ID,
        user_id=1,
        location=_mark("location"),
        reason=_mark("reason"),
        cancelled_by=_mark("cancelled_by"),
        rejection=None,
        from_uid=_mark("from_uid"),
        to_uid=_mark("to_uid"),
        moved_by=_mark("j_moved_by"),
        move_reason=_mark("move_reason"),
        series_uid=_mark("series_uid"),
        absent=_mark("j_absent"),
        answer=_mark("answer"),
        source=_mark("source"),
        order_number=_mark("order_number"),
        booker_url=booker_url,
        people=people,
        guests=[_mark(f"guest{n}") for n in range(shape.guests)],
        others=[Person(*(_mark(f"{part}_other{n}") for part in _OTHER)) for n in range(shape.others)],
    )


_PERSON: Final = ("name", "email", "zone", "locale", "phone", "seat")
_OTHER: Final = ("name", "email", "zone")
# Members of the answer that are marked as a whole: numbers, times, and what the views look up elsewhere.
_WHOLE: Final = {
    "id": "j_id",
    "hosts": "j_hosts",
    "start": "start",
    "end": "end",
    "duration": "j_minutes",
    "eventTypeId": "j_type_id",
    "eventType": "j_type",
    "createdAt": "created",
    "updatedAt": "j_updated",
}


def make_template(shape: Shape, booker_url: str) -> Template:
    """The template of a shape."""
    world = World(users={1: User(1, "", "", "", "UTC", 1)})
    seats = {"seatsPerTimeSlot": 1} if shape.seated else None
    world.event_types.put(EventType(_TYPE_ID, 1, "", "", owner_id=1, seats=seats))
    shown = views.shown(world, assemble(shape, _sample(shape, booker_url)))
    shown |= {member: _mark(name) for member, name in _WHOLE.items() if member in shown}
    text = orjson.dumps(shown).decode().replace("%", "%%")
    names = [match[1] or match[2] for match in _MARK.finditer(text)]
    if shape.is_common:
        return Template(_MARK.sub("%s", text), itemgetter(*(COMMON.index(name) for name in names)))
    return Template(_MARK.sub(lambda match: f"%({match[1] or match[2]})s", text), None)


class Renderer:
    """Renders the rows of one layout. What it keeps of event types and users is void once those change."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._templates: dict[Shape, Template] = {}
        self._version = -1
        self._hosts: dict[int, str] = {}
        self._types: dict[int, tuple[str, bool]] = {}

    def render(self, world: World, positions: Positions) -> list[bytes]:
        """The rows at these positions; whatever is not as it was generated goes through the views."""
        if world.event_types_version != self._version:
            self._version = world.event_types_version
            self._hosts.clear()
            self._types.clear()
        table = world.bookings
        fast = self._fast(world, positions)
        rendered = iter(self._rows(world, positions[fast]))
        return [
            next(rendered) if is_fast else orjson.dumps(views.shown(world, table.at(position)))
            for position, is_fast in zip(positions.tolist(), fast.tolist(), strict=True)
        ]

    def _fast(self, world: World, positions: Positions) -> NDArray[np.bool_]:
        """Whether a row, its type and the row that it was moved to are as they were generated."""
        table, layout = world.bookings, self._source.layout
        fast = (positions < table.base_count) & ~table.columns.changed[positions]
        own = positions[fast]
        raw = layout.raw[own]
        following = layout.place[np.minimum(raw + 1, len(layout.raw) - 1)]
        moved = layout.moves_on[raw]
        gone = table.columns.changed[following] | ~table.columns.alive[following]
        same_type = [self._type(world, one)[1] for one in table.columns.event_type[own].tolist()]
        fast[fast] = np.array(same_type, dtype=np.bool_) & ~(moved & gone)
        return fast

    def _type(self, world: World, event_type_id: int) -> tuple[str, bool]:
        """An event type's place in an answer, and whether it is seated as it was when its bookings were made."""
        found = self._types.get(event_type_id)
        if found is None:
            row = world.event_types.get(event_type_id)
            seated = self._source.is_seated[event_type_id]
            shown = orjson.dumps(None if row is None else {"id": row.id, "slug": row.slug}).decode()
            found = self._types[event_type_id] = (shown, row is not None and bool(row.seats_per_slot) == seated)
        return found

    def _host(self, world: World, user_id: int) -> str:
        found = self._hosts.get(user_id)
        if found is None:
            found = self._hosts[user_id] = orjson.dumps(views.shown_hosts(world, user_id)).decode()
        return found

    def _rows(self, world: World, positions: Positions) -> list[bytes]:
        if not len(positions):
            return []
        details = Details(self._source, positions)
        rows = zip(*self._columns(world, positions, details), strict=True)
        return [self._filled(details, number, row).encode() for number, row in enumerate(rows)]

    def _filled(self, details: Details, number: int, row: tuple[Any, ...]) -> str:
        shape = details.shapes[number]
        template = self._templates.get(shape)
        if template is None:
            template = self._templates[shape] = make_template(shape, self._source.booker_url)
        if template.pick is not None:
            return template.text % template.pick(row)
        return template.text % (dict(zip(COMMON, row, strict=True)) | _rare(details, number))

    def _columns(self, world: World, positions: Positions, details: Details) -> list[Sequence[Any]]:
        columns = world.bookings.columns
        guests = [[*one, "", ""] for one in details.guests]
        start, end = columns.start[positions], columns.end[positions]
        types: list[int] = columns.event_type[positions].tolist()
        return [
            details.ids,
            details.uids,
            details.titles,
            details.notes,
            [STATUSES[one] for one in columns.status[positions].tolist()],
            [one or "" for one in details.reasons],
            [one or "" for one in details.cancelled_by],
            ["null" if one is None else f'"{one}"' for one in details.shown_moved_by],
            details.from_uids,
            details.to_uids,
            details.move_reasons,
            iso_texts(start),
            iso_texts(end),
            ((end - start) // MINUTE_MS).tolist(),
            types,
            [self._type(world, one)[0] for one in types],
            [one.location for one in details.places],
            ["true" if one else "false" for one in details.absent],
            iso_texts(columns.created[positions]),
            quoted_iso_texts(columns.updated[positions]),
            details.series_uids,
            details.answers,
            details.sources,
            details.order_numbers,
            details.names,
            details.emails,
            details.zones,
            details.locales,
            details.phones,
            [one[0] for one in guests],
            [one[1] for one in guests],
            [self._host(world, one) for one in details.user_ids],
        ]


def _rare(details: Details, number: int) -> dict[str, Any]:
    """The values of a row with seats or with several hosts that common rows do not have."""
    found: dict[str, Any] = {}
    for place, person in enumerate(details.people(number)):
        values = (person.name, person.email, person.zone, person.locale, person.phone, person.seat_uid)
        found |= {f"{part}{place}": value for part, value in zip(_PERSON, values, strict=True)}
    for place, user in enumerate(details.places[number].others):
        values = (user.name, user.email, user.time_zone)
        found |= {f"{part}_other{place}": value for part, value in zip(_OTHER, values, strict=True)}
    return found
