"""Webhook subscriptions at Cal.com: where it calls, for what, and whose they are. Fact sheet section 7."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WebhookScope:
    """Whose subscriptions: the key's own user's, or those of one event type (of a team, if `team_id` names it)."""

    event_type_id: int | None = None
    team_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A subscription to be made. A URL can be subscribed once per scope."""

    url: str
    triggers: tuple[str, ...]
    secret: str = field(repr=False)
    active: bool = True


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription as Cal.com shows it, its secret included; a subscription without one is signed by nobody."""

    id: str
    url: str
    triggers: tuple[str, ...]
    active: bool
    secret: str | None = field(default=None, repr=False)
