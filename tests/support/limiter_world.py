"""A simulated afternoon of workers behind the limiter: the real scripts on a real Valkey, time that only we move.

The workers ask, wait, send and finish as the adapter does; the net delays each request and each answer; others use the
same key; workers are killed. `CalcomWindow` is Cal.com's limiter as the fact sheet (section 3) describes it, written
here on its own so that a bug of ours cannot agree with itself.
"""

import heapq
import itertools
import json
import math
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

from calcom_pipeline.adapters.redis.limiter import limiter as rate_limiter
from calcom_pipeline.adapters.redis.limiter.limiter import Budget, LimiterScripts
from calcom_pipeline.app.calls import Lane
from calcom_pipeline.app.limits import NamedLimit

CLOCK_KEY = "test:clock"
_REAL_CLOCK = 'redis.call("TIME")'
_FAKE_CLOCK = f'cjson.decode(redis.call("GET", "{CLOCK_KEY}"))'
START = 1_800_000_000.0

BUDGET = Budget(
    limit=120,
    safety=2,
    reserve=2,
    window_seconds=60,
    block_seconds=60,
    burst=6,
    longest_wait_seconds=300,
    arrival_seconds=10,
    processes=8,
)


@dataclass
class CalcomWindow:
    """A fixed window that opens with its first hit; past the limit a block. Also the densest sliding window seen."""

    limit: int = 120
    window_seconds: float = 60.0
    block_seconds: float = 60.0
    hits: int = 0
    ends_at: float = 0.0
    blocked: bool = False
    densest: int = 0
    admitted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refused_at: list[float] = field(default_factory=list)
    blocks: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def hit(self, now: float, who: str) -> tuple[int, NamedLimit]:
        """Count one request; its status and headers."""
        if now >= self.ends_at:
            self.hits, self.blocked, self.ends_at = 0, False, now + self.window_seconds
        self.hits += 1
        if self.hits > self.limit and not self.blocked:
            self.blocked, self.ends_at = True, now + self.block_seconds
            self.blocks += 1
        left = 0 if self.blocked else self.limit - self.hits
        headers = NamedLimit(self.limit, left, math.ceil(self.ends_at - now))
        if self.blocked:
            self.refused[who] += 1
            self.refused_at.append(now)
            return 429, headers
        self.admitted[who] += 1
        self._recent.append(now)
        while self._recent[0] <= now - self.window_seconds:
            self._recent.popleft()
        self.densest = max(self.densest, len(self._recent))
        return 200, headers


@dataclass
class Net:
    """Seconds from a grant to its arrival, and from there to the answer."""

    there: tuple[float, float] = (0.01, 0.08)
    back: tuple[float, float] = (0.03, 0.2)


@dataclass
class Worker:
    """One caller of the limiter."""

    name: str
    lane: Lane
    pause_seconds: float = 0.0
    account: str = ""
    alive: bool = True
    waiter: str = ""
    turn: int = 0
    asked_at: float = 0.0
    waits: list[float] = field(default_factory=list)
    grants: list[float] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)


class World:
    """The events in order of time. `now` is seconds since the epoch, the one clock of everybody here."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        seed: int = 1,
        budget: Budget = BUDGET,
        calcom: CalcomWindow | None = None,
        net: Net | None = None,
    ) -> None:
        self.client = client
        self.random = random.Random(seed)
        self.calcom = calcom or CalcomWindow()
        self.net = net or Net()
        self.now = START
        self.workers: list[Worker] = []
        self._events: list[tuple[float, int, Callable[[], None], bool]] = []
        self._order = itertools.count()
        self._ids = itertools.count()
        self._set_clock()
        self.budget = budget
        self.scripts = scripts_with_fake_clock(client, budget)
        self._of_accounts = {"": self.scripts}

    # --- who is there ------------------------------------------------------------------------------------

    def worker(self, lane: Lane = "sync", *, pause_seconds: float = 0.0, at: float = 0.0, account: str = "") -> Worker:
        """A worker that makes one call after the other, from `at` seconds from now on."""
        worker = Worker(f"w{len(self.workers)}", lane, pause_seconds, account)
        if account not in self._of_accounts:
            self._of_accounts[account] = scripts_with_fake_clock(self.client, self.budget, account=account)
        self.workers.append(worker)
        self.after(at, lambda: self._begin(worker))
        return worker

    def one_call(self, lane: Lane, *, at: float, account: str = "") -> Worker:
        """A worker that makes a single call."""
        worker = self.worker(lane, at=at, account=account)
        worker.pause_seconds = math.inf
        return worker

    def stranger(self, *, every: float, at: float = 0.0, until: float = math.inf) -> None:
        """Somebody else with the same key, at a steady pace."""

        def hit() -> None:
            self.calcom.hit(self.now, "stranger")
            if self.now - START + every < until:
                self.after(every, hit)

        self.after(at, hit)

    def burst(self, requests: int, *, at: float) -> None:
        """Somebody else with the same key, all at once."""

        def hit() -> None:
            for _ in range(requests):
                self.calcom.hit(self.now, "stranger")

        self.after(at, hit)

    def kill(self, worker: Worker) -> None:
        """The worker is gone in the middle of whatever it did: nothing is told to anybody."""
        worker.alive = False

    def lose_redis(self) -> None:
        """Everything in Redis is gone, as after a restart without a snapshot."""
        self.client.flushdb()
        self._set_clock()

    def is_waiting(self, worker: Worker) -> bool:
        """Whether it has a place in the queue at this moment."""
        return self.client.zscore(f"calcom:v1:{{limit-test}}:waiting:{worker.lane}", worker.waiter) is not None

    # --- time --------------------------------------------------------------------------------------------

    def after(self, seconds: float, what: Callable[[], None], *, asks_redis: bool = True) -> None:
        """Do something later; where nothing is asked of Redis its clock need not be set for it."""
        heapq.heappush(self._events, (self.now + seconds, next(self._order), what, asks_redis))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, what, asks_redis = heapq.heappop(self._events)
            if asks_redis and self._clock != self.now:
                self._set_clock()
            what()
        self.now = end
        self._set_clock()

    def _set_clock(self) -> None:
        self._clock = self.now
        seconds = math.floor(self.now)
        self.client.set(CLOCK_KEY, json.dumps([seconds, math.floor((self.now - seconds) * 1e6)]))

    # --- what a worker does ------------------------------------------------------------------------------

    def _begin(self, worker: Worker) -> None:
        if not worker.alive:
            return
        worker.waiter, worker.turn, worker.asked_at = f"r-{next(self._ids)}", 0, self.now
        self._ask(worker)

    def _ask(self, worker: Worker) -> None:
        if not worker.alive:
            return
        reply = self._of_accounts[worker.account].ask(worker.lane, worker.waiter, worker.turn)
        worker.turn = reply.turn
        if not reply.granted:
            late = self.random.uniform(0, 0.003)  # a sleeping thread wakes a little late
            self.after(reply.again_seconds + late, lambda: self._ask(worker))
            return
        worker.waits.append(self.now - worker.asked_at)
        worker.grants.append(self.now)
        grant = worker.waiter
        self.after(self.random.uniform(*self.net.there), lambda: self._arrive(worker, grant), asks_redis=False)

    def _arrive(self, worker: Worker, grant: str) -> None:
        # A request that is on its way arrives even if its sender has died.
        status, headers = self.calcom.hit(self.now, worker.lane)
        self.after(self.random.uniform(*self.net.back), lambda: self._finish(worker, grant, status, headers))

    def _finish(self, worker: Worker, grant: str, status: int, headers: NamedLimit) -> None:
        if not worker.alive:
            return
        self.scripts.complete(grant, status, headers)
        worker.answers[status] += 1
        if math.isfinite(worker.pause_seconds):
            self.after(worker.pause_seconds, lambda: self._begin(worker))


def scripts_with_fake_clock(
    client: redis.Redis, budget: Budget, key_name: str = "test", account: str = ""
) -> LimiterScripts:
    """The scripts as they ship, but for where they read the time."""
    plain = rate_limiter.script
    rate_limiter.script = lambda name: plain(name).replace(_REAL_CLOCK, _FAKE_CLOCK)
    try:
        return LimiterScripts(client, key_name=key_name, budget=budget, account=account)
    finally:
        rate_limiter.script = plain
