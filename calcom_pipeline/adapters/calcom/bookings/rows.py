"""Rows of a booking list: from the bytes of an answer to domain values, and what happens to rows that cannot be read.

A row that is wrong in itself (no uid, a date that is none) does not fail its page: it is handed on as `Unreadable`
with the keys that could be read. An answer of another shape altogether (the legacy list is an object, fact sheet 1.3),
or one in which the same field of every row is missing or of another kind, is `ContractBroken`: nothing of it is used.

Shapes stand in `wire.py`; here it is judged what the values may be, and made a booking of them.
"""

from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn, cast, get_args

import orjson
from msgspec import UNSET

from calcom_pipeline.adapters.calcom.bookings.wire import (
    SHAPE_REASONS,
    Row,
    WireAttendee,
    WireBooking,
    WireEventType,
    WireHost,
    WrongFieldError,
    refuse_fields,
    refuse_parts,
    shaped,
)
from calcom_pipeline.adapters.calcom.lists import (
    ESCAPED_NUL,
    HOLDS_NUL,
    LONGEST_INDEXED,
    NO_JSON_TEXT,
    TOO_DEEP,
    as_it_came,
    deep,
    holds_nul,
    parsed,
    payload,
)
from calcom_pipeline.domain.bookings.listing import BookingPage, Keys, Unreadable, payload_hash
from calcom_pipeline.domain.bookings.models import Attendee, Booking, BookingStatus, Host
from calcom_pipeline.domain.errors import ContractBroken, Exchange

# Fields of the output (fact sheet 6.4); others are kept in the payload and counted.
_KNOWN = frozenset({
    "id", "uid", "title", "description", "hosts", "status", "cancellationReason", "cancelledByEmail",
    "reschedulingReason", "rescheduledFromUid", "rescheduledToUid", "rescheduledByEmail", "start", "end", "duration",
    "eventType", "eventTypeId", "location", "meetingUrl", "absentHost", "createdAt", "updatedAt", "metadata", "rating",
    "icsUid", "attendees", "guests", "bookingFieldsResponses", "recurringBookingUid", "seatUid",
    "isPlatformManagedUserBooking",
})  # fmt: skip
_STATUSES: dict[str, BookingStatus] = {status: status for status in get_args(BookingStatus)}
_LARGEST_ID = 2**63 - 1  # bigint
# That many rows, all with the same field missing or of another kind, are no accident but another shape.
_ROWS_OF_A_NEW_SHAPE = 3
# An account has few hosts, who stand in all its bookings.
_HOSTS_REMEMBERED = 1024


_UNKNOWN = "unknown"


def booking_page(content: bytes, exchange: Exchange, *, answered_at: datetime, sent_at: datetime) -> BookingPage:
    """The rows of a listing, readable and not.

    Raises:
        ContractBroken: the answer as a whole is no paged list, or no row of it has the shape that was promised.
    """
    answer, intact = parsed(content, exchange)
    page = cast("Row", answer) if isinstance(answer, dict) else {}
    rows, pagination = page.get("data"), page.get("pagination")
    if not isinstance(rows, list) or not isinstance(pagination, dict):
        raise ContractBroken(
            f"{exchange.operation} answered no paged list; a wrong cal-api-version header gets the legacy shape",
            exchange=exchange,
            advice="Check CALCOM_BOOKINGS_VERSION and CALCOM_BASE_URL.",
        )
    bookings: list[Booking] = []
    unreadable: list[Unreadable] = []
    keys: list[Booking | Keys] = []
    unknown: Counter[str] = Counter()
    may_hold_nul = ESCAPED_NUL in content
    for row in cast("list[Any]", rows):
        found = _read(row, intact=intact, may_hold_nul=may_hold_nul)
        if isinstance(found, Booking):
            bookings.append(found)
            keys.append(found)
            if not row.keys() <= _KNOWN:
                unknown.update(row.keys() - _KNOWN)
        else:
            unreadable.append(found)
            keys.append(found.keys)
    _refuse_another_shape(bookings, unreadable, exchange)
    total = cast("Row", pagination).get("totalItems")
    return BookingPage(
        bookings,
        unreadable,
        answered_at=answered_at,
        sent_at=sent_at,
        keys=keys,
        total=total if type(total) is int else None,
        unknown_fields=dict(unknown),
    )


def one_booking(content: bytes, uid: str, exchange: Exchange) -> Booking | Unreadable:
    """The answer of a read by uid; a series answers a list of its occurrences (fact sheet 6.4).

    Raises:
        ContractBroken: the booking that was asked for is not in it.
    """
    answer, intact = parsed(content, exchange)
    data = cast("Row", answer).get("data") if isinstance(answer, dict) else None
    for row in cast("list[Any]", data if isinstance(data, list) else [data]):
        found = _read(row, intact=intact)
        if (found.uid if isinstance(found, Booking) else found.keys.uid) == uid:
            return found
    raise ContractBroken(f"{exchange.operation} answered another booking than was asked for", exchange=exchange)


def replayed(raw: bytes) -> Booking | Unreadable:
    """A record out of quarantine, read once more."""
    try:
        return _read(orjson.loads(raw), intact=True)
    except orjson.JSONDecodeError:
        return Unreadable(raw, NO_JSON_TEXT)


def _read(row: Any, *, intact: bool, may_hold_nul: bool = True) -> Booking | Unreadable:
    try:
        raw = payload(row, intact=intact)
    except ValueError:
        return Unreadable(as_it_came(row), NO_JSON_TEXT, _keys(row))
    except (TypeError, RecursionError):  # what orjson and json raise for it
        return Unreadable(deep(row), TOO_DEEP, _keys(row))
    if may_hold_nul and ESCAPED_NUL in raw and holds_nul(row):
        return Unreadable(raw, HOLDS_NUL, _keys(row))
    try:
        return _booking(row, raw)
    except WrongFieldError as wrong:
        return Unreadable(raw, str(wrong) if isinstance(row, dict) else f"row: {wrong}", _keys(row))


def _booking(row: Any, raw: bytes) -> Booking:
    shape = shaped(row)
    return _refused(row) if shape is None else _booking_of(shape, row, raw)


def _refused(row: Any) -> NoReturn:
    """What is wrong with the row itself is told before its attendees, and they before its hosts."""
    refuse_fields(row)
    for left_out in (("attendees", "hosts"), ("hosts",), ()):
        part: Row = {**row, **dict.fromkeys(left_out, ())}
        refuse_parts(part)
        if shape := shaped(part):
            _booking_of(shape, part, b"")
    raise AssertionError("a booking of another shape has the right one")


def _booking_of(shape: WireBooking, row: Row, raw: bytes) -> Booking:
    status = _STATUSES.get(shape.status)
    if status is None:
        raise WrongFieldError("status: is none that Cal.com names")
    if not shape.uid:
        raise WrongFieldError("uid: is empty")
    kind, type_id, slug = shape.event_type, shape.event_type_id, None
    if kind is not None and row["eventType"]:
        type_id, slug = _event_type(kind), kind.slug
    _indexable("uid", shape.uid)
    if shape.rescheduled_from_uid or shape.rescheduled_to_uid or shape.recurring_booking_uid:
        _indexable("moved", shape.rescheduled_from_uid)
        _indexable("moved", shape.rescheduled_to_uid)
        _indexable("series", shape.recurring_booking_uid)
    return Booking(
        shape.uid,
        _whole("id", shape.id),
        status,
        _instant("start", shape.start),
        _instant("end", shape.end),
        _instant("createdAt", shape.created_at),
        None if shape.updated_at is None else _instant("updatedAt", shape.updated_at),
        shape.title or "",
        shape.description,
        None if type_id is None else _whole("eventTypeId", type_id),
        slug,
        shape.location,
        shape.cancellation_reason or "",
        shape.rescheduled_from_uid,
        shape.rescheduled_to_uid,
        shape.recurring_booking_uid,
        shape.absent_host or False,
        tuple([_attendee(one) for one in shape.attendees]),
        tuple([_host(one) for one in shape.hosts]),
        raw,
        payload_hash(raw),
    )


def _event_type(kind: WireEventType) -> int:
    if kind.id is UNSET:
        raise WrongFieldError("eventType: id: is missing")
    return kind.id


def _attendee(one: WireAttendee) -> Attendee:
    _indexable("attendees: email", one.email)
    return Attendee(one.email, one.name, one.time_zone, one.language, one.absent, one.phone_number, one.seat_uid)


def _host(one: WireHost) -> Host:
    return _host_of(one.id, one.username, one.name, one.email, one.time_zone)


@lru_cache(maxsize=_HOSTS_REMEMBERED, typed=True)  # typed: a 1 is no True
def _host_of(
    host_id: int | str | None, username: str | None, name: str | None, email: str | None, time_zone: str | None
) -> Host:
    _indexable("hosts: email", email)
    known = None if host_id is None or host_id == _UNKNOWN else _whole("hosts: id", host_id)
    return Host(known, username, name, email, time_zone)


def _indexable(name: str, text: str | None) -> None:
    if text is not None and len(text) > LONGEST_INDEXED:
        raise WrongFieldError(f"{name}: is longer than {LONGEST_INDEXED} characters")


def _whole(name: str, value: Any) -> int:
    if type(value) is not int or not -_LARGEST_ID <= value <= _LARGEST_ID:
        raise WrongFieldError(f"{name}: is no whole number of 64 bits")
    return value


def _instant(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise WrongFieldError(f"{name}: is no time between the years 1 and 9999") from None


# --- what is left of a row that cannot be read -------------------------------------------------------------------


def _keys(row: Any) -> Keys:
    if not isinstance(row, dict):
        return Keys()
    get = cast("Row", row).get

    def instant(name: str) -> datetime | None:
        text = get(name)
        try:
            return _instant(name, text) if type(text) is str else None
        except WrongFieldError:
            return None

    uid = get("uid")
    is_a_name = type(uid) is str and bool(uid) and uid.isprintable() and len(uid) <= LONGEST_INDEXED
    return Keys(
        uid if is_a_name else None, instant("updatedAt"), instant("createdAt"), instant("start"), instant("end")
    )


def _refuse_another_shape(bookings: list[Booking], unreadable: list[Unreadable], exchange: Exchange) -> None:
    reasons = {record.reason for record in unreadable}
    wrong_shape = all(reason.endswith(SHAPE_REASONS) for reason in reasons)
    if not bookings and len(unreadable) >= _ROWS_OF_A_NEW_SHAPE and len(reasons) == 1 and wrong_shape:
        raise ContractBroken(
            f"{exchange.operation} answered {len(unreadable)} rows that all fail alike ({reasons.pop()}); nothing of "
            "it was stored",
            exchange=exchange,
            advice="Cal.com has changed the shape of bookings, or CALCOM_BOOKINGS_VERSION is wrong.",
        )
