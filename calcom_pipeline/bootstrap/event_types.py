"""Event types: their mirror, and which owners are read."""

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
    from calcom_pipeline.adapters.postgres.quarantine import PostgresRowQuarantine
    from calcom_pipeline.app.event_types.mirror import TeamChoice
    from calcom_pipeline.domain.event_types.absence import AbsenceRules


class EventTypeGroup:
    """What use cases about event types work with."""

    def __init__(self, settings: Settings, database: "Database") -> None:
        self._settings = settings
        self._database = database

    @cached_property
    def mirror(self) -> "PostgresEventTypeMirror":
        """The table `event_types`."""
        from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror

        return PostgresEventTypeMirror(self._database)

    @cached_property
    def row_quarantine(self) -> "PostgresRowQuarantine":
        """Rows of all lists that could not be read."""
        from calcom_pipeline.adapters.postgres.quarantine import PostgresRowQuarantine

        return PostgresRowQuarantine(self._database)

    @property
    def absence_rules(self) -> "AbsenceRules":
        """When an event type that is not listed any more counts as gone."""
        from calcom_pipeline.domain.event_types.absence import AbsenceRules

        s = self._settings
        return AbsenceRules(s.event_type_proofs, s.absence_looks, timedelta(minutes=s.absence_minutes))

    @property
    def teams(self) -> "TeamChoice":
        """Which teams are read."""
        from calcom_pipeline.app.event_types.mirror import TeamChoice

        return TeamChoice(self._settings.team_ids, self._settings.team_slug)
