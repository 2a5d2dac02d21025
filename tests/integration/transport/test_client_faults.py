"""Every fault of the sandbox, one by one: it ends in the right named error, or in success after a retry."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.calcom.transport.retries import RetryPatience
from calcom_pipeline.domain.availability.models import SlotQuery
from calcom_pipeline.domain.bookings.listing import BookingQuery
from calcom_pipeline.domain.errors import (
    CalcomError,
    Conflict,
    ContractBroken,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    TransientError,
)
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.sandbox.control.faults import REQUEST_FAULTS
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.clients import Seen, client_of
from tests.support.faulty import calcom, request, sandbox, seen, served

__all__ = ["calcom", "sandbox", "seen", "served"]  # fixtures

NOW = datetime(2026, 12, 1, 7, tzinfo=UTC)
ME, TEAM = Owner("user", 101), Owner("team", 301)
NEW = {"title": "Made", "slug": "made", "duration_minutes": 30, "hidden": True}


def personal(calcom: CalcomClient, slug: str = "made") -> list[EventType]:
    return [e for e in calcom.list_personal() if e.slug == slug]


READS: dict[str, Callable[[CalcomClient], Any]] = {
    "account": lambda calcom: calcom.me(),
    "event types": lambda calcom: calcom.list_owner(ME),
    "team event types": lambda calcom: calcom.list_owner(TEAM),
    "slots": lambda calcom: calcom.free_days(
        SlotQuery(2, 30, "Europe/Berlin", NOW.date(), (NOW + timedelta(days=2)).date())
    ),
    "bookings": lambda calcom: calcom.page(BookingQuery()),
    "webhooks": lambda calcom: calcom.list_webhooks(),
}

# kind, fields of the fault, what comes of it when it strikes every time
READ_FAULTS = [
    ("latency", {"seconds": 1.5}, TransientError),
    ("rate_limited", {}, RateLimited),
    ("error", {"status": 500}, TransientError),
    ("error", {"status": 502}, TransientError),
    ("error", {"status": 503}, TransientError),
    ("error", {"status": 504}, TransientError),
    ("reset_before", {}, TransientError),
    ("reset_after", {}, TransientError),
    ("truncate", {}, TransientError),
    ("malformed", {}, ContractBroken),
    ("empty_body", {}, ContractBroken),
    ("content_type", {}, None),
    ("fail_after_create", {}, TransientError),
]


#: A whole answer with fewer rows looks right; whoever compares it with what he knows finds out (test_listing_trust.py).
UNSEEN_BY_A_CLIENT = {"half_list", "empty_list"}
#: What these lead to depends on what is bent and how far; they are asked for where that is looked at.
BENT_BY_DEGREE = {
    "repeated_row", "malformed_row", "bent_body", "time_zone", "date_header", "headers", "html", "echo_key",
    "huge_body", "gzip_bomb", "gzip_truncated", "drip_headers", "drip_body",
}  # fmt: skip


def test_no_fault_of_the_sandbox_is_left_out():
    seen = set(REQUEST_FAULTS) - UNSEEN_BY_A_CLIENT - BENT_BY_DEGREE
    assert {kind for kind, _, _ in READ_FAULTS} == seen
    assert {kind for kind, _ in (*DOUBTS, *NO_DOUBTS)} == seen


@pytest.mark.parametrize(("kind", "fields", "error"), READ_FAULTS)
def test_a_read_under_a_lasting_fault_ends_in_the_named_error(
    sandbox: RunningSandbox, redis_client: redis.Redis, kind: str, fields: dict, error: type[CalcomError] | None
):
    patience = RetryPatience(deadline_seconds=1.2 if kind == "latency" else 4, attempts=2, first_pause_seconds=0.01)
    with client_of(sandbox.url, sandbox.keys["alice"], redis_client, patience=patience) as calcom:
        sandbox.control.add_fault(kind, "GET /v2/event-types*", **fields)
        if error is None:
            assert len(READS["event types"](calcom)) == 7
            return
        with pytest.raises(error) as raised:
            READS["event types"](calcom)
        assert type(raised.value) is error or isinstance(raised.value, ContractBroken)
        assert raised.value.exchange.operation == "Listing event types"


PASSING = [(kind, fields) for kind, fields, error in READ_FAULTS if kind != "latency" and fields.get("status") != 500]
#: Every group with some faults and every fault with some groups; all with all in `make proof`.
GROUPS_UNDER_FAULTS = [
    pytest.param(group, kind, fields, marks=[] if (m + n) % 3 == 0 else pytest.mark.proof)
    for m, group in enumerate(READS)
    for n, (kind, fields) in enumerate(PASSING)
]


@pytest.mark.parametrize(("group", "kind", "fields"), GROUPS_UNDER_FAULTS)
def test_a_read_of_any_group_succeeds_once_the_fault_is_over(
    calcom: CalcomClient, sandbox: RunningSandbox, seen: Seen, group: str, kind: str, fields: dict
):
    sandbox.control.add_fault(kind, "GET *", count=1, **fields)
    answer = READS[group](calcom)
    assert answer is not None
    if kind == "content_type":
        assert seen.outcomes() == ["ok"]
    else:
        assert seen.outcomes()[-1] == "ok"
        assert len(seen.outcomes()) >= 2
    assert not seen.reported


def test_a_500_of_a_read_is_left_to_the_caller(calcom: CalcomClient, sandbox: RunningSandbox, seen: Seen):
    sandbox.control.add_fault("error", "GET /v2/me", status=500)
    with pytest.raises(TransientError) as raised:
        calcom.me()
    assert raised.value.status == 500
    assert raised.value.exchange.request_id
    assert seen.outcomes() == ["TransientError"]


# --- writes that state absolute values -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("reset_before", {}),
        ("reset_after", {}),
        ("truncate", {}),
        ("malformed", {}),
        ("empty_body", {}),
        ("fail_after_create", {"status": 502}),
        ("error", {"status": 503}),
        ("rate_limited", {}),
    ],
)
def test_an_absolute_write_is_repeated_until_its_answer_is_read(
    calcom: CalcomClient, sandbox: RunningSandbox, kind: str, fields: dict
):
    event_type = calcom.get_event_type(2)
    sandbox.control.add_fault(kind, "PATCH *", count=2, **fields)
    written = calcom.update_event_type(event_type, {"title": "Renamed", "after_buffer_minutes": 5})
    assert (written.event_type.title, written.ignored) == ("Renamed", ())
    sandbox.control.add_fault(kind, "DELETE *", count=1, **fields)
    calcom.delete_event_type(event_type)
    with pytest.raises(NotFound):
        calcom.get_event_type(2)


# --- creates -------------------------------------------------------------------------------------------------

DOUBTS = [
    ("fail_after_create", {"status": 500}),
    ("fail_after_create", {"status": 503}),
    ("reset_after", {}),
    ("truncate", {}),
    ("malformed", {}),
    ("empty_body", {}),
    ("reset_before", {}),
    ("error", {"status": 502}),
    ("latency", {"seconds": 1.3}),
]


@pytest.mark.parametrize(("kind", "fields"), DOUBTS)
@pytest.mark.parametrize("owner", [ME, TEAM], ids=["personal", "team"])
def test_a_doubtful_create_makes_exactly_one_event_type(
    calcom: CalcomClient, sandbox: RunningSandbox, owner: Owner, kind: str, fields: dict
):
    path = "/v2/event-types" if owner == ME else "/v2/teams/*/event-types"
    sandbox.control.add_fault(kind, f"POST {path}", count=1, **fields)
    more = {"scheduling_type": "collective", "host_ids": (101, 102)} if owner == TEAM else {}
    above = max(e.id for e in calcom.list_owner(owner))
    written = calcom.create_event_type(owner, {**NEW, **more}, above_id=above)
    made = [e for e in calcom.list_owner(owner) if e.slug == "made"]
    assert [e.id for e in made] == [written.event_type.id]
    assert (made[0].title, made[0].hidden, written.ignored) == ("Made", True, ())
    carried_out = kind not in ("reset_before", "error")
    assert written.adopted == carried_out


@pytest.mark.parametrize(("kind", "fields"), DOUBTS)
def test_a_doubtful_create_makes_exactly_one_booking(
    calcom: CalcomClient, sandbox: RunningSandbox, kind: str, fields: dict
):
    sandbox.control.add_fault(kind, "POST /v2/bookings", count=1, **fields)
    wanted = request()
    booked = calcom.create_booking(wanted)
    start = wanted.start.timestamp() * 1000
    stored = [b for b in sandbox.control.read_bookings() if b["start"] == start]
    assert [b["uid"] for b in stored] == [booked.booking.uid]
    assert booked.booking.start == wanted.start


NO_DOUBTS = [("content_type", {}), ("rate_limited", {})]


@pytest.mark.parametrize(("kind", "fields"), NO_DOUBTS)
def test_what_leaves_no_doubt_is_no_reason_to_look(
    calcom: CalcomClient, sandbox: RunningSandbox, seen: Seen, kind: str, fields: dict
):
    """A refusal by the limiter did nothing, and a wrong content type hides nothing."""
    for path in ("/v2/event-types", "/v2/bookings"):
        sandbox.control.add_fault(kind, f"POST {path}", count=1, **fields)
    assert not calcom.create_event_type(ME, NEW, above_id=11).adopted
    assert not calcom.create_booking(request()).adopted
    assert {record.method for record in seen.records} == {"POST"}


@pytest.mark.parametrize("event_type_id", [6, 7, 8], ids=["seated", "recurring", "round robin"])
def test_what_could_be_booked_twice_ends_as_unknown_and_is_sent_once(
    calcom: CalcomClient, sandbox: RunningSandbox, event_type_id: int
):
    sandbox.control.add_fault("reset_after", "POST /v2/bookings", count=1)
    wanted = request(event_type_id)
    with pytest.raises(OutcomeUnknown) as raised:
        calcom.create_booking(wanted)
    assert raised.value.key == wanted.key
    posts = [r for r in sandbox.control.requests() if r["endpoint"] == "POST /v2/bookings"]
    assert len(posts) == 1
    found = calcom.find_booking(wanted.key, event_type_id=event_type_id, start=wanted.start)
    assert found is not None, "the next sync finds it by its key"


def test_a_create_that_was_refused_for_good_is_not_looked_for(calcom: CalcomClient, sandbox: RunningSandbox):
    calcom.create_event_type(ME, NEW)
    with pytest.raises(Conflict):
        calcom.create_event_type(ME, NEW)
    calcom.create_booking(request())
    with pytest.raises(Conflict):
        calcom.create_booking(request(email="dora@example.org"))
    assert len(personal(calcom)) == 1


def test_a_create_that_never_left_is_sent_again(calcom: CalcomClient, sandbox: RunningSandbox):
    sandbox.control.add_fault("rate_limited", "POST /v2/event-types", count=2)
    assert not calcom.create_event_type(ME, NEW, above_id=11).adopted
    assert len(personal(calcom)) == 1


def test_what_an_earlier_process_made_for_the_same_intent_is_adopted_and_completed(calcom: CalcomClient):
    before = calcom.create_event_type(ME, {**NEW, "description": "Half made", "hidden": False})
    whole = {**NEW, "description": "Whole"}
    written = calcom.create_event_type(ME, whole, above_id=before.event_type.id - 1)
    assert written.adopted
    there = written.event_type
    assert (there.id, there.description, there.hidden) == (before.event_type.id, "Whole", True)


def test_a_strangers_event_type_that_got_the_slug_since_the_listing_is_neither_adopted_nor_overwritten(calcom):
    """Its id is above the intent's, as that of a create without an answer would be; its contents are not ours."""
    above = max(e.id for e in calcom.list_owner(ME))
    theirs = calcom.create_event_type(ME, {**NEW, "title": "Theirs"}).event_type
    with pytest.raises(Conflict):
        calcom.create_event_type(ME, NEW, above_id=above)
    assert [(e.id, e.title) for e in personal(calcom)] == [(theirs.id, "Theirs")]


def test_a_strangers_slug_below_the_intent_is_a_conflict_even_after_a_doubt(
    calcom: CalcomClient, sandbox: RunningSandbox
):
    stranger = calcom.create_event_type(ME, NEW).event_type
    sandbox.control.add_fault("error", "POST /v2/event-types", count=1, status=502)
    with pytest.raises((Conflict, OutcomeUnknown)):
        calcom.create_event_type(ME, NEW, above_id=stranger.id)
    assert [e.id for e in personal(calcom)] == [stranger.id]


def test_when_looking_is_impossible_nobody_claims_to_know(calcom: CalcomClient, sandbox: RunningSandbox):
    sandbox.control.add_fault("reset_after", "POST /v2/event-types", count=1)
    sandbox.control.add_fault("error", "GET *", status=500)
    with pytest.raises(OutcomeUnknown) as raised:
        calcom.create_event_type(ME, NEW, above_id=11)
    assert raised.value.key == "user:101/made"


# --- actions on bookings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "fields"), [("reset_after", {}), ("reset_before", {}), ("malformed", {})])
def test_actions_on_a_booking_are_done_once_in_spite_of_doubt(
    calcom: CalcomClient, sandbox: RunningSandbox, kind: str, fields: dict
):
    first = calcom.create_booking(request()).booking
    sandbox.control.add_fault(kind, "POST /v2/bookings/*", count=1, **fields)
    moved = calcom.reschedule_booking(first.uid, first.start + timedelta(hours=2), reason="later").booking
    assert moved.start == first.start + timedelta(hours=2)
    assert calcom.get_booking(first.uid).rescheduled_to_uid == moved.uid
    sandbox.control.add_fault(kind, "POST /v2/bookings/*", count=1, **fields)
    assert calcom.cancel_booking(moved.uid, reason="ill").status == "cancelled"
    with pytest.raises(Rejected):
        calcom.cancel_booking(moved.uid, reason="again")
    pending = [calcom.create_booking(request(5, start=f"2026-12-03T{hour}:00:00Z")).booking for hour in (10, 11)]
    sandbox.control.add_fault(kind, "POST /v2/bookings/*", count=1, **fields)
    assert calcom.confirm_booking(pending[0].uid).status == "accepted"
    sandbox.control.add_fault(kind, "POST /v2/bookings/*", count=1, **fields)
    assert calcom.decline_booking(pending[1].uid, reason="full").status == "rejected"


# --- what is no fault of the net -----------------------------------------------------------------------------
