"""What Cal.com refuses is named by what the caller may do, and does not count as a failure."""

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
import requests

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.domain.bookings.listing import BookingQuery
from calcom_pipeline.domain.errors import (
    CircuitOpen,
    Conflict,
    ContractBroken,
    NotFound,
    Rejected,
    TransientError,
    Unauthorized,
)
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.clients import QUICK, ROOMY, Seen, client_of
from tests.support.faulty import calcom, request, sandbox, seen, served

__all__ = ["calcom", "sandbox", "seen", "served"]  # fixtures


ME, TEAM = Owner("user", 101), Owner("team", 301)
NEW = {"title": "Made", "slug": "made", "duration_minutes": 30, "hidden": True}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda calcom: calcom.get_event_type(999), NotFound),
        (lambda calcom: calcom.get_booking("nosuchbooking"), NotFound),
        (lambda calcom: calcom.create_booking(request(999)), NotFound),
        (lambda calcom: calcom.create_booking(request(start="2026-12-02T03:00:00Z")), Conflict),
        (lambda calcom: calcom.create_booking(request(lengthInMinutes=45)), Rejected),
        (lambda calcom: calcom.confirm_booking(calcom.create_booking(request()).booking.uid), Rejected),
        (lambda calcom: calcom.cancel_booking(calcom.create_booking(request()).booking.uid), Rejected),
    ],
)
def test_a_refusal_is_named_by_what_the_caller_may_do(calcom: CalcomClient, call: Callable, error: type):
    with pytest.raises(error):
        call(calcom)


@pytest.mark.parametrize("key", ["expired", "unknown"])
def test_a_bad_key_is_named(sandbox: RunningSandbox, redis_client: redis.Redis, key: str):
    secret = sandbox.keys.get(key, "cal_" + "e" * 32)
    with client_of(sandbox.url, secret, redis_client) as calcom, pytest.raises(Unauthorized):
        calcom.list_personal()


def test_a_full_limit_of_an_event_type_is_no_bad_key(calcom: CalcomClient, sandbox: RunningSandbox):
    sandbox.control.mutate("update_event_type", id=2, set={"bookingLimitsCount": {"day": 1}})
    calcom.create_booking(request())
    with pytest.raises(Rejected) as raised:
        calcom.create_booking(request(start="2026-12-02T14:00:00Z"))
    assert type(raised.value) is Rejected
    assert "booking_limit_reached" in str(raised.value)


def test_a_wrong_version_is_named_and_nothing_of_its_answer_is_used(sandbox: RunningSandbox, redis_client: redis.Redis):
    for version, called in (("2024-04-15", "legacy shape"), ("2024-09-04", "no route")):
        options = replace(QUICK, bookings_version=version)
        with client_of(sandbox.url, sandbox.keys["alice"], redis_client, options=options) as calcom:
            with pytest.raises(ContractBroken) as raised:
                calcom.page(BookingQuery())
            assert "cal-api-version" in str(raised.value), called


def test_the_breaker_opens_for_its_group_alone_and_4xx_429_and_slow_creates_do_not_count(
    calcom: CalcomClient, sandbox: RunningSandbox, seen: Seen
):
    for _ in range(8):
        with pytest.raises(NotFound):
            calcom.get_booking("nosuchbooking")
    latency = sandbox.control.add_fault("latency", "POST /v2/event-types", seconds=1.2, count=1)
    calcom.create_event_type(ME, NEW, above_id=11)
    sandbox.control.remove_fault(latency)
    sandbox.control.add_fault("error", "GET /v2/bookings/*", status=500)
    for _ in range(5):
        with pytest.raises(TransientError):
            calcom.get_booking("nosuchbooking")
    before = len(sandbox.control.requests(1000))
    with pytest.raises(CircuitOpen) as raised:
        calcom.page(BookingQuery())
    assert 0 < raised.value.retry_after <= 60
    assert len(sandbox.control.requests(1000)) == before, "nothing was sent"
    assert calcom.list_personal(), "another group goes on"


def test_a_429_makes_everybody_wait_for_the_reset_and_no_call_is_lost(
    sandbox: RunningSandbox, redis_client: redis.Redis, seen: Seen
):
    budget = replace(ROOMY, block_seconds=2.0)  # an answer is waited out for a window and a block of ours at most
    with client_of(sandbox.url, sandbox.keys["alice"], redis_client, budget=budget, observers=[seen]) as calcom:
        calcom.me()
        limits = [{"hits": 20, "window_seconds": 2, "block_seconds": 2}]
        sandbox.control.mutate("set_key", name="alice", limits=limits)
        for _ in range(30):  # somebody else with the same key
            requests.get(sandbox.url + "/me", headers={"Authorization": f"Bearer {sandbox.keys['alice']}"}, timeout=5)
        for _ in range(5):
            calcom.me()
    assert seen.outcomes() == ["ok", "RateLimited", *["ok"] * 5]


def test_no_log_line_holds_a_key_or_an_address(
    calcom: CalcomClient, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG):
        wanted = request()
        calcom.create_booking(wanted)
        calcom.find_booking(wanted.key, event_type_id=2, start=wanted.start, email="carol@example.org")
        with pytest.raises(Rejected) as raised:
            calcom.create_booking(request(lengthInMinutes=45))
    told = caplog.text + str(raised.value) + raised.value.exchange.body
    assert "carol" not in told
    assert sandbox.keys["alice"] not in told
