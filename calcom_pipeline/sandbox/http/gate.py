"""The ASGI application: the order in which Cal.com looks at a request, from CORS to the ETag.

Body parser, router, throttler, guards, handler: what fails early is answered without the headers of what comes
later (fact sheet 1.3, recordings `07q`, `07r`, `08-version-*-404`).
"""

import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import orjson

from calcom_pipeline.sandbox.core.errors import ApiError, Bare, internal_error, not_found, too_many_requests
from calcom_pipeline.sandbox.core.times import SECOND_MS, http_date
from calcom_pipeline.sandbox.http import failing
from calcom_pipeline.sandbox.http.answers import Headers, SandboxAnswer, finish
from calcom_pipeline.sandbox.http.auth import guard, limits_for, read_credentials
from calcom_pipeline.sandbox.http.bodies import BODY_LIMIT_BYTES, read_body, read_query
from calcom_pipeline.sandbox.http.call import Route, SandboxCall
from calcom_pipeline.sandbox.http.limiter import ENDPOINT_LIMIT, Limit, LimiterVerdict, headers_of, is_refused
from calcom_pipeline.sandbox.http.routing import Router
from calcom_pipeline.sandbox.http.versions import resolve
from calcom_pipeline.sandbox.runtime import Sandbox

if TYPE_CHECKING:
    from calcom_pipeline.sandbox.control.counters import Came
    from calcom_pipeline.sandbox.control.faults import Fault

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_log = logging.getLogger(__name__)
_UNROUTED = "(no route)"
_READING = frozenset({"GET", "HEAD"})


class Gate:
    """Answers the API's requests for one sandbox."""

    def __init__(self, sandbox: Sandbox, router: Router) -> None:
        self._sandbox = sandbox
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request of the ASGI server."""
        call = _open(self._sandbox, scope)
        if call.method == "OPTIONS":
            preflight = _preflight()
            preflight.headers += _usual_headers(call)
            await _send(send, preflight)
            return
        outcome = _GateOutcome()
        try:
            answer = await self._answer(call, scope, receive, outcome)
        except ApiError as error:
            answer = _render(error, call)
        except failing.AnswerReplaced as instead:
            answer = instead.answer
        except failing.Dropped:
            return
        except Exception:  # noqa: BLE001 - answered as Cal.com answers the unforeseen; logged, and counted for the tests
            _log.exception("The sandbox failed at %s %s", call.method, call.path)
            self._sandbox.counters.crashes += 1
            answer = _render(internal_error(), call)
        self._sandbox.writes += call.method not in _READING
        answer.headers[:0] = outcome.headers
        answer = finish(answer, method=call.method, if_none_match=call.headers.get("if-none-match"))
        self._sandbox.counters.record(outcome.endpoint, call.who, answer.status, call.now, came=outcome.came)
        answer.headers += _usual_headers(call)
        try:
            answer = await failing.after(outcome.faults, answer, call, scope)
        except failing.Dropped:
            return
        await _send(send, answer)

    async def _answer(
        self, call: SandboxCall, scope: Scope, receive: Receive, outcome: "_GateOutcome"
    ) -> SandboxAnswer:
        raw = await _read(receive)
        call.body = read_body(raw, call.headers.get("content-type", ""), call.headers.get("content-encoding", ""))
        found = self._router.find(call.method, call.path, call.version)
        if found is None:
            raise not_found(f"Cannot {call.method} {call.url}")
        route, call.params = found
        outcome.endpoint = call.endpoint = route.name
        credentials = read_credentials(call)
        call.who = credentials.who
        if self._sandbox.faults:
            outcome.faults = self._sandbox.faults.for_request(route.name, call.who)
            self._storm(call, outcome)
            await failing.before(outcome.faults, call, scope)
        self._throttle(call, route, outcome)
        call.user = guard(call, route.guard, credentials)
        return await route.handler(call)

    def _storm(self, call: SandboxCall, outcome: "_GateOutcome") -> None:
        """Gives a refusal that a fault is about to make the headers of a real one; its seconds are the block's."""
        fault = next((one for one in outcome.faults if one.kind == "rate_limited"), None)
        if fault is None:
            return
        limits = limits_for(call.world, read_credentials(call), self._sandbox.key_limit)
        outcome.came = "stormed"
        outcome.headers = headers_of(
            LimiterVerdict(one.name, one.hits, 0, math.ceil(fault.seconds) or one.block_ms // SECOND_MS, blocked=True)
            for one in limits
        )

    def _throttle(self, call: SandboxCall, route: Route, outcome: "_GateOutcome") -> None:
        credentials = read_credentials(call)
        limits = limits_for(call.world, credentials, self._sandbox.key_limit)
        who = call.who
        if route.limit_name is not None:
            limits, who = [Limit(route.limit_name, ENDPOINT_LIMIT)], f"{who}:{route.limit_name}"
        verdicts = self._sandbox.limiter.hit(who, limits, call.now)
        outcome.headers = headers_of(verdicts)
        if is_refused(verdicts):
            outcome.came = "refused"
            raise too_many_requests()


class _GateOutcome:
    """What is known about a request before its answer is: headers of the limiter, its route, its faults."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []
        self.endpoint = _UNROUTED
        self.came: Came = "admitted"
        self.faults: list[Fault] = []


def _open(sandbox: Sandbox, scope: Scope) -> SandboxCall:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    raw_path = cast("bytes", scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    path = raw_path.partition("?")[0]
    if path.startswith("/api/v2"):
        path = path.removeprefix("/api")
    query = cast("bytes", scope["query_string"]).decode("latin-1")
    client = scope.get("client") or ("", 0)
    return SandboxCall(
        sandbox=sandbox,
        method=scope["method"],
        path=path,
        url=f"{path}?{query}" if query else path,
        query=read_query(query) if query else {},
        headers=headers,
        version=resolve(headers.get("cal-api-version")),
        client=client[0],
    )


async def _read(receive: Receive) -> bytes:
    """The whole body; past the limit the rest is read and thrown away, and the request refused."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise failing.Dropped
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= BODY_LIMIT_BYTES:
            chunks.append(chunk)
        if not message.get("more_body"):
            break
    if size > BODY_LIMIT_BYTES:
        raise Bare(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request entity too large")
    return b"".join(chunks)


def _render(error: ApiError, call: SandboxCall) -> SandboxAnswer:
    return SandboxAnswer(error.status, orjson.dumps(error.body(call.now, call.url)))


def _preflight() -> SandboxAnswer:
    headers = [
        ("Access-Control-Allow-Methods", "GET,PUT,PATCH,POST,DELETE,HEAD,OPTIONS"),
        ("Access-Control-Allow-Headers", "Accept,Authorization,Content-Type,Origin,cal-api-version,x-cal-client-id"),
    ]
    return SandboxAnswer(HTTPStatus.NO_CONTENT, b"", None, [*headers, ("Content-Length", "0")])


def _usual_headers(call: SandboxCall) -> Headers:
    return [
        ("Date", http_date(call.now)),
        ("X-Request-Id", call.sandbox.request_ids.uuid()),
        ("Access-Control-Allow-Origin", "*"),
    ]


async def _send(send: Send, answer: SandboxAnswer) -> None:
    encoded = [(_Name(name.encode("latin-1")), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": int(answer.status), "headers": encoded})
    await send({"type": "http.response.body", "body": answer.body})


class _Name(bytes):
    """A header's name that stays as Express spells it: uvicorn would write it in lower case."""

    __slots__ = ()

    def lower(self) -> "_Name":
        return self

    def __eq__(self, other: object) -> bool:
        return bytes.lower(self) == other

    __hash__ = bytes.__hash__
