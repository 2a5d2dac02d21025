"""What observers get of every request: one event when it starts, one when it has completed or failed.

An observer may be slow or broken without a call suffering: what it raises is logged and forgotten.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from calcom_pipeline.adapters.calcom.transport.messages import Attempt, Call
from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.app.calls import CallObserver, CallRecord, ErrorHook
from calcom_pipeline.domain.errors import CalcomError, Conflict, NotFound

_log = event_logger("calls")
# What a caller may expect and deals with: no business of an error tracker.
_EXPECTED = (NotFound, Conflict)
# What a caller gets anyway, and no trouble of the net or of Cal.com.
_REFUSALS = frozenset({"NotFound", "Conflict", "Rejected", "CircuitOpen"})


class LoggedCalls:
    """Every call as an event: started on debug, completed and refused on info, anything worse on warning."""

    def started(self, record: CallRecord) -> None:
        """A request is about to wait for its turn."""
        _log.debug("call_started", **_fields(record))

    def completed(self, record: CallRecord) -> None:
        """A successful answer is here."""
        _log.info("call_completed", **_fields(record))

    def failed(self, record: CallRecord) -> None:
        """No answer, or an unsuccessful one."""
        say = _log.info if record.outcome in _REFUSALS else _log.warning
        say("call_failed", **_fields(record))


class Observers:
    """All observers of a transport, and the hook for an error tracker."""

    def __init__(self, observers: Sequence[CallObserver] = (), *, error_hook: ErrorHook | None = None) -> None:
        self._observers = tuple(observers)
        self._error_hook = error_hook

    def started(self, attempt: Attempt) -> "Observation":
        """An attempt begins."""
        observation = Observation(self, attempt)
        self.notify("started", observation.record("started"))
        return observation

    def notify(self, event: str, record: CallRecord) -> None:
        """Notify every observer."""
        for observer in self._observers:
            self._safely(lambda observer=observer: getattr(observer, event)(record))

    def given_up(self, call: Call, error: CalcomError) -> None:
        """A call failed for good; expected refusals are not reported."""
        hook = self._error_hook
        if hook is not None and not isinstance(error, _EXPECTED):
            context = {
                "operation": call.operation,
                "endpoint_group": call.group,
                "lane": call.lane,
                "status": error.status,
                "request_id": error.exchange.request_id,
                "body": error.exchange.body,
            }
            self._safely(lambda: hook(error, context))

    def _safely(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever an observer does, the call goes on; its kind is logged
            _log.error("observer_failed", kind=type(error).__name__)


class Observation:
    """One attempt, timed."""

    def __init__(self, observers: Observers, attempt: Attempt) -> None:
        self._observers = observers
        self._attempt = attempt
        self._started_at = datetime.now(UTC)
        self._began = time.monotonic()

    def completed(self) -> None:
        """It succeeded."""
        self._observers.notify("completed", self.record("ok"))

    def failed(self, error: CalcomError) -> None:
        """It failed."""
        self._observers.notify("failed", self.record(type(error).__name__))

    def record(self, outcome: str) -> CallRecord:
        """What is known now."""
        attempt, call = self._attempt, self._attempt.call
        return CallRecord(
            started_at=self._started_at,
            operation=call.operation,
            endpoint_group=call.group,
            method=call.method,
            lane=call.lane,
            attempt=attempt.number,
            outcome=outcome,
            sent=attempt.sent_at is not None,
            status=attempt.status,
            request_id=attempt.request_id,
            waited_seconds=attempt.waited_seconds,
            duration_seconds=max(0.0, time.monotonic() - self._began - attempt.waited_seconds),
        )


def _fields(record: CallRecord) -> Mapping[str, object]:
    fields: dict[str, object] = {
        "operation": record.operation,
        "endpoint_group": record.endpoint_group,
        "lane": record.lane,
        "attempt": record.attempt,
    }
    if record.outcome != "started":
        fields |= {
            "outcome": record.outcome,
            "status": record.status,
            "request_id": record.request_id,
            "waited_ms": round(record.waited_seconds * 1000),
            "duration_ms": round(record.duration_seconds * 1000),
        }
    return fields
