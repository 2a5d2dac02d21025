"""Laws of waiting that hold in any drawn afternoon: order, no starvation, waits that only shrink; simulated time."""

from collections import Counter
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calcom_pipeline.adapters.redis.limiter.limiter import LANES
from tests.support.limiter_world import BUDGET, Net, Worker, World

_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
#: Seconds between two requests at an even pace.
EVEN = BUDGET.window_seconds / BUDGET.spendable
#: A lower lane gets every tenth grant at least; what an interactive call takes comes on top.
_EVERY_TENTH = 10

_CROWD = given(
    seed=st.integers(0, 2**32),
    crowd=st.fixed_dictionaries({lane: st.integers(0, 8) for lane in ("sync", "warm", "backfill")}).filter(any),
    visits=st.lists(st.floats(1, 110), max_size=8),
    slowest_answer=st.floats(0.05, 3.0),
)


@settings(max_examples=4, suppress_health_check=_CHECKS)
@_CROWD
def test_nobody_starves_and_nobody_jumps_the_queue(redis_client: redis.Redis, **drawn: Any):
    nobody_starves(redis_client, **drawn)


@pytest.mark.proof
@pytest.mark.timeout(900)
@settings(max_examples=100, suppress_health_check=_CHECKS)
@_CROWD
def test_proof_nobody_starves_whatever_the_crowd(redis_client: redis.Redis, **drawn: Any):
    nobody_starves(redis_client, **drawn)


def nobody_starves(
    store: redis.Redis, *, seed: int, crowd: dict[Any, int], visits: list[float], slowest_answer: float
) -> None:
    store.flushdb()
    world = World(store, seed=seed, net=Net(back=(0.02, slowest_answer)))
    for lane, count in crowd.items():
        for _ in range(count):
            world.worker(lane, at=world.random.uniform(0, 3))
    visitors = [world.one_call("interactive", at=moment) for moment in visits]
    world.run(120)
    assert world.calcom.densest <= world.calcom.limit
    for visitor in visitors:
        assert visitor.waits, "an interactive call was never granted"
        # Each before it that came at about the same time may take an interval, and a cold start a moment.
        assert visitor.waits[0] <= 2 + len(visits) * EVEN
    for worker in (w for w in world.workers if w.lane != "interactive"):
        longest = (crowd[worker.lane] + 2) * _EVERY_TENTH * EVEN + len(visits) * EVEN
        waiting = world.now - worker.asked_at if world.is_waiting(worker) else 0.0
        assert max([*worker.waits, waiting]) <= longest, f"{worker.lane} among {crowd}"
    assert in_order(world.workers)


def in_order(workers: list[Worker]) -> bool:
    """Within a lane, whoever asked first was granted first."""
    for lane in LANES:
        ours = [one for one in workers if one.lane == lane]
        turns = sorted((g - w, g) for one in ours for w, g in zip(one.waits, one.grants, strict=True))
        granted = [grant for _, grant in turns]
        if granted != sorted(granted):
            return False
    return True


@settings(max_examples=12, suppress_health_check=_CHECKS)
@given(
    seed=st.integers(0, 2**32),
    lanes=st.lists(st.sampled_from(LANES), min_size=1, max_size=10),
    busy=st.floats(0.5, 75),
    steps=st.lists(st.floats(0.01, 4), min_size=5, max_size=25),
)
def test_while_nothing_else_happens_every_wait_only_shrinks(
    redis_client: redis.Redis, seed: int, lanes: list[Any], busy: float, steps: list[float]
):
    redis_client.flushdb()
    world = World(redis_client, seed=seed)
    for lane in lanes:
        world.worker(lane, at=world.random.uniform(0, 0.5))
    world.run(busy)
    for worker in world.workers:
        world.kill(worker)
    world.run(3)  # their answers and leases are over
    before = waits(world)
    for step in steps:
        world.run(step)
        now = waits(world)
        for lane in LANES:
            assert now[lane] <= max(0.0, before[lane] - step) + 0.002, lane
        before = now


def waits(world: World) -> Counter[str]:
    return Counter({lane: world.scripts.ask(lane, "", 0, peek=True).available_seconds for lane in LANES})
