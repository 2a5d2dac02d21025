"""Where Cal.com delivers. It waits for the answer inside somebody's booking, and delivers once (fact sheet 7.5).

| answer | means |
|---|---|
| 200 | kept: in the inbox, known before, or in the spool |
| 400 | `createdAt` is too far from now |
| 401 | not signed, or with another secret |
| 408, 413 | too slow, too long |
| 503 | kept nowhere |
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from calcom_pipeline.app.webhooks.receive import Intake
from calcom_pipeline.domain.webhooks.deliveries import Refused
from calcom_pipeline.settings import Settings
from calcom_pipeline.web.endpoint import OPERATION, OUTCOME

PATH = "/webhooks/calcom"
_SIGNATURE = "x-cal-signature-256"
_NOT_FOUND = 404
_STATUS = {"unsigned": 401, "signature": 401, "too_old": 400}


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Where deliveries come in, how long one may be, and how long its body may take."""

    path: str = PATH
    longest_body_bytes: int = 512 * 1024
    body_seconds: float = 5.0

    @classmethod
    def of(cls, settings: Settings) -> "WebhookOptions":
        """As set."""
        return cls(
            longest_body_bytes=settings.webhook_body_kilobytes * 1024, body_seconds=settings.webhook_body_seconds
        )


class _TooLong(Exception):  # noqa: N818 - says what the body is
    pass


def webhook_routes(intake: Intake, options: WebhookOptions) -> list[Route]:
    """The route of one receiver. The intake has to be entered as long as it is asked."""

    async def deliver(request: Request) -> Response:
        return await _taken(request, intake, options)

    return [Route(options.path, deliver, methods=["POST"])]


def routes_by_name(receiver_of: Callable[[str], tuple[Intake, WebhookOptions] | None]) -> list[Route]:
    """The route of many: each has an account's name below `PATH`. Of another name there is nothing."""

    async def deliver(request: Request) -> Response:
        found = receiver_of(request.path_params["account"])
        if found is None:
            raise HTTPException(_NOT_FOUND)
        return await _taken(request, *found)

    return [Route(f"{PATH}/{{account}}", deliver, methods=["POST"])]


async def _taken(request: Request, intake: Intake, options: WebhookOptions) -> Response:
    request.scope[OPERATION] = "webhook"
    try:
        async with asyncio.timeout(options.body_seconds):
            raw = await _body(request, options.longest_body_bytes)
    except _TooLong:
        return _answer(413, "too long", closing=True)
    except TimeoutError:
        return _answer(408, "too slow", closing=True)
    except ClientDisconnect:  # nobody hears it
        return _answer(400, "left", closing=True)
    found = intake.judge(raw, request.headers.get(_SIGNATURE))
    if isinstance(found, Refused):
        request.scope[OUTCOME] = f"refused_{found.why}"
        return _answer(_STATUS[found.why], found.why)
    request.scope[OUTCOME] = outcome = await asyncio.wrap_future(intake.submit(found))
    return _answer(503, "not kept") if outcome == "lost" else _answer(200, outcome)


async def _body(request: Request, longest: int) -> bytes:
    """The raw bytes. Raises `_TooLong` before more than `longest` of them are held."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > longest:
        raise _TooLong
    parts, size = list[bytes](), 0
    async for part in request.stream():
        size += len(part)
        if size > longest:
            raise _TooLong
        parts.append(part)
    return b"".join(parts)


def _answer(status: int, text: str, *, closing: bool = False) -> Response:
    return PlainTextResponse(text, status, headers={"connection": "close"} if closing else None)
