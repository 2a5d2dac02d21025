"""The sockets behind requests, so that a fault can drop a connection as a broken network does."""

import asyncio
import socket
import struct
from typing import Any, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_LINGER_OFF = struct.pack("ii", 1, 0)  # close at once with a reset, without waiting for unsent data
_transports: dict[tuple[str, int], asyncio.Transport] = {}
_Base: Any = AutoHTTPProtocol


class WatchedProtocol(_Base):
    """uvicorn's HTTP protocol, which remembers the transport of every open connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Called by the event loop for a new connection."""
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            host, port = cast("tuple[str, int]", peer)[:2]
            _transports[host, port] = transport
        super().connection_made(transport)  # pyright: ignore[reportUnknownMemberType] - uvicorn picks its parser at run time

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop when a connection is over."""
        transport: asyncio.Transport = self.transport
        for peer in [peer for peer, known in _transports.items() if known is transport]:
            del _transports[peer]
        super().connection_lost(exc)  # pyright: ignore[reportUnknownMemberType] - same


def reset(client: tuple[str, int] | None) -> bool:
    """Resets the connection of that client; whether it was still there."""
    transport = _transports.get(client) if client is not None else None
    if transport is None:
        return False
    plain: socket.socket | None = transport.get_extra_info("socket")
    if plain is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
    transport.abort()
    return True


async def drip(client: tuple[str, int] | None, at_once: bytes, rest: bytes, seconds: float) -> None:
    """Writes past the server: `at_once`, then one byte of `rest` every so many seconds, then the end of the line.

    Ends early when the client has gone.
    """
    transport = _transports.get(client) if client is not None else None
    if transport is None:
        return
    transport.write(at_once)
    for byte in rest:
        if transport.is_closing():
            return
        transport.write(bytes([byte]))
        await asyncio.sleep(seconds)
    transport.close()
