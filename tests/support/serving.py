"""`calcom-pipeline serve` in a process of its own."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.support.commands import argv, bare
from tests.support.web import free_port


@contextmanager
def serving(
    environment: dict[str, str],
    *options: str,
    port: int | None = None,
    wrapped: Callable[[Sequence[str]], Sequence[str]] = lambda words: words,
    **more: object,
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command, once it answers. `wrapped` may put other words before its own; `more` is for `Popen`."""
    port = port or free_port()
    process = subprocess.Popen(
        wrapped(argv("serve", "--port", str(port), *options)),
        env=bare(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,  # type: ignore[call-overload]
    )
    try:
        until = time.monotonic() + 60
        while not answers(port):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.05)
        yield process, port
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def answers(port: int) -> bool:
    """Whether somebody answers: the port listens before anybody does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return line.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
