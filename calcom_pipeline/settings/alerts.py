"""Who is told of runs and checks that failed and of what stands still, and how."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_, address_of, comma_list


def _web_address(value: SecretStr | None) -> SecretStr | None:
    """Not quoted: such an address is a secret as a whole."""
    if value is not None and not re.match(r"https?://[^\s/]+(/\S*)?$", value.get_secret_value()):
        raise ValueError("is no http:// or https:// address")
    return value


class AlertSettings(SettingsGroup):
    """Who is told of runs and checks that failed, and how."""

    ui_url: Annotated[str | None, Optional_] = Field(
        default=None,
        pattern=r"^https?://[^\s/@]+(/\S*)?$",
        description="Address of the Dagster UI in messages. Unset: this machine's, on CALCOM_UI_PORT.",
    )
    alert_webhook: Annotated[SecretStr | None, AfterValidator(_web_address), Optional_] = Field(
        default=None,
        description="Incoming webhook (Slack, Mattermost and others) that is told of runs and checks that fail.",
    )
    alert_smtp_url: Annotated[SecretStr | None, address_of("a mail server", "smtp|smtps"), Optional_] = Field(
        default=None, description="Mail server for the same, smtp://user:password@host:587 or smtps://."
    )
    alert_mail_to: Annotated[tuple[str, ...], BeforeValidator(comma_list)] = Field(
        default=(), description="Who gets these mails, comma separated."
    )
    alert_mail_from: Annotated[str | None, Optional_] = Field(
        default=None, description="Their sender. Unset: the first of those who get them."
    )
    alert_repeat_hours: float = Field(
        default=6.0, gt=0, le=720, description="A cause that lasts is told again after so long, not at every failure."
    )
    alert_after_seconds: float = Field(
        default=120.0,
        ge=0,
        le=86_400,
        description="What stands still (an open circuit) or a failed check is told after so long: most of it passes.",
    )
    alert_run_hours: float = Field(
        default=3.0,
        gt=0,
        le=720,
        description="A run that began so long ago and has not ended is told; most take seconds.",
    )
    alert_seconds: float = Field(
        default=5.0, gt=0, le=20, description="Longest wait for each answer on the way; a sensor has 60 s in all."
    )
