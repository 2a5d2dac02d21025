"""What the launchpad asks about services, each field with its meaning."""

from enum import Enum

import dagster as dg
from pydantic import Field

from calcom_pipeline.app.services.choices import SyncChoice

_SERVICES = "Ids of services: only these. Empty: all."


class Writing(Enum):
    """Whether Cal.com and the services are written."""

    as_configured = "as_configured"
    plan_only = "plan_only"


class Decided(Enum):
    """What a person decides about services before they are planned."""

    nothing = "nothing"
    retry = "retry"
    local = "local"
    remote = "remote"


class Side(Enum):
    """Whose values count."""

    local = "local"
    remote = "remote"


_WRITING = Field(
    default=Writing.as_configured,
    description="as_configured: write where CALCOM_APPLY allows it (on the sandbox always). plan_only: write nothing.",
)


class ServicePlanConfig(dg.Config):
    """Which services are planned."""

    services: list[str] = Field(default=[], description=_SERVICES)


class ServiceSyncConfig(dg.Config):
    """Which services are written, and what is decided about them first."""

    services: list[str] = Field(
        default=[],
        description="Ids of services: these are planned anew and written. Empty: the newest plan is applied.",
    )
    writing: Writing = _WRITING
    plan: str = Field(
        default="",
        description="Name of a plan that you have reviewed: applied with what it holds back, also where CALCOM_APPLY "
        "is plan. Leave the other fields alone then.",
    )
    decision: Decided = Field(
        default=Decided.nothing,
        description="About `services`, first: retry forgets their failures; local and remote settle a conflict with "
        "your values or with Cal.com's.",
    )

    @property
    def only_plans(self) -> bool:
        """Whether nothing is to be written."""
        return self.writing is Writing.plan_only

    @property
    def choice(self) -> SyncChoice:
        """The same for the use case."""
        decision = None if self.decision is Decided.nothing else self.decision.value
        return SyncChoice(tuple(self.services), decision, self.plan.strip())


class SyncSomeConfig(dg.Config):
    """Launchpad of `services_sync`."""

    services: list[str] = Field(default=[], description=_SERVICES)
    writing: Writing = _WRITING


class ApplyPlanConfig(dg.Config):
    """Launchpad of `apply_plan`."""

    plan: str = Field(
        description="Name of the plan that you have reviewed (metadata of service_plan). All of it is applied, what it "
        "holds back too."
    )


class RetryServiceConfig(dg.Config):
    """Launchpad of `retry_service`."""

    service: str = Field(description="Id of the service that failed or is parked. Mend the cause first.")
    writing: Writing = _WRITING


class ResolveConflictConfig(dg.Config):
    """Launchpad of `resolve_conflict`."""

    service: str = Field(description="Id of the service whose fields were changed on both sides.")
    take: Side = Field(description="local: your values go to Cal.com. remote: Cal.com's values come here.")
