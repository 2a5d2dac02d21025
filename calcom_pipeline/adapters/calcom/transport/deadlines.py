"""One deadline over a whole exchange: every wait for the network gets what is left of it, and nothing outlives it.

Time-outs of sockets hold for one read each, and a header may come a byte at a time: a server that sends one every half
second never runs into them. Here the time that is left is set before each read and each send, whether it is of a status
line, a header, a chunk's size, a proxy's answer or a body. Looking up the name, trying its addresses and the handshake
of TLS share the time-out of connecting.
"""

import http.client
import io
import ipaddress
import math
import queue
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from calcom_pipeline.adapters.calcom.transport.bodies import AnswerTooLarge

# Cal.com sends about 1 KB of them; Python refuses more than a hundred, but each may have 64 KB. Those of answers before
# the answer (1xx), and of a proxy, count as well.
_HEADER_BYTES = 256 * 1024

_ends_at: ContextVar[float] = ContextVar("calcom_exchange_ends_at")


@contextmanager
def ending_in(seconds: float) -> Generator[None]:
    """Exchanges in this block end in so many seconds from now, one way or the other."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def _seconds_left(ends_at: float) -> float:
    """Raises TimeoutError when nothing is left."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time of the whole exchange is over")
    return left


class _Wire(io.RawIOBase):
    """What a response is read from: the socket, with the time that is left and no more bytes than `bytes_left`."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._ends_at = _ends_at.get()
        self.bytes_left: float = _HEADER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_seconds_left(self._ends_at))
        count = self._raw.readinto(buffer)
        self.bytes_left -= count or 0
        if self.bytes_left < 0:
            raise AnswerTooLarge(f"the headers of the answer are larger than {_HEADER_BYTES // 1024} KB")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """Reads through a `_Wire`, also where it is the answer of a proxy to CONNECT."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._wire = _Wire(cast("Any", self.fp).detach(), sock)
        self.fp = io.BufferedReader(self._wire)

    def begin(self) -> None:
        super().begin()
        self._wire.bytes_left = math.inf  # whoever reads the body counts it


class _TimedConnection(HTTPConnection):
    """A connection whose every step knows the deadline."""

    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        """Try the addresses of the name one by one, all of them within the time-out of connecting."""
        name, allowed = self._dns_host, self.timeout or 0.0
        ends_at = min(time.monotonic() + allowed, _ends_at.get())
        failure: NewConnectionError | ConnectTimeoutError | None = None
        try:
            for address in self._addresses(name, ends_at):
                self._dns_host, self.timeout = address, max(0.001, ends_at - time.monotonic())
                try:
                    sock = super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError) as error:
                    failure = error
                else:
                    sock.settimeout(max(0.001, ends_at - time.monotonic()))  # for the handshake
                    return sock
        finally:
            self._dns_host, self.timeout = name, allowed
        raise failure or NewConnectionError(self, "the name has no address")

    def _addresses(self, name: str, ends_at: float) -> list[str]:
        try:
            return _looked_up(name, self.port or 0, ends_at - time.monotonic())
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "the name was not looked up in time") from error
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(name, self, cast("Any", error)) from error

    def send(self, data: Any) -> None:
        if self.sock is None and self.auto_open:
            self.connect()
        if self.sock is not None:
            self.sock.settimeout(_seconds_left(_ends_at.get()))
        super().send(data)


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection  # pyright: ignore[reportAssignmentType]  # as urllib3 sets it itself


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection  # pyright: ignore[reportAssignmentType]  # same


class TimedAdapter(HTTPAdapter):
    """An adapter whose exchanges end when `ending_in` says, directly or through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests makes it, of connections of ours."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The same for a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager


def _looked_up(name: str, port: int, seconds: float) -> list[str]:
    """The addresses of a name. The system's resolver knows no deadline, so it is waited for in another thread.

    Raises:
        TimeoutError: it did not answer in time.
        OSError, UnicodeError: there is no such name, or it cannot be one.
    """
    try:
        return [str(ipaddress.ip_address(name.strip("[]")))]
    except ValueError:
        pass
    found: queue.SimpleQueue[list[str] | BaseException] = queue.SimpleQueue()

    def look() -> None:
        try:
            rows = socket.getaddrinfo(name, port, allowed_gai_family(), socket.SOCK_STREAM)
            found.put(list(dict.fromkeys(str(row[4][0]) for row in rows)))
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=look, name="calcom-look-up", daemon=True).start()
    try:
        addresses = found.get(timeout=max(0.001, seconds))
    except queue.Empty:
        raise TimeoutError("the name was not looked up in time") from None
    if isinstance(addresses, BaseException):
        raise addresses
    return addresses
