"""The shared limiter: scripts on the server's clock, asked by all processes that hold the same API key.

Cal.com grants 120 requests in 60 s and then blocks the key for 60 s without a `Retry-After` (fact sheet 3). What makes
the promise "no window ever over the limit" hold in spite of the net between us: a request counts from the grant on, and
its 60 s begin only when its answer is here, the latest moment at which it can have arrived. A grant is given only when
it may be used now; who has to wait holds a place for the length of a lease and asks again before that is over.

The state is one hash, one log of requests, four queues; it names the key by a hash, never the key. What the scripts
know beyond our own requests comes from Cal.com's headers, which may only lower what is granted:

* they belong to the window they speak of, and only a request sent after its end opens another;
* requests that others make with the same key are seen in them, expected to go on, and left room for;
* cold (first start, Redis flushed, after a block) one request goes out and is learned from before others follow;
* a window of the key's own is learned from them where that grants no more than the settings do;
* what they ask for is waited out for a window and a block at most, and a 429 for a second at least, then for longer.

Several accounts may use one key. Interactive requests of all go first; within a lane the accounts take turns, so that
the many waiters of one account's backfill keep another's waiting for two of them at most.
"""

import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.adapters.redis.limiter.local_pace import LocalPace
from calcom_pipeline.adapters.redis.together import ScriptCall, run_together
from calcom_pipeline.app.calls import Lane
from calcom_pipeline.app.limits import TOO_MANY, Errand, Grant, NamedLimit
from calcom_pipeline.domain.errors import CacheError, RateLimited

LANES: tuple[Lane, ...] = ("interactive", "sync", "warm", "backfill")
# A waiter that has not asked again for this long is taken for dead and loses its place.
LEASE_SECONDS = 2.0
# After a failure Redis is left alone for this long: a server that hangs must not slow down every call.
_REDIS_AGAIN_SECONDS = 2.0
# A state that nobody touched for this long past its windows is dropped; the next start is then a cold one.
_KEPT_SECONDS = 60.0
# As in the scripts: instants in milliseconds have 13 digits.
_SANE = 1e15

_log = event_logger("limiter")


@dataclass(frozen=True, slots=True)
class Budget:
    """What the key may spend; requests and seconds, see the settings `rate_*`.

    `arrival_seconds` is how long after its grant a request may reach Cal.com; it only matters for those that were
    killed before their answer. `processes` may hold the key at once; each takes its part while Redis is away.
    """

    limit: int
    safety: int
    reserve: int
    window_seconds: float
    block_seconds: float
    burst: int
    longest_wait_seconds: float
    arrival_seconds: float
    processes: int

    @property
    def spendable(self) -> int:
        """Requests of a window that all lanes together may use."""
        return self.spendable_of(self.limit)

    def spendable_of(self, named_limit: int) -> int:
        """The same while Cal.com answers with `named_limit`: what is left unused shrinks with it, as in acquire.lua."""
        limit = max(1, min(self.limit, named_limit))
        unused = min(self.safety, max(self.safety * limit / self.limit, limit // 10))
        return max(1, limit - math.ceil(unused))

    @property
    def longest_pause_seconds(self) -> float:
        """What an answer asks for is waited out no longer than that: then one request finds out what is true by now."""
        return self.window_seconds + self.block_seconds


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of the script: granted, or when to ask again; `available_seconds` ignores who else is waiting."""

    granted: bool
    again_seconds: float
    available_seconds: float
    turn: int


@dataclass(frozen=True, slots=True)
class LimiterView:
    """The limiter as it stands, for people: `used` are its own requests of the last window.

    `window_seconds` is the length of the key's own window where that was learned, and else that of the settings.
    """

    used: int
    spendable: int
    others: int
    waiting: dict[str, int]
    paused_seconds: float
    learned: bool
    window_seconds: float


class RedisRateLimiter:
    """Grants turns. `key_name` is a public name of the API key: accounts that share it take turns in its budget."""

    def __init__(
        self,
        client: Client,
        *,
        key_name: str,
        budget: Budget,
        account: str = "",
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scripts = LimiterScripts(client, key_name=key_name, budget=budget, account=account)
        self._budget = budget
        self._sleep = sleep
        self._clock = clock
        self._local = LocalPace(
            requests=budget.spendable,
            window_seconds=budget.window_seconds,
            processes=budget.processes,
            longest_pause_seconds=budget.longest_pause_seconds,
            clock=clock,
        )
        self._lock = threading.Lock()
        self._away_until: float | None = None

    def acquire(self, lane: Lane, *, deadline_seconds: float | None = None, errand: Errand | None = None) -> Grant:
        """Block until a request may be sent. An `errand` is run right before each time that a turn is asked for.

        Raises:
            RateLimited: no turn before the deadline (or the longest wait of the settings); nothing was taken.
        """
        longest = self._budget.longest_wait_seconds
        allowed = longest if deadline_seconds is None else min(longest, max(0.0, deadline_seconds))
        began = self._clock()
        while (grant := self._through_redis(lane, began, allowed, errand)) is None:
            # What Redis took of the time is not what the caller waited a turn for: one that is free now is given.
            wait = self._local.reserve(max(0.0, allowed - (self._clock() - began)))
            if wait is None:
                raise _too_long(self._local.seconds_until_free())
            if self._slept_locally(wait):
                return Grant(uuid.uuid4().hex, self._clock() - began, local=True)
        return grant

    def complete(
        self, grant: Grant, *, status: int | None, named_limit: NamedLimit | None, errand: Errand | None = None
    ) -> None:
        """The request is over: `status` is None when no answer came. Learns the limit that the answer named.

        An `errand` is run along with it.
        """
        if status == TOO_MANY:
            self._local.refused(self._budget.block_seconds if named_limit is None else float(named_limit.reset_seconds))
        elif status is not None:
            self._local.answered()
        if named_limit is not None:
            named_limit = self._bounded(named_limit)
        if not grant.local:
            self._quietly(lambda: self._scripts.complete(grant.id, status, named_limit, errand))
        elif errand is not None and self._may_ask_redis():
            self._quietly(lambda: self._scripts.run(errand))

    def give_back(self, grant: Grant) -> None:
        """The request was never sent."""
        if not grant.local:
            self._quietly(lambda: self._scripts.give_back(grant.id))

    def seconds_until_available(self, lane: Lane = "interactive") -> float:
        """About how long a request of this lane that is asked for now would wait, its queue included; 0 is now."""
        if self._may_ask_redis():
            try:
                return self._scripts.ask(lane, "", 0, peek=True).again_seconds
            except CacheError as error:
                self._redis_failed(error)
        return self._local.seconds_until_free()

    def view(self) -> LimiterView:
        """The limiter as it stands. Raises CacheError when Redis is away."""
        return self._scripts.view()

    # --- inside ------------------------------------------------------------------------------------------

    def _bounded(self, named_limit: NamedLimit) -> NamedLimit:
        longest = self._budget.longest_pause_seconds
        if named_limit.reset_seconds <= longest:
            return named_limit
        if named_limit.left == 0:  # else nothing is waited for
            _log.warning(
                "limit_header_not_believed",
                reason="no window and no block of the settings is as long; see CALCOM_RATE_WINDOW_SECONDS",
                told_seconds=named_limit.reset_seconds,
                waited_out_seconds=round(longest, 3),
            )
        return replace(named_limit, reset_seconds=math.ceil(longest))

    def _through_redis(self, lane: Lane, began: float, allowed: float, errand: Errand | None) -> Grant | None:
        """A grant of the shared limiter, or None as soon as Redis is away."""
        if not self._may_ask_redis():
            return None
        waiter, turn = f"r-{uuid.uuid4().hex}", 0
        try:
            while True:
                reply = self._scripts.ask(lane, waiter, turn, errand=errand)
                waited, turn = self._clock() - began, reply.turn
                self._redis_answered()
                if reply.granted:
                    return Grant(waiter, waited)
                _refuse_past(allowed, waited, reply)
                self._sleep(min(reply.again_seconds, allowed - waited))
        except CacheError as error:
            self._redis_failed(error)
            return None
        except BaseException:
            self._quietly(lambda: self._scripts.leave(waiter))
            raise

    def _slept_locally(self, seconds: float) -> bool:
        """Wait for a turn of our own; False when Redis may be asked again meanwhile and the turn is far."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            self._sleep(min(left, _REDIS_AGAIN_SECONDS))
            if self._clock() < until and self._may_ask_redis() and self._is_back():
                return False
        return True

    def _is_back(self) -> bool:
        try:
            self._scripts.ask("interactive", "", 0, peek=True)
        except CacheError as error:
            self._redis_failed(error)
            return False
        return True

    def _may_ask_redis(self) -> bool:
        with self._lock:
            return self._away_until is None or self._clock() >= self._away_until

    def _redis_answered(self) -> None:
        with self._lock:
            was_away, self._away_until = self._away_until is not None, None
        if was_away:
            _log.warning("redis_is_back", limiter="shared")

    def _redis_failed(self, error: CacheError) -> None:
        with self._lock:
            first, self._away_until = self._away_until is None, self._clock() + _REDIS_AGAIN_SECONDS
        if first:
            self._local.begin()
            _log.warning(
                "redis_is_away",
                limiter="local",
                reason=str(error),
                seconds_between_requests=round(self._local.interval_seconds, 2),
            )

    def _quietly(self, action: Callable[[], Any]) -> None:
        """Bookkeeping that must not fail a request: what it would have stored expires by itself."""
        try:
            action()
        except CacheError as error:
            self._redis_failed(error)


class LimiterScripts:
    """The scripts with their keys and numbers; no waiting, no fallback."""

    def __init__(self, client: Client, *, key_name: str, budget: Budget, account: str = "") -> None:
        prefix = f"calcom:v1:{{limit-{key_name}}}:"
        self._client = client
        self._budget = budget
        self._account = account
        self._lanes = [prefix + "waiting:" + lane for lane in LANES]
        self._leases = prefix + "leases"
        self._state, self._log, self._foreign = prefix + "state", prefix + "log", prefix + "foreign"
        self._keys = [self._log, self._state, self._leases, self._foreign, *self._lanes]
        self._acquire = client.register_script(script("acquire"))
        self._complete = client.register_script(script("complete"))
        self._leave = client.register_script(script("leave"))

    def ask(self, lane: Lane, waiter: str, turn: int, *, peek: bool = False, errand: Errand | None = None) -> Reply:
        """Ask for a turn, or only look (`peek`). `turn` is the one that an earlier answer to this waiter named.

        An `errand` is run first, on the same way.
        """
        budget = self._budget
        arguments: list[Any] = ["peek" if peek else "ask", LANES.index(lane) + 1, waiter, turn]
        arguments += [budget.limit, budget.safety, budget.reserve, _ms(budget.window_seconds), budget.burst]
        arguments += [
            _ms(budget.arrival_seconds),
            _ms(LEASE_SECONDS),
            self._ttl_ms(),
            _ms(budget.longest_pause_seconds),
            self._account,
        ]
        asking = ScriptCall(self._acquire, self._keys, arguments)
        with redis_failures("Asking for a turn"):
            run_together(self._client, [errand, asking])
        answer = cast("list[int]", asking.answer)
        return Reply(bool(answer[0]), answer[1] / 1000, answer[2] / 1000, answer[3])

    def complete(
        self, grant_id: str, status: int | None, named_limit: NamedLimit | None, errand: Errand | None = None
    ) -> None:
        """Record that a request is over, and the limit that its headers named; an `errand` on the same way."""
        headers = (named_limit.limit, named_limit.left, named_limit.reset_seconds) if named_limit else (-1, 0, 0)
        self._over(grant_id, "lost" if status is None else "answered", status or 0, headers, errand)

    def give_back(self, grant_id: str) -> None:
        """Record that a request was never sent."""
        self._over(grant_id, "unsent", 0, (-1, 0, 0))

    def leave(self, waiter: str) -> None:
        """Give up a place in the queue."""
        with redis_failures("Leaving the queue"):
            self._leave(keys=[self._leases, *self._lanes], args=[waiter])

    def view(self) -> LimiterView:
        """What stands in Redis."""
        with redis_failures("Looking at the limiter"):
            pipe: Any = self._client.pipeline(transaction=False)  # pyright: ignore[reportUnknownMemberType]  # redis-py types it loosely
            pipe.time()
            pipe.hgetall(self._state)
            pipe.zrange(self._log, 0, -1, withscores=True)
            pipe.zrange(self._foreign, 0, -1)
            for lane in self._lanes:
                pipe.zcard(lane)
            now, state, log, foreign, *waiting = pipe.execute()
        budget, now_ms = self._budget, now[0] * 1000 + now[1] // 1000
        window_seconds = min(budget.window_seconds, _number(state.get(b"window"), math.inf) / 1000)
        paused_seconds = (_number(state.get(b"pause"), 0.0) - now_ms) / 1000
        # A longer one was stored by an earlier release; the next request drops it.
        believed = 0 < paused_seconds <= budget.longest_pause_seconds + LEASE_SECONDS
        return LimiterView(
            used=sum(score > now_ms - _ms(window_seconds) for _, score in log),
            spendable=budget.spendable_of(int(_number(state.get(b"limit"), budget.limit))),
            others=sum(int(_number(member.rsplit(b":", 1)[-1], 0)) for member in foreign),
            waiting=dict(zip(LANES, waiting, strict=True)),
            paused_seconds=paused_seconds if believed else 0.0,
            learned=b"learned" in state,
            window_seconds=window_seconds,
        )

    def run(self, errand: Errand) -> None:
        """Run an errand alone."""
        with redis_failures("Recording what came of a request"):
            errand.run()

    def _over(
        self, grant_id: str, how: str, status: int, headers: tuple[int, int, int], errand: Errand | None = None
    ) -> None:
        budget = self._budget
        arguments: list[Any] = [grant_id, how, status, *headers, _ms(budget.window_seconds), budget.burst]
        arguments += [_ms(budget.arrival_seconds), _ms(budget.block_seconds), budget.limit, self._ttl_ms()]
        arguments += [_ms(budget.longest_pause_seconds)]
        over = ScriptCall(self._complete, self._keys, arguments)
        with redis_failures("Recording what came of a request"):
            run_together(self._client, [over, errand])

    def _ttl_ms(self) -> int:
        budget = self._budget
        return _ms(2 * budget.window_seconds + budget.block_seconds + budget.arrival_seconds + _KEPT_SECONDS)


def _refuse_past(allowed: float, waited: float, reply: Reply) -> None:
    """Nobody waits in vain: what cannot come in time is refused at once."""
    if waited >= allowed or waited + reply.available_seconds > allowed:
        raise _too_long(max(reply.available_seconds, reply.again_seconds))


def _too_long(seconds: float) -> RateLimited:
    return RateLimited("Waiting for the rate limit would take too long", retry_after=round(seconds, 3))


def _number(stored: bytes | None, otherwise: float) -> float:
    """A number in the state; what is none, or too large to be one of ours, was made of a header's garbage."""
    try:
        number = float(stored) if stored is not None else otherwise
    except ValueError:
        return otherwise
    return number if abs(number) < _SANE else otherwise


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
