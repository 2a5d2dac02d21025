"""Rotate the secret without losing a delivery.

1. The receiver gets the new secret beside the old one, which becomes a previous one (two settings, SIGHUP).
2. It is proven here that the receiver takes both, by test deliveries; otherwise nothing is changed.
3. Each scope's subscription is changed in place, so at no moment is there none, and none is doubled. What Cal.com signs
   meanwhile, with whichever of the two, is taken.
4. All scopes are listed again: none signs with a previous secret any more.
5. The receiver is relieved of the previous secret once what was under way has arrived (`SETTLING`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from calcom_pipeline.app.calls import Progress
from calcom_pipeline.app.webhooks.ports import Receiver, SubscriptionStore, WebhookApi
from calcom_pipeline.app.webhooks.supervise import Supervised, SupervisorRules, supervise
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.reasons import NO_REASON, Reason
from calcom_pipeline.domain.webhooks.models import WebhookScope
from calcom_pipeline.domain.webhooks.subscriptions import WantedSubscription

#: Cal.com reads a subscription's secret at the beginning of a booking's request, which a slow receiver holds up 20 s.
SETTLING = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation came to. `refused` says why nothing was changed. `is_over`: no scope signs with an old secret."""

    changed: Supervised | None = None
    refused: Reason = NO_REASON
    is_over: bool = False


def rotate(
    calcom: WebhookApi,
    store: SubscriptionStore,
    receiver: Receiver,
    scopes: Sequence[WebhookScope],
    wanted: WantedSubscription,
    *,
    may_write: bool,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> Rotated:
    """Steps 2 to 4 above, over all scopes. Done again it changes nothing.

    Raises:
        ConfigurationError: no previous secret is named, so what is signed with it would be refused.
        Unauthorized, StoreError: as `supervise`.
    """
    if not wanted.previous:
        advice = "Set CALCOM_WEBHOOK_SECRET to the new secret, name the old one there, restart the receiver."
        raise ConfigurationError(["CALCOM_WEBHOOK_PREVIOUS_SECRET names no secret to rotate from"], advice=advice)
    if not receiver.takes(wanted.secret, now=now()):
        return Rotated(refused=Reason("webhook_new_secret_refused"))
    if not all(receiver.takes(secret, now=now()) for secret in wanted.previous):
        return Rotated(refused=Reason("webhook_old_secret_refused"))
    everything = len(scopes) + len(store.known())
    rules = SupervisorRules(may_write, rotate=True, most_scopes=everything)
    changed = supervise(calcom, store, scopes, wanted, rules=rules, now=now, progress=progress)
    if not may_write:
        return Rotated(changed)
    looked = supervise(calcom, store, scopes, wanted, rules=replace(rules, may_write=False), now=now, progress=progress)
    return Rotated(changed, is_over=_is_over(looked, store))


def _is_over(looked: Supervised, store: SubscriptionStore) -> bool:
    """Nothing is left to do or to look at. Where the key may not look, nothing of ours can sign with anything."""
    ours = {known.scope for known in store.known() if known.webhook_id}
    unseen = [r for r in looked.results if r.state == "failed" and r.scope in ours]
    return not (looked.number("wrong") or unseen or looked.waiting)
