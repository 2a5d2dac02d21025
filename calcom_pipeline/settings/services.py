"""Services and plans: owners of fields, brakes, retries."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import fields_only, pairs


class ServiceSettings(SettingsGroup):
    """Services and plans: owners of fields, brakes, retries."""

    field_owners: Annotated[
        dict[str, Literal["local", "remote"]], BeforeValidator(pairs), AfterValidator(fields_only)
    ] = Field(
        default_factory=dict[str, Literal["local", "remote"]],
        description="Who decides when both sides changed a field: title=local,description=remote. Unnamed: a person.",
    )
    import_policy: Literal["leave", "propose"] = Field(
        default="leave", description="Event types without a service. propose: a plan offers to make them services."
    )
    brake_percent: float = Field(
        default=10.0,
        ge=0,
        le=100,
        description="Percent of linked services that one braked kind of action may touch unasked.",
    )
    brake_minimum: int = Field(
        default=3, ge=0, le=10_000, description="As many pass in any case: 10% of a few would be none."
    )
    plan_lifetime_minutes: float = Field(
        default=60.0, gt=0, le=10_080, description="A plan older than that is not applied: the world has moved on."
    )
    team_scheduling: Literal["roundRobin", "collective"] = Field(
        default="roundRobin",
        description="Who takes the bookings of an event type that is made for a team: one of its members, or all.",
    )
    apply_workers: int = Field(default=10, ge=1, le=100, description="Services written at once.")
    apply_batch: int = Field(
        default=10, ge=1, le=250, description="Services between two fresh listings; small keeps the gap narrow."
    )
    service_follow_seconds: float = Field(
        default=1.0,
        ge=0,
        le=3600,
        description="How often `serve` looks for edits of services and writes them to Cal.com, where that is allowed "
        "unasked. 0: never, Dagster alone does, some seconds later.",
    )
    service_follow_most: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Edits of more services at once are left to Dagster, which shows how far it is.",
    )
    attempts_before_parking: int = Field(default=5, ge=1, le=100, description="Failures until a service is parked.")
    first_retry_seconds: float = Field(
        default=60.0, ge=0, le=86_400, description="Distance to the second attempt; it grows fourfold."
    )
    longest_retry_seconds: float = Field(default=21_600.0, ge=0, le=604_800, description="It grows up to this.")
