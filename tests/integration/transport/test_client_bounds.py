"""Bounds of one exchange: how much of an answer is read, and how long it may take, byte by byte and on creates too."""

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.calcom.transport.retries import RetryPatience
from calcom_pipeline.domain.errors import ContractBroken, OutcomeUnknown, TransientError
from calcom_pipeline.domain.event_types.models import Owner
from tests.support.clients import Seen, client_of
from tests.support.raw_server import GOOD, Behaviour, Heard, answer, raw_server

KEY = "cal_" + "f" * 32
ONCE = RetryPatience(deadline_seconds=5, attempts=1, first_pause_seconds=0.01)
MEGABYTE = 1024 * 1024
LONGEST = 4 * MEGABYTE


@cache
def member() -> bytes:
    """16 MB of blanks in 16 KB."""
    return gzip.compress(b" " * 16 * MEGABYTE)


def bomb() -> bytes:
    """2 GB of them in 2 MB."""
    return member() * 128


def packed(encoding: str, body: bytes) -> Behaviour:
    return lambda handler: answer(handler, body, headers={"Content-Encoding": encoding})


@dataclass(frozen=True)
class Large:
    """What is packed before its own test, not wherever this file is collected."""

    encoding: str
    body: Callable[[], bytes]


def headerless(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Chunks without an end."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def boasting(handler: BaseHTTPRequestHandler) -> None:
    """A length of a day's download, and nothing of it."""
    handler.send_response(200)
    handler.send_header("Content-Length", "9" * 309)
    handler.end_headers()
    handler.close_connection = True


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def served(behaviour: Behaviour | Large) -> Iterator[tuple[str, Heard]]:
    ready = packed(behaviour.encoding, behaviour.body()) if isinstance(behaviour, Large) else behaviour
    with raw_server(ready) as running:
        yield running


@pytest.fixture
def calcom(served: tuple[str, Heard], redis_client: redis.Redis, seen: Seen) -> Iterator[CalcomClient]:
    with client_of(
        served[0], KEY, redis_client, patience=ONCE, longest_answer_bytes=LONGEST, observers=[seen]
    ) as client:
        yield client


# --- sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour",
    [
        Large("gzip", bomb),
        Large("gzip, gzip", lambda: gzip.compress(bomb())),
        Large("deflate", lambda: zlib.compress(b" " * 64 * MEGABYTE)),
        Large("deflate", lambda: headerless(b" " * 64 * MEGABYTE)),
        Large("gzip", lambda: gzip.compress(GOOD) + member()),
        packed("identity", b" " * 5 * MEGABYTE),
        endless,
        boasting,
    ],
    ids=[
        "gzip",
        "packed twice",
        "deflate",
        "bare deflate",
        "tail",
        "plain",
        "chunks",
        "length",
    ],
)
def test_an_answer_that_is_too_large_is_told_so_and_takes_no_memory(calcom: CalcomClient, seen: Seen):
    tracemalloc.start()
    try:
        with pytest.raises(ContractBroken) as raised:
            calcom.me()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "larger than 4 MB" in str(raised.value)
    assert "CALCOM_ANSWER_MEGABYTES" in raised.value.advice
    assert seen.outcomes() == ["ContractBroken"], "it would be as large the next time"
    assert peak < 4 * LONGEST


@pytest.mark.parametrize("behaviour", [Large("gzip", bomb)])
def test_a_create_whose_answer_is_too_large_may_have_been_done(calcom: CalcomClient):
    with pytest.raises(OutcomeUnknown):
        calcom.create_event_type(Owner("user", 1), {"title": "T", "slug": "t", "duration_minutes": 5}, above_id=1)


@pytest.mark.parametrize(
    "behaviour",
    [
        packed("gzip", gzip.compress(GOOD)),
        packed("x-gzip", gzip.compress(GOOD)),
        packed("GZIP", gzip.compress(GOOD)),
        packed("gzip", gzip.compress(GOOD[:9]) + gzip.compress(GOOD[9:])),
        packed("gzip", gzip.compress(GOOD) + b"\0" * 300),
        packed("gzip", gzip.compress(GOOD) + b"garbage"),
        packed("deflate", zlib.compress(GOOD)),
        packed("deflate", headerless(GOOD)),
        packed("gzip, deflate", zlib.compress(gzip.compress(GOOD))),
        packed("identity", GOOD),
        packed("", GOOD),
        packed("gzip", gzip.compress(GOOD + b" " * (LONGEST - len(GOOD)))),
    ],
)
def test_what_is_packed_in_a_usual_way_is_unpacked(calcom: CalcomClient):
    assert calcom.me().username == "a"


@pytest.mark.parametrize("behaviour", [packed("br", GOOD), packed("gzip, gzip, gzip", GOOD), packed("zstd", GOOD)])
def test_what_is_packed_as_nobody_asked_is_named(calcom: CalcomClient, seen: Seen):
    with pytest.raises(ContractBroken, match="encoded in a way"):
        calcom.me()


class Mending:
    """Answers badly once, then well."""

    def __init__(self, badly: Behaviour) -> None:
        self._badly: Behaviour | None = badly

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        badly, self._badly = self._badly, None
        (badly or answer)(handler)


BALANCED = gzip.compress(GOOD + b" " * MEGABYTE)  # its first part unpacks to whole JSON


@pytest.mark.parametrize(
    "badly",
    [
        packed("gzip", gzip.compress(GOOD)[:-9]),
        packed("gzip", gzip.compress(GOOD)[:-1]),
        packed("gzip", BALANCED[: len(BALANCED) // 2]),
        packed("gzip", gzip.compress(GOOD)[:5]),
        packed("gzip", gzip.compress(GOOD) + gzip.compress(b" ")[:-4]),
        packed("gzip", GOOD),
        packed("deflate", zlib.compress(GOOD)[:-2]),
        packed("deflate", headerless(GOOD)[:-3]),
        packed("deflate", b"x"),
        packed("gzip, gzip", gzip.compress(gzip.compress(GOOD)[:-4])),
    ],
)
def test_half_of_a_packed_answer_is_a_broken_one_and_is_asked_for_again(
    redis_client: redis.Redis, seen: Seen, badly: Behaviour
):
    patience = RetryPatience(deadline_seconds=5, attempts=2, first_pause_seconds=0.01)
    with (
        raw_server(Mending(badly)) as (url, _),
        client_of(url, KEY, redis_client, patience=patience, observers=[seen]) as calcom,
    ):
        assert calcom.me().username == "a"
    assert seen.outcomes() == ["TransientError", "ok"]


# --- time ----------------------------------------------------------------------------------------------------


def dripped(text: bytes) -> Behaviour:
    """A byte every 0.1 s: each arrives in time, all of them never do."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        for byte in text:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.1)

    return drip


def after_head(head: bytes, rest: bytes) -> Behaviour:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        dripped(rest)(handler)

    return behave


DRIPS = {
    "status line": dripped(b"HTTP/1.1 200 OK" + b"K" * 100),
    "a header": dripped(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200),
    "many headers": dripped(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50),
    "100 and again 100": dripped(b"HTTP/1.1 100 Continue\r\n\r\n" * 20),
    "size of a chunk": after_head(b"Transfer-Encoding: chunked", b"0" * 200),
    "trailers": after_head(b"Transfer-Encoding: chunked", b"0\r\n" + b"A: b\r\n" * 50),
    "body": after_head(b"Content-Length: 500", b" " * 200),
    "packed body": after_head(b"Content-Encoding: gzip", gzip.compress(GOOD * 50)[:11] + b"\0" * 200),
}


@pytest.mark.parametrize("behaviour", DRIPS.values(), ids=DRIPS)
def test_what_comes_a_byte_at_a_time_ends_at_the_deadline_of_the_whole_exchange(calcom: CalcomClient):
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"did not answer in time"):
        calcom.me()
    assert time.monotonic() - began < 6  # 1 s is allowed, on a busy machine; all of it would take more than 10


@pytest.mark.parametrize("behaviour", [DRIPS["a header"], DRIPS["body"]], ids=["a header", "body"])
def test_a_create_ends_at_its_deadline_too(redis_client: redis.Redis, behaviour: Behaviour):
    ended: list[float] = []

    def creating(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "POST":
            behaviour(handler)
        else:
            answer(handler, b"{}", status=500)

    with raw_server(creating) as (url, heard), client_of(url, KEY, redis_client, patience=ONCE) as calcom:
        began = time.monotonic()
        looked = calcom._context.transport._options.observers
        looked.notify = lambda event, record: ended.append(time.monotonic() - began) if event == "failed" else None
        with pytest.raises(OutcomeUnknown):
            calcom.create_event_type(Owner("user", 1), {"title": "T", "slug": "t", "duration_minutes": 5}, above_id=1)
    assert [method for method, *_ in heard.requests].count("POST") == 1
    assert ended[0] < 6


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 60_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"x" * 60_000 + b"\r\n") * 9,
    ],
    ids=["100 and again 100", "headers"],
)
def test_headers_without_measure_are_not_read(redis_client: redis.Redis, head: bytes):
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        while True:
            handler.wfile.write(head)

    with (
        raw_server(behave) as (url, _),
        client_of(url, KEY, redis_client, patience=ONCE) as calcom,
        pytest.raises(ContractBroken, match="headers of the answer are larger than 256 KB"),
    ):
        calcom.me()


def test_more_headers_than_anybody_sends_are_a_broken_answer(redis_client: redis.Redis):
    many = b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n"
    with raw_server(lambda handler: handler.wfile.write(many)) as (url, _):  # noqa: SIM117 - the server first
        with (
            client_of(url, KEY, redis_client, patience=ONCE) as calcom,
            pytest.raises(TransientError, match="broke off"),
        ):
            calcom.me()


@pytest.mark.parametrize("length", ["-5", "9" * 5000, "1e3", "12, 13", "\u0663"])
def test_a_length_that_is_none_does_no_harm(redis_client: redis.Redis, length: str):
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode() + b"\r\n\r\n" + GOOD)

    with (
        raw_server(behave) as (url, _),
        client_of(url, KEY, redis_client, patience=ONCE) as calcom,
        suppress(TransientError, ContractBroken),
    ):
        assert calcom.me().username == "a"


def in_time(redis_client: redis.Redis, url: str) -> TransientError:
    began = time.monotonic()
    with client_of(url, KEY, redis_client, patience=ONCE) as calcom, pytest.raises(TransientError) as raised:
        calcom.me()
    assert time.monotonic() - began < 3.5  # half a second is allowed for connecting; the machine may be busy
    return raised.value


def test_a_name_that_nobody_looks_up_is_given_up_in_time(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch):
    answered = threading.Event()

    def stalled(*args: Any) -> list[Any]:
        answered.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", stalled)
    error = in_time(redis_client, "http://calcom.example/v2")
    answered.set()
    assert not error.exchange.in_doubt
    assert "cannot be reached" in str(error)


def test_many_addresses_that_do_not_answer_share_the_time_of_connecting(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    tried: list[str] = []
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{n}", 80)) for n in range(20)]
    plain = socket.getaddrinfo

    def many(host: str, *args: Any) -> list[Any]:
        return rows if host == "calcom.example" else plain(host, *args)

    def slow(address: tuple[str, int], timeout: float, **options: Any) -> socket.socket:
        tried.append(address[0])
        time.sleep(min(timeout, 0.2))
        raise TimeoutError

    monkeypatch.setattr(socket, "getaddrinfo", many)
    monkeypatch.setattr("urllib3.util.connection.create_connection", slow)
    in_time(redis_client, "http://calcom.example/v2")
    assert tried[:3] == ["192.0.2.0", "192.0.2.1", "192.0.2.2"]
    assert "calcom.example" not in tried


def test_a_handshake_that_never_comes_ends_with_the_time_of_connecting(redis_client: redis.Redis):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        in_time(redis_client, f"https://127.0.0.1:{mute.getsockname()[1]}/v2")
