"""The one model over all groups, and what follows from settings of more than one."""

from typing import Self, get_args

from pydantic import SecretStr, model_validator

from calcom_pipeline.domain.redaction import know_secrets, secrets_of_url
from calcom_pipeline.settings.account import AccountSettings
from calcom_pipeline.settings.alerts import AlertSettings
from calcom_pipeline.settings.availability import AvailabilitySettings
from calcom_pipeline.settings.bookings import BookingSettings
from calcom_pipeline.settings.breaker import BreakerSettings
from calcom_pipeline.settings.client import ClientSettings
from calcom_pipeline.settings.event_types import EventTypeSettings
from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.http import HttpSettings
from calcom_pipeline.settings.limiter import LimiterSettings
from calcom_pipeline.settings.privacy import PrivacySettings
from calcom_pipeline.settings.reports import ReportSettings
from calcom_pipeline.settings.retention import RetentionSettings
from calcom_pipeline.settings.sandbox import SandboxSettings
from calcom_pipeline.settings.sensors import SensorSettings
from calcom_pipeline.settings.servers import ServerSettings
from calcom_pipeline.settings.services import ServiceSettings
from calcom_pipeline.settings.ui import UiSettings
from calcom_pipeline.settings.waits import WaitSettings
from calcom_pipeline.settings.webhooks import WebhookSettings


class Settings(
    AccountSettings,
    ServerSettings,
    WaitSettings,
    LimiterSettings,
    BreakerSettings,
    ClientSettings,
    BookingSettings,
    EventTypeSettings,
    AvailabilitySettings,
    PrivacySettings,
    ServiceSettings,
    SensorSettings,
    RetentionSettings,
    WebhookSettings,
    HttpSettings,
    ReportSettings,
    AlertSettings,
    SandboxSettings,
    UiSettings,
):
    """What the operator decides. Every number names its unit; every default has a reason in its description."""

    @model_validator(mode="after")
    def _secrets_are_known(self) -> Self:
        """From here on they are taken out of everything that is shown; see `domain.redaction`."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                know_secrets(secrets_in(name, value.get_secret_value()))
        return self

    @property
    def schema_name(self) -> str:
        """The schema every statement runs in."""
        return self.database_schema or self.account

    @property
    def place(self) -> tuple[str | None, str]:
        """Where its tables are: database and schema. The address may hold a password, and is shown nowhere."""
        return self.database_url.get_secret_value() if self.database_url else None, self.schema_name

    @property
    def booking_look(self) -> int:
        """Seconds between two looks for changed bookings."""
        return self.booking_look_seconds or (10 if self.uses_sandbox else 30)

    @property
    def event_type_look(self) -> int:
        """Seconds between two looks for changed event types."""
        return self.event_type_look_seconds or (60 if self.uses_sandbox else 120)


#: In the order in which a person reads them: that of `.env.example`.
GROUPS = tuple(base for base in Settings.__bases__ if issubclass(base, SettingsGroup))
SECRET_FIELDS = frozenset(
    name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
)


def secrets_in(name: str, value: str) -> list[str]:
    """An address holds a password and much that is none, tokens have names; any other secret is one as a whole."""
    if name == "http_tokens":
        return [part.strip().partition("=")[2] or part.strip() for part in value.split(",")]
    return secrets_of_url(value) if name.endswith("_url") or name == "proxy" else [value]
