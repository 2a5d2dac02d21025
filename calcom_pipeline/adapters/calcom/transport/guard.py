"""The one adapter that every request to Cal.com goes through: `requests` calls its `send`, no caller can forget it.

In this order: a cheap look at the breaker, a turn of the limiter, the breaker's probe (taken last, so that nobody waits
while holding it), the request, its whole body under one deadline, and what limiter and breaker learn from it. What the
breaker is asked and told goes along with what the limiter is: a call costs two ways to Redis. What a request is about
travels in a context variable, since `requests` hands an adapter nothing but headers.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import requests

from calcom_pipeline.adapters.calcom.transport.bodies import AnswerTooLarge, read_whole_body
from calcom_pipeline.adapters.calcom.transport.deadlines import TimedAdapter, ending_in
from calcom_pipeline.adapters.calcom.transport.limit_headers import limit_of, read_limit_headers
from calcom_pipeline.adapters.calcom.transport.messages import Attempt
from calcom_pipeline.adapters.calcom.transport.signing import Signer
from calcom_pipeline.adapters.certificates import causes, certificate_trouble
from calcom_pipeline.app.calls import Spent
from calcom_pipeline.app.limits import GRANT_SECONDS, TOO_MANY, Breaker, Errand, Grant, Limiter, Verdict
from calcom_pipeline.domain.errors import CircuitOpen
from calcom_pipeline.domain.redaction import redacted

_POOL_CONNECTIONS = 16
_SERVER_ERROR = 500
# A read that is sent just before its deadline still gets this long.
_SHORTEST_READ_SECONDS = 1.0
# An id of a request is a UUID; whatever else stands there gets no further.
_LONGEST_REQUEST_ID = 100


@dataclass(slots=True)
class _Outcome:
    """What is reported to limiter and breaker in the end, however it ends."""

    status: int | None = None
    headers: Mapping[str, str] | None = None
    verdict: Verdict = "unclear"


current_attempt: ContextVar[Attempt] = ContextVar("calcom_attempt")


@contextmanager
def attempting(attempt: Attempt) -> Generator[None]:
    """Requests sent in this block belong to this attempt."""
    token = current_attempt.set(attempt)
    try:
        yield
    finally:
        current_attempt.reset(token)


class GuardedAdapter(TimedAdapter):
    """Sends one request. Safe to use from several threads."""

    def __init__(
        self,
        limiter: Limiter,
        breaker: Breaker,
        *,
        connect_timeout_seconds: float,
        longest_answer_bytes: int,
        signer: Signer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(pool_maxsize=_POOL_CONNECTIONS)
        # A create goes over a connection of its own: a kept one that the server closes in this very moment would leave
        # us in doubt about a request that was never read.
        self._fresh = TimedAdapter(pool_maxsize=1)
        self._limiter = limiter
        self._breaker = breaker
        self._connect_timeout_seconds = connect_timeout_seconds
        self._longest_answer_bytes = longest_answer_bytes
        self._signer = signer
        self._clock = clock
        self._lock = Lock()
        self._spent = Spent()
        self.limit_seen: int | None = None

    @property
    def spent(self) -> Spent:
        """The totals since this adapter was made."""
        with self._lock:
            return self._spent

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send; `options` are those of `HTTPAdapter.send`, of which the time-out is ours to set.

        Raises:
            RateLimited: no turn before the deadline; nothing was sent.
            CircuitOpen: too many failures in a row; nothing was sent.
            requests.RequestException: no whole answer.
        """
        attempt = current_attempt.get()
        look = self._breaker.looking(attempt.call.group)
        grant = self._turn(attempt, look)
        with self._reporting_outcome(attempt, grant, look) as outcome:
            self._stamp(request, attempt)
            response = self._exchange(request, attempt, options)
            attempt.status, attempt.request_id = response.status_code, _request_id(response.headers)
            outcome.status, outcome.headers = response.status_code, response.headers
            outcome.verdict = _verdict(response.status_code)
        return response

    def close(self) -> None:
        """Close all connections."""
        self._fresh.close()
        super().close()

    # --- inside ------------------------------------------------------------------------------------------

    def _turn(self, attempt: Attempt, look: Errand | None) -> Grant:
        """A grant that is still good. One whose moment has passed (a stopped process) is given back."""
        while True:
            left = attempt.deadline - self._clock()
            grant = self._limiter.acquire(attempt.call.lane, deadline_seconds=left, errand=look)
            attempt.waited_seconds += grant.waited_seconds
            asked_at = attempt.deadline - left
            if self._clock() - asked_at - grant.waited_seconds <= GRANT_SECONDS:
                return grant
            self._limiter.give_back(grant)

    def _stamp(self, request: requests.PreparedRequest, attempt: Attempt) -> None:
        """When it goes out. Not earlier: a turn may be minutes away, and old signatures are refused."""
        attempt.sent_at = datetime.now(UTC)
        if self._signer:
            body = request.body if isinstance(request.body, bytes) else b""
            seconds = int(attempt.sent_at.timestamp())
            method, path = request.method or "GET", request.path_url
            request.headers.update(self._signer.headers(method, path, body, unix_seconds=seconds))

    @contextmanager
    def _reporting_outcome(self, attempt: Attempt, grant: Grant, look: Errand | None) -> Generator[_Outcome]:
        call = attempt.call
        try:
            passage = self._breaker.enter(call.group, longest_seconds=call.timeout_seconds, looked=look)
        except CircuitOpen:
            self._limiter.give_back(grant)
            raise
        outcome = _Outcome()
        try:
            yield outcome
        except requests.RequestException as error:
            outcome.verdict = _verdict_of_none(error, attempt)
            raise
        finally:
            self._count(grant, outcome)
            self._limiter.complete(
                grant,
                status=outcome.status,
                named_limit=limit_of(outcome.headers or {}, status=outcome.status),
                errand=self._breaker.reporting(passage, outcome.verdict),
            )

    def _exchange(
        self, request: requests.PreparedRequest, attempt: Attempt, options: dict[str, Any]
    ) -> requests.Response:
        seconds = attempt.call.timeout_seconds
        if attempt.call.kind == "read":
            seconds = min(seconds, max(_SHORTEST_READ_SECONDS, attempt.deadline - self._clock()))
        options |= {"timeout": (min(self._connect_timeout_seconds, seconds), seconds), "stream": True}
        with ending_in(seconds):
            if attempt.call.kind == "create":
                request.headers["Connection"] = "close"
                response = self._fresh.send(request, **options)
            else:
                response = super().send(request, **options)
            content = read_whole_body(response, self._longest_answer_bytes)
        response._content = content  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # where requests keeps it
        return response

    def _count(self, grant: Grant, outcome: _Outcome) -> None:
        named_limit = read_limit_headers(outcome.headers or {})
        with self._lock:
            self.limit_seen = named_limit.limit if named_limit else self.limit_seen
            self._spent = Spent(
                self._spent.calls + 1,
                self._spent.refused + (outcome.status == TOO_MANY),
                self._spent.waited_seconds + grant.waited_seconds,
            )


def _verdict(status: int) -> Verdict:
    """5xx count against the service; a 429 says nothing of it; anything else shows that it is there."""
    if status == TOO_MANY:
        return "unclear"
    return "failed" if status >= _SERVER_ERROR else "ok"


def _verdict_of_none(error: requests.RequestException, attempt: Attempt) -> Verdict:
    """No whole answer counts against the service, unless it has answered, or we are the ones who do not want it."""
    slow_create = attempt.call.kind == "create" and isinstance(error, requests.Timeout)
    too_large = any(isinstance(cause, AnswerTooLarge) for cause in causes(error))
    return "unclear" if slow_create or too_large or certificate_trouble(error) else "failed"


def _request_id(headers: Mapping[str, str]) -> str | None:
    request_id = headers.get("X-Request-Id")
    return None if request_id is None else redacted(request_id, longest=_LONGEST_REQUEST_ID)
