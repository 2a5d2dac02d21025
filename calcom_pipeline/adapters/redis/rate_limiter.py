"""The shared limiter: one script on the server's clock, asked by all processes that hold the same API key.

Cal.com grants 120 requests in 60 s and then blocks for 60 s without a `Retry-After` (fact sheet 3). A grant is given
only when it may be used now; otherwise the script says in how many milliseconds to ask again.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.domain.errors import RateLimited

_TOO_MANY = 429
_RESET_PREFIX = "x-ratelimit-reset"


@dataclass(frozen=True, slots=True)
class Budget:
    """What the key may spend; seconds and requests, see the settings `rate_*`."""

    requests: int
    window_seconds: float
    burst: int
    longest_wait_seconds: float
    block_seconds: float


class RedisRateLimiter:
    """Grants turns. `key_name` is a public name of the API key, so accounts that share a key share its budget."""

    def __init__(
        self, client: Client, *, key_name: str, budget: Budget, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        prefix = f"calcom:v1:{{limit-{key_name}}}:"
        self._keys = [prefix + "grants", prefix + "pace", prefix + "pause"]
        self._client = client
        self._budget = budget
        self._sleep = sleep
        self._acquire = client.register_script(script("acquire"))

    def acquire(self, lane: str) -> float:
        """Block until a request may be sent; the seconds waited. Raises RateLimited past the longest wait."""
        del lane  # every lane waits in one queue so far
        waited = 0.0
        while (pause := self._ask()) > 0:
            if waited + pause > self._budget.longest_wait_seconds:
                raise RateLimited("Waiting for the rate limit would take too long", retry_after=pause)
            self._sleep(pause)
            waited += pause
        return waited

    def learn(self, *, status: int, headers: Mapping[str, str], sent_at: float) -> None:
        """After a 429 everybody waits out the reset that the answer names."""
        del sent_at
        if status != _TOO_MANY:
            return
        named = [v for k, v in headers.items() if k.lower().startswith(_RESET_PREFIX) and v.isdigit()]
        seconds = max(map(float, named), default=self._budget.block_seconds)
        with redis_failures("Pausing all workers"):
            self._client.set(self._keys[2], "blocked", px=max(1, round(seconds * 1000)))

    def _ask(self) -> float:
        budget = self._budget
        window_ms = round(budget.window_seconds * 1000)
        arguments = [budget.requests, window_ms, window_ms / budget.requests, budget.burst, uuid.uuid4().hex]
        with redis_failures("Asking for a turn"):
            return int(self._acquire(keys=self._keys, args=arguments)) / 1000  # pyright: ignore[reportArgumentType]
