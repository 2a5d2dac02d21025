"""The HTTP API of `calcom-pipeline serve`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_, comma_list

#: Parts of the HTTP API; see docs/http-api.md.
HttpPart = Literal["slots", "finding", "holds", "bookings", "metrics", "webhooks", "report"]
_SHORTEST_TOKEN = 16  # of 64 characters: nobody guesses one at thousands of tries a second
_TOKEN_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")


def _named_tokens(value: SecretStr | None) -> SecretStr | None:
    """`name=token,name=token`; what is wrong is reported without quoting any."""
    if value is None:
        return None
    parts = [part.strip().partition("=") for part in value.get_secret_value().split(",") if part.strip()]
    names = [name for name, _, _ in parts]
    tokens = [token for _, _, token in parts]
    if any(not _TOKEN_NAME.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise ValueError("wants name=token,name=token; names are small letters and digits, each once")
    if any(not re.fullmatch(rf"[\w.~+/=-]{{{_SHORTEST_TOKEN},200}}", token, re.ASCII) for token in tokens):
        raise ValueError(f"wants tokens of {_SHORTEST_TOKEN} to 200 letters, digits or any of _ . ~ + / = -")
    if len(set(tokens)) < len(tokens):
        raise ValueError("has one token twice")
    return value


def _origins_only(value: tuple[str, ...]) -> tuple[str, ...]:
    if any(origin != "*" and not re.fullmatch(r"https?://[^\s/,@]+", origin) for origin in value):
        raise ValueError("wants origins such as https://www.example.org, without a path, or *")
    return value


class HttpSettings(SettingsGroup):
    """The HTTP API of `calcom-pipeline serve`."""

    http_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address that `serve` listens on; any but this machine's own wants CALCOM_HTTP_TOKENS.",
    )
    http_port: int = Field(default=8080, ge=1, le=65_535, description="Port of the HTTP API.")
    http_workers: int = Field(
        default=1, ge=1, le=64, description="Processes of the HTTP API; each counts among CALCOM_MAX_PROCESSES."
    )
    http_tokens: Annotated[SecretStr | None, AfterValidator(_named_tokens), Optional_] = Field(
        default=None,
        description="Bearer tokens of the HTTP API's callers: website=<token>,shop=<token>. Unset: everybody on this "
        "machine may ask.",
    )
    http_origins: Annotated[tuple[str, ...], AfterValidator(_origins_only), BeforeValidator(comma_list)] = Field(
        default=(), description="Origins whose pages may ask from a browser (CORS), comma separated. Unset: none."
    )
    http_off: Annotated[tuple[HttpPart, ...], BeforeValidator(comma_list)] = Field(
        default=(),
        description="Parts of the HTTP API that are off, of slots, finding, holds, bookings, metrics, webhooks, "
        "report. Unset: none.",
    )
    http_requests_per_minute: int = Field(
        default=3000,
        ge=1,
        le=1_000_000,
        description="Requests of one token; as many at once. Counted in Redis; while it is away each process has its "
        "share.",
    )
    http_threads: int = Field(
        default=16, ge=1, le=500, description="Reads answered at once in a process; four times as many may wait."
    )
    http_write_threads: int = Field(
        default=8, ge=1, le=500, description="Writes at once, apart: slow bookings keep nobody from reading."
    )
    http_read_seconds: float = Field(
        default=35.0, gt=0, le=600, description="Longest wait of a reading caller; the facade gives up after 30 s."
    )
    http_write_seconds: float = Field(
        default=120.0, gt=0, le=900, description="Longest wait of a writing caller; then the outcome is unknown."
    )
    http_body_kilobytes: int = Field(
        default=100, ge=1, le=10_240, description="Largest body of a request; Cal.com takes 100 kB."
    )
    http_header_kilobytes: int = Field(
        default=16, ge=1, le=1024, description="Request line and headers together; browsers send 1 to 4 kB."
    )
    http_head_seconds: float = Field(
        default=10.0, gt=0, le=600, description="Until request line and headers are there, from the connection on."
    )
    http_connections: int = Field(
        default=4000,
        ge=10,
        le=100_000,
        description="Connections of a process at once; of more, those that idle longest are closed.",
    )
    http_body_seconds: float = Field(default=10.0, gt=0, le=600, description="Until the body of a request is there.")
    http_fresh_seconds: int = Field(
        default=0, ge=0, le=3600, description="How long a browser may reuse an answer unasked. 0: it asks, by ETag."
    )
    http_stop_seconds: float = Field(
        default=20.0, gt=0, le=900, description="Open requests get so long to end when the API is stopped."
    )

    @property
    def http_named_tokens(self) -> dict[str, str]:
        """The HTTP API's tokens by the names of their callers."""
        given = self.http_tokens.get_secret_value() if self.http_tokens else ""
        parts = [part.strip().partition("=") for part in given.split(",") if part.strip()]
        return {name: token for name, _, token in parts}
