"""Spans and metrics of OpenTelemetry, if its API is installed; without it nothing is imported and nothing is done.

One client span per request, named after its operation, with the semantic attributes of HTTP clients; a histogram of
durations, one of waits for the limiter, and a counter of refusals (429). Where they go is the host application's SDK's
business.
"""

import importlib
from typing import Any

from calcom_pipeline.app.calls import CallObserver, CallRecord

_SCOPE = "calcom_pipeline"
_NANOSECONDS = 1_000_000_000
_TOO_MANY = 429


def telemetry() -> list[CallObserver]:
    """The observer, or none when OpenTelemetry's API is not installed."""
    try:
        return [TelemetryCalls()]
    except ModuleNotFoundError:  # `opentelemetry` alone proves nothing: other distributions share the name
        return []


class TelemetryCalls:
    """Tells OpenTelemetry of every request."""

    def __init__(self) -> None:
        self._trace: Any = importlib.import_module("opentelemetry.trace")
        meter: Any = importlib.import_module("opentelemetry.metrics").get_meter(_SCOPE)
        self._tracer: Any = self._trace.get_tracer(_SCOPE)
        self._durations: Any = meter.create_histogram("calcom.request.duration", unit="s")
        self._waits: Any = meter.create_histogram("calcom.limiter.wait", unit="s")
        self._refusals: Any = meter.create_counter("calcom.requests.refused")

    def started(self, record: CallRecord) -> None:
        """Nothing yet: a span is made in one go when its end is known."""

    def completed(self, record: CallRecord) -> None:
        """A span without an error."""
        self._record(record, error=None)

    def failed(self, record: CallRecord) -> None:
        """A span that names the error."""
        self._record(record, error=record.outcome)

    def _record(self, record: CallRecord, *, error: str | None) -> None:
        attributes = {
            "http.request.method": record.method,
            "calcom.endpoint_group": record.endpoint_group,
            "calcom.lane": record.lane,
            "calcom.attempt": record.attempt,
        }
        if record.status is not None:
            attributes["http.response.status_code"] = record.status
        if error is not None:
            attributes["error.type"] = error
        self._waits.record(record.waited_seconds, {"calcom.lane": record.lane})
        self._durations.record(record.duration_seconds, attributes)
        if record.status == _TOO_MANY:
            self._refusals.add(1, {"calcom.endpoint_group": record.endpoint_group})
        began = round(record.started_at.timestamp() * _NANOSECONDS)
        whole = round((record.waited_seconds + record.duration_seconds) * _NANOSECONDS)
        kind = self._trace.SpanKind.CLIENT
        span = self._tracer.start_span(record.operation, kind=kind, attributes=attributes, start_time=began)
        if error is not None:
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, error))
        span.end(end_time=began + whole)
