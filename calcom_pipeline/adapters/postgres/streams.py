"""The mirrors of event types and slots, and what every stream shares. Bookings have a file of their own."""

from datetime import datetime
from typing import Any

from calcom_pipeline.adapters.postgres import statements as queries
from calcom_pipeline.adapters.postgres.database import Cursor, statement


def lock_stream(cursor: Cursor, stream: str) -> None:
    """Wait to be the only writer of a stream until this transaction ends."""
    cursor.execute(queries.LOCK_STREAM, {"stream": stream})


def read_watermark(cursor: Cursor, stream: str, partition: str) -> tuple[datetime, datetime] | None:
    """Position and start of the read that set it, both UTC."""
    cursor.execute(queries.READ_WATERMARK, {"stream": stream, "partition": partition})
    return cursor.fetchone()


def read_believed_watermark(
    cursor: Cursor, stream: str, partition: str, *, by: datetime
) -> tuple[datetime, datetime] | None:
    """The same; one that a wrong clock has set, ahead of now, counts as none. `by` is the caller's clock."""
    values = {"stream": stream, "partition": partition, "by": by}
    cursor.execute(statement(queries.READ_BELIEVED_WATERMARK), values)
    return cursor.fetchone()


def move_watermark(cursor: Cursor, stream: str, partition: str, position: datetime, read_started_at: datetime) -> None:
    """Move forward, at most to now; backward it goes only where it is ahead of now.

    `read_started_at` is the caller's clock when the read began, UTC.
    """
    values = {"stream": stream, "partition": partition, "position": position, "read_started_at": read_started_at}
    cursor.execute(statement(queries.MOVE_WATERMARK), values)


def set_watermark(cursor: Cursor, stream: str, partition: str, position: datetime, read_started_at: datetime) -> None:
    """Set anew, backward too, at most to now: for whoever has read everything."""
    values = {"stream": stream, "partition": partition, "position": position, "read_started_at": read_started_at}
    cursor.execute(statement(queries.SET_WATERMARK), values)


def counts(cursor: Cursor) -> tuple[Any, ...]:
    """The one row of a statement that counts."""
    row = cursor.fetchone()
    if row is None:
        raise AssertionError("a count has always one row")
    return row
