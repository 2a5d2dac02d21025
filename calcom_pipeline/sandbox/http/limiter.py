"""Cal.com's rate limiter: a fixed window that opens with its first hit, then a block of its own length.

Pure arithmetic over a given now. Facts: fact sheet section 3, recordings `09-*` and `18-*`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from calcom_pipeline.sandbox.core.times import SECOND_MS

DEFAULT_LIMIT_NAME = "default"
KEY_LIMIT = 120  # hits per window of an API key
TOKEN_LIMIT = 500  # hits per window of an access token or platform client
ADDRESS_LIMIT = 120  # hits per window of an anonymous caller
ENDPOINT_LIMIT = 5  # hits per window of an endpoint that has a limit of its own
WINDOW_MS = 60 * SECOND_MS
BLOCK_MS = 60 * SECOND_MS
_SWEEP_EVERY = 10_000  # hits between two removals of buckets that nobody uses any more


@dataclass(frozen=True, slots=True)
class Limit:
    """One named limit: `hits` per `window_ms`, then a block of `block_ms`."""

    name: str = DEFAULT_LIMIT_NAME
    hits: int = KEY_LIMIT
    window_ms: int = WINDOW_MS
    block_ms: int = BLOCK_MS


@dataclass(frozen=True, slots=True)
class LimiterVerdict:
    """What one limit says about one request; `reset_seconds` is rounded up to whole seconds."""

    name: str
    limit: int
    remaining: int
    reset_seconds: int
    blocked: bool


@dataclass(slots=True)
class _Bucket:
    hits: int = 0
    ends_at: int = 0
    blocked: bool = False


def take(bucket: _Bucket, limit: Limit, now_ms: int) -> LimiterVerdict:
    """Counts one request against a bucket, in place."""
    if now_ms >= bucket.ends_at:
        bucket.hits, bucket.blocked, bucket.ends_at = 0, False, now_ms + limit.window_ms
    bucket.hits += 1
    if bucket.hits > limit.hits and not bucket.blocked:
        bucket.blocked, bucket.ends_at = True, now_ms + limit.block_ms
    remaining = 0 if bucket.blocked else max(limit.hits - bucket.hits, 0)
    reset_seconds = max(-((now_ms - bucket.ends_at) // SECOND_MS), 0)
    return LimiterVerdict(limit.name, limit.hits, remaining, reset_seconds, bucket.blocked)


class SandboxLimiter:
    """Buckets by (who, limit). `who` is a hash of the key, a token, a client id or an address."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._hits = 0

    def hit(self, who: str, limits: Iterable[Limit], now_ms: int) -> list[LimiterVerdict]:
        """Counts one request of `who` against each of the limits."""
        self._hits += 1
        if self._hits % _SWEEP_EVERY == 0:
            self._buckets = {key: kept for key, kept in self._buckets.items() if kept.ends_at > now_ms}
        return [take(self._buckets.setdefault((who, one.name), _Bucket()), one, now_ms) for one in limits]

    def clear(self) -> None:
        """Forgets every hit."""
        self._buckets.clear()


def is_refused(verdicts: Iterable[LimiterVerdict]) -> bool:
    """A request is refused only if all of its limits are blocked."""
    return all(verdict.blocked for verdict in verdicts)


def headers_of(verdicts: Iterable[LimiterVerdict]) -> list[tuple[str, str]]:
    """The three headers of each limit; the limit's name is a suffix with its first letter upper-cased."""
    found: list[tuple[str, str]] = []
    for verdict in verdicts:
        suffix = verdict.name[:1].upper() + verdict.name[1:]
        found += [
            (f"X-RateLimit-Limit-{suffix}", str(verdict.limit)),
            (f"X-RateLimit-Remaining-{suffix}", str(verdict.remaining)),
            (f"X-RateLimit-Reset-{suffix}", str(verdict.reset_seconds)),
        ]
    return found
