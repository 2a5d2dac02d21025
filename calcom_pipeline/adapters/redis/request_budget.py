"""How many requests each caller of the HTTP API has left, for all of its processes together."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from calcom_pipeline.adapters.redis.connection import script
from calcom_pipeline.adapters.redis.soon import SoonConnection


class RequestBudget:
    """A bucket per caller: a minute's requests at once, refilled evenly, on the server's clock."""

    def __init__(self, connection: SoonConnection, *, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix

    async def take(self, caller: str, wanted: int, *, per_minute: float) -> tuple[int, float]:
        """So many of the wanted requests, and seconds until there is one if there is none. Raises CacheError."""
        bucket = f"{self._prefix}http:requests:{caller}"
        command = ("EVAL", script("take_requests"), 1, bucket, per_minute, wanted, 1)
        granted, milliseconds = await self._connection.ask("Counting requests", command)
        return int(granted), int(milliseconds) / 1000


@asynccontextmanager
async def open_request_budget(connection: SoonConnection, *, prefix: str) -> AsyncGenerator[RequestBudget]:
    """The budget for the running event loop, as long as the block."""
    try:
        yield RequestBudget(connection, prefix=prefix)
    finally:
        await connection.close()
