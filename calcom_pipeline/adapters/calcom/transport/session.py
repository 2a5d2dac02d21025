"""A session that turns calls into answers or named errors: headers, signature, retries, classification, events."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import orjson
import requests

from calcom_pipeline.adapters.calcom.transport.bodies import ASKED_FOR
from calcom_pipeline.adapters.calcom.transport.failures import error_of, no_answer
from calcom_pipeline.adapters.calcom.transport.guard import Breaker, GuardedAdapter, Limiter, attempting
from calcom_pipeline.adapters.calcom.transport.messages import Answer, Attempt, Call
from calcom_pipeline.adapters.calcom.transport.network import Network, authorities, proxies
from calcom_pipeline.adapters.calcom.transport.observers import Observers
from calcom_pipeline.adapters.calcom.transport.retries import Retries, RetryPatience
from calcom_pipeline.adapters.calcom.transport.signing import Signer
from calcom_pipeline.app.calls import Lane, Spent
from calcom_pipeline.domain.errors import (
    CalcomError,
    CircuitOpen,
    ConfigurationError,
    ContractBroken,
    Exchange,
    RateLimited,
)
from calcom_pipeline.domain.redaction import know_secrets, without_secrets

VERSION_HEADER = "cal-api-version"
# The longest listing, of thousands of event types, has a few megabytes.
_LONGEST_ANSWER_BYTES = 64 * 1024 * 1024


class _WithoutQuery(logging.Filter):
    """urllib3 logs whole paths on debug, and headers that it cannot read; a query may hold an attendee's address."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut the query off every argument, secrets and tracebacks too; the record itself stays."""
        if isinstance(record.args, tuple):
            record.args = tuple(_plain(one) for one in record.args)
        record.exc_info = None
        return True


def _plain(argument: object) -> object:
    if isinstance(argument, str):
        return without_secrets(argument.partition("?")[0])
    return type(argument).__name__ if isinstance(argument, BaseException) else argument


_WITHOUT_QUERY = _WithoutQuery()  # one object: a logger takes the same filter only once
_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.response", "urllib3.util.retry")


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """Numbers and helpers of the way to Cal.com; see the settings of the same names."""

    connect_timeout_seconds: float
    patience: RetryPatience
    signer: Signer | None = None
    network: Network = field(default_factory=Network)
    longest_answer_bytes: int = _LONGEST_ANSWER_BYTES
    observers: Observers = field(default_factory=Observers)


class Transport:
    """Sends calls. Safe to use from several threads."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        limiter: Limiter,
        breaker: Breaker,
        options: TransportOptions,
        retries: Retries | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        know_secrets([api_key])
        if "@" in urlsplit(base_url).netloc:  # requests would send it in the place of the key
            raise ConfigurationError(["CALCOM_BASE_URL must not hold a user or a password"])
        self._base_url = base_url
        self._options = options
        self._limiter = limiter
        self._retries = retries or Retries(options.patience, clock=clock)
        self._clock = clock
        for logger in _LOGGERS:
            logging.getLogger(logger).addFilter(_WITHOUT_QUERY)
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc must not replace the key; the rest of it is read by `network`
        self._session.verify = authorities(options.network)
        self._session.proxies.update(proxies(options.network, base_url))
        self._session.headers["Authorization"] = f"Bearer {api_key}"
        self._session.headers["Accept"] = "application/json"
        self._session.headers["Accept-Encoding"] = ASKED_FOR
        # A load balancer's cookie would only pin us to one server.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        seconds = options.connect_timeout_seconds
        self._adapter = GuardedAdapter(
            limiter,
            breaker,
            connect_timeout_seconds=seconds,
            longest_answer_bytes=options.longest_answer_bytes,
            signer=options.signer,
            clock=clock,
        )
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)

    def spent(self) -> Spent:
        """The totals since this transport was opened."""
        return self._adapter.spent

    def limit_seen(self) -> int | None:
        """Requests per window that the last answer named (fact sheet 3)."""
        return self._adapter.limit_seen

    def seconds_until_available(self, lane: Lane) -> float:
        """About how long a request of this lane would wait now."""
        return self._limiter.seconds_until_available(lane)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def send(self, call: Call) -> Answer:
        """Send a call, again where that is safe, and classify what came back.

        Raises:
            CalcomError: one of its named kinds; never anything of `requests`.
        """
        try:
            return self._retries.run(call, lambda number, deadline: self._attempt(Attempt(call, number, deadline)))
        except CalcomError as error:
            self._options.observers.given_up(call, error)
            raise

    def _attempt(self, attempt: Attempt) -> Answer:
        observation = self._options.observers.started(attempt)
        try:
            answer = self._exchange(attempt)
        except CalcomError as error:
            observation.failed(error)
            raise
        observation.completed()
        return answer

    def _exchange(self, attempt: Attempt) -> Answer:
        call, asked_at = attempt.call, datetime.now(UTC)
        request = self._session.prepare_request(self._request(call))
        exchange = Exchange(call.operation, in_doubt=call.kind != "read")
        with attempting(attempt):
            try:
                # `send` of the session, not of the adapter: it is where requests finds the adapter for a URL.
                response = self._session.send(request, allow_redirects=False)
            except (RateLimited, CircuitOpen) as refusal:  # nothing was sent; say for what
                text, own = f"{call.operation}: {refusal}", Exchange(call.operation)
                raise type(refusal)(text, retry_after=refusal.retry_after, exchange=own) from None
            except requests.RequestException as error:
                raise no_answer(error, exchange, host=urlsplit(self._base_url).hostname or "") from None
        exchange = replace(exchange, status=response.status_code, request_id=attempt.request_id)
        if not response.ok or response.is_redirect:
            raise error_of(response.status_code, response.content, response.headers, exchange)
        if not _looks_like_json(response.content):
            raise ContractBroken(
                f"{call.operation}: the answer is no JSON",
                exchange=exchange,
                advice="Check CALCOM_BASE_URL: something else than Cal.com seems to answer.",
            )
        sent_at = attempt.sent_at or asked_at
        return Answer(exchange, response.content, _date_of(response.headers, sent_at), sent_at)

    def _request(self, call: Call) -> requests.Request:
        headers = {VERSION_HEADER: call.version} if call.version else {}
        body = b"" if call.body is None else orjson.dumps(call.body)
        request = requests.Request(call.method, self._base_url + call.path, params=call.params, headers=headers)
        if body:
            request.data = body
            request.headers["Content-Type"] = "application/json"
        return request


def _looks_like_json(content: bytes) -> bool:
    """Whether it begins and ends like an object; rows that are wrong inside are their reader's business."""
    return content[:1] == b"{" and content.rstrip()[-1:] == b"}"


def _date_of(headers: Mapping[str, str], fallback: datetime) -> datetime:
    try:
        return parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return fallback
