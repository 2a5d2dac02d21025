"""Redis from an event loop: one connection, one question after the other, made anew after any failure."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import lru_cache
from typing import Any

from redis.asyncio.connection import Connection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

from calcom_pipeline.adapters.redis.connection import RedisBounds
from calcom_pipeline.domain.errors import CacheError

Command = tuple[str | int | float, ...]
#: Commands that are kept as they go over the line, some 500 bytes each: the windows that are asked for again and again.
_PACKED = 512
#: How redis-py writes a command: by its parts, which takes as long as the rest of asking.
_pack = Connection().pack_command


@lru_cache(maxsize=_PACKED)
def _packed(command: Command) -> bytes:
    """A command as it goes over the line, kept: the same ones are asked all day."""
    return b"".join(_pack(*command))


class SoonConnection:
    """After any failure Redis is left alone for a while: there are others who ask it, and wait less dearly."""

    def __init__(
        self,
        url: str,
        bounds: RedisBounds,
        *,
        greet: Callable[[Any], Coroutine[Any, Any, None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._bounds = bounds
        self._greet = greet
        self._clock = clock
        self._turn = asyncio.Lock()
        self._connection: Any = None
        self._alone_until = 0.0

    async def ask(self, doing: str, command: Command, *others: Command) -> Any:
        """The answer to a command; to others that go with it none is told, nor whether they failed.

        Raises CacheError, after so long as an operation of Redis may take at most.
        """
        if self._clock() < self._alone_until:
            raise CacheError(f"{doing}: Redis did not answer a moment ago and is left alone")
        async with self._turn:
            try:
                async with asyncio.timeout(self._bounds.total_seconds):
                    return await self._answer(command, others)
            except BaseException as error:
                # Whatever was on its way would be taken for the next answer.
                await self.close()
                if not isinstance(error, RedisError | OSError | TimeoutError):
                    raise
                self._alone_until = self._clock() + self._bounds.pause_seconds
                raise CacheError(f"{doing}: Redis cannot be asked") from None

    async def close(self) -> None:
        """End the connection; the next question makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    async def _answer(self, command: Command, others: tuple[Command, ...]) -> Any:
        connection = self._connection
        if connection is None:
            # One bound for all of it: redis-py would make a task for each piece that has one of its own.
            pool: Any = ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # loosely typed
                self._url, socket_timeout=None, socket_connect_timeout=None, redis_connect_func=self._greet
            )
            connection = self._connection = pool.make_connection()
            await connection.connect()
        if not others:
            await connection.send_packed_command(_packed(command), check_health=False)
            return await connection.read_response()
        await connection.send_packed_command(b"".join(map(_packed, (command, *others))), check_health=False)
        answer = await connection.read_response()
        for _ in others:
            with suppress(ResponseError):
                await connection.read_response()
        return answer
