"""Figures in Prometheus's text format: requests, how long they took, how old answers were, the limiter's view.

With several processes each writes to files in the folder of PROMETHEUS_MULTIPROC_DIR (`serve` names one), and any of
them tells the sums of all.
"""

import os
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

disable_created_metrics()  # a second series for each, which nobody draws

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
#: Seconds: a cached answer takes 1 to 5 ms, a live one 80 to 800, a booking up to a minute.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Measures:
    """What this process has answered. Labels are names of operations and callers, never what was sent."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "calcom_http_requests",
            "Requests by operation and status.",
            ("operation", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "calcom_http_request_seconds",
            "Time until the answer was sent.",
            ("operation",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._answers = Counter(
            "calcom_http_free_time_answers",
            "Answers about free times: live, cached, or stale because Cal.com could not be asked.",
            ("operation", "freshness"),
            registry=self._registry,
        )
        self._deliveries = Counter(
            "calcom_webhook_deliveries",
            "Deliveries: stored, repeated, spooled to the local disk, lost (kept nowhere), or refused and why.",
            ("outcome",),
            registry=self._registry,
        )
        # Finding a series by its labels takes longer than counting.
        self._kept: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._kept_answers: dict[tuple[str, str], Counter] = {}

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """A request was answered."""
        kept = self._kept.get((operation, status))
        if kept is None:
            kept = self._requests.labels(operation, str(status)), self._seconds.labels(operation)
            self._kept[operation, status] = kept
        kept[0].inc()
        kept[1].observe(seconds)

    def count_freshness(self, operation: str, freshness: str) -> None:
        """Free times were told that were read just now, before, or too long ago."""
        kept = self._kept_answers.get((operation, freshness))
        if kept is None:
            kept = self._kept_answers[operation, freshness] = self._answers.labels(operation, freshness)
        kept.inc()

    def delivered(self, outcome: str) -> None:
        """A delivery of a webhook was kept, known, lost or refused."""
        self._deliveries.labels(outcome).inc()

    def text(self, limiter_wait: float | None) -> bytes:
        """All of it, with the limiter's view if that is known."""
        registry = self._registry
        if FOLDER_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        parts = [generate_latest(registry)]
        if limiter_wait is not None:
            alone = CollectorRegistry()
            alone.register(_Gauge("calcom_limiter_wait_seconds", _WAIT, lambda: limiter_wait))
            parts.append(generate_latest(alone))
        return b"".join(parts)


_WAIT = "How long a call to Cal.com made now would wait for the rate limit."


class _Gauge(Collector):
    """A figure that is read when it is asked for."""

    def __init__(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        self._name, self._documentation, self._read = name, documentation, read

    def collect(self) -> Iterable[Metric]:
        """The figure as it is now."""
        yield GaugeMetricFamily(self._name, self._documentation, value=self._read())
