"""Webhooks: subscriptions, what is sent, signed and to whom, and faults on the way. Fact sheet 7, 9.55 to 9.63."""

import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from tests.contract.replaying import Receiver, wait_until
from tests.sandbox.talking import Talker

_MONDAY = "2026-11-23"
_NINE, _TEN = f"{_MONDAY}T09:00:00Z", f"{_MONDAY}T10:00:00Z"
_ALL = ["BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_CANCELLED", "BOOKING_REQUESTED", "BOOKING_REJECTED",
        "BOOKING_NO_SHOW_UPDATED", "MEETING_STARTED", "MEETING_ENDED"]  # fmt: skip
_SECRET = "whispered"


def _subscribe(calcom: Talker, hooks: Receiver, path: str = "/webhooks", where: str = "/hook", **more: Any) -> Any:
    body = {"active": True, "subscriberUrl": hooks.url + where, "triggers": _ALL, "secret": _SECRET} | more
    return calcom.post(path, body).data


def _said(hooks: Receiver) -> list[dict[str, Any]]:
    return [json.loads(one["raw"]) for one in hooks.got]


def _triggers(hooks: Receiver) -> list[str]:
    return [one["triggerEvent"] for one in _said(hooks)]


# -- subscriptions


def test_a_subscription_is_made_read_changed_and_removed(calcom: Talker, hooks: Receiver):
    made = _subscribe(calcom, hooks)
    assert (len(made["id"]), made["secret"], made["triggers"]) == (36, _SECRET, _ALL)
    twice = calcom.post("/webhooks", {"active": True, "subscriberUrl": hooks.url + "/hook", "triggers": _ALL})
    assert (twice.status, twice.message) == (409, "Webhook with this subscriber url already exists for this user")
    other = _subscribe(calcom, hooks, where="/other")
    clash = calcom.patch(f"/webhooks/{other['id']}", {"subscriberUrl": hooks.url + "/hook"})
    assert (clash.status, clash.body["error"]["code"]) == (409, "CONFLICT")
    changed = calcom.patch(f"/webhooks/{other['id']}", {"active": False, "triggers": ["BOOKING_CREATED"] * 2}).data
    assert (changed["active"], changed["triggers"]) == (False, ["BOOKING_CREATED"] * 2)
    assert [one["id"] for one in calcom.get("/webhooks", take=1, skip=1).data] == [other["id"]]
    assert calcom.get(f"/webhooks/{other['id']}", key="bob").status == 403
    assert calcom.delete(f"/webhooks/{other['id']}").data["id"] == other["id"]
    assert calcom.get(f"/webhooks/{other['id']}").status == 404


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"triggers": ["BOOKING_CONFIRMED"]}, "triggers"),
        ({"triggers": ["PING"]}, "triggers"),
        ({"triggers": "BOOKING_CREATED"}, "triggers"),
        ({"active": "yes"}, "active"),
        ({"subscriberUrl": None}, "subscriberUrl"),
        ({"version": "1999-01-01"}, "version"),
    ],
)
def test_a_wrong_subscription_is_refused(calcom: Talker, more, wrong):
    body = {"active": True, "subscriberUrl": "https://example.org", "triggers": ["BOOKING_CREATED"]} | more
    reply = calcom.post("/webhooks", body)
    assert reply.status == 400
    assert [one["property"] for one in reply.body["error"]["details"]["errors"]] == [wrong]


def test_the_subscriptions_of_a_type_are_its_owners(calcom: Talker, hooks: Receiver):
    path = "/event-types/2/webhooks"
    made = _subscribe(calcom, hooks, path)
    own = _subscribe(calcom, hooks, where="/own")
    guard = "IsUserEventTypeWebhookGuard - "
    assert made["eventTypeId"] == 2
    assert calcom.get(path, key="bob").message == f"{guard}User (102) is not the owner of event type (2)"
    assert calcom.get("/event-types/999/webhooks").message == f"{guard}Event type (999) not found"
    assert calcom.get("/event-types/abc/webhooks").status == 500  # as every id that is no number (recorded: 07v)
    assert calcom.get(f"/event-types/3/webhooks/{made['id']}").status == 403
    assert calcom.get(f"{path}/{own['id']}").status == 400
    assert calcom.get(f"{path}/none").message == "Webhook (none) not found"
    assert calcom.delete(path).data == "1 webhooks deleted"
    assert calcom.get(path).data == []


def test_the_subscriptions_of_a_teams_type_are_its_admins(calcom: Talker, hooks: Receiver):
    path = "/teams/301/event-types/8/webhooks"
    made = _subscribe(calcom, hooks, path)
    assert calcom.get(path, key="bob").status == 403
    assert calcom.get("/teams/301/event-types/2/webhooks").status == 404
    assert calcom.get(f"/teams/301/event-types/9/webhooks/{made['id']}").status == 403
    assert calcom.get(f"{path}/none").message == "IsTeamEventTypeWebhookGuard - Webhook (none) not found"


def test_newer_builds_refuse_addresses_that_are_not_public(calcom: Talker, hooks: Receiver):
    calcom.control.mutate("set_switch", name="refuse_local_webhooks")
    body = {"active": True, "triggers": ["BOOKING_CREATED"]}
    for url in ("http://example.org", "https://127.0.0.1/x", "https://localhost/x"):
        reply = calcom.post("/webhooks", body | {"subscriberUrl": url})
        assert (reply.status, reply.message[:27]) == (400, "Webhook URL is not allowed:")
    assert calcom.post("/webhooks", body | {"subscriberUrl": "https://example.org/x"}).status == 201
    calcom.control.mutate("set_switch", name="refuse_local_webhooks", on=False)


# -- what is sent


def test_a_delivery_is_compact_signed_and_names_its_version(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    made = calcom.booked(2, _NINE, metadata={"order": "42"})
    (got,) = hooks.got
    raw = got["raw"].encode()
    headers = {name.lower(): value for name, value in got["headers"].items()}
    assert headers["x-cal-signature-256"] == hmac.new(_SECRET.encode(), raw, hashlib.sha256).hexdigest()
    assert headers["x-cal-webhook-version"] == "2021-10-20"
    said = json.loads(raw)
    assert list(said) == ["triggerEvent", "createdAt", "payload"]
    assert raw == json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
    payload = said["payload"]
    assert (payload["uid"], payload["status"], payload["startTime"]) == (made["uid"], "ACCEPTED", _NINE)
    assert payload["metadata"] == {"videoCallUrl": "https://meet.example.com/alice", "order": "42"}


def test_without_a_secret_the_signature_says_so(calcom: Talker, hooks: Receiver):
    calcom.post("/webhooks", {"active": True, "subscriberUrl": hooks.url, "triggers": _ALL})
    calcom.booked(2, _NINE)
    assert hooks.got[0]["headers"]["X-Cal-Signature-256"] == "no-secret-provided"


def test_a_life_fires_what_the_fact_sheet_says(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    uid = calcom.booked(5, _NINE)["uid"]
    calcom.post(f"/bookings/{uid}/confirm")
    moved = calcom.post(f"/bookings/{uid}/reschedule", {"start": _TEN, "rescheduledBy": "alice@example.com"}).data
    calcom.post(f"/bookings/{moved['uid']}/cancel", {"cancellationReason": "ill"})
    calcom.post(f"/bookings/{calcom.booked(5, _NINE)['uid']}/decline", {"reason": "busy"})
    calcom.patch("/event-types/2", {"title": "Silent"})
    assert _triggers(hooks) == [
        "BOOKING_REQUESTED", "BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_CANCELLED", "BOOKING_REQUESTED",
        "BOOKING_REJECTED",
    ]  # fmt: skip
    requested, confirmed, rescheduled, cancelled, _, rejected = (one["payload"] for one in _said(hooks))
    assert (requested["status"], requested["requiresConfirmation"]) == ("PENDING", True)
    assert (confirmed["status"], confirmed["startTime"]) == ("ACCEPTED", f"{_MONDAY}T09:00:00.000Z")
    assert confirmed["attendees"][0]["phoneNumber"] is None
    assert (rescheduled["rescheduleUid"], rescheduled["uid"]) == (uid, moved["uid"])
    assert (rescheduled["rescheduleStartTime"], rescheduled["startTime"]) == (_NINE, _TEN)
    assert rescheduled["rescheduledBy"] == "alice@example.com"
    assert ("iCalUID" in rescheduled, rescheduled["appsStatus"]) == (False, [])
    assert (cancelled["startTime"], cancelled["endTime"]) == (f"{_MONDAY}T10:00:00+00:00", f"{_MONDAY}T10:30:00+00:00")
    assert (cancelled["cancellationReason"], cancelled["status"], cancelled["requestReschedule"]) == (
        "ill",
        "CANCELLED",
        False,
    )
    assert (rejected["rejectionReason"], rejected["status"]) == ("busy", "REJECTED")


def test_a_cancellation_is_sent_before_the_row_changes(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    uid = calcom.booked(2, _NINE)["uid"]
    seen: list[str] = []
    inner = hooks.got.append
    calcom.control.add_fault("webhook_late", "BOOKING_CANCELLED", count=0)

    class Looking(list):
        def append(self, one: Any) -> None:
            seen.append(calcom_again.get(f"/bookings/{uid}").data["status"])
            inner(one)

    calcom_again = Talker(calcom.sandbox)
    hooks.got = Looking(hooks.got)
    calcom.post(f"/bookings/{uid}/cancel", {"cancellationReason": "x"})
    calcom_again.close()
    assert seen == ["accepted"]
    assert calcom.get(f"/bookings/{uid}").data["status"] == "cancelled"


def test_each_occurrence_is_announced_and_the_end_of_a_series_once(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    rows = calcom.booked(7, _NINE)
    calcom.post(f"/bookings/{rows[0]['recurringBookingUid']}/cancel", {"cancellationReason": "x"})
    assert _triggers(hooks) == ["BOOKING_CREATED"] * 3 + ["BOOKING_CANCELLED"]
    assert _said(hooks)[0]["payload"]["recurringEvent"] == {"interval": 1, "freq": 2}
    assert _said(hooks)[3]["payload"]["recurringEvent"] == {"interval": 1, "count": 3, "freq": 2}


def test_a_seat_that_is_given_back_names_its_attendee_alone(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    first = calcom.booked(6, _NINE, "Ann")
    calcom.booked(6, _NINE, "Bea")
    calcom.post(f"/bookings/{first['uid']}/cancel", {"seatUid": first["seatUid"]}, key=None)
    payload = _said(hooks)[2]["payload"]
    assert [(one["email"], one["noShow"]) for one in payload["attendees"]] == [("ann@example.org", False)]
    second = calcom.booked(6, _NINE, "Cleo")
    calcom.booked(6, _TEN, "Dot")
    moved = {"start": _TEN, "seatUid": second["seatUid"], "rescheduledBy": "cleo@example.org"}
    calcom.post(f"/bookings/{second['uid']}/reschedule", moved, key=None)
    last = _said(hooks)[-1]
    assert last["triggerEvent"] == "BOOKING_RESCHEDULED"
    assert (last["payload"]["rescheduleUid"], last["payload"]["rescheduleStartTime"]) == (second["uid"], _NINE)


def test_an_absence_says_who(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    uid = calcom.booked(2, _NINE)["uid"]
    calcom.control.freeze(_NINE)
    for absent in (True, False):
        calcom.post(f"/bookings/{uid}/mark-absent", {"attendees": [{"email": "carol@example.org", "absent": absent}]})
    calcom.post(f"/bookings/{uid}/mark-absent", {"host": True})
    said = [one["payload"] for one in _said(hooks) if one["triggerEvent"] == "BOOKING_NO_SHOW_UPDATED"]
    assert [one["message"] for one in said] == [
        "carol@example.org marked as no-show",
        "carol@example.org unmarked as no-show",
    ]
    assert list(said[0]) == ["message", "attendees", "bookingUid", "bookingId"]


def test_meetings_start_and_end_flat(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    made = calcom.booked(2, _NINE)
    calcom.control.set_clock(f"{_MONDAY}T09:31:00Z")
    flat = [one for one in _said(hooks) if one["triggerEvent"].startswith("MEETING")]
    assert [one["triggerEvent"] for one in flat] == ["MEETING_STARTED", "MEETING_ENDED"]
    assert all("payload" not in one and one["uid"] == made["uid"] for one in flat)
    assert flat[0]["createdAt"] == made["createdAt"]


def test_what_is_more_than_a_day_late_is_dropped(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    calcom.booked(2, _NINE)
    calcom.control.set_clock("2026-11-25T12:00:00Z")
    assert _triggers(hooks) == ["BOOKING_CREATED"]


def test_subscribers_are_merged_without_removing_equal_addresses(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    _subscribe(calcom, hooks, "/event-types/2/webhooks")
    calcom.booked(2, _NINE)
    calcom.booked(3, _TEN)
    assert _triggers(hooks) == ["BOOKING_CREATED"] * 3


def test_a_users_subscription_does_not_hear_of_team_types(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    _subscribe(calcom, hooks, "/teams/301/event-types/8/webhooks", where="/team")
    calcom.booked(8, _NINE)
    made = calcom.booked(9, _TEN)
    assert [one["path"] for one in hooks.got] == ["/team"]
    _subscribe(calcom, hooks, "/teams/301/event-types/9/webhooks", where="/team")
    calcom.post(f"/bookings/{made['uid']}/cancel", {"cancellationReason": "x"})
    team = _said(hooks)[1]["payload"]["team"]
    assert (team["name"], [one["email"] for one in team["members"]]) == ("Support", ["bob@example.com"])


def test_of_a_teams_type_a_user_hears_of_rejections_alone(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    policy = {"type": "always", "blockUnconfirmedBookingsInBooker": False}
    calcom.patch("/teams/301/event-types/8", {"confirmationPolicy": policy, "hosts": [{"userId": 101}]})
    uid = calcom.booked(8, _NINE)["uid"]
    calcom.post(f"/bookings/{uid}/decline", {"reason": "busy"})
    assert _triggers(hooks) == ["BOOKING_REJECTED"]
    assert _said(hooks)[0]["payload"]["team"] == {"name": "Support", "id": 301, "members": []}


def test_an_inactive_or_other_subscription_is_silent(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks, active=False)
    _subscribe(calcom, hooks, where="/other", triggers=["BOOKING_CANCELLED"])
    calcom.booked(2, _NINE)
    assert hooks.got == []


@pytest.mark.parametrize(
    ("template", "content_type", "expected"),
    [
        ('{"u":"{{uid}}","a":"{{attendees.0.name}}"}', "application/json", '{"u":"%s","a":"Carol"}'),
        ("uid={{uid}}&none={{nothing.here}}", "application/x-www-form-urlencoded", "uid=%s&none="),
    ],
)
def test_a_template_replaces_the_whole_body(calcom: Talker, hooks: Receiver, template, content_type, expected):
    _subscribe(calcom, hooks, payloadTemplate=template)
    made = calcom.booked(2, _NINE)
    assert hooks.got[0]["headers"]["Content-Type"] == content_type
    assert hooks.got[0]["raw"] == expected % made["uid"]


def test_a_receiver_that_fails_gets_no_second_attempt_and_does_not_fail_the_booking(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks, where="/fail")
    _subscribe(calcom, hooks, where="/hook", subscriberUrl="http://127.0.0.1:1/nobody")
    _subscribe(calcom, hooks, where="/hook", subscriberUrl="no address")
    assert calcom.book(2, _NINE).status == 201
    assert len(hooks.got) == 1
    outcomes = {one["outcome"] for one in calcom.control.deliveries()[-3:]}
    assert outcomes == {"500", "ConnectionRefusedError", "ValueError"}


# -- faults


@pytest.mark.parametrize(("kind", "count"), [("webhook_lost", 0), ("webhook_doubled", 2), ("webhook_unsigned", 1)])
def test_deliveries_are_lost_doubled_or_unsigned(calcom: Talker, hooks: Receiver, kind, count):
    _subscribe(calcom, hooks)
    calcom.control.add_fault(kind, "BOOKING_CREATED", count=1)
    calcom.booked(2, _NINE)
    assert len(hooks.got) == count
    if kind == "webhook_unsigned":
        assert hooks.got[0]["headers"]["X-Cal-Signature-256"] == "no-secret-provided"
    calcom.booked(2, _TEN)
    assert len(hooks.got) == count + 1


def test_a_late_delivery_comes_after_the_answer(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    calcom.control.add_fault("webhook_late", "BOOKING_CREATED", seconds=0.2, count=1)
    calcom.booked(2, _NINE)
    assert hooks.got == []
    wait_until(lambda: len(hooks.got) == 1)


def test_reordered_deliveries_all_come_in_another_order(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    calcom.control.add_fault("webhook_reordered", "BOOKING_*", seconds=1.5)
    for hour in range(8, 14):
        calcom.booked(2, f"{_MONDAY}T{hour:02d}:00:00Z")
    wait_until(lambda: len(hooks.got) == 6)
    ids = [one["payload"]["bookingId"] for one in _said(hooks)]
    assert sorted(ids) != ids


def test_a_slow_receiver_makes_the_booking_slow(calcom: Talker, hooks: Receiver):
    _subscribe(calcom, hooks)
    inner = hooks.got.append

    class Slow(list):
        def append(self, one: Any) -> None:
            time.sleep(0.3)
            inner(one)

    hooks.got = Slow()
    began = time.monotonic()
    calcom.booked(2, _NINE)
    assert time.monotonic() - began > 0.3
