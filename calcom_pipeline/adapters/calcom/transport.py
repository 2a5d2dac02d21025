"""The one seam every request to Cal.com goes through: limiter, send, whole body, learn, classify.

`requests` calls `GuardedAdapter.send` for each request, so no caller can forget the limiter. What a call is about
(operation, lane, time-out) travels in a context variable, because `requests` hands an adapter nothing but headers.
"""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import backoff
import orjson
import requests
from requests.adapters import HTTPAdapter

from calcom_pipeline.adapters.calcom.failures import error_of, no_answer
from calcom_pipeline.adapters.redis.rate_limiter import Grant
from calcom_pipeline.domain.errors import ContractBroken, Exchange, RateLimited, TransientError
from calcom_pipeline.ports import Lane, Spent

VERSION_HEADER = "cal-api-version"
LIMIT_HEADER = "X-RateLimit-Limit-Default"
_CHUNK_BYTES = 64 * 1024
_POOL_CONNECTIONS = 16


class Limiter(Protocol):
    """Grants a request when it may be sent now."""

    def acquire(self, lane: Lane, *, deadline_seconds: float | None = None) -> Grant:
        """Block until the request may be sent. Raises RateLimited past the deadline."""
        ...

    def complete(self, grant: Grant, *, status: int | None, headers: Mapping[str, str]) -> None:
        """The request is over; `status` is None when no answer came. Learns from the headers."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """What one request is: its endpoint group's version, its lane, how long it may take in total."""

    operation: str
    method: str
    path: str
    version: str | None = None
    params: Mapping[str, Any] | None = None
    body: Any = None
    lane: Lane = "sync"
    timeout_seconds: float = 15.0
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. `answered_at` is its Date header, `sent_at` our clock before it was sent; both UTC."""

    exchange: Exchange
    content: bytes
    answered_at: datetime
    sent_at: datetime

    def json(self) -> Any:
        """The parsed body. Raises ContractBroken when it is no JSON."""
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError:
            raise ContractBroken(
                f"{self.exchange.operation} answered something that is no JSON", exchange=self.exchange
            ) from None

    def data(self) -> Any:
        """The `data` of the success envelope. Raises ContractBroken when there is none."""
        body = self.json()
        if not isinstance(body, dict) or "data" not in body:
            raise ContractBroken(f"{self.exchange.operation} answered without `data`", exchange=self.exchange)
        return body["data"]  # pyright: ignore[reportUnknownVariableType]  # typed by the caller's wire model


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """Numbers of the way to Cal.com; see the settings of the same names."""

    connect_timeout_seconds: float
    retry_deadline_seconds: float
    retry_attempts: int


_current: ContextVar[Call] = ContextVar("calcom_call")


class GuardedAdapter(HTTPAdapter):
    """Sends one request: a turn of the limiter first, the whole body under a total deadline after."""

    def __init__(self, limiter: Limiter, *, connect_timeout_seconds: float) -> None:
        super().__init__(pool_maxsize=_POOL_CONNECTIONS)
        self._limiter = limiter
        self._connect_timeout_seconds = connect_timeout_seconds
        self.totals = Spent()
        self.limit_seen: int | None = None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send; `options` are those of `HTTPAdapter.send`, of which the time-out is ours to set."""
        call = _current.get()
        grant = self._limiter.acquire(call.lane)
        deadline = time.monotonic() + call.timeout_seconds
        self.totals = replace(
            self.totals, calls=self.totals.calls + 1, waited_seconds=self.totals.waited_seconds + grant.waited_seconds
        )
        options |= {"timeout": (self._connect_timeout_seconds, call.timeout_seconds), "stream": True}
        status, headers = None, dict[str, str]()
        try:
            response = super().send(request, **options)
            _read_whole_body(response, deadline)
            status, headers = response.status_code, dict(response.headers)
        finally:
            self._limiter.complete(grant, status=status, headers=headers)
        named = response.headers.get(LIMIT_HEADER, "")
        self.limit_seen = int(named) if named.isdigit() else self.limit_seen
        if response.status_code == requests.codes.too_many_requests:
            self.totals = replace(self.totals, refused=self.totals.refused + 1)
        return response


def _read_whole_body(response: requests.Response, deadline: float) -> None:
    """A truncated or endless body must fail here, not in the caller."""
    chunks: list[bytes] = []
    for chunk in response.iter_content(_CHUNK_BYTES):
        chunks.append(chunk)
        if time.monotonic() > deadline:
            response.close()
            raise requests.exceptions.ReadTimeout("the body did not end in time")
    response._content = b"".join(chunks)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # where requests keeps it


class Transport:
    """A session that sends calls and answers with `Answer` or a named error."""

    def __init__(self, *, base_url: str, api_key: str, limiter: Limiter, options: TransportOptions) -> None:
        self._base_url = base_url
        self._options = options
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy or .netrc of the shell must not see the key
        self._session.headers["Authorization"] = f"Bearer {api_key}"
        self._session.headers["Accept"] = "application/json"
        self._adapter = GuardedAdapter(limiter, connect_timeout_seconds=options.connect_timeout_seconds)
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)

    def spent(self) -> Spent:
        """The totals since this transport was opened."""
        return self._adapter.totals

    def limit_seen(self) -> int | None:
        """Requests per window that the last answer named (fact sheet 3)."""
        return self._adapter.limit_seen

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def send(self, call: Call) -> Answer:
        """Send a call, again where that is safe, and classify what came back.

        Raises:
            CalcomError: one of its named kinds; never anything of `requests`.
        """
        if not call.repeatable:
            return self._send_once(call)
        patient = backoff.on_exception(
            backoff.runtime,
            RateLimited,
            value=_seconds_to_wait,
            max_time=self._options.retry_deadline_seconds,
            max_tries=self._options.retry_attempts,
            jitter=None,
            logger=None,
        )
        stubborn = backoff.on_exception(
            backoff.expo,
            TransientError,
            giveup=lambda error: isinstance(error, RateLimited),
            max_time=self._options.retry_deadline_seconds,
            max_tries=self._options.retry_attempts,
            logger=None,
        )
        return patient(stubborn(self._send_once))(call)

    def _send_once(self, call: Call) -> Answer:
        headers = {VERSION_HEADER: call.version} if call.version else {}
        sent_at = datetime.now(UTC)
        with _about(call):
            try:
                response = self._session.request(
                    call.method,
                    self._base_url + call.path,
                    params=call.params,
                    data=None if call.body is None else orjson.dumps(call.body),
                    headers=headers | ({} if call.body is None else {"Content-Type": "application/json"}),
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                raise no_answer(error, call.operation) from None
        exchange = Exchange(call.operation, response.status_code, response.headers.get("X-Request-Id"))
        if not response.ok or response.is_redirect:
            raise error_of(response.status_code, response.content, response.headers, exchange)
        return Answer(exchange, response.content, _date_of(response.headers, sent_at), sent_at)


@contextmanager
def _about(call: Call) -> Generator[None]:
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


def _seconds_to_wait(error: Exception) -> float:
    return error.retry_after if isinstance(error, RateLimited) else 0.0


def _date_of(headers: Mapping[str, str], fallback: datetime) -> datetime:
    try:
        return parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return fallback
