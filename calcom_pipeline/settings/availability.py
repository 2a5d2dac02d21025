"""Slots: how many days, and how long a cached one lives."""

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup


class AvailabilitySettings(SettingsGroup):
    """Slots: how many days, and how long a cached one lives."""

    slot_horizon_days: int = Field(default=28, ge=1, le=366, description="Days of slots that are kept, from today.")
    slot_ttl_seconds: int = Field(default=300, ge=1, le=86_400, description="Life of a cached day with slots.")
    slot_empty_ttl_seconds: int = Field(default=60, ge=1, le=86_400, description="Life of a cached day without.")
