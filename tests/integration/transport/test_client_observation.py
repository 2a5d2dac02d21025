"""What the world is told of every request, and that nobody who listens can hurt a call."""

import json
import logging
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.calcom.transport.observers import LoggedCalls
from calcom_pipeline.adapters.calcom.transport.retries import RetryPatience
from calcom_pipeline.adapters.calcom.transport.telemetry import telemetry
from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.adapters.postgres.call_ledger import ApiCallRecorder, recording_calls
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.app.calls import CallRecord
from calcom_pipeline.domain.errors import NotFound, TransientError
from calcom_pipeline.domain.redaction import redacted, redacted_value
from tests.support.clients import Seen, client_of
from tests.support.raw_server import Heard, answer, raw_server

KEY = "cal_live_" + "f" * 32
TWICE = RetryPatience(deadline_seconds=5, attempts=2, first_pause_seconds=0.01)


class Moods:
    """Answers with one status after the other, then well."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def __call__(self, handler: Any) -> None:
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            answer(handler)
        else:
            said = f'{{"statusCode":{status},"message":"{KEY} of jo@example.org"}}'
            answer(handler, said.encode(), status=status, headers={"X-Request-Id": f"req-{status}"})


@pytest.fixture
def moods() -> Moods:
    return Moods()


@pytest.fixture
def server(moods: Moods) -> Iterator[tuple[str, Heard]]:
    with raw_server(moods) as running:
        yield running


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def calcom(server: tuple[str, Heard], redis_client: redis.Redis, seen: Seen) -> Iterator[CalcomClient]:
    with client_of(server[0], KEY, redis_client, patience=TWICE, observers=[seen, LoggedCalls()]) as client:
        yield client


def test_every_attempt_is_told_when_it_starts_and_when_it_ends(calcom: CalcomClient, moods: Moods, seen: Seen):
    moods.statuses = [503]
    calcom.me()
    told = [(r.outcome, r.attempt, r.status, r.sent, r.request_id) for r in seen.records]
    assert told == [
        ("started", 1, None, False, None),
        ("TransientError", 1, 503, True, "req-503"),
        ("started", 2, None, False, None),
        ("ok", 2, 200, True, None),
    ]
    ended = seen.records[-1]
    assert (ended.operation, ended.endpoint_group, ended.method, ended.lane) == (
        "Reading the account",
        "account",
        "GET",
        "sync",
    )
    assert 0 < ended.duration_seconds < 2


def test_events_are_json_lines_without_secrets(calcom: CalcomClient, moods: Moods, caplog: pytest.LogCaptureFixture):
    moods.statuses = [503, 404]
    with caplog.at_level(logging.DEBUG, logger="calcom_pipeline"), pytest.raises(NotFound):
        calcom.me()
    ours = [record for record in caplog.records if record.name == "calcom_pipeline.calls"]
    events = [json.loads(record.getMessage()) for record in ours]
    assert [e["event"] for e in events] == ["call_started", "call_failed", "call_started", "call_failed"]
    assert events[1]["outcome"] == "TransientError"
    assert events[1]["duration_ms"] >= 0
    assert events[3]["status"] == 404
    assert KEY not in caplog.text
    assert "jo@" not in caplog.text


def test_an_error_tracker_hears_of_what_failed_for_good_and_of_nothing_else(
    calcom: CalcomClient, moods: Moods, seen: Seen
):
    moods.statuses = [503, 404, 503, 502]
    with pytest.raises(NotFound):
        calcom.me()
    with pytest.raises(TransientError):
        calcom.me()
    assert len(seen.reported) == 1
    error, context = seen.reported[0]
    assert isinstance(error, TransientError)
    assert context["status"] == 502
    assert context["request_id"] == "req-502"
    assert "jo@" not in json.dumps(context)
    assert KEY not in json.dumps(context)


class Broken:
    """An observer and an error tracker that fail whenever they are told anything."""

    def started(self, record: CallRecord) -> None:
        raise RuntimeError("jo@example.org")

    completed = failed = started


def test_a_broken_observer_hurts_no_call(
    server: tuple[str, Heard], moods: Moods, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
):
    with client_of(server[0], KEY, redis_client, patience=TWICE, observers=[Broken()]) as calcom:
        assert calcom.me().user_id == 1
        moods.statuses = [404]
        with pytest.raises(NotFound):
            calcom.me()
    assert "observer_failed" in caplog.text
    assert "jo@" not in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "Bearer cal_live_0123456789abcdef",
        "key cal_abc was refused",
        'the address "jo.doe+x@example.org" is taken',
        "attendeeEmail=jo%40example.org&take=1",
        "mailto:jo@example.co.uk, please",
        "(jo.o'neil@example.org) 'jo@example.org' it's jo@example.org",
        "call +49 (30) 123-456 or %2B4930123456",
    ],
)
def test_secrets_and_addresses_are_taken_out_of_text(text: str):
    clean = redacted(text)
    assert not any(part in clean for part in ("cal_live_0", "cal_abc", "jo", "neil", "example.org", "123"))
    assert redacted_value({"a": [text], "b": 3, "c": None}) == {"a": [clean], "b": 3, "c": None}
    assert (
        redacted("Booking: 3 of 5 done; see https://api.cal.com/v2")
        == "Booking: 3 of 5 done; see https://api.cal.com/v2"
    )


@pytest.mark.parametrize("piece", ["x", "x'", "x.", "+1 "])
def test_a_long_text_is_looked_through_in_a_moment(piece: str):
    began = time.process_time()
    assert len(redacted(piece * 20_000)) <= 300
    assert time.process_time() - began < 2.0  # it was quadratic: half a minute


def test_an_event_is_redacted_whoever_logs_it(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="calcom_pipeline"):
        event_logger("testing").info("something", who="jo@example.org", nested={"key": [KEY]})
    assert "jo@" not in caplog.text
    assert KEY not in caplog.text
    assert json.loads(caplog.records[0].getMessage())["event"] == "something"


# --- rows of api_calls ---------------------------------------------------------------------------------------


def rows(database: Database) -> list[tuple[Any, ...]]:
    with database.transaction("Testing") as cursor:
        cursor.execute("SELECT operation, status, outcome, attempt, request_id FROM api_calls ORDER BY called_at")
        return cursor.fetchall()


def test_rows_are_written_in_batches_and_at_the_end(
    server: tuple[str, Heard], moods: Moods, redis_client: redis.Redis, database: Database
):
    moods.statuses = [503]
    with (
        recording_calls(database) as recorder,
        client_of(server[0], KEY, redis_client, patience=TWICE, observers=[recorder]) as calcom,
    ):
        calcom.me()
        assert rows(database) == []
    assert rows(database) == [
        ("Reading the account", 503, "TransientError", 1, "req-503"),
        ("Reading the account", 200, "ok", 2, None),
    ]
    with database.transaction("Testing") as cursor:
        cursor.execute("SELECT count(*) FROM api_calls_default")
        assert cursor.fetchone() == (0,), "this month has a partition of its own"


def record(number: int) -> CallRecord:
    from datetime import UTC, datetime

    return CallRecord(
        datetime.now(UTC), f"call {number}", "account", "GET", "sync", 1, "ok", True, 200, None, 0.0, 0.001
    )


def when(happened: Callable[[], bool]) -> bool:
    """Whether the recorder's own thread gets so far in time."""
    deadline = time.monotonic() + 20
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened()


def test_a_full_batch_is_written_at_once(database: Database):
    recorder = ApiCallRecorder(database, clock=lambda: 0.0)  # no other reason to write than a full batch
    for number in range(99):
        recorder.completed(record(number))
    assert rows(database) == []
    recorder.completed(record(99))
    assert when(lambda: len(rows(database)) == 100)
    recorder.close()


def test_one_that_has_written_all_has_no_thread_until_the_next_call(database: Database):
    now = [0.0]
    recorder = ApiCallRecorder(database, clock=lambda: now[0])
    for written in (1, 2):
        now[0] += 60  # it is time to write at once
        recorder.completed(record(written))
        assert when(lambda: recorder._thread is None)
        assert len(rows(database)) == written
    recorder.close()
    assert recorder.dropped == 0


def test_while_postgresql_is_away_calls_go_on_and_their_rows_are_kept(
    database: Database, caplog: pytest.LogCaptureFixture
):
    now = [0.0]
    with open_database("postgresql://127.0.0.1:1/none", schema="x") as away:
        recorder = ApiCallRecorder(away, clock=lambda: now[0])
        for number in range(250):
            recorder.completed(record(number))
            now[0] += 0.1
            if number == 150:
                assert when(lambda: "calls_not_recorded" in caplog.text)
        assert caplog.text.count("calls_not_recorded") == 1
        recorder._database = database
        now[0] += 60
        recorder.completed(record(250))
    assert when(lambda: len(rows(database)) == 251)
    recorder.close()
    assert recorder.dropped == 0


def test_a_refusal_of_our_own_leaves_no_row(database: Database):
    from dataclasses import replace

    recorder = ApiCallRecorder(database)
    recorder.failed(replace(record(1), sent=False, outcome="CircuitOpen", status=None))
    recorder.flush()
    assert rows(database) == []


# --- OpenTelemetry -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_the_name", [None, types.ModuleType("opentelemetry")], ids=["nothing", "another part"])
def test_without_opentelemetrys_api_nobody_listens_for_it(monkeypatch: pytest.MonkeyPatch, of_the_name: Any):
    """`opentelemetry` is a namespace: that something of it is installed does not mean that its API is."""
    monkeypatch.setitem(sys.modules, "opentelemetry", of_the_name)
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)
    assert telemetry() == []


class Recorded:
    """Stands in for OpenTelemetry's API, which is not installed here: remembers every call made to it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            return self

        return called


def test_with_opentelemetry_every_request_is_a_client_span_and_a_measurement(
    server: tuple[str, Heard], moods: Moods, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    api = Recorded()
    trace = types.SimpleNamespace(
        get_tracer=lambda name: api,
        SpanKind=types.SimpleNamespace(CLIENT="client"),
        Status=lambda code, said: (code, said),
        StatusCode=types.SimpleNamespace(ERROR="error"),
    )
    metrics = types.SimpleNamespace(get_meter=lambda name: api)
    monkeypatch.setitem(sys.modules, "opentelemetry", types.ModuleType("opentelemetry"))
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", trace)
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", metrics)
    moods.statuses = [429]
    with client_of(server[0], KEY, redis_client, patience=TWICE, observers=telemetry()) as calcom:
        calcom.me()
    spans = [kwargs for name, _, kwargs in api.calls if name == "start_span"]
    assert [s["kind"] for s in spans] == ["client", "client"]
    assert spans[0]["attributes"]["http.response.status_code"] == 429
    assert spans[0]["attributes"]["error.type"] == "RateLimited"
    assert "error.type" not in spans[1]["attributes"]
    assert [args for name, args, _ in api.calls if name == "set_status"] == [(("error", "RateLimited"),)]
    assert [name for name, _, _ in api.calls].count("add") == 1, "one refusal"
    ends = [kwargs["end_time"] for name, _, kwargs in api.calls if name == "end"]
    assert all(end >= span["start_time"] for end, span in zip(ends, spans, strict=True))
