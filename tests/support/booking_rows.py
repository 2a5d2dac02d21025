"""Booking rows as Cal.com shows them, written by hand after the recordings, and pages and months made of them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from calcom_pipeline.adapters.calcom.bookings.rows import booking_page
from calcom_pipeline.domain.bookings.listing import BookingPage
from calcom_pipeline.domain.errors import Exchange
from calcom_pipeline.sandbox.testing import RunningSandbox

EXCHANGE = Exchange("Testing")
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """An instant as Cal.com writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def attendee(name: str, **changes: Any) -> dict[str, Any]:
    address = f"{name.lower()}@example.org"
    plain = {"name": name, "email": address, "displayEmail": address, "timeZone": "Europe/Berlin", "language": "en"}
    return {**plain, "absent": False, **changes}


def host(user_id: int = 101, name: str = "alice") -> dict[str, Any]:
    address = f"{name}@example.com"
    shown = {"id": user_id, "name": name.title(), "email": address, "displayEmail": address, "username": name}
    return {**shown, "timeZone": "Europe/Berlin"}


def row(uid: str = "abc", *, start: datetime = NOW, minutes: int = 30, **changes: Any) -> dict[str, Any]:
    """A booking; `changes` are fields of the row."""
    plain = {
        "id": 1,
        "uid": uid,
        "title": "Repair between Alice and Carol",
        "description": "Carol's bike",
        "hosts": [host()],
        "status": "accepted",
        "cancellationReason": "",
        "cancelledByEmail": "",
        "rescheduledByEmail": None,
        "start": stamp(start),
        "end": stamp(start + timedelta(minutes=minutes)),
        "duration": minutes,
        "eventTypeId": 7,
        "eventType": {"id": 7, "slug": "repair"},
        "meetingUrl": "https://meet.example.com/alice",
        "location": "https://meet.example.com/alice",
        "absentHost": False,
        "createdAt": stamp(NOW),
        "updatedAt": stamp(NOW),
        "metadata": {"crm": "c-1"},
        "rating": None,
        "icsUid": f"{uid}@Cal.com",
        "attendees": [attendee("Carol")],
        "bookingFieldsResponses": {"email": "carol@example.org", "name": "Carol", "notes": "my number is 030 1234"},
    }
    return {**plain, **changes}


def answer(*rows: Any, total: int | None = None) -> bytes:
    """The body of a list."""
    pagination = {"totalItems": len(rows) if total is None else total, "hasNextPage": True}
    return orjson.dumps({"status": "success", "data": list(rows), "pagination": pagination})


def page(*rows: Mapping[str, Any], at: datetime = NOW, content: bytes | None = None) -> BookingPage:
    """A page that was asked for and answered at one instant."""
    return booking_page(content or answer(*rows), EXCHANGE, answered_at=at, sent_at=at)


def months_of_creation(sandbox: RunningSandbox) -> dict[str, int]:
    """How many bookings were made in each month, UTC."""
    found: dict[str, int] = {}
    for booking in sandbox.control.read_bookings():
        month = f"{datetime.fromtimestamp(booking['created'] / 1000, UTC):%Y-%m}"
        found[month] = found.get(month, 0) + 1
    return found
