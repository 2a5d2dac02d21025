"""What Redis holds and how much of its memory that takes, for people."""

from dataclasses import dataclass
from typing import Any

from calcom_pipeline.adapters.redis.connection import Client, redis_failures


@dataclass(frozen=True, slots=True)
class RedisServer:
    """Keys of this database, of all accounts in it; bytes. `evicted`: keys it dropped for want of memory."""

    keys: int
    used_bytes: int
    longest_bytes: int
    evicted: int
    version: str


class RedisFigures:
    """Looks at the server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def look(self) -> RedisServer:
        """Now; two commands, neither of which walks through keys. Raises CacheError."""
        with redis_failures("Looking at Redis"):
            keys: Any = self._client.dbsize()  # pyright: ignore[reportUnknownMemberType]  # the same
            info: Any = self._client.info()  # pyright: ignore[reportUnknownMemberType]  # loosely typed
        numbers = [int(info.get(name) or 0) for name in ("used_memory", "maxmemory", "evicted_keys")]
        version = info.get("valkey_version") or info.get("redis_version", "")
        return RedisServer(int(keys), *numbers, version=str(version))
