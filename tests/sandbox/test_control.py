"""The control surface: counters, clock, faults, and changes behind the client's back."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from calcom_pipeline.sandbox.testing import Control, ControlError, serve_sandbox
from tests.sandbox.conftest import NOW
from tests.sandbox.talking import Talker
from tests.support.waiting import until

_NINE = "2026-11-23T09:00:00Z"


def test_without_being_asked_for_the_surface_is_not_there():
    with serve_sandbox("captures", control=False, in_thread=True) as running:
        address = urlsplit(running.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        connection.request("GET", "/__sandbox/account")
        response = connection.getresponse()
        body = json.loads(response.read())
        connection.close()
    assert (response.status, body["error"]["message"]) == (404, "Cannot GET /__sandbox/account")
    assert running.keys == {}


def test_the_account_is_told_with_its_keys(calcom: Talker):
    account = calcom.control.account()
    assert set(account["keys"]) == {"alice", "bob", "slow", "expired"}
    assert [one["id"] for one in account["eventTypes"]] == list(range(1, 12))
    assert account["teams"][0]["slug"] == "support"


# -- counters


def test_requests_are_counted_by_endpoint_status_and_key(calcom: Talker):
    calcom.get("/me")
    calcom.get("/me", key="bob")
    calcom.get("/bookings/none")
    calcom.get("/nowhere")
    found = calcom.control.counters()
    assert found["total"] == 4
    assert found["endpoints"]["GET /v2/me"] == {"200": 2}
    assert found["endpoints"]["GET /v2/bookings/{uid}"] == {"404": 1}
    assert found["endpoints"]["(no route)"] == {"404": 1}
    assert found["keys"]["alice"]["endpoints"] == {"GET /v2/me": 1, "GET /v2/bookings/{uid}": 1}
    newest = calcom.control.requests(limit=2)
    assert [(one["endpoint"], one["status"]) for one in newest] == [
        ("GET /v2/bookings/{uid}", 404),
        ("(no route)", 404),
    ]
    calcom.control.reset()
    assert calcom.control.counters()["total"] == 0


def test_the_densest_window_counts_what_was_admitted(calcom: Talker):
    for step in (0, 9, 9):  # the limit is 5 in 10 s, the sliding window looked at is 60 s
        calcom.control.advance(step)
        calcom.get("/me", key="slow")
    calcom.control.advance(100)
    for _ in range(9):
        calcom.get("/me", key="slow")
    found = calcom.control.counters()
    slow = found["keys"]["slow"]
    assert (slow["requests"], slow["refused"]) == (12, 4)
    assert (found["window_seconds"], slow["max_in_window"]) == (60, 5)


# -- clock


def test_the_clock_is_frozen_set_advanced_and_let_go(calcom: Talker):
    calcom.control.freeze("2026-12-01T00:00:00Z")
    calcom.control.advance(90)
    assert calcom.control.clock() == {"now": "2026-12-01T00:01:30.000Z", "ms": 1796083290000, "frozen": True}
    assert calcom.get("/me").headers["Date"] == "Tue, 01 Dec 2026 00:01:30 GMT"
    calcom.control.resume()
    before = calcom.control.clock()["ms"]
    time.sleep(0.02)
    assert calcom.control.clock()["ms"] > before
    calcom.control.set_clock("2027-01-01T00:00:00Z")
    found = calcom.control.clock()
    assert (found["frozen"], found["now"][:16]) == (False, "2027-01-01T00:00")
    calcom.control.freeze()
    with pytest.raises(ControlError, match="`at` must be an ISO 8601 instant"):
        calcom.control.freeze("noon")


# -- faults


@pytest.mark.parametrize(("status", "count"), [(500, 2), (502, 1), (503, 3), (504, 1)])
def test_errors_strike_so_often_and_no_more(calcom: Talker, status, count):
    fault = calcom.control.add_fault("error", "GET /v2/me", status=status, count=count)
    assert [calcom.get("/me").status for _ in range(count + 1)] == [status] * count + [200]
    assert calcom.get("/teams").status == 200
    (rule,) = calcom.control.faults()
    assert (rule["id"], rule["struck"], rule["seen"]) == (fault, count, count + 1)
    calcom.control.remove_fault(fault)
    assert calcom.control.faults() == []
    with pytest.raises(ControlError, match="No fault"):
        calcom.control.remove_fault(fault)


def test_a_fault_may_wait_concern_one_key_and_a_path_of_every_method(calcom: Talker):
    calcom.control.add_fault("error", "/v2/me", after=1, key="bob")
    assert [calcom.get("/me", key=key).status for key in ("bob", "alice", "bob", "alice")] == [200, 200, 503, 200]
    calcom.control.clear_faults()
    assert calcom.get("/me", key="bob").status == 200


def test_a_share_is_drawn_from_a_seed(calcom: Talker):
    def struck(seed: int) -> list[int]:
        calcom.control.reset()
        calcom.control.add_fault("rate_limited", "*", share=0.5, seed=seed)
        return [calcom.get("/me").status for _ in range(40)]

    first = struck(1)
    assert 8 < first.count(429) < 32
    assert struck(2) != first


def test_a_storm_of_refusals_looks_like_the_limiters_own(calcom: Talker):
    calcom.control.add_fault("rate_limited", "GET /v2/me", count=2, seconds=7)
    for _ in range(2):
        reply = calcom.get("/me", key="bob")
        assert reply.body["error"]["code"] == "ThrottlerException"
        found = [reply.headers[f"X-RateLimit-{name}-Default"] for name in ("Limit", "Remaining", "Reset")]
        assert found == ["120", "0", "7"]
    assert calcom.get("/me", key="bob").headers["X-RateLimit-Remaining-Default"] == "119"


def test_what_a_storm_refuses_is_no_refusal_of_the_limiter_and_no_part_of_its_window(calcom: Talker):
    calcom.control.add_fault("rate_limited", "GET /v2/me", count=2)
    assert [calcom.get("/me", key="bob").status for _ in range(3)] == [429, 429, 200]
    counted = calcom.control.counters()
    bob = counted["keys"]["bob"]
    assert (bob["requests"], bob.get("refused", 0), bob["max_in_window"]) == (3, 0, 1)
    assert counted["endpoints"]["GET /v2/me"] == {"200": 1, "429": 2}


def test_latency_delays_and_changes_nothing_else(calcom: Talker):
    calcom.control.add_fault("latency", "GET /v2/me", seconds=0.2, count=1)
    began = time.monotonic()
    assert calcom.get("/me").status == 200
    assert time.monotonic() - began >= 0.2


def test_a_delay_ends_with_its_rule(calcom: Talker):
    rule = calcom.control.add_fault("latency", "GET /v2/me", seconds=100)
    with ThreadPoolExecutor() as pool:
        delayed = pool.submit(calcom.get, "/me")
        until(lambda: calcom.control.faults()[0]["struck"])
        assert not delayed.done()
        calcom.control.remove_fault(rule)
        assert delayed.result().status == 200


@pytest.mark.parametrize(("kind", "done"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_is_reset_before_or_after_the_work(calcom: Talker, kind, done):
    calcom.control.add_fault(kind, "POST /v2/bookings", count=1)
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected, http.client.BadStatusLine)):
        calcom.book(2, _NINE)
    calcom.close()
    assert len(calcom.get("/bookings").data) == done


def test_a_truncated_body_ends_before_its_length(calcom: Talker):
    calcom.control.add_fault("truncate", "GET /v2/me", count=1)
    with pytest.raises(http.client.IncompleteRead):
        calcom.get("/me")
    calcom.close()
    assert calcom.get("/me").status == 200


@pytest.mark.parametrize(
    ("kind", "raw", "content_type"),
    [
        ("malformed", b'{"status":"success","data":[{"id":', "application/json; charset=utf-8"),
        ("empty_body", b"", "application/json; charset=utf-8"),
        ("content_type", None, "text/html; charset=utf-8"),
    ],
)
def test_an_answer_is_spoilt(calcom: Talker, kind, raw, content_type):
    calcom.is_validating = False
    calcom.control.add_fault(kind, "GET /v2/me", count=1)
    reply = calcom.get("/me")
    assert (reply.status, reply.headers["Content-Type"]) == (200, content_type)
    assert raw is None or reply.raw == raw
    assert int(reply.headers["Content-Length"]) == len(reply.raw)


def test_a_create_fails_after_the_row_exists(calcom: Talker):
    calcom.control.add_fault("fail_after_create", "POST /v2/bookings", status=502, count=1)
    assert calcom.book(2, _NINE).status == 502
    assert len(calcom.get("/bookings").data) == 1


@pytest.mark.parametrize(
    ("fields", "complaint"), [({"kind": "x"}, "Unknown fault"), ({"kind": "error", "x": 1}, "Unknown fields")]
)
def test_a_fault_that_cannot_be_is_refused(calcom: Talker, fields, complaint):
    with pytest.raises(ControlError, match=complaint):
        calcom.control.ask("POST", "/faults", **fields)


# -- changes behind the client's back


def test_bookings_are_changed_in_bulk_with_one_stamp_or_none(calcom: Talker):
    uids = [calcom.booked(2, f"2026-11-23T{hour:02d}:00:00Z")["uid"] for hour in (8, 9, 10)]
    calcom.control.advance(60)
    assert calcom.control.update_bookings(event_type_id=2) == 3
    assert {row["updatedAt"] for row in calcom.get("/bookings").data} == {"2026-11-22T08:01:00.000Z"}
    assert calcom.control.update_bookings(uids=uids[:1], updated=None) == 1
    assert calcom.get(f"/bookings/{uids[0]}").data["updatedAt"] is None
    changed = calcom.control.update_bookings(
        uids=uids[1:], count=1, set={"title": "Renamed", "start": "2026-11-23T13:00:00Z"}
    )
    assert changed == 1
    assert calcom.get(f"/bookings/{uids[1]}").data["title"] == "Renamed"
    assert calcom.control.delete_bookings(uids=uids[2:], status="accepted") == 1
    assert calcom.get(f"/bookings/{uids[2]}").status == 404
    (kept,) = calcom.control.read_bookings(uids=uids[:1])
    assert (kept["uid"], kept["status"]) == (uids[0], "accepted")


@pytest.mark.parametrize(
    ("do", "fields", "complaint"),
    [
        ("nothing", {}, "Unknown mutation"),
        ("update_bookings", {"uids": ["none"]}, "No booking none"),
        ("update_bookings", {"ids": [99]}, "No booking 99"),
        ("update_bookings", {"set": {"uid": "x"}}, "Unknown field 'uid'"),
        ("update_bookings", {"updated": "soon"}, "Not an ISO 8601 instant"),
        ("update_event_type", {"id": 2, "set": {"lengthInMinutes": 0}}, "Bad Request Exception"),
        ("update_event_type", {"id": 99}, "Not there"),
        ("add_event_type", {"owner_id": 101, "set": {"title": "T"}}, "Bad Request Exception"),
        ("set_switch", {"name": "none"}, "Unknown field 'none'"),
        ("set_key", {"name": "new", "user_id": 999}, "Not there"),
    ],
)
def test_a_change_that_cannot_be_is_refused(calcom: Talker, do, fields, complaint):
    with pytest.raises(ControlError, match=complaint):
        calcom.control.mutate(do, **fields)


def test_event_types_come_change_and_go(calcom: Talker):
    body = {"lengthInMinutes": 20, "title": "Quiet", "slug": "quiet"}
    made = calcom.control.mutate("add_event_type", owner_id=101, set=body)["id"]
    calcom.control.mutate("update_event_type", id=made, set={"lengthInMinutes": 25})
    assert calcom.get(f"/event-types/{made}").data["lengthInMinutes"] == 25
    calcom.control.mutate("delete_event_type", id=made)
    assert calcom.get(f"/event-types/{made}").status == 404
    calcom.control.mutate("update_event_type", id=10, hosts=[101])
    assert [one["ownerId"] for one in calcom.get("/event-types").data if one["slug"] == "managed-30"] == [101]


def test_rows_are_shuffled_on_demand(calcom: Talker):
    orders = set()
    for _ in range(4):
        calcom.control.mutate("shuffle_rows")
        orders.add(tuple(one["id"] for one in calcom.get("/event-types").data))
    assert len(orders) > 1


def test_users_memberships_and_keys_change(calcom: Talker):
    calcom.control.mutate("set_user", id=101, set={"name": "Alicia", "time_zone": "Asia/Tokyo"})
    assert calcom.get("/me").data["name"] == "Alicia"
    calcom.control.mutate("set_membership", user_id=102, team_id=301, role="ADMIN")
    assert calcom.get("/teams/301/bookings", key="bob").status == 200
    calcom.control.mutate("set_membership", user_id=102, team_id=301)
    assert calcom.get("/teams/301", key="bob").status == 403
    calcom.control.mutate("set_membership", user_id=102, team_id=301, role="MEMBER")
    assert calcom.get("/teams/301", key="bob").status == 200
    calcom.control.mutate("set_key", name="bob", user_id=101)
    assert calcom.get("/me", key="bob").data["id"] == 101
    calcom.control.mutate("set_key", name="bob", expired=True)
    assert calcom.get("/me", key="bob").message.endswith("Your api key is expired")
    calcom.control.mutate("set_key", name="bob", expired=False, gone=True)
    assert calcom.get("/me", key="bob").message == "CustomThrottlerGuard - Invalid API Key"


def test_the_next_id_is_chosen(calcom: Talker):
    calcom.control.mutate("set_sequence", name="booking", next=5_000)
    assert calcom.booked(2, _NINE)["id"] == 5_000


def test_a_reset_gives_the_account_back(calcom: Talker):
    calcom.booked(2, _NINE)
    calcom.delete("/event-types/3")
    calcom.control.reset(account=True)
    assert calcom.get("/bookings").data == []
    assert calcom.get("/event-types/3").status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/clock", b"[1]"), ("POST", "/mutate", b"{"), ("POST", "/mutate", b'{"do":"set_key"}')],
)
def test_a_wrong_request_to_the_surface_is_answered_not_crashed(calcom: Talker, method, path, body):
    address = urlsplit(calcom.sandbox.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request(method, "/__sandbox" + path, body=body)
    response = connection.getresponse()
    found = json.loads(response.read())
    connection.close()
    assert (response.status in {400, 404}, list(found)) == (True, ["error"])


def test_a_sandbox_in_a_process_of_its_own_is_the_same():
    with serve_sandbox("captures", now=NOW) as running:
        assert Control(running.url).account()["keys"] == running.keys
        talker = Talker(running)
        assert talker.get("/me").data["username"] == "alice"
        talker.close()
    with pytest.raises(OSError, match="refused"):
        running.control.account()
