"""What stands still without a failing run is told of: once, after a while, with what to do."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler

import dagster as dg
import pytest
import time_machine

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.definitions import defs
from tests.support.dagster_runs import sensor_named
from tests.support.raw_server import Heard, answer, raw_server

standstills = sensor_named("standstills")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """What an incoming webhook is told."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, b"ok")

    with raw_server(behave) as (url, found):
        monkeypatch.setenv("CALCOM_ALERT_WEBHOOK", f"{url}/services/T0/B0/secret-of-the-hook")
        yield found


def tick(instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult:
    found = standstills(dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs))
    assert isinstance(found, dg.SensorResult)
    return found


def block_key(container: Container) -> None:
    limiter = container.limits.limiter
    limiter.complete(limiter.acquire("sync"), status=429, named_limit=None)


def open_circuit(container: Container) -> None:
    breaker = container.limits.breaker
    for _ in range(container.settings.breaker_failures):
        breaker.report(breaker.enter("slots", longest_seconds=10), "failed")


def set_a_position_ahead(container: Container) -> None:
    with container.require_schema().transaction("Testing") as cursor:
        cursor.execute(
            "INSERT INTO watermarks (stream, partition, position, read_started_at) "
            "VALUES ('bookings', 'mine', now() + interval '2 days', now())"
        )


def earlier(cursor: str | None, by: timedelta) -> str:
    """As if it had been seen so long before."""
    since = {code: datetime.fromisoformat(at) - by for code, at in json.loads(cursor or "{}").items()}
    return json.dumps({code: at.isoformat() for code, at in since.items()})


def test_nothing_is_told_while_nothing_stands_still(instance, container: Container, heard: Heard):
    assert tick(instance, None).skip_reason == dg.SkipReason("Nothing stands still")
    assert heard.requests == []


@pytest.mark.parametrize(
    ("stands_still", "code"),
    [(block_key, "key_blocked"), (open_circuit, "circuit_open"), (set_a_position_ahead, "position_ahead")],
)
def test_what_stands_still_is_told_once_and_only_when_it_lasts(
    instance,
    container: Container,
    heard: Heard,
    stands_still: Callable[[Container], None],
    code: str,
):
    stands_still(container)
    first = tick(instance, None)
    assert set(json.loads(first.cursor or "")) == {code}
    assert heard.requests == []
    second = tick(instance, earlier(first.cursor, timedelta(minutes=3)))
    assert len(heard.requests) == 1
    text = json.loads(heard.requests[0][3])["text"]
    assert code in text
    assert "What to do: " in text
    tick(instance, second.cursor)
    assert len(heard.requests) == 1, "once per cause"


def test_a_run_that_does_not_end_is_told(instance, container: Container, heard: Heard):
    run = instance.create_run_for_job(defs.resolve_job_def("retention"), status=dg.DagsterRunStatus.STARTING)
    began = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    instance.report_dagster_event(began, run.run_id)
    with time_machine.travel(utc_now() + timedelta(hours=4), tick=True):
        found = tick(instance, None)
    assert set(json.loads(found.cursor or "")) == {"run_endless"}


def test_what_has_passed_is_forgotten(instance, container: Container, heard: Heard):
    stale = json.dumps({"key_blocked": (utc_now() - timedelta(days=1)).isoformat()})
    assert tick(instance, stale).cursor == "{}"
    assert heard.requests == []
