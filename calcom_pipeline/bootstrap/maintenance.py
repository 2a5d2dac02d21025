"""Upkeep: our own records and how long they are kept."""

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.maintenance.records import PostgresSizes
    from calcom_pipeline.app.maintenance.retention import Lifetime
    from calcom_pipeline.domain.maintenance.standing_calls import StandingCalls


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

    @property
    def standing_calls(self) -> "StandingCalls":
        """What schedules, sensors and warming ask of Cal.com by themselves. Raises StoreError."""
        from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
        from calcom_pipeline.domain.maintenance.standing_calls import StandingRules, standing_calls

        s = self._settings
        rules = StandingRules(
            limit=s.rate_limit_per_minute * 60 / s.rate_window_seconds,
            share=s.rate_standing_share,
            warm_share=s.slot_warm_share,
            warm_minutes=s.slot_warm_minutes,
            booking_look=s.booking_look,
            event_type_look=s.event_type_look,
            scopes=s.webhook_scopes if s.webhook_url else 0,
        )
        return standing_calls(PostgresEventTypeMirror(self._database).size(), rules)

    @cached_property
    def sizes(self) -> "PostgresSizes":
        """What our own records take."""
        from calcom_pipeline.adapters.postgres.maintenance.records import PostgresSizes

        return PostgresSizes(self._database)
