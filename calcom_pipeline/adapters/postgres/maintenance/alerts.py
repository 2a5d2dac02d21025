"""The table `alerts`: which causes people were told of."""

from datetime import datetime, timedelta

from calcom_pipeline.adapters.postgres.database import Database, tried_again
from calcom_pipeline.adapters.postgres.streams import counts

_KNOW = """
INSERT INTO alerts (cause, seen_at, failures) VALUES (%(cause)s, %(now)s, 0) ON CONFLICT (cause) DO NOTHING"""
# Of two who tell of a cause at once the second waits here until the first has noted it.
_FAILURES = """
SELECT failures, sent_at IS NULL OR sent_at <= %(told_before)s FROM alerts WHERE cause = %(cause)s FOR UPDATE"""
_TELL = "UPDATE alerts SET sent_at = %(now)s, seen_at = %(now)s, failures = 0 WHERE cause = %(cause)s"
_COUNT = "UPDATE alerts SET failures = failures + 1, seen_at = %(now)s WHERE cause = %(cause)s"
# The failure that was not told counts.
_RELEASE = "UPDATE alerts SET sent_at = NULL, failures = failures + 1 WHERE cause = %(cause)s"


class PostgresAlertLog:
    """A row per cause."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_again
    def claim(self, cause: str, *, now: datetime, repeat: timedelta) -> int | None:
        """Take it on to tell of a cause; how many failures went untold since. None if it was told lately."""
        values = {"cause": cause, "now": now, "told_before": now - repeat}
        with self._database.transaction("Noting a message") as cursor:
            cursor.execute(_KNOW, values)
            failures, is_due = counts(cursor.execute(_FAILURES, values))
            cursor.execute(_TELL if is_due else _COUNT, values)
            return int(failures) if is_due else None

    @tried_again
    def release(self, cause: str) -> None:
        """It was not told after all."""
        with self._database.transaction("Taking a message back") as cursor:
            cursor.execute(_RELEASE, {"cause": cause})
