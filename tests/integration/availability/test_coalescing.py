"""One fetch for all who ask at once, over threads and processes."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.redis.coalescing.cache import CacheRules, Found, RequestCoalescingCache
from calcom_pipeline.adapters.redis.coalescing.errors import PipelineErrors
from calcom_pipeline.adapters.redis.coalescing.flights import FlightRules, Flights, WaitedTooLong
from calcom_pipeline.domain.errors import CircuitOpen, NotFound, PipelineError, RateLimited, TransientError

PREFIX = "calcom:v1:{test}:"
SPAWN = multiprocessing.get_context("spawn")


def flights_of(client: redis.Redis, **rules: float) -> Flights:
    return Flights(client, prefix=PREFIX, codec=PipelineErrors(), rules=FlightRules(**rules))


def cache_of(client: redis.Redis, *, chance: float = 1.0, rules: CacheRules | None = None, **flight: float) -> Any:
    flights = flights_of(client, **flight)
    return RequestCoalescingCache(client, flights, prefix=PREFIX, rules=rules, chance=lambda: chance)


@pytest.fixture
def cache(redis_client: redis.Redis) -> Iterator[RequestCoalescingCache]:
    opened = cache_of(redis_client)
    yield opened
    opened.close()


class Upstream:
    """Counts its calls; a call waits for `gate` and then answers or fails."""

    def __init__(self, error: PipelineError | None = None, *, open_gate: bool = True) -> None:
        self.calls = 0
        self.error = error
        self.began, self.gate = threading.Event(), threading.Event()
        if open_gate:
            self.gate.set()

    def __call__(self) -> bytes:
        self.calls += 1
        self.began.set()
        assert self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return b"value %d" % self.calls


def test_a_value_is_fetched_once_and_then_answered_with_its_age(cache: RequestCoalescingCache):
    upstream = Upstream()
    first, second = cache.get_or_fetch("k", upstream, 60), cache.get_or_fetch("k", upstream, 60)
    assert (first.source, second.source, first.value, second.value) == ("fetched", "cached", b"value 1", b"value 1")
    assert 0 <= second.age_seconds < 20
    assert upstream.calls == 1


def test_threads_that_ask_at_once_share_one_fetch(cache: RequestCoalescingCache):
    upstream = Upstream(open_gate=False)
    with ThreadPoolExecutor(25) as pool:
        askers = [pool.submit(cache.get_or_fetch, "k", upstream, 60) for _ in range(25)]
        assert upstream.began.wait(20)
        upstream.gate.set()
        assert {asker.result().value for asker in askers} == {b"value 1"}
    assert upstream.calls == 1


@pytest.mark.parametrize(
    "error",
    [
        NotFound("no such thing"),
        TransientError("Cal.com is away"),
        RateLimited("too many", retry_after=7),
        CircuitOpen("closed for now", retry_after=9),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_reaches_everybody_who_waited_and_is_asked_for_once(
    cache: RequestCoalescingCache, error: PipelineError
):
    upstream = Upstream(error, open_gate=False)
    with ThreadPoolExecutor(10) as pool:
        askers = [pool.submit(cache.get_or_fetch, "k", upstream, 60) for _ in range(10)]
        assert upstream.began.wait(20)
        until_all_wait(cache, 9)
        upstream.gate.set()
        raised = [asker.exception() for asker in askers]
    assert {(type(e), str(e), getattr(e, "retry_after", None)) for e in raised} == {
        (type(error), str(error), getattr(error, "retry_after", None))
    }
    assert upstream.calls == 1
    upstream.error = None
    assert cache.get_or_fetch("k", upstream, 60).source == "fetched", "an error is not kept"


def until_all_wait(cache: RequestCoalescingCache, number: int) -> None:
    """So many threads stand at the flight of another one of this process."""
    deadline = time.monotonic() + 20
    while sum(len(flight._condition._waiters) for flight in list(cache._flights._local.values())) < number:  # type: ignore[attr-defined]
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_what_is_past_its_life_is_answered_as_stale_when_a_fetch_fails(redis_client: redis.Redis):
    cache = cache_of(redis_client, rules=CacheRules(stale_seconds=60))
    upstream = Upstream()
    cache.get_or_fetch("k", upstream, 0.001)
    upstream.error = TransientError("away")
    until_expired(cache)
    found = cache.get_or_fetch("k", upstream, 60)
    assert (found.value, found.source) == (b"value 1", "stale")
    cache.close()


def until_expired(cache: RequestCoalescingCache) -> None:
    deadline = time.monotonic() + 20
    while cache._fresh("k") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_value_near_its_end_is_answered_and_refreshed_in_the_background(redis_client: redis.Redis):
    cache = cache_of(redis_client, chance=1e-12, rules=CacheRules(eagerness=1e6))  # always due
    upstream = Upstream()
    cache.get_or_fetch("k", lambda: (time.sleep(0.01), upstream())[1], 60)
    assert cache.get_or_fetch("k", upstream, 60) == Found(b"value 1", pytest.approx(0, abs=20), "cached")
    cache.close()
    assert upstream.calls == 2
    assert cache_of(redis_client).get_or_fetch("k", upstream, 60).value == b"value 2"


def test_a_forgotten_value_is_fetched_again_and_a_fetch_under_way_is_not_stored(cache: RequestCoalescingCache):
    upstream = Upstream(open_gate=False)
    with ThreadPoolExecutor(1) as pool:
        asker = pool.submit(cache.get_or_fetch, "k", upstream, 60)
        assert upstream.began.wait(20)
        cache.forget("k")
        upstream.gate.set()
        assert asker.result().value == b"value 1"
    assert cache.get_or_fetch("k", upstream, 60).value == b"value 2"


def test_without_redis_everybody_does_its_own_work():
    client = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=1)
    upstream = Upstream()
    cache = cache_of(client)
    assert [cache.get_or_fetch("k", upstream, 60).value for _ in range(2)] == [b"value 1", b"value 2"]
    cache.close()


def test_waiting_is_bounded(redis_client: redis.Redis):
    cache, other = cache_of(redis_client, wait_seconds=0.05), cache_of(redis_client)
    upstream = Upstream(open_gate=False)
    with ThreadPoolExecutor(1) as pool:
        asker = pool.submit(other.get_or_fetch, "k", upstream, 60)
        assert upstream.began.wait(20)
        with pytest.raises(WaitedTooLong, match="nobody answered"):
            cache.get_or_fetch("k", upstream, 60)
        upstream.gate.set()
        assert asker.result().value == b"value 1"


def test_a_holder_that_lost_its_lock_stores_nothing(redis_client: redis.Redis):
    cache = cache_of(redis_client)

    def slow() -> bytes:
        redis_client.set(f"{PREFIX}flight:lock:k", "another token")  # as if ours had ended and somebody else flies
        return b"old"

    assert cache.get_or_fetch("k", slow, 60).value == b"old"
    assert redis_client.get(f"{PREFIX}flight:lock:k") == b"another token", "nor does it end the other's flight"
    assert cache._known("k") is None


def test_a_flight_is_renewed_while_its_holder_works(redis_client: redis.Redis):
    flights = flights_of(redis_client, lock_seconds=0.2)
    upstream = Upstream(open_gate=False)
    with ThreadPoolExecutor(1) as pool:
        flying = pool.submit(flights.run, "k", look=lambda: None, fly=lambda _: upstream())
        assert upstream.began.wait(20)
        token = redis_client.get(f"{PREFIX}flight:lock:k")
        until = time.monotonic() + 0.6  # three lives of the lock
        while time.monotonic() < until:
            assert redis_client.get(f"{PREFIX}flight:lock:k") == token
            time.sleep(0.02)
        upstream.gate.set()
        flying.result()
    assert redis_client.get(f"{PREFIX}flight:lock:k") is None


# --- several processes ---------------------------------------------------------------------------------------


def ask(url: str, barrier: Barrier, askers: int, results: Any) -> None:
    """One process with some threads: they ask for the same thing at the same moment."""
    client = redis.Redis.from_url(url)
    cache = cache_of(client, wait_seconds=60)

    def fetch() -> bytes:
        client.incr("calls")
        time.sleep(0.2)
        return b"value"

    barrier.wait(60)
    with ThreadPoolExecutor(askers) as pool:
        found = list(pool.map(lambda _: cache.get_or_fetch("k", fetch, 60).value.decode(), range(askers)))
    results.put(json.dumps(found))
    cache.close()


@pytest.mark.parametrize(
    ("processes", "askers"), [(3, 10), pytest.param(8, 25, marks=pytest.mark.proof)], ids=["small", "two hundred"]
)
def test_of_many_processes_one_fetches(redis_url: str, redis_client: redis.Redis, processes: int, askers: int):
    barrier, results = SPAWN.Barrier(processes), SPAWN.Queue()
    running = [SPAWN.Process(target=ask, args=(redis_url, barrier, askers, results)) for _ in range(processes)]
    for process in running:
        process.start()
    found = [value for _ in running for value in json.loads(results.get(timeout=90))]
    for process in running:
        process.join(60)
    assert found == ["value"] * (processes * askers)
    assert redis_client.get("calls") == b"1"


def hold(url: str, held: Any) -> None:
    client = redis.Redis.from_url(url)

    def fetch() -> bytes:
        held.set()
        time.sleep(600)
        return b"never"

    cache_of(client, lock_seconds=1).get_or_fetch("k", fetch, 60)


def test_a_holder_that_is_killed_delays_nobody_beyond_the_life_of_its_lock(redis_url: str, redis_client: redis.Redis):
    held = SPAWN.Event()
    holder = SPAWN.Process(target=hold, args=(redis_url, held))
    holder.start()
    assert held.wait(60)
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join(60)
    left_ms = redis_client.pttl(f"{PREFIX}flight:lock:k")
    assert left_ms <= 1000, "the life of the lock, and no renewal any more"
    assert cache_of(redis_client, wait_seconds=30).get_or_fetch("k", lambda: b"mine", 60).value == b"mine"
