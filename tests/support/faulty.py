"""A client of a sandbox that a test lets fail, and what it was seen to do."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.domain.bookings.requests import BookingRequest, BookingRules, booking_request
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.support.clients import Seen, client_of

NOW = datetime(2026, 12, 1, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    with serve_sandbox("captures", now=NOW.isoformat().replace("+00:00", "Z")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: RunningSandbox) -> RunningSandbox:
    served.control.reset(account=True)
    # As roomy as Cal.com's key, but with a window that a test can sit out after a 429.
    limits = [{"hits": 100_000, "window_seconds": 1, "block_seconds": 1}]
    served.control.mutate("set_key", name="alice", limits=limits)
    return served


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def calcom(sandbox: RunningSandbox, redis_client: redis.Redis, seen: Seen) -> Iterator[CalcomClient]:
    with client_of(sandbox.url, sandbox.keys["alice"], redis_client, observers=[seen]) as client:
        yield client


def request(event_type_id: int = 2, **changes: Any) -> BookingRequest:
    details = {"eventTypeId": event_type_id, "start": "2026-12-02T10:00:00Z", "name": "Carol Client"}
    details |= {"email": "carol@example.org", "timeZone": "Europe/Berlin", **changes}
    return booking_request(details, BookingRules(now=NOW))
