"""What has to be done about the subscriptions that Cal.com lists."""

from dataclasses import replace

import pytest

from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.webhooks.models import Webhook, WebhookScope
from calcom_pipeline.domain.webhooks.subscriptions import (
    WantedSubscription,
    decide,
    release,
    same_address,
    wanted_scopes,
)
from calcom_pipeline.domain.webhooks.triggers import BOOKING_TRIGGERS

URL = "https://hooks.example.com/calcom"
WANTED = WantedSubscription(URL, "the-new-secret", previous=("the-old-secret",))
RIGHT = Webhook("w1", URL, BOOKING_TRIGGERS, active=True, secret="the-new-secret")


def done(*listed: Webhook, ours: frozenset[str] = frozenset(), rotate: bool = False) -> list[tuple[str, str | None]]:
    return [(a.kind, a.webhook_id) for a in decide(listed, WANTED, ours=ours, rotate=rotate)]


@pytest.mark.parametrize(
    ("found", "differs"),
    [
        ({"triggers": BOOKING_TRIGGERS[:2]}, "triggers"),
        ({"triggers": (*BOOKING_TRIGGERS, "MEETING_ENDED")}, "triggers"),
        ({"active": False}, "active"),
        ({"secret": None}, "secret"),
        ({"secret": "somebody-else's"}, "secret"),
        ({"version": "2026-07-27"}, "version"),
        ({"template": "{{title}}"}, "template"),
        ({"url": URL + "/"}, "url"),
        ({"active": False, "secret": "x"}, "active, secret"),
    ],
)
def test_what_somebody_edited_is_named_and_put_right(found: dict[str, object], differs: str):
    (action,) = decide([replace(RIGHT, **found)], WANTED)
    assert (action.kind, action.webhook_id, action.reason.params["fields"]) == ("change", "w1", differs)
    assert action.set_to == WANTED.as_new()


@pytest.mark.parametrize("same", [{}, {"version": "2021-10-20"}, {"triggers": BOOKING_TRIGGERS[::-1]}])
def test_one_that_is_right_is_left_alone(same: dict[str, object]):
    assert done(replace(RIGHT, **same)) == [("keep", "w1")]


def test_strangers_are_left_alone_whatever_they_are():
    stranger = replace(RIGHT, id="s", url="https://zapier.example.com/hook", active=False)
    assert done(stranger) == [("create", None)]
    assert done(stranger, RIGHT) == [("keep", "w1")]


def test_one_that_we_made_for_another_address_moves_to_the_new_one():
    moved = replace(RIGHT, url="https://old.example.com/calcom")
    assert done(moved) == [("create", None)]
    assert done(moved, ours=frozenset({"w1"})) == [("change", "w1")]


def test_of_several_the_one_that_has_the_address_stays_and_is_put_right_before_the_others_go():
    """No other could be given the address while that one holds it: Cal.com refuses a second."""
    slash, wrong = replace(RIGHT, id="w0", url=URL + "/"), replace(RIGHT, active=False)
    assert done(slash, wrong) == [("change", "w1"), ("remove", "w0")]


def test_a_previous_secret_stays_until_it_is_rotated():
    old = replace(RIGHT, secret="the-old-secret")
    (kept,) = decide([old], WANTED)
    assert (kept.kind, kept.rotation_due, kept.reason.code) == ("keep", True, "webhook_rotation_due")
    (changed,) = decide([replace(old, active=False)], WANTED)
    assert changed.set_to is not None
    assert (changed.kind, changed.set_to.secret) == ("change", "the-old-secret")
    (rotated,) = decide([old], WANTED, rotate=True)
    assert rotated.set_to is not None
    assert (rotated.kind, rotated.set_to.secret) == ("change", "the-new-secret")


def test_only_what_we_made_goes_from_a_scope_that_is_not_wanted_any_more():
    by_hand = replace(RIGHT, id="by-hand")
    assert [a.webhook_id for a in release([RIGHT, by_hand], ours={"w1"})] == ["w1"]


def test_a_scope_per_event_type_of_a_team_and_one_for_all_of_the_user():
    user, team = Owner("user", 1), Owner("team", 7)
    types = [EventType(9, team, "b", "B", 30), EventType(3, user, "a", "A", 30), EventType(5, team, "c", "C", 30)]
    assert wanted_scopes(types) == [WebhookScope(), WebhookScope(5, 7), WebhookScope(9, 7)]


@pytest.mark.parametrize("scope", [WebhookScope(), WebhookScope(3), WebhookScope(9, 301)])
def test_a_scope_is_read_as_it_was_written(scope: WebhookScope):
    assert WebhookScope.parse(str(scope)) == scope


def test_what_is_no_scope_is_refused():
    with pytest.raises(ValueError, match="no scope"):
        WebhookScope.parse("team:3")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x", "https://A.example:443/x/", True),
        ("https://a.example/x", "https://a.example/X", False),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x?a=1", "https://a.example/x?a=2", False),
        ("not a url", "not a url", True),
        ("https://[broken", "https://a.example/x", False),
    ],
)
def test_spellings_of_an_address(one: str, other: str, same: bool):
    assert same_address(one, other) is same


def test_no_secret_is_shown():
    assert "secret" not in repr(WANTED) + repr(RIGHT) + repr(decide([], WANTED)) + repr(WANTED.as_new())
