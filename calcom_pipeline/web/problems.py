"""Errors as problem+json (RFC 9457): one table from our errors to a status, a type and what the caller may do.

A problem quotes nothing that the caller sent, and holds neither a secret nor an address. `error` repeats code and
message where Cal.com's own answers have them, for front ends that were written for those.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response

from calcom_pipeline.domain import errors
from calcom_pipeline.domain.redaction import redacted

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:calcom-pipeline:problem:"
_LONGEST_DETAIL = 500
_MOST_PROBLEMS = 50
#: Seconds after which trouble of a moment is worth another try, where nothing better is known.
_MOMENT = 2.0

#: A key of the caller's that a booking was asked for with: `Idempotency-Key`.
KEY_HEADER = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table."""

    status: int
    name: str
    title: str


MALFORMED = Kind(400, "malformed", "The request cannot be read")
NO_TOKEN = Kind(401, "no-token", "A valid bearer token is needed")
NO_ROUTE = Kind(404, "no-route", "There is nothing at this address")
NO_METHOD = Kind(405, "no-method", "This address does not take this method")
TOO_LARGE = Kind(413, "too-large", "The body is too large")
ADDRESS_TOO_LONG = Kind(414, "address-too-long", "The address is too long")
NO_JSON = Kind(415, "no-json", "The body has to be JSON")
INVALID = Kind(422, "invalid-input", "What was asked for cannot be asked for")
TOO_MANY = Kind(429, "too-many-requests", "This token has no request left for now")
HEADERS_TOO_LARGE = Kind(431, "headers-too-large", "The headers are too large")
BUG = Kind(500, "unexpected", "Something unforeseen happened")
OVERLOADED = Kind(503, "overloaded", "Too many requests are being answered")
TOO_SLOW = Kind(504, "too-slow", "The answer took too long")
UNKNOWN = Kind(504, "outcome-unknown", "Nobody knows yet whether it was done")

#: The first that fits counts.
KINDS: tuple[tuple[type[errors.PipelineError], Kind], ...] = (
    (errors.InvalidInput, INVALID),
    (errors.OutcomeUnknown, UNKNOWN),
    (errors.RateLimited, Kind(429, "rate-limited", "The budget of calls to Cal.com is spent")),
    (errors.CircuitOpen, Kind(503, "calcom-failing", "Cal.com failed again and again and is left alone")),
    (errors.TransientError, Kind(503, "calcom-away", "Cal.com cannot be asked")),
    (errors.NotFound, Kind(404, "not-found", "There is no such thing, or it cannot be seen")),
    (errors.Conflict, Kind(409, "conflict", "Something else holds this time")),
    (errors.Unauthorized, Kind(502, "calcom-refuses-key", "Cal.com refuses the key of this service")),
    (errors.Rejected, Kind(422, "rejected", "Cal.com refuses the request")),
    (errors.CalcomError, Kind(502, "calcom-answers-oddly", "Cal.com's answer could not be used")),
    (errors.StoreError, Kind(503, "store-away", "The database cannot do this now")),
    (errors.CacheError, Kind(503, "cache-away", "The cache cannot do this now")),
    (errors.PipelineError, Kind(503, "not-ready", "This service is not ready")),
)


class ProblemError(Exception):
    """A request that ends here, with the problem to be told."""

    def __init__(
        self, kind: Kind, detail: str = "", *, retry_after: float | None = None, problems: Sequence[str] = ()
    ) -> None:
        super().__init__(kind.name)
        self.kind = kind
        self.detail = detail
        self.retry_after = retry_after
        self.problems = problems


def kind_of(error: errors.PipelineError) -> Kind:
    """The row that an error has in the table."""
    return next(kind for cause, kind in KINDS if isinstance(error, cause))


def problem(
    kind: Kind,
    detail: str = "",
    *,
    problems: Sequence[str] = (),
    retry_after: float | None = None,
    key: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that tells a problem; all that is wrong stands in `problems`."""
    text = redacted(detail or kind.title, longest=_LONGEST_DETAIL)
    body: dict[str, Any] = {
        "type": TYPE + kind.name,
        "title": kind.title,
        "status": kind.status,
        "detail": text,
        "error": {"code": kind.name, "message": text},
    }
    more = {"Cache-Control": "no-store", **(headers or {})}
    if problems:
        body["problems"] = [redacted(one) for one in problems[:_MOST_PROBLEMS]]
    if retry_after is not None:
        seconds = max(1, math.ceil(retry_after))
        body["retryAfter"] = seconds
        more["Retry-After"] = str(seconds)
    if key:
        body["key"] = key
        more[KEY_HEADER] = key
    if kind.status == NO_TOKEN.status:
        more["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), kind.status, headers=more, media_type=MEDIA_TYPE)


def problem_of(error: Exception, *, key: str = "") -> Response | None:
    """The answer to an error that is one of ours; None for a bug."""
    if isinstance(error, ProblemError):
        unknown = key if error.kind is UNKNOWN else ""
        return problem(error.kind, error.detail, retry_after=error.retry_after, problems=error.problems, key=unknown)
    if not isinstance(error, errors.PipelineError):
        return None
    kind = kind_of(error)
    detail = f"{error}. {error.advice}".strip() if error.advice else str(error)
    return problem(
        kind,
        detail,
        problems=error.problems if isinstance(error, errors.InvalidInput) else (),
        retry_after=_retry_after(error, kind),
        key=error.key if isinstance(error, errors.OutcomeUnknown) else "",
    )


def _retry_after(error: errors.PipelineError, kind: Kind) -> float | None:
    if isinstance(error, errors.RateLimited | errors.CircuitOpen):
        return error.retry_after
    return _MOMENT if kind.status == OVERLOADED.status else None
