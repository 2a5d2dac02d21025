"""Rows of a booking list: from the bytes of an answer to domain values, and what happens to rows that cannot be read.

A row that is wrong in itself (no uid, a date that is none) does not fail its page: it is handed on as `Unreadable`
with the keys that could be read. An answer of another shape altogether (the legacy list is an object, fact sheet 1.3),
or one in which every row fails for the same reason, is `ContractBroken`: nothing of it is used.

Which shape a row has depends on the booking now (fact sheet 6.4); one reader takes them all. It is written by hand,
because it is the hot path: validating 100,000 rows with a model class costs 2 s, this a third of that.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from calcom_pipeline.domain.bookings import BookingPage, Keys, Unreadable, payload_hash
from calcom_pipeline.domain.errors import ContractBroken, Exchange
from calcom_pipeline.domain.models import Attendee, Booking, BookingStatus, Host

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
# Longer ones do not fit into an index page of PostgreSQL (2,704 bytes, four to a character).
_LONGEST_INDEXED = 600
# That many rows, all wrong in the same way, are no accident but another shape.
_ROWS_OF_A_NEW_SHAPE = 3
_ESCAPED_NUL = b"\\u0000"
_NO_JSON_TEXT = "is no valid JSON text: bytes that are no UTF-8, half a surrogate pair, or a number that is none"


class _WrongFieldError(ValueError):
    """A field is missing or of another kind. Says which and what is wrong, never the value."""


def booking_page(content: bytes, exchange: Exchange, *, answered_at: datetime, sent_at: datetime) -> BookingPage:
    """The rows of a listing, readable and not.

    Raises:
        ContractBroken: the answer as a whole is no paged list, or no row of it has the shape that was promised.
    """
    answer, intact = _parsed(content, exchange)
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
    keys: list[Keys] = []
    shapes: Counter[tuple[str, ...]] = Counter()
    for row in cast("list[Any]", rows):
        found = _read(row, intact=intact)
        if isinstance(found, Booking):
            bookings.append(found)
            keys.append(Keys(found.uid, found.updated_at, found.created_at, found.start, found.end))
            shapes[tuple(row)] += 1
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
        unknown_fields=_unknown_fields(shapes),
    )


def one_booking(content: bytes, uid: str, exchange: Exchange) -> Booking | Unreadable:
    """The answer of a read by uid; a series answers a list of its occurrences (fact sheet 6.4).

    Raises:
        ContractBroken: the booking that was asked for is not in it.
    """
    answer, intact = _parsed(content, exchange)
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
        return Unreadable(raw, _NO_JSON_TEXT)


def _parsed(content: bytes, exchange: Exchange) -> tuple[Any, bool]:
    """The answer, and whether it is JSON to the letter.

    If not, single rows may still be: the lenient parser keeps wrong bytes as half surrogate pairs, which tell the rows
    apart and turn back into the same bytes.
    """
    try:
        return orjson.loads(content), True
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(content.decode(errors="surrogateescape")), False
    except (ValueError, RecursionError):
        raise ContractBroken(f"{exchange.operation} answered something that is no JSON", exchange=exchange) from None


def _read(row: Any, *, intact: bool) -> Booking | Unreadable:
    try:
        raw = _payload(row, intact=intact)
    except ValueError:
        return Unreadable(_as_it_came(row), _NO_JSON_TEXT, _keys(row))
    if _ESCAPED_NUL in raw and _holds_nul(row):
        return Unreadable(raw, "holds a NUL character, which PostgreSQL cannot store", _keys(row))
    try:
        return _booking(row, raw)
    except _WrongFieldError as wrong:
        return Unreadable(raw, str(wrong), _keys(row))


def _payload(row: Any, *, intact: bool) -> bytes:
    """Canonical bytes of a row. Raises ValueError for what is no JSON to the letter."""
    if intact:
        return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    return orjson.dumps(orjson.loads(_as_it_came(row)), option=orjson.OPT_SORT_KEYS)


def _as_it_came(row: Any) -> bytes:
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair that was escaped in the answer
        return json.dumps(row, separators=(",", ":")).encode()


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for item in cast("Row", value).items() for part in item)
    return isinstance(value, list) and any(map(_holds_nul, cast("list[Any]", value)))


def _booking(row: Any, raw: bytes) -> Booking:
    if not isinstance(row, dict):
        raise _WrongFieldError("row: is no object")
    r = cast("Row", row)
    status = r.get("status")
    if type(status) is not str or status not in _STATUSES:
        raise _WrongFieldError("status: is none that Cal.com names")
    event_type = r.get("eventType")
    ref = _object(event_type, "eventType") if event_type is not None else None
    return Booking(
        uid=_required_text(r, "uid"),
        id=_whole(r.get("id"), "id"),
        status=cast("BookingStatus", status),
        start=_instant(r, "start"),
        end=_instant(r, "end"),
        created_at=_instant(r, "createdAt"),
        updated_at=_instant(r, "updatedAt") if r.get("updatedAt") is not None else _present(r, "updatedAt"),
        title=_text(r, "title") or "",
        description=_text(r, "description"),
        event_type_id=_whole(ref.get("id"), "eventType.id") if ref else _optional_whole(r, "eventTypeId"),
        event_type_slug=_text(ref, "slug") if ref else None,
        location=_text(r, "location"),
        cancellation_reason=_text(r, "cancellationReason") or "",
        rescheduled_from_uid=_indexed(r, "rescheduledFromUid"),
        rescheduled_to_uid=_indexed(r, "rescheduledToUid"),
        recurring_uid=_indexed(r, "recurringBookingUid"),
        absent_host=_flag(r, "absentHost") or False,
        attendees=tuple([_attendee(a, n) for n, a in enumerate(_list(r, "attendees"))]),
        hosts=tuple([_host(h, n) for n, h in enumerate(_list(r, "hosts"))]),
        raw=raw,
        payload_hash=payload_hash(raw),
    )


def _attendee(value: Any, position: int) -> Attendee:
    try:
        a = _object(value, "")
        return Attendee(
            _indexed(a, "email"),
            _text(a, "name"),
            _text(a, "timeZone"),
            _text(a, "language"),
            _flag(a, "absent"),
            _text(a, "phoneNumber"),
            _text(a, "seatUid"),
        )
    except _WrongFieldError as wrong:
        raise _WrongFieldError(f"attendees.{position}.{wrong}") from None


def _host(value: Any, position: int) -> Host:
    try:
        h = _object(value, "")
        # A booking without an organizer row says "unknown" in every value, the id included (fact sheet 6.4).
        host_id = h.get("id")
        known = None if host_id is None or host_id == "unknown" else _whole(host_id, "id")
        return Host(known, _text(h, "username"), _text(h, "name"), _indexed(h, "email"), _text(h, "timeZone"))
    except _WrongFieldError as wrong:
        raise _WrongFieldError(f"hosts.{position}.{wrong}") from None


# --- fields of one kind: the value, or a sentence about the field ------------------------------------------------


def _object(value: Any, name: str) -> Row:
    if not isinstance(value, dict):
        raise _WrongFieldError(f"{name}: is no object")
    return cast("Row", value)


def _list(row: Row, name: str) -> list[Any]:
    value = row.get(name)
    if not isinstance(value, list):
        raise _WrongFieldError(f"{name}: " + ("is no list" if name in row else "is missing"))
    return cast("list[Any]", value)


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    if value is not None and type(value) is not str:
        raise _WrongFieldError(f"{name}: is no text")
    return value


def _indexed(row: Row, name: str) -> str | None:
    value = _text(row, name)
    if value is not None and len(value) > _LONGEST_INDEXED:
        raise _WrongFieldError(f"{name}: is longer than {_LONGEST_INDEXED} characters")
    return value


def _required_text(row: Row, name: str) -> str:
    value = _indexed(row, name)
    if not value:
        raise _WrongFieldError(f"{name}: is empty or missing")
    return value


def _flag(row: Row, name: str) -> bool | None:
    value = row.get(name)
    if value is not None and type(value) is not bool:
        raise _WrongFieldError(f"{name}: is neither true nor false")
    return value


def _whole(value: Any, name: str) -> int:
    if type(value) is not int or not -_LARGEST_ID <= value <= _LARGEST_ID:
        raise _WrongFieldError(f"{name}: is no whole number of 64 bits")
    return value


def _optional_whole(row: Row, name: str) -> int | None:
    value = row.get(name)
    return None if value is None else _whole(value, name)


def _present(row: Row, name: str) -> None:
    if name not in row:
        raise _WrongFieldError(f"{name}: is missing")


def _instant(row: Row, name: str) -> datetime:
    value = row.get(name)
    if type(value) is not str:
        raise _WrongFieldError(f"{name}: " + ("is no time" if name in row else "is missing"))
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _WrongFieldError(f"{name}: is no time between the years 1 and 9999") from None


# --- what is left of a row that cannot be read -------------------------------------------------------------------


def _keys(row: Any) -> Keys:
    if not isinstance(row, dict):
        return Keys()
    r = cast("Row", row)

    def readable(read: Callable[[Row, str], Any], name: str) -> Any:
        try:
            return read(r, name)
        except _WrongFieldError:
            return None

    uid = readable(_required_text, "uid")
    return Keys(
        uid if uid is None or uid.isprintable() else None,
        readable(_instant, "updatedAt"),
        readable(_instant, "createdAt"),
        readable(_instant, "start"),
        readable(_instant, "end"),
    )


def _refuse_another_shape(bookings: list[Booking], unreadable: list[Unreadable], exchange: Exchange) -> None:
    reasons = {record.reason for record in unreadable}
    if not bookings and len(unreadable) >= _ROWS_OF_A_NEW_SHAPE and len(reasons) == 1:
        raise ContractBroken(
            f"{exchange.operation} answered {len(unreadable)} rows that all fail alike ({reasons.pop()}); nothing of "
            "it was stored",
            exchange=exchange,
            advice="Cal.com has changed the shape of bookings, or CALCOM_BOOKINGS_VERSION is wrong.",
        )


def _unknown_fields(shapes: Mapping[tuple[str, ...], int]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for names, rows in shapes.items():
        for name in names:
            if name not in _KNOWN:
                counts[name] += rows
    return dict(counts)
