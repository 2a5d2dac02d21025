"""Calls that follow single changes: before all that comes by itself, and no more of them than leaves people theirs."""

from collections.abc import Callable

import pytest
import redis

from calcom_pipeline.adapters.redis import quick_calls
from calcom_pipeline.adapters.redis.connection import open_redis
from calcom_pipeline.adapters.redis.quick_calls import QuickCalls
from calcom_pipeline.app.calls import Lane
from tests.support.limiter_world import BUDGET, CLOCK_KEY, Worker, World

EVEN = BUDGET.window_seconds / BUDGET.spendable
A_MINUTE_S = 30
NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def world(redis_client: redis.Redis) -> World:
    return World(redis_client)


@pytest.fixture
def quick(world: World, monkeypatch: pytest.MonkeyPatch) -> QuickCalls:
    """The budget as it ships, on the clock of the simulated world."""
    plain = quick_calls.script
    told = f'cjson.decode(redis.call("GET", "{CLOCK_KEY}"))'
    monkeypatch.setattr(quick_calls, "script", lambda name: plain(name).replace('redis.call("TIME")', told))
    return QuickCalls(world.client, key_name="test", per_minute=A_MINUTE_S)


def crowd(world: World) -> None:
    """Reads of all free times, schedules and warming, all at once and without an end."""
    for lane, number in (("sync", 6), ("warm", 3), ("backfill", 2)):
        for _ in range(number):
            world.worker(lane)


def each(world: World, seconds: float, number: int, call: Callable[[], None]) -> None:
    """Do something every so many seconds, once the crowd is there."""
    for n in range(number):
        world.after(30 + n * seconds, call)


@pytest.mark.parametrize(("is_quick", "is_soon"), [(True, True), (False, False)])
def test_the_booking_of_a_single_delivery_waits_for_no_background_work(
    world: World, quick: QuickCalls, is_quick: bool, is_soon: bool
):
    crowd(world)
    reads = []

    def delivered() -> None:
        lane: Lane = "interactive" if is_quick and quick.take(1) else "sync"
        reads.append(world.one_call(lane, at=0))

    each(world, 7.0, 12, delivered)
    world.run(150)
    waits = [wait for read in reads for wait in read.waits]
    assert len(waits) == 12
    assert (max(waits) <= 2 * EVEN) is is_soon, f"the longest waited {max(waits):.2f} s"


def test_deliveries_without_an_end_take_a_share_and_leave_visitors_theirs(world: World, quick: QuickCalls):
    """Three a second, each alone in the inbox: to read them all would take more than Cal.com grants."""
    crowd(world)
    lanes, reads = list[Lane](), list[Worker]()

    def delivered() -> None:
        if not reads or reads[-1].grants:  # one is read after the other
            lanes.append("interactive" if quick.take(1) else "sync")
            reads.append(world.one_call(lanes[-1], at=0))

    each(world, 1 / 3, 3 * 120, delivered)
    visitors = [world.one_call("interactive", at=60 + n) for n in range(80)]
    world.run(160)
    assert A_MINUTE_S <= lanes.count("interactive") <= A_MINUTE_S * (120 / 60 + 1)
    assert "sync" in lanes
    assert max(visitor.waits[0] for visitor in visitors) <= 3 * EVEN, "a visitor waits behind few of them"


def test_a_budget_is_taken_whole_or_not_at_all_and_comes_back_evenly(world: World, quick: QuickCalls):
    assert [quick.take(20), quick.take(20), quick.take(A_MINUTE_S - 20)] == [True, False, True]
    world.run(60)
    assert quick.take(A_MINUTE_S)
    assert not quick.take(1)
    world.run(2.1)
    assert quick.take(1)


def test_all_processes_of_a_key_share_it_and_other_keys_have_their_own(redis_client: redis.Redis):
    one, two = (QuickCalls(redis_client, key_name="shared", per_minute=3) for _ in range(2))
    assert [one.take(1), two.take(1), one.take(1), two.take(1)] == [True, True, True, False]
    assert QuickCalls(redis_client, key_name="other", per_minute=3).take(1)


def test_nothing_is_quick_where_it_is_off_or_nobody_counts(redis_client: redis.Redis):
    assert not QuickCalls(redis_client, key_name="off", per_minute=0).take(1)
    with open_redis(NOBODY) as away:
        assert not QuickCalls(away, key_name="away", per_minute=30).take(1)
