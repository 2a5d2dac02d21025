"""What Cal.com would answer to a canonical query at this moment: asked of the sandbox past its own 2 s cache."""

import http.client
import itertools
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

import orjson

from calcom_pipeline.sandbox.testing import RunningSandbox

_SPELLINGS = itertools.count(1)


def live_starts(
    sandbox: RunningSandbox, key: str, event_type_id: int, days: tuple[date, date], *, zone: str, minutes: int | None
) -> set[datetime]:
    """The starts (UTC) that may be booked in whole local days; `minutes` only for types with several lengths."""
    first = datetime.combine(days[0], time(), ZoneInfo(zone)).astimezone(UTC)
    after = datetime.combine(days[1] + timedelta(1), time(), ZoneInfo(zone)).astimezone(UTC)
    # Milliseconds that nobody else asks with, so that no answer of a moment ago is told again.
    last = after - timedelta(seconds=1, milliseconds=next(_SPELLINGS) % 900 + 1)
    query = {"eventTypeId": event_type_id, "start": _text(first), "end": _text(last), "timeZone": zone}
    if minutes is not None:
        query["duration"] = minutes
    address = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {key}", "cal-api-version": "2024-09-04"}
        connection.request("GET", f"{address.path}/slots?{urlencode(query)}", headers=headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    assert response.status == 200, body
    found = orjson.loads(body)["data"]
    return {
        datetime.fromisoformat(slot["start"]).astimezone(UTC)
        for day in found.values()
        for slot in day
        if slot.get("seatsRemaining", 1) > 0
    }


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
