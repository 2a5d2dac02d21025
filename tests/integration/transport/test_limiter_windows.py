"""What the shared limiter promises, on the real scripts and a real Valkey, in simulated time."""

import random
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calcom_pipeline.app.limits import NamedLimit
from tests.support.limiter_world import BUDGET, CalcomWindow, Net, Worker, World

_LANES = ("sync", "warm", "backfill", "interactive")


@pytest.fixture
def world(redis_client: redis.Redis) -> World:
    return World(redis_client)


def at_times(first: float, *, proof: tuple[float, ...]) -> list[Any]:
    """The moments of a table: each simulates minutes of a limiter, so one is for every day."""
    return [first, *(pytest.param(at, marks=pytest.mark.proof) for at in proof)]


def answered(world: World, status: int = 200) -> int:
    return sum(worker.answers[status] for worker in world.workers)


# --- never over the limit ------------------------------------------------------------------------------------


_DRAWN = given(
    seed=st.integers(0, 2**32),
    lanes=st.lists(st.sampled_from(_LANES), min_size=1, max_size=24),
    slowest_arrival=st.floats(0.01, 9.0),
    slowest_answer=st.floats(0.05, 15.0),
    kills=st.integers(0, 12),
    limit=st.sampled_from((120, 120, 60, 20)),
)
_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=2, suppress_health_check=_CHECKS)
@_DRAWN
def test_no_window_holds_more_than_the_limit_whatever_the_net_does_and_whoever_is_killed(
    redis_client: redis.Redis, **drawn: Any
):
    no_window_is_over_the_limit(redis_client, **drawn)


@pytest.mark.proof
@pytest.mark.timeout(900)
@settings(max_examples=150, suppress_health_check=_CHECKS)
@_DRAWN
def test_proof_no_window_holds_more_than_the_limit_whatever_is_drawn(redis_client: redis.Redis, **drawn: Any):
    no_window_is_over_the_limit(redis_client, **drawn)


def no_window_is_over_the_limit(
    store: redis.Redis,
    *,
    seed: int,
    lanes: list[Any],
    slowest_arrival: float,
    slowest_answer: float,
    kills: int,
    limit: int,
) -> None:
    store.flushdb()
    net = Net(there=(0.001, slowest_arrival), back=(0.001, slowest_answer))
    # Without any margin: the promise must not live on the requests that are left unused.
    budget = replace(BUDGET, limit=limit, safety=0, reserve=0)
    world = World(store, seed=seed, net=net, calcom=CalcomWindow(limit), budget=budget)
    for lane in lanes:
        world.worker(lane, at=world.random.uniform(0, 3))
    for _ in range(kills):
        victim = world.random.choice(world.workers)
        moment = world.random.uniform(0, 120)
        world.after(moment, lambda victim=victim: world.kill(victim))
        world.worker(victim.lane, at=moment + 1)
    world.run(130)
    assert world.calcom.densest <= limit
    assert not world.calcom.refused


def test_a_saturated_key_is_used_to_at_least_95_percent(world: World):
    for _ in range(8):
        world.worker()
    world.run(60)
    before = answered(world)
    world.run(120)
    assert world.calcom.densest <= 120
    assert (answered(world) - before) / 2 >= 0.95 * 120


def test_after_a_rest_only_a_small_burst_goes_out_at_once(world: World):
    workers = [world.worker() for _ in range(30)]
    world.run(5)  # warmed up, then rested
    for worker in workers:
        world.kill(worker)
    world.run(70)
    began = world.now
    late = [world.worker() for _ in range(30)]
    world.run(0.2)
    assert sum(len(w.grants) for w in late) <= BUDGET.burst
    assert all(moment >= began for w in late for moment in w.grants)


# --- waiting -------------------------------------------------------------------------------------------------


def test_lower_lanes_keep_a_tenth_each_while_a_higher_one_saturates(world: World):
    for lane in ("sync", "warm", "backfill"):
        for _ in range(4):
            world.worker(lane)
    world.run(180)
    admitted = world.calcom.admitted
    for lane in ("warm", "backfill"):
        assert admitted[lane] >= 0.099 * admitted.total(), admitted
    assert admitted["sync"] >= 0.75 * admitted.total()


def test_an_interactive_call_hardly_waits_while_others_saturate(world: World):
    for lane in ("sync", "sync", "sync", "warm", "backfill"):
        world.worker(lane)
    single = [world.one_call("interactive", at=61 + 6.7 * n) for n in range(10)]
    five = [world.one_call("interactive", at=140) for _ in range(5)]
    world.run(160)
    assert max(call.waits[0] for call in single) < 2
    assert max(call.waits[0] for call in five) < 5


def test_waiters_of_a_lane_are_served_in_the_order_in_which_they_came(world: World):
    calls = [world.one_call("sync", at=0.01 * n) for n in range(60)]
    world.run(90)
    granted = [call.grants[0] for call in calls]
    assert granted == sorted(granted)


def test_waiting_only_gets_shorter_while_nothing_else_happens(world: World):
    for _ in range(8):
        world.worker()
    world.run(30)
    for worker in world.workers:
        world.kill(worker)
    world.run(3)
    previous = world.scripts.ask("backfill", "", 0, peek=True).available_seconds
    for _ in range(40):
        step = world.random.uniform(0.01, 0.3)
        world.run(step)
        now = world.scripts.ask("backfill", "", 0, peek=True).available_seconds
        assert now <= max(0.0, previous - step) + 0.002
        previous = now


def test_looking_ahead_takes_nothing(world: World):
    world.one_call("sync", at=0)
    world.run(1)
    for _ in range(50):
        assert world.scripts.ask("sync", "", 0, peek=True).available_seconds == 0
    assert world.scripts.view().used == 1


# --- what others do with the key -----------------------------------------------------------------------------


@pytest.mark.parametrize("at", at_times(40.98, proof=(40.0, 41.37, 52.5)))
def test_after_a_block_all_workers_resume_within_two_seconds_and_nothing_is_lost(redis_client: redis.Redis, at: float):
    world = World(redis_client, seed=int(at))
    workers = [world.worker() for _ in range(8)]
    world.burst(150, at=at)
    world.run(at + 1)
    over = world.calcom.ends_at
    world.run(80)
    assert world.calcom.blocks == 1
    assert world.calcom.refused["sync"] <= 2  # what was under way when the block began
    for worker in workers:
        assert min(g for g in worker.grants if g >= over - 1) - over < 1.5  # 2 are promised, on a busy machine too
        assert worker.answers.total() >= len(worker.grants) - 1  # the last one may still be under way


def test_a_steady_stranger_is_left_room_for(world: World):
    for _ in range(8):
        world.worker()
    world.stranger(every=1.0)
    world.run(180)
    assert world.calcom.blocks == 0
    assert world.calcom.admitted["sync"] >= 0.8 * 3 * 60  # of the half that the stranger leaves


@pytest.mark.parametrize("at", at_times(50.0, proof=(5.0, 70.5)))
def test_a_strangers_burst_costs_one_block_at_most(redis_client: redis.Redis, at: float):
    world = World(redis_client)
    for _ in range(8):
        world.worker()
    world.burst(60, at=at)
    world.run(240)
    assert world.calcom.blocks <= 1


# --- the state is lost, or somebody holding a part of it -----------------------------------------------------


@pytest.mark.parametrize("at", at_times(61.0, proof=(30.3, 119.2)))
def test_redis_flushed_in_the_middle_costs_a_cold_start_and_no_block(redis_client: redis.Redis, at: float):
    world = World(redis_client)
    for _ in range(8):
        world.worker()
    world.after(at, world.lose_redis)
    world.run(200)
    assert not world.calcom.refused
    assert world.calcom.densest <= 120
    assert answered(world) >= 0.9 * 200 * 118 / 60


def test_cold_one_request_goes_out_and_is_learned_from_before_others_follow(redis_client: redis.Redis):
    calcom = CalcomWindow()
    world = World(redis_client, calcom=calcom, net=Net(there=(0.5, 0.5), back=(0.5, 0.5)))
    for _ in range(119):
        calcom.hit(world.now - 10, "stranger")  # one is left, for 50 s more
    for _ in range(5):
        world.worker()
    world.run(0.9)
    assert sum(len(w.grants) for w in world.workers) == 1
    world.run(48)
    assert sum(len(w.grants) for w in world.workers) == 1
    world.run(10)
    assert sum(len(w.grants) for w in world.workers) > 5
    assert not calcom.refused


def test_a_killed_first_request_holds_the_cold_limiter_for_one_lease_only(redis_client: redis.Redis):
    world = World(redis_client, net=Net(there=(1, 1), back=(30, 30)))
    first = world.worker()
    world.run(0.5)
    world.kill(first)
    second = world.worker()
    world.run(2.5)
    assert len(second.grants) == 1


@pytest.mark.parametrize("kills", [70, pytest.param(200, marks=pytest.mark.proof)])
def test_workers_killed_at_seeded_moments_leave_no_stuck_lane_or_lease(redis_client: redis.Redis, kills: int):
    world = World(redis_client, seed=11)
    choice = random.Random(12)
    for lane in ("sync", "sync", "sync", "warm", "backfill"):
        world.worker(lane)
    workers = len(world.workers)

    def kill_one() -> None:
        victim: Worker = choice.choice([w for w in world.workers if w.alive])
        world.kill(victim)
        world.worker(victim.lane)
        if len(world.workers) < workers + kills:
            world.after(choice.uniform(0.05, 0.7), kill_one)

    world.after(1, kill_one)
    world.run(kills / 2)
    assert len(world.workers) == workers + kills
    assert not world.calcom.refused
    for worker in world.workers:
        world.kill(worker)
    world.run(2.1 + BUDGET.window_seconds + BUDGET.arrival_seconds)
    last = world.one_call("backfill", at=0)
    world.run(0.01)
    assert last.waits == [0.0], "the queue, the log and the cold start are free"


def test_a_clock_that_steps_back_starts_the_limiter_afresh_instead_of_stopping_it(world: World):
    world.worker()
    world.run(30)
    world.now -= 3600
    world._set_clock()
    assert world.scripts.ask("sync", "r-new", 0).granted


# --- headers -------------------------------------------------------------------------------------------------


def grant(world: World, lane: str = "sync", name: str = "") -> str:
    waiter = name or f"r-{world.now}"
    assert world.scripts.ask(lane, waiter, 0).granted
    return waiter


def test_headers_may_lower_the_limit_but_never_raise_it(world: World):
    world.scripts.complete(grant(world), 200, NamedLimit(limit=20, left=19, reset_seconds=60))
    assert world.scripts.view().spendable == 18
    world.run(61)
    world.scripts.complete(grant(world), 200, NamedLimit(limit=100_000, left=99_999, reset_seconds=60))
    assert world.scripts.view().spendable == BUDGET.limit - BUDGET.safety


def test_a_spent_window_is_waited_out_and_a_late_answer_of_it_does_not_close_the_next(world: World):
    early = grant(world, name="r-early")
    world.scripts.complete(early, 200, NamedLimit(120, 119, 10))
    world.run(4)
    straggler = grant(world, name="r-straggler")
    last = grant(world, name="r-last")
    world.scripts.complete(last, 200, NamedLimit(120, 0, 6))
    assert 5 < world.scripts.ask("interactive", "", 0, peek=True).available_seconds <= 6.1
    world.run(6.2)
    fresh = grant(world, "interactive", "r-fresh")
    world.scripts.complete(fresh, 200, NamedLimit(120, 119, 60))
    world.scripts.complete(straggler, 200, NamedLimit(120, 0, 1))
    assert world.scripts.ask("interactive", "", 0, peek=True).available_seconds == 0


def test_an_answer_without_headers_opens_a_server_that_has_no_limiter(world: World):
    world.scripts.complete(grant(world), 404, None)
    assert not world.scripts.view().learned
    world.run(1)
    world.scripts.complete(grant(world), 200, None)
    assert world.scripts.view().learned


def test_a_429_without_headers_is_waited_out_for_the_configured_block(world: World):
    world.scripts.complete(grant(world), 429, None)
    wait = world.scripts.ask("interactive", "", 0, peek=True).available_seconds
    assert 59 < wait <= 60


def test_a_request_that_was_never_sent_is_given_back(world: World):
    world.scripts.give_back(grant(world))
    assert world.scripts.view().used == 0
    assert world.scripts.ask("sync", "r-next", 0).granted
