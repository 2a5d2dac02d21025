"""Services: the table, its feed, plans, and the rules that these are made and applied by."""

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks
    from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
    from calcom_pipeline.adapters.postgres.services.store import PostgresServiceFeed, PostgresServiceStore
    from calcom_pipeline.app.services.actions import ApplyRules
    from calcom_pipeline.app.services.planning import PlanRules


class ServiceGroup:
    """What use cases about services work with."""

    def __init__(self, settings: Settings, database: "Database", *, is_sandbox: bool) -> None:
        self._settings = settings
        self._database = database
        self._is_sandbox = is_sandbox

    @property
    def apply_mode(self) -> Literal["plan", "auto"]:
        """Whether changes may be written to Cal.com: on the sandbox always, elsewhere only by a setting."""
        return self._settings.apply or ("auto" if self._is_sandbox else "plan")

    @cached_property
    def store(self) -> "PostgresServiceStore":
        """Services and their links."""
        from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore

        return PostgresServiceStore(self._database)

    @cached_property
    def feed(self) -> "PostgresServiceFeed":
        """Changes of services."""
        from calcom_pipeline.adapters.postgres.services.store import PostgresServiceFeed

        return PostgresServiceFeed(self._database)

    @cached_property
    def key_locks(self) -> "PostgresKeyLocks":
        """What one process at a time does about services, by name; nobody is waited for."""
        from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks

        return PostgresKeyLocks(self._database, wait_seconds=0.0)

    @cached_property
    def plans(self) -> "PostgresPlanStore":
        """Plans and what came of them."""
        from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore

        return PostgresPlanStore(self._database)

    @property
    def plan_rules(self) -> "PlanRules":
        """What the operator decides about plans."""
        from calcom_pipeline.app.services.planning import PlanRules
        from calcom_pipeline.domain.services.plans import Brakes

        s = self._settings
        return PlanRules(
            brakes=Brakes(s.brake_percent, s.brake_minimum),
            lifetime=timedelta(minutes=s.plan_lifetime_minutes),
            field_owners=s.field_owners,
            propose_imports=s.import_policy == "propose",
            create_grace=timedelta(seconds=s.create_grace_seconds),
        )

    @property
    def apply_rules(self) -> "ApplyRules":
        """How plans are applied."""
        from calcom_pipeline.app.services.actions import ApplyRules

        s = self._settings
        return ApplyRules(
            workers=s.apply_workers,
            batch=s.apply_batch,
            attempts_before_parking=s.attempts_before_parking,
            first_retry=timedelta(seconds=s.first_retry_seconds),
            longest_retry=timedelta(seconds=s.longest_retry_seconds),
            team_scheduling=s.team_scheduling,
        )
