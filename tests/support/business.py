"""A served account with the pipeline over it, its event types mirrored: fixtures that several modules import."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.event_types.mirror import TeamChoice, pull_event_types
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from calcom_pipeline.settings import Settings
from tests.support.given import settings_of


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    """The recorded account, for a whole module."""
    with serve_sandbox("captures") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: RunningSandbox) -> RunningSandbox:
    """The same, as it was at the beginning. Its clock is the real one, as a facade for real people has no other."""
    served.control.reset(account=True)
    return served


@pytest.fixture
def settings(sandbox: RunningSandbox, servers: Any, schema_name: str, redis_url: str) -> Settings:
    """Settings over it, which write."""
    return settings_of(sandbox, servers, schema_name, redis_url, apply="auto")


@pytest.fixture
def container(settings: Settings, database: Database, redis_client: redis.Redis) -> Iterator[Container]:
    """An open pipeline that knows the event types."""
    del database, redis_client  # made and emptied
    with ready_container(settings) as opened:
        pull_event_types(opened.calcom, opened.event_types.mirror, teams=TeamChoice(), now=utc_now)
        yield opened


@pytest.fixture
def service(container: Container) -> CalcomService:
    """Its facade."""
    return CalcomService(container)
