"""A real account, opt-in: `make live` with CALCOM_LIVE_KEY. Books and cancels for real, on an event type of its own.

The event type is hidden and deleted at the end, whatever happens; the attendee's address is at example.com, which takes
no mail. LIVE_BASE_URL names another Cal.com than the cloud's.
"""

import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.event_types.mirror import TeamChoice, pull_event_types
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.settings import CALCOM_CLOUD, Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
DAYS_AHEAD = 28
KEY = os.environ.get("LIVE_KEY", "")


@pytest.fixture
def container(
    servers: Any, schema_name: str, redis_url: str, database: Database, redis_client: redis.Redis
) -> Iterator[Container]:
    if not KEY:
        pytest.skip("CALCOM_LIVE_KEY is not set: a real account is only touched when asked for (make live)")
    settings = Settings(
        api_key=SecretStr(KEY),
        base_url=os.environ.get("LIVE_BASE_URL", CALCOM_CLOUD),
        database_url=SecretStr(servers.database_url),
        redis_url=SecretStr(redis_url),
        database_schema=schema_name,
    )
    with ready_container(settings) as opened:
        yield opened


@pytest.fixture
def own_event_type(container: Container) -> Iterator[EventType]:
    service = CalcomService(container)
    slug = f"calcom-pipeline-live-{uuid.uuid4().hex[:8]}"
    fields = {"title": "Live test of calcom-pipeline", "slug": slug, "duration_minutes": 15, "hidden": True}
    written = service.create_event_type(fields)
    assert written.ignored == ()
    yield written.event_type
    service.delete_event_type(written.event_type.id)


def test_list_slots_book_see_the_cached_days_go_cancel_clean_up(container: Container, own_event_type: EventType):
    service = CalcomService(container)
    assert own_event_type.id in {e.id for e in service.list_event_types()}
    pull_event_types(container.calcom, container.event_types.mirror, teams=TeamChoice(), now=utc_now)
    print(f"\nevent type {own_event_type.id} is made and listed")

    first = utc_now().date() + timedelta(days=1)
    span = {"first_day": first, "last_day": first + timedelta(days=DAYS_AHEAD)}
    free = service.availability(own_event_type.id, **span)
    assert free.slots, "the account's default schedule has no free time in the coming weeks"
    print(f"{len(free.slots)} free starts")

    wanted = free.slots[len(free.slots) // 2].start
    details = {"eventTypeId": own_event_type.id, "start": wanted, "name": "Live Test", "timeZone": "UTC"}
    made = service.book({**details, "email": "calcom-pipeline-live@example.com"})
    try:
        print(f"booked {made.booking.uid}, {made.cached_days_cleared} cached days went")
        assert made.booking.start == wanted
        assert made.cached_days_cleared >= 1
        assert service.get_booking(made.booking.uid).status in ("accepted", "pending")
    finally:
        cancelled = service.cancel(made.booking.uid, reason="A test; nobody was to come.")
    assert cancelled.booking.status == "cancelled"
    print("cancelled; the event type is deleted next")
