"""Slots: how many days, and how long a cached one lives."""

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup


class AvailabilitySettings(SettingsGroup):
    """Slots: how many days, and how long a cached one lives."""

    slot_horizon_days: int = Field(default=28, ge=1, le=366, description="Days of slots that are kept, from today.")
    slot_ttl_seconds: int = Field(default=300, ge=1, le=86_400, description="Life of a cached day with slots.")
    slot_empty_ttl_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        description="Life of a cached day without, until it was found so again: what is booked out may be freed soon.",
    )
    slot_cache_days: int = Field(
        default=366,
        ge=1,
        le=1000,
        description="Days ahead that may be cached; changes of bookings beyond clear nothing.",
    )
    slot_settle_seconds: float = Field(
        default=3.0,
        ge=0,
        le=60,
        description="How long answers are kept after a clearing: Cal.com repeats its own for 2 s, and one more.",
    )
    slot_revalidate_seconds: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        description="So long past its life a day is answered at once while it is refreshed.",
    )
    slot_stale_seconds: float = Field(
        default=3600.0,
        ge=0,
        le=86_400,
        description="So long past its life a day is answered, marked as stale, when Cal.com cannot be asked.",
    )
    slot_patience_seconds: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="Wait for Cal.com where an older answer is at hand; most take below 0.3 s.",
    )
    slot_wait_seconds: float = Field(
        default=10.0, gt=0, le=60, description="One slots call for a waiting visitor, its wait for a turn included."
    )
    slot_lock_seconds: float = Field(
        default=10.0,
        ge=1,
        le=60,
        description="Life of a fetch's lock unless renewed: a killed process delays no longer.",
    )
    slot_shadow_share: float = Field(
        default=0.001, ge=0, le=1, description="Part of cached answers that Cal.com is asked again: a call for each."
    )
    slot_wrong_rate: float = Field(
        default=0.001, ge=0, le=1, description="Part of starts that shadow reads may find wrong before a check warns."
    )
    slot_warm_days: int = Field(
        default=7, ge=1, le=31, description="Days kept warm, today included: what most ask for."
    )
    slot_warm_minutes: float = Field(
        default=5.0, ge=1, le=60, description="From one warming to the next: the life of a day with slots."
    )
    slot_warm_share: float = Field(
        default=0.25, ge=0, le=1, description="Part of the granted calls that warming may promise; the rest is others'."
    )

    @property
    def cached_slot_days(self) -> int:
        """How far ahead days of slots may be cached, and changes of bookings reach the cache."""
        return max(self.slot_cache_days, self.slot_horizon_days)
