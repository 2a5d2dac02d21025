"""From a request to an answer: who asks, what they ask, in a thread of which pool, how old the answer is."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from calcom_pipeline.domain.errors import InvalidInput, PipelineError
from calcom_pipeline.web.callers import Callers
from calcom_pipeline.web.measures import Measures
from calcom_pipeline.web.operations import CheckedRequest, JsonReply, Operation, read_body, read_query
from calcom_pipeline.web.options import WebOptions
from calcom_pipeline.web.pool import Pool
from calcom_pipeline.web.problems import KEY_HEADER, TOO_SLOW, UNKNOWN, ProblemError, problem_of
from calcom_pipeline.web.warm import WarmAnswers

JSON = "application/json"
#: Where a request's operation and caller, and what a delivery came to, are noted, for the log and the measures.
OPERATION, CALLER, OUTCOME = "calcom.operation", "calcom.caller", "calcom.outcome"
_MOST_SPELLINGS = 512
_KEY = re.compile(r"[A-Za-z0-9_.:-]{8,200}")
_VARY, _STALE, _JSON = (b"vary", b"Authorization, Origin"), (b"calcom-stale", b"true"), (b"content-type", JSON.encode())
_WEAK = re.compile(r'(?:W/)?"([^"]*)"')


@dataclass(slots=True)
class EndpointContext:
    """What all operations share."""

    options: WebOptions
    callers: Callers
    reads: Pool
    writes: Pool
    measures: Measures
    now: Callable[[], datetime]
    #: There while the server runs, if the service tells what is warm.
    warm: WarmAnswers | None = None

    async def admit(self, request: Request, name: str) -> None:
        """Note what is asked and by whom. Raises ProblemError."""
        request.scope[OPERATION] = name
        request.scope[CALLER] = await self.callers.admit(request.headers.get("authorization"))


class Endpoint:
    """One operation."""

    def __init__(self, context: EndpointContext, operation: Operation) -> None:
        self._context = context
        self._operation = operation
        # Sound questions by how they are spelled: websites ask the same ones all day.
        self._read: dict[bytes, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        response = await self.answer(Request(scope, receive))
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """The answer, a problem included."""
        key, keyed = "", False
        try:
            await self._context.admit(request, self._operation.name)
            key, keyed = self._key(request)
            return await self._answer(request, key, keyed=keyed)
        except (PipelineError, ProblemError) as error:
            answer = problem_of(error, key=key)
            assert answer is not None
            return answer

    def _key(self, request: Request) -> tuple[str, bool]:
        """The caller's key, or one that is made up, so that a doubt has a name. Raises InvalidInput."""
        given = request.headers.get(KEY_HEADER)
        if not self._operation.keyed or given is None:
            return (uuid4().hex if self._operation.keyed else ""), False
        if not _KEY.fullmatch(given):
            raise InvalidInput([f"{KEY_HEADER}: has to be 8 to 200 letters, digits or any of _ . : -"])
        return given, True

    def _asked(self, request: Request) -> tuple[Any, str]:
        """The parameters and the uid, checked once for each spelling. Raises InvalidInput."""
        if self._operation.addressed is not None:
            return read_query(self._operation, request)
        spelled: bytes = request.scope["query_string"]
        query = self._read.get(spelled)
        if query is None:
            query, _ = read_query(self._operation, request)
            if len(self._read) >= _MOST_SPELLINGS:
                self._read.clear()
            self._read[spelled] = query
        return query, ""

    async def _answer(self, request: Request, key: str, *, keyed: bool) -> Response:
        context, operation = self._context, self._operation
        query, uid = self._asked(request)
        body = await read_body(
            operation, request, longest=context.options.longest_body_bytes, seconds=context.options.body_seconds
        )
        call = CheckedRequest(query, body, uid, key, keyed, context.now())
        pool = context.writes if operation.writes else context.reads
        try:
            reply = await self._warm(call) or await pool.run(partial(operation.handle, call))
        except TimeoutError:
            if operation.keyed:
                raise ProblemError(UNKNOWN, "It goes on; ask again with the same key to find out") from None
            raise ProblemError(TOO_SLOW) from None
        if operation.aged:
            return self._aged(request, reply, began=call.now)
        headers = {"Cache-Control": "no-store"}
        if operation.keyed:
            headers[KEY_HEADER] = key
        return Response(reply.body, operation.status, headers=headers, media_type=JSON)

    async def _warm(self, call: CheckedRequest) -> JsonReply | None:
        """The answer where it is at hand. What has to be written anew is written in a thread."""
        warm, way = self._context.warm, self._operation.warm
        wanted = None if warm is None or way is None else way.wanted(call)
        if warm is None or way is None or wanted is None:
            return None
        found = await warm.ask(wanted)
        return None if found is None else way.at_hand(call, found)

    def _aged(self, request: Request, reply: JsonReply, *, began: datetime) -> Response:
        """Free times: with their age, and nothing but that to a caller who has them already."""
        now = self._context.now()
        age = 0 if reply.as_of is None else max(0, int((now - reply.as_of).total_seconds()))
        live = reply.as_of is None or reply.as_of >= began
        self._context.measures.count_freshness(
            self._operation.name, "stale" if reply.stale else "live" if live else "cached"
        )
        fresh = self._context.options.fresh_seconds
        # An answer is fresh as long as its age is below max-age (RFC 9111).
        kept = b"private, max-age=%d" % (age + fresh) if fresh and not reply.stale else b"private, no-cache"
        headers = [(b"etag", b'W/"%b"' % reply.tag.encode()), (b"cache-control", kept), (b"age", b"%d" % age), _VARY]
        if reply.stale:
            headers.append(_STALE)
        if _names(request.headers.get("if-none-match", ""), reply.tag):
            return _RawResponse(304, headers, b"")
        headers += ((b"content-length", b"%d" % len(reply.body)), _JSON)
        return _RawResponse(self._operation.status, headers, reply.body)


class _RawResponse(Response):
    """One whose head is written already: making it of a mapping takes longer than a look at the cache."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status_code = status
        self.raw_headers = headers
        self.body = body
        self.background = None


def _names(if_none_match: str, tag: str) -> bool:
    return bool(if_none_match) and (if_none_match.strip() == "*" or tag in _WEAK.findall(if_none_match))
