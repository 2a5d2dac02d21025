"""A TCP proxy before a real server that stops passing anything on when it is told to: what a dead line looks like.

It goes on accepting connections and reading from both sides, so that TCP itself finds nothing wrong.
"""

import contextlib
import os
import socket
import threading
import urllib.parse
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from calcom_pipeline.local import Servers

Address = tuple[str, int] | Path


class StallingProxy:
    """Passes bytes between its clients and a server until it stalls; threads of its own do so.

    A `server` that moves is given as a function, which may raise OSError while there is none: then clients are cut off.
    """

    def __init__(self, server: Address | Callable[[], Address]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._flowing = threading.Event()
        self._flowing.set()
        self._stall_before: bytes | None = None
        self._sockets: set[socket.socket] = set()
        #: Set when something was held back for the first time.
        self.held_something = threading.Event()
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens, at 127.0.0.1."""
        return self._listener.getsockname()[1]

    def stall(self) -> None:
        """From now on nothing passes, either way."""
        self._flowing.clear()

    def stall_before(self, text: bytes) -> None:
        """Stall as soon as a client sends this; it is not passed on."""
        self._stall_before = text

    def flow(self) -> None:
        """Let everything pass again, what was held back included."""
        self._stall_before = None
        self._flowing.set()

    def cut(self) -> int:
        """Close every connection that stands; how many ends they had."""
        standing = list(self._sockets)
        for each in standing:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        return len(standing)

    def close(self) -> None:
        """Stop listening, and close everything."""
        self.flow()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = self._connected()
            except OSError:
                client.close()
                continue
            self._sockets |= {client, server}
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _connected(self) -> socket.socket:
        address = self._server() if callable(self._server) else self._server
        if isinstance(address, tuple):
            return socket.create_connection(address)
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(os.fspath(address))
        except OSError:
            server.close()
            raise
        return server

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Both ways, until both have ended."""
        back = threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True)
        back.start()
        self._pass_on(client, server, True)
        back.join()
        self._sockets -= {client, server}
        client.close()
        server.close()

    def _pass_on(self, source: socket.socket, sink: socket.socket, asked: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if asked and self._stall_before and self._stall_before in data:
                    self.stall()
                if not self._flowing.is_set():
                    self.held_something.set()
                self._flowing.wait()
                sink.sendall(data)
        for each, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
            with contextlib.suppress(OSError):
                each.shutdown(how)


@contextmanager
def before_postgres(servers: Servers) -> Generator[tuple[str, StallingProxy]]:
    """A proxy before the embedded PostgreSQL: the database's URL through it, and the proxy."""
    parts = urllib.parse.urlsplit(servers.database_url)
    folder = Path(urllib.parse.parse_qs(parts.query)["host"][0])
    with _closing(StallingProxy(folder / ".s.PGSQL.5432")) as proxy:
        yield f"postgresql://calcom@127.0.0.1:{proxy.port}{parts.path}", proxy


@contextmanager
def before_redis(redis_url: str) -> Generator[tuple[str, StallingProxy]]:
    """A proxy before the embedded Valkey: its URL through it, and the proxy."""
    parts = urllib.parse.urlsplit(redis_url)
    number = urllib.parse.parse_qs(parts.query)["db"][0]
    with _closing(StallingProxy(Path(urllib.parse.unquote(parts.path)))) as proxy:
        yield f"redis://127.0.0.1:{proxy.port}/{number}", proxy


@contextmanager
def _closing(proxy: StallingProxy) -> Generator[StallingProxy]:
    try:
        yield proxy
    finally:
        proxy.close()
