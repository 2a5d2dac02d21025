"""What an unsuccessful answer means. Cal.com has three error shapes (fact sheet 2.2); all are read here, once."""

import re
from collections.abc import Mapping
from typing import Any, cast

import orjson
import requests

from calcom_pipeline.domain.errors import (
    CalcomError,
    Conflict,
    ContractBroken,
    Exchange,
    NotFound,
    RateLimited,
    Rejected,
    TransientError,
    Unauthorized,
)

_LONGEST_MESSAGE = 300
_RESET_PREFIX = "x-ratelimit-reset"
_DEFAULT_BLOCK_SECONDS = 60.0
_SECRETS = re.compile(r"(?i)bearer\s+\S+|cal_[A-Za-z0-9_]+|[^\s\"'<>@]+@[^\s\"'<>@]+")
# A full limit of the event type is told with a 401 (capture 23d); the key is fine.
_BOOKING_LIMIT = "booking_limit_reached"

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 400, 401, 403, 404, 409
_TOKEN_EXPIRED, _TOO_MANY, _SERVER_ERROR, _REDIRECT = 498, 429, 500, 300
_TIMEOUT_STATUS = 408


def redacted(text: str) -> str:
    """The text without bearers, keys and addresses, cut to a readable length; Cal.com echoes bodies in errors."""
    return _SECRETS.sub("[redacted]", text)[:_LONGEST_MESSAGE]


def no_answer(error: requests.RequestException, operation: str) -> TransientError:
    """The error for a request without an answer. Nothing of the original text is kept: it holds the whole URL."""
    exchange = Exchange(operation)
    if isinstance(error, requests.Timeout):
        return TransientError(f"{operation}: Cal.com did not answer in time", exchange=exchange)
    if isinstance(error, requests.exceptions.SSLError):
        return TransientError(f"{operation}: the TLS connection to Cal.com failed", exchange=exchange)
    if isinstance(error, requests.ConnectionError):
        return TransientError(
            f"{operation}: Cal.com cannot be reached", exchange=exchange, advice="Check CALCOM_BASE_URL and the net."
        )
    return TransientError(f"{operation}: the answer broke off", exchange=exchange)


def error_of(status: int, content: bytes, headers: Mapping[str, str], exchange: Exchange) -> CalcomError:
    """Name an unsuccessful answer by what the caller may do."""
    message = redacted(message_of(content))
    exchange = Exchange(exchange.operation, status, exchange.request_id, message)
    text = f"{exchange.operation}: Cal.com answered {status}" + (f" ({message})" if message else "")
    if status == _TOO_MANY:
        return RateLimited(text, retry_after=reset_seconds(headers) or _DEFAULT_BLOCK_SECONDS, exchange=exchange)
    if status >= _SERVER_ERROR or status == _TIMEOUT_STATUS:
        return TransientError(text, exchange=exchange)
    if status < _BAD_REQUEST and status >= _REDIRECT:
        return ContractBroken(text, exchange=exchange, advice="Check CALCOM_BASE_URL: an API does not redirect.")
    if status in (_UNAUTHORIZED, _FORBIDDEN, _TOKEN_EXPIRED) and message != _BOOKING_LIMIT:
        return Unauthorized(text, exchange=exchange, advice="Check CALCOM_API_KEY: is it right, and not expired?")
    kinds: dict[int, type[CalcomError]] = {_NOT_FOUND: NotFound, _CONFLICT: Conflict}
    return kinds.get(status, Rejected)(text, exchange=exchange)


def message_of(content: bytes) -> str:
    """The sentence of an error answer, in whichever of the three shapes it came; empty when there is none."""
    try:
        body: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(body, dict):
        return ""
    told = cast("dict[str, Any]", body)
    error = told.get("error")
    enveloped = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
    return str(enveloped or told.get("message") or "")


def reset_seconds(headers: Mapping[str, str]) -> float | None:
    """The longest reset that an answer names, in seconds from now (fact sheet 3); None without such a header."""
    named = [value for name, value in headers.items() if name.lower().startswith(_RESET_PREFIX)]
    seconds = [float(value) for value in named if value.isdigit()]
    return max(seconds, default=None)
