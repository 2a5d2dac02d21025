"""Who the key is, what it may see, and its webhook subscriptions."""

import pytest
import redis
import requests

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.domain.errors import Conflict, NotFound, OutcomeUnknown, Unauthorized
from calcom_pipeline.domain.webhooks.models import NewWebhook, WebhookScope
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.captured import account, calcom, captured
from tests.support.clients import client_of

__all__ = ["account", "calcom", "captured"]  # fixtures

SUPPORT = 301
HOOK = NewWebhook("https://hooks.example.com/calcom", ("BOOKING_CREATED", "BOOKING_CANCELLED"), "secret-of-the-hook")
SCOPES = [WebhookScope(), WebhookScope(event_type_id=3), WebhookScope(event_type_id=9, team_id=SUPPORT)]


# --- the account ---------------------------------------------------------------------------------------------


def test_the_account_its_teams_and_its_schedules_are_read(calcom: CalcomClient):
    me = calcom.me()
    assert (me.user_id, me.username, me.time_zone) == (101, "alice", "Europe/Berlin")
    assert [(team.id, team.slug) for team in calcom.teams()] == [(SUPPORT, "support")]
    assert [(schedule.time_zone, schedule.is_default) for schedule in calcom.schedules()] == [("Europe/Berlin", True)]


@pytest.mark.parametrize(("key", "role"), [("alice", "OWNER"), ("bob", "")], ids=["owner", "member"])
def test_the_role_in_a_team_is_read_or_empty_where_memberships_cannot_be_seen(
    account: RunningSandbox, redis_client: redis.Redis, key: str, role: str
):
    with client_of(account.url, account.keys[key], redis_client) as calcom:
        assert calcom.role_in(SUPPORT) == role
        assert calcom.role_in(999) == ""


def test_what_does_not_change_is_asked_for_once_while_a_client_is_open(calcom: CalcomClient, account: RunningSandbox):
    first = calcom.list_personal()
    assert calcom.in_lane("warm").list_personal() == first
    assert first[0].schedule_zone == "Europe/Berlin"
    asked = [request["endpoint"] for request in account.control.requests(100)]
    assert (asked.count("GET /v2/me"), asked.count("GET /v2/schedules")) == (1, 1)


# --- subscriptions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES, ids=["user", "event type", "team event type"])
def test_a_subscription_is_made_listed_changed_and_ended(calcom: CalcomClient, scope: WebhookScope):
    made = calcom.create_webhook(HOOK, scope)
    assert (made.url, made.triggers, made.active, made.secret) == (HOOK.url, HOOK.triggers, True, HOOK.secret)
    assert list(calcom.list_webhooks(scope)) == [made]
    quiet = NewWebhook(HOOK.url, ("BOOKING_CREATED",), "another", active=False)
    changed = calcom.update_webhook(made.id, quiet, scope)
    assert (changed.id, changed.triggers, changed.active, changed.secret) == (made.id, quiet.triggers, False, "another")
    calcom.delete_webhook(made.id, scope)
    assert not calcom.list_webhooks(scope)


def test_ending_a_subscription_that_is_gone_is_no_error(calcom: CalcomClient):
    calcom.delete_webhook("327e7bc3-098e-4eed-bb70-0015b39577df")


def test_a_url_is_subscribed_once(calcom: CalcomClient):
    calcom.create_webhook(HOOK)
    with pytest.raises(Conflict):
        calcom.create_webhook(HOOK)
    assert len(calcom.list_webhooks()) == 1


def test_a_subscription_of_somebody_else_is_out_of_reach(
    calcom: CalcomClient, account: RunningSandbox, redis_client: redis.Redis
):
    theirs = calcom.create_webhook(HOOK)
    with client_of(account.url, account.keys["bob"], redis_client) as bob, pytest.raises((Unauthorized, NotFound)):
        bob.update_webhook(theirs.id, HOOK)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("fail_after_create", {"status": 500}),
        ("reset_after", {}),
        ("truncate", {}),
        ("reset_before", {}),
        ("error", {"status": 502}),
        ("latency", {"seconds": 1.3}),
    ],
)
def test_a_doubtful_subscription_is_made_exactly_once(
    calcom: CalcomClient, account: RunningSandbox, kind: str, fields: dict
):
    account.control.add_fault(kind, "POST /v2/webhooks", count=1, **fields)
    made = calcom.create_webhook(HOOK)
    assert list(calcom.list_webhooks()) == [made]


def test_an_older_subscription_that_is_found_after_a_doubt_is_made_what_it_should_be(
    calcom: CalcomClient, account: RunningSandbox
):
    old = calcom.create_webhook(NewWebhook(HOOK.url, ("BOOKING_CREATED",), "forgotten", active=False))
    account.control.add_fault("error", "POST /v2/webhooks", count=1, status=502)
    made = calcom.create_webhook(HOOK)
    assert (made.id, made.triggers, made.active, made.secret) == (old.id, HOOK.triggers, True, HOOK.secret)


def test_when_subscriptions_cannot_be_listed_nobody_claims_to_know(calcom: CalcomClient, account: RunningSandbox):
    account.control.add_fault("reset_after", "POST /v2/webhooks", count=1)
    account.control.add_fault("error", "GET /v2/webhooks", status=500)
    with pytest.raises(OutcomeUnknown) as raised:
        calcom.create_webhook(HOOK)
    assert raised.value.key == HOOK.url


def test_more_subscriptions_than_a_page_holds_are_all_listed(calcom: CalcomClient, account: RunningSandbox):
    headers = {"Authorization": f"Bearer {account.keys['alice']}"}
    with requests.Session() as session:
        for number in range(251):
            body = {"active": False, "subscriberUrl": f"https://h.example.com/{number}", "triggers": [], "secret": "s"}
            session.post(account.url + "/webhooks", json=body, headers=headers, timeout=5).raise_for_status()
    assert len({webhook.id for webhook in calcom.list_webhooks()}) == 251
