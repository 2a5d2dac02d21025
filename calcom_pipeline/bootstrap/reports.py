"""What people ask about everything."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.reports.figures import PostgresFigures
    from calcom_pipeline.adapters.postgres.reports.overview import PostgresOverview


class ReportGroup:
    """What `status`, the UI and reports are made of."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    @cached_property
    def overview(self) -> "PostgresOverview":
        """Counts, watermarks, problems."""
        from calcom_pipeline.adapters.postgres.reports.overview import PostgresOverview

        return PostgresOverview(self._database)

    @cached_property
    def figures(self) -> "PostgresFigures":
        """Counts and times for pictures and checks."""
        from calcom_pipeline.adapters.postgres.reports.figures import PostgresFigures

        return PostgresFigures(self._database)
