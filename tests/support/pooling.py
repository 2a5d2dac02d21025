"""A pooler in transaction mode: a few server sessions under many clients, one for each transaction and no longer.

The stand-in does that and nothing else: it resets nothing and tracks no parameter, so whatever a client leaves on a
session meets the next one, of any account. The session used last is lent first. PgBouncer runs where it is installed.
"""

import contextlib
import os
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from calcom_pipeline.local import Servers
from tests.support.stalling import StallingProxy

_SSL_REQUEST, _GSS_REQUEST, _CANCEL = 80877103, 80877104, 80877102
_UP_SECONDS = 20


class _Peer:
    """One end of a connection, read message by message."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def exactly(self, count: int) -> bytes:
        parts = b""
        while len(parts) < count:
            part = self.sock.recv(count - len(parts))
            if not part:
                raise ConnectionError
            parts += part
        return parts

    def message(self) -> tuple[bytes, bytes]:
        """Its type and all of it."""
        head = self.exactly(5)
        return head[:1], head + self.exactly(struct.unpack("!I", head[1:])[0] - 4)

    def startup(self) -> bytes:
        head = self.exactly(4)
        return head + self.exactly(struct.unpack("!I", head)[0] - 4)


class TransactionPooler:
    """The stand-in. `sessions` is how many server sessions there are in all."""

    def __init__(self, folder: Path, sessions: int) -> None:
        self._path = folder / ".s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._free: list[_Peer] = []
        self._left = threading.Semaphore(sessions)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(_Peer(client),), daemon=True).start()

    def _serve(self, client: _Peer) -> None:
        with contextlib.suppress(OSError):
            startup = client.startup()
            while struct.unpack("!I", startup[4:8])[0] in (_SSL_REQUEST, _GSS_REQUEST):
                client.sock.sendall(b"N")
                startup = client.startup()
            if struct.unpack("!I", startup[4:8])[0] == _CANCEL:
                return
            client.sock.sendall(self._greeting(startup))
            while True:
                kind, message = client.message()
                if kind == b"X":
                    return
                self._transaction(client, kind, message, startup)

    def _greeting(self, startup: bytes) -> bytes:
        """What a server says to such a start; a client keeps no server session outside of transactions."""
        session, said = self._new(startup)
        session.sock.close()
        return said

    def _new(self, startup: bytes) -> tuple[_Peer, bytes]:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(os.fspath(self._path))
        self._open.append(sock)
        session, said = _Peer(sock), b""
        sock.sendall(startup)
        while True:
            kind, message = session.message()
            said += message
            if kind == b"Z":
                return session, said

    def _transaction(self, client: _Peer, kind: bytes, message: bytes, startup: bytes) -> None:
        """Lend a session until the server says that it stands outside of a transaction, with nothing to answer."""
        with self._left:
            session = self._free.pop() if self._free else self._new(startup)[0]
            asked = threading.Semaphore(0)
            over = threading.Event()
            back = threading.Thread(target=self._answers, args=(session, client, asked, over), daemon=True)
            back.start()
            try:
                while True:
                    session.sock.sendall(message)
                    if kind in (b"Q", b"S"):
                        asked.release()
                        # A client that waits for each answer sends nothing before it; then the session may go back.
                        if self._waited(client, over):
                            break
                    kind, message = client.message()
                    if kind == b"X":
                        raise ConnectionError
            except OSError:
                session.sock.close()  # in the middle of something: nobody else gets this one
                raise
            back.join()
            self._free.append(session)

    def _waited(self, client: _Peer, over: threading.Event) -> bool:
        """Whether the answer came before the client sent more. Not by a time-out: that would be the sender's too."""
        while not over.is_set():
            has_more = bool(select.select([client.sock], [], [], 0.002)[0])
            if has_more and not over.is_set():
                return False
        return True

    def _answers(self, session: _Peer, client: _Peer, asked: threading.Semaphore, over: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while True:
                kind, message = session.message()
                idle = kind == b"Z" and message[5:] == b"I"
                if kind == b"Z":
                    asked.acquire()
                last = idle and not asked.acquire(blocking=False)
                if idle and not last:
                    asked.release()
                if last:
                    over.set()  # before the client hears of it: what it sends then is its next transaction
                client.sock.sendall(message)
                if last:
                    return


@contextmanager
def stand_in(servers: Servers, *, sessions: int = 2) -> Generator[str]:
    """The database's URL through the stand-in."""
    folder, path = _socket_of(servers)
    pooler = TransactionPooler(folder, sessions)
    try:
        yield f"postgresql://calcom@127.0.0.1:{pooler.port}{path}"
    finally:
        pooler.close()


@contextmanager
def pgbouncer(servers: Servers, place: Path, *, mode: str = "transaction", sessions: int = 2) -> Generator[str]:
    """The database's URL through a PgBouncer of its own, which must be installed (`shutil.which("pgbouncer")`)."""
    folder, path = _socket_of(servers)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    users, settings = place / "users.txt", place / "pgbouncer.ini"
    users.write_text('"calcom" ""\n')
    bridge = StallingProxy(folder / ".s.PGSQL.5432")  # by name of a socket's user PostgreSQL lets in none but ours
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={bridge.port}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = trust\nauth_file = {users}\npool_mode = {mode}\n"
        f"default_pool_size = {sessions}\n"
    )
    for each in (place, *place.parents):
        if each != Path("/tmp"):
            with contextlib.suppress(OSError):
                each.chmod(each.stat().st_mode | 0o055)
    program = shutil.which("pgbouncer") or "pgbouncer"
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with subprocess.Popen([program, "-q", *user, str(settings)], stderr=subprocess.DEVNULL) as running:
        try:
            _wait_for(port)
            yield f"postgresql://calcom@127.0.0.1:{port}{path}"
        finally:
            running.terminate()
            bridge.close()


def _socket_of(servers: Servers) -> tuple[Path, str]:
    parts = urllib.parse.urlsplit(servers.database_url)
    return Path(urllib.parse.parse_qs(parts.query)["host"][0]), parts.path


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("PgBouncer did not come up")
