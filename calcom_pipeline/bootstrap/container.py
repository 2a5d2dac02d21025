"""From settings to open collaborators: the one place that decides which server is meant and what talks to what.

Nothing named means embedded servers and the sandbox. A given `CALCOM_API_KEY`, `DATABASE_URL` or `REDIS_URL` replaces
its embedded counterpart. `CALCOM_LOCAL=never` was checked before anything gets here.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from calcom_pipeline.bootstrap.locations import Endpoints, open_endpoints
from calcom_pipeline.bootstrap.options import client_options, transport_options
from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.calcom.client import CalcomClient
    from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox
    from calcom_pipeline.adapters.postgres.availability.slots import PostgresSlotMirror
    from calcom_pipeline.adapters.postgres.bookings.in_doubt import PostgresOutcomeStore
    from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
    from calcom_pipeline.adapters.postgres.bookings.overview import PostgresBookingOverview
    from calcom_pipeline.adapters.postgres.bookings.privacy import Eraser
    from calcom_pipeline.adapters.postgres.bookings.quarantine import PostgresQuarantine
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
    from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks
    from calcom_pipeline.adapters.postgres.reports.overview import PostgresOverview
    from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
    from calcom_pipeline.adapters.postgres.services.store import PostgresServiceFeed, PostgresServiceStore
    from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
    from calcom_pipeline.adapters.redis.breaker import RedisBreaker
    from calcom_pipeline.adapters.redis.connection import Client as RedisClient
    from calcom_pipeline.adapters.redis.limiter.limiter import RedisRateLimiter
    from calcom_pipeline.app.availability.refresh import SlotOptions
    from calcom_pipeline.app.bookings.mirror import BookingOptions
    from calcom_pipeline.app.event_types.mirror import TeamChoice
    from calcom_pipeline.app.services.actions import ApplyRules
    from calcom_pipeline.app.services.planning import PlanRules
    from calcom_pipeline.domain.bookings.people import People


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
        from calcom_pipeline.adapters.redis.limiter.limiter import Budget, RedisRateLimiter

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
        from calcom_pipeline.adapters.postgres.call_ledger import recording_calls

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
        from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror

        return PostgresEventTypeMirror(self.store)

    @cached_property
    def booking_mirror(self) -> "PostgresBookingMirror":
        """The table `bookings` and those of its people."""
        return self.new_booking_mirror()

    def new_booking_mirror(self) -> "PostgresBookingMirror":
        """Another one, for a thread of its own."""
        from calcom_pipeline.adapters.calcom.bookings.rows import replayed
        from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
        from calcom_pipeline.adapters.postgres.bookings.privacy import Classifier, Tightener
        from calcom_pipeline.adapters.postgres.bookings.store import MirrorOptions

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
        from calcom_pipeline.adapters.calcom.bookings.rows import replayed
        from calcom_pipeline.adapters.postgres.bookings.privacy import Eraser

        return Eraser(self.store, self.people, replayed)

    @cached_property
    def booking_overview(self) -> "PostgresBookingOverview":
        """What people and checks ask about bookings."""
        from calcom_pipeline.adapters.postgres.bookings.overview import PostgresBookingOverview

        return PostgresBookingOverview(self.store)

    @cached_property
    def quarantine(self) -> "PostgresQuarantine":
        """Bookings that could not be read."""
        from calcom_pipeline.adapters.postgres.bookings.quarantine import PostgresQuarantine

        return PostgresQuarantine(self.store)

    @cached_property
    def people(self) -> "People":
        """How the people in bookings are kept."""
        from calcom_pipeline.adapters.postgres.bookings.privacy import load_pseudonyms
        from calcom_pipeline.domain.bookings.people import People

        key = self.settings.privacy_key
        pseudonyms = load_pseudonyms(self.store, key.get_secret_value().encode() if key else None)
        return People(self.settings.attendee_policy, pseudonyms)

    @cached_property
    def slot_mirror(self) -> "PostgresSlotMirror":
        """The table `slots`."""
        from calcom_pipeline.adapters.postgres.availability.slots import PostgresSlotMirror

        return PostgresSlotMirror(self.store)

    @cached_property
    def slot_cache(self) -> "RedisSlotCache":
        """The days in Redis."""
        from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache

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
        from calcom_pipeline.adapters.postgres.reports.overview import PostgresOverview

        return PostgresOverview(self.store)

    @cached_property
    def service_store(self) -> "PostgresServiceStore":
        """Services and their links."""
        from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore

        return PostgresServiceStore(self.store)

    @cached_property
    def service_feed(self) -> "PostgresServiceFeed":
        """Changes of services."""
        from calcom_pipeline.adapters.postgres.services.store import PostgresServiceFeed

        return PostgresServiceFeed(self.store)

    @cached_property
    def plan_store(self) -> "PostgresPlanStore":
        """Plans and what came of them."""
        from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore

        return PostgresPlanStore(self.store)

    @cached_property
    def outbox(self) -> "PostgresOutbox":
        """Facts that the caches have not heard of yet."""
        from calcom_pipeline.adapters.postgres.availability.outbox import PostgresOutbox

        return PostgresOutbox(self.store)

    @cached_property
    def outcomes(self) -> "PostgresOutcomeStore":
        """Bookings of which nobody knows yet whether they were made."""
        from calcom_pipeline.adapters.postgres.bookings.in_doubt import PostgresOutcomeStore

        return PostgresOutcomeStore(self.store)

    @cached_property
    def key_locks(self) -> "PostgresKeyLocks":
        """One booking at a time under one key; another is waited for as long as its create may take."""
        from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks

        return PostgresKeyLocks(self.database, wait_seconds=self.settings.create_timeout_seconds)

    @property
    def plan_rules(self) -> "PlanRules":
        """What the operator decides about plans."""
        from calcom_pipeline.app.services.planning import PlanRules
        from calcom_pipeline.domain.services.plans import Brakes

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
        from calcom_pipeline.app.services.actions import ApplyRules

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
        from calcom_pipeline.app.event_types.mirror import TeamChoice

        return TeamChoice(self.settings.team_ids, self.settings.team_slug)

    @property
    def slot_options(self) -> "SlotOptions":
        """How far ahead slots are kept, and how old they may be."""
        from calcom_pipeline.app.availability.refresh import SlotOptions

        return SlotOptions(self.settings.slot_horizon_days, timedelta(seconds=self.settings.slot_ttl_seconds))

    @property
    def booking_options(self) -> "BookingOptions":
        """How bookings are read."""
        from calcom_pipeline.app.bookings.access_scope import ListingChoice
        from calcom_pipeline.app.bookings.mirror import BookingOptions

        s = self.settings
        return BookingOptions(
            page_size=s.booking_page_size,
            overlap=timedelta(seconds=s.booking_overlap_seconds),
            clock_tolerance=timedelta(seconds=s.clock_tolerance_seconds),
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
