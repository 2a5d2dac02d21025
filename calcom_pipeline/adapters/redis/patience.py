"""How long Redis is waited for: one bound over a whole operation, whatever it is made of.

A time-out of a socket counts anew for every piece of an answer, every address, every step of a greeting and every
repetition. Here all of them share what is left of one operation, which begins with `operation()`. A server that did
not answer in time is left alone for a while, so that it does not slow down everything else that would ask it.
"""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import redis
from redis.connection import Connection, ConnectionInterface, SSLConnection, UnixDomainSocketConnection

_began: ContextVar[float | None] = ContextVar("calcom_redis_operation", default=None)
_LEAST_SECONDS = 0.001  # 0 would mean that a socket does not wait at all


class LeftAlone(redis.TimeoutError):
    """Redis did not answer in time a moment ago, so it was not asked."""


@contextmanager
def operation() -> Generator[None]:
    """What is done in the block is one operation; one inside another belongs to it."""
    if _began.get() is not None:
        yield
        return
    token = _began.set(time.monotonic())
    try:
        yield
    finally:
        _began.reset(token)


class Patience:
    """Shared by the connections of a client. `pause_seconds`: how long a server that hung is left alone."""

    def __init__(self, total_seconds: float, pause_seconds: float) -> None:
        self.total_seconds = total_seconds
        self._pause_seconds = pause_seconds
        self._lock = threading.Lock()
        self._paused_until = 0.0

    def left_seconds(self) -> float:
        """What is left of this thread's operation; in the end a moment, in which only what is there already is read.

        So a process that was stopped itself, or had to wait for its machine, does not take a living server for dead.
        """
        began, now = _began.get(), time.monotonic()
        return max(_LEAST_SECONDS, self.total_seconds - (now - began if began is not None else 0.0))

    def lost(self) -> None:
        """An operation has used up its time."""
        with self._lock:
            self._paused_until = time.monotonic() + self._pause_seconds

    def refuse_while_paused(self) -> None:
        """Raises LeftAlone for a while after such an operation."""
        with self._lock:
            left = self._paused_until - time.monotonic()
        if left > 0:
            raise LeftAlone(f"Redis did not answer in time and is left alone for another {left:.0f} s")


class _BoundedSocket:
    """A socket whose every wait ends with the operation."""

    def __init__(self, sock: Any, patience: Patience) -> None:
        self._sock = sock
        self._patience = patience

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As a socket's."""
        return self._bounded(self._sock.recv, size, *([flags] if flags else []))

    def recv_into(self, buffer: Any) -> int:
        """As a socket's."""
        return self._bounded(self._sock.recv_into, buffer)

    def sendall(self, data: Any) -> None:
        """As a socket's."""
        self._bounded(self._sock.sendall, data)

    def _bounded(self, call: Any, *arguments: Any) -> Any:
        if self._sock.gettimeout() == 0:  # a look that waits for nothing
            return call(*arguments)
        self._sock.settimeout(self._patience.left_seconds())
        try:
            return call(*arguments)
        except TimeoutError:
            self._patience.lost()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Bounded:
    """A connection of redis-py that waits no longer than its operation may take."""

    def __init__(self, *args: Any, patience: Patience, **kwargs: Any) -> None:
        self._patience = patience
        super().__init__(*args, **kwargs)

    @property
    def socket_timeout(self) -> float:
        """What is left of the operation."""
        return self._patience.left_seconds()

    @socket_timeout.setter
    def socket_timeout(self, value: float | None) -> None:
        """Nothing: what counts is the operation."""

    @property
    def socket_connect_timeout(self) -> float:
        """What is left of the operation; asked for each address of a name."""
        return self._patience.left_seconds()

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, value: float | None) -> None:
        """Nothing: what counts is the operation."""

    def _connect(self) -> Any:
        self._patience.refuse_while_paused()
        parent: Any = super()
        try:
            return _BoundedSocket(parent._connect(), self._patience)  # noqa: SLF001 - redis-py has no other seam
        except TimeoutError:
            self._patience.lost()
            raise

    def send_packed_command(self, command: Any, check_health: bool = True) -> Any:  # noqa: FBT001, FBT002 - redis-py's signature
        """As redis-py's, but for a server that is left alone."""
        self._patience.refuse_while_paused()
        parent: Any = super()
        return parent.send_packed_command(command, check_health)


class _Tcp(_Bounded, Connection):
    pass


class _Tls(_Bounded, SSLConnection):
    pass


class _Unix(_Bounded, UnixDomainSocketConnection):
    pass


def bounded(kind: type[ConnectionInterface]) -> type[Any]:
    """The bounded one of redis-py's kinds of connection."""
    if issubclass(kind, SSLConnection):
        return _Tls
    return _Unix if issubclass(kind, UnixDomainSocketConnection) else _Tcp
