"""The table `open_outcomes`."""

from datetime import datetime

from calcom_pipeline.adapters.postgres.database import Database, tried_again
from calcom_pipeline.domain.bookings.in_doubt import OpenOutcome

# A caller's key may end in doubt again, also after it was closed: the newest doubt counts.
_OPEN = """
INSERT INTO open_outcomes (key, event_type_id, starts_at, opened_at)
VALUES (%(key)s, %(event_type_id)s, %(start)s, %(opened_at)s)
ON CONFLICT (key) DO UPDATE SET event_type_id = excluded.event_type_id, starts_at = excluded.starts_at,
    opened_at = excluded.opened_at, looks = 0, looked_at = NULL, closed_at = NULL, booking_uid = NULL"""
_OPENED_AT = "SELECT opened_at FROM open_outcomes WHERE key = %(key)s AND closed_at IS NULL"
_STILL_OPEN = """
SELECT key, event_type_id, starts_at, opened_at, looks FROM open_outcomes WHERE closed_at IS NULL ORDER BY opened_at"""
_CLOSE = """
UPDATE open_outcomes SET closed_at = %(at)s, looked_at = %(at)s, looks = looks + 1, booking_uid = %(booking_uid)s
WHERE key = %(key)s AND closed_at IS NULL"""
_LOOKED = "UPDATE open_outcomes SET looked_at = %(at)s, looks = looks + 1 WHERE key = %(key)s AND closed_at IS NULL"
_FORGET = "DELETE FROM open_outcomes WHERE key = %(key)s AND closed_at IS NULL"


class PostgresOutcomeStore:
    """Creates that ended in doubt, until somebody knows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_again
    def open(self, outcome: OpenOutcome) -> None:
        """Write a doubt down; of several under one key the newest counts."""
        values = {
            "key": outcome.key,
            "event_type_id": outcome.event_type_id,
            "start": outcome.start,
            "opened_at": outcome.opened_at,
        }
        with self._database.transaction("Storing an open outcome") as cursor:
            cursor.execute(_OPEN, values)

    def opened_at(self, key: str) -> datetime | None:
        """When the doubt about this key was written down, if nobody has cleared it yet."""
        with self._database.transaction("Reading an open outcome", "read") as cursor:
            found = cursor.execute(_OPENED_AT, {"key": key}).fetchone()
            return found[0] if found else None

    def still_open(self) -> list[OpenOutcome]:
        """All that nobody knows yet, oldest first."""
        with self._database.transaction("Reading open outcomes", "read") as cursor:
            cursor.execute(_STILL_OPEN)
            return [OpenOutcome(*row) for row in cursor.fetchall()]

    @tried_again
    def close(self, key: str, *, at: datetime, booking_uid: str | None) -> None:
        """It was made as `booking_uid`, or (None) never."""
        with self._database.transaction("Closing an open outcome") as cursor:
            cursor.execute(_CLOSE, {"key": key, "at": at, "booking_uid": booking_uid})

    @tried_again
    def looked(self, key: str, *, at: datetime) -> None:
        """Nothing was found so far."""
        with self._database.transaction("Storing a look") as cursor:
            cursor.execute(_LOOKED, {"key": key, "at": at})

    @tried_again
    def forget(self, key: str) -> None:
        """There is no doubt: whoever wrote it down knows how it ended."""
        with self._database.transaction("Forgetting an open outcome") as cursor:
            cursor.execute(_FORGET, {"key": key})
