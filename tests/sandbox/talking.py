"""A client that says what it wants in one line, and looks at every answer twice: the test does, and the schema."""

import http.client
import json
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from calcom_pipeline.sandbox.testing import Control, RunningSandbox
from tests.sandbox import openapi

BOOKINGS, NEW_BOOKINGS, EVENT_TYPES, SLOTS = "2024-08-13", "2026-02-25", "2024-06-14", "2024-09-04"
SCHEDULES = "2024-06-14"
KEYS = {
    "alice": "cal_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01",
    "bob": "cal_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb02",
    "slow": "cal_cccccccccccccccccccccccccccccc03",
    "expired": "cal_dddddddddddddddddddddddddddddd04",
}
_MODERN = (
    ("/v2/bookings", BOOKINGS),
    ("/v2/event-types", EVENT_TYPES),
    ("/v2/slots", SLOTS),
    ("/v2/schedules", SCHEDULES),
)


@dataclass(frozen=True)
class Reply:
    """One answer; `data` and `message` are what most tests look at."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def data(self) -> Any:
        assert self.status < 300, self.raw[:500]
        return self.body["data"]

    @property
    def message(self) -> str:
        body = self.body
        return body["error"]["message"] if "error" in body else body["message"]

    @property
    def is_bare(self) -> bool:
        return set(self.body) == {"statusCode", "message"}


@dataclass
class Talker:
    """Speaks to one sandbox as the holder of a key, in the version that a path's group answers to."""

    sandbox: RunningSandbox
    key: str = "alice"
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        address = urlsplit(self.sandbox.url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        self.is_validating = openapi.DOCUMENT.exists()

    @property
    def control(self) -> Control:
        return self.sandbox.control

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "",
        version: str | None = "",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Reply:
        """One request. `key` None sends none, `version` None no header; bytes are sent as they are."""
        path = path if path.startswith(("/v2", "/api", "/health")) else f"/v2{path}"
        path += f"?{urlencode(query)}" if query else ""
        sent = self._headers(path, self.key if key == "" else key, version) | (headers or {})
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if payload is not None:
            sent.setdefault("Content-Type", "application/json")
        self._connection.request(method, path, body=payload, headers=sent)
        response = self._connection.getresponse()
        reply = Reply(response.status, dict(response.getheaders()), response.read())
        if self.is_validating and version == "" and reply.status < 300:
            self.complaints += openapi.complaints(method, path, reply.status, reply.body)
        return reply

    @staticmethod
    def _headers(path: str, key: str | None, version: str | None) -> dict[str, str]:
        found = {} if key is None else {"Authorization": f"Bearer {KEYS.get(key, key)}"}
        usual = next((usual for prefix, usual in _MODERN if path.startswith(prefix)), None)
        chosen = usual if version == "" else version
        return found if chosen is None else found | {"cal-api-version": chosen}

    def get(self, path: str, **options: Any) -> Reply:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.ask("POST", path, {} if body is None else body, **options)

    def patch(self, path: str, body: Any, **options: Any) -> Reply:
        return self.ask("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Reply:
        return self.ask("DELETE", path, **options)

    # -- what most tests do

    def book(self, event_type_id: int, start: str, name: str = "Carol", **more: Any) -> Reply:
        attendee = {"name": name, "email": f"{name.lower()}@example.org", "timeZone": "Europe/Berlin"}
        attendee |= more.pop("attendee", {})
        options = {option: more.pop(option) for option in ("key", "version") if option in more}
        return self.post(
            "/bookings", {"start": start, "eventTypeId": event_type_id, "attendee": attendee, **more}, **options
        )

    def booked(self, event_type_id: int, start: str, name: str = "Carol", **more: Any) -> Any:
        reply = self.book(event_type_id, start, name, **more)
        assert reply.status == 201, reply.raw[:500]
        return reply.data

    def create_type(self, **body: Any) -> Any:
        reply = self.post("/event-types", {"lengthInMinutes": 30, "title": "T", "slug": "t", **body})
        assert reply.status == 201, reply.raw[:500]
        return reply.data

    def slots(self, event_type_id: int, day: str, end: str | None = None, **query: Any) -> dict[str, list[str]]:
        """Starts by day; `start` and `end` are dates or instants."""
        asked = {"eventTypeId": event_type_id, "start": day, "end": end or day} | query
        found = self.get("/slots", key=None, **asked).data
        return {day: [slot["start"] for slot in slots] for day, slots in found.items()}

    def starts(self, event_type_id: int, day: str, **query: Any) -> list[str]:
        """The starts of one day in UTC, as `HH:MM`."""
        self.control.reset()  # forgets the answers of the last two seconds
        return [start[11:16] for start in self.slots(event_type_id, day, **query).get(day, [])]

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
