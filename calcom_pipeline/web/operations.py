"""An operation of the HTTP API: what it takes, what it gives, who does it; and reading a request as it says."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.domain.cleaning import one_line
from calcom_pipeline.domain.errors import InvalidInput
from calcom_pipeline.domain.redaction import redacted
from calcom_pipeline.web.ports import FreeSlots
from calcom_pipeline.web.problems import MALFORMED, NO_JSON, TOO_LARGE, TOO_SLOW, ProblemError

_LONGEST_NAME = 40
#: No field of a booking has half as many; a thousand would exhaust the stack of whoever walks through them.
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request that is fit to be answered. `key` names it, if it may come twice; `keyed`: by the caller's own key."""

    query: Any
    body: Any
    uid: str
    key: str
    keyed: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class JsonReply:
    """An answer: its body, and for free times how old they are and what tells two such answers apart (`tag`)."""

    body: bytes
    as_of: datetime | None = None
    stale: bool = False
    tag: str = ""


@dataclass(frozen=True, slots=True)
class WarmWay:
    """How an operation is answered from the event loop: what is looked for, None if nothing; and the answer.

    `at_hand` is None where the answer takes long to write.
    """

    wanted: Callable[[CheckedRequest], Wanted | None]
    at_hand: Callable[[CheckedRequest, FreeSlots], JsonReply | None]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method at an address. `handle` runs in a thread; it raises our errors."""

    name: str
    method: Literal["GET", "POST", "DELETE"]
    path: str
    summary: str
    part: str
    handle: Callable[[CheckedRequest], JsonReply]
    answer: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    addressed: type[BaseModel] | None = None
    status: int = 200
    writes: bool = False
    #: The caller may name the request by `Idempotency-Key`.
    keyed: bool = False
    #: Free times: with ETag, Age and how fresh they are.
    aged: bool = False
    warm: WarmWay | None = None
    problems: tuple[int, ...] = field(default=())


def success(data: Any = ...) -> bytes:
    """Cal.com's envelope."""
    if data is ...:
        return b'{"status":"success"}'
    return orjson.dumps({"status": "success", "data": data})


def read_query(operation: Operation, request: Request) -> tuple[Any, str]:
    """The parameters and the uid in the address, checked: all that is wrong is said at once. Raises InvalidInput."""
    problems: list[str] = []
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            problems.append(f"{_shown(name)}: is given twice")
        given[name] = value
    uid = ""
    if operation.addressed is not None:
        uid = str(request.path_params.get("uid", ""))
        _checked(operation.addressed, {"uid": uid}, problems)
    query = None
    if operation.query is not None:
        query = _checked(operation.query, given, problems)
    else:
        problems += [f"{_shown(name)}: is no parameter here" for name in given]
    together = getattr(query, "problems", None)
    if callable(together):
        problems += cast("list[str]", together())
    if problems:
        raise InvalidInput(list(dict.fromkeys(problems)))
    return query, uid


async def read_body(operation: Operation, request: Request, *, longest: int, seconds: float) -> Any:
    """The body, checked. Raises InvalidInput or ProblemError."""
    if operation.body is None:
        return None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":  # also keeps a page of another origin from writing unasked
        raise ProblemError(NO_JSON, "Content-Type has to be application/json")
    content = await _content(request, longest=longest, seconds=seconds)
    try:
        found: object = orjson.loads(content or b"{}")
    except orjson.JSONDecodeError:
        raise ProblemError(MALFORMED, "The body is no JSON") from None
    if not isinstance(found, dict):
        raise ProblemError(MALFORMED, "The body is no JSON object")
    if _deeper_than(_DEEPEST, cast("dict[str, object]", found)):
        raise ProblemError(MALFORMED, f"The body is nested deeper than {_DEEPEST} levels")
    problems: list[str] = []
    body = _checked(operation.body, cast("dict[str, Any]", found), problems)
    if problems:
        raise InvalidInput(problems)
    return body


async def _content(request: Request, *, longest: int, seconds: float) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:18]) > longest:
        raise ProblemError(TOO_LARGE, f"A body may have {longest} bytes")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > longest:
                    raise ProblemError(TOO_LARGE, f"A body may have {longest} bytes")
                parts.append(part)
    except TimeoutError:
        raise ProblemError(TOO_SLOW, "The body was not there in time") from None
    except ClientDisconnect:
        raise ProblemError(MALFORMED, "The body ended early") from None
    return b"".join(parts)


def _deeper_than(levels: int, value: object) -> bool:
    """Whether lists and objects stand in one another deeper than that; without recursion."""
    level: list[object] = [value]
    for _ in range(levels):
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inner += cast("dict[str, object]", one).values()
            elif isinstance(one, list):
                inner += cast("list[object]", one)
        if not inner:
            return False
        level = inner
    return any(isinstance(one, dict | list) for one in level)


def _checked(model: type[BaseModel], given: Mapping[str, Any], problems: list[str]) -> BaseModel | None:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems += [_sentence(each["loc"], each["type"], each["msg"]) for each in error.errors(include_url=False)]
        return None


def _sentence(location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = _shown(".".join(str(part) for part in location))
    if kind == "extra_forbidden":
        return f"{name}: is no parameter here"
    if kind == "missing":
        return f"{name}: is missing"
    message = message.removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}"


def _shown(name: str) -> str:
    """A name that the caller chose, fit to be told."""
    return redacted(one_line(name), longest=_LONGEST_NAME)
