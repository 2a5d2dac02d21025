"""Which subscriptions there should be, and what has to be done about those that are listed.

One per scope: the user's, and one of each event type of a team, for which the user's do not fire (fact sheet 7.5). Ours
are those of our address, however it is spelled, and those that we have made; all others are strangers', left alone.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.webhooks.models import PAYLOAD_VERSION, NewWebhook, Webhook, WebhookScope
from calcom_pipeline.domain.webhooks.triggers import BOOKING_TRIGGERS

SubscriptionStep = Literal["keep", "create", "change", "remove"]
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WantedSubscription:
    """How each subscription should be. `previous` are secrets that the receiver still takes while they are rotated."""

    url: str
    secret: str = field(repr=False)
    triggers: tuple[str, ...] = BOOKING_TRIGGERS
    previous: tuple[str, ...] = field(default=(), repr=False)

    def as_new(self, secret: str | None = None) -> NewWebhook:
        """The subscription, with another secret than the current one if it has to stay."""
        return NewWebhook(self.url, self.triggers, secret or self.secret)


@dataclass(frozen=True, slots=True)
class SubscriptionAction:
    """One thing to do about a scope. `webhook_id` is None for what is yet to be made, `set_to` for what is to go."""

    kind: SubscriptionStep
    reason: Reason
    webhook_id: str | None = None
    set_to: NewWebhook | None = field(default=None, repr=False)
    rotation_due: bool = False


def wanted_scopes(event_types: Iterable[EventType]) -> list[WebhookScope]:
    """The user's, and one per event type of a team, by id."""
    teams = sorted((e.id, e.owner.id) for e in event_types if e.owner.kind == "team")
    return [WebhookScope(), *(WebhookScope(event_type_id, team_id) for event_type_id, team_id in teams)]


def decide(
    listed: Sequence[Webhook], wanted: WantedSubscription, *, ours: Collection[str] = (), rotate: bool = False
) -> tuple[SubscriptionAction, ...]:
    """What to do about one scope, in this order: what stays is put right before anything is removed.

    A subscription that signs with one of the previous secrets is left to do so unless `rotate`: who may not be taking
    the new secret yet is the receiver, and it decides when.
    """
    own = [webhook for webhook in listed if webhook.id in ours or same_address(webhook.url, wanted.url)]
    if not own:
        return (SubscriptionAction("create", Reason("webhook_missing"), set_to=wanted.as_new()),)
    # Of one URL there is one per scope: what has it already goes first, since no other could be given it.
    kept = min(own, key=lambda webhook: (webhook.url != wanted.url, len(_wrong(webhook, wanted, rotate=rotate))))
    doubled = [SubscriptionAction("remove", Reason("webhook_doubled"), one.id) for one in own if one is not kept]
    return (_put_right(kept, wanted, rotate=rotate), *doubled)


def release(listed: Sequence[Webhook], *, ours: Collection[str]) -> tuple[SubscriptionAction, ...]:
    """What to do about a scope that is not wanted any more: only what we made ourselves goes."""
    return tuple(SubscriptionAction("remove", Reason("webhook_unwanted"), one.id) for one in listed if one.id in ours)


def same_address(one: str, other: str) -> bool:
    """Whether two addresses are the same but for their spelling: case of the host, default port, last slash."""
    return one == other or _address(one) == _address(other)


def _put_right(kept: Webhook, wanted: WantedSubscription, *, rotate: bool) -> SubscriptionAction:
    wrong = _wrong(kept, wanted, rotate=rotate)
    due = kept.secret in wanted.previous and not rotate
    if not wrong:
        reason = Reason("webhook_rotation_due") if due else Reason("webhook_right")
        return SubscriptionAction("keep", reason, kept.id, rotation_due=due)
    secret = kept.secret if due else None
    reason = Reason("webhook_differs", fields=", ".join(wrong))
    return SubscriptionAction("change", reason, kept.id, wanted.as_new(secret), rotation_due=due)


def _wrong(found: Webhook, wanted: WantedSubscription, *, rotate: bool) -> list[str]:
    """The names of what is not as it should be."""
    secrets = {wanted.secret} if rotate else {wanted.secret, *wanted.previous}
    right = {
        "url": found.url == wanted.url,
        "triggers": set(found.triggers) == set(wanted.triggers),
        "active": found.active,
        "secret": found.secret in secrets,
        "version": found.version in (None, PAYLOAD_VERSION),
        "template": not found.template,
    }
    return [name for name, is_right in right.items() if not is_right]


def _address(url: str) -> tuple[str, str, int | None, str, str] | str:
    """What two spellings of an address have in common; a text that is none is its own."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return url
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/"), parts.query
