"""The shape of a booking on the wire: which of its fields are read, and of which JSON kinds each may be.

msgspec holds a row against it in C, which costs a tenth of what Python would. Of a row that it refuses it names some
field; which one is wrong first, in the order of declaration, is found here, so that the same fault has the same reason
wherever it stands in the row. Values (lengths, instants, numbers of 64 bits) are judged in `rows.py`.

Which shape a row has depends on the booking now (fact sheet 6.4); one struct takes them all.
"""

from functools import cache
from types import UnionType
from typing import Any, cast, get_args, get_origin

from msgspec import UNSET, Struct, UnsetType, ValidationError, convert
from msgspec.structs import fields

Row = dict[str, Any]

_CALLED: dict[type, str] = {str: "text", int: "whole number", bool: "flag", dict: "object", list: "list"}
#: How reasons end that speak of a field's kind and not of its value.
SHAPE_REASONS = ("is missing", *(f"is no {called}" for called in _CALLED.values()))


class WrongFieldError(ValueError):
    """A field is missing, of another kind, or has a value that cannot be. Says which and what, never the value."""


class WireEventType(Struct, rename="camel", gc=False):
    """What a booking says of its event type."""

    id: int | UnsetType = UNSET
    slug: str | None = None


class WireAttendee(Struct, rename="camel", gc=False):
    """Somebody who booked."""

    email: str | None = None
    name: str | None = None
    time_zone: str | None = None
    language: str | None = None
    absent: bool | None = None
    phone_number: str | None = None
    seat_uid: str | None = None


class WireHost(Struct, rename="camel", gc=False):
    """An organizer. Without an organizer row every value says "unknown", the id included (fact sheet 6.4)."""

    id: int | str | None = None
    username: str | None = None
    name: str | None = None
    email: str | None = None
    time_zone: str | None = None


class WireBooking(Struct, rename="camel", kw_only=True, gc=False):
    """A row of a list of bookings. What may be null may be missing, but for `updatedAt`."""

    uid: str
    id: int
    status: str
    start: str
    end: str
    created_at: str
    updated_at: str | None
    title: str | None = None
    description: str | None = None
    event_type_id: int | None = None
    event_type: WireEventType | None = None
    location: str | None = None
    cancellation_reason: str | None = None
    rescheduled_from_uid: str | None = None
    rescheduled_to_uid: str | None = None
    recurring_booking_uid: str | None = None
    absent_host: bool | None = None
    attendees: list[WireAttendee]
    hosts: list[WireHost]


def shaped(row: Any) -> WireBooking | None:
    """The row as a booking; None where it has another shape."""
    try:
        return convert(row, WireBooking)
    except ValidationError:
        return None


def refuse_fields(row: Any) -> None:
    """Raises WrongFieldError for the first field of a row, whatever is inside it, of another kind."""
    _refuse_kinds(row, WireBooking)


def refuse_parts(row: Row) -> None:
    """Raises WrongFieldError for the first part of a row, its event type or one of its people, of another shape."""
    kind = row.get("eventType")
    _refuse_each("eventType", [] if kind is None else [kind], WireEventType)
    _refuse_each("attendees", row["attendees"], WireAttendee)
    _refuse_each("hosts", row["hosts"], WireHost)


def _refuse_each(name: str, parts: list[Any], struct: type[Struct]) -> None:
    for part in parts:
        try:
            _refuse_kinds(part, struct)
        except WrongFieldError as wrong:
            raise WrongFieldError(f"{name}: {wrong}") from None


def _refuse_kinds(row: Any, struct: type[Struct]) -> None:
    if type(row) is not dict:
        raise WrongFieldError("is no object")
    values = cast("Row", row)
    for name, kinds in _kinds_of(struct).items():
        if name in values or UnsetType not in kinds:
            _refuse_kind(name, values, kinds)
    for field in fields(struct):
        if field.required and field.encode_name not in values:
            raise WrongFieldError(f"{field.encode_name}: is missing")


def _refuse_kind(name: str, values: Row, kinds: tuple[type, ...]) -> None:
    if type(values.get(name)) not in kinds:
        raise WrongFieldError(f"{name}: " + (f"is no {_CALLED[kinds[0]]}" if name in values else "is missing"))


@cache
def _kinds_of(struct: type[Struct]) -> dict[str, tuple[type, ...]]:
    """JSON kinds by field, the one it is called by first."""
    return {field.encode_name: tuple(map(_kind_of, _alternatives(field.type))) for field in fields(struct)}


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)


def _kind_of(annotation: Any) -> type:
    kind = get_origin(annotation) or annotation
    return dict if issubclass(kind, Struct) else kind
