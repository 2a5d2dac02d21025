"""Requests made up from the document: whatever is sent, no bug, no secret and nobody's address comes out or is logged.

Half of the values are what the document allows, the others anything; every answer has to fit the document.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.web import Asker, asking
from tests.support.web_service import KeptService

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
TOKEN = "fuzzing-token-0001"
#: Somebody who has booked; nothing may tell of them unless it was asked for.
SOMEBODY = {"name": "Zebedee Quill", "email": "zebedee.quill@example.net", "timeZone": "UTC"}
_NEVER = re.compile(r"zebedee|quill|fuzzing-token", re.IGNORECASE)
_METHODS = ("get", "post", "delete")
_TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", " ", "0", "-1", "1e400", "NaN", "\x00", "\ud7ff", "%00", "' OR 1=1 --", "../../etc/passwd", "null", "[]"]
    ),
    st.sampled_from(["9999-12-31", "0001-01-01T00:00:00+14:00", "2026-02-30", "2026-12-01T24:00", "2026-W49-2"]),
    st.sampled_from(["Europe/Berlin", "localtime", "posix/UTC", "Etc/GMT+12", "../UTC", "A" * 300]),
)
_STARTS = st.builds(
    lambda day, half: (NOW.replace(hour=0) + timedelta(days=day, minutes=30 * half)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    st.integers(0, 14) | st.integers(-20, 90),
    st.integers(18, 33) | st.integers(0, 47),
)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def allowed(schema: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of the document allows, and that our world has some of."""
    if "$ref" in schema:
        return allowed(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "string" and ("anyOf" in schema or schema.get("format", "").startswith("date")):
        return _STARTS.map(lambda text: text[:10]) if schema.get("format") == "date" else _STARTS
    if "anyOf" in schema:
        return st.one_of([allowed(one, document) for one in schema["anyOf"]])
    return _of_type(schema, document)


def _of_type(schema: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind = schema.get("type")
    if kind == "integer":
        low, high = schema.get("minimum", 0), schema.get("maximum", schema.get("exclusiveMaximum", 2**31))
        return st.integers(low, min(high, low + 3)) | st.integers(low, high)
    if kind == "array":
        return st.lists(allowed(schema.get("items", {}), document), min_size=1, max_size=3)
    if kind == "object":
        fields = {name: allowed(one, document) for name, one in schema.get("properties", {}).items()}
        needed = {name: one for name, one in fields.items() if name in schema.get("required", [])}
        # What need not be there is seldom there: a booking with all of it is mostly refused for something.
        optional = st.fixed_dictionaries({}, optional={n: one for n, one in fields.items() if n not in needed})
        return st.builds(_joined, st.fixed_dictionaries(needed), optional, st.booleans())
    if kind == "string":
        return _text(schema)
    return st.none() if kind == "null" else _ANYTHING


def _text(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    if schema.get("format") == "email":
        return st.sampled_from(["ada@example.org", "ADA@Example.org"]) | _TEXTS
    return st.sampled_from(["Europe/Berlin", "UTC", "Ada", "ada@example.org", "+49 30 1234567"]) | _TEXTS


def _joined(needed: dict[str, Any], more: dict[str, Any], all_of_it: bool) -> dict[str, Any]:
    return {**needed, **more} if all_of_it else needed


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def written(value: Any) -> str:
    """As a query says it."""
    return ",".join(map(written, value)) if isinstance(value, list) else "" if value is None else str(value)


@st.composite
def asked(
    draw: Callable[..., Any], document: dict[str, Any], uids: list[str]
) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Method, address, body and headers of a request."""
    path = draw(st.sampled_from(sorted(document["paths"])))
    method = draw(st.sampled_from([m for m in _METHODS if m in document["paths"][path]]))
    operation = document["paths"][path][method]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    query: list[tuple[str, str]] = []
    for parameter in operation["parameters"]:
        if not parameter["required"] and draw(st.booleans()):
            continue
        sound = st.integers(0, 9).map(bool)
        fit = allowed(parameter["schema"], document)
        value = written(draw(fit if draw(sound) else _TEXTS))
        if parameter["in"] == "path":
            value = draw(st.sampled_from(uids)) if draw(st.booleans()) else value
            path = path.replace("{" + parameter["name"] + "}", quote(value, safe="", errors="replace") or "x")
        elif parameter["in"] == "header":
            headers[parameter["name"]] = quote(value, safe="", errors="replace")
        else:
            query.append((parameter["name"], value))
    if not draw(st.integers(0, 9)):
        query.append((draw(_TEXTS), draw(_TEXTS)))
    address = path + "?" + "&".join(f"{quote(n, errors='replace')}={quote(v, errors='replace')}" for n, v in query)
    body = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        kinds = [allowed(schema, document).map(_json)] * 8 + [_ANYTHING.map(_json), st.binary(max_size=20)]
        body = draw(draw(st.sampled_from(kinds)))
    return method.upper(), address, body, headers


@contextmanager
def world() -> Iterator[tuple[Asker, list[str]]]:
    service = KeptService(NOW)
    with asking(service, token=TOKEN, now=lambda: NOW, tokens={"fuzz": TOKEN}, requests_per_minute=1e9) as asker:
        booking = {"eventTypeId": 1, "start": "2026-12-02T10:00:00Z", "attendee": SOMEBODY}
        held = {"eventTypeId": 1, "slotStart": "2026-12-02T11:00:00Z"}
        uids = [
            asker.post("/v2/bookings", booking).data["uid"],
            asker.post("/v2/slots/reservations", held).data["reservationUid"],
            "nosuchuid",
        ]
        yield asker, uids


def storm(examples: int, caplog: pytest.LogCaptureFixture) -> Counter[tuple[str, int]]:
    """So many requests; by operation's address and status how many there were."""
    seen: Counter[tuple[str, int]] = Counter()
    with world() as (asker, uids):

        @settings(
            max_examples=examples,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        @given(asked(asker.document, uids))
        def one(request: tuple[str, str, bytes | None, dict[str, str]]) -> None:
            method, address, body, headers = request
            answer = asker.ask(method, address, body, headers=headers)
            seen[method, answer.status] += 1
            assert answer.status < 500
            if "include=attendees" not in address:
                assert not _NEVER.search(answer.raw.decode() + repr(answer.headers))

        one()
    assert not _NEVER.search(caplog.text)
    assert "ada@example.org" not in caplog.text
    assert caplog.text.count("http_answered") >= examples
    return seen


def test_whatever_is_asked_is_answered_by_the_document(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="calcom_pipeline.http")
    seen = storm(240, caplog)
    assert {200, 201, 404, 422} <= {status for _, status in seen}, seen


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_five_thousand_requests_show_no_bug_no_secret_and_nobody(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="calcom_pipeline.http")
    seen = storm(5000, caplog)
    print(f"{sum(seen.values())} requests: " + ", ".join(f"{m} {s}: {n}" for (m, s), n in sorted(seen.items())))
    assert sum(seen.values()) >= 5000
    assert {200, 201, 404, 409, 422} <= {status for _, status in seen}, seen
