"""Webhook subscriptions at Cal.com, and whether their deliveries arrive."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.webhooks.arrivals import PostgresDeliveries, PostgresFindings, PostgresSweep
    from calcom_pipeline.adapters.postgres.webhooks.subscriptions import PostgresSubscriptions
    from calcom_pipeline.adapters.webhook_receiver import HttpReceiver
    from calcom_pipeline.app.webhooks.measure import MeasureRules
    from calcom_pipeline.app.webhooks.supervise import SupervisorRules
    from calcom_pipeline.domain.reasons import Reason
    from calcom_pipeline.domain.webhooks.arrivals import Arrivals
    from calcom_pipeline.domain.webhooks.models import WebhookScope
    from calcom_pipeline.domain.webhooks.subscriptions import WantedSubscription


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
        """Whether Cal.com's subscriptions may be changed unasked: on the sandbox, elsewhere only by a setting."""
        chosen_mode = self._settings.webhook_apply or self._settings.apply
        return (chosen_mode or ("auto" if self._is_sandbox else "plan")) == "auto"

    @property
    def wanted(self) -> "WantedSubscription":
        """How each subscription should be.

        Raises:
            ConfigurationError: there is no address or no secret.
        """
        from calcom_pipeline.domain.webhooks.subscriptions import WantedSubscription
        from calcom_pipeline.domain.webhooks.triggers import BOOKING_TRIGGERS

        s = self._settings
        if s.webhook_url is None or s.webhook_secret is None:
            advice = "Set CALCOM_WEBHOOK_URL to the receiver's public address, and CALCOM_WEBHOOK_SECRET."
            raise ConfigurationError(["No address is named that Cal.com should call"], advice=advice)
        previous = (s.webhook_previous_secret.get_secret_value(),) if s.webhook_previous_secret else ()
        return WantedSubscription(
            s.webhook_url,
            s.webhook_secret.get_secret_value(),
            s.webhook_triggers or BOOKING_TRIGGERS,
            previous,
        )

    def rules(self, *, may_write: bool | None = None) -> "SupervisorRules":
        """How they are looked after; `may_write` is a person's word, and wins."""
        from calcom_pipeline.app.webhooks.supervise import SupervisorRules

        return SupervisorRules(
            self.may_write if may_write is None else may_write, most_scopes=self._settings.webhook_scopes
        )

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

    # --- do deliveries arrive? -----------------------------------------------------------------------------------

    @cached_property
    def findings(self) -> "PostgresFindings":
        """Changes that a delivery has to name."""
        from calcom_pipeline.adapters.postgres.webhooks.arrivals import PostgresFindings

        return PostgresFindings(self._database)

    @property
    def deliveries(self) -> "PostgresDeliveries | None":
        """What was delivered; None where no subscription is wanted."""
        from calcom_pipeline.adapters.postgres.webhooks.arrivals import PostgresDeliveries

        return PostgresDeliveries(self._database) if self.is_wanted else None

    @property
    def measure_rules(self) -> "MeasureRules":
        """What counts as delivered."""
        from calcom_pipeline.app.webhooks.measure import MeasureRules

        s = self._settings
        return MeasureRules(
            arrival=timedelta(seconds=s.webhook_arrival_seconds),
            window=timedelta(hours=s.webhook_proof_hours),
            tolerance=timedelta(seconds=s.clock_tolerance_seconds),
        )

    def arrivals(self, now: datetime) -> "Arrivals | None":
        """Measured now; None where nothing is delivered here."""
        from calcom_pipeline.app.webhooks.measure import measure

        deliveries = self.deliveries
        return measure(self.findings, deliveries, rules=self.measure_rules, now=now) if deliveries else None

    @cached_property
    def sweep(self) -> "PostgresSweep":
        """When polling last looked."""
        from calcom_pipeline.adapters.postgres.webhooks.arrivals import PostgresSweep

        return PostgresSweep(self._database)

    def no_look_yet(self, now: datetime) -> "Reason | None":
        """Why polling need not look for changed bookings yet; None when it is to. `sweep.looked` notes that it did."""
        from calcom_pipeline.app.webhooks.measure import SweepRules, no_look_yet
        from calcom_pipeline.domain.webhooks.arrivals import LookRules

        s = self._settings
        looks = LookRules(timedelta(seconds=s.booking_look), timedelta(seconds=s.booking_longest_look_seconds))
        return no_look_yet(
            self.sweep,
            self.store,
            self.findings,
            self.deliveries,
            rules=SweepRules(looks, self.measure_rules),
            now=now,
        )
