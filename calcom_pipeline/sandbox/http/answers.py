"""What a handler gives back, and the headers under which it leaves: ETag, length, 304."""

import base64
import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson

JSON_TYPE = "application/json; charset=utf-8"
_ETAG_CHARACTERS = 27  # express keeps that many characters of the base64 SHA-1
Headers = list[tuple[str, str]]


@dataclass(slots=True)
class SandboxAnswer:
    """One response. `body` is the bytes to send; `content_type` None sends neither type nor ETag."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    content_type: str | None = JSON_TYPE
    headers: Headers = field(default_factory=list[tuple[str, str]])


def json_answer(payload: Any, status: int = HTTPStatus.OK) -> SandboxAnswer:
    """`payload` as JSON, without white space."""
    return SandboxAnswer(status=status, body=orjson.dumps(payload))


def success(data: Any, status: int = HTTPStatus.OK) -> SandboxAnswer:
    """`{"status": "success", "data": …}`."""
    return json_answer({"status": "success", "data": data}, status)


def created(data: Any) -> SandboxAnswer:
    """The same with 201."""
    return success(data, HTTPStatus.CREATED)


def etag_of(body: bytes) -> str:
    """Express's weak ETag: length in hex, SHA-1 in base64."""
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
    return f'W/"{len(body):x}-{digest[:_ETAG_CHARACTERS]}"'


def is_fresh(if_none_match: str | None, etag: str) -> bool:
    """Whether the client's copy is the current one."""
    if not if_none_match:
        return False
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in known or etag.removeprefix("W/") in known


def finish(answer: SandboxAnswer, *, method: str, if_none_match: str | None) -> SandboxAnswer:
    """Adds type, length and ETag, turns a repeated read into 304, and drops the body of a HEAD."""
    if answer.content_type is None:
        answer.headers.append(("Content-Length", str(len(answer.body))))
        return answer
    etag = etag_of(answer.body)
    readable = method in {"GET", "HEAD"} and HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
    if readable and is_fresh(if_none_match, etag):
        return SandboxAnswer(HTTPStatus.NOT_MODIFIED, b"", None, [*answer.headers, ("ETag", etag)])
    length = str(len(answer.body))
    answer.headers += [("Content-Type", answer.content_type), ("Content-Length", length), ("ETag", etag)]
    if method == "HEAD":
        answer.body = b""
    return answer
