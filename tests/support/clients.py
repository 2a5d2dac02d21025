"""Clients for tests: a real one over a sandbox, with a limiter that hardly waits and little patience."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient, ClientOptions, open_calcom
from calcom_pipeline.adapters.calcom.idempotent_create import GraceRules
from calcom_pipeline.adapters.calcom.transport.observers import Observers
from calcom_pipeline.adapters.calcom.transport.retries import RetryPatience
from calcom_pipeline.adapters.calcom.transport.session import TransportOptions
from calcom_pipeline.adapters.redis.breaker import BreakerRules, RedisBreaker
from calcom_pipeline.adapters.redis.limiter.limiter import Budget, RedisRateLimiter
from calcom_pipeline.app.calls import CallObserver, CallRecord
from calcom_pipeline.domain.errors import CalcomError

#: Hardly a limit: for tests of anything but the limiter.
ROOMY = Budget(
    limit=100_000,
    safety=2,
    reserve=2,
    window_seconds=1,
    block_seconds=0.3,
    burst=1_000,
    longest_wait_seconds=20,
    arrival_seconds=1,
    processes=8,
)
BREAKER = BreakerRules(failures=5, open_seconds=60, successes=2)
#: Real numbers divided by about 50.
QUICK = ClientOptions(
    read_timeout_seconds=1.0,
    create_timeout_seconds=1.0,
    bookings_version="2024-08-13",
    grace=GraceRules(grace_seconds=0.6, patience_seconds=1.0, first_look_seconds=0.05, longest_look_seconds=0.2),
)
HASTY = RetryPatience(deadline_seconds=10, attempts=4, first_pause_seconds=0.01)


@dataclass
class Seen:
    """An observer that remembers, and an error tracker."""

    records: list[CallRecord] = field(default_factory=list)
    reported: list[tuple[CalcomError, dict[str, Any]]] = field(default_factory=list)

    def started(self, record: CallRecord) -> None:
        self.records.append(record)

    def completed(self, record: CallRecord) -> None:
        self.records.append(record)

    def failed(self, record: CallRecord) -> None:
        self.records.append(record)

    def hook(self, error: CalcomError, context: Any) -> None:
        self.reported.append((error, dict(context)))

    def outcomes(self) -> list[str]:
        """What came of each request, in order."""
        return [record.outcome for record in self.records if record.outcome != "started"]


@contextmanager
def client_of(
    url: str,
    key: str,
    store: redis.Redis,
    *,
    options: ClientOptions = QUICK,
    patience: RetryPatience = HASTY,
    budget: Budget = ROOMY,
    breaker: BreakerRules = BREAKER,
    observers: Sequence[CallObserver] = (),
    **transport: Any,
) -> Generator[CalcomClient]:
    """An open client; further arguments are those of `TransportOptions`."""
    hook = next((observer.hook for observer in observers if isinstance(observer, Seen)), None)
    chosen = TransportOptions(
        connect_timeout_seconds=0.5,
        patience=patience,
        observers=Observers(observers, error_hook=hook),
    )
    with open_calcom(
        base_url=url,
        api_key=key,
        limiter=RedisRateLimiter(store, key_name="test", budget=budget),
        breaker=RedisBreaker(store, key_name="test", rules=breaker),
        client=options,
        transport=replace(chosen, **transport),
    ) as client:
        yield client
