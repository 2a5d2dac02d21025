"""Connections that are slow, silent or many keep nobody from being answered."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from calcom_pipeline.settings import Settings
from tests.support.web import served

SECONDS = 0.3
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


@dataclass
class World:
    port: int = 0
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    async def echo(self, request: Request) -> PlainTextResponse:
        self.begun.release()
        return PlainTextResponse(await request.body())

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@contextmanager
def world(**settings: Any) -> Iterator[World]:
    made = World()
    with served(Starlette(routes=[Route("/", made.echo, methods=["POST"])]), Settings(**settings)) as made.port:
        yield made


def asked(line: socket.socket) -> bool:
    """Whether a request on this connection is answered."""
    try:
        line.sendall(REQUEST)
        answer = b""
        while not answer.endswith(b"hi"):
            if not (more := line.recv(1000)):
                return False
            answer += more
    except OSError:
        return False
    return True


def all_of(line: socket.socket) -> bytes:
    """What comes until it is closed."""
    heard = b""
    while more := line.recv(1000):
        heard += more
    return heard


@pytest.mark.parametrize(
    ("said", "answers"),
    [(b"", []), (b"POST / HTTP/1.1\r\nX-Slow: ", [b"408"]), (REQUEST + b"POST /", [b"200", b"408"])],
    ids=["nothing", "half a head", "half a head after a request"],
)
def test_a_head_that_does_not_come_is_not_waited_for(said: bytes, answers: list[bytes]):
    with world(http_head_seconds=SECONDS) as here, here.connected() as line:
        line.sendall(said)
        assert [part[:3] for part in all_of(line).split(b"HTTP/1.1 ")[1:]] == answers


def test_a_head_that_comes_byte_by_byte_has_no_longer():
    with world(http_head_seconds=SECONDS) as here, here.connected() as line:
        line.sendall(b"POST / HTTP/1.1\r\nX-Slow: ")
        began = time.monotonic()
        with pytest.raises(OSError, match=r"(?i)pipe|reset"):
            while time.monotonic() - began < 20:
                line.sendall(b"x")
                time.sleep(0.01)


def test_a_connection_that_was_answered_may_idle_for_longer_than_a_head_may_take():
    with world(http_head_seconds=SECONDS) as here, here.connected() as line:
        assert asked(line)
        time.sleep(2 * SECONDS)
        assert asked(line)


def test_of_too_many_connections_those_that_idle_longest_are_closed():
    with world(http_connections=20) as here, ExitStack() as stack:
        silent = [stack.enter_context(here.connected()) for _ in range(20)]
        assert asked(silent[-1])  # connections are taken in turn, so all are by now
        assert asked(silent[0])  # from now on the others have idled for longer
        assert all(asked(stack.enter_context(here.connected())) for _ in range(10))
        assert asked(silent[0])
        assert all_of(silent[1]) == b""


def test_a_new_connection_is_closed_where_all_are_busy():
    with world(http_connections=10) as here, ExitStack() as stack:
        busy = [stack.enter_context(here.connected()) for _ in range(10)]
        for line in busy:
            line.sendall(REQUEST[:-1])
            assert here.begun.acquire(timeout=20)
        with here.connected() as late:
            assert all_of(late) == b""
        for line in busy:
            line.sendall(REQUEST[-1:])
            assert line.recv(1000).endswith(b"hi")
