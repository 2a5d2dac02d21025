"""Several accounts with one key: one budget, interactive calls of all first, turns within a lane; simulated time."""

from collections import Counter

import pytest
import redis

from calcom_pipeline.adapters.redis.limiter.limiter import LANES
from calcom_pipeline.app.calls import Lane
from tests.support.limiter_world import BUDGET, World

EVEN = BUDGET.window_seconds / BUDGET.spendable
A_WHILE = 180.0


@pytest.fixture
def world(redis_client: redis.Redis) -> World:
    return World(redis_client)


def granted(world: World, since: float = 0.0) -> Counter[str]:
    """Grants by account."""
    return Counter(w.account for w in world.workers for at in w.grants if at > since)


#: The script treats them alike: all of them in `make proof`.
EACH_LANE = [LANES[1], *(pytest.param(lane, marks=pytest.mark.proof) for lane in LANES[2:])]


@pytest.mark.parametrize("lane", EACH_LANE)
def test_accounts_share_a_lane_evenly_however_many_of_one_wait(world: World, lane: Lane):
    for _ in range(12):
        world.worker(lane, account="agency_a")
    world.worker(lane, account="agency_b")
    world.run(A_WHILE)
    found = granted(world)
    assert found["agency_b"] >= 0.4 * found.total(), found
    assert found["agency_a"] >= 0.4 * found.total(), found
    assert world.calcom.densest <= world.calcom.limit, "one budget for both"


def test_a_backfill_of_one_account_delays_no_interactive_call_of_another(world: World):
    for _ in range(20):
        world.worker("backfill", account="agency_a")
    visitors = [world.one_call("interactive", at=30 + 7 * n, account="agency_b") for n in range(12)]
    world.run(30 + 7 * 12)
    assert all(visitor.waits for visitor in visitors)
    assert max(visitor.waits[0] for visitor in visitors) <= 2 * EVEN


def test_an_account_that_comes_late_waits_for_two_of_each_other_and_not_for_all_of_them(world: World):
    for name in ("agency_a", "agency_b", "agency_c"):
        for _ in range(10):
            world.worker("sync", account=name)
    late = [world.one_call("sync", at=60 + 20 * n, account="agency_d") for n in range(4)]
    world.run(60 + 20 * 4)
    assert all(each.waits for each in late)
    assert max(each.waits[0] for each in late) <= (2 * 3 + 1) * EVEN, "behind 30 it would wait 15 s"


def test_an_account_saves_up_no_turns_while_it_rests(world: World):
    """It was idle for two minutes, and then does not take all the grants until it has as many as the others."""
    for _ in range(6):
        world.worker("sync", account="agency_a")
    world.run(120)
    began = world.now
    for _ in range(6):
        world.worker("sync", account="agency_b")
    world.run(90)
    found = granted(world, since=began)
    assert 0.4 <= found["agency_a"] / found.total() <= 0.6, found


def test_waiters_that_left_cost_their_account_no_more_than_their_own_place(world: World):
    """A crowd of one account gave up; its next one is not put behind places that nobody holds any more."""
    for _ in range(3):
        world.worker("sync", account="agency_b")
    crowd = [world.worker("sync", at=30, account="agency_a") for _ in range(40)]
    world.run(35)
    for worker in crowd:
        world.kill(worker)
    world.run(5)  # their leases are over
    next_one = world.one_call("sync", at=0, account="agency_a")
    world.run(30)
    assert next_one.waits
    assert next_one.waits[0] <= 6 * EVEN
