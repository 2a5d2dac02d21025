"""Upkeep: our own records and how long they are kept."""

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.maintenance.records import PostgresSizes
    from calcom_pipeline.app.maintenance.retention import Lifetime


class MaintenanceGroup:
    """What use cases about upkeep work with."""

    def __init__(self, settings: Settings, database: "Database") -> None:
        self._settings = settings
        self._database = database

    @property
    def lifetimes(self) -> "list[Lifetime]":
        """Our own records and how long they are kept; Dagster's are added by who knows Dagster."""
        from calcom_pipeline.adapters.postgres.maintenance.records import own_records
        from calcom_pipeline.app.maintenance.retention import Lifetime

        return [
            Lifetime(records, timedelta(days=getattr(self._settings, f"{name}_retention_days")))
            for name, records in own_records(self._database).items()
        ]

    @cached_property
    def sizes(self) -> "PostgresSizes":
        """What our own records take."""
        from calcom_pipeline.adapters.postgres.maintenance.records import PostgresSizes

        return PostgresSizes(self._database)
