"""What the sandbox was asked, counted for tests: by endpoint and key, and the densest minute of each key."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import SECOND_MS

SLIDING_WINDOW_MS = 60 * SECOND_MS
#: What the limiter made of a request; a storm of refusals is a fault that looks like it.
Came = Literal["admitted", "refused", "stormed"]
_KEPT_REQUESTS = 2_000  # the newest requests are kept one by one


@dataclass(slots=True)
class _Sliding:
    """The largest number of requests admitted in any window of that length."""

    moments: deque[int] = field(default_factory=deque[int])
    largest: int = 0

    def add(self, now: int, window_ms: int) -> None:
        self.moments.append(now)
        while self.moments[0] <= now - window_ms:
            self.moments.popleft()
        self.largest = max(self.largest, len(self.moments))


class Counters:
    """Counts of requests. `who` is a fingerprint, never a secret."""

    def __init__(self, window_ms: int = SLIDING_WINDOW_MS) -> None:
        self.window_ms = window_ms
        self.clear()

    def clear(self) -> None:
        """Counts from nothing."""
        self.crashes = 0
        self._by_endpoint: Counter[tuple[str, int]] = Counter()
        self._by_who: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()
        self._sliding: dict[str, _Sliding] = {}
        self._recent: deque[tuple[int, str, str, int]] = deque(maxlen=_KEPT_REQUESTS)

    def record(self, endpoint: str, who: str, status: int, now: int, *, came: Came) -> None:
        """Counts one answered request. One that a fault refused is none that the limiter admitted or refused."""
        self._by_endpoint[endpoint, status] += 1
        self._by_who[who, endpoint] += 1
        self._recent.append((now, endpoint, who, status))
        if came == "admitted":
            self._sliding.setdefault(who, _Sliding()).add(now, self.window_ms)
        if came == "refused":
            self._refused[who] += 1

    def as_json(self, names: Iterable[tuple[str, str]]) -> Json:
        """All counts; `names` gives (fingerprint, what to call it) for keys that the account knows."""
        called = dict(names)
        endpoints: Json = {}
        for (endpoint, status), count in sorted(self._by_endpoint.items()):
            endpoints.setdefault(endpoint, {})[str(status)] = count
        keys: Json = {}
        for (who, endpoint), count in sorted(self._by_who.items()):
            shown = keys.setdefault(called.get(who, who), {"requests": 0, "endpoints": {}})
            shown["requests"] += count
            shown["endpoints"][endpoint] = count
        for who, sliding in self._sliding.items():
            keys[called.get(who, who)]["max_in_window"] = sliding.largest
        for who, count in self._refused.items():
            keys[called.get(who, who)]["refused"] = count
        total = sum(self._by_endpoint.values())
        return {
            "total": total,
            "window_seconds": self.window_ms / SECOND_MS,
            "endpoints": endpoints,
            "keys": keys,
            "crashes": self.crashes,
        }

    def recent(self, limit: int) -> list[Json]:
        """The newest requests, oldest first."""
        chosen = list(self._recent)[-limit:]
        return [{"at": at, "endpoint": endpoint, "key": who, "status": status} for at, endpoint, who, status in chosen]
