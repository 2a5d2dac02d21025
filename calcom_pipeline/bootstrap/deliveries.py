"""Deliveries of webhooks: the inbox, the spool beside it, and who takes them in and deals with them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.bootstrap.connections import database_bounds
from calcom_pipeline.bootstrap.locations import Endpoints, data_folder
from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.delivery_spool import FileSpool
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.pool import SessionPools
    from calcom_pipeline.adapters.postgres.webhooks.inbox import PostgresInbox
    from calcom_pipeline.app.tasks import TaskThreads
    from calcom_pipeline.app.webhooks.drain import DrainRules
    from calcom_pipeline.app.webhooks.receive import Intake

_SPOOL = "webhook-spool"
_QUICK_CONNECT_SECONDS, _QUICK_ANSWER_SECONDS = 2, 1.0  # libpq knows no shorter time-out of a connection than two


class DeliveryGroup:
    """What use cases about deliveries work with."""

    def __init__(
        self,
        settings: Settings,
        endpoints: Endpoints,
        database: "Database",
        pools: "SessionPools",
    ) -> None:
        self._settings = settings
        self._endpoints = endpoints
        self._database = database
        self._pools = pools
        self._secrets = _secrets_of(settings)

    @cached_property
    def inbox(self) -> "PostgresInbox":
        """The table `webhook_inbox`."""
        return self._inbox_in(self._database)

    @cached_property
    def quick_inbox(self) -> "PostgresInbox":
        """The same for whoever has a request to answer: PostgreSQL is waited for a few seconds at most."""
        from calcom_pipeline.adapters.postgres.database import Database

        s = self._settings
        bounds = replace(
            database_bounds(s),
            connect_seconds=min(s.database_connect_seconds, _QUICK_CONNECT_SECONDS),
            answer_seconds=_QUICK_ANSWER_SECONDS,
            lock_seconds=s.webhook_store_seconds,
            write_seconds=s.webhook_store_seconds,
            attempts=1,
            pause_seconds=s.webhook_pause_seconds,
        )
        pool = self._pools.pool(self._endpoints.database_url, bounds)
        return self._inbox_in(Database(pool, s.schema_name, bounds))

    def _inbox_in(self, database: "Database") -> "PostgresInbox":
        from calcom_pipeline.adapters.postgres.bookings.privacy import load_pseudonyms
        from calcom_pipeline.adapters.postgres.webhooks.inbox import PostgresInbox
        from calcom_pipeline.domain.bookings.people import People

        policy, key = self._settings.attendee_policy, self._settings.privacy_key

        def people() -> "People":
            return People(policy, load_pseudonyms(database, key.get_secret_value().encode() if key else None))

        return PostgresInbox(database, policy, people)

    @cached_property
    def spool(self) -> "FileSpool":
        """The folder for deliveries while PostgreSQL is away; an account has its own."""
        from calcom_pipeline.adapters.delivery_spool import FileSpool

        s = self._settings
        root = s.webhook_spool_folder or data_folder(s) / _SPOOL
        return FileSpool(root.expanduser() / s.account, most_bytes=s.webhook_spool_megabytes * 1024 * 1024)

    def intake(self, taken: Callable[[], None] = lambda: None, *, threads: "TaskThreads | None" = None) -> "Intake":
        """Takes deliveries in, as long as it is entered; `taken` hears that the inbox has something new.

        It writes in one of these threads, or in one of its own.
        """
        from calcom_pipeline.adapters.observability.structured_log import event_logger
        from calcom_pipeline.app.webhooks.receive import Intake, IntakeOptions
        from calcom_pipeline.clock import utc_now

        s = self._settings
        log = event_logger("webhooks")
        options = IntakeOptions(
            secrets=self.secrets,
            window=timedelta(seconds=s.webhook_window_seconds),
            keeps_bodies=s.attendee_policy == "keep",
            pause_seconds=s.webhook_pause_seconds,
        )
        return Intake(
            self.quick_inbox,
            self.spool,
            options,
            now=utc_now,
            taken=taken,
            troubled=lambda why, lost: log.warning("deliveries_not_stored", account=s.account, why=why, lost=lost),
            threads=threads,
        )

    def secrets(self) -> Sequence[bytes]:
        """What Cal.com may sign with now: the secret, and the one before it while it is rotated."""
        return self._secrets

    def renew_secrets(self, settings: Settings) -> None:
        """Take those of these settings from now on, for deliveries that are judged later."""
        self._secrets = _secrets_of(settings)

    @property
    def drain_rules(self) -> "DrainRules":
        """How deliveries are dealt with."""
        from calcom_pipeline.app.webhooks.drain import DrainRules

        s = self._settings
        return DrainRules(
            batch=s.webhook_batch,
            lease=timedelta(seconds=s.webhook_lease_seconds),
            attempts=s.webhook_attempts,
            patience=timedelta(seconds=s.webhook_patience_seconds),
        )


def _secrets_of(s: Settings) -> Sequence[bytes]:
    known = [secret.get_secret_value() for secret in (s.webhook_secret, s.webhook_previous_secret) if secret]
    return tuple(secret.encode() for secret in known if secret)
