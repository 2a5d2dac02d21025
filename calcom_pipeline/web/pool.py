"""Threads for the facade, which is synchronous: so many at once, so many waiting, nobody longer than a bound."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from calcom_pipeline.web.problems import OVERLOADED, ProblemError

Result = TypeVar("Result")

#: A read takes milliseconds: four in the queue of a thread are answered before anybody notices.
_WAITING_PER_THREAD = 4
_RETRY_SECONDS = 1.0


class Pool:
    """Runs work in threads, off the event loop. Used from one event loop."""

    def __init__(self, name: str, *, threads: int, seconds: float) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"http-{name}")
        self._room = threads * (1 + _WAITING_PER_THREAD)
        self._seconds = seconds
        self._inside: set[Future[Any]] = set()

    async def run(self, work: Callable[[], Result]) -> Result:
        """What the work comes to.

        Raises:
            ProblemError: there is no room, or no thread was free in time; nothing was done.
            TimeoutError: the work had begun and has not ended in time; it goes on.
        """
        if len(self._inside) >= self._room:
            raise _overloaded()
        future = self._executor.submit(work)
        self._inside.add(future)
        future.add_done_callback(self._inside.discard)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if future.cancelled():
                raise _overloaded() from None
            raise

    def close(self, *, seconds: float) -> None:
        """Take no more work, and wait so long for what is under way."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        wait(list(self._inside), timeout=seconds)


def _overloaded() -> ProblemError:
    return ProblemError(OVERLOADED, "All threads are busy; nothing was done", retry_after=_RETRY_SECONDS)
