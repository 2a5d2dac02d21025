"""Hold what polling found against what was delivered, and say when polling is to look again."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from calcom_pipeline.app.webhooks.ports import DeliveryLookup, FindingStore, SubscriptionStore, SweepStore
from calcom_pipeline.app.webhooks.supervise import USER
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.webhooks.arrivals import Arrivals, LookRules, look_distance

_ASKED = 200  # changes in one measurement, a millisecond each: a sensor waits for it


@dataclass(frozen=True, slots=True)
class MeasureRules:
    """`arrival`: later than that after its change a delivery is late; `window`: how far back changes are counted.

    `tolerance`: a delivery may have been sent so long before its change by Cal.com's clock, or ours may differ.
    """

    arrival: timedelta
    window: timedelta
    tolerance: timedelta


def measure(findings: FindingStore, deliveries: DeliveryLookup, *, rules: MeasureRules, now: datetime) -> Arrivals:
    """Note what changed, ask which of it was delivered, count. A delivery that comes late is counted once it is there.

    A cancellation is sent before the booking's row changes (fact sheet 7.5), hence the tolerance.
    """
    since, before = now - rules.window, now - rules.arrival
    findings.note(since=since, now=now)
    for change in findings.unnamed(since=since, before=before, limit=_ASKED):
        arrived_at = deliveries.seen(change.uid, change.happened_at - rules.tolerance)
        if arrived_at is not None:
            findings.named(change, arrived_at)
    return findings.arrivals(since=since, before=before)


@dataclass(frozen=True, slots=True)
class SweepRules:
    """When polling looks again."""

    looks: LookRules
    measure: MeasureRules


def no_look_yet(
    sweep: SweepStore,
    subscriptions: SubscriptionStore,
    findings: FindingStore,
    deliveries: DeliveryLookup | None,
    *,
    rules: SweepRules,
    now: datetime,
) -> Reason | None:
    """Why polling need not look yet; None when it is to look now. `deliveries`: None where none are taken in.

    The shortest distance is the caller's own, who comes that often.
    """
    last = sweep.looked_at()
    waited = None if last is None or last > now else now - last  # a clock that was set back waits for nobody
    if deliveries is None or waited is None or waited >= rules.looks.longest:
        return None
    arrivals = measure(findings, deliveries, rules=rules.measure, now=now)
    known = {found.scope: found.state for found in subscriptions.known()}
    subscribed = USER in known and all(state == "right" for state in known.values())
    distance, why = look_distance(arrivals, rules.looks, subscribed=subscribed)
    return why if waited < distance and distance > rules.looks.shortest else None
