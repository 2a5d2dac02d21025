"""From settings to open collaborators: the one place that decides which server is meant and what talks to what.

Nothing named means embedded servers and the sandbox. A given `CALCOM_API_KEY`, `DATABASE_URL` or `REDIS_URL` replaces
its embedded counterpart. `CALCOM_LOCAL=never` was checked before anything gets here.
"""

import importlib
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calcom_pipeline.domain.errors import ConfigurationError, PipelineError
from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.calcom.client import CalcomClient
    from calcom_pipeline.adapters.calcom.endpoints import ClientOptions
    from calcom_pipeline.adapters.calcom.transport import TransportOptions
    from calcom_pipeline.adapters.postgres.booking_overview import PostgresBookingOverview
    from calcom_pipeline.adapters.postgres.booking_quarantine import PostgresQuarantine
    from calcom_pipeline.adapters.postgres.bookings import PostgresBookingMirror
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks
    from calcom_pipeline.adapters.postgres.mirrors import PostgresEventTypeMirror, PostgresSlotMirror
    from calcom_pipeline.adapters.postgres.outbox import PostgresOutbox
    from calcom_pipeline.adapters.postgres.outcomes import PostgresOutcomeStore
    from calcom_pipeline.adapters.postgres.overview import PostgresOverview
    from calcom_pipeline.adapters.postgres.plans import PostgresPlanStore
    from calcom_pipeline.adapters.postgres.privacy import Eraser
    from calcom_pipeline.adapters.postgres.services import PostgresServiceFeed, PostgresServiceStore
    from calcom_pipeline.adapters.redis.breaker import RedisBreaker
    from calcom_pipeline.adapters.redis.connection import Client as RedisClient
    from calcom_pipeline.adapters.redis.rate_limiter import RedisRateLimiter
    from calcom_pipeline.adapters.redis.slot_cache import RedisSlotCache
    from calcom_pipeline.domain.attendees import People
    from calcom_pipeline.local import Companion, Servers
    from calcom_pipeline.ports import CallObserver
    from calcom_pipeline.sync.bookings import BookingOptions
    from calcom_pipeline.sync.event_types import TeamChoice
    from calcom_pipeline.sync.planning import PlanRules
    from calcom_pipeline.sync.slots import SlotOptions
    from calcom_pipeline.sync.writer import ApplyRules

SANDBOX = "sandbox"
#: The key of the demo account; it opens nothing but the sandbox on this machine.
SANDBOX_KEY = "cal_demo0000000000000000000000000001"
_CHECKOUT = Path(__file__).parents[1]


class EmbeddedServersFailed(PipelineError):  # noqa: N818 - says what happened
    """PostgreSQL, Valkey or the sandbox of this machine did not start."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where everything is. `servers` are the embedded ones, where any of them is used."""

    base_url: str
    api_key: str
    database_url: str
    redis_url: str
    is_sandbox: bool
    embedded_database: bool
    servers: "Servers | None"


def utc_now() -> datetime:
    """The one clock that use cases are handed."""
    return datetime.now(UTC)


def in_checkout() -> bool:
    """Whether this package runs from its source tree."""
    return (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "workspace.yaml").is_file()


def data_folder(settings: Settings) -> Path:
    """Where the embedded servers live: as set, else `.calcom` in the checkout, else the user's data folder."""
    if settings.data_dir is not None:
        return settings.data_dir.expanduser().absolute()
    if in_checkout():
        return _CHECKOUT / ".calcom"
    from platformdirs import user_data_path

    return user_data_path("calcom-pipeline")


def sandbox_companion(settings: Settings) -> "Companion":
    """The sandbox as the embedded servers' owner runs it: its state stays in the data folder."""
    from calcom_pipeline.local import Companion

    options = {
        "--host": "127.0.0.1",
        "--port": "0",
        "--account": "demo",
        "--event-types": str(settings.sandbox_event_types),
        "--bookings": str(settings.sandbox_bookings),
        "--state": "{data}/sandbox.state",
        "--ready-file": "{ready_file}",
    }
    flat = [part for pair in options.items() for part in pair]
    return Companion(SANDBOX, (_interpreter(), "-m", "calcom_pipeline.sandbox", "serve", *flat))


def _interpreter() -> str:
    """This environment's Python, spelled the same however it was started: a companion is known by its command line."""
    return str(Path(sys.prefix).resolve() / "bin" / "python3")


@contextmanager
def open_endpoints(settings: Settings) -> Generator[Endpoints]:
    """Where everything is; embedded servers that are needed run at least as long as the block.

    Raises:
        EmbeddedServersFailed: with the cause in one line.
    """
    with ExitStack() as stack:
        given = (settings.api_key, settings.database_url, settings.redis_url)
        servers = stack.enter_context(_joined(settings)) if None in given else None
        yield resolved(settings, servers)


@contextmanager
def _joined(settings: Settings) -> "Generator[Servers]":
    from calcom_pipeline import local

    with embedded_failures(), local.join(data_folder(settings), companions=[sandbox_companion(settings)]) as servers:
        yield servers


@contextmanager
def embedded_failures() -> Generator[None]:
    """Give the embedded servers' own errors an exit code and a sentence."""
    from calcom_pipeline.local import LocalServerError

    try:
        yield
    except LocalServerError as error:
        raise EmbeddedServersFailed(str(error)) from error


def resolved(settings: Settings, servers: "Servers | None") -> Endpoints:
    """Settings where given, else the embedded servers."""
    if settings.api_key is not None:
        base_url, api_key, is_sandbox = settings.base_url, settings.api_key.get_secret_value(), False
    else:
        base_url, api_key, is_sandbox = _needed(servers).companions[SANDBOX], SANDBOX_KEY, True
    database_url, redis_url = settings.database_url, settings.redis_url
    return Endpoints(
        base_url=base_url,
        api_key=api_key,
        database_url=database_url.get_secret_value() if database_url else _needed(servers).database_url,
        redis_url=redis_url.get_secret_value() if redis_url else _needed(servers).redis_url,
        is_sandbox=is_sandbox,
        embedded_database=database_url is None,
        servers=servers,
    )


def _needed(servers: "Servers | None") -> "Servers":
    if servers is None:
        raise AssertionError("embedded servers are joined whenever something is not given")
    return servers


class Pipeline:
    """Everything a face needs, opened when first asked for and closed with the block of `open_pipeline`."""

    def __init__(self, settings: Settings, endpoints: Endpoints, stack: ExitStack) -> None:
        self.settings = settings
        self.endpoints = endpoints
        self._stack = stack

    @property
    def apply_mode(self) -> Literal["plan", "auto"]:
        """Whether changes may be written to Cal.com: on the sandbox always, elsewhere only when told so."""
        return self.settings.apply or ("auto" if self.endpoints.is_sandbox else "plan")

    @cached_property
    def database(self) -> "Database":
        """The pool, without a look at the schema."""
        from calcom_pipeline.adapters.postgres.database import open_database

        return self._stack.enter_context(open_database(self.endpoints.database_url, schema=self.settings.schema_name))

    @cached_property
    def store(self) -> "Database":
        """The pool, with the schema this release needs: made if there is none, never upgraded unasked elsewhere.

        Raises:
            SchemaOutdated: `calcom-pipeline migrate` is due.
        """
        from calcom_pipeline.adapters.postgres.migrations import migrate, require_current, shipped_migrations

        migrations = shipped_migrations()
        if self.endpoints.embedded_database or not require_current(self.database, migrations):
            migrate(self.database, migrations)
        return self.database

    @cached_property
    def redis(self) -> "RedisClient":
        """The Redis client."""
        from calcom_pipeline.adapters.redis.connection import open_redis

        return self._stack.enter_context(open_redis(self.endpoints.redis_url))

    @cached_property
    def limiter(self) -> "RedisRateLimiter":
        """What paces every request made with the API key, in all processes."""
        from calcom_pipeline.adapters.redis.rate_limiter import Budget, RedisRateLimiter

        s = self.settings
        budget = Budget(
            limit=s.rate_limit_per_minute,
            safety=s.rate_safety_requests,
            reserve=s.rate_reserve_requests,
            window_seconds=s.rate_window_seconds,
            block_seconds=s.rate_block_seconds,
            burst=s.rate_burst_requests,
            longest_wait_seconds=s.rate_wait_seconds,
            arrival_seconds=2 * s.connect_timeout_seconds,
            processes=s.max_processes,
        )
        return RedisRateLimiter(self.redis, key_name=s.key_name, budget=budget)

    @cached_property
    def breaker(self) -> "RedisBreaker":
        """The circuits of the endpoint groups, shared by all processes."""
        from calcom_pipeline.adapters.redis.breaker import BreakerRules, RedisBreaker

        s = self.settings
        rules = BreakerRules(s.breaker_failures, s.breaker_open_seconds, s.breaker_successes)
        return RedisBreaker(self.redis, key_name=s.key_name, rules=rules)

    @cached_property
    def calcom(self) -> "CalcomClient":
        """The client of Cal.com: limiter and breaker before every request, a row of `api_calls` behind it."""
        from calcom_pipeline.adapters.calcom.client import open_calcom
        from calcom_pipeline.adapters.postgres.api_calls import recording_calls

        recorder = self._stack.enter_context(recording_calls(self.database))
        return self._stack.enter_context(
            open_calcom(
                base_url=self.endpoints.base_url,
                api_key=self.endpoints.api_key,
                limiter=self.limiter,
                breaker=self.breaker,
                client=client_options(self.settings),
                transport=transport_options(self.settings, [recorder]),
            )
        )

    @cached_property
    def event_type_mirror(self) -> "PostgresEventTypeMirror":
        """The table `event_types`."""
        from calcom_pipeline.adapters.postgres.mirrors import PostgresEventTypeMirror

        return PostgresEventTypeMirror(self.store)

    @cached_property
    def booking_mirror(self) -> "PostgresBookingMirror":
        """The table `bookings` and those of its people."""
        return self.new_booking_mirror()

    def new_booking_mirror(self) -> "PostgresBookingMirror":
        """Another one, for a thread of its own."""
        from calcom_pipeline.adapters.calcom.booking_rows import replayed
        from calcom_pipeline.adapters.postgres.booking_store import MirrorOptions
        from calcom_pipeline.adapters.postgres.bookings import PostgresBookingMirror
        from calcom_pipeline.adapters.postgres.privacy import Classifier, Tightener

        options = MirrorOptions(timedelta(days=self.settings.slot_horizon_days), self.booking_options.keep_past)
        return PostgresBookingMirror(
            self.store,
            people=self.people,
            options=options,
            classifier=Classifier(self.store, replayed),
            tightener=Tightener(self.store, self.people, replayed),
        )

    @cached_property
    def eraser(self) -> "Eraser":
        """Takes a person out of what is stored."""
        from calcom_pipeline.adapters.calcom.booking_rows import replayed
        from calcom_pipeline.adapters.postgres.privacy import Eraser

        return Eraser(self.store, self.people, replayed)

    @cached_property
    def booking_overview(self) -> "PostgresBookingOverview":
        """What people and checks ask about bookings."""
        from calcom_pipeline.adapters.postgres.booking_overview import PostgresBookingOverview

        return PostgresBookingOverview(self.store)

    @cached_property
    def quarantine(self) -> "PostgresQuarantine":
        """Bookings that could not be read."""
        from calcom_pipeline.adapters.postgres.booking_quarantine import PostgresQuarantine

        return PostgresQuarantine(self.store)

    @cached_property
    def people(self) -> "People":
        """How the people in bookings are kept."""
        from calcom_pipeline.adapters.postgres.privacy import load_pseudonyms
        from calcom_pipeline.domain.attendees import People

        key = self.settings.privacy_key
        pseudonyms = load_pseudonyms(self.store, key.get_secret_value().encode() if key else None)
        return People(self.settings.attendee_policy, pseudonyms)

    @cached_property
    def slot_mirror(self) -> "PostgresSlotMirror":
        """The table `slots`."""
        from calcom_pipeline.adapters.postgres.mirrors import PostgresSlotMirror

        return PostgresSlotMirror(self.store)

    @cached_property
    def slot_cache(self) -> "RedisSlotCache":
        """The days in Redis."""
        from calcom_pipeline.adapters.redis.slot_cache import RedisSlotCache

        s = self.settings
        return RedisSlotCache(
            self.redis,
            prefix=s.redis_prefix,
            ttl_seconds=s.slot_ttl_seconds,
            empty_ttl_seconds=s.slot_empty_ttl_seconds,
        )

    @cached_property
    def overview(self) -> "PostgresOverview":
        """What `status` asks."""
        from calcom_pipeline.adapters.postgres.overview import PostgresOverview

        return PostgresOverview(self.store)

    @cached_property
    def service_store(self) -> "PostgresServiceStore":
        """Services and their links."""
        from calcom_pipeline.adapters.postgres.services import PostgresServiceStore

        return PostgresServiceStore(self.store)

    @cached_property
    def service_feed(self) -> "PostgresServiceFeed":
        """Changes of services."""
        from calcom_pipeline.adapters.postgres.services import PostgresServiceFeed

        return PostgresServiceFeed(self.store)

    @cached_property
    def plan_store(self) -> "PostgresPlanStore":
        """Plans and what came of them."""
        from calcom_pipeline.adapters.postgres.plans import PostgresPlanStore

        return PostgresPlanStore(self.store)

    @cached_property
    def outbox(self) -> "PostgresOutbox":
        """Facts that the caches have not heard of yet."""
        from calcom_pipeline.adapters.postgres.outbox import PostgresOutbox

        return PostgresOutbox(self.store)

    @cached_property
    def outcomes(self) -> "PostgresOutcomeStore":
        """Bookings of which nobody knows yet whether they were made."""
        from calcom_pipeline.adapters.postgres.outcomes import PostgresOutcomeStore

        return PostgresOutcomeStore(self.store)

    @cached_property
    def key_locks(self) -> "PostgresKeyLocks":
        """One booking at a time under one key; another is waited for as long as its create may take."""
        from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks

        return PostgresKeyLocks(self.database, wait_seconds=self.settings.create_timeout_seconds)

    @property
    def plan_rules(self) -> "PlanRules":
        """What the operator decides about plans."""
        from calcom_pipeline.domain.plans import Brakes
        from calcom_pipeline.sync.planning import PlanRules

        s = self.settings
        return PlanRules(
            brakes=Brakes(s.brake_percent, s.brake_minimum),
            lifetime=timedelta(minutes=s.plan_lifetime_minutes),
            field_owners=s.field_owners,
            propose_imports=s.import_policy == "propose",
            create_grace=timedelta(seconds=s.create_grace_seconds),
        )

    @property
    def apply_rules(self) -> "ApplyRules":
        """How plans are applied."""
        from calcom_pipeline.sync.writer import ApplyRules

        s = self.settings
        return ApplyRules(
            workers=s.apply_workers,
            batch=s.apply_batch,
            attempts_before_parking=s.attempts_before_parking,
            first_retry=timedelta(seconds=s.first_retry_seconds),
            longest_retry=timedelta(seconds=s.longest_retry_seconds),
            team_scheduling=s.team_scheduling,
        )

    @property
    def teams(self) -> "TeamChoice":
        """Which teams are read."""
        from calcom_pipeline.sync.event_types import TeamChoice

        return TeamChoice(self.settings.team_ids, self.settings.team_slug)

    @property
    def slot_options(self) -> "SlotOptions":
        """How far ahead slots are kept, and how old they may be."""
        from calcom_pipeline.sync.slots import SlotOptions

        return SlotOptions(self.settings.slot_horizon_days, timedelta(seconds=self.settings.slot_ttl_seconds))

    @property
    def booking_options(self) -> "BookingOptions":
        """How bookings are read."""
        from calcom_pipeline.sync.booking_scope import ListingChoice
        from calcom_pipeline.sync.bookings import BookingOptions

        s = self.settings
        return BookingOptions(
            page_size=s.booking_page_size,
            overlap=timedelta(seconds=s.booking_overlap_seconds),
            choice=ListingChoice(s.booking_team_lists, s.team_ids, s.team_slug, s.organization_id),
            roles_every=timedelta(seconds=s.booking_roles_seconds),
            reread_past=timedelta(days=s.booking_reread_past_days),
            reread_future=timedelta(days=s.booking_reread_future_days),
            proofs=s.booking_proofs,
            keep_past=None if s.booking_retention_days is None else timedelta(days=s.booking_retention_days),
            calls_per_minute=s.rate_limit_per_minute - s.rate_safety_requests - s.rate_reserve_requests,
        )


@contextmanager
def open_pipeline(settings: Settings) -> Generator[Pipeline]:
    """Everything, open as long as the block."""
    with open_endpoints(settings) as endpoints, ExitStack() as stack:
        yield Pipeline(settings, endpoints, stack)


def client_options(settings: Settings) -> "ClientOptions":
    """What the endpoint groups need of the settings."""
    from calcom_pipeline.adapters.calcom.creating import GraceRules
    from calcom_pipeline.adapters.calcom.endpoints import ClientOptions

    return ClientOptions(
        read_timeout_seconds=settings.read_timeout_seconds,
        create_timeout_seconds=settings.create_timeout_seconds,
        bookings_version=settings.bookings_version,
        grace=GraceRules(grace_seconds=settings.create_grace_seconds, attempts=settings.create_attempts),
    )


def transport_options(settings: Settings, observers: "Sequence[CallObserver]" = ()) -> "TransportOptions":
    """What the way to Cal.com needs of the settings; calls are logged and traced beside the given observers."""
    from calcom_pipeline.adapters.calcom.observers import LoggedCalls, Observers
    from calcom_pipeline.adapters.calcom.retries import Patience
    from calcom_pipeline.adapters.calcom.signing import Signer
    from calcom_pipeline.adapters.calcom.telemetry import telemetry
    from calcom_pipeline.adapters.calcom.transport import TransportOptions

    s = settings
    hook = named_function(s.error_hook, "CALCOM_ERROR_HOOK") if s.error_hook else None
    return TransportOptions(
        connect_timeout_seconds=s.connect_timeout_seconds,
        patience=Patience(s.retry_deadline_seconds, s.retry_attempts),
        signer=Signer(s.signing_secret.get_secret_value()) if s.signing_secret else None,
        observers=Observers([LoggedCalls(), *telemetry(), *observers], error_hook=hook),
    )


def named_function(name: str, variable: str) -> Any:
    """The function that `module:function` names.

    Raises:
        ConfigurationError: there is none; `variable` is the setting to correct.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError):
        raise ConfigurationError([f"{variable} names {name}, which cannot be imported"]) from None
