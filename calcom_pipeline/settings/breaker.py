"""When an endpoint group's circuit opens and closes."""

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup


class BreakerSettings(SettingsGroup):
    """When an endpoint group's circuit opens and closes."""

    breaker_failures: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Failures in a row (no answer, 5xx) that open an endpoint group's circuit.",
    )
    breaker_open_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="How long nothing is sent then, before one request at a time may try."
    )
    breaker_successes: int = Field(default=2, ge=1, le=100, description="Tries in a row that close it again.")
