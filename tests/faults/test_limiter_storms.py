"""The limiter with real processes on real servers, against a sandbox that blocks: a short share, then the proofs."""

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import requests

from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.adapters.redis.breaker import BreakerRules, RedisBreaker
from calcom_pipeline.adapters.redis.limiter.limiter import LANES, RedisRateLimiter
from calcom_pipeline.domain.errors import CircuitOpen
from tests.faults import roles
from tests.faults.harness import Crew, Site, machine, site
from tests.support.clients import QUICK
from tests.support.limiter_world import BUDGET

PROCESSES = 8
LIMIT = 120
TEN_MINUTES = 600
READ = ("interactive", "sync", "warm", "backfill")
COLD_START_SECONDS = 6
#: A tenth of Cal.com's times on both sides.
SCALED = replace(BUDGET, window_seconds=6, block_seconds=6, arrival_seconds=1, longest_wait_seconds=30)
#: The same where other tests run: a process may be off the CPU for more than the second in which a request arrives.
BESIDE_OTHERS = replace(SCALED, arrival_seconds=3)
SANDBOX: dict[str, Any] = {"limit": LIMIT, "window_seconds": 6, "block_seconds": 6}


def nothing_over_the_limit(here: Site) -> None:
    assert here.sandbox.control.counters()["window_seconds"] == here.place.budget.window_seconds
    counters = here.key_counters()
    assert counters["max_in_window"] <= LIMIT, counters
    assert counters.get("refused", 0) == 0, counters
    assert here.counted()["failed"] == 0, Counter(line["kind"] for line in here.told("failed"))


def nothing_is_stuck(here: Site) -> None:
    """After everybody was killed: within a lease no waiter is left, and every lane is served."""
    with here.redis() as store:
        limiter = RedisRateLimiter(store, key_name="test", budget=here.place.budget)
        for lane in LANES:
            grant = limiter.acquire(lane, deadline_seconds=10)
            limiter.complete(grant, status=200, named_limit=None)
        assert set(limiter.view().waiting.values()) == {0}
        assert store.zcard("calcom:v1:{limit-test}:leases") == 0


def no_probe_is_held(here: Site) -> None:
    """The circuit that opened all the time closes as soon as it is asked in peace, a lease later at most."""
    end = time.monotonic() + QUICK.read_timeout_seconds + 3 * roles.PROBED_OPEN_SECONDS
    with here.redis() as store:
        breaker = RedisBreaker(store, key_name="test", rules=BreakerRules(2, roles.PROBED_OPEN_SECONDS, 2))
        while breaker.states(["webhooks"])["webhooks"] != "closed":
            assert time.monotonic() < end, "a probe of a killed process is still held"
            with suppress(CircuitOpen):
                breaker.report(breaker.enter("webhooks", longest_seconds=1), "ok")
            time.sleep(0.02)


def no_lock_is_held(here: Site) -> None:
    """PostgreSQL has noticed that its clients are gone."""
    end = time.monotonic() + 5
    with here.database() as database:
        while True:
            with database.transaction("Looking at locks") as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
                held = cursor.fetchone()
            if held == (0,):
                break
            assert time.monotonic() < end, f"{held} locks of killed processes are still held"
            time.sleep(0.05)
        with PostgresPlanStore(database).exclusive():
            pass


def trouble_and_hire(here: Site, crew: Crew, *, seed: int = 5) -> None:
    """Workers of every lane, holders of probes and holders of locks, of whom one at least is at work."""
    for kind, fields in (("error", {"status": 502}), ("latency", {"seconds": 0.4})):
        here.sandbox.control.add_fault(kind, "GET /v2/webhooks", share=0.6, seed=seed, **fields)
    for lane in READ:
        crew.hire(roles.reader, lane)
    crew.hire(roles.tester, count=2)
    crew.hire(roles.mirrorer, count=2)
    until(lambda: bool(here.told("ok")))


def test_processes_and_servers_that_are_killed_never_exceed_the_limit_and_leave_no_lane_no_probe_and_no_lock():
    """One site sees it all: kills in every role, a Valkey that dies and one that is emptied, a PostgreSQL that dies."""
    with site(budget=BESIDE_OTHERS, with_database=True, **SANDBOX) as here, here.crew() as crew:
        trouble_and_hire(here, crew)
        crew.storm(kills=4, seed=5, between=(0.05, 0.3))
        here.restart_valkey()
        time.sleep(1.5)
        here.flush_valkey()
        crew.storm(kills=4, seed=4, between=(0.2, 0.6))
        here.restart_postgres()
        back = time.time()
        until(lambda: len([line for line in here.told("mirrored") if line["at"] > back]) >= 3)
        crew.dismiss()
        here.quiet()
        nothing_over_the_limit(here)
        assert {line["lane"] for line in here.told("ok")} == {*READ}
        no_lock_is_held(here)
        no_probe_is_held(here)
        nothing_is_stuck(here)


def until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not so():
        assert time.monotonic() < end, "it did not come to that within 30 s"
        time.sleep(0.05)


# --- at full size --------------------------------------------------------------------------------------------


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_proof_ten_minutes_of_a_scaled_limit_with_eight_processes():
    """A hundred windows: times are a tenth of Cal.com's on both sides, so that is as much as 100 minutes of it."""
    with site(budget=SCALED, **SANDBOX) as here, here.crew() as crew:
        crew.hire(roles.reader, "sync", count=PROCESSES)
        began = time.monotonic()
        time.sleep(TEN_MINUTES)
        nothing_over_the_limit(here)
        counters, seconds = here.key_counters(), time.monotonic() - began
        share = counters["requests"] / (LIMIT * seconds / SCALED.window_seconds)
        print(
            f"\n8 processes, {seconds:.0f} s of 120 per 6 s: {counters['requests']} requests, densest window "
            f"{counters['max_in_window']}, none blocked, {share:.1%} of the budget ({machine()})"
        )


@pytest.mark.proof
@pytest.mark.timeout(400)
def test_proof_three_minutes_unscaled_use_the_budget_and_keep_everybodys_share():
    with site(budget=BUDGET, limit=LIMIT, window_seconds=60, block_seconds=60) as here, here.crew() as crew:
        for lane, count in (("sync", 5), ("warm", 2), ("backfill", 1)):
            crew.hire(roles.reader, lane, count=count)
        crew.hire(roles.visitor, "interactive", 9.7)
        began = time.monotonic()
        time.sleep(100)
        crew.hire(roles.party, "interactive", 5)
        time.sleep(180 - (time.monotonic() - began))
        nothing_over_the_limit(here)
        counters = here.key_counters()
        lanes = Counter(line["lane"] for line in here.told("ok"))
        visits = [line["waited"] for line in here.told("visit") if line["lane"] == "interactive"]
        party = [line["waited"] for line in here.told("visit") if line["lane"] == "party"]
        share = counters["requests"] / (3 * LIMIT)
        print(
            f"\n3 minutes of 120 per 60 s: {counters['requests']} requests, {share:.1%} of the budget, densest window "
            f"{counters['max_in_window']}; lanes {dict(lanes)}; one interactive call waits {max(visits):.2f} s at most "
            f"({statistics.median(visits):.2f} s in the middle), five at once {max(party):.2f} s ({machine()})"
        )
        assert share >= 0.95
        assert len(visits) >= 15
        assert max(visits) < 2
        assert len(party) == 5
        assert max(party) < 5
        for lane in ("warm", "backfill"):
            assert lanes[lane] >= 0.095 * lanes.total()  # a tenth, less the last round


@pytest.mark.proof
@pytest.mark.timeout(400)
def test_proof_after_a_forced_block_all_workers_resume_and_no_work_is_lost():
    with site(budget=BUDGET, limit=LIMIT, window_seconds=60, block_seconds=60) as here, here.crew() as crew:
        crew.hire(roles.reader, "sync", count=PROCESSES)
        time.sleep(20)
        spend_the_rest(here)
        # The block begins with the first refusal; the sandbox's clock is this machine's.
        over = min(r["at"] for r in here.sandbox.control.requests(2000) if r["status"] == 429) / 1000 + 60
        time.sleep(max(0.0, over - time.time()) + 3)
        ours = here.told("ok")
        firsts: dict[str, float] = {}
        for line in ours:
            if line["at"] >= over:
                firsts.setdefault(line["who"], line["at"] - over)
        refused = [r["at"] for r in here.sandbox.control.requests(2000) if r["status"] == 429]
        print(
            f"\nafter a block all {len(firsts)} workers were back after {max(firsts.values()):.2f} s; {len(ours)} "
            f"calls done, {here.counted()['failed']} failed, {len(refused)} refusals in all ({machine()})"
        )
        assert len(firsts) == PROCESSES
        assert max(firsts.values()) < 2
        assert here.counted()["failed"] == 0
        assert not [line for line in ours if over - 59 < line["at"] < over], "nobody got through during the block"


def spend_the_rest(here: Site) -> None:
    """Spend the rest of the window as a stranger, all at once, until Cal.com blocks the key."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {here.place.key}"
    while session.get(here.place.url + "/me", timeout=10).status_code != 429:
        pass


@pytest.mark.proof
@pytest.mark.timeout(500)
def test_proof_a_steady_stranger_never_sees_a_429():
    with site(budget=BUDGET, limit=LIMIT, window_seconds=60, block_seconds=60) as here, here.crew() as crew:
        crew.hire(roles.stranger, 1.0)
        crew.hire(roles.reader, "sync", count=PROCESSES)
        began = time.time()
        time.sleep(240)
        refused = [line["at"] - began for line in here.told("stranger") if line["status"] == 429]
        ours = len(here.told("ok"))
        print(
            f"\na stranger at 1 request a second for 4 minutes: {len(refused)} times 429 "
            f"(after {[round(r) for r in refused[:3]]} s), {ours} calls of ours, {ours / 4:.0f} a minute ({machine()})"
        )
        assert not [moment for moment in refused if moment > 60]
        assert here.counted()["failed"] == 0
        assert ours / 4 >= 0.7 * 60


@pytest.mark.proof
@pytest.mark.timeout(500)
def test_proof_a_strangers_burst_costs_one_block_at_most():
    with site(budget=BUDGET, limit=LIMIT, window_seconds=60, block_seconds=60) as here, here.crew() as crew:
        crew.hire(roles.reader, "sync", count=PROCESSES)
        time.sleep(50)
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {here.place.key}"
        burst = [session.get(here.place.url + "/me", timeout=10).status_code for _ in range(60)]
        time.sleep(190)
        late = [r["at"] for r in here.sandbox.control.requests(2000) if r["status"] == 429]
        print(
            f"\na burst of 60 in a full window: {burst.count(429)} of it refused, {len(late)} refusals in all, "
            f"{here.counted()['ok']} calls of ours, {here.counted()['failed']} failed ({machine()})"
        )
        assert here.counted()["failed"] == 0
        assert not late or max(late) - min(late) < 61_000, "one block, then none"


@pytest.mark.proof
@pytest.mark.timeout(500)
@pytest.mark.parametrize("loss", ["flush_valkey", "restart_valkey"])
def test_proof_redis_lost_in_the_middle_costs_a_cold_start_and_no_block(loss: str):
    with site(budget=BUDGET, limit=LIMIT, window_seconds=60, block_seconds=60) as here, here.crew() as crew:
        crew.hire(roles.reader, "sync", count=PROCESSES)
        time.sleep(75)
        getattr(here, loss)()
        time.sleep(75)
        nothing_over_the_limit(here)
        moments = [line["at"] for line in here.told("ok")]
        gap = max(later - earlier for earlier, later in itertools.pairwise(moments))
        print(
            f"\n{loss} after 75 s: densest window {here.key_counters()['max_in_window']}, longest pause {gap:.1f} s, "
            f"{len(moments)} calls in 150 s ({machine()})"
        )
        # Until Redis is back and found, one request that is learned from, and an even pace from then on.
        assert gap < COLD_START_SECONDS


@pytest.mark.proof
@pytest.mark.timeout(500)
def test_proof_two_hundred_kills_leave_nothing_stuck():
    with site(budget=SCALED, with_database=True, **SANDBOX) as here, here.crew() as crew:
        trouble_and_hire(here, crew, seed=7)
        crew.storm(kills=200, seed=7, between=(0.05, 0.5))
        crew.dismiss()
        here.quiet()
        nothing_over_the_limit(here)
        no_lock_is_held(here)
        no_probe_is_held(here)
        nothing_is_stuck(here)
        told = here.counted()
        kinds = Counter(line["kind"] for line in here.told("refused") if line["lane"] == "tester")
        print(
            f"\n{crew.killed} kills: densest window {here.key_counters()['max_in_window']}, {told['ok']} calls, "
            f"{told['locked']} times locked, {told['struck']} failures and {kinds['CircuitOpen']} "
            f"refusals of an open circuit; no lane, lease, probe or lock is stuck ({machine()})"
        )
        assert crew.killed >= 200
        assert kinds["CircuitOpen"] >= 5, "there were probes to be killed"
        assert told["locked"] >= 5, "there were locks to be killed"
