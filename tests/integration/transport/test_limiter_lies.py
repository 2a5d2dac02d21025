"""What answers tell the limiter that is not true, and keys with a window of their own; simulated time."""

import logging
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calcom_pipeline.adapters.calcom.transport.limit_headers import limit_of
from calcom_pipeline.adapters.redis.connection import open_redis
from calcom_pipeline.adapters.redis.limiter.limiter import LEASE_SECONDS, RedisRateLimiter
from calcom_pipeline.app.limits import NamedLimit
from tests.support.limiter_world import BUDGET, START, CalcomWindow, Net, World

LONGEST = BUDGET.window_seconds + BUDGET.block_seconds
STATE = "calcom:v1:{limit-test}:state"
FOREIGN = "calcom:v1:{limit-test}:foreign"


@pytest.fixture
def limiter(redis_client: redis.Redis) -> RedisRateLimiter:
    return RedisRateLimiter(redis_client, key_name="test", budget=BUDGET)


@pytest.fixture
def world(redis_client: redis.Redis) -> World:
    return World(redis_client)


def spent(reset: object, limit: object = 120) -> dict[str, str]:
    return {
        "X-RateLimit-Limit-Default": str(limit),
        "X-RateLimit-Remaining-Default": "0",
        "X-RateLimit-Reset-Default": str(reset),
    }


def wait_of(world: World) -> float:
    return world.scripts.ask("interactive", "", 0, peek=True).available_seconds


# --- a pause that an answer tells ----------------------------------------------------------------------------

RESETS = [
    86_400,
    "9" * 309,
    "9" * 5000,
    4_102_444_800,  # the year 2100, in seconds
    4_102_444_800_000,  # ... and in milliseconds
    "86400.5",
]
NO_RESETS = [-1, "inf", "nan", "1e308", 1_764_126_000, ""]


@pytest.mark.parametrize("reset", RESETS, ids=lambda reset: str(reset)[:14])
@pytest.mark.parametrize("status", [200, 429])
def test_what_an_answer_tells_is_waited_out_for_a_window_and_a_block_at_most(
    limiter: RedisRateLimiter, caplog: pytest.LogCaptureFixture, reset: object, status: int
):
    with caplog.at_level(logging.WARNING):
        limiter.complete(limiter.acquire("sync"), status=status, named_limit=limit_of(spent(reset), status=status))
    assert 60 < limiter.seconds_until_available("interactive") <= LONGEST + 1
    assert caplog.text.count("limit_header_not_believed") == 1
    assert "CALCOM_RATE_WINDOW_SECONDS" in caplog.text


@pytest.mark.parametrize("reset", NO_RESETS, ids=lambda reset: str(reset)[:14])
def test_what_is_no_time_stops_nobody(limiter: RedisRateLimiter, reset: object):
    limiter.complete(limiter.acquire("sync"), status=200, named_limit=limit_of(spent(reset), status=200))
    assert limiter.seconds_until_available("interactive") < 3


@pytest.mark.parametrize("limit", ["9" * 309, "9" * 5000, "-5", "0", "1e308", "5.5"], ids=lambda limit: limit[:14])
def test_no_number_of_a_header_breaks_the_limiter_or_the_look_at_it(limiter: RedisRateLimiter, limit: str):
    limiter.complete(limiter.acquire("sync"), status=200, named_limit=limit_of(spent(60, limit=limit), status=200))
    view = limiter.view()
    assert view.spendable == BUDGET.spendable
    assert view.others <= 1_000_000
    assert limiter.seconds_until_available("sync") <= LONGEST


@pytest.mark.parametrize("headers", [{"Retry-After": "0"}, spent(0), {"Retry-After": "0.0"}])
def test_after_a_429_nobody_comes_back_sooner_than_a_second_and_each_time_later(
    redis_client: redis.Redis, world: World, headers: dict[str, str]
):
    limiter = RedisRateLimiter(redis_client, key_name="test", budget=BUDGET)
    limiter._scripts = world.scripts
    waits: list[float] = []
    for _ in range(9):
        limiter.complete(
            limiter.acquire("interactive", deadline_seconds=0), status=429, named_limit=limit_of(headers, status=429)
        )
        waits.append(wait_of(world))
        world.run(waits[-1] + 0.01)
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 64, LONGEST, LONGEST], abs=0.1)
    limiter.complete(limiter.acquire("interactive", deadline_seconds=0), status=200, named_limit=None)
    limiter.complete(
        limiter.acquire("interactive", deadline_seconds=0), status=429, named_limit=limit_of(headers, status=429)
    )
    assert wait_of(world) == pytest.approx(1, abs=0.1)


def test_refusals_of_requests_that_were_under_way_make_one_pause(world: World):
    names = ["r-1", "r-2", "r-3"]
    world.scripts.complete(granted(world, "r-0"), 200, NamedLimit(120, 119, 60))
    for name in names:
        world.run(0.6)
        granted(world, name)
    for name in names:
        world.scripts.complete(name, 429, NamedLimit(0, 0, 0))
    assert 0.9 < wait_of(world) <= 1


def test_without_redis_a_429_is_waited_out_for_a_second_at_least_and_each_time_for_longer():
    now = [1000.0]
    with open_redis("redis://127.0.0.1:1/0") as away:
        limiter = RedisRateLimiter(
            away, key_name="test", budget=replace(BUDGET, processes=1), clock=lambda: now[0], sleep=lambda _: None
        )
        limiter.seconds_until_available()  # Redis is found to be away
        waits: list[float] = []
        for _ in range(9):
            now[0] += limiter.seconds_until_available() + 0.001
            grant = limiter.acquire("sync")
            limiter.complete(grant, status=429, named_limit=limit_of({"Retry-After": "0"}, status=429))
            waits.append(limiter.seconds_until_available())
        assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 64, LONGEST, LONGEST], abs=0.6)
        now[0] += LONGEST + 1
        limiter.complete(
            limiter.acquire("sync"), status=429, named_limit=limit_of({"Retry-After": "86400"}, status=429)
        )
        assert limiter.seconds_until_available() == pytest.approx(LONGEST, abs=0.6)


def granted(world: World, name: str) -> str:
    assert world.scripts.ask("sync", name, 0).granted
    return name


# --- what an earlier release has kept in Redis ---------------------------------------------------------------

DAY_MS = 86_400_000
POISON: list[dict[str, Any]] = [
    {"pause": START * 1000 + DAY_MS},
    {"window_end": START * 1000 + DAY_MS, "window_from": START * 1000 + DAY_MS, "left": 0, "asked": START * 1000}
    | {"learned": START * 1000, "limit": 120, "taken": 0},
    {"carried": 119, "carried_from": START * 1000 + DAY_MS, "carried_until": START * 1000 + 2 * DAY_MS},
    {"limit": "1e308", "pause": "inf", "tat": "-nan", "carried": "1e309"},
    {"limit": 120, "tat": START * 1000 + DAY_MS, "learned": START * 1000},
    {"limit": 0, "learned": START * 1000},
]


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: next(iter(poison)))
def test_what_a_lie_has_left_in_redis_heals_by_itself(redis_client: redis.Redis, world: World, poison: dict[str, Any]):
    redis_client.hset(STATE, mapping=poison)
    redis_client.zadd(FOREIGN, {"r-9:1e+308": START * 1000})
    assert world.scripts.view().paused_seconds == 0
    assert wait_of(world) < 30
    world.worker()
    world.run(90)
    assert world.calcom.admitted["sync"] > 50
    assert not world.calcom.refused


# --- a window of the key's own -------------------------------------------------------------------------------


def slow_key(store: redis.Redis, **more: Any) -> World:
    """As in captures 09: five requests in ten seconds, then a block of ten."""
    return World(store, calcom=CalcomWindow(limit=5, window_seconds=10, block_seconds=10), **more)


def test_nine_calls_with_a_key_of_five_in_ten_seconds_take_about_twenty(redis_client: redis.Redis):
    world = slow_key(redis_client)
    calls = [world.one_call("sync", at=0) for _ in range(9)]
    world.run(25)
    assert sum(len(call.grants) for call in calls) == 9
    assert not world.calcom.refused
    assert world.scripts.view().window_seconds == 10
    assert world.scripts.view().spendable == 4


_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
_KEYS = given(
    seed=st.integers(0, 2**32),
    own=st.sampled_from([(5, 10), (5, 60), (10, 20), (20, 10), (1, 2), (100, 59), (30, 90), (1000, 10)]),
    lanes=st.lists(st.sampled_from(["interactive", "sync", "backfill"]), min_size=1, max_size=8),
    # Together within a lease: of a key of one request, the second would go out before the first is learned from.
    slowest_arrival=st.floats(0.01, 0.9),
    slowest_answer=st.floats(0.05, 1.0),
)


@settings(max_examples=6, suppress_health_check=_CHECKS)
@_KEYS
def test_whatever_window_a_key_has_it_is_never_over_its_limit_nor_over_that_of_the_settings(
    redis_client: redis.Redis, **drawn: Any
):
    never_over_either_limit(redis_client, seconds=40, **drawn)


@pytest.mark.proof
@pytest.mark.timeout(900)
@settings(max_examples=200, suppress_health_check=_CHECKS)
@_KEYS
def test_proof_no_key_with_a_window_of_its_own_is_ever_over_a_limit(redis_client: redis.Redis, **drawn: Any):
    never_over_either_limit(redis_client, seconds=150, **drawn)


def never_over_either_limit(
    store: redis.Redis,
    *,
    seconds: float,
    seed: int,
    own: tuple[int, int],
    lanes: list[Any],
    slowest_arrival: float,
    slowest_answer: float,
) -> None:
    store.flushdb()
    limit, window = own
    net = Net(there=(0.001, slowest_arrival), back=(0.001, slowest_answer))
    calcom = CalcomWindow(limit=limit, window_seconds=window, block_seconds=window)
    world = World(store, seed=seed, calcom=calcom, net=net, budget=replace(BUDGET, safety=0, reserve=0))
    watch = CalcomWindow(limit=10**9, window_seconds=BUDGET.window_seconds)
    plain = calcom.hit

    def watched(now: float, who: str) -> tuple[int, NamedLimit]:
        watch.hit(now, who)
        return plain(now, who)

    calcom.hit = watched  # type: ignore[method-assign]  # the settings' window, beside the key's
    for lane in lanes:
        world.worker(lane, at=world.random.uniform(0, 3))
    world.run(seconds)
    if window <= BUDGET.window_seconds:
        assert not calcom.refused
        assert calcom.densest <= limit
    assert watch.densest <= BUDGET.limit


class Boaster(CalcomWindow):
    """Says that its windows are six times as short as they are."""

    def hit(self, now: float, who: str) -> tuple[int, NamedLimit]:
        status, told = super().hit(now, who)
        return status, replace(told, reset_seconds=max(1, told.reset_seconds // 6)) if status == 200 else told


def test_a_window_that_is_longer_than_told_costs_one_block_and_is_not_believed_again(redis_client: redis.Redis):
    world = World(redis_client, calcom=Boaster(limit=5, window_seconds=60, block_seconds=60))
    for _ in range(3):
        world.worker()
    world.run(9 * 60)
    assert world.calcom.blocks == 1
    assert world.scripts.view().window_seconds == 60


def test_a_window_counts_no_longer_than_its_limit_is_named(world: World):
    world.scripts.complete(granted(world, "r-1"), 200, NamedLimit(5, 4, 10))
    assert world.scripts.view().window_seconds == 10
    world.run(LEASE_SECONDS + 10)
    world.scripts.complete(granted(world, "r-2"), 200, NamedLimit(120, 119, 60))
    assert world.scripts.view().window_seconds == 60
    assert world.scripts.view().spendable == BUDGET.spendable
