"""Carrying out the faults that strike a request: before the work, after it, and on the way to the client."""

import asyncio
import base64
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson

from calcom_pipeline.sandbox.control.faults import Fault
from calcom_pipeline.sandbox.core.errors import ApiError, Bare, too_many_requests
from calcom_pipeline.sandbox.core.times import iso
from calcom_pipeline.sandbox.http import transport
from calcom_pipeline.sandbox.http.answers import SandboxAnswer
from calcom_pipeline.sandbox.http.call import SandboxCall
from calcom_pipeline.sandbox.http.spoiling import put_headers, spoil

_PAGE = (
    "<!DOCTYPE html><html><head><title>{status} {phrase}</title></head>"
    "<body><center><h1>{status} {phrase}</h1></center>{text}</body></html>"
)
_KEY_IN_WORDS = "Your api key {key} is not valid"
_DRIPPING = ("drip_headers", "drip_body")


class Dropped(Exception):  # noqa: N818 - it names what happened to the connection, nobody handles it as an error
    """The connection is gone; there is nothing left to answer."""


class AnswerReplaced(Exception):  # noqa: N818 - carries an answer, as an ApiError does
    """Something else than Cal.com answered: the work was not done."""

    def __init__(self, answer: SandboxAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


async def before(faults: Iterable[Fault], call: SandboxCall, scope: MutableMapping[str, Any]) -> None:
    """Latency, refusals and resets that keep the work from being done."""
    for fault in faults:
        if fault.kind == "latency":
            with suppress(TimeoutError):
                await asyncio.wait_for(fault.withdrawn.wait(), fault.seconds)
        elif fault.kind == "rate_limited":
            raise too_many_requests()
        elif fault.kind == "error":
            raise _GatewayError(fault.status)
        elif fault.kind == "html":
            raise AnswerReplaced(_page(fault))
        elif fault.kind == "echo_key":
            raise AnswerReplaced(_key_in_words(fault, call))
        elif fault.kind == "reset_before":
            transport.reset(_client(scope))
            raise Dropped


async def after(
    faults: Iterable[Fault], answer: SandboxAnswer, call: SandboxCall, scope: MutableMapping[str, Any]
) -> SandboxAnswer:
    """What happens to an answer once the work is done; a dripping one is sent here. Raises Dropped where it is."""
    for fault in faults:
        if fault.kind == "reset_after":
            transport.reset(_client(scope))
            raise Dropped
        answer = spoil(fault, answer, call.now)
        put_headers(answer, fault.headers)
    dripping = next((one for one in faults if one.kind in _DRIPPING), None)
    if dripping is not None:
        head = _head(answer)
        at_once = b"" if dripping.kind == "drip_headers" else head
        await transport.drip(_client(scope), at_once, (head + answer.body)[len(at_once) :], dripping.seconds)
        raise Dropped
    return answer


def _page(fault: Fault) -> SandboxAnswer:
    page = _PAGE.format(status=fault.status, phrase=HTTPStatus(fault.status).phrase, text=fault.text or "")
    return SandboxAnswer(fault.status, page.encode(), "text/html; charset=utf-8")


def _key_in_words(fault: Fault, call: SandboxCall) -> SandboxAnswer:
    """Cal.com's envelope around a sentence with the caller's key: plain, percent-encoded, in base64."""
    key = call.headers.get("authorization", "").removeprefix("Bearer ")
    message = fault.text or _KEY_IN_WORDS
    shapes = {"key": key, "key_quoted": quote(key, safe=""), "key_base64": base64.b64encode(key.encode()).decode()}
    for name, shape in shapes.items():
        message = message.replace(f"{{{name}}}", shape)
    error = {"code": "UnauthorizedException", "message": message}
    body = {"status": "error", "timestamp": iso(call.now), "path": call.url, "error": error}
    return SandboxAnswer(fault.status, orjson.dumps(body))


def _head(answer: SandboxAnswer) -> bytes:
    lines = [f"HTTP/1.1 {int(answer.status)} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _client(scope: MutableMapping[str, Any]) -> tuple[str, int] | None:
    client = scope.get("client")
    return (client[0], client[1]) if client else None


class _GatewayError(ApiError):
    """An error of something in front of the service, or of the service itself."""

    def __init__(self, status: int) -> None:
        super().__init__(status, HTTPStatus(status).phrase)

    def body(self, now_ms: int, path: str) -> dict[str, Any]:
        """Bare, as unknown failures are."""
        return Bare(self.status, self.message).body(now_ms, path)
