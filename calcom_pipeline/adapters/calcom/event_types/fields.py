"""The fields of an event type: our attribute, Cal.com's name, how it is read, and whether it may be written.

The only place that knows Cal.com's names of them. Cal.com drops fields it does not take without a word and answers 200
(capture 27a), so what cannot be written is refused here, before anything is sent. Source: fact sheet 4.2 and 4.3; a
test compares the table with the OpenAPI data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from calcom_pipeline.adapters.calcom.event_types.wire import LEGACY_NAMES, NEWER_BUILDS, READ_ONLY, TEAM_ONLY, WRITABLE
from calcom_pipeline.adapters.calcom.lists import Id, Name, Small, Wire
from calcom_pipeline.domain.errors import InvalidInput
from calcom_pipeline.domain.event_types.models import EventType, Owner

_LIMIT_FIELDS = ("bookingLimitsCount", "bookingLimitsDuration")
_LIMIT_PERIODS = ("day", "week", "month", "year")


_Length = Annotated[int, Field(ge=1, lt=2**31)]


class _Host(Wire):
    userId: Id


class _User(Wire):
    id: Id


class _Seats(Wire):
    seatsPerTimeSlot: Small | None = None


class EventTypeWire(Wire):
    """An event type in the personal or the team shape of version 2024-06-14."""

    id: Id
    lengthInMinutes: _Length
    title: str
    slug: Name
    description: str | None = ""
    lengthInMinutesOptions: list[_Length] = Field(default_factory=list[int])
    hidden: bool
    scheduleId: Id | None = None
    schedulingType: str | None = None
    parentEventTypeId: Id | None = None
    slotInterval: Small | None = None
    minimumBookingNotice: Small
    beforeEventBuffer: Small
    afterEventBuffer: Small
    seats: _Seats = _Seats()
    confirmationPolicy: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    recurrence: Mapping[str, Any] | None = None
    price: Id = 0
    currency: str = "usd"
    ownerId: Id | None = None
    teamId: Id | None = None
    users: list[_User] = Field(default_factory=list[_User])
    hosts: list[_Host] = Field(default_factory=list[_Host])
    assignAllTeamMembers: bool = False
    bookingLimitsCount: Mapping[str, Any] | None = None
    bookingLimitsDuration: Mapping[str, Any] | None = None


#: `writable` on every type; `team` on team types only; `create` on team types, when they are made; `read_only` never.
Access = Literal["writable", "team", "create", "read_only"]

LONGEST_TEXT = 255
MOST_SEATS = 1000


class _WrongValueError(ValueError):
    """A sentence about a value, without the value."""


@dataclass(frozen=True, slots=True)
class EventTypeField:
    """`name` is the attribute of `EventType`; `wire` Cal.com's name in both directions, None for what we derive.

    `why` says why a read-only field cannot be written; `to_wire` checks a value and gives what is sent for it.
    """

    name: str
    wire: str | None
    access: Access
    to_wire: Callable[[object], object] | None = None
    why: str = ""


def _whole(value: object, *, least: int, most: int | None = None) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _WrongValueError("is no whole number")
    if value < least:
        raise _WrongValueError(f"is below {least}")
    if most is not None and value > most:
        raise _WrongValueError(f"is above {most}")
    return value


def _minutes(value: object) -> int:
    return _whole(value, least=0)


def _length(value: object) -> int:
    return _whole(value, least=1)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _WrongValueError("is neither true nor false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _WrongValueError("is no text")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise _WrongValueError("holds a character that no text may hold")
    return value


def _title(value: object) -> str:
    text = _text(value)
    if not text.strip():
        raise _WrongValueError("is empty")
    if len(text) > LONGEST_TEXT:
        raise _WrongValueError(f"is longer than {LONGEST_TEXT} characters")
    return text


def _slug(value: object) -> str:
    """Cal.com trims only leading `-`, `.`, `_` and white space and normalises nothing (fact sheet 4.1)."""
    slug = _title(value)
    if slug != slug.strip() or slug[0] in "-._" or any(character.isspace() or character == "/" for character in slug):
        raise _WrongValueError("is no clean slug: no white space, no slash, no leading - . or _")
    return slug


def _lengths(value: object) -> list[int]:
    if not isinstance(value, list | tuple):
        raise _WrongValueError("is no list")
    lengths = [_length(one) for one in cast("list[object]", value)]
    if len(set(lengths)) != len(lengths):
        raise _WrongValueError("names a length twice")
    return lengths


def _interval(value: object) -> int:
    """Null, which means the event's own length, is what Cal.com shows but not what it takes."""
    return _whole(value, least=1)


def _seats(value: object) -> dict[str, object]:
    if value is None:
        return {"disabled": True}
    seats = _whole(value, least=1, most=MOST_SEATS)
    return {"seatsPerTimeSlot": seats, "showAttendeeInfo": False, "showAvailabilityCount": True}


def _confirmation(value: object) -> dict[str, object]:
    if not _flag(value):
        return {"disabled": True}
    return {"type": "always", "blockUnconfirmedBookingsInBooker": False}


def _hosts(value: object) -> list[dict[str, int]]:
    if not isinstance(value, list | tuple) or not value:
        raise _WrongValueError("is no list of user ids")
    return [{"userId": _whole(one, least=1)} for one in cast("list[object]", value)]


def _scheduling(value: object) -> str:
    if value not in ("collective", "roundRobin"):
        raise _WrongValueError("is neither collective nor roundRobin (managed types are not written by us)")
    return str(value)


_DERIVED = "it follows from other fields"

WIRE_FIELDS: tuple[EventTypeField, ...] = (
    EventTypeField("title", "title", "writable", _title),
    EventTypeField("slug", "slug", "writable", _slug),
    EventTypeField("description", "description", "writable", _text),
    EventTypeField("duration_minutes", "lengthInMinutes", "writable", _length),
    EventTypeField("duration_options", "lengthInMinutesOptions", "writable", _lengths),
    EventTypeField("hidden", "hidden", "writable", _flag),
    EventTypeField("schedule_id", "scheduleId", "writable", lambda value: _whole(value, least=1)),
    EventTypeField("slot_interval_minutes", "slotInterval", "writable", _interval),
    EventTypeField("minimum_notice_minutes", "minimumBookingNotice", "writable", _minutes),
    EventTypeField("before_buffer_minutes", "beforeEventBuffer", "writable", _minutes),
    EventTypeField("after_buffer_minutes", "afterEventBuffer", "writable", _minutes),
    EventTypeField("seats_per_slot", "seats", "writable", _seats),
    EventTypeField("requires_confirmation", "confirmationPolicy", "writable", _confirmation),
    EventTypeField("host_ids", "hosts", "team", _hosts),
    EventTypeField("assign_all_team_members", "assignAllTeamMembers", "team", _flag),
    EventTypeField("scheduling_type", "schedulingType", "create", _scheduling),
    EventTypeField("id", "id", "read_only", why="Cal.com gives it"),
    EventTypeField("owner", "ownerId", "read_only", why="an event type stays with its owner"),
    EventTypeField("price_minor", "price", "read_only", why="Cal.com ignores it; a price is kept on our side only"),
    EventTypeField("currency", "currency", "read_only", why="Cal.com ignores it; a price is kept on our side only"),
    EventTypeField("parent_id", "parentEventTypeId", "read_only", why="Cal.com gives it to children of managed types"),
    EventTypeField("recurring", "recurrence", "read_only", why="how it recurs is set in Cal.com"),
    EventTypeField("schedule_zone", None, "read_only", why=_DERIVED),
    EventTypeField("limit_periods", None, "read_only", why=_DERIVED),
    EventTypeField("raw", None, "read_only", why=_DERIVED),
    EventTypeField("content_hash", None, "read_only", why=_DERIVED),
)
BY_NAME: Mapping[str, EventTypeField] = {field.name: field for field in WIRE_FIELDS}
_REQUIRED = ("title", "slug", "duration_minutes")


def read_event_type(wire: EventTypeWire, raw: Mapping[str, Any], zone: str) -> EventType:
    """An event type as it was read; `zone` is that of its schedule. Its content hash is left to who knows the zone."""
    owner = Owner("team", wire.teamId) if wire.teamId is not None else Owner("user", wire.ownerId or 0)
    host_ids = {host.userId for host in wire.hosts} or {user.id for user in wire.users}
    return EventType(
        id=wire.id,
        owner=owner,
        slug=wire.slug,
        title=wire.title,
        description=wire.description or "",
        duration_minutes=wire.lengthInMinutes,
        duration_options=tuple(wire.lengthInMinutesOptions),
        hidden=wire.hidden,
        schedule_id=wire.scheduleId,
        schedule_zone=zone,
        scheduling_type=wire.schedulingType,
        parent_id=wire.parentEventTypeId,
        slot_interval_minutes=wire.slotInterval,
        minimum_notice_minutes=wire.minimumBookingNotice,
        before_buffer_minutes=wire.beforeEventBuffer,
        after_buffer_minutes=wire.afterEventBuffer,
        seats_per_slot=wire.seats.seatsPerTimeSlot,
        requires_confirmation=bool(wire.confirmationPolicy) and not wire.confirmationPolicy.get("disabled"),
        recurring=wire.recurrence is not None,
        price_minor=wire.price,
        currency=wire.currency,
        host_ids=tuple(sorted(host_ids)),
        assign_all_team_members=wire.assignAllTeamMembers,
        limit_periods=tuple(p for p in _LIMIT_PERIODS if any(p in (raw.get(f) or {}) for f in _LIMIT_FIELDS)),
        raw=raw,
    )


def create_body(owner: Owner, fields: Mapping[str, object]) -> dict[str, Any]:
    """The body that creates an event type of this owner.

    Raises:
        InvalidInput: all that is wrong with the fields.
    """
    required = (*_REQUIRED, "scheduling_type") if owner.kind == "team" else _REQUIRED
    missing = [f"{name}: is missing" for name in required if name not in fields]
    return _body(fields, owner, creating=True, problems=missing)


def update_body(event_type: EventType, changes: Mapping[str, object]) -> dict[str, Any]:
    """The body that changes an event type.

    Raises:
        InvalidInput: it is a managed parent, or all that is wrong with the changes.
    """
    if event_type.is_managed_parent:
        raise InvalidInput(
            [f"event type {event_type.id} is a managed parent; it is not written by us"],
            advice="Change it in Cal.com; its children follow.",
        )
    problems = [] if changes else ["nothing is to be changed"]
    return _body(changes, event_type.owner, creating=False, problems=problems)


def ignored_fields(event_type: EventType, fields: Mapping[str, object]) -> tuple[str, ...]:
    """Names of fields that were sent and that Cal.com's answer does not show: accepted but ignored."""
    return tuple(name for name, value in fields.items() if _comparable(getattr(event_type, name)) != _comparable(value))


def _comparable(value: object) -> object:
    return sorted(cast("list[Any]", value)) if isinstance(value, list | tuple) else value


def _body(fields: Mapping[str, object], owner: Owner, *, creating: bool, problems: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in fields.items():
        field = BY_NAME.get(name)
        refusal = _refusal(name, field, owner, creating=creating)
        if field is None or field.to_wire is None or field.wire is None or refusal:
            problems.append(f"{name}: {refusal}")
            continue
        try:
            body[field.wire] = field.to_wire(value)
        except _WrongValueError as error:
            problems.append(f"{name}: {error}")
    options, length = fields.get("duration_options"), fields.get("duration_minutes")
    if isinstance(options, list | tuple) and options and length is not None and length not in options:
        problems.append("duration_options: must hold duration_minutes")
    if problems:
        raise InvalidInput(problems)
    return body


def _unknown(name: str) -> str:
    """Why a name that is none of ours is refused: Cal.com's own names are told from typing errors."""
    wire = LEGACY_NAMES.get(name, name)
    ours = next((field.name for field in WIRE_FIELDS if field.wire == wire), None)
    if ours is not None:
        return f"is called {ours} here"
    if wire in WRITABLE | TEAM_ONLY:
        return "is not kept in sync; set it in Cal.com"
    if wire in READ_ONLY | NEWER_BUILDS:
        return "cannot be written: Cal.com ignores it"
    return "is no field of an event type"


def _refusal(name: str, field: EventTypeField | None, owner: Owner, *, creating: bool) -> str:
    """Why this field cannot be written here; empty when it can."""
    if field is None:
        return _unknown(name)
    if field.access == "read_only":
        return f"cannot be written: {field.why}"
    if field.access in ("team", "create") and owner.kind != "team":
        return "only team event types have it"
    if field.access == "create" and not creating:
        return "is chosen when an event type is created"
    return f"{name} cannot be sent" if field.wire is None else ""
