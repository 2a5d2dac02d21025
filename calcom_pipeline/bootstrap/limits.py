"""The limiter and the circuits of an API key."""

from functools import cached_property
from typing import TYPE_CHECKING

from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.redis.breaker import RedisBreaker
    from calcom_pipeline.adapters.redis.connection import Client as RedisClient
    from calcom_pipeline.adapters.redis.limiter.limiter import RedisRateLimiter
    from calcom_pipeline.adapters.redis.quick_calls import QuickCalls
    from calcom_pipeline.adapters.redis.server_figures import RedisFigures


class LimitGroup:
    """What every request passes before it is sent."""

    def __init__(self, settings: Settings, redis: "RedisClient") -> None:
        self._settings = settings
        self._redis = redis

    @cached_property
    def limiter(self) -> "RedisRateLimiter":
        """What paces every request made with the API key, in all processes."""
        from calcom_pipeline.adapters.redis.limiter.limiter import Budget, RedisRateLimiter

        s = self._settings
        budget = Budget(
            limit=s.rate_limit_per_minute,
            safety=s.rate_safety_requests,
            reserve=s.rate_reserve_requests,
            window_seconds=s.rate_window_seconds,
            block_seconds=s.rate_block_seconds,
            burst=s.rate_burst_requests,
            longest_wait_seconds=s.rate_wait_seconds,
            arrival_seconds=2 * s.connect_timeout_seconds,
            processes=s.max_processes,
        )
        return RedisRateLimiter(self._redis, key_name=s.key_name, budget=budget, account=s.account)

    @cached_property
    def quick(self) -> "QuickCalls":
        """What may go in the interactive lane although nobody waits for its answer."""
        from calcom_pipeline.adapters.redis.quick_calls import QuickCalls

        s = self._settings
        return QuickCalls(self._redis, key_name=s.key_name, per_minute=s.rate_limit_per_minute * s.rate_quick_share)

    @cached_property
    def breaker(self) -> "RedisBreaker":
        """The circuits of the endpoint groups, shared by all processes."""
        from calcom_pipeline.adapters.redis.breaker import BreakerRules, RedisBreaker

        s = self._settings
        rules = BreakerRules(s.breaker_failures, s.breaker_open_seconds, s.breaker_successes)
        return RedisBreaker(self._redis, key_name=s.key_name, rules=rules)

    @cached_property
    def server(self) -> "RedisFigures":
        """The Redis that all of it stands in."""
        from calcom_pipeline.adapters.redis.server_figures import RedisFigures

        return RedisFigures(self._redis)
