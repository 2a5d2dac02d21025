"""The ASGI application: the parts that are on and that the service behind it answers, and what stands around them.

A further part is a class with `operations()` and a line in `operations_of`; what is no JSON API is a route in `extra`.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.web import measures
from calcom_pipeline.web.bookings import BookingsPart
from calcom_pipeline.web.callers import Callers
from calcom_pipeline.web.endpoint import JSON, OPERATION, Endpoint, EndpointContext
from calcom_pipeline.web.gate import RequestGate
from calcom_pipeline.web.holds import HoldsPart
from calcom_pipeline.web.openapi import document
from calcom_pipeline.web.operations import Operation
from calcom_pipeline.web.options import WebOptions
from calcom_pipeline.web.pool import Pool
from calcom_pipeline.web.ports import (
    Books,
    CountsRequests,
    FindsTimes,
    HoldsStarts,
    ReadsTimes,
    TellsAll,
    TellsWaiting,
    TellsWarmTimes,
)
from calcom_pipeline.web.problems import KEY_HEADER, MALFORMED, NO_METHOD, NO_ROUTE, ProblemError, problem, problem_of
from calcom_pipeline.web.report.routes import ReportPages
from calcom_pipeline.web.times import FindingPart, SlotsPart
from calcom_pipeline.web.warm import WarmAnswers

_ASKED_WITH = ("Authorization", "Content-Type", KEY_HEADER, "If-None-Match", "cal-api-version")
_TOLD_WITH = ("ETag", "Age", "Calcom-Stale", "Retry-After", KEY_HEADER)
_PREFLIGHT_SECONDS = 600


def build_app(
    service: object,
    options: WebOptions | None = None,
    *,
    now: Callable[[], datetime] = utc_now,
    extra: Sequence[BaseRoute] = (),
    on_stop: Callable[[], None] = lambda: None,
) -> Starlette:
    """The application. `service` answers some of `ports.py`; it is not opened or closed here.

    `extra` are routes beside the API. `on_stop` is called once nothing is asked of the service any more.
    """
    options = options or WebOptions()
    context = EndpointContext(
        options,
        Callers(options.tokens, per_minute=options.requests_per_minute, share=options.share_per_minute),
        Pool("read", threads=options.threads, seconds=options.read_seconds),
        Pool("write", threads=options.write_threads, seconds=options.write_seconds),
        measures.Measures(),
        now,
    )
    operations = operations_of(service, options)
    # In the order in which they are asked for: each is tried in turn. An endpoint is an ASGI application of its own.
    routes: list[BaseRoute] = [Route(each.path, Endpoint(context, each), methods=[each.method]) for each in operations]
    routes += [Route("/health", _health), Route("/openapi.json", _document(operations))]
    if "metrics" not in options.off:
        routes.append(Route("/metrics", _metrics(context, service)))
    if "report" not in options.off and isinstance(service, TellsAll):
        routes += ReportPages(context, service.report).routes()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            if isinstance(service, TellsWarmTimes):
                warm = await stack.enter_async_context(service.warm_times())
                context.warm = WarmAnswers(warm.availability)
            if isinstance(service, CountsRequests):
                context.callers.budget = await stack.enter_async_context(service.request_budget())
            yield
            context.warm = context.callers.budget = None
        context.reads.close(seconds=options.stop_seconds)
        context.writes.close(seconds=options.stop_seconds)
        on_stop()

    return Starlette(
        routes=[*routes, *extra],
        middleware=_around(context),
        exception_handlers={HTTPException: _no_such_thing},
        lifespan=lifespan,
    )


def operations_of(service: object, options: WebOptions) -> list[Operation]:
    """The operations of every part that is on and that the service answers."""
    offered: list[tuple[str, Callable[[], list[Operation]]]] = []
    if isinstance(service, ReadsTimes):
        offered.append(("slots", SlotsPart(service).operations))
    if isinstance(service, FindsTimes):
        offered.append(("finding", FindingPart(service).operations))
    if isinstance(service, HoldsStarts):
        offered.append(("holds", HoldsPart(service).operations))
    if isinstance(service, Books):
        offered.append(("bookings", BookingsPart(service).operations))
    return [operation for name, operations in offered if name not in options.off for operation in operations()]


def _around(context: EndpointContext) -> list[Middleware]:
    options = context.options
    around = [Middleware(RequestGate, measures=context.measures, longest_header_bytes=options.longest_header_bytes)]
    if options.origins:
        around.append(
            Middleware(
                CORSMiddleware,
                allow_origins=options.origins,
                allow_methods=("GET", "POST", "DELETE"),
                allow_headers=_ASKED_WITH,
                expose_headers=_TOLD_WITH,
                max_age=_PREFLIGHT_SECONDS,
            )
        )
    return around


async def _health(request: Request) -> Response:
    """This process answers. Asks nobody: what else is well, `doctor` tells."""
    request.scope[OPERATION] = "health"
    return Response(b'{"status":"ok"}', headers={"Cache-Control": "no-store"}, media_type=JSON)


def _document(operations: Sequence[Operation]) -> Callable[[Request], object]:
    content = orjson.dumps(document(operations))

    async def answer(request: Request) -> Response:
        request.scope[OPERATION] = "openapi"
        return Response(content, headers={"Cache-Control": "no-cache"}, media_type=JSON)

    return answer


def _metrics(context: EndpointContext, service: object) -> Callable[[Request], object]:
    def text() -> bytes:
        return context.measures.text(_limiter_wait(service))

    async def answer(request: Request) -> Response:
        try:
            await context.admit(request, "metrics")
            content = await context.reads.run(text)
        except ProblemError as error:
            refusal = problem_of(error)
            assert refusal is not None
            return refusal
        return Response(content, headers={"Cache-Control": "no-store"}, media_type=measures.MEDIA_TYPE)

    return answer


def _limiter_wait(service: object) -> float | None:
    """What the limiter says; nothing while it cannot be asked: the other figures are told all the same."""
    if not isinstance(service, TellsWaiting):
        return None
    try:
        return service.seconds_until_available()
    except PipelineError:
        return None


async def _no_such_thing(_request: Request, error: Exception) -> Response:
    """What Starlette refuses by itself."""
    status = error.status_code if isinstance(error, HTTPException) else NO_ROUTE.status
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if "Allow" in headers:
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    kind = next((kind for kind in (NO_ROUTE, NO_METHOD) if kind.status == status), MALFORMED)
    return problem(kind, headers=headers)
