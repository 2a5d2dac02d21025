"""`calcom-pipeline serve` in a process of its own."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.support.commands import argv, bare
from tests.support.warm import WarmProcess, is_measured
from tests.support.web import free_port

Process = subprocess.Popen[str] | WarmProcess


@contextmanager
def serving(
    environment: dict[str, str],
    *options: str,
    port: int | None = None,
    wrapped: Callable[[Sequence[str]], Sequence[str]] | None = None,
    **more: object,
) -> Iterator[tuple[Process, int]]:
    """The command, once it answers; forked where it has been imported already.

    With `wrapped`, which may put other words before its own, or `more`, which is for `Popen`, and where coverage is
    measured, it is a Python that starts.
    """
    port = port or free_port()
    words = ["serve", "--port", str(port), *options]
    process: Process
    if wrapped or more or is_measured():
        process = subprocess.Popen(
            wrapped(argv(*words)) if wrapped else argv(*words),
            env=bare(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,  # type: ignore[call-overload]
        )
    else:
        process = WarmProcess(words, bare(environment))
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
        if isinstance(process, WarmProcess):
            process.close()


def answers(port: int) -> bool:
    """Whether somebody answers: the port listens before anybody does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return line.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
