"""One caller at a time does what all wait for, over threads and processes.

A flight is held by a lock in Redis with a fencing token, renewed while its holder works: the place of one that dies is
free again within the lock's life. Who comes meanwhile waits, bounded, and looks again when the flight has ended; an
error of the flight is raised to all who waited for it. Without Redis nobody is held up: a process does its own work.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.domain.errors import CacheError, PipelineError, WaitedTooLong

__all__ = ["ErrorCodec", "FlightRules", "Flights", "WaitedTooLong"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FlightRules:
    """`lock_seconds`: how long a dead holder delays others at most; `wait_seconds`: how long anybody waits."""

    lock_seconds: float = 10.0
    wait_seconds: float = 15.0
    first_pause_seconds: float = 0.01
    longest_pause_seconds: float = 0.1


class ErrorCodec(Protocol):
    """How an error of a flight travels to those who waited for it."""

    def pack(self, error: PipelineError) -> str:
        """The error as text; nothing secret is in it."""
        ...

    def unpack(self, text: str) -> PipelineError:
        """The same kind of error."""
        ...


class Flights:
    """Flights by key. Safe to share among threads."""

    def __init__(self, client: Client, *, prefix: str, codec: ErrorCodec, rules: FlightRules | None = None) -> None:
        self._client = client
        self._prefix = prefix
        self._codec = codec
        self.rules = rules or FlightRules()
        self._enter = client.register_script(script("flight_enter"))
        self._renew = client.register_script(script("flight_renew"))
        self._leave = client.register_script(script("flight_leave"))
        self._local: dict[str, Future[None]] = {}
        self._guard = threading.Lock()

    def run(self, key: str, *, look: Callable[[], T | None], fly: Callable[[str], T]) -> T:
        """What `look` finds, else what `fly` brings; of all who ask at once only one flies.

        `fly` is handed its fencing token, empty without Redis. `look` is asked again after every flight of another.

        Raises:
            WaitedTooLong: another's flight did not end within `wait_seconds`.
            PipelineError: what the flight raised, to the one who flew and to all who waited for it.
        """
        deadline = time.monotonic() + self.rules.wait_seconds
        while True:
            if (found := look()) is not None:
                return found
            with self._guard:
                ours = self._local.get(key)
                mine = None if ours else self._local.setdefault(key, Future())
            if mine is not None:
                return self._for_this_process(key, mine, look, fly)
            if ours is not None:
                self._wait_here(key, ours, deadline)

    def _for_this_process(
        self, key: str, mine: "Future[None]", look: Callable[[], T | None], fly: Callable[[str], T]
    ) -> T:
        """Ask Redis for all threads of this process; those that wait learn when it is over, and how."""
        failed: PipelineError | None = None
        try:
            return self._after_others(key, look, fly)
        except PipelineError as error:
            failed = error
            raise
        finally:
            with self._guard:
                del self._local[key]
            if failed is None:
                mine.set_result(None)
            else:
                mine.set_exception(failed)

    def _wait_here(self, key: str, ours: "Future[None]", deadline: float) -> None:
        try:
            ours.result(max(0.0, deadline - time.monotonic()))
        except FutureTimeout:
            raise self._too_long(key) from None
        except PipelineError as error:  # each thread gets one of its own: a traceback belongs to one raise
            raise self._codec.unpack(self._codec.pack(error)) from None

    def try_run(self, key: str, fly: Callable[[str], object]) -> bool:
        """Fly if nobody else does; False, at once, if somebody does or Redis is away. Raises what `fly` raises."""
        try:
            state, token = self._entered(key, "")
        except CacheError:
            return False
        if state != "lead":
            return False
        self._flown(key, token, fly)
        return True

    def _after_others(self, key: str, look: Callable[[], T | None], fly: Callable[[str], T]) -> T:
        deadline, pause, awaited = time.monotonic() + self.rules.wait_seconds, self.rules.first_pause_seconds, ""
        while True:
            try:
                state, token_or_error = self._entered(key, awaited)
            except CacheError:
                return fly("")
            if state == "failed":
                raise self._codec.unpack(token_or_error)
            if state == "lead":
                # Between the look and the lock another flight may have ended.
                found = look()
                if found is not None:
                    self._end(key, token_or_error, "")
                    return found
                return self._flown(key, token_or_error, fly)
            if awaited and token_or_error != awaited and (found := look()) is not None:
                return found
            awaited = token_or_error
            if time.monotonic() >= deadline:
                raise self._too_long(key)
            time.sleep(pause)
            pause = min(2 * pause, self.rules.longest_pause_seconds)

    def _entered(self, key: str, awaited: str) -> tuple[str, str]:
        """`lead` with a token, `wait` with the holder's token, or `failed` with the packed error."""
        keys = [self._lock(key), f"{self._prefix}flight:fence:{key}", self._outcome(key)]
        with redis_failures("Entering a flight"):
            answer = cast("list[Any]", self._enter(keys=keys, args=[awaited, int(self.rules.lock_seconds * 1000)]))
        return answer[0].decode(), answer[1].decode()

    def _flown(self, key: str, token: str, fly: Callable[[str], T]) -> T:
        ended = threading.Event()
        renewing = threading.Thread(target=self._keep, args=(key, token, ended), daemon=True, name=f"flight-{key}")
        renewing.start()
        error = ""
        try:
            return fly(token)
        except PipelineError as failure:
            error = self._codec.pack(failure)
            raise
        finally:
            ended.set()
            self._end(key, token, error)

    def _keep(self, key: str, token: str, ended: threading.Event) -> None:
        """Renew the lock until the flight has ended or is no longer ours."""
        every = self.rules.lock_seconds / 3
        while not ended.wait(every):
            with suppress(CacheError), redis_failures("Renewing a flight"):
                if not self._renew(keys=[self._lock(key)], args=[token, int(self.rules.lock_seconds * 1000)]):
                    return

    def _end(self, key: str, token: str, error: str) -> None:
        """An outcome lives as long as somebody may still wait for it."""
        lifetime = int(self.rules.wait_seconds * 1000)
        with suppress(CacheError), redis_failures("Ending a flight"):
            self._leave(keys=[self._lock(key), self._outcome(key)], args=[token, error, lifetime])

    def _too_long(self, key: str) -> WaitedTooLong:
        return WaitedTooLong(f"Waiting for {key}: nobody answered within {self.rules.wait_seconds:.0f} s")

    def lock_key(self, key: str) -> str:
        """The Redis key of a flight's lock, for scripts that store what only its holder may."""
        return self._lock(key)

    def _lock(self, key: str) -> str:
        return f"{self._prefix}flight:lock:{key}"

    def _outcome(self, key: str) -> str:
        return f"{self._prefix}flight:outcome:{key}"
