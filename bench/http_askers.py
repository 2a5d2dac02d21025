"""Who asks over HTTP: so many kept connections of one thread, which costs an asker a tenth of what a thread costs.

    python -m bench.http_askers

A process of its own, told by lines of JSON what to ask (port, head of the request, askers, answers).
It answers each with a line: the seconds that each answer took. As threads of the bench, 32 askers waited for each
other's turn in Python rather than for the server, so that a quick server looked as if hardly anybody asked it.
"""

import json
import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Line:
    """A kept connection that sends the same request again and again: the least that an asker can cost."""

    def __init__(self, port: int, request: bytes) -> None:
        self._request = request
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""
        self._began = 0.0

    def ask(self) -> None:
        """Send it."""
        self._got = b""
        self._began = time.perf_counter()
        self.socket.sendall(self._request)

    def heard(self) -> float | None:
        """Seconds since it was sent, once the answer is whole; it has to be a good one."""
        more = self.socket.recv(1 << 18)
        if not more:
            raise RuntimeError("it hung up")
        self._got += more
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return None
        if not self._got.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"it answered {self._got[:80]!r}")
        length = _LENGTH.search(self._got, 0, end)
        if len(self._got) < end + 4 + int(length[1] if length else 0):
            return None
        return time.perf_counter() - self._began


def timed(port: int, head: str, askers: int, answers: int) -> list[float]:
    """Seconds of so many answers to so many askers, each of whom asks again once answered; one more each unmeasured."""
    seconds: list[float] = []
    with selectors.EpollSelector() as selector:
        lines = [Line(port, head.encode()) for _ in range(askers)]
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, (line, [-1]))
            line.ask()
        share, busy = max(1, answers // askers), askers
        while busy:
            for key, _ in selector.select():
                line, count = key.data
                took = line.heard()
                if took is None:
                    continue
                if count[0] >= 0:
                    seconds.append(took)
                count[0] += 1
                if count[0] < share:
                    line.ask()
                else:
                    busy -= 1
        for line in lines:
            line.socket.close()
    return seconds


class Askers:
    """The process, from the bench's side."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def timed(self, port: int, head: str, askers: int, answers: int) -> list[float]:
        """See the function."""
        asked, heard = self._process.stdin, self._process.stdout
        assert asked is not None
        assert heard is not None
        print(json.dumps({"port": port, "head": head, "askers": askers, "answers": answers}), file=asked, flush=True)
        line = heard.readline()
        if not line:
            raise RuntimeError("The askers have ended; what they said stands above")
        return json.loads(line)


@contextmanager
def askers_process() -> Generator[Askers]:
    """Askers as long as the block."""
    command = [sys.executable, "-m", "bench.http_askers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Askers(process)


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(timed(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
