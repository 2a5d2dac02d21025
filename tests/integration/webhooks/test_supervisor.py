"""Subscriptions at a real API: made, repaired after somebody touched them, rotated while bookings come in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest
import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.webhooks.subscriptions import PostgresSubscriptions
from calcom_pipeline.adapters.webhook_receiver import HttpReceiver
from calcom_pipeline.app.webhooks.rotate import rotate
from calcom_pipeline.app.webhooks.supervise import Supervised, SupervisorRules, supervise
from calcom_pipeline.domain.bookings.requests import BookingRules, booking_request
from calcom_pipeline.domain.errors import ConfigurationError, Unauthorized
from calcom_pipeline.domain.webhooks.models import NewWebhook, Webhook, WebhookScope
from calcom_pipeline.domain.webhooks.subscriptions import WantedSubscription
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.captured import NOW, account, calcom, captured
from tests.support.clients import client_of
from tests.support.hook_receiver import hook_receiver

__all__ = ["account", "calcom", "captured"]  # fixtures

SUPPORT = 301
USER, COLLECTIVE, ROUND_ROBIN = WebhookScope(), WebhookScope(9, SUPPORT), WebhookScope(8, SUPPORT)
SCOPES = [USER, ROUND_ROBIN, COLLECTIVE]
WANTED = WantedSubscription("https://hooks.example.com/calcom", "secret-of-the-hook")
WRITING, SHOWING = SupervisorRules(may_write=True), SupervisorRules(may_write=False)
STRANGER = NewWebhook("https://stranger.example.com/hook", ("BOOKING_CREATED",), "their-secret")


@pytest.fixture
def store(database: Database) -> PostgresSubscriptions:
    return PostgresSubscriptions(database)


@pytest.fixture
def made(calcom: CalcomClient, store: PostgresSubscriptions) -> dict[WebhookScope, Webhook]:
    """A subscription per scope, as the supervisor makes them."""
    look(calcom, store)
    return {scope: listed(calcom, scope)[0] for scope in SCOPES}


def look(
    calcom: CalcomClient,
    store: PostgresSubscriptions,
    wanted: WantedSubscription = WANTED,
    rules: SupervisorRules = WRITING,
    scopes: list[WebhookScope] = SCOPES,
    at: datetime = NOW,
) -> Supervised:
    return supervise(calcom, store, scopes, wanted, rules=rules, now=lambda: at)


def listed(calcom: CalcomClient, scope: WebhookScope, url: str = WANTED.url) -> list[Webhook]:
    return [one for one in calcom.list_webhooks(scope) if one.url == url]


def writes(account: RunningSandbox) -> list[str]:
    return [r["endpoint"] for r in account.control.requests(1000) if not r["endpoint"].startswith("GET")]


# --- ensure --------------------------------------------------------------------------------------------------


def test_every_scope_gets_one_subscription_and_the_second_look_writes_nothing(
    calcom: CalcomClient, store: PostgresSubscriptions, account: RunningSandbox
):
    first = look(calcom, store)
    assert [(r.scope, r.done, r.state) for r in first.results] == [(s, ("create",), "right") for s in SCOPES]
    before = writes(account)
    later = NOW + timedelta(minutes=15)
    second = look(calcom, store, at=later)
    assert (second.written, second.number("right"), writes(account)) == (0, 3, before)
    assert [(k.state, k.since, k.checked_at) for k in store.known()] == [("right", NOW, later)] * 3


def test_nothing_is_written_unless_the_operator_allows_it(
    calcom: CalcomClient, store: PostgresSubscriptions, account: RunningSandbox
):
    found = look(calcom, store, rules=SHOWING)
    assert [(r.state, r.planned, r.done) for r in found.results] == [("wrong", ("create",), ())] * 3
    assert writes(account) == []
    assert {k.since for k in store.known()} == {None}


@pytest.mark.parametrize("scope", SCOPES, ids=str)
@pytest.mark.parametrize("touched", ["deleted", "edited", "switched off", "other secret"])
def test_what_somebody_touched_is_repaired(
    calcom: CalcomClient, store: PostgresSubscriptions, made: dict[WebhookScope, Webhook], scope: WebhookScope, touched
):
    right, one = WANTED.as_new(), made[scope]
    if touched == "deleted":
        calcom.delete_webhook(one.id, scope)
    edited = {
        "edited": replace(right, url="https://elsewhere.example.com", triggers=("BOOKING_CREATED",)),
        "switched off": replace(right, active=False),
        "other secret": replace(right, secret="guessed-by-somebody"),
    }
    if touched in edited:
        calcom.update_webhook(one.id, edited[touched], scope)
    found = look(calcom, store, at=NOW + timedelta(minutes=1))
    assert [r.scope for r in found.results if r.done] == [scope]
    (repaired,) = calcom.list_webhooks(scope)
    assert (repaired.url, repaired.triggers, repaired.active, repaired.secret) == (
        right.url,
        right.triggers,
        True,
        right.secret,
    )
    since = {k.scope: k.since for k in store.known()}
    assert since[scope] == NOW + timedelta(minutes=1)  # what was lost before is not held against the deliveries


def test_a_second_one_of_ours_goes_and_strangers_stay(
    calcom: CalcomClient, store: PostgresSubscriptions, made: dict[WebhookScope, Webhook]
):
    calcom.create_webhook(STRANGER)
    calcom.create_webhook(replace(WANTED.as_new(), url=WANTED.url + "/"))
    found = look(calcom, store)
    assert found.results[0].done == ("remove",)
    assert {one.url for one in calcom.list_webhooks()} == {WANTED.url, STRANGER.url}


def test_a_new_address_takes_the_old_one_along(
    calcom: CalcomClient, store: PostgresSubscriptions, made: dict[WebhookScope, Webhook]
):
    moved = replace(WANTED, url="https://new.example.com/calcom")
    assert look(calcom, store, moved).written == 3
    assert [one.id for one in listed(calcom, COLLECTIVE, moved.url)] == [made[COLLECTIVE].id]
    assert not listed(calcom, COLLECTIVE)


def test_a_scope_that_is_not_wanted_any_more_is_let_go_and_one_that_went_with_its_type_is_forgotten(
    calcom: CalcomClient, store: PostgresSubscriptions, made: dict[WebhookScope, Webhook]
):
    store.keep(replace(store.known()[0], scope=WebhookScope(999_999, SUPPORT)))
    look(calcom, store, scopes=[USER, ROUND_ROBIN])
    assert not calcom.list_webhooks(COLLECTIVE)
    assert {k.scope for k in store.known()} == {USER, ROUND_ROBIN}


def test_a_create_that_was_not_answered_is_not_repeated(
    calcom: CalcomClient, store: PostgresSubscriptions, account: RunningSandbox
):
    account.control.add_fault("reset_after", "POST /v2/webhooks", count=1)
    assert look(calcom, store).number("right") == 3
    assert len(calcom.list_webhooks()) == 1


def test_where_the_key_may_not_look_the_others_are_seen_to(
    account: RunningSandbox, store: PostgresSubscriptions, redis_client: redis.Redis
):
    """Bob is a member of the team, no admin."""
    with client_of(account.url, account.keys["bob"], redis_client) as bob:
        found = look(bob, store)
    assert [(r.state, r.reason.code) for r in found.results] == [
        ("right", "webhook_missing"),
        ("failed", "webhook_forbidden"),
        ("failed", "webhook_forbidden"),
    ]


def test_a_key_that_is_refused_is_no_result_of_a_scope(
    account: RunningSandbox, store: PostgresSubscriptions, redis_client: redis.Redis
):
    wrong = "cal_nobody00000000000000000000000000"
    with client_of(account.url, wrong, redis_client) as nobody, pytest.raises(Unauthorized):
        look(nobody, store)


def test_a_cal_com_that_is_away_stops_the_look_and_says_so(
    calcom: CalcomClient, store: PostgresSubscriptions, account: RunningSandbox
):
    account.control.add_fault("reset_before", "GET /v2/teams/{teamId}/event-types/{eventTypeId}/webhooks")
    found = look(calcom, store)
    assert ([r.scope for r in found.results], found.waiting) == ([USER], (ROUND_ROBIN, COLLECTIVE))
    assert found.waiting_for is not None
    assert found.waiting_for.code == "webhook_stopped"


def test_a_run_looks_at_no_more_scopes_than_it_may_and_the_next_goes_on_with_the_others(
    calcom: CalcomClient, store: PostgresSubscriptions
):
    few = replace(WRITING, most_scopes=2)
    first, second = look(calcom, store, rules=few), look(calcom, store, rules=few, at=NOW + timedelta(minutes=1))
    third = look(calcom, store, rules=few, at=NOW + timedelta(minutes=2))
    assert [[r.scope for r in found.results] for found in (first, second, third)] == [
        [USER, ROUND_ROBIN],
        [USER, COLLECTIVE],
        [USER, ROUND_ROBIN],
    ]
    assert first.waiting == (COLLECTIVE,)


# --- rotate --------------------------------------------------------------------------------------------------


def rotated(calcom: CalcomClient, store: PostgresSubscriptions, wanted: WantedSubscription, *, may_write: bool = True):
    receiver = HttpReceiver(wanted.url, seconds=2)
    return rotate(calcom, store, receiver, SCOPES, wanted, may_write=may_write, now=lambda: datetime.now(UTC))


def test_a_rotation_while_bookings_come_in_loses_no_delivery(calcom: CalcomClient, store: PostgresSubscriptions):
    """The order: the receiver takes both, each subscription is changed in place, then the old secret goes."""
    with hook_receiver("the-old-secret") as receiver:
        old = WantedSubscription(receiver.url, "the-old-secret")
        look(calcom, store, old)
        receiver.secrets.add("the-new-secret")
        wanted = replace(old, secret="the-new-secret", previous=("the-old-secret",))
        booked: list[str] = []
        one_is_booked, enough = Event(), Event()

        def book_on() -> None:
            start = datetime(2026, 12, 7, 8, tzinfo=UTC)
            while not enough.is_set():
                details = {"eventTypeId": 2, "start": start.isoformat(), "name": "Carol", "timeZone": "Europe/Berlin"}
                request = booking_request(details | {"email": "carol@example.org"}, BookingRules(now=NOW))
                booked.append(calcom.create_booking(request).booking.uid)
                one_is_booked.set()
                start += (
                    timedelta(hours=1)
                    if start.hour < 14
                    else timedelta(days=3 if start.weekday() == 4 else 1, hours=-6)
                )

        busy = Thread(target=book_on)
        busy.start()
        try:
            assert one_is_booked.wait(10)
            assert look(calcom, store, wanted).rotation_due == 3  # a look alone rotates nothing
            assert rotated(calcom, store, wanted).is_over
            one_is_booked.clear()
            assert one_is_booked.wait(10)
        finally:
            enough.set()
            busy.join()
        receiver.secrets.remove("the-old-secret")
        assert look(calcom, store, replace(wanted, previous=())).written == 0
        named = {body["payload"].get("uid") for body in receiver.taken}
        assert set(booked) <= named
        assert receiver.refused == []


@pytest.mark.parametrize(
    ("takes", "code"),
    [("the-old-secret", "webhook_new_secret_refused"), ("the-new-secret", "webhook_old_secret_refused")],
)
def test_nothing_is_changed_before_the_receiver_takes_both(
    calcom: CalcomClient, store: PostgresSubscriptions, takes: str, code: str
):
    with hook_receiver(takes) as receiver:
        old = WantedSubscription(receiver.url, "the-old-secret")
        look(calcom, store, old)
        done = rotated(calcom, store, replace(old, secret="the-new-secret", previous=("the-old-secret",)))
    assert (done.refused.code, done.changed) == (code, None)
    assert {one.secret for scope in SCOPES for one in calcom.list_webhooks(scope)} == {"the-old-secret"}


def test_a_receiver_that_is_away_takes_nothing():
    assert not HttpReceiver("http://127.0.0.1:9/hook", seconds=1).takes("any-secret", now=NOW)


def test_a_rotation_without_a_previous_secret_is_refused(calcom: CalcomClient, store: PostgresSubscriptions):
    with pytest.raises(ConfigurationError, match="CALCOM_WEBHOOK_PREVIOUS_SECRET"):
        rotated(calcom, store, WANTED)
