"""Bookings that could not be read: kept as they came, settled when read at last.

Nothing is deleted here. The daily upkeep does that, at the end of the life of what is settled or no longer shown.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from calcom_pipeline.adapters.postgres.bookings import statements as queries
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement, tried_again
from calcom_pipeline.domain.bookings.listing import BookingPage, Unreadable
from calcom_pipeline.domain.bookings.positions import CHANGES_STREAM

_HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One open record. `raw` is empty where the attendee policy keeps only the reason. Instants are UTC."""

    hash: str
    uid: str | None
    reason: str
    times_seen: int
    last_seen_at: datetime
    raw: bytes = field(repr=False)


def keep(cursor: Cursor, stream: str, records: Sequence[Unreadable], page: BookingPage) -> None:
    """Put records away, and settle those whose booking was read now. In the transaction of the page."""
    for record, original in zip(records, page.unreadable, strict=True):
        name = hashlib.blake2b(original.raw, digest_size=_HASH_BYTES).hexdigest()
        values = {"stream": stream, "hash": name, "raw": record.raw, "reason": record.reason, "uid": record.keys.uid}
        cursor.execute(statement(queries.QUARANTINE), {**values, "seen_at": page.sent_at})
    uids = [booking.uid for booking in page.bookings]
    cursor.execute(statement(queries.RESOLVE_QUARANTINE), {"stream": stream, "uids": uids, "read_at": page.sent_at})


class PostgresQuarantine:
    """The open records of the bookings' stream."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_records(self) -> list[QuarantinedRow]:
        """All of them, oldest first."""
        with self._database.transaction("Reading the quarantine", "read") as cursor:
            cursor.execute(queries.OPEN_QUARANTINE, {"stream": CHANGES_STREAM})
            return [QuarantinedRow(*row[:-1], raw=bytes(row[-1])) for row in cursor.fetchall()]

    @tried_again
    def resolve(self, name: str, *, at: datetime) -> None:
        """A record has been read after all."""
        with self._database.transaction("Settling a record in quarantine") as cursor:
            cursor.execute(queries.RESOLVE_RECORD, {"stream": CHANGES_STREAM, "hash": name, "at": at})
