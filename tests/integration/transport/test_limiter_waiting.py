"""Waiting for a turn: deadlines, giving up, and what happens while Redis is away."""

import itertools
import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.adapters.calcom.transport.limit_headers import limit_of, read_limit_headers, seconds_blocked
from calcom_pipeline.adapters.redis.connection import open_redis
from calcom_pipeline.adapters.redis.limiter.limiter import LEASE_SECONDS, RedisRateLimiter
from calcom_pipeline.adapters.redis.limiter.local_pace import LocalPace
from calcom_pipeline.app.limits import NamedLimit
from calcom_pipeline.domain.errors import RateLimited
from tests.support.limiter_world import BUDGET

TIGHT = replace(BUDGET, limit=6, safety=1, reserve=1, window_seconds=1.0, burst=3, longest_wait_seconds=5)
NOBODY = "redis://127.0.0.1:1/0"
NOW = datetime.fromtimestamp(1_796_000_000, UTC)  # 2026-11-30T00:53:20Z


class Time:
    """A clock and a sleep that belong together."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def limiter_of(client: redis.Redis, **changes: object) -> RedisRateLimiter:
    return RedisRateLimiter(client, key_name="wait", budget=replace(TIGHT, **changes))


def used_up(limiter: RedisRateLimiter) -> None:
    limiter.complete(limiter.acquire("sync"), status=200, named_limit=None)
    while limiter.seconds_until_available("sync") == 0:
        limiter.complete(limiter.acquire("sync"), status=200, named_limit=None)


def test_a_wait_past_the_deadline_is_refused_at_once_and_leaves_the_queue(redis_client: redis.Redis):
    limiter = limiter_of(redis_client, window_seconds=60.0)
    used_up(limiter)
    with pytest.raises(RateLimited) as refused:
        limiter.acquire("sync", deadline_seconds=0.05)
    assert refused.value.retry_after > 0.05
    assert set(limiter.view().waiting.values()) == {0}


def test_a_wait_that_is_interrupted_leaves_the_queue(redis_client: redis.Redis):
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    limiter = limiter_of(redis_client)
    used_up(limiter)
    impatient = RedisRateLimiter(redis_client, key_name="wait", budget=TIGHT, sleep=interrupted)
    with pytest.raises(KeyboardInterrupt):
        impatient.acquire("sync")
    assert set(limiter.view().waiting.values()) == {0}


def test_a_wait_within_the_deadline_ends_with_a_grant(redis_client: redis.Redis):
    limiter = limiter_of(redis_client)
    used_up(limiter)
    expected = limiter.seconds_until_available("sync")
    grant = limiter.acquire("sync", deadline_seconds=3)
    assert 0 < grant.waited_seconds < expected + 1
    assert not grant.local


def test_a_429_stops_everybody_who_shares_the_key(redis_client: redis.Redis):
    first, second = limiter_of(redis_client), limiter_of(redis_client)
    first.complete(first.acquire("sync"), status=429, named_limit=limit_of(named("Default", 6, 0, 40), status=429))
    assert 39 < second.seconds_until_available("interactive") <= 40
    assert 39 < second.view().paused_seconds <= 40
    with pytest.raises(RateLimited):
        second.acquire("interactive")


# --- Redis is away -------------------------------------------------------------------------------------------


def test_without_redis_a_process_takes_its_share_evenly_and_says_so_once(caplog: pytest.LogCaptureFixture):
    time = Time()
    with open_redis(NOBODY) as client, caplog.at_level(logging.WARNING):
        limiter = RedisRateLimiter(client, key_name="wait", budget=BUDGET, sleep=time.sleep, clock=time.clock)
        began = time.now
        grants = []
        for _ in range(10):
            grant = limiter.acquire("sync")
            grants.append(time.now - began)
            limiter.complete(grant, status=200, named_limit=None)
            assert grant.local
    interval = 60 * 8 / 118
    assert grants == pytest.approx([interval * n for n in range(1, 11)])
    assert caplog.text.count("redis_is_away") == 1
    assert "seconds_between_requests" in caplog.text


def test_without_redis_a_block_is_waited_out_and_a_deadline_still_holds():
    time = Time()
    with open_redis(NOBODY) as client:
        limiter = RedisRateLimiter(client, key_name="wait", budget=BUDGET, sleep=time.sleep, clock=time.clock)
        grant = limiter.acquire("sync")
        limiter.complete(grant, status=429, named_limit=limit_of({"X-RateLimit-Reset-Default": "55"}, status=429))
        assert limiter.seconds_until_available() == pytest.approx(55)
        with pytest.raises(RateLimited) as refused:
            limiter.acquire("sync", deadline_seconds=30)
        assert refused.value.retry_after == pytest.approx(55)
        limiter.acquire("sync")
        assert time.now - 1000 >= 55


def test_a_waiter_goes_back_to_redis_as_soon_as_it_is_there(
    redis_client: redis.Redis, redis_url: str, caplog: pytest.LogCaptureFixture
):
    time = Time()
    with open_redis(NOBODY) as away, open_redis(redis_url) as back, caplog.at_level(logging.WARNING):
        limiter = RedisRateLimiter(away, key_name="wait", budget=BUDGET, sleep=time.sleep, clock=time.clock)
        there = RedisRateLimiter(back, key_name="wait", budget=BUDGET)

        def sleep_until_it_is_back(seconds: float) -> None:
            time.sleep(seconds)
            limiter._scripts = there._scripts

        limiter._sleep = sleep_until_it_is_back
        grant = limiter.acquire("sync")
    assert not grant.local
    assert time.now - 1000 <= 2 * LEASE_SECONDS
    assert "redis_is_back" in caplog.text


@given(
    moments=st.lists(st.floats(0, 40), min_size=1, max_size=60),
    processes=st.integers(1, 40),
    requests=st.integers(1, 500),
)
def test_processes_without_redis_stay_inside_the_limit_together(moments: list[float], processes: int, requests: int):
    """Each alone keeps the distance, so all together can never make more than the limit in a window."""
    time = Time()
    pace = LocalPace(
        requests=requests, window_seconds=60.0, processes=processes, longest_pause_seconds=120, clock=time.clock
    )
    pace.begin()
    granted = []
    for moment in sorted(moments):
        time.now = max(time.now, 1000.0 + moment)
        wait = pace.reserve(1e9)
        assert wait is not None
        granted.append(time.now + wait)
    assert granted[0] >= 1000.0 + pace.interval_seconds - 1e-9
    gaps = [b - a for a, b in itertools.pairwise(granted)]
    assert all(gap >= pace.interval_seconds - 1e-6 for gap in gaps)
    assert processes * (60.0 / pace.interval_seconds) == pytest.approx(requests)


# --- headers -------------------------------------------------------------------------------------------------


def named(name: str, limit: object, left: object, reset: object) -> dict[str, str]:
    parts = {"Limit": limit, "Remaining": left, "Reset": reset}
    return {f"X-RateLimit-{part}-{name}": str(value) for part, value in parts.items()}


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, None),
        ({"X-RateLimit-Limit-Default": "120"}, None),
        (named("Default", "many", 1, 2), None),
        (named("Default", "\u0663", 1, 2), None),  # a digit, but not one of Cal.com's
        (named("Default", 120, 7, 9), NamedLimit(120, 7, 9)),
        (named("default", 120, 7, 9), NamedLimit(120, 7, 9)),
        (named("Short", 5, 0, 3) | named("Long", 100, 40, 50), NamedLimit(100, 40, 50)),
        (named("Short", 5, 5, 3) | named("Default", 120, 0, 50), NamedLimit(120, 0, 50)),
        (named("Default", 120, 0, 10**8), NamedLimit(120, 0, 86_400)),
        (named("Default", 120, 0, "9" * 5000), NamedLimit(120, 0, 86_400)),
        (named("Default", 120, 0, "12.2"), NamedLimit(120, 0, 13)),
        (named("Default", 120, 0, "-1"), None),
        (named("Default", 120, 0, "inf"), None),
        (named("Default", 120, 0, "1e3"), None),
        (named("Default", 120, 0, 1_796_000_090), NamedLimit(120, 0, 90)),  # the second since 1970 in which it ends
        (named("Default", 120, 0, 1_796_000_090_500), NamedLimit(120, 0, 91)),  # ... and the millisecond
        (named("Default", 120, 0, 1_764_126_000), None),  # one that is over
        (named("Default", "9" * 309, "9" * 5000, 50), NamedLimit(1_000_000, 1_000_000, 50)),
        (named("Default", 120, 500, 50), NamedLimit(120, 120, 50)),  # more left than there is
        (named("Default", 0, 0, 50), None),
        (named("Default", -5, 0, 50), None),
        (named("Booking_guests_add", 5, 0, 50), None),  # of one endpoint, not of the key
        (named("Booking_guests_add", 5, 0, 50) | named("Default", 120, 7, 9), NamedLimit(120, 7, 9)),
    ],
)
def test_limit_headers_are_read_whole_or_not_at_all(headers: dict[str, str], told: NamedLimit | None):
    assert read_limit_headers(headers, now=NOW) == told


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "2.5"}, 3),
        ({"Retry-After": "-30"}, None),
        ({"Retry-After": "9" * 5000}, 86_400),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),  # is over
        ({"Retry-After": "Mon, 30 Nov 2026 00:54:00 GMT"}, 40),
        ({"Retry-After": "Mon, 30 Nov 2026 00:54:00 GMT", "Date": "Mon, 30 Nov 2026 00:53:55 GMT"}, 5),
        ({"Retry-After": "Mon, 30 Nov 2026 00:54:00 +9999"}, None),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359"}, None),
        ({"Retry-After": "soon"}, None),
        ({"X-RateLimit-Reset-Default": "17", "X-RateLimit-Reset-Slow": "4"}, 17),
        ({"X-RateLimit-Reset": "1764126000"}, None),
        ({"X-RateLimit-Reset": "1764126000", "Retry-After": "30"}, 30),
        (named("Default", 120, 0, 1764126000), None),
        (named("Default", 120, 0, 3600), 3600),
    ],
)
def test_how_long_a_429_lasts(headers: dict[str, str], seconds: int | None):
    assert seconds_blocked(headers, now=NOW) == seconds
