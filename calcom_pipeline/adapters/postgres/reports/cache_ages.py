"""The table `cache_ages`: how old the cached days were found, by hour, and a sample of what can be looked at."""

from datetime import date, datetime

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.reports import statements as queries
from calcom_pipeline.app.reports.models import CacheAges
from calcom_pipeline.domain.availability.models import SlotKey


class PostgresCacheAges:
    """A row an hour; its lifetime is kept with that of other records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def some_slot_keys(self, *, today: date, limit: int) -> list[SlotKey]:
        """At most so many of the coming days' keys, at random."""
        with self._database.transaction("Reading some slots", "read") as cursor:
            cursor.execute(queries.SOME_SLOT_KEYS, {"today": today, "limit": limit})
            return [SlotKey(*row) for row in cursor.fetchall()]

    def keep(self, ages: CacheAges, *, now: datetime) -> None:
        """Note a look; of an hour the worst stands."""
        values = {"now": now, "median": ages.median_seconds, "oldest": ages.oldest_seconds, "fresh": ages.fresh_share}
        with self._database.transaction("Noting how old the cache is") as cursor:
            cursor.execute(queries.KEEP_CACHE_AGE, values)
