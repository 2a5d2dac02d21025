"""What use cases need of webhook subscriptions and of what is delivered."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.webhooks.arrivals import Arrivals, Change
from calcom_pipeline.domain.webhooks.models import NewWebhook, Webhook, WebhookScope

#: right: as it should be; wrong: something is to be done; failed: it could not be done, or not be looked at.
ScopeState = Literal["right", "wrong", "failed"]


class WebhookApi(Protocol):
    """Webhook subscriptions, of the key's own user or of an event type."""

    def list_webhooks(self, scope: WebhookScope = ...) -> Listed[Webhook]:
        """All subscriptions of a scope."""
        ...

    def create_webhook(self, webhook: NewWebhook, scope: WebhookScope = ...) -> Webhook:
        """Subscribe, exactly once. Raises Conflict when the URL is subscribed already."""
        ...

    def update_webhook(self, webhook_id: str, webhook: NewWebhook, scope: WebhookScope = ...) -> Webhook:
        """Make a subscription what it should be. Raises NotFound when it is gone."""
        ...

    def delete_webhook(self, webhook_id: str, scope: WebhookScope = ...) -> None:
        """Unsubscribe; a subscription that is gone already is no error."""
        ...


@dataclass(frozen=True, slots=True)
class KnownScope:
    """What is known of a scope. `since`: deliveries can be expected from then on; None while it is not right. UTC."""

    scope: WebhookScope
    state: ScopeState
    reason: Reason
    webhook_id: str | None
    since: datetime | None
    checked_at: datetime


class SubscriptionStore(Protocol):
    """The table `webhook_scopes`: which subscriptions we keep, and what was last found of each."""

    def known(self) -> Sequence[KnownScope]:
        """All of them."""
        ...

    def keep(self, found: KnownScope) -> None:
        """Note what was found of a scope."""
        ...

    def forget(self, scopes: Collection[WebhookScope]) -> None:
        """Scopes that are not wanted any more, and of which nothing of ours is left."""
        ...


class Receiver(Protocol):
    """The receiver of deliveries, as Cal.com sees it: at its public address."""

    def takes(self, secret: str, *, now: datetime) -> bool:
        """Whether it accepts a test delivery (`PING`) that is signed with this secret; False if it is away, too."""
        ...


class DeliveryLookup(Protocol):
    """What the receiver has accepted."""

    def seen(self, uid: str, since: datetime) -> datetime | None:
        """When the first delivery since then arrived that names this booking, as the one before a move, too."""
        ...


class FindingStore(Protocol):
    """What changed at Cal.com and has to be named by a delivery, as far as the mirror of bookings shows it."""

    def note(self, *, since: datetime, now: datetime) -> int:
        """Note the changes of that time that have to fire a trigger where we are subscribed; how many are new."""
        ...

    def unnamed(self, *, since: datetime, before: datetime, limit: int) -> Sequence[Change]:
        """Changes of that time that no delivery is known to name, newest first."""
        ...

    def named(self, change: Change, at: datetime) -> None:
        """A delivery that arrived then names it."""
        ...

    def arrivals(self, *, since: datetime, before: datetime) -> Arrivals:
        """How many changes of that time were named."""
        ...


class SweepStore(Protocol):
    """When polling last looked for changed bookings."""

    def looked_at(self) -> datetime | None:
        """UTC; None before the first look."""
        ...

    def looked(self, at: datetime) -> None:
        """It looks now."""
        ...
