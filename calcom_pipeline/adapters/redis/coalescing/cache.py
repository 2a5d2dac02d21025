"""`RequestCoalescingCache`: values by key, each fetched once for all who ask, refreshed before it expires.

For any API whose answers may be kept for a while. Values are bytes; what they mean is the caller's.
"""

import math
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, cast

from calcom_pipeline.adapters.redis.coalescing.flights import Flights
from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.domain.errors import CacheError, PipelineError

Source = Literal["cached", "fetched", "stale"]


@dataclass(frozen=True, slots=True)
class Found:
    """A value with its age. `stale`: past its life, answered because nothing newer could be had."""

    value: bytes
    age_seconds: float
    source: Source


@dataclass(frozen=True, slots=True)
class CacheRules:
    """`stale_seconds` is how long past its life a value may still be answered on an error.

    `eagerness` scales how early a value is refreshed: a fetch of x seconds is begun about `eagerness` times x seconds
    before the value expires, at a random moment, so that no herd meets an expiry. 0 switches that off.
    """

    stale_seconds: float = 3600.0
    eagerness: float = 1.0
    refreshers: int = 4


class RequestCoalescingCache:
    """See the module. `close()` waits for refreshes that are under way."""

    def __init__(
        self,
        client: Client,
        flights: Flights,
        *,
        prefix: str,
        rules: CacheRules | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._flights = flights
        self._prefix = prefix
        self._rules = rules or CacheRules()
        self._chance = chance
        self._refreshing = ThreadPoolExecutor(self._rules.refreshers, thread_name_prefix="refresh")
        self._store = client.register_script(script("value_store"))
        self._read = client.register_script(script("value_read"))

    def get_or_fetch(self, key: str, fetch: Callable[[], bytes], ttl: float) -> Found:
        """The value of a key, fetched if there is none; kept for `ttl` seconds.

        Near the end of its life a value is answered and refreshed in the background. When a fetch fails, what is past
        its life is answered for another `stale_seconds`, marked as stale.

        Raises:
            PipelineError: what the fetch raised, where there is nothing older to answer with; all who waited get it.
        """
        known = self._known(key)
        if known is not None and known.left_seconds > 0:
            if self._is_due(known):
                self._refreshing.submit(self._refresh, key, fetch, ttl)
            return Found(known.value, known.age_seconds, "cached")
        try:
            return self._flights.run(
                key, look=lambda: self._fresh(key), fly=lambda token: self._fetched(key, token, fetch, ttl)
            )
        except PipelineError:
            older = self._known(key) or known
            if older is None:
                raise
            return Found(older.value, older.age_seconds, "stale")

    def forget(self, key: str) -> None:
        """The next caller fetches. A fetch that is under way is not stored: its lock goes too."""
        with redis_failures("Forgetting a value"):
            self._client.delete(self._value(key), self._flights.lock_key(key))

    def close(self) -> None:
        """Wait for refreshes that are under way."""
        self._refreshing.shutdown(wait=True, cancel_futures=True)

    # --- inside ------------------------------------------------------------------------------------------

    def _known(self, key: str) -> "_Known | None":
        """What is kept, fresh or stale; nothing where Redis is away."""
        try:
            with redis_failures("Reading a value"):
                found = cast("list[Any]", self._read(keys=[self._value(key)], args=[]))
        except CacheError:
            return None
        return _Known(found[0], found[1] / 1000, found[2] / 1000, found[3] / 1000) if found else None

    def _fresh(self, key: str) -> Found | None:
        known = self._known(key)
        return Found(known.value, known.age_seconds, "cached") if known and known.left_seconds > 0 else None

    def _fetched(self, key: str, token: str, fetch: Callable[[], bytes], ttl: float) -> Found:
        began = time.monotonic()
        value = fetch()
        took = time.monotonic() - began
        args = [token, value, int(took * 1000), int(ttl * 1000), int(self._rules.stale_seconds * 1000)]
        with suppress(CacheError), redis_failures("Keeping a value"):
            self._store(keys=[self._value(key), self._flights.lock_key(key)], args=args)
        return Found(value, 0.0, "fetched")

    def _is_due(self, known: "_Known") -> bool:
        """Earlier the longer a fetch takes, at random: of many callers the first ones that are due are spread."""
        early = -known.fetch_seconds * self._rules.eagerness * math.log(max(self._chance(), 1e-12))
        return known.left_seconds < early

    def _refresh(self, key: str, fetch: Callable[[], bytes], ttl: float) -> None:
        """In the background: a failure leaves what is there, and the next caller who is due tries again."""
        with suppress(PipelineError):
            self._flights.try_run(key, lambda token: self._fetched(key, token, fetch, ttl))

    def _value(self, key: str) -> str:
        return f"{self._prefix}value:{key}"


@dataclass(frozen=True, slots=True)
class _Known:
    value: bytes
    age_seconds: float
    left_seconds: float
    fetch_seconds: float
