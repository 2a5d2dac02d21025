"""The HTTP API's own rules: who may ask, what is refused, how errors are told, what nobody waits for."""

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from calcom_pipeline.domain.redaction import without_secrets
from tests.support.http_rules import NOW, ORIGIN, OTHER, TOKEN, TOKENS, WEEK, booking, open_api, service
from tests.support.json_schemas import validator_of
from tests.support.web import Asker
from tests.support.web_service import KeptService

__all__ = ["service"]  # fixtures


# --- who may ask -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {OTHER}", 200),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("", 401),
    ],
)
def test_only_a_known_bearer_token_is_let_in(service: KeptService, authorization: str, status: int):
    with open_api(service, tokens=TOKENS) as asker:
        for path, query in (("/v2/slots", WEEK), ("/metrics", {})):
            answer = asker.get(path, headers={"Authorization": authorization}, **query)
            assert answer.status == status
            if status == 401:
                assert (answer.kind, answer.headers["www-authenticate"]) == ("no-token", "Bearer")
        assert bool(service.asked) == (status == 200)


def test_health_and_the_document_need_no_token_and_ask_nobody(service: KeptService):
    with open_api(service, tokens=TOKENS) as asker:
        assert asker.get("/health").json == {"status": "ok"}
        assert asker.get("/openapi.json").status == 200
    assert service.asked == []


def test_a_token_is_taken_out_of_every_text_once_it_is_known(service: KeptService):
    with open_api(service, tokens=TOKENS):
        assert without_secrets(f"asked with {TOKEN}") == "asked with [redacted]"


def test_a_caller_past_its_limit_is_told_when_to_come_again(service: KeptService):
    with open_api(service, tokens=TOKENS, token=TOKEN, requests_per_minute=2) as asker:
        answers = [asker.get("/v2/slots", **WEEK) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].kind == "too-many-requests"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 30


# --- browsers --------------------------------------------------------------------------------------------------


def test_pages_of_a_named_origin_may_ask_and_others_may_not(service: KeptService):
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}
    with open_api(service, tokens=TOKENS, origins=(ORIGIN,)) as asker:
        allowed = asker.ask("OPTIONS", "/v2/bookings", headers={"Origin": ORIGIN, **wish})
        assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
        refused = asker.ask("OPTIONS", "/v2/bookings", headers={"Origin": "https://evil.example", **wish})
        assert "access-control-allow-origin" not in refused.headers
        # A page reads why it was refused, too.
        told = asker.get("/v2/slots", headers={"Origin": ORIGIN})
        assert (told.status, told.headers["access-control-allow-origin"]) == (401, ORIGIN)
        assert "ETag" in told.headers["access-control-expose-headers"]


def test_without_origins_no_page_may_ask(service: KeptService):
    with open_api(service) as asker:
        answer = asker.get("/v2/slots", headers={"Origin": ORIGIN}, **WEEK)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_form_of_another_page_cannot_write(service: KeptService):
    """A form may be sent anywhere without asking first; it cannot say that it is JSON."""
    with open_api(service) as asker:
        for media_type in ("text/plain", "application/x-www-form-urlencoded"):
            answer = asker.post("/v2/bookings", booking(), headers={"Content-Type": media_type})
            assert (answer.status, answer.kind) == (415, "no-json")
    assert service.asked == []


# --- how old an answer is --------------------------------------------------------------------------------------


def test_a_caller_who_has_the_answer_already_is_told_just_that(service: KeptService):
    with open_api(service) as asker:
        first = asker.get("/v2/slots", **WEEK)
        tag = first.headers["etag"]
        for names in (tag, f'"other", {tag}', "*"):
            again = asker.get("/v2/slots", headers={"If-None-Match": names}, **WEEK)
            assert (again.status, again.raw, again.headers["etag"]) == (304, b"", tag)
        asker.post("/v2/bookings", booking())
        after = asker.get("/v2/slots", headers={"If-None-Match": tag}, **WEEK)
        assert (after.status, after.headers["etag"] != tag) == (200, True)


def test_answers_that_differ_in_nothing_but_their_age_have_one_tag(service: KeptService):
    query = {"eventTypeId": 1, "firstDay": "2026-12-01", "lastDay": "2026-12-02"}
    with open_api(service) as asker:
        tag = asker.get("/v1/availability", **query).headers["etag"]
        service.as_of = NOW - timedelta(seconds=42)
        assert asker.get("/v1/availability", headers={"If-None-Match": tag}, **query).status == 304
        service.stale = True
        assert asker.get("/v1/availability", headers={"If-None-Match": tag}, **query).status == 200


@pytest.mark.parametrize(
    ("fresh", "stale", "control"),
    [(0, False, "private, no-cache"), (10, False, "private, max-age=52"), (10, True, "private, no-cache")],
)
def test_every_answer_tells_its_age(service: KeptService, fresh: int, stale: bool, control: str):
    service.as_of, service.stale = NOW - timedelta(seconds=42, milliseconds=900), stale
    with open_api(service, fresh_seconds=fresh) as asker:
        told = asker.get("/v2/slots", **WEEK).headers
    assert (told["age"], told["cache-control"], told.get("calcom-stale")) == ("42", control, "true" if stale else None)


# --- what is refused -------------------------------------------------------------------------------------------


def test_all_that_is_wrong_with_parameters_is_said_at_once(service: KeptService):
    with open_api(service) as asker:
        query = {"eventTypeId": "x", "start": "soon", "timeZone": "Mars", "format": "long", "count": 3}
        answer = asker.get("/v2/slots", **query)
    assert (answer.status, answer.kind) == (422, "invalid-input")
    fields = {problem.partition(":")[0] for problem in answer.json["problems"]}
    assert fields == {"eventTypeId", "start", "end", "timeZone", "format", "count"}
    assert service.asked == []


def test_all_that_is_wrong_with_a_booking_is_said_at_once(service: KeptService):
    body = {"eventTypeId": "x", "start": "2026-13-01", "attendee": {"email": "nobody", "nick": 1}, "price": 3}
    with open_api(service) as asker:
        answer = asker.post("/v2/bookings", body)
    assert answer.status == 422
    fields = {problem.partition(":")[0] for problem in answer.json["problems"]}
    assert fields == {"eventTypeId", "start", "name", "email", "attendee.nick", "price"}
    assert b"nobody" not in answer.raw


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"end": "2026-11-30T23:00:00Z"}, "end: is before start"),
        ({"end": "2027-12-01"}, "end: is more than 92 days after start"),
        ({"format": "range"}, "duration: is missing; format=range needs it"),
        ({"end": "0001-01-01"}, "end: is not between the years 2000 and 2100"),
        ({"end": "9999-12-31T23:59:59-14:00"}, "end: is not between the years 2000 and 2100"),
        ({"eventTypeId": 2**31}, "eventTypeId: input should be less than or equal to 2147483647"),
    ],
)
def test_a_window_that_cannot_be_asked_for_is_refused(service: KeptService, query: dict[str, Any], problem: str):
    with open_api(service) as asker:
        assert asker.get("/v2/slots", **{**WEEK, **query}).json["problems"] == [problem]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "malformed"),
        (b"[1]", 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b'{"start": "' + b"x" * 5000 + b'"}', 413, "too-large"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(service: KeptService, body: bytes, status: int, kind: str):
    with open_api(service, longest_body_bytes=4096) as asker:
        answer = asker.post("/v2/bookings", body)
    assert (answer.status, answer.kind) == (status, kind)


def test_a_body_that_is_nested_without_end_is_refused(service: KeptService):
    """Whoever walks through it would exhaust the stack."""
    with open_api(service) as asker:
        for levels in (30, 900, 100_000):
            deep = b'{"metadata": {"a": ' + b"[" * levels + b"]" * levels + b"}}"
            assert asker.post("/v2/bookings", deep, headers={}).status in (400, 413)
        answers = {"a": [[[[["still fine"]]]]]}
        assert asker.post("/v2/bookings", booking(bookingFieldsResponses=answers)).status == 201


def test_a_body_without_a_length_is_bounded_as_well(service: KeptService):
    with open_api(service, longest_body_bytes=4096) as asker:
        connection = http.client.HTTPConnection("127.0.0.1", asker.port, timeout=20)
        parts = iter([b"x" * 3000, b"x" * 3000])
        connection.request("POST", "/v2/bookings", parts, {"Content-Type": "application/json"}, encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()


def test_a_body_that_does_not_come_is_not_waited_for(service: KeptService):
    head = b"POST /v2/bookings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    with (
        open_api(service, body_seconds=0.1) as asker,
        socket.create_connection(("127.0.0.1", asker.port), timeout=20) as line,
    ):
        line.sendall(head)
        assert line.recv(65_536).startswith(b"HTTP/1.1 504 ")


def test_heads_that_are_too_large_are_refused(service: KeptService):
    with open_api(service, longest_header_bytes=12_000) as asker:
        assert asker.get("/v2/slots", headers={"X-Long": "x" * 12_000}).kind == "headers-too-large"
        answer = asker.ask("GET", "/health", x="y" * 9000)
        assert (answer.status, answer.kind) == (414, "address-too-long")
        with socket.create_connection(("127.0.0.1", asker.port), timeout=20) as line:
            line.sendall(b"GET /health HTTP/1.1\r\nX-Endless: " + b"x" * 100_000)  # it never ends
            assert line.recv(65_536).startswith(b"HTTP/1.1 431 ")


def test_unknown_addresses_and_methods_are_problems_too(service: KeptService):
    with open_api(service) as asker:
        assert asker.get("/v2/nothing").kind == "no-route"
        answer = asker.ask("DELETE", "/v2/slots")
        assert (answer.kind, answer.headers["allow"]) == ("no-method", "GET, HEAD")


# --- nobody waits for ever -------------------------------------------------------------------------------------


def test_what_finds_no_thread_is_refused_and_the_loop_answers_on(service: KeptService):
    service.waiting = threading.Event()
    with open_api(service, threads=1) as asker, ThreadPoolExecutor(20) as callers:
        answers = [callers.submit(Asker(asker.port).get, "/v2/slots", **WEEK) for _ in range(12)]
        refused = [done for done in answers if done.done() or _ends(done)]
        assert asker.get("/health").status == 200  # no thread is needed for that
        assert {done.result().status for done in refused} == {503}
        assert {done.result().headers["retry-after"] for done in refused} == {"1"}
        service.waiting.set()
        statuses = sorted(done.result().status for done in answers)
    assert statuses == [200] * 5 + [503] * 7  # one at work, four in the queue


def _ends(done: Any) -> bool:
    try:
        done.result(timeout=2)
    except TimeoutError:
        return False
    return True


def test_a_slow_read_is_given_up_and_a_slow_write_leaves_its_key(service: KeptService):
    service.waiting = threading.Event()
    with open_api(service, read_seconds=0.1, write_seconds=0.1) as asker:
        assert asker.get("/v2/slots", **WEEK).kind == "too-slow"
        slow = asker.post("/v2/bookings", booking())
        assert (slow.status, slow.kind) == (504, "outcome-unknown")
        service.waiting.set()
        # It went on; the key that was made up for it finds it.
        found = asker.post("/v2/bookings", booking(), headers={"Idempotency-Key": slow.json["key"]})
    assert found.status == 201
    assert len(service.bookings) == 1


def test_slow_writes_keep_nobody_from_reading(service: KeptService):
    with open_api(service, threads=1, write_threads=1) as asker, ThreadPoolExecutor(2) as callers:
        service.waiting = threading.Event()
        writing = callers.submit(Asker(asker.port).post, "/v2/bookings", booking())
        while "book" not in service.asked:
            assert not writing.done()
        held, service.waiting = service.waiting, None
        assert asker.get("/v2/slots", **WEEK).status == 200
        held.set()
        assert writing.result().status == 201


# --- parts and the document ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "address"),
    [
        ("slots", "/v2/slots"),
        ("finding", "/v1/month"),
        ("holds", "/v2/slots/reservations"),
        ("bookings", "/v2/bookings"),
        ("metrics", "/metrics"),
    ],
)
def test_a_part_that_is_off_is_not_there(service: KeptService, part: str, address: str):
    with open_api(service, off=frozenset({part})) as asker:
        assert asker.get(address).kind == "no-route"
        assert address not in asker.document["paths"]


def test_a_part_that_the_service_does_not_answer_is_not_there():
    with open_api(object()) as asker:  # type: ignore[arg-type]
        assert asker.document["paths"] == {}
        assert asker.get("/v2/slots", **WEEK).kind == "no-route"


def test_the_document_holds_sound_schemas(service: KeptService):
    with open_api(service) as asker:
        document = asker.document
    for schema in document["components"]["schemas"].values():
        validator_of(schema).check_schema(schema)
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations) == 12
    references = set(_references(document))
    assert references <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for one in value.values() for found in _references(one)]
    return [found for one in value for found in _references(one)] if isinstance(value, list) else []


def test_the_figures_count_requests_by_operation_and_status(service: KeptService):
    with open_api(service) as asker:
        asker.get("/v2/slots", **WEEK)
        service.as_of = NOW - timedelta(seconds=5)
        asker.get("/v2/slots", **WEEK)
        asker.get("/v2/slots")
        text = asker.get("/metrics").raw.decode()
    lines = set(text.splitlines())
    assert 'calcom_http_requests_total{operation="slots",status="200"} 2.0' in lines
    assert 'calcom_http_requests_total{operation="slots",status="422"} 1.0' in lines
    assert 'calcom_http_free_time_answers_total{freshness="live",operation="slots"} 1.0' in lines
    assert 'calcom_http_free_time_answers_total{freshness="cached",operation="slots"} 1.0' in lines
    assert "calcom_limiter_wait_seconds 1.5" in lines
