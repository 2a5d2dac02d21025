"""Part `report`: the page `/`, for whoever has a token; browsers sign in with it once and get a cookie.

The cookie is HttpOnly and SameSite=Strict, so that no other page sends or reads it, and no token is in an address.
"""

import asyncio
import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import parse_qs, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from calcom_pipeline.app.reports.models import AccountReport
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.web.callers import ANYBODY
from calcom_pipeline.web.endpoint import CALLER, OPERATION, EndpointContext
from calcom_pipeline.web.problems import NO_TOKEN, TOO_LARGE, TOO_MANY, ProblemError, kind_of, problem_of
from calcom_pipeline.web.report.page import PageOptions, policy, report_page, sign_in_page, trouble_page
from calcom_pipeline.web.report.sessions import Sessions

COOKIE = "calcom_session"
_LONGEST_FORM_BYTES = 4096
_SECONDS_OF_FORM = 10.0
#: Level of compression: a tenth of the size; higher ones take twice the time for a hundredth more.
_LEVEL = 4
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": policy(),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Vary": "Cookie, Authorization, Accept-Encoding",
}


class ReportPages:
    """`/`, `/sign-in`, `/sign-out`."""

    def __init__(self, context: EndpointContext, report: Callable[[], AccountReport]) -> None:
        options = context.options
        self._context = context
        self._fresh = _FreshPages(report, context)
        self._sessions = Sessions(
            options.tokens, seconds=options.session_seconds, clock=lambda: context.now().timestamp()
        )

    def routes(self) -> list[Route]:
        """What this part answers."""
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/sign-in", self._form, methods=["GET"]),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        request.scope[OPERATION] = "report"
        try:
            name, signed_in = await self._caller(request)
        except ProblemError as error:
            return _refusal(request, error)
        request.scope[CALLER] = name
        try:
            page = await self._fresh.page(signed_in=signed_in)
        except PipelineError as error:
            return _html(trouble_page(f"{error}. {error.advice}"), kind_of(error).status)
        except ProblemError as error:
            return _html(trouble_page(error.detail or error.kind.title), error.kind.status)
        except TimeoutError:
            return _html(trouble_page("It took too long. Try again in a moment."), 504)
        return _packed(page, request)

    async def _form(self, request: Request) -> Response:
        request.scope[OPERATION] = "report"
        if not self._context.callers.are_named:
            return RedirectResponse("/", 303)
        return _html(sign_in_page())

    async def _sign_in(self, request: Request) -> Response:
        request.scope[OPERATION] = "report"
        if not _is_from_here(request):
            return _html(sign_in_page(refused="The form was sent by another page."), 403)
        try:
            token = await _token_of(request)
        except ProblemError as error:
            return _html(sign_in_page(refused=error.kind.title), error.kind.status)
        name = self._context.callers.holder_of(token)
        if not name:
            return _html(sign_in_page(refused="This is no token of the HTTP API."), 401)
        answer = RedirectResponse("/", 303, headers={"Cache-Control": "no-store"})
        answer.set_cookie(
            COOKIE,
            self._sessions.begin(name),
            max_age=int(self._sessions.seconds),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def _sign_out(self, request: Request) -> Response:
        request.scope[OPERATION] = "report"
        answer = RedirectResponse("/sign-in", 303, headers={"Cache-Control": "no-store"})
        if _is_from_here(request):
            answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer

    async def _caller(self, request: Request) -> tuple[str, bool]:
        """Who asks, and whether by a session. Raises ProblemError."""
        callers = self._context.callers
        if _has_bearer(request) or not callers.are_named:
            return await callers.admit(request.headers.get("authorization")), False
        name = self._sessions.holder_of(request.cookies.get(COOKIE, ""))
        if not name:
            raise ProblemError(NO_TOKEN)
        return await callers.spend(name), name != ANYBODY


class _FreshPages:
    """The report as pages, made once for all who look within some seconds. Used from one event loop."""

    def __init__(self, report: Callable[[], AccountReport], context: EndpointContext) -> None:
        self._read = report
        self._context = context
        self._lock = asyncio.Lock()  # who waits for it holds no thread
        self._report: AccountReport | None = None
        self._pages: dict[bool, _Page] = {}
        self._until = 0.0

    async def page(self, *, signed_in: bool) -> "_Page":
        """The page. Whoever comes while it is made waits for it.

        Raises:
            PipelineError: the report cannot be made.
            ProblemError, TimeoutError: no thread was free in time, or it took too long.
        """
        async with self._lock:
            if time.monotonic() >= self._until or self._report is None:
                self._pages, self._report = {}, await self._context.reads.run(self._read)
                self._until = time.monotonic() + self._context.options.report_fresh_seconds
            if signed_in not in self._pages:
                options = replace(self._context.options.page, signed_in=signed_in)
                self._pages[signed_in] = await self._context.reads.run(partial(_made, self._report, options))
            return self._pages[signed_in]


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as it is, and compressed."""

    plain: bytes
    packed: bytes


def _made(report: AccountReport, options: PageOptions) -> _Page:
    plain = report_page(report, options).encode()
    return _Page(plain, gzip.compress(plain, _LEVEL, mtime=0))


def _packed(page: _Page, request: Request) -> Response:
    if "gzip" in request.headers.get("accept-encoding", ""):
        return HTMLResponse(page.packed, headers={**_HEADERS, "Content-Encoding": "gzip"})
    return HTMLResponse(page.plain, headers=_HEADERS)


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, headers=_HEADERS)


def _refusal(request: Request, error: ProblemError) -> Response:
    """A browser is shown the form; a program is told as everywhere."""
    browses = "text/html" in request.headers.get("accept", "") and not _has_bearer(request)
    if browses and error.kind is NO_TOKEN:
        return RedirectResponse("/sign-in", 303, headers={"Cache-Control": "no-store"})
    if browses and error.kind is TOO_MANY:
        return _html(trouble_page("Too many requests; try again in a moment."), TOO_MANY.status)
    refusal = problem_of(error)
    assert refusal is not None
    return refusal


def _has_bearer(request: Request) -> bool:
    """Whether it names a token of ours; a proxy's Basic authentication, which browsers send on, does not."""
    return request.headers.get("authorization", "")[:7].lower() == "bearer "


def _is_from_here(request: Request) -> bool:
    """Whether a form was sent by a page of ours: browsers say where it comes from."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _token_of(request: Request) -> str:
    """The one field of the form. Raises ProblemError."""
    content = b""
    try:
        async with asyncio.timeout(_SECONDS_OF_FORM):
            async for part in request.stream():
                content += part
                if len(content) > _LONGEST_FORM_BYTES:
                    raise ProblemError(TOO_LARGE)
    except (TimeoutError, ClientDisconnect):
        return ""
    try:
        fields = parse_qs(content.decode("ascii", errors="replace"), max_num_fields=5)
    except ValueError:
        return ""
    return fields.get("token", [""])[0]
