"""The table `alerts`: the causes for which an alert was sent."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from calcom_pipeline.adapters.postgres.database import Database, tried_again
from calcom_pipeline.adapters.postgres.streams import counts

_KNOW = """
INSERT INTO alerts (cause, seen_at, failures) VALUES (%(cause)s, %(now)s, 0) ON CONFLICT (cause) DO NOTHING"""
# Of two that claim a cause at once the second waits here until the first has noted it.
_FAILURES = """
SELECT failures, sent_at IS NULL OR sent_at <= %(sent_before)s FROM alerts WHERE cause = %(cause)s FOR UPDATE"""
_CLAIM = "UPDATE alerts SET sent_at = %(now)s, seen_at = %(now)s, failures = 0 WHERE cause = %(cause)s"
_COUNT = "UPDATE alerts SET failures = failures + 1, seen_at = %(now)s WHERE cause = %(cause)s"
# The failure whose alert was not sent counts.
_RELEASE = "UPDATE alerts SET sent_at = NULL, failures = failures + 1 WHERE cause = %(cause)s"

_FORGET = "DELETE FROM alerts WHERE cause = ANY(%(causes)s)"


class PostgresAlertLog:
    """A row per cause."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_again
    def claim(self, cause: str, *, now: datetime, repeat: timedelta) -> int | None:
        """Claim the alert of a cause; how many failures passed without one. None if one was sent lately."""
        values = {"cause": cause, "now": now, "sent_before": now - repeat}
        with self._database.transaction("Noting a message") as cursor:
            cursor.execute(_KNOW, values)
            failures, is_due = counts(cursor.execute(_FAILURES, values))
            cursor.execute(_CLAIM if is_due else _COUNT, values)
            return int(failures) if is_due else None

    @tried_again
    def release(self, cause: str) -> None:
        """The alert was not sent after all."""
        with self._database.transaction("Taking a message back") as cursor:
            cursor.execute(_RELEASE, {"cause": cause})

    @tried_again
    def forget(self, causes: Sequence[str]) -> None:
        """They are over."""
        with self._database.transaction("Forgetting a message") as cursor:
            cursor.execute(_FORGET, {"causes": list(causes)})
