"""The rate limiter with its block, named limits and endpoint limits. Fact sheet 3."""

import pytest

from calcom_pipeline.sandbox.http.limiter import Limit, SandboxLimiter, headers_of, is_refused
from tests.sandbox.talking import Talker

_PREFIX = "X-RateLimit-"


def _triple(headers: dict[str, str], name: str = "Default") -> tuple[int, int, int]:
    limit, remaining, reset = (int(headers[f"{_PREFIX}{part}-{name}"]) for part in ("Limit", "Remaining", "Reset"))
    return limit, remaining, reset


def test_request_120_is_served_and_121_begins_a_block_that_refusals_do_not_prolong(calcom: Talker):
    for used in range(1, 121):
        reply = calcom.get("/me", key="bob")
        assert (reply.status, _triple(reply.headers)) == (200, (120, 120 - used, 60))
    first = calcom.get("/me", key="bob")
    assert (first.status, _triple(first.headers)) == (429, (120, 0, 60))
    calcom.control.advance(59)
    refused = calcom.get("/me", key="bob")
    assert (refused.status, _triple(refused.headers)) == (429, (120, 0, 1))
    assert "Retry-After" not in refused.headers
    text = "CustomThrottlerGuard - Too many requests. Please try again later."
    assert refused.body["error"] == {"code": "ThrottlerException", "message": text, "details": text}
    calcom.control.advance(1)
    after = calcom.get("/me", key="bob")
    assert (after.status, _triple(after.headers)) == (200, (120, 119, 60))


def test_keys_are_independent_and_a_window_opens_with_its_first_request(calcom: Talker):
    calcom.get("/me", key="bob")
    calcom.control.advance(30)
    assert _triple(calcom.get("/me", key="bob").headers) == (120, 118, 30)
    assert _triple(calcom.get("/me", key="alice").headers) == (100_000, 99_999, 60)
    calcom.control.advance(30)
    assert _triple(calcom.get("/me", key="bob").headers) == (120, 119, 60)


def test_errors_are_counted_too(calcom: Talker):
    assert _triple(calcom.get("/bookings/none", key="bob").headers)[1] == 119
    assert _triple(calcom.get("/bookings?take=0", key="bob").headers)[1] == 118


def test_the_slow_key_may_5_in_10_seconds_and_then_nothing_for_10(calcom: Talker):
    statuses = [calcom.get("/me", key="slow").status for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    calcom.control.advance(9)
    assert calcom.get("/me", key="slow").status == 429
    calcom.control.advance(1)
    assert calcom.get("/me", key="slow").status == 200


def test_guests_have_a_limit_of_their_own_and_leave_the_default_alone(calcom: Talker):
    uid = calcom.booked(2, "2026-11-23T09:00:00Z", key="bob")["uid"]
    before = _triple(calcom.get("/me", key="alice").headers)[1]
    for number in range(5):
        reply = calcom.post(f"/bookings/{uid}/guests", {"guests": [{"email": f"g{number}@example.org"}]})
        assert (reply.status, _triple(reply.headers, "Booking_guests_add")[1]) == (200, 4 - number)
    sixth = calcom.post(f"/bookings/{uid}/guests", {"guests": [{"email": "g6@example.org"}]})
    assert sixth.status == 429
    assert _triple(sixth.headers, "Booking_guests_add")[:2] == (5, 0)
    assert f"{_PREFIX}Limit-Default" not in sixth.headers
    assert _triple(calcom.get("/me", key="alice").headers)[1] == before - 1


def test_several_limits_on_one_key_refuse_only_when_all_are_blocked(calcom: Talker):
    limits = [
        {"name": "burst", "hits": 2, "window_seconds": 10, "block_seconds": 10},
        {"name": "day", "hits": 4, "window_seconds": 100, "block_seconds": 100},
    ]
    key = calcom.control.mutate("set_key", name="twofold", user_id=101, limits=limits)["key"]
    replies = [calcom.get("/me", key=key) for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 200, 429]
    assert _triple(replies[2].headers, "Burst")[:2] == (2, 0)
    assert _triple(replies[2].headers, "Day")[:2] == (4, 1)
    calcom.control.advance(10)
    assert calcom.get("/me", key=key).status == 200  # the one limit's block is over


@pytest.mark.parametrize("steps", [[0] * 8, [0, 3_000, 4_000, 2_999, 1, 0, 0, 5_000], [9_999, 1, 9_999, 1, 0, 0, 0, 0]])
def test_no_window_ever_admits_more_than_its_limit(steps):
    limiter, limit, now, admitted = SandboxLimiter(), Limit("default", 3, 10_000, 7_000), 0, []
    for step in steps * 4:
        now += step
        verdicts = limiter.hit("somebody", [limit], now)
        assert 0 <= verdicts[0].remaining < 3
        assert verdicts[0].reset_seconds * 1_000 < 10_000 + 1_000
        if not is_refused(verdicts):
            admitted.append(now)
    for at in admitted:  # a fixed window lets two windows' worth through around its edge, never more
        assert sum(at <= other < at + 10_000 for other in admitted) <= 6


def test_a_limits_name_is_a_suffix_with_a_capital():
    verdicts = SandboxLimiter().hit("somebody", [Limit("booking_guests_add", 5)], 0)
    assert [name for name, _ in headers_of(verdicts)] == [
        f"{_PREFIX}{part}-Booking_guests_add" for part in ("Limit", "Remaining", "Reset")
    ]
