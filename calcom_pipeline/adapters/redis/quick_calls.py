"""Calls that may go before all else that comes by itself, since they follow one single change: so many a minute."""

from typing import Any

from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.domain.errors import CacheError


class QuickCalls:
    """A bucket for all processes of an API key: a minute's calls at once, refilled evenly, on the server's clock."""

    def __init__(self, client: Client, *, key_name: str, per_minute: float) -> None:
        self._bucket = f"calcom:v1:{{limit-{key_name}}}:quick"
        self._per_minute = per_minute
        self._take = client.register_script(script("take_requests"))

    def take(self, wanted: int) -> bool:
        """Whether so many may go now, and then they count. Never while Redis is away: then they wait in turn."""
        if self._per_minute < 1:
            return False
        try:
            with redis_failures("Counting quick calls"):
                granted: Any = self._take(keys=[self._bucket], args=[self._per_minute, wanted, wanted])
        except CacheError:
            return False
        return int(granted[0]) == wanted
