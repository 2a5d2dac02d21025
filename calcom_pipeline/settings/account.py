"""Whose Cal.com account it is, what it is called here, and what is written to it."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from calcom_pipeline.domain.text import short_hash
from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_, Url, comma_list, known_zone

CALCOM_CLOUD = "https://api.cal.com/v2"
_WEB = "https://app.cal.com"
DEFAULT_ACCOUNT = "calcom"


class AccountSettings(SettingsGroup):
    """Whose Cal.com account it is, what it is called here, and what is written to it."""

    account: str = Field(
        default=DEFAULT_ACCOUNT,
        pattern=r"^[a-z][a-z0-9_]{0,30}$",
        description="Name of this account here: prefix of Redis keys and asset keys, and the default schema.",
    )
    api_key: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="Cal.com API key (cal_...). Unset: the local sandbox is used."
    )
    base_url: Url = Field(default=CALCOM_CLOUD, description="Root of the API; a self-hosted one ends in /v2 as well.")
    web_url: Annotated[str | None, Optional_] = Field(
        default=None,
        pattern=r"^https?://[^\s/@]+(/\S*)?$",
        description="Where people edit event types in a browser. Unset: https://app.cal.com for Cal.com's own API, "
        "else no links.",
    )
    team_ids: Annotated[tuple[int, ...], BeforeValidator(comma_list)] = Field(
        default=(), description="Teams to read, comma separated. Unset: all teams the key can see."
    )
    team_slug: Annotated[str | None, Optional_] = Field(
        default=None, description="Reads one team only, named by its slug."
    )
    organization_id: Annotated[int | None, Optional_] = Field(
        default=None, gt=0, description="Reads the bookings of this organization too; needs an admin's key."
    )
    webhook_secret: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="Secret that Cal.com signs webhooks with."
    )
    apply: Annotated[Literal["plan", "auto"] | None, Optional_] = Field(
        default=None,
        description="auto: changes are written to Cal.com. plan: only planned. Unset: auto on the sandbox, else plan.",
    )
    default_time_zone: Annotated[str, AfterValidator(known_zone)] = Field(
        default="UTC", description="Zone of a start that names none (IANA)."
    )

    @property
    def redis_prefix(self) -> str:
        """Prefix of all keys of this account; the braces are a hash tag, so scripts work in a cluster."""
        return f"calcom:v1:{{{self.account}}}:"

    @property
    def zone(self) -> ZoneInfo:
        """The zone of starts that name none."""
        return ZoneInfo(self.default_time_zone)

    @property
    def uses_sandbox(self) -> bool:
        """Nothing names a Cal.com: neither a key nor a server."""
        return self.api_key is None and self.base_url == CALCOM_CLOUD

    def event_type_page(self, event_type_id: int) -> str | None:
        """Where a person edits an event type in a browser; None for the sandbox, which has no pages."""
        web = self.web_url or (_WEB if self.base_url == CALCOM_CLOUD and not self.uses_sandbox else None)
        return f"{web.rstrip('/')}/event-types/{event_type_id}" if web else None

    @property
    def key_name(self) -> str:
        """A public name of the API key, for limiter keys and pools: a hash, or `sandbox`."""
        return short_hash(self.api_key.get_secret_value()) if self.api_key else "sandbox"
