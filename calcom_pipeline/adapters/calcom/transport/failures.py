"""What an unsuccessful answer means. Cal.com has three error shapes (fact sheet 2.2); all are read here, once.

What gets into an error is chosen, then redacted: codes, messages, names of properties and the rules they break. Bodies
and values that Cal.com echoes are never kept.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson
import requests
import urllib3

from calcom_pipeline.adapters.calcom.transport.bodies import AnswerPackedOddly, AnswerTooLarge
from calcom_pipeline.adapters.calcom.transport.limit_headers import seconds_blocked
from calcom_pipeline.adapters.certificates import causes, certificate_trouble
from calcom_pipeline.domain.errors import (
    CalcomError,
    CertificateRefused,
    Conflict,
    ContractBroken,
    Exchange,
    NotFound,
    RateLimited,
    Rejected,
    TransientError,
    Unauthorized,
)
from calcom_pipeline.domain.redaction import redacted

_GATEWAY = "A gateway, a firewall or a proxy before Cal.com refuses, and did not ask for the key; look there."
_TRUST = "If an authority of your own has signed it, name its bundle in CALCOM_CA_BUNDLE. Nothing was sent."
_TOO_LARGE = "Check CALCOM_BASE_URL; a larger answer is read when CALCOM_ANSWER_MEGABYTES allows it."
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")
# OpenSSL's words for a server that answers in plain text.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_LONGEST_BODY = 600
_MOST_PROBLEMS = 5
DEFAULT_BLOCK_SECONDS = 60.0
# What a caller gets; the limiter, which knows the settings and the refusals before this one, waits on its own.
_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 120.0

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 400, 401, 403, 404, 409
_TOKEN_EXPIRED, _TOO_MANY, _SERVER_ERROR, _REDIRECT = 498, 429, 500, 300
_REQUEST_TIMEOUT = 408
# A full limit of the event type is answered with a 401 (capture 23d); the key is fine.
_BOOKING_LIMIT = "booking_limit_reached"
# The router's own 404: nothing answers to this path with this version (fact sheet 1.3).
_NO_ROUTE = ("Cannot GET ", "Cannot POST ", "Cannot PATCH ", "Cannot DELETE ")
# 400s that say that somebody else was first: a slug (captures 27c and fact sheet 4.1, 4.6), a time (fact sheet 6.5).
_TAKEN = (
    "already has an event type with this slug",
    "error_event_type_url_duplicate",
    "URL Slug already exists",
    "already has booking at this time or is not available",
    # ... and 422s: a start to be held (fact sheet 5.2).
    "already reserved by another user",
    "t reserve a slot if the event is already booked",
    "has no more seats left",
)
# ... and the same of a lost race for a slot, bare, with nothing else in it (captures 10).
_LOST_RACE = "An error occurred while querying the database."


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """The contents of an error answer: its message, a summary fit for a log, and whether it came without the envelope.

    `page`: it is no JSON, so it is not of Cal.com, whose errors all are; a gateway or a firewall has answered.
    """

    message: str
    summary: str
    bare: bool
    page: bool = False


def no_answer(error: requests.RequestException, exchange: Exchange, *, host: str = "") -> CalcomError:
    """The error for a request without a whole answer. Nothing of the original text is kept: it holds the URL."""
    unsent = _not_sent(error, replace(exchange, in_doubt=False), host or "Cal.com")
    if unsent is not None:
        return unsent
    operation, found = exchange.operation, list(causes(error))
    if refused := next((one for one in found if isinstance(one, AnswerTooLarge | AnswerPackedOddly)), None):
        return ContractBroken(f"{operation}: {refused}", exchange=exchange, advice=_TOO_LARGE)
    if isinstance(error, requests.Timeout) or any(isinstance(one, TimeoutError) for one in found):
        return TransientError(f"{operation}: Cal.com did not answer in time", exchange=exchange)
    if isinstance(error, requests.exceptions.SSLError):
        return TransientError(f"{operation}: the TLS connection to Cal.com failed", exchange=exchange)
    return TransientError(f"{operation}: the answer broke off", exchange=exchange)


def _not_sent(error: requests.RequestException, exchange: Exchange, host: str) -> CalcomError | None:
    """The error where no connection stood, so that nothing of the request left."""
    operation = exchange.operation
    if trouble := certificate_trouble(error):
        return CertificateRefused(f"{operation}: the certificate of {host} {trouble}", exchange=exchange, advice=_TRUST)
    if isinstance(error, requests.exceptions.ProxyError):
        text = f"{operation}: {_proxy_trouble(error)}"
        return TransientError(text, exchange=exchange, advice="Check CALCOM_PROXY or HTTPS_PROXY.")
    if never_sent(error):
        text = f"{operation}: Cal.com cannot be reached"
        return TransientError(text, exchange=exchange, advice="Check CALCOM_BASE_URL and the net.")
    if any(getattr(cause, "reason", None) in _NO_TLS for cause in causes(error) if isinstance(cause, ssl.SSLError)):
        text = f"{operation}: what answers at {host} does not speak TLS"
        return TransientError(text, exchange=exchange, advice="Check CALCOM_BASE_URL.")
    return None


def _proxy_trouble(error: requests.exceptions.ProxyError) -> str:
    """What the proxy says, by its status alone."""
    for cause in causes(error):
        if isinstance(cause, OSError) and (match := _TUNNEL.search(str(cause))):
            return f"the proxy refuses the connection to Cal.com ({match[1]})"
    return "the proxy cannot be reached"


def never_sent(error: requests.RequestException) -> bool:
    """Whether the failure came before a byte of the request left: there was no connection."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def error_of(status: int, content: bytes, headers: Mapping[str, str], exchange: Exchange) -> CalcomError:
    """Name an unsuccessful answer by what the caller may do. `exchange.in_doubt` says whether the request was a write.

    What is left of the doubt: a refusal (3xx, 4xx) did nothing; after a 5xx nobody knows.
    """
    answer = _error_answer(content)
    doubt = exchange.in_doubt and (status >= _SERVER_ERROR or status == _REQUEST_TIMEOUT)
    exchange = replace(exchange, status=status, body=answer.summary, in_doubt=doubt)
    message = redacted(answer.message)
    text = f"{exchange.operation}: Cal.com answered {status}" + (f" ({message})" if message else "")
    if status == _TOO_MANY:
        named = seconds_blocked(headers)
        seconds = (
            DEFAULT_BLOCK_SECONDS if named is None else min(max(named, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        )
        return RateLimited(text, retry_after=float(seconds), exchange=exchange)
    if status >= _SERVER_ERROR or status == _REQUEST_TIMEOUT:
        return TransientError(text, exchange=exchange)
    if status < _BAD_REQUEST:
        return ContractBroken(text, exchange=exchange, advice="Check CALCOM_BASE_URL: an API does not redirect.")
    if status == _NOT_FOUND and answer.message.startswith(_NO_ROUTE):
        return ContractBroken(
            f"{exchange.operation}: nothing answers here with this cal-api-version header",
            exchange=exchange,
            advice="Check CALCOM_BASE_URL, and whether this Cal.com knows the version of this endpoint group.",
        )
    return _not_of_calcom(status, exchange) if answer.page else _refusal(status, answer, text, exchange)


def _not_of_calcom(status: int, exchange: Exchange) -> CalcomError:
    """A refusal without JSON. It says nothing of the key, and a 404 of it is no proof that anything is gone."""
    text = f"{exchange.operation}: something that is not Cal.com's API answered {status}"
    if status == _NOT_FOUND:
        return ContractBroken(text, exchange=exchange, advice="Check CALCOM_BASE_URL.")
    return Rejected(text, exchange=exchange, advice=_GATEWAY)


def _refusal(status: int, answer: ErrorAnswer, text: str, exchange: Exchange) -> CalcomError:
    if status in (_UNAUTHORIZED, _TOKEN_EXPIRED) and answer.message != _BOOKING_LIMIT:
        return Unauthorized(text, exchange=exchange, advice="Check CALCOM_API_KEY: is it right, and not expired?")
    # A bare 403 comes from a rule of the booking (minimum reschedule notice), not from a guard of the key.
    if status == _FORBIDDEN and not answer.bare:
        return Unauthorized(text, exchange=exchange, advice="This key may not do that.")
    if status == _NOT_FOUND:
        return NotFound(text, exchange=exchange)
    raced = answer.bare and answer.message == _LOST_RACE
    if status == _CONFLICT or raced or any(sentence in answer.message for sentence in _TAKEN):
        return Conflict(text, exchange=exchange)
    return Rejected(text, exchange=exchange)


def _error_answer(content: bytes) -> ErrorAnswer:
    try:
        body: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ErrorAnswer("", "", bare=False, page=True)
    if not isinstance(body, dict):
        return ErrorAnswer("", "", bare=False)
    members = cast("dict[str, Any]", body)
    error = members.get("error")
    envelope = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    message = _text(envelope.get("message") or members.get("message") or error)
    kept: dict[str, Any] = {
        "code": redacted(_text(envelope.get("code"))),
        "message": redacted(message),
        "problems": _problems(envelope.get("details")),
    }
    summary = orjson.dumps({name: value for name, value in kept.items() if value}).decode()[:_LONGEST_BODY]
    return ErrorAnswer(message, summary, bare="statusCode" in members and not envelope)


def _problems(details: Any) -> list[str]:
    """Properties and the rules they break; their values, which Cal.com echoes beside them, stay behind."""
    listed = cast("dict[str, Any]", details).get("errors") if isinstance(details, dict) else None
    if not isinstance(listed, list):
        return []
    found: list[str] = []
    for entry in cast("list[Any]", listed)[:_MOST_PROBLEMS]:
        one = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        rules = one.get("constraints")
        texts = cast("dict[str, Any]", rules).values() if isinstance(rules, dict) else ()
        found.append(redacted(f"{one.get('property')}: {', '.join(map(str, texts))}"))
    return found


def _text(value: Any) -> str:
    """A message may be a list of sentences; anything else that is no text is none."""
    if isinstance(value, list):
        return "; ".join(str(part) for part in cast("list[Any]", value))
    return value if isinstance(value, str) else ""
