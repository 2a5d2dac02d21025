"""Rows of a booking list: from the bytes of an answer to domain values, and what happens to rows that cannot be read.

A row that is wrong in itself (no uid, a date that is none) does not fail its page: it is handed on as `Unreadable`
with the keys that could be read. An answer of another shape altogether (the legacy list is an object, fact sheet 1.3),
or one in which the same field of every row is missing or of another kind, is `ContractBroken`: nothing of it is used.

Which shape a row has depends on the booking now (fact sheet 6.4); one reader takes them all. It is written by hand,
because it is the hot path: validating 100,000 rows with a model class costs 2 s, this a third of that.
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar, cast

import orjson

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
from calcom_pipeline.domain.bookings.models import Attendee, Booking, Host
from calcom_pipeline.domain.errors import ContractBroken, Exchange

T = TypeVar("T")
Row = dict[str, Any]

# Fields of the output (fact sheet 6.4); others are kept in the payload and counted.
_KNOWN = frozenset({
    "id", "uid", "title", "description", "hosts", "status", "cancellationReason", "cancelledByEmail",
    "reschedulingReason", "rescheduledFromUid", "rescheduledToUid", "rescheduledByEmail", "start", "end", "duration",
    "eventType", "eventTypeId", "location", "meetingUrl", "absentHost", "createdAt", "updatedAt", "metadata", "rating",
    "icsUid", "attendees", "guests", "bookingFieldsResponses", "recurringBookingUid", "seatUid",
    "isPlatformManagedUserBooking",
})  # fmt: skip
_STATUSES = frozenset({"accepted", "pending", "cancelled", "rejected", "awaiting_host"})
_LARGEST_ID = 2**63 - 1  # bigint
# That many rows, all with the same field missing or of another kind, are no accident but another shape.
_ROWS_OF_A_NEW_SHAPE = 3
# An account has few hosts, who stand in all its bookings.
_HOSTS_REMEMBERED = 1024


class _WrongFieldError(ValueError):
    """A field is missing or of another kind. Says which and what is wrong, never the value."""


class _Shape:
    """The fields that are read of one kind of object, and of which JSON kinds each may be.

    A combination of kinds that has been found right is not looked at again: a list has few of them.
    """

    def __init__(self, **fields: tuple[type | None, ...]) -> None:
        self._fields = fields
        self._names = tuple(fields)
        self._right: set[tuple[type, ...]] = set()

    def values(self, row: Any) -> tuple[Any, ...]:
        """The fields' values in order, None for those that are missing. Raises _WrongFieldError for a wrong kind."""
        if type(row) is not dict:
            raise _WrongFieldError("is no object")
        values = tuple(map(cast("Row", row).get, self._names))
        kinds = tuple(map(type, values))
        if kinds not in self._right:
            for (name, allowed), value in zip(self._fields.items(), values, strict=True):
                if (None if value is None else type(value)) not in allowed:
                    raise _WrongFieldError(
                        f"{name}: " + (f"is no {_CALLED[allowed[0]]}" if name in row else "is missing")
                    )
            self._right.add(kinds)
        return values


_CALLED: dict[type | None, str] = {str: "text", int: "whole number", bool: "flag", dict: "object", list: "list"}
#: How reasons end that speak of a field's kind and not of its value.
_SHAPE_REASONS = ("is missing", *(f"is no {called}" for called in _CALLED.values()))
_TEXT, _TEXT_OR_NULL, _FLAG_OR_NULL = (str,), (str, None), (bool, None)
_BOOKING = _Shape(
    uid=_TEXT,
    id=(int,),
    status=_TEXT,
    start=_TEXT,
    end=_TEXT,
    createdAt=_TEXT,
    updatedAt=_TEXT_OR_NULL,
    title=_TEXT_OR_NULL,
    description=_TEXT_OR_NULL,
    eventTypeId=(int, None),
    eventType=(dict, None),
    location=_TEXT_OR_NULL,
    cancellationReason=_TEXT_OR_NULL,
    rescheduledFromUid=_TEXT_OR_NULL,
    rescheduledToUid=_TEXT_OR_NULL,
    recurringBookingUid=_TEXT_OR_NULL,
    absentHost=_FLAG_OR_NULL,
    attendees=(list,),
    hosts=(list,),
)
_EVENT_TYPE = _Shape(id=(int,), slug=_TEXT_OR_NULL)
_ATTENDEE = _Shape(
    email=_TEXT_OR_NULL,
    name=_TEXT_OR_NULL,
    timeZone=_TEXT_OR_NULL,
    language=_TEXT_OR_NULL,
    absent=_FLAG_OR_NULL,
    phoneNumber=_TEXT_OR_NULL,
    seatUid=_TEXT_OR_NULL,
)
# A booking without an organizer row says "unknown" in every value, the id included (fact sheet 6.4).
_HOST = _Shape(
    id=(int, str, None), username=_TEXT_OR_NULL, name=_TEXT_OR_NULL, email=_TEXT_OR_NULL, timeZone=_TEXT_OR_NULL
)
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
    except _WrongFieldError as wrong:
        return Unreadable(raw, str(wrong) if isinstance(row, dict) else f"row: {wrong}", _keys(row))


def _booking(row: Any, raw: bytes) -> Booking:
    (
        uid, number, status, start, end, created, updated, title, description, type_id, ref, location, reason,
        moved_from, moved_to, series, absent_host, attendees, hosts,
    ) = _BOOKING.values(row)  # fmt: skip
    if updated is None and "updatedAt" not in row:
        raise _WrongFieldError("updatedAt: is missing")
    if status not in _STATUSES:
        raise _WrongFieldError("status: is none that Cal.com names")
    if not uid:
        raise _WrongFieldError("uid: is empty")
    slug = None
    if ref:
        type_id, slug = _within("eventType", _EVENT_TYPE.values, ref)
    _indexable("uid", uid)
    if moved_from or moved_to or series:
        for name, text in (("moved", moved_from), ("moved", moved_to), ("series", series)):
            _indexable(name, text)
    return Booking(
        uid,
        _whole("id", number),
        status,
        _instant("start", start),
        _instant("end", end),
        _instant("createdAt", created),
        None if updated is None else _instant("updatedAt", updated),
        title or "",
        description,
        None if type_id is None else _whole("eventTypeId", type_id),
        slug,
        location,
        reason or "",
        moved_from,
        moved_to,
        series,
        absent_host or False,
        _each("attendees", _attendee, attendees),
        _each("hosts", _host, hosts),
        raw,
        payload_hash(raw),
    )


def _within(name: str, read: Callable[[Any], T], value: Any) -> T:
    try:
        return read(value)
    except _WrongFieldError as wrong:
        raise _WrongFieldError(f"{name}: {wrong}") from None


def _each(name: str, read: Callable[[Any], T], values: list[Any]) -> tuple[T, ...]:
    try:
        return tuple([read(value) for value in values])
    except _WrongFieldError as wrong:
        raise _WrongFieldError(f"{name}: {wrong}") from None


def _attendee(value: Any) -> Attendee:
    values = _ATTENDEE.values(value)
    _indexable("email", values[0])
    return Attendee(*values)


def _host(value: Any) -> Host:
    return _host_of(*_HOST.values(value))


@lru_cache(maxsize=_HOSTS_REMEMBERED, typed=True)  # typed: a 1 is no True
def _host_of(
    host_id: int | str | None, username: str | None, name: str | None, email: str | None, time_zone: str | None
) -> Host:
    _indexable("email", email)
    known = None if host_id is None or host_id == _UNKNOWN else _whole("id", host_id)
    return Host(known, username, name, email, time_zone)


def _indexable(name: str, text: str | None) -> None:
    if text is not None and len(text) > LONGEST_INDEXED:
        raise _WrongFieldError(f"{name}: is longer than {LONGEST_INDEXED} characters")


def _whole(name: str, value: Any) -> int:
    if type(value) is not int or not -_LARGEST_ID <= value <= _LARGEST_ID:
        raise _WrongFieldError(f"{name}: is no whole number of 64 bits")
    return value


def _instant(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _WrongFieldError(f"{name}: is no time between the years 1 and 9999") from None


# --- what is left of a row that cannot be read -------------------------------------------------------------------


def _keys(row: Any) -> Keys:
    if not isinstance(row, dict):
        return Keys()
    get = cast("Row", row).get

    def instant(name: str) -> datetime | None:
        text = get(name)
        try:
            return _instant(name, text) if type(text) is str else None
        except _WrongFieldError:
            return None

    uid = get("uid")
    is_a_name = type(uid) is str and bool(uid) and uid.isprintable() and len(uid) <= LONGEST_INDEXED
    return Keys(
        uid if is_a_name else None, instant("updatedAt"), instant("createdAt"), instant("start"), instant("end")
    )


def _refuse_another_shape(bookings: list[Booking], unreadable: list[Unreadable], exchange: Exchange) -> None:
    reasons = {record.reason for record in unreadable}
    wrong_shape = all(reason.endswith(_SHAPE_REASONS) for reason in reasons)
    if not bookings and len(unreadable) >= _ROWS_OF_A_NEW_SHAPE and len(reasons) == 1 and wrong_shape:
        raise ContractBroken(
            f"{exchange.operation} answered {len(unreadable)} rows that all fail alike ({reasons.pop()}); nothing of "
            "it was stored",
            exchange=exchange,
            advice="Cal.com has changed the shape of bookings, or CALCOM_BOOKINGS_VERSION is wrong.",
        )
