"""The HTTP API over a service that keeps what it was told."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.web import asking
from tests.support.web_service import KeptService

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
WEEK = {"eventTypeId": 1, "start": "2026-12-01", "end": "2026-12-07"}
TOKEN, OTHER = "website-token-0001", "shop-token-00000002"
TOKENS = {"website": TOKEN, "shop": OTHER}
ORIGIN = "https://www.example.org"


def booking(hour: int = 10, **changes: Any) -> dict[str, Any]:
    attendee = {"name": "Ada", "email": "ada@example.org", "timeZone": "Europe/Berlin"}
    return {"eventTypeId": 1, "start": f"2026-12-02T{hour:02d}:00:00Z", "attendee": attendee, **changes}


@pytest.fixture
def service() -> KeptService:
    return KeptService(NOW)


def open_api(service: KeptService, **options: Any) -> Any:
    return asking(service, now=lambda: NOW, **options)
