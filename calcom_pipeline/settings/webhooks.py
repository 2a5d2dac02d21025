"""Webhooks: subscriptions at Cal.com, the receiver, the inbox, the spool."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_, comma_list


class WebhookSettings(SettingsGroup):
    """Webhooks: subscriptions at Cal.com, the receiver, the inbox, the spool."""

    webhook_previous_secret: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="The secret before it, taken as well while it is rotated."
    )
    webhook_window_seconds: float = Field(
        default=900.0,
        ge=10,
        le=86_400,
        description="A delivery whose createdAt is further from now was recorded and sent again, and is refused.",
    )
    webhook_body_kilobytes: int = Field(
        default=512, ge=16, le=16_384, description="Longest body of a delivery; Cal.com's have 2 to 50."
    )
    webhook_body_seconds: float = Field(
        default=5.0, gt=0, le=60, description="How long a body may take to arrive: Cal.com sends it at once."
    )
    webhook_store_seconds: int = Field(
        default=2,
        ge=1,
        le=15,
        description="How long PostgreSQL is waited for before a delivery goes to the spool: a booking waits for it.",
    )
    webhook_pause_seconds: float = Field(
        default=2.0, gt=0, le=600, description="After a failure deliveries go straight to the spool for so long."
    )
    webhook_spool_folder: Annotated[Path | None, Optional_] = Field(
        default=None, description="Folder for deliveries while PostgreSQL is away. Unset: in the data folder."
    )
    webhook_spool_megabytes: int = Field(
        default=64, ge=1, le=100_000, description="Most that the spool may take; 64 hold about 15,000 deliveries."
    )
    webhook_batch: int = Field(default=20, ge=1, le=1000, description="Deliveries that a drain claims at once.")
    webhook_lease_seconds: float = Field(
        default=120.0, ge=5, le=3600, description="What a drain that was killed had claimed is dealt with after that."
    )
    webhook_attempts: int = Field(
        default=8, ge=1, le=100, description="Failures until a delivery is put away; the last wait has 5 minutes."
    )
    webhook_patience_seconds: float = Field(
        default=120.0,
        ge=0,
        le=3600,
        description="How long a booking is looked at again that was told to be cancelled and is still shown as before.",
    )
    webhook_url: Annotated[str | None, Optional_] = Field(
        default=None,
        pattern=r"^https?://[^\s/@]+(/\S*)?$",
        description="Public address of the receiver, which Cal.com is to call. Unset: no subscriptions are kept.",
    )
    webhook_triggers: Annotated[tuple[str, ...], BeforeValidator(comma_list)] = Field(
        default=(), description="What is subscribed to, comma separated. Unset: every trigger that changes a booking."
    )
    webhook_apply: Annotated[Literal["plan", "auto"] | None, Optional_] = Field(
        default=None,
        description="auto: subscriptions of CALCOM_WEBHOOK_URL are kept right at Cal.com. plan: only told. Unset: as "
        "CALCOM_APPLY.",
    )
    webhook_scopes: int = Field(
        default=30,
        ge=1,
        le=10_000,
        description="Subscriptions looked at in one run, a call each; it runs 4 times an hour.",
    )
    webhook_test_seconds: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for the receiver's answer to a test delivery."
    )
    webhook_arrival_seconds: float = Field(
        default=120.0, ge=1, le=86_400, description="A change that no delivery has named after so long counts as lost."
    )
    webhook_proof_hours: float = Field(
        default=24.0, gt=0, le=720, description="Lost deliveries are counted over the changes of so many hours."
    )
    webhook_lost_percent: float = Field(
        default=5.0, ge=0, le=100, description="Share of lost deliveries that is borne; polling finds their changes."
    )
