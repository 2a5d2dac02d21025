"""Cal.com's errors in their three shapes, raised by handlers and rendered at one place.

Facts: fact sheet section 2.2 and the recordings `07*`, `10-*`, `23d`, `27c`.
"""

from http import HTTPStatus

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import iso

_CLASS_NAMES = {
    400: "BadRequestException",
    401: "UnauthorizedException",
    403: "ForbiddenException",
    404: "NotFoundException",
    409: "ConflictException",
    422: "UnprocessableEntityException",
    429: "ThrottlerException",
}
THROTTLED = "CustomThrottlerGuard - Too many requests. Please try again later."


class ApiError(Exception):
    """An answer that is no success; `body` renders it, given when and where it happened."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def body(self, now_ms: int, path: str) -> Json:
        """The JSON body; `path` is the request's URL with its query."""
        raise NotImplementedError


class Enveloped(ApiError):  # noqa: N818 - named after the shape that it renders
    """The common shape. `code` and `details` default to those of the framework's exception of that status."""

    def __init__(self, status: int, message: str, *, code: str | None = None, details: object = ...) -> None:
        super().__init__(status, message)
        self.code = code or _CLASS_NAMES[status]
        self.details = _framework_details(status, message) if details is ... else details

    def body(self, now_ms: int, path: str) -> Json:
        """`{status, timestamp, path, error: {code, message, details?}}`."""
        error: Json = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return {"status": "error", "timestamp": iso(now_ms), "path": path, "error": error}


class Bare(ApiError):  # noqa: N818 - same
    """The shape of errors from Cal.com's shared core: `{statusCode, message}`."""

    def body(self, now_ms: int, path: str) -> Json:  # noqa: ARG002 - the shape names neither time nor place
        """`{statusCode, message}`."""
        return {"statusCode": self.status, "message": self.message}


def _framework_details(status: int, message: str) -> Json:
    return {"message": message, "error": HTTPStatus(status).phrase, "statusCode": status}


def bad_request(message: str) -> Enveloped:
    """400 by the framework."""
    return Enveloped(400, message)


def unauthorized(message: str) -> Enveloped:
    """401 by the framework."""
    return Enveloped(401, message)


def forbidden(message: str) -> Enveloped:
    """403 by the framework."""
    return Enveloped(403, message)


def not_found(message: str) -> Enveloped:
    """404 by the framework."""
    return Enveloped(404, message)


def conflict(message: str) -> Enveloped:
    """409 by the framework."""
    return Enveloped(409, message)


def unprocessable(message: str) -> Enveloped:
    """422 by the framework."""
    return Enveloped(422, message)


def too_many_requests() -> Enveloped:
    """429; its details are the message once more, as a plain string."""
    return Enveloped(429, THROTTLED, details=THROTTLED)


def trpc(status: int, message: str) -> Enveloped:
    """An error of the tRPC layer: no details."""
    return Enveloped(status, message, code="TRPCError", details=None)


def database_error() -> Enveloped:
    """What Prisma's unexpected failures become, for example for an id that is no number (`07v`)."""
    return Enveloped(500, "There was an error, please try again later.", code="INTERNAL_SERVER_ERROR", details=None)


def duplicate_record() -> Enveloped:
    """What Prisma's unique violations become."""
    message = "Invalid Input: Trying to create a record that already exists."
    return Enveloped(409, message, code="CONFLICT", details=None)


def zod(*issues: tuple[str, str]) -> Enveloped:
    """A schema failure of the core: `path - text, `, the last issue first."""
    message = "".join(f"{path} - {text}, " for path, text in reversed(issues))
    return Enveloped(400, message, code="BAD_REQUEST", details=None)


def lost_race() -> Bare:
    """What the losers of a race for one slot get (`10-*`)."""
    return Bare(400, "An error occurred while querying the database.")


def internal_error() -> Bare:
    """What an error nobody foresaw becomes."""
    return Bare(500, "Internal server error")
