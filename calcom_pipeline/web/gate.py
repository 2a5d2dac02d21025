"""What every request passes first: bounds on its head; and last: a line in the log, a count, no traceback outside."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calcom_pipeline.adapters.observability.structured_log import ROOT, event_logger
from calcom_pipeline.web.endpoint import CALLER, OPERATION, OUTCOME
from calcom_pipeline.web.measures import Measures
from calcom_pipeline.web.problems import ADDRESS_TOO_LONG, BUG, HEADERS_TOO_LARGE, Kind, problem

log = event_logger("http")
_plain = logging.getLogger(f"{ROOT}.http")
#: A page of twenty event types and all constraints fits four times.
LONGEST_ADDRESS_BYTES = 8192
_NO_OPERATION = "none"


class RequestGate:
    """Outermost of all. Neither addresses nor queries nor headers are logged: names of operations and callers are."""

    def __init__(self, app: ASGIApp, *, measures: Measures, longest_header_bytes: int) -> None:
        self._app = app
        self._measures = measures
        self._longest = longest_header_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, and tell how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        refused = self._refused(scope)
        try:
            if refused is None:
                await self._app(scope, receive, noted)
            else:
                await problem(refused)(scope, receive, noted)
        except Exception as error:  # noqa: BLE001 - the outermost frame: everything else is a bug, said in one line
            log.error("http_bug", kind=type(error).__name__, operation=scope.get(OPERATION, _NO_OPERATION))  # noqa: TRY400 - its text may hold anything
            if not status:
                await problem(BUG)(scope, receive, noted)
        finally:
            self._tell(scope, status, time.perf_counter() - began)

    def _refused(self, scope: Scope) -> Kind | None:
        address = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
        if address > LONGEST_ADDRESS_BYTES:
            return ADDRESS_TOO_LONG
        if address + sum(len(name) + len(value) for name, value in scope["headers"]) > self._longest:
            return HEADERS_TOO_LARGE
        return None

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        operation = scope.get(OPERATION, _NO_OPERATION)
        self._measures.answered(operation, status, seconds)
        if (outcome := scope.get(OUTCOME)) is not None:
            self._measures.delivered(outcome)
        if not _plain.isEnabledFor(logging.INFO):  # asked first: it is most of what a line costs that nobody reads
            return
        log.info(
            "http_answered",
            operation=operation,
            caller=scope.get(CALLER, ""),
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )
