"""How often sensors look, and how much they take at once."""

from typing import Annotated

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_


class SensorSettings(SettingsGroup):
    """How often sensors look, and how much they take at once."""

    schedules: bool = Field(default=True, description="Schedules run as soon as they are loaded. false: once started.")
    sensors: bool = Field(default=True, description="The same for sensors.")
    invalidation_batch: int = Field(default=500, ge=1, le=10_000, description="Facts applied to the caches at once.")
    look_seconds: int = Field(
        default=5, ge=1, le=3600, description="How often sensors look at PostgreSQL; a look costs a few milliseconds."
    )
    look_seconds_per_account: float = Field(
        default=1.8,
        ge=0,
        le=60,
        description="No sensor of an account looks more often than so many seconds times the accounts of its code "
        "location: of a hundred, every three minutes; those of alerts and of event types half as often. 0: as if it "
        "were alone.",
    )
    scheduled_runs_per_hour: int = Field(
        default=240,
        ge=1,
        le=100_000,
        description="Runs that the schedules of a code location start at most, of a second of CPU or more; an account "
        "has 41. Where there are many, each schedule comes less often, as its cron line says; nightly ones do not.",
    )
    booking_look_seconds: Annotated[int | None, Optional_] = Field(
        default=None,
        ge=1,
        le=86_400,
        description="How often a sensor asks for changed bookings, one call each. Unset: 10 on the sandbox, else 30.",
    )
    event_type_look_seconds: Annotated[int | None, Optional_] = Field(
        default=None,
        ge=5,
        le=86_400,
        description="How often a sensor lists event types, a call per owner. Unset: 60 on the sandbox, else 120.",
    )
    booking_longest_look_seconds: int = Field(
        default=300,
        ge=1,
        le=86_400,
        description="... and how often at least, while deliveries of webhooks are proven to arrive.",
    )
