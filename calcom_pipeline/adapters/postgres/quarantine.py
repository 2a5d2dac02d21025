"""Rows of lists that could not be read: kept as they came, settled when they are read at last or shown no more.

Bookings have records of their own kind in the same table (`bookings/quarantine.py`): some of theirs may not be kept.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from calcom_pipeline.adapters.postgres import statements as queries
from calcom_pipeline.adapters.postgres.database import Cursor, Database
from calcom_pipeline.domain.listed import UnreadableRow

_HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class OpenRecord:
    """An open record of any stream, without what is in it. `key` names its row, where that can be read; UTC."""

    stream: str
    key: str | None
    reason: str
    times_seen: int
    last_seen_at: datetime


def put_away(cursor: Cursor, rows: Sequence[UnreadableRow], *, seen_at: datetime | None) -> None:
    """Keep rows, in the caller's transaction. `seen_at` is when their list was asked for; None: about now."""
    for row in rows:
        name = hashlib.blake2b(row.raw, digest_size=_HASH_BYTES).hexdigest()
        values = {"stream": row.stream, "hash": name, "raw": row.raw, "reason": row.reason, "key": row.key or None}
        cursor.execute(queries.QUARANTINE, {**values, "seen_at": seen_at})


def settle(cursor: Cursor, stream: str, keys: Collection[str], *, read_at: datetime) -> None:
    """Records seen before `read_at` whose rows were read now are settled."""
    cursor.execute(queries.SETTLE_ROWS, {"stream": stream, "keys": list(keys), "read_at": read_at})


def settle_unseen(cursor: Cursor, streams: Collection[str], *, before: datetime) -> int:
    """Settle what complete lists, all read after `before`, did not show any more; how many."""
    cursor.execute(queries.SETTLE_UNSEEN, {"streams": list(streams), "before": before, "read_at": before})
    return cursor.rowcount


class PostgresRowQuarantine:
    """Open records of all streams."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_records(self) -> list[OpenRecord]:
        """All of them, oldest first."""
        with self._database.transaction("Reading the quarantine") as cursor:
            cursor.execute(queries.OPEN_ROWS)
            return [OpenRecord(*row) for row in cursor.fetchall()]

    def settle_unseen(self, streams: Collection[str], *, before: datetime) -> int:
        """Settle what complete lists, all read after `before`, did not show any more; how many."""
        with self._database.transaction("Settling records in quarantine") as cursor:
            return settle_unseen(cursor, streams, before=before)
