"""What people and checks ask about bookings: how many, by what, and what cannot be right."""

from dataclasses import dataclass
from datetime import date, datetime

from calcom_pipeline.adapters.postgres.bookings import statements as queries
from calcom_pipeline.adapters.postgres.database import Database


@dataclass(frozen=True, slots=True)
class Overlap:
    """An accepted booking that begins while its host is still in another one. UTC."""

    uid: str
    user_id: int
    starts_at: datetime
    busy_until: datetime


@dataclass(frozen=True, slots=True)
class MonthCount:
    """Bookings by month of their start and status; private ones count too."""

    month: date
    status: str
    bookings: int


class PostgresBookingOverview:
    """Reads over bookings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def overlaps(self, *, since: datetime, limit: int) -> list[Overlap]:
        """Double bookings that end after `since`, without those that may overlap: seats and collective types."""
        with self._database.transaction("Looking for double bookings", "whole") as cursor:
            cursor.execute(queries.OVERLAPS, {"since": since, "limit": limit})
            return [Overlap(*row) for row in cursor.fetchall()]

    def by_month(self) -> list[MonthCount]:
        """How many start in each month, by status."""
        with self._database.transaction("Counting bookings by month", "read") as cursor:
            cursor.execute(queries.BY_MONTH)
            return [MonthCount(*row) for row in cursor.fetchall()]
