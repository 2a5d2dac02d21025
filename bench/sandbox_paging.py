"""How fast a sandbox of a million bookings starts, and how many pages of 250 one raw client takes off it per second.

    python bench/sandbox_paging.py [--bookings N] [--pages N]

The client is a bare socket that keeps its connection and does not parse: what is measured is the sandbox. Every way
of walking is measured: pages by skip, and keysets over the update and the creation time.
"""

import argparse
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox

PAGE = 250
UNLIMITED = 1_000_000_000
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
_LAST = {"updatedAt": re.compile(rb'"updatedAt":"([^"]+)"'), "createdAt": re.compile(rb'"createdAt":"([^"]+)"')}
_ANY_TIME = "1970-01-01T00:00:00.000Z"
_TAIL = 4_000  # bytes at the end of a page in which its last row's times are


class RawClient:
    """One keep-alive connection over a plain socket."""

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: {address.netloc}\r\nAuthorization: Bearer {key}\r\ncal-api-version: 2024-08-13\r\n\r\n"
        self._path = address.path
        self._buffer = bytearray(1 << 22)

    def get(self, query: str) -> memoryview:
        """The body's bytes, good until the next request."""
        self._socket.sendall(f"GET {self._path}/bookings?{query} HTTP/1.1\r\n{self._head}".encode())
        view = memoryview(self._buffer)
        got, end, total = 0, -1, None
        while total is None or got < total:
            count = self._socket.recv_into(view[got:])
            if not count:
                raise ConnectionError("the sandbox hung up")
            got += count
            if total is None:
                end = self._buffer.find(b"\r\n\r\n", 0, got)
                if end >= 0:
                    length = _LENGTH.search(self._buffer, 0, end + 2)
                    if not self._buffer.startswith(b"HTTP/1.1 200") or length is None:
                        raise ConnectionError(bytes(view[:end]).decode())
                    total = end + 4 + int(length[1])
        return view[end + 4 : got]

    def close(self) -> None:
        self._socket.close()


def by_skip(client: RawClient, pages: int) -> Iterator[int]:
    for page in range(pages):
        yield len(client.get(f"take={PAGE}&skip={page * PAGE}&sortCreated=asc"))


def by_keyset(column: str, parameters: str) -> Callable[[RawClient, int], Iterator[int]]:
    def walk(client: RawClient, pages: int) -> Iterator[int]:
        since = _ANY_TIME
        for _ in range(pages):
            body = client.get(f"take={PAGE}&{parameters.format(since)}")
            times = _LAST[column].findall(bytes(body[-_TAIL:]))
            yield len(body)
            since = times[-1].decode() if times else since

    return walk


WALKS = {
    "skip": by_skip,
    "afterUpdatedAt": by_keyset("updatedAt", "sortUpdatedAt=asc&afterUpdatedAt={}"),
    "afterCreatedAt": by_keyset("createdAt", "sortCreated=asc&afterCreatedAt={}"),
}


@dataclass(frozen=True)
class Figure:
    """One walk: pages per second, the same by the processor time of both ends, and the mean size of a row in bytes.

    Client and server take turns, so the second figure is the first one on a machine that has nothing else to do.
    """

    walk: str
    pages_per_second: float
    pages_per_busy_second: float
    bytes_per_row: float


def measure(sandbox: RunningSandbox, walk: str, pages: int) -> Figure:
    client = RawClient(sandbox.url, sandbox.keys["owner"])
    try:
        list(WALKS[walk](client, max(pages // 20, 2)))  # warm: sort orders and templates are made once
        started, busy = time.perf_counter(), _busy_seconds(sandbox.pid)
        size = sum(WALKS[walk](client, pages))
        took, busy = time.perf_counter() - started, _busy_seconds(sandbox.pid) - busy
    finally:
        client.close()
    return Figure(walk, pages / took, pages / busy, size / pages / PAGE)


def _busy_seconds(server_pid: int) -> float:
    """Processor time of the server and of this process, as Linux counts it."""
    fields = Path(f"/proc/{server_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + time.process_time()


def describe(found: Figure) -> str:
    """One line for people."""
    return (
        f"{found.walk:>15}: {found.pages_per_second:6.0f} pages/s of {PAGE} "
        f"({found.pages_per_busy_second:.0f} by processor time), {found.bytes_per_row:,.0f} bytes a row"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bookings", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=2_000)
    given = parser.parse_args()
    started = time.perf_counter()
    with serve_sandbox("generated", bookings=given.bookings, limit=UNLIMITED) as sandbox:
        print(f"{given.bookings:,} bookings answer after {time.perf_counter() - started:.1f} s")
        for walk in WALKS:
            found = measure(sandbox, walk, given.pages)
            print(describe(found))


if __name__ == "__main__":
    main()
