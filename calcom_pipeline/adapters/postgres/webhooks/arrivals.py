"""The tables `webhook_findings` and `webhook_sweep`, and what the inbox says about a booking."""

from datetime import datetime

from calcom_pipeline.adapters.postgres.database import Database, tried_again
from calcom_pipeline.adapters.postgres.webhooks import subscription_statements as queries
from calcom_pipeline.domain.webhooks.arrivals import Arrivals, Change


class PostgresFindings:
    """Changes that a delivery has to name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_again
    def note(self, *, since: datetime, now: datetime) -> int:
        """Note the changes of that time that have to fire a trigger where we are subscribed; how many are new."""
        with self._database.transaction("Noting changes of bookings") as cursor:
            return cursor.execute(queries.NOTE_FINDINGS, {"since": since, "now": now}).rowcount

    def unnamed(self, *, since: datetime, before: datetime, limit: int) -> list[Change]:
        """Changes of that time that no delivery is known to name, newest first."""
        with self._database.transaction("Reading changes without a delivery", "read") as cursor:
            cursor.execute(queries.UNNAMED_FINDINGS, {"since": since, "before": before, "limit": limit})
            return [Change(*row) for row in cursor.fetchall()]

    @tried_again
    def named(self, change: Change, at: datetime) -> None:
        """A delivery that arrived then names it."""
        with self._database.transaction("Noting a delivery") as cursor:
            cursor.execute(queries.NAME_FINDING, {"uid": change.uid, "kind": change.kind, "at": at})

    def arrivals(self, *, since: datetime, before: datetime) -> Arrivals:
        """How many changes of that time were named."""
        with self._database.transaction("Counting deliveries", "read") as cursor:
            row = cursor.execute(queries.ARRIVALS, {"since": since, "before": before}).fetchone()
        return Arrivals(*row) if row else Arrivals()


class PostgresSweep:
    """When polling last looked for changed bookings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def looked_at(self) -> datetime | None:
        """UTC; None before the first look."""
        with self._database.transaction("Reading the last look", "read") as cursor:
            row = cursor.execute(queries.LOOKED_AT).fetchone()
        return row[0] if row else None

    @tried_again
    def looked(self, at: datetime) -> None:
        """It looks now."""
        with self._database.transaction("Noting a look") as cursor:
            cursor.execute(queries.LOOKED, {"at": at})


class PostgresDeliveries:
    """What the inbox holds of a booking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seen(self, uid: str, since: datetime) -> datetime | None:
        """When the first delivery since then arrived that names this booking, as the one before a move, too."""
        with self._database.transaction("Looking for a delivery", "read") as cursor:
            row = cursor.execute(queries.SEEN, {"uid": uid, "since": since}).fetchone()
        return row[0] if row else None
