"""Whether deliveries arrive, and how often polling looks because of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from calcom_pipeline.app.webhooks.measure import MeasureRules, SweepRules, measure, no_look_yet
from calcom_pipeline.app.webhooks.ports import KnownScope
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.webhooks.arrivals import Arrivals, Change, LookRules, look_distance
from calcom_pipeline.domain.webhooks.models import WebhookScope

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LOOKS = LookRules(shortest=30 * SECOND, longest=5 * MINUTE)
RULES = MeasureRules(arrival=2 * MINUTE, window=timedelta(hours=24), tolerance=MINUTE)
SUBSCRIBED = KnownScope(WebhookScope(), "right", Reason("webhook_right"), "w1", NOW - timedelta(days=2), NOW)


@dataclass
class FakeFindings:
    """Keeps changes in memory; `noted` is what the mirror shows."""

    noted: list[Change] = field(default_factory=list)
    named_at: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def note(self, *, since: datetime, now: datetime) -> int:
        del since, now
        return 0

    def unnamed(self, *, since: datetime, before: datetime, limit: int) -> Sequence[Change]:
        found = [c for c in self.noted if since < c.happened_at <= before and (c.uid, c.kind) not in self.named_at]
        return sorted(found, key=lambda c: c.happened_at, reverse=True)[:limit]

    def named(self, change: Change, at: datetime) -> None:
        self.named_at[change.uid, change.kind] = at

    def arrivals(self, *, since: datetime, before: datetime) -> Arrivals:
        lost = [c.happened_at for c in self.unnamed(since=since, before=before, limit=1000)]
        last = max(lost, default=None)
        named = [c for c in self.noted if since < c.happened_at <= before and (c.uid, c.kind) in self.named_at]
        return Arrivals(len(named), len(lost), sum(last is None or c.happened_at > last for c in named), last)


@dataclass
class FakeDeliveries:
    """What arrived: uid and when."""

    arrived: list[tuple[str, datetime]] = field(default_factory=list)

    def seen(self, uid: str, since: datetime) -> datetime | None:
        return min((at for named, at in self.arrived if named == uid and at >= since), default=None)


@dataclass
class FakeSubscriptions:
    found: list[KnownScope] = field(default_factory=lambda: [SUBSCRIBED])

    def known(self) -> Sequence[KnownScope]:
        return self.found

    def keep(self, found: KnownScope) -> None:
        self.found.append(found)

    def forget(self, scopes: Collection[WebhookScope]) -> None:
        self.found = [k for k in self.found if k.scope not in scopes]


@dataclass
class FakeSweep:
    at: datetime | None = None

    def looked_at(self) -> datetime | None:
        return self.at

    def looked(self, at: datetime) -> None:
        self.at = at


# --- the distance --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrivals", "subscribed", "seconds", "code"),
    [
        (Arrivals(), True, 30, "sweep_unproven"),
        (Arrivals(named=9, in_a_row=9), False, 30, "sweep_not_subscribed"),
        (Arrivals(named=1, in_a_row=1), True, 60, "sweep_proven"),
        (Arrivals(named=2, in_a_row=2), True, 120, "sweep_proven"),
        (Arrivals(named=3, in_a_row=3), True, 240, "sweep_proven"),
        (Arrivals(named=1_000_000, in_a_row=1_000_000), True, 300, "sweep_proven"),
        (Arrivals(named=50, lost=1, in_a_row=0), True, 30, "sweep_lost"),
        (Arrivals(named=50, lost=1, in_a_row=2), True, 120, "sweep_proven"),
        (Arrivals(lost=3), True, 30, "sweep_lost"),
    ],
)
def test_polling_looks_less_often_the_more_is_delivered_and_at_once_more_often_when_one_is_lost(
    arrivals: Arrivals, subscribed: bool, seconds: int, code: str
):
    distance, why = look_distance(arrivals, LOOKS, subscribed=subscribed)
    assert (distance, why.code) == (seconds * SECOND, code)


def test_a_longest_distance_below_the_shortest_is_no_longer_one():
    short = replace(LOOKS, longest=10 * SECOND)
    assert look_distance(Arrivals(named=5, in_a_row=5), short, subscribed=True)[0] == 30 * SECOND


@pytest.mark.parametrize(
    ("arrivals", "percent", "silent"),
    [(Arrivals(), 0, False), (Arrivals(3, 1), 25, False), (Arrivals(0, 2), 100, True), (Arrivals(2, 0), 0, False)],
)
def test_lost_share_and_silence(arrivals: Arrivals, percent: float, silent: bool):
    assert (arrivals.lost_percent, arrivals.are_silent) == (percent, silent)


# --- what was delivered --------------------------------------------------------------------------------------


def change(uid: str, minutes_ago: float) -> Change:
    return Change(uid, "created", NOW - minutes_ago * MINUTE)


@pytest.mark.parametrize(
    ("minutes_ago", "arrived_minutes_ago", "counts"),
    [
        (10, 10, (1, 0)),  # at once
        (10, 10.5, (1, 0)),  # a cancellation, before its row changed
        (10, 1, (1, 0)),  # late, but there
        (10, 12, (0, 1)),  # that was an earlier change of the booking
        (10, None, (0, 1)),
        (1, None, (0, 0)),  # too young to be judged
        (60 * 25, None, (0, 0)),  # too old to matter
    ],
)
def test_a_change_is_delivered_lost_or_not_judged(
    minutes_ago: float, arrived_minutes_ago: float | None, counts: tuple[int, int]
):
    findings = FakeFindings([change("a", minutes_ago)])
    arrived = [] if arrived_minutes_ago is None else [("a", NOW - arrived_minutes_ago * MINUTE)]
    found = measure(findings, FakeDeliveries([*arrived, ("other", NOW)]), rules=RULES, now=NOW)
    assert (found.named, found.lost) == counts


def test_a_delivery_that_comes_late_is_counted_once_it_is_there():
    findings, deliveries = FakeFindings([change("a", 10)]), FakeDeliveries()
    assert measure(findings, deliveries, rules=RULES, now=NOW).lost == 1
    deliveries.arrived.append(("a", NOW))
    found = measure(findings, deliveries, rules=RULES, now=NOW)
    assert (found.named, found.lost) == (1, 0)


# --- when polling looks --------------------------------------------------------------------------------------

DELIVERED = FakeFindings([change(f"{n}", n) for n in range(3, 9)], {(f"{n}", "created"): NOW for n in range(3, 9)})


def waits(
    looked_seconds_ago: float | None,
    *,
    findings: FakeFindings = DELIVERED,
    deliveries: FakeDeliveries | None = FakeDeliveries(),  # noqa: B008 - nobody writes to it
    subscriptions: FakeSubscriptions = FakeSubscriptions(),  # noqa: B008 - nobody writes to it
) -> str:
    sweep = FakeSweep(None if looked_seconds_ago is None else NOW - looked_seconds_ago * SECOND)
    rules = SweepRules(LOOKS, RULES)
    reason = no_look_yet(sweep, subscriptions, findings, deliveries, rules=rules, now=NOW)
    return reason.code if reason else ""


@pytest.mark.parametrize(
    ("looked_seconds_ago", "code"), [(None, ""), (30, "sweep_proven"), (299, "sweep_proven"), (300, ""), (-60, "")]
)
def test_while_everything_is_delivered_polling_waits_for_the_longest_distance(looked_seconds_ago, code: str):
    assert waits(looked_seconds_ago) == code


def test_one_lost_delivery_and_it_looks_whenever_it_may():
    assert waits(20, findings=FakeFindings([*DELIVERED.noted, change("lost", 2.5)], DELIVERED.named_at)) == ""


def test_where_nothing_is_taken_in_it_looks_as_ever():
    assert waits(20, deliveries=None) == ""


@pytest.mark.parametrize("known", [[], [replace(SUBSCRIBED, state="wrong")]])
def test_without_a_right_subscription_it_looks_as_ever(known: list[KnownScope]):
    assert waits(20, subscriptions=FakeSubscriptions(known)) == ""
