"""The one seam: its order, its deadlines, its connections, what it lets out and what it keeps in."""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import redis
import time_machine

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.calcom.transport.guard import GuardedAdapter
from calcom_pipeline.adapters.calcom.transport.messages import Attempt, Call
from calcom_pipeline.adapters.calcom.transport.retries import Retries, RetryPatience
from calcom_pipeline.adapters.calcom.transport.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, Signer
from calcom_pipeline.app.limits import Errand, Grant, Passage
from calcom_pipeline.domain.bookings.requests import BookingRequest, NewAttendee
from calcom_pipeline.domain.errors import CircuitOpen, ContractBroken, OutcomeUnknown, TransientError
from calcom_pipeline.domain.event_types.models import Owner
from tests.support.clients import client_of
from tests.support.raw_server import GOOD, Behaviour, Heard, answer, raw_server
from tests.support.redis_server import mortal_redis

KEY = "cal_" + "f" * 32
ONCE = RetryPatience(deadline_seconds=5, attempts=1, first_pause_seconds=0.01)


@pytest.fixture
def behaviour() -> Behaviour:
    return answer


@pytest.fixture
def server(behaviour: Behaviour) -> Iterator[tuple[str, Heard]]:
    with raw_server(behaviour) as running:
        yield running


@pytest.fixture
def heard(server: tuple[str, Heard]) -> Heard:
    return server[1]


@pytest.fixture
def calcom(server: tuple[str, Heard], redis_client: redis.Redis) -> Iterator[CalcomClient]:
    with client_of(server[0], KEY, redis_client, patience=ONCE) as client:
        yield client


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: each arrives in time, all of them never do."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize("behaviour", [dripping])
def test_a_body_that_drips_in_ends_at_the_deadline_of_the_whole_request(calcom: CalcomClient):
    began = time.monotonic()
    with pytest.raises(TransientError, match="did not answer in time"):
        calcom.me()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("behaviour", [lambda h: answer(h, b"<html>Sign in to the Wi-Fi</html>")])
def test_a_page_of_something_else_is_named_and_not_used(calcom: CalcomClient):
    with pytest.raises(ContractBroken) as raised:
        calcom.me()
    assert "CALCOM_BASE_URL" in raised.value.advice


@pytest.mark.parametrize(
    "behaviour", [lambda h: answer(h, b"", status=302, headers={"Location": "https://evil.example"})]
)
def test_a_redirect_is_not_followed_with_the_key(calcom: CalcomClient, heard: Heard):
    with pytest.raises(ContractBroken):
        calcom.me()
    assert len(heard.requests) == 1


def test_reads_share_a_connection_and_a_create_has_one_of_its_own(calcom: CalcomClient, heard: Heard):
    for _ in range(3):
        calcom.me()
    assert heard.connections == 1
    with pytest.raises(OutcomeUnknown):  # the answer is no event type, and looking for one is impossible here
        calcom.create_event_type(Owner("user", 1), {"title": "T", "slug": "t", "duration_minutes": 5}, above_id=1)
    creates = [headers for method, _, headers, _ in heard.requests if method == "POST"]
    assert [headers["Connection"] for headers in creates] == ["close"]
    calcom.me()
    assert heard.connections == 2


def test_the_environment_adds_no_proxy_no_password_and_no_cookie(
    calcom: CalcomClient, heard: Heard, monkeypatch: pytest.MonkeyPatch, tmp_path
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    calcom.me()
    calcom.me()
    for _, _, headers, _ in heard.requests:
        assert headers["Authorization"] == f"Bearer {KEY}"
        assert "Cookie" not in headers


@pytest.mark.parametrize("behaviour", [lambda h: answer(h, headers={"Set-Cookie": "server=a"})])
def test_cookies_are_not_kept(calcom: CalcomClient, heard: Heard):
    calcom.me()
    calcom.me()
    assert all("Cookie" not in headers for _, _, headers, _ in heard.requests)


def test_where_nobody_listens_nothing_was_sent_and_nothing_is_in_doubt(redis_client: redis.Redis):
    with client_of("http://127.0.0.1:9/v2", KEY, redis_client, patience=ONCE) as calcom:
        with pytest.raises(TransientError) as raised:
            calcom.create_booking(request())
        assert type(raised.value) is TransientError
        assert not raised.value.exchange.in_doubt
        assert "127.0.0.1" not in str(raised.value)


def test_requests_are_signed_with_their_time_path_and_body(server: tuple[str, Heard], redis_client: redis.Redis):
    url, heard = server
    with client_of(url, KEY, redis_client, patience=ONCE, signer=Signer("gate")) as calcom:
        calcom.me()
        with pytest.raises(ContractBroken):
            calcom.find_booking("k" * 8, event_type_id=1, start=request().start, email="a+b@example.org")
        with pytest.raises(OutcomeUnknown):
            calcom.create_booking(request())
    assert len(heard.requests) >= 3
    for method, path, headers, body in heard.requests:
        stamp = headers[TIMESTAMP_HEADER]
        assert abs(time.time() - int(stamp)) < 60
        wanted = hmac.new(b"gate", f"{stamp}.{method}.{path}.".encode() + body, hashlib.sha256).hexdigest()
        assert headers[SIGNATURE_HEADER] == wanted


def request() -> BookingRequest:
    from datetime import UTC, datetime

    return BookingRequest(2, datetime(2026, 12, 2, 10, tzinfo=UTC), NewAttendee("C", "UTC", email="c@example.org"))


# --- the order of things -------------------------------------------------------------------------------------


class Script:
    """A limiter and a breaker that write down when they were asked; `open_from` names the visit that is refused."""

    def __init__(self, *, refuse: str = "", slow_grants: int = 0, waiting: Callable[[], object] = lambda: None) -> None:
        self.told: list[str] = []
        self._waiting = waiting
        self.now = 0.0
        self._refuse = refuse
        self._slow_grants = slow_grants

    def clock(self) -> float:
        return self.now

    def acquire(self, lane: str, *, deadline_seconds: float | None = None, errand: Errand | None = None) -> Grant:
        self.told.append(f"turn in {deadline_seconds:.0f} s")
        self.now += 2
        self._waiting()
        if self._slow_grants:
            self._slow_grants -= 1
            self.now += 30  # the machine slept between the grant and its use
        return Grant("g", waited_seconds=2)

    def complete(self, grant: Grant, *, status: int | None, named_limit: object, errand: Errand | None = None) -> None:
        self.told.append(f"complete {status}")

    def give_back(self, grant: Grant) -> None:
        self.told.append("give back")

    def seconds_until_available(self, lane: str = "interactive") -> float:
        return 0.0

    def looking(self, group: str) -> None:
        self._visit("look")

    def enter(self, group: str, *, longest_seconds: float, looked: Errand | None = None) -> Passage | None:
        self._visit("enter")
        return None

    def reporting(self, passage: Passage | None, outcome: str) -> None:
        self.told.append(f"report {outcome}")

    def _visit(self, name: str) -> None:
        self.told.append(name)
        if name == self._refuse:
            raise CircuitOpen("open", retry_after=7)


def sent(script: Script, url: str, *, signer: Signer | None = None, **call: object) -> Attempt:
    import requests

    from calcom_pipeline.adapters.calcom.transport.guard import attempting

    session = requests.Session()
    adapter = GuardedAdapter(
        script, script, connect_timeout_seconds=1, longest_answer_bytes=10**6, signer=signer, clock=script.clock
    )
    session.mount("http://", adapter)
    attempt = Attempt(Call("Testing", "GET", "/me", "account", **call), 1, deadline=100.0)
    with session, attempting(attempt):
        session.get(f"{url}/me")
    return attempt


_USED = ["enter", "report ok", "complete 200"]


def test_a_request_looks_waits_enters_goes_and_is_told_in_this_order(server: tuple[str, Heard]):
    script = Script()
    sent(script, server[0])
    assert script.told == ["look", "turn in 100 s", *_USED]


def test_it_is_stamped_and_signed_when_it_goes_out_not_when_it_queued(server: tuple[str, Heard]):
    """A turn may be minutes away: gateways refuse old signatures, and a row must not look older than its read."""
    url, heard = server
    queued = datetime(2026, 12, 1, 8, tzinfo=UTC)
    with time_machine.travel(queued, tick=False) as world:
        attempt = sent(Script(waiting=lambda: world.shift(timedelta(seconds=90))), url, signer=Signer("gate"))
    assert attempt.sent_at == queued + timedelta(seconds=90)
    ((_, _, headers, _),) = heard.requests
    assert int(headers[TIMESTAMP_HEADER]) == int(attempt.sent_at.timestamp())


def test_a_call_costs_two_ways_to_redis(server: tuple[str, Heard], heard: Heard, tmp_path: Path):
    with mortal_redis(tmp_path) as own, client_of(server[0], KEY, own.client, patience=ONCE) as calcom:
        beside = own.client

        def ways() -> int:
            stats = beside.info("stats")
            assert isinstance(stats, dict)
            return int(stats["total_reads_processed"])

        ways()  # its connection is greeted
        calcom.me()  # the first one gives the server its scripts
        before, sent_before = ways(), len(heard.requests)
        for _ in range(10):
            calcom.me()
        assert len(heard.requests) - sent_before == 10
        assert ways() - before - 1 == 2 * 10  # the second look at the figures is one


def test_with_an_open_circuit_nobody_queues_for_a_turn(server: tuple[str, Heard]):
    script = Script(refuse="look")
    with pytest.raises(CircuitOpen):
        sent(script, server[0])
    assert script.told == ["look"]


def test_a_circuit_that_opens_while_waiting_gives_the_turn_back(server: tuple[str, Heard], heard: Heard):
    script = Script(refuse="enter")
    with pytest.raises(CircuitOpen):
        sent(script, server[0])
    assert script.told == ["look", "turn in 100 s", "enter", "give back"]
    assert not heard.requests


def test_a_grant_whose_moment_has_passed_is_not_used(server: tuple[str, Heard]):
    script = Script(slow_grants=1)
    sent(script, server[0])
    assert script.told == ["look", "turn in 100 s", "give back", "turn in 68 s", *_USED]


@pytest.mark.parametrize(
    ("behaviour", "kind", "told"),
    [
        (lambda h: answer(h, b"{}", status=404), "read", ["report ok", "complete 404"]),
        (lambda h: answer(h, b"{}", status=429), "read", ["report unclear", "complete 429"]),
        (lambda h: answer(h, b"{}", status=500), "read", ["report failed", "complete 500"]),
        (lambda h: h.connection.close(), "read", ["report failed", "complete None"]),
        (lambda h: time.sleep(1.2), "read", ["report failed", "complete None"]),
        (lambda h: time.sleep(1.2), "create", ["report unclear", "complete None"]),
        (lambda h: answer(h, GOOD, headers={"Content-Length": "999"}), "read", ["report failed", "complete None"]),
    ],
)
def test_what_counts_against_the_service(server: tuple[str, Heard], kind: str, told: list[str]):
    import contextlib

    import requests

    script = Script()
    with contextlib.suppress(requests.RequestException):
        sent(script, server[0], kind=kind, timeout_seconds=0.8)
    assert script.told[-2:] == told


def test_where_the_breaker_lets_no_other_attempt_follow_the_cause_is_told_and_not_the_breaker():
    outcomes = [TransientError("cannot be reached"), CircuitOpen("open", retry_after=7)]

    def attempt(number: int, deadline: float) -> None:
        raise outcomes[number - 1]

    retries = Retries(RetryPatience(60, 6), clock=lambda: 0.0, sleep=lambda _: None)
    with pytest.raises(TransientError, match="cannot be reached"):
        retries.run(Call("Testing", "GET", "/me", "account"), attempt)
    with pytest.raises(CircuitOpen) as refused:
        retries.run(Call("Testing", "GET", "/me", "account"), lambda _number, _deadline: attempt(2, 0.0))
    assert refused.value.advice == "Try again in 7 s."
