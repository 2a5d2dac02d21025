"""The mirror of bookings: one COPY and one upsert per page, the watermark in the same transaction."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from calcom_pipeline.adapters.postgres import queries
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement
from calcom_pipeline.adapters.postgres.mirrors import lock_stream, move_watermark, read_watermark
from calcom_pipeline.domain.models import Booking
from calcom_pipeline.ports import BookingPage, Changes, Unreadable

_HASH_BYTES = 16


class PostgresBookingMirror:
    """The tables `bookings`, `booking_attendees`, `booking_hosts`, `quarantine` and the stream's watermark."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def watermark(self, partition: str, *, stream: str = "bookings") -> datetime | None:
        """The committed position of an incremental read (UTC), or None before the first."""
        with self._database.transaction("Reading the watermark") as cursor:
            found = read_watermark(cursor, stream, partition)
        return found[0] if found else None

    def store(
        self, page: BookingPage, *, partition: str, watermark: datetime | None, stream: str = "bookings"
    ) -> Changes:
        """Write a page and move the watermark, both or neither. An unchanged booking touches no row."""
        with self._database.transaction("Storing bookings") as cursor:
            lock_stream(cursor, stream)
            changes = _upsert(cursor, page.bookings, page.sent_at) if page.bookings else Changes()
            _quarantine(cursor, page.unreadable, stream)
            if watermark is not None:
                move_watermark(cursor, stream, partition, watermark, page.sent_at)
        return changes


def _upsert(cursor: Cursor, bookings: Iterable[Booking], read_started_at: datetime) -> Changes:
    unique = {booking.uid: booking for booking in bookings}
    cursor.execute(queries.STAGE_BOOKINGS)
    with cursor.copy(statement(queries.COPY_BOOKINGS)) as copy:
        for booking in unique.values():
            copy.write_row(_row(booking, read_started_at))
    cursor.execute(queries.UPSERT_BOOKINGS)
    written: dict[str, bool] = dict(cursor.fetchall())
    if written:
        _write_people(cursor, [unique[uid] for uid in written])
    added = sum(written.values())
    return Changes(added=added, changed=len(written) - added, unchanged=len(unique) - len(written))


def _write_people(cursor: Cursor, bookings: list[Booking]) -> None:
    with cursor.copy(queries.COPY_ATTENDEES) as copy:
        for booking in bookings:
            for position, a in enumerate(booking.attendees):
                person = (a.email, a.name, a.time_zone, a.language, a.absent, a.phone_number, a.seat_uid)
                copy.write_row((booking.uid, position, *person))
    with cursor.copy(queries.COPY_HOSTS) as copy:
        for booking in bookings:
            for position, h in enumerate(booking.hosts):
                copy.write_row((booking.uid, position, h.id, h.username, h.name, h.email, h.time_zone))


def _row(b: Booking, read_started_at: datetime) -> tuple[Any, ...]:
    return (
        b.uid,
        b.id,
        b.status,
        b.title,
        b.description,
        b.start,
        b.end,
        b.event_type_id,
        b.event_type_slug,
        b.location,
        b.cancellation_reason,
        b.rescheduled_from_uid,
        b.rescheduled_to_uid,
        b.recurring_uid,
        b.absent_host,
        b.created_at,
        b.updated_at,
        b.raw.decode(),
        b.payload_hash,
        read_started_at,
    )


def _quarantine(cursor: Cursor, records: Iterable[Unreadable], stream: str) -> None:
    for record in records:
        name = hashlib.blake2b(record.raw, digest_size=_HASH_BYTES).hexdigest()
        values = {"stream": stream, "hash": name, "raw": record.raw, "reason": record.reason}
        cursor.execute(queries.QUARANTINE, values)
