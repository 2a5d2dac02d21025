"""Free starts: `/slots`, asked with the canonical query only. Fact sheet section 5."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from calcom_pipeline.adapters.calcom import schemas
from calcom_pipeline.adapters.calcom.bookings.lists import instant
from calcom_pipeline.adapters.calcom.endpoint import Endpoints
from calcom_pipeline.domain.availability.models import SlotDay, SlotQuery


class SlotEndpoints(Endpoints):
    """Reads of slots."""

    def free_days(self, query: SlotQuery) -> list[SlotDay]:
        """Whole days of free starts; `fetched_at` is our clock before the request was sent (UTC)."""
        first, last = whole_days(query)
        params: dict[str, Any] = {
            "eventTypeId": query.event_type_id,
            "start": instant(first),
            "end": instant(last),
            "timeZone": query.zone,
        }
        if query.choose_duration:
            params["duration"] = query.duration_minutes
        answer = self._get("Reading slots", "/slots", group="slots", params=params)
        return schemas.slot_days(answer.data(), query, answer.sent_at, answer.exchange)


def whole_days(query: SlotQuery) -> tuple[datetime, datetime]:
    """First and last instant of the days asked for, in their own zone; UTC.

    The end stays a second short of midnight: an `end` at exactly 00:00:00 UTC is moved a day on (fact sheet 5.1).
    """
    zone = ZoneInfo(query.zone)
    first = datetime.combine(query.first_day, time(), zone)
    after = datetime.combine(query.last_day + timedelta(days=1), time(), zone)
    return first.astimezone(UTC), after.astimezone(UTC) - timedelta(seconds=1)
