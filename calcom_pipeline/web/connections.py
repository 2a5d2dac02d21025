"""Connections of the HTTP API: how long a head may be and take, and how many connections there may be.

httptools reads heads without a bound, and uvicorn waits for ever for the first byte of a connection. Neither a slow
caller nor a thousand that say nothing may keep anybody from being answered.
"""

import asyncio
import resource
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

#: Descriptors of a process for everything that is no caller: servers, files, the listening socket.
_OWN_DESCRIPTORS = 200
# Of the idle ones, when there are too many: all of them are looked at to find the oldest, so some go at once.
_CLOSED_AT_ONCE = 0.05
_TIMED_OUT, _HEAD_TOO_LARGE = 408, 431


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """`head_seconds` is how long a head may take from the connection, or its own first byte, on.

    `most`: of more connections at once those that idle longest are closed; where all are busy, the new one is.
    """

    head_bytes: int
    head_seconds: float
    most: int


class JoinedWrites:
    """A transport by which a head goes out together with what follows it at once.

    uvicorn writes both one after the other, and uvloop sends each as it comes: two calls of the system for an answer,
    and a caller who is woken by half of it. A head that nothing follows goes with the next turn of the loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it, or keep a head for a moment."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        elif data.startswith(b"HTTP/"):
            self._head = data
            self._call_soon(self._send_head)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what is kept, and end."""
        self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


class BoundedConnection(HttpToolsProtocol):
    """A connection within bounds. A new one has as long for its head as one that was answered and began another."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: ConnectionBounds,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._head_bytes = 0
        self._in_head = True
        self._has_asked = False
        self._head_timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked for by it that is not answered."""
        return not self._has_asked or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """There is one more."""
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", JoinedWrites(transport, self.loop))
        self.idle_since = self.loop.time()
        self._await_head()
        if len(self.connections) > self._bounds.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """There is one less."""
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some of a head or of a body has come."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > self._bounds.head_bytes:
            self._refuse(_HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        self._in_head = True
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_head, self._head_bytes = False, 0
        self._forget_timer()
        super().on_headers_complete()
        self._has_asked = True

    def on_response_complete(self) -> None:
        """It idles from now on, unless it has asked on."""
        self.idle_since = self.loop.time()
        super().on_response_complete()

    # --- inside ------------------------------------------------------------------------------------------

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._bounds.head_seconds, self._refuse, _TIMED_OUT)

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int) -> None:
        """End it; told why only if nothing else is being answered on it."""
        self._forget_timer()
        if self.transport.is_closing():
            return
        if self.is_idle and self._head_bytes:
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def _make_room(self) -> None:
        others = [each for each in self.connections if isinstance(each, BoundedConnection) and each is not self]
        idle = sorted((each for each in others if each.is_idle), key=lambda each: each.idle_since)
        for each in idle[: max(1, int(len(others) * _CLOSED_AT_ONCE))]:
            each.transport.close()
        if not idle:
            self.transport.close()


def room_for(connections: int) -> int:
    """How many connections this process can hold of those wanted; its soft limit of descriptors is raised for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OWN_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # then it is as it was
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return connections if soft == resource.RLIM_INFINITY else max(1, min(connections, soft - _OWN_DESCRIPTORS))
