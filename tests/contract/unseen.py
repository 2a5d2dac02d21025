"""What happened between the recordings that we have: the account was changed by exchanges that were not kept.

Each step is told by its traces in later recordings (ids that are missing, rows in lists, deliveries).
"""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.contract.replaying import RECORDED_RECEIVER, Capture, Outcome, Player

_BOOKINGS, _EVENT_TYPES = "2024-08-13", "2024-06-14"
_LINK = [{"type": "link", "link": "https://meet.example.com/alice", "public": True}]
_RACE_SECONDS = 1.0  # between a create's check and its insert: all of a race come within it, on a busy machine too
_HEAD_START_SECONDS = 0.1


def ask(
    player: Player, method: str, path: str, body: Any = None, *, version: str | None = None, key: str = "alice"
) -> Any:
    headers = {"Authorization": f"Bearer cal_<{key}>"}
    if version is not None:
        headers["cal-api-version"] = version
    if body is not None:
        headers["Content-Type"] = "application/json"
    status, _, raw = player.send("unseen", {"method": method, "path": path, "headers": headers, "body": body})
    return status, raw


def _book(player: Player, event_type_id: int, start: str, name: str) -> None:
    attendee = {"name": name, "email": f"{name.lower()}@example.org", "timeZone": "Europe/Berlin", "language": "en"}
    body = {"start": start, "eventTypeId": event_type_id, "attendee": attendee}
    ask(player, "POST", "/v2/bookings", body, version=_BOOKINGS)


def _create_type(player: Player, **body: Any) -> None:
    body = {"lengthInMinutes": 30, "locations": _LINK} | body
    status, raw = ask(player, "POST", "/v2/event-types", body, version=_EVENT_TYPES)
    assert status == 201, raw


def _same_attendee_at_once(player: Player) -> None:
    """Four creates of one attendee for one slot, at once: the booking 24 came of it, 25 to 27 are missing."""
    threads = [threading.Thread(target=_book, args=(player, 2, "2026-11-30T09:00:00Z", "Same")) for _ in range(4)]
    with player.slow_inserts(_RACE_SECONDS):
        for thread in threads:
            thread.start()
            time.sleep(_HEAD_START_SECONDS)
        for thread in threads:
            thread.join()


def _failing_and_template_receivers(player: Player) -> None:
    """A receiver that answers 500 (deliveries 24, 25), and later one with a template (28, 29)."""
    created = {"active": True, "triggers": ["BOOKING_CREATED"]}
    for path, template, start, name in (
        ("/fail", None, "2026-12-01T08:00:00Z", "Fail"),
        ("/tpl", '{"type":"{{type}}","uid":"{{uid}}","who":"{{attendees.0.email}}","t":"{{triggerEvent}}"}',
         "2026-12-01T11:00:00Z", "Tpl"),
    ):  # fmt: skip
        more = {} if template is None else {"payloadTemplate": template}
        body = created | {"subscriberUrl": RECORDED_RECEIVER + path} | more
        _, raw = ask(player, "POST", "/v2/webhooks", body)
        if name == "Tpl":  # three bookings of the recordings lie between, 29 to 31
            _book(player, 2, "2026-12-01T09:00:00Z", "Slow")
            player.freeze(datetime(2026, 11, 22, 8, 23, 9, tzinfo=UTC))
        _book(player, 2, start, name)
        ask(player, "DELETE", f"/v2/webhooks/{webhook_id(raw)}")


def webhook_id(raw: bytes) -> str:
    return json.loads(raw)["data"]["id"]


def _bob_asks(times: int) -> Callable[[Player], None]:
    def asks(player: Player) -> None:
        for _ in range(times):
            ask(player, "GET", "/v2/me", key="bob")

    return asks


def _types_22_to_25(player: Player) -> None:
    _create_type(player, title="LimitW", slug="limit-week", bookingLimitsCount={"week": 1})
    _book(player, 22, "2026-12-16T15:00:00Z", "emma")
    _create_type(player, title="Window", slug="window-3", bookingWindow={"type": "calendarDays", "value": 3})
    _create_type(player, title="Notice", slug="notice-3d", minimumBookingNotice=3 * 24 * 60)
    _create_type(player, title="Interval", slug="interval-10", slotInterval=10)


def _length_20(player: Player) -> None:
    ask(player, "PATCH", "/v2/event-types/25", {"lengthInMinutes": 20}, version=_EVENT_TYPES)


#: What to do before a recording is played.
BEFORE: dict[str, Callable[[Player], None]] = {
    "11-etag-first": _same_attendee_at_once,
    "17-slot-reserve": _failing_and_template_receivers,
    "18-ratelimit-default-first": _bob_asks(4),
    "18-ratelimit-default-first-429": _bob_asks(113),
    "25a-dst-spring-berlin": _types_22_to_25,
    "27e-patch-wrong-type": _length_20,
}


def play_race(player: Player, racing: list[Capture]) -> list[Outcome]:
    """Creates for one slot at the same time; the first in the list starts a moment before the others."""
    outcomes: dict[str, Outcome] = {}

    def play(capture: Capture) -> None:
        outcomes[capture.name] = player.play(capture)

    threads = [threading.Thread(target=play, args=(capture,)) for capture in racing]
    player.freeze(racing[0].at)
    with player.slow_inserts(_RACE_SECONDS):
        for thread in threads:
            thread.start()
            time.sleep(_HEAD_START_SECONDS if thread is threads[0] else 0)
        for thread in threads:
            thread.join()
    return [outcomes[capture.name] for capture in racing]
