"""The way to Cal.com: time limits, retries, proxies, what may be booked through us."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_


class ClientSettings(SettingsGroup):
    """The way to Cal.com: time limits, retries, proxies, what may be booked through us."""

    connect_timeout_seconds: float = Field(default=5.0, gt=0, le=60, description="Until the connection stands.")
    read_timeout_seconds: float = Field(
        default=15.0, gt=0, le=300, description="Total of one read; a page of 250 bookings takes about 0.6 s."
    )
    create_timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        le=600,
        description="Total of one create: Cal.com sends webhooks inside the request, a slow receiver takes 20 s.",
    )
    answer_megabytes: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Largest answer that is read, unpacked; a listing of 20,000 event types has about as much.",
    )
    ca_bundle: Annotated[Path | None, Optional_] = Field(
        default=None,
        description="Certificates that Cal.com's is checked against, a file or folder. Unset: REQUESTS_CA_BUNDLE, "
        "CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR, else those that come with requests.",
    )
    proxy: Annotated[SecretStr | None, Optional_] = Field(
        default=None,
        description="Proxy on the way to Cal.com: http://user:password@host:3128, or none. Unset: HTTPS_PROXY, "
        "HTTP_PROXY, NO_PROXY.",
    )
    retry_deadline_seconds: float = Field(
        default=180.0, gt=0, le=3600, description="Retries of one call end here; longer than Cal.com's 60 s block."
    )
    create_grace_seconds: float = Field(
        default=30.0, ge=0, le=600, description="How long what a create without an answer made may still turn up."
    )
    retry_attempts: int = Field(default=6, ge=1, le=50, description="Attempts of one call, the first included.")
    create_attempts: int = Field(default=3, ge=1, le=10, description="Creates in all, each after such a grace time.")
    signing_secret: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="Signs our requests (HMAC-SHA256) for a gateway that verifies them before Cal.com."
    )
    error_hook: Annotated[str | None, Optional_] = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="module:function that is told of calls that failed for good, for an error tracker.",
    )
    minimum_notice_minutes: float = Field(
        default=15.0, ge=0, le=525_600, description="Bookings through us begin at least so long from now."
    )
