"""Carrying out the faults that strike a request: before the work, and after it."""

import asyncio
from collections.abc import Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

import orjson

from calcom_pipeline.sandbox.control.faults import Fault
from calcom_pipeline.sandbox.core.errors import ApiError, Bare, too_many_requests
from calcom_pipeline.sandbox.core.json_types import is_list
from calcom_pipeline.sandbox.http import transport
from calcom_pipeline.sandbox.http.answers import Answer

_BROKEN_JSON = b'{"status":"success","data":[{"id":'


class Dropped(Exception):  # noqa: N818 - it names what happened to the connection, nobody handles it as an error
    """The connection is gone; there is nothing left to answer."""


async def before(faults: Iterable[Fault], scope: MutableMapping[str, Any]) -> None:
    """Latency, refusals and resets that keep the work from being done."""
    for fault in faults:
        if fault.kind == "latency":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "rate_limited":
            raise too_many_requests()
        elif fault.kind == "error":
            raise _GatewayError(fault.status)
        elif fault.kind == "reset_before":
            transport.reset(_client(scope))
            raise Dropped


async def after(faults: Iterable[Fault], answer: Answer, scope: MutableMapping[str, Any]) -> Answer:
    """What happens to an answer once the work is done."""
    for fault in faults:
        if fault.kind == "reset_after":
            transport.reset(_client(scope))
            raise Dropped
        answer = _spoil(fault, answer)
    return answer


def _spoil(fault: Fault, answer: Answer) -> Answer:
    if fault.kind == "truncate":  # the length promised in the header never comes
        answer.body = answer.body[: len(answer.body) // 2]
    elif fault.kind == "malformed":
        answer = _with_body(answer, _BROKEN_JSON, answer.status)
    elif fault.kind == "empty_body":
        answer = _with_body(answer, b"", answer.status)
    elif fault.kind == "content_type":
        answer.headers = [
            (name, "text/html; charset=utf-8" if name == "Content-Type" else value) for name, value in answer.headers
        ]
    elif fault.kind == "fail_after_create" and answer.status < HTTPStatus.BAD_REQUEST:
        body = orjson.dumps(Bare(fault.status, HTTPStatus(fault.status).phrase).body(0, ""))
        answer = _with_body(answer, body, fault.status)
    elif fault.kind in ("half_list", "empty_list"):
        answer = _with_fewer_rows(answer, keeps_half=fault.kind == "half_list")
    return answer


def _with_fewer_rows(answer: Answer, *, keeps_half: bool) -> Answer:
    told = orjson.loads(answer.body)
    rows = is_list(told.get("data"))
    if rows is None:
        return answer
    body = orjson.dumps({**told, "data": rows[: len(rows) // 2] if keeps_half else []})
    return _with_body(answer, body, answer.status)


def _with_body(answer: Answer, body: bytes, status: int) -> Answer:
    headers = [
        (name, str(len(body)) if name == "Content-Length" else value)
        for name, value in answer.headers
        if name != "ETag"
    ]
    return Answer(status, body, answer.content_type, headers)


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
