"""Malformed requests, drawn from a seed: every route with wrong bodies, queries, paths, headers and bytes."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from calcom_pipeline.sandbox.app import API_ROUTES
from tests.sandbox.talking import KEYS

_VERSIONS = [
    "2024-04-15", "2024-06-11", "2024-06-14", "2024-08-13", "2024-09-04", "2026-02-25", "", "x", "2024-08-13 ",
    "\u00e9",
]  # fmt: skip
_WORDS = [
    "", " ", "0", "-1", "1e309", "9" * 400, "NaN", "null", "true", "{}", "[]", "\x00", "\ud800", "\u202e", "é" * 50,
    "../..", "%00", "2026-02-30", "2026-11-23T25:00:00Z", "9999-12-31T23:59:59Z", "+275760-09-13T00:00:00Z",
    "0000-01-01", "-0001-01-01", "2026-11-23T08:00:00+99:99", "Europe/Berlin", "Etc/GMT+14", "Factory", "a@b",
    "alice", "support", "x" * 3_000, "cal_", "1,2,,3", "asc", "upcoming", "range", "'; DROP TABLE", "<script>",
    "{{7*7}}", "\r\n", "1" * 20,
]  # fmt: skip
_NUMBERS = [
    0, -1, 1, 2, 7, 1.5, -0.0, 1e308, 2**31, 2**53, 2**63, 10**40, 100_000,
]  # fmt: skip
_NAMES = """
    start end eventTypeId eventTypeSlug username teamSlug organizationSlug usernames attendee name email
    timeZone language phoneNumber guests metadata location type bookingFieldsResponses instant recurrenceCount
    lengthInMinutes seatUid cancellationReason cancelSubsequentBookings rescheduledBy host attendees absent
    reason slotStart slotDuration reservationDuration title slug locations hosts bookingFields
    bookingLimitsCount bookingLimitsDuration bookingWindow confirmationPolicy recurrence seats schedulingType
    assignAllTeamMembers lengthInMinutesOptions slotInterval scheduleId color active triggers subscriberUrl
    payloadTemplate take skip status sortStart sortUpdatedAt afterUpdatedAt beforeEnd teamIds teamsIds
    eventTypeIds userIds filters[status] limit cursor startTime endTime duration format rrHostSubsetIds
    bookingUidToReschedule value rolling noticeThreshold __proto__ constructor a[b][c] [] sortCreatedAt
    hostsLimit orgId eventSlug routing meetingUrl disabled customName calVideoSettings bookerLayouts
    disableRescheduling minutesBefore offsetStart minimumBookingNotice
""".split()  # noqa: SIM905 - a word list reads best as words
_RAW = [
    b"", b"{", b"}", b"null", b"[[[[", b'"', b'{"a":', b"\xff\xfe\x00", b"[" * 5_000, b'{"a":1}garbage',
    b"\x1f\x8b\x08", b"NaN", b"-", b"1e999",
]  # fmt: skip
_IDS = [
    "1", "2", "6", "7", "8", "9", "10", "101", "201", "301", "0", "-1", "999999", "abc", "1.5", "1e3", "٣", "%20",
    "%FF", "%", "a%2Fb", "x" * 500,
]  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """One request as it is put on the wire."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path[:200]} {self.headers} {(self.body or b'')[:300]!r}"


class Fuzzer:
    """Draws attempts. `uids` are bookings that exist, so that requests get past the first check."""

    def __init__(self, seed: int, uids: list[str]) -> None:
        self._random = random.Random(seed)
        self._ids = [*_IDS, *uids]

    def attempts(self, count: int) -> Iterator[Attempt]:
        for _ in range(count):
            yield self._attempt()

    def _attempt(self) -> Attempt:
        draw = self._random
        route = draw.choice(API_ROUTES)
        parts = [draw.choice(self._ids) if part.startswith("{") else part for part in route.pattern.split("/")]
        path = "/".join(parts)
        if draw.random() < 0.05:
            path += draw.choice(["/", "//", "/x", "?", "/..", "%", "/\u00fc"])
        if draw.random() < 0.5:
            path += "?" + "&".join(self._pair() for _ in range(draw.randrange(1, 6)))
        version = draw.choice(sorted(route.versions)) if draw.random() < 0.85 else draw.choice(_VERSIONS)
        method = (
            route.method
            if draw.random() < 0.95
            else draw.choice(["PUT", "HEAD", "OPTIONS", "TRACE", "PATCH", "POST", "GET"])
        )
        headers = {"cal-api-version": version, **self._credentials(), **self._odd_headers()}
        body = None if method in {"GET", "HEAD"} and draw.random() < 0.8 else self._body()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return Attempt(method, _on_the_wire(path), {name: _latin(value) for name, value in headers.items()}, body)

    def _pair(self) -> str:
        value = str(self._value(depth=0)) if self._random.random() < 0.5 else self._random.choice(_WORDS)
        return f"{self._random.choice(_NAMES)}={value[:2_000]}"

    def _credentials(self) -> dict[str, str]:
        drawn = self._random.random()
        if drawn < 0.8:
            return {"Authorization": f"Bearer {KEYS['alice']}"}
        if drawn < 0.9:
            return {}
        odd = [
            "",
            "Bearer",
            "Bearer ",
            "Bearer cal_",
            "Basic eDp5",
            "Bearer \u00e9\u00e9",
            f"bearer {KEYS['alice']}",
            "Bearer " + "x" * 2_000,
        ]
        return {"Authorization": self._random.choice(odd)}

    def _odd_headers(self) -> dict[str, str]:
        if self._random.random() < 0.8:
            return {}
        odd = {
            "Content-Type": [
                "text/plain",
                "application/x-www-form-urlencoded",
                "application/json; charset=utf-16",
                "x",
                "",
            ],
            "Content-Encoding": ["gzip", "deflate", "br", "identity", "x"],
            "If-None-Match": ["*", '"', 'W/"1-x"', "x" * 500],
            "x-cal-client-id": ["", "x", "\u00e9"],
            "Accept": ["x"],
        }
        name = self._random.choice(list(odd))
        return {name: self._random.choice(odd[name])}

    def _body(self) -> bytes:
        drawn = self._random.random()
        if drawn < 0.15:
            return self._random.choice(_RAW)
        value = self._plausible() if drawn < 0.6 else self._value(depth=0)
        return json.dumps(value).encode()

    def _plausible(self) -> dict[str, Any]:
        """A body that is right but for some members, so that the handlers see it."""
        draw = self._random
        attendee = {"name": "Fuzz", "email": "fuzz@example.org", "timeZone": "Europe/Berlin"}
        body = draw.choice([
            {"start": "2026-11-23T08:00:00Z", "eventTypeId": draw.choice([1, 2, 4, 5, 6, 7, 8]), "attendee": attendee},
            {"lengthInMinutes": 30, "title": "F", "slug": f"f-{draw.randrange(10**9)}"},
            {"active": True, "subscriberUrl": "http://127.0.0.1:1/x", "triggers": ["FORM_SUBMITTED"]},
            {"eventTypeId": 2, "slotStart": "2026-11-23T08:00:00Z"},
            {"guests": [{"email": "g@example.org"}], "cancellationReason": "x", "start": "2026-11-24T09:00:00Z"},
            {"lengthInMinutes": 30, "title": "F", "slug": f"f-{draw.randrange(10**9)}",
             "schedulingType": "roundRobin", "hosts": [{"userId": 101}]},
        ])  # fmt: skip
        for _ in range(draw.randrange(4)):
            body[draw.choice(_NAMES)] = self._value(depth=0)
        return body

    def value(self) -> Any:
        """Any JSON value."""
        return self._value(depth=0)

    def _value(self, depth: int) -> Any:
        draw = self._random
        kind = draw.randrange(8 if depth < 4 else 5)
        if kind < 2:
            return draw.choice(_WORDS)
        if kind < 4:
            return draw.choice(_NUMBERS)
        if kind == 4:
            return draw.choice([None, True, False])
        if kind == 5:
            return [self._value(depth + 1) for _ in range(draw.randrange(4))]
        return {draw.choice(_NAMES): self._value(depth + 1) for _ in range(draw.randrange(4))}


def _on_the_wire(path: str) -> str:
    """The path with what cannot stand in a request line percent-encoded, as a client library would."""
    raw = path.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}" for byte in raw)


def _latin(value: str) -> str:
    return value.encode("utf-8", "surrogatepass").decode("latin-1").replace("\r", "").replace("\n", "")
