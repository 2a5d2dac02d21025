"""The recorded account, served in this process for tests of single endpoint groups, with a client of it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.support.clients import client_of

NOW = datetime(2026, 12, 1, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def captured() -> Iterator[RunningSandbox]:
    with serve_sandbox("captures", now=NOW.isoformat(), limit=100_000, in_thread=True) as running:
        yield running


@pytest.fixture
def account(captured: RunningSandbox) -> RunningSandbox:
    """As it was recorded, whatever happened before."""
    captured.control.reset(account=True)
    return captured


@pytest.fixture
def calcom(account: RunningSandbox, redis_client: redis.Redis) -> Iterator[CalcomClient]:
    """Alice's."""
    with client_of(account.url, account.keys["alice"], redis_client) as client:
        yield client
