"""The servers of one account and what every call goes through, opened when first asked for.

Nothing here looks at a server: the schema is checked by `require_schema`, which a face calls before it reads or writes
PostgreSQL.
"""

from contextlib import ExitStack
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from calcom_pipeline.bootstrap.connections import client_options, database_bounds, transport_options
from calcom_pipeline.bootstrap.limits import LimitGroup
from calcom_pipeline.bootstrap.locations import Endpoints
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from calcom_pipeline.adapters.calcom.client import CalcomClient
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.pool import SessionPools
    from calcom_pipeline.adapters.redis.availability.epoch import Epoch
    from calcom_pipeline.adapters.redis.connection import Client as RedisClient
    from calcom_pipeline.adapters.redis.request_budget import RequestBudget
    from calcom_pipeline.adapters.redis.soon import SoonConnection


class OpenServers:
    """PostgreSQL, Redis and Cal.com, closed with the stack."""

    def __init__(
        self, settings: Settings, endpoints: Endpoints, stack: ExitStack, pools: "SessionPools | None" = None
    ) -> None:
        """`pools` are those of another account in this process, which is open for longer."""
        self.settings = settings
        self.endpoints = endpoints
        self._stack = stack
        self._shared_pools = pools
        self._has_schema = False
        self._schema_guard = Lock()

    @cached_property
    def pools(self) -> "SessionPools":
        """Connections to PostgreSQL, which several accounts may share."""
        from calcom_pipeline.adapters.postgres.pool import SessionPools

        return self._shared_pools or self._stack.enter_context(SessionPools())

    @cached_property
    def database(self) -> "Database":
        """This account's schema in PostgreSQL; see `require_schema`."""
        from calcom_pipeline.adapters.postgres.database import Database

        bounds = database_bounds(self.settings)
        return Database(self.pools.pool(self.endpoints.database_url, bounds), self.settings.schema_name, bounds)

    @cached_property
    def redis(self) -> "RedisClient":
        """The Redis client."""
        from calcom_pipeline.adapters.redis.connection import RedisBounds, open_redis

        bounds = RedisBounds(self.settings.redis_seconds, self.settings.redis_pause_seconds)
        return self._stack.enter_context(open_redis(self.endpoints.redis_url, bounds, greet=self.epoch.greet))

    def soon_redis(self) -> "SoonConnection":
        """A connection of the running event loop."""
        from calcom_pipeline.adapters.redis.connection import RedisBounds
        from calcom_pipeline.adapters.redis.soon import SoonConnection

        bounds = RedisBounds(self.settings.redis_seconds, self.settings.redis_pause_seconds)
        return SoonConnection(self.endpoints.redis_url, bounds, greet=self.epoch.greet_soon)

    def request_budget(self) -> "AbstractAsyncContextManager[RequestBudget]":
        """What callers of the HTTP API have left, for the running event loop, as long as the block."""
        from calcom_pipeline.adapters.redis.request_budget import open_request_budget

        return open_request_budget(self.soon_redis(), prefix=self.settings.redis_prefix)

    @cached_property
    def epoch(self) -> "Epoch":
        """What tells whether Redis may have lost something."""
        from calcom_pipeline.adapters.redis.availability.epoch import Epoch

        return Epoch(prefix=self.settings.redis_prefix, settle_seconds=self.settings.slot_settle_seconds)

    @cached_property
    def limits(self) -> LimitGroup:
        """The limiter and the circuits, shared by all processes that use the API key."""
        return LimitGroup(self.settings, self.redis)

    @cached_property
    def calcom(self) -> "CalcomClient":
        """The client of Cal.com: limiter and breaker before every request, a row of `api_calls` behind it.

        Raises:
            ConfigurationError: these settings are those of no account.
        """
        from calcom_pipeline.adapters.calcom.client import open_calcom
        from calcom_pipeline.adapters.postgres.call_ledger import recording_calls

        if self.endpoints.api_key is None:
            raise ConfigurationError(
                ["Several accounts are described here, and none is named"], advice="Set CALCOM_ACCOUNT to one of them."
            )

        recorder = self._stack.enter_context(recording_calls(self.database))
        return self._stack.enter_context(
            open_calcom(
                base_url=self.endpoints.base_url,
                api_key=self.endpoints.api_key,
                limiter=self.limits.limiter,
                breaker=self.limits.breaker,
                client=client_options(self.settings),
                transport=transport_options(self.settings, [recorder]),
            )
        )

    def require_schema(self) -> "Database":
        """The database with the schema of this release: made if there is none, never upgraded unasked elsewhere.

        Raises:
            SchemaOutdated: `calcom-pipeline migrate` is due.
            StoreError: PostgreSQL cannot be asked.
        """
        from calcom_pipeline.adapters.postgres.migrations import migrate, require_current, shipped_migrations

        with self._schema_guard:  # its threads make it once
            if not self._has_schema:
                migrations = shipped_migrations()
                if self.endpoints.embedded_database or not require_current(self.database, migrations):
                    migrate(self.database, migrations)
                self._has_schema = True
        return self.database
