"""Lifetimes of our own records and of Dagster's."""

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup


class RetentionSettings(SettingsGroup):
    """Lifetimes of our own records and of Dagster's."""

    call_retention_days: int = Field(
        default=30, ge=1, le=36_600, description="Rows of api_calls; enough to look into a month's use of the limit."
    )
    feed_retention_days: int = Field(
        default=30, ge=1, le=36_600, description="Changes of services that every sensor of the feed has dealt with."
    )
    plan_retention_days: int = Field(
        default=30,
        ge=1,
        le=36_600,
        description="Plans that are closed. The newest stays, and the last that wrote something for a linked service.",
    )
    fact_retention_days: int = Field(
        default=30, ge=1, le=36_600, description="Facts of changes that the caches have heard of; others stay."
    )
    quarantine_retention_days: int = Field(
        default=30,
        ge=1,
        le=36_600,
        description="Unreadable records that were read at last, or that full reads since do not show any more.",
    )
    outcome_retention_days: int = Field(
        default=30, ge=1, le=36_600, description="Creates in doubt of which it is known how they ended; others stay."
    )
    dagster_retention_days: int = Field(
        default=30,
        ge=1,
        le=36_600,
        description="Dagster's runs that have ended, with events, ticks and logs. The last of each asset and partition "
        "stays.",
    )
    retention_batch: int = Field(
        default=2000, ge=1, le=100_000, description="Records deleted in one transaction; small keeps locks short."
    )
    webhook_retention_days: int = Field(
        default=30, ge=1, le=36_600, description="Deliveries of webhooks that are dealt with or put away."
    )

    finding_retention_days: int = Field(
        default=30, ge=1, le=36_600, description="Changes that deliveries of webhooks are measured against."
    )
    cache_age_retention_days: int = Field(
        default=30,
        ge=1,
        le=36_600,
        description="How old the cache was found, a row an hour; two days are drawn.",
    )
