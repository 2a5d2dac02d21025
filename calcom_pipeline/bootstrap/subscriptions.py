"""Webhook subscriptions at Cal.com, and whether their deliveries arrive."""

from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import Settings, split_secrets

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.webhooks.subscriptions import PostgresSubscriptions
    from calcom_pipeline.adapters.webhook_receiver import HttpReceiver
    from calcom_pipeline.app.webhooks.supervise import SupervisorRules
    from calcom_pipeline.domain.webhooks.models import WebhookScope
    from calcom_pipeline.domain.webhooks.subscriptions import Wanted


class SubscriptionGroup:
    """What use cases about subscriptions work with."""

    def __init__(self, settings: Settings, database: "Database", *, is_sandbox: bool) -> None:
        self._settings = settings
        self._database = database
        self._is_sandbox = is_sandbox

    @property
    def is_wanted(self) -> bool:
        """Whether there is an address to subscribe."""
        return self._settings.webhook_url is not None

    @property
    def may_write(self) -> bool:
        """Whether Cal.com's subscriptions may be changed unasked: on the sandbox, elsewhere only when told so."""
        told = self._settings.webhook_apply or self._settings.apply
        return (told or ("auto" if self._is_sandbox else "plan")) == "auto"

    @property
    def wanted(self) -> "Wanted":
        """How each subscription should be.

        Raises:
            ConfigurationError: there is no address or no secret.
        """
        from calcom_pipeline.domain.webhooks.subscriptions import BOOKING_TRIGGERS, Wanted

        s = self._settings
        if s.webhook_url is None or s.webhook_secret is None:
            advice = "Set CALCOM_WEBHOOK_URL to the receiver's public address, and CALCOM_WEBHOOK_SECRET."
            raise ConfigurationError(["No address is named that Cal.com should call"], advice=advice)
        previous = split_secrets(s.webhook_previous_secrets.get_secret_value()) if s.webhook_previous_secrets else ()
        return Wanted(
            s.webhook_url,
            s.webhook_secret.get_secret_value(),
            s.webhook_triggers or BOOKING_TRIGGERS,
            previous,
        )

    def rules(self, *, may_write: bool | None = None) -> "SupervisorRules":
        """How they are looked after; `may_write` is a person's word, and wins."""
        from calcom_pipeline.app.webhooks.supervise import SupervisorRules

        return SupervisorRules(self.may_write if may_write is None else may_write, most_scopes=self._settings.webhook_scopes)

    @property
    def scopes(self) -> "list[WebhookScope]":
        """The scopes there should be a subscription of: the user's and those of all mirrored event types of teams."""
        from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
        from calcom_pipeline.domain.webhooks.subscriptions import wanted_scopes

        return wanted_scopes(PostgresEventTypeMirror(self._database).present())

    @cached_property
    def store(self) -> "PostgresSubscriptions":
        """Which subscriptions we keep, and what was last found of each."""
        from calcom_pipeline.adapters.postgres.webhooks.subscriptions import PostgresSubscriptions

        return PostgresSubscriptions(self._database)

    @property
    def receiver(self) -> "HttpReceiver":
        """The receiver at its public address. Raises ConfigurationError where none is named."""
        from calcom_pipeline.adapters.webhook_receiver import HttpReceiver

        return HttpReceiver(self.wanted.url, seconds=self._settings.webhook_test_seconds)
