"""Every setting once: name, default, unit, bounds, reason. Validated as a whole, all problems at once.

Settings come from the environment and from a `.env` file (the environment wins). Ours start with `CALCOM_`, and an
unknown one of that kind is refused, so that a typing error never runs the sandbox silently. A blank one is unset,
whichever it is. Three names belong to the servers: `DATABASE_URL`, `REDIS_URL`, `DAGSTER_PG_URL`. Nothing set means:
embedded servers and the sandbox.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticUndefined

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.redaction import know_secrets, secrets_of_url
from calcom_pipeline.domain.services.fields import FIELD_NAMES
from calcom_pipeline.domain.text import short_hash
from calcom_pipeline.domain.zones import canonical_zone

PREFIX = "CALCOM_"
SERVER_VARIABLES = ("DATABASE_URL", "REDIS_URL", "DAGSTER_PG_URL")
CALCOM_CLOUD = "https://api.cal.com/v2"
DEFAULT_ACCOUNT = "calcom"


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _comma_list(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _api_root(value: object) -> object:
    """`https://host`, `https://host/` and `https://host/v2/` all mean the same API."""
    if not isinstance(value, str):
        return value
    root = value.strip().rstrip("/")
    return root if root.endswith("/v2") else f"{root}/v2"


def _without_userinfo(value: str) -> str:
    """A user and a password there would be sent in the place of the key."""
    if "@" in value.split("/")[2]:
        raise ValueError("must not hold a user or a password; Cal.com knows you by CALCOM_API_KEY")
    return value


def _known_zone(value: str) -> str:
    known = canonical_zone(value)
    if known is None:
        raise ValueError("is no IANA time zone, such as Europe/Berlin")
    return known


def _pairs(value: object) -> object:
    """`a=b,c=d` as a mapping."""
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        return {name.strip(): side.strip() for name, _, side in parts}
    return value


def _fields_only(value: dict[str, Literal["local", "remote"]]) -> dict[str, Literal["local", "remote"]]:
    unknown = sorted(set(value) - set(FIELD_NAMES))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not among the fields {', '.join(FIELD_NAMES)}")
    return value


def _address_of(server: str, schemes: str) -> AfterValidator:
    """Accepts the address of such a server; what was given is not quoted, it may hold a password."""

    def checked(value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(rf"({schemes})://", value.get_secret_value()):
            raise ValueError(f"is no address of {server}, such as {schemes.split('|', maxsplit=1)[0]}://user@host")
        return value

    return AfterValidator(checked)


def _web_address(value: SecretStr | None) -> SecretStr | None:
    """Not quoted: such an address is a secret as a whole."""
    if value is not None and not re.match(r"https?://[^\s/]+(/\S*)?$", value.get_secret_value()):
        raise ValueError("is no http:// or https:// address")
    return value


Optional_ = BeforeValidator(_blank_is_unset)
_PostgresUrl = Annotated[SecretStr | None, _address_of("PostgreSQL", r"postgresql|postgres|postgresql\+\w+"), Optional_]
_RedisUrl = Annotated[SecretStr | None, _address_of("Redis", "redis|rediss|unix"), Optional_]
Url = Annotated[
    str,
    Field(pattern=r"^https?://[^\s/]+(/\S*)?$"),
    AfterValidator(_without_userinfo),
    BeforeValidator(_api_root),
]


def _secrets_in(name: str, value: str) -> list[str]:
    """An address holds a password and much that is none; any other secret is one as a whole."""
    return secrets_of_url(value) if name.endswith("_url") or name == "proxy" else [value]


class Settings(BaseModel):
    """What the operator decides. Every number names its unit; every default has a reason in its description."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # --- the account -------------------------------------------------------------------------------------
    account: str = Field(
        default=DEFAULT_ACCOUNT,
        pattern=r"^[a-z][a-z0-9_]{0,30}$",
        description="Name of this account here: prefix of Redis keys and asset keys, and the default schema.",
    )
    api_key: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="Cal.com API key (cal_...). Unset: the local sandbox is used."
    )
    base_url: Url = Field(default=CALCOM_CLOUD, description="Root of the API; a self-hosted one ends in /v2 as well.")
    team_ids: Annotated[tuple[int, ...], BeforeValidator(_comma_list)] = Field(
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
    webhook_previous_secret: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="The secret before it, taken as well while it is rotated."
    )
    webhook_url: Annotated[str | None, Optional_] = Field(
        default=None,
        pattern=r"^https?://[^\s/@]+(/\S*)?$",
        description="Public address of the receiver, which Cal.com is to call. Unset: no subscriptions are kept.",
    )
    webhook_triggers: Annotated[tuple[str, ...], BeforeValidator(_comma_list)] = Field(
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
    apply: Annotated[Literal["plan", "auto"] | None, Optional_] = Field(
        default=None,
        description="auto: changes are written to Cal.com. plan: only planned. Unset: auto on the sandbox, else plan.",
    )
    default_time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC", description="Zone of a start that names none (IANA)."
    )
    bookings_version: Literal["2024-08-13", "2026-02-25"] = Field(
        default="2024-08-13", description="cal-api-version of the booking endpoints; both answer the same shape."
    )

    # --- where things run --------------------------------------------------------------------------------
    local: Literal["auto", "never"] = Field(
        default="auto",
        description="auto: servers that are not named run embedded. never: a missing one is an error (production).",
    )
    data_dir: Annotated[Path | None, Optional_] = Field(
        default=None, description="Folder of the embedded servers. Unset: .calcom in the checkout."
    )
    env_file: Annotated[Path | None, Optional_] = Field(
        default=None, description="File of settings to read. Unset: .env in the working folder, if there."
    )
    database_url: _PostgresUrl = Field(default=None, description="PostgreSQL 14 or newer. Unset: embedded.")
    database_schema: Annotated[str | None, Optional_] = Field(
        default=None,
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="Schema of all tables. Unset: the account's name.",
    )
    redis_url: _RedisUrl = Field(default=None, description="Redis 7 or Valkey 8, or newer. Unset: embedded.")
    dagster_pg_url: _PostgresUrl = Field(
        default=None,
        description="Dagster's own database. Unset beside a given DATABASE_URL: <name>_dagster on that server.",
    )

    # --- how long servers are waited for -----------------------------------------------------------------
    database_connect_seconds: int = Field(
        default=5, ge=2, le=60, description="Until a session of PostgreSQL stands; the driver knows whole seconds."
    )
    database_answer_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Silence of PostgreSQL borne beyond what a statement may take; a dead line is found after twice.",
    )
    database_lock_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="Longest wait for another's lock; ours are held for a page, below 1 s."
    )
    database_read_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="One statement that reads for a person or a sensor; most take 10 ms."
    )
    database_write_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="One statement that stores: a page of 250 bookings takes 0.1 s."
    )
    database_whole_seconds: float = Field(
        default=1800.0, gt=0, le=86_400, description="One statement over whole tables: retention, erasure, counts."
    )
    database_migration_seconds: float = Field(
        default=3600.0, gt=0, le=86_400, description="One migration, and the wait for another's: it may fill a table."
    )
    database_idle_seconds: float = Field(
        default=600.0, gt=0, le=86_400, description="A transaction that idles longer belongs to a process that hangs."
    )
    database_attempts: int = Field(
        default=4, ge=1, le=20, description="Tries of a transaction that loses against another; one is nearly enough."
    )
    ledger_seconds: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for api_calls to take rows; what is done waits no longer."
    )
    redis_seconds: float = Field(
        default=3.0,
        gt=0,
        le=60,
        description="A whole Redis operation, connecting and one repetition included; it answers within 1 ms.",
    )
    redis_pause_seconds: float = Field(
        default=10.0, ge=0, le=600, description="A Redis that did not answer in time is left alone for so long."
    )

    # --- the limiter -------------------------------------------------------------------------------------
    rate_limit_per_minute: int = Field(
        default=120, ge=5, le=100_000, description="Requests per window that Cal.com grants the key (fact sheet 3)."
    )
    rate_window_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Length of Cal.com's window; only tests and own servers differ."
    )
    rate_block_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="How long Cal.com blocks a key that went over."
    )
    rate_safety_requests: int = Field(
        default=2, ge=0, le=50, description="Requests of a window left unused, for clocks that disagree."
    )
    rate_reserve_requests: int = Field(
        default=2, ge=0, le=50, description="Requests of a window that only the interactive lane may use."
    )
    rate_burst_requests: int = Field(
        default=6,
        ge=1,
        le=50,
        description="Requests that may go out at once after a rest; big bursts got accounts locked.",
    )
    rate_wait_seconds: float = Field(
        default=300.0, gt=0, le=3600, description="Longest wait for a turn; past it the caller gets RateLimited."
    )
    max_processes: int = Field(
        default=8, ge=1, le=1000, description="Processes that may share the key; each takes its part if Redis is away."
    )

    # --- the breaker ---------------------------------------------------------------------------------------
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

    # --- the way to Cal.com ------------------------------------------------------------------------------
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

    # --- the mirrors -------------------------------------------------------------------------------------
    booking_page_size: int = Field(default=250, ge=1, le=250, description="Rows a page; Cal.com allows 250.")
    booking_overlap_seconds: float = Field(
        default=120.0, ge=0, le=86_400, description="How far back each read begins: Cal.com stamps before it commits."
    )
    clock_tolerance_seconds: float = Field(
        default=60.0,
        ge=1,
        le=86_400,
        description="Clocks set by NTP differ by less, with the time an answer takes: a Date of Cal.com that differs "
        "more is told, and what lies further ahead of now is read anew.",
    )
    booking_team_lists: bool = Field(
        default=False,
        description="Read each team's own list too. The user's list holds what its teams' admins see in most builds.",
    )
    booking_roles_seconds: float = Field(
        default=3600.0, ge=60, le=604_800, description="How often roles in teams are looked at; a call per team."
    )
    booking_reread_past_days: float = Field(
        default=2.0, ge=0, le=3660, description="The sliding re-read begins so far back: absences are marked late."
    )
    booking_reread_future_days: float = Field(
        default=14.0, ge=0, le=3660, description="... and ends so far ahead: seats there move no timestamp."
    )
    booking_proofs: int = Field(
        default=500, ge=1, le=100_000, description="Deletions proven in one run; each costs a call."
    )
    booking_freshness_seconds: float = Field(
        default=900.0, gt=0, le=604_800, description="Bookings last read longer ago than that are reported as stale."
    )
    booking_retention_days: Annotated[int | None, Optional_] = Field(
        default=None,
        ge=1,
        le=36_600,
        description="Bookings that ended longer ago are dropped, and unreadable ones not seen since. Unset: all stay.",
    )
    backfill_from: str = Field(
        default="2022-01", pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="First month that can be backfilled."
    )
    backfill_workers: int = Field(
        default=8, ge=1, le=64, description="Months read at once, where the limit allows that many calls."
    )
    event_type_proofs: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="Event types missing from a listing that are read one by one in a look; a call each.",
    )
    absence_looks: int = Field(
        default=3, ge=2, le=100, description="What cannot be proven gone counts as gone after so many looks in a row"
    )
    absence_minutes: float = Field(
        default=10.0,
        ge=0,
        le=10_080,
        description="... over at least so long: a bad deploy's empty answers are over.",
    )
    slot_horizon_days: int = Field(default=28, ge=1, le=366, description="Days of slots that are kept, from today.")
    slot_ttl_seconds: int = Field(default=300, ge=1, le=86_400, description="Life of a cached day with slots.")
    slot_empty_ttl_seconds: int = Field(default=60, ge=1, le=86_400, description="Life of a cached day without.")

    # --- people ------------------------------------------------------------------------------------------
    attendee_policy: Literal["keep", "hash", "drop"] = Field(
        default="keep",
        description="Who booked. hash: addresses as keyed hashes, no names or texts; drop: nothing of them. With both, "
        "nothing of a record that cannot be read.",
    )
    privacy_key: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="Key of hashed addresses and of erasures. Unset: made once, kept in the database."
    )

    # --- services and plans ------------------------------------------------------------------------------
    field_owners: Annotated[
        dict[str, Literal["local", "remote"]], BeforeValidator(_pairs), AfterValidator(_fields_only)
    ] = Field(
        default_factory=dict[str, Literal["local", "remote"]],
        description="Who decides when both sides changed a field: title=local,description=remote. Unnamed: a person.",
    )
    import_policy: Literal["leave", "propose"] = Field(
        default="leave", description="Event types without a service. propose: a plan offers to make them services."
    )
    brake_percent: float = Field(
        default=10.0, ge=0, le=100, description="Share of linked services that may be hidden, parked or pulled unasked."
    )
    brake_minimum: int = Field(
        default=3, ge=0, le=10_000, description="As many services pass in any case: 10% of a few would be none."
    )
    plan_lifetime_minutes: float = Field(
        default=60.0, gt=0, le=10_080, description="A plan older than that is not applied: the world has moved on."
    )
    team_scheduling: Literal["roundRobin", "collective"] = Field(
        default="roundRobin",
        description="Who takes the bookings of an event type that is made for a team: one of its members, or all.",
    )
    apply_workers: int = Field(default=10, ge=1, le=100, description="Services written at once.")
    apply_batch: int = Field(
        default=10, ge=1, le=250, description="Services between two fresh listings; small keeps the gap narrow."
    )
    attempts_before_parking: int = Field(default=5, ge=1, le=100, description="Failures until a service is parked.")
    first_retry_seconds: float = Field(
        default=60.0, ge=0, le=86_400, description="Distance to the second attempt; it grows fourfold."
    )
    longest_retry_seconds: float = Field(default=21_600.0, ge=0, le=604_800, description="It grows up to this.")
    invalidation_batch: int = Field(default=500, ge=1, le=10_000, description="Facts applied to the caches at once.")
    look_seconds: int = Field(
        default=5, ge=1, le=3600, description="How often sensors look at PostgreSQL; a look costs a few milliseconds."
    )
    booking_look_seconds: Annotated[int | None, Optional_] = Field(
        default=None,
        ge=1,
        le=86_400,
        description="How often a sensor asks for changed bookings, one call each. Unset: 10 on the sandbox, else 30.",
    )
    booking_longest_look_seconds: int = Field(
        default=300,
        ge=1,
        le=86_400,
        description="... and how often at least, while deliveries of webhooks are proven to arrive.",
    )
    event_type_look_seconds: Annotated[int | None, Optional_] = Field(
        default=None,
        ge=5,
        le=86_400,
        description="How often a sensor lists event types, a call per owner. Unset: 60 on the sandbox, else 120.",
    )

    # --- lifetimes of our own records --------------------------------------------------------------------
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
    finding_retention_days: int = Field(
        default=30, ge=1, le=36_600, description="Changes that deliveries of webhooks are measured against."
    )
    retention_batch: int = Field(
        default=2000, ge=1, le=100_000, description="Records deleted in one transaction; small keeps locks short."
    )

    # --- the sandbox of the demo -------------------------------------------------------------------------
    sandbox_event_types: int = Field(default=60, ge=1, le=100_000, description="Event types of the demo account.")
    sandbox_bookings: int = Field(default=5000, ge=0, le=10_000_000, description="Bookings of the demo account.")

    # --- for people who look -----------------------------------------------------------------------------
    ui_port: int = Field(default=3000, ge=1, le=65_535, description="Port of the Dagster UI (`make up`).")
    dagster_log_megabytes: float = Field(
        default=10.0, gt=0, le=10_000, description="Dagster's log (`up`) longer than that is moved aside."
    )
    dagster_log_files: int = Field(default=3, ge=1, le=100, description="As many older ones of it are kept.")
    ui_url: Annotated[str | None, Optional_] = Field(
        default=None,
        pattern=r"^https?://[^\s/@]+(/\S*)?$",
        description="Address of the Dagster UI in messages. Unset: this machine's, on CALCOM_UI_PORT.",
    )
    alert_webhook: Annotated[SecretStr | None, AfterValidator(_web_address), Optional_] = Field(
        default=None, description="Incoming webhook (Slack, Mattermost and others) that is told of runs that failed."
    )
    alert_smtp_url: Annotated[SecretStr | None, _address_of("a mail server", "smtp|smtps"), Optional_] = Field(
        default=None, description="Mail server for the same, smtp://user:password@host:587 or smtps://."
    )
    alert_mail_to: Annotated[tuple[str, ...], BeforeValidator(_comma_list)] = Field(
        default=(), description="Who gets these mails, comma separated."
    )
    alert_mail_from: Annotated[str | None, Optional_] = Field(
        default=None, description="Their sender. Unset: the first of those who get them."
    )
    alert_repeat_hours: float = Field(
        default=6.0, gt=0, le=720, description="A cause that lasts is told again after so long, not at every failure."
    )
    alert_seconds: float = Field(
        default=5.0, gt=0, le=20, description="Longest wait for each answer on the way; a sensor has 60 s in all."
    )
    live_key: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="Key of a test account for `make live`, which books and cancels for real."
    )

    @model_validator(mode="after")
    def _secrets_are_known(self) -> Self:
        """From here on they are taken out of everything that is told; see `domain.redaction`."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                know_secrets(_secrets_in(name, value.get_secret_value()))
        return self

    @property
    def schema_name(self) -> str:
        """The schema every statement runs in."""
        return self.database_schema or self.account

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

    @property
    def booking_look(self) -> int:
        """Seconds between two looks for changed bookings."""
        return self.booking_look_seconds or (10 if self.uses_sandbox else 30)

    @property
    def event_type_look(self) -> int:
        """Seconds between two looks for changed event types."""
        return self.event_type_look_seconds or (60 if self.uses_sandbox else 120)

    @property
    def key_name(self) -> str:
        """A public name of the API key, for limiter keys and pools: a hash, or `sandbox`."""
        return short_hash(self.api_key.get_secret_value()) if self.api_key else "sandbox"


_SECRET_FIELDS = frozenset(
    name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
)


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    name = field.upper()
    return name if name in SERVER_VARIABLES else PREFIX + name


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment (default: the process's own) and the `.env` file.

    Raises:
        ConfigurationError: naming every unknown variable and every wrong value, none of them quoted.
    """
    values = dict(os.environ if environ is None else environ)
    values = {**_env_file(values), **values}
    fields = {variable_of(name): name for name in Settings.model_fields}
    problems = _unknown(values, fields) + _contradictions(values)
    # After the file was read: a blank in the environment takes back what the file says.
    given: dict[str, Any] = {field: values[name] for name, field in fields.items() if values.get(name, "").strip()}
    for name in given.keys() & _SECRET_FIELDS:  # also where the settings turn out to be wrong
        know_secrets(_secrets_in(name, given[name]))
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        problems += [_sentence(entry["loc"], entry["msg"]) for entry in error.errors(include_url=False)]
    else:
        if settings.rate_safety_requests + settings.rate_reserve_requests >= settings.rate_limit_per_minute:
            problems.append(
                "CALCOM_RATE_SAFETY_REQUESTS and CALCOM_RATE_RESERVE_REQUESTS leave nothing of "
                "CALCOM_RATE_LIMIT_PER_MINUTE"
            )
        if not problems:
            return settings
    raise ConfigurationError(problems, advice="See .env.example for every setting, its unit and its default.")


def _env_file(environ: Mapping[str, str]) -> dict[str, str]:
    named = environ.get(PREFIX + "ENV_FILE")
    path = Path(named) if named else Path(".env")
    if named is not None and not named.strip():
        return {}
    if not path.is_file():
        if named:
            raise ConfigurationError([f"CALCOM_ENV_FILE names {named}, which is no file"])
        return {}
    # Literally: a password may hold "${".
    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}


def _unknown(values: Mapping[str, str], fields: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for name in sorted(values):
        if name.startswith(PREFIX) and name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            problems.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return problems


def _contradictions(values: Mapping[str, str]) -> list[str]:
    def given(name: str) -> bool:
        return bool(values.get(name, "").strip())

    problems: list[str] = []
    if given("CALCOM_BASE_URL") and not given("CALCOM_API_KEY"):
        problems.append("CALCOM_BASE_URL is set, but CALCOM_API_KEY is not")
    if given("CALCOM_WEBHOOK_URL") and not given("CALCOM_WEBHOOK_SECRET"):
        problems.append("CALCOM_WEBHOOK_URL is set, but CALCOM_WEBHOOK_SECRET is not")
    if values.get("CALCOM_LOCAL", "").strip() == "never":
        missing = [n for n in ("CALCOM_API_KEY", "DATABASE_URL", "REDIS_URL") if not given(n)]
        problems += [f"CALCOM_LOCAL=never, but {name} is not set" for name in missing]
    return problems


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    message = re.sub(r"^(Value error|Assertion failed), ", "", message)
    return f"{variable_of(str(location[0]))}: {message}" if location else message


def example() -> str:
    """The text of `.env.example`: every setting with its default and its description."""
    lines = ["# Every setting, with its default. Nothing has to be set: then all of it runs locally, on a sandbox.", ""]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, (), PydanticUndefined) else field.default
        lines += [f"# {field.description}", f"# {variable_of(name)}={default}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    sys.stdout.write(example())
