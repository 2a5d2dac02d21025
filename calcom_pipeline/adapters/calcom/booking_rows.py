"""Rows of a booking list: wire model, domain value, and what happens to a row that cannot be read.

A row that is wrong in itself (no uid, a date that is none) does not fail its page: it is handed on as `Unreadable`.
An answer of another shape altogether (the legacy list is an object, fact sheet 1.3) is `ContractBroken`.
Which shape a row has depends on the booking now (fact sheet 6.4); one lenient model reads them all.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from calcom_pipeline.domain.errors import ContractBroken, Exchange
from calcom_pipeline.domain.models import Attendee, Booking, BookingStatus, Host
from calcom_pipeline.ports import Unreadable

_HASH_BYTES = 16
# An escaped NUL; `\\u0000` behind another backslash is six harmless characters that somebody typed.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _WireAttendee(_Row):
    name: str | None = None
    email: str | None = None
    timeZone: str | None = None
    language: str | None = None
    absent: bool | None = None
    phoneNumber: str | None = None
    seatUid: str | None = None


class _WireHost(_Row):
    id: int | str | None = None
    name: str | None = None
    email: str | None = None
    username: str | None = None
    timeZone: str | None = None


class _WireEventTypeRef(_Row):
    id: int
    slug: str | None = None


class _WireBooking(_Row):
    id: int
    uid: str = Field(min_length=1)
    title: str | None = None
    description: str | None = None
    status: BookingStatus
    start: datetime
    end: datetime
    createdAt: datetime | None = None
    updatedAt: datetime | None = None
    eventTypeId: int | None = None
    eventType: _WireEventTypeRef | None = None
    location: str | None = None
    cancellationReason: str | None = None
    rescheduledFromUid: str | None = None
    rescheduledToUid: str | None = None
    recurringBookingUid: str | None = None
    absentHost: bool = False
    attendees: list[_WireAttendee] = Field(default_factory=list[_WireAttendee])
    hosts: list[_WireHost] = Field(default_factory=list[_WireHost])


_ROW = TypeAdapter(_WireBooking)


def booking_rows(answer: Any, exchange: Exchange) -> tuple[list[Booking], list[Unreadable]]:
    """The rows of a listing, readable and not.

    Raises:
        ContractBroken: when the answer as a whole is not a paged list.
    """
    page = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    if not isinstance(page.get("data"), list) or "pagination" not in page:
        raise ContractBroken(
            f"{exchange.operation} answered no paged list; a wrong cal-api-version header gets the legacy shape",
            exchange=exchange,
            advice="Check CALCOM_BOOKINGS_VERSION and CALCOM_BASE_URL.",
        )
    bookings: list[Booking] = []
    unreadable: list[Unreadable] = []
    for row in page["data"]:
        try:
            found = booking(row)
        except ValidationError as error:
            unreadable.append(Unreadable(orjson.dumps(row), _reason(error)))
            continue
        if _NUL.search(found.raw):
            unreadable.append(Unreadable(found.raw, "holds a NUL character, which PostgreSQL cannot store"))
        else:
            bookings.append(found)
    return bookings, unreadable


def booking(row: Any) -> Booking:
    """One row. Raises pydantic's ValidationError when it cannot be read."""
    wire = _ROW.validate_python(row)
    raw = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    return Booking(
        uid=wire.uid,
        id=wire.id,
        status=wire.status,
        start=_utc(wire.start),
        end=_utc(wire.end),
        created_at=_utc(wire.createdAt) if wire.createdAt else None,
        updated_at=_utc(wire.updatedAt) if wire.updatedAt else None,
        title=wire.title or "",
        description=wire.description,
        event_type_id=wire.eventType.id if wire.eventType else wire.eventTypeId,
        event_type_slug=wire.eventType.slug if wire.eventType else None,
        location=wire.location,
        cancellation_reason=wire.cancellationReason or "",
        rescheduled_from_uid=wire.rescheduledFromUid,
        rescheduled_to_uid=wire.rescheduledToUid,
        recurring_uid=wire.recurringBookingUid,
        absent_host=wire.absentHost,
        attendees=tuple(map(_attendee, wire.attendees)),
        hosts=tuple(map(_host, wire.hosts)),
        raw=raw,
        payload_hash=hashlib.blake2b(raw, digest_size=_HASH_BYTES).digest(),
    )


def _attendee(wire: _WireAttendee) -> Attendee:
    return Attendee(wire.email, wire.name, wire.timeZone, wire.language, wire.absent, wire.phoneNumber, wire.seatUid)


def _host(wire: _WireHost) -> Host:
    # A booking without an organizer row says "unknown" in every value, the id included (fact sheet 6.4).
    host_id = wire.id if isinstance(wire.id, int) else None
    return Host(host_id, wire.username, wire.name, wire.email, wire.timeZone)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _reason(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'row'}: {first['msg']}"
