"""A check that turns yellow is told of: once until it is green again, with what to do and where to look."""

import html
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler

import dagster as dg
import pytest

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.definitions import defs
from tests.support.dagster_runs import sensor_named
from tests.support.raw_server import Heard, answer, raw_server

failing_checks = sensor_named("failing_checks")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """One of its own: what other tests' checks came to is nothing to these."""
    with dg.DagsterInstance.ephemeral() as own:
        yield own


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """What an incoming webhook is told."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, b"ok")

    with raw_server(behave) as (url, found):
        monkeypatch.setenv("CALCOM_ALERT_WEBHOOK", f"{url}/services/T0/B0/secret-of-the-hook")
        monkeypatch.setenv("CALCOM_UI_URL", "https://dagster.example.com")
        yield found


def evaluate(instance: dg.DagsterInstance, *, passed: bool, severity: str = "WARN", text: str = "All is well.") -> None:
    """Another evaluation of a check."""
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(["calcom", "service_sync"]),
            check_name="services_in_sync",
            passed=passed,
            metadata={},
            severity=dg.AssetCheckSeverity[severity],
            description=text,
        )
    )


def tick(instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
    found = failing_checks(context)
    assert isinstance(found, dg.SensorResult)
    return found


def minutes_later(cursor: str | None) -> str:
    """As if it had been seen three minutes before."""
    kept = json.loads(cursor or "{}").items()
    earlier = {name: (passed, datetime.fromisoformat(at) - timedelta(minutes=3)) for name, (passed, at) in kept}
    return json.dumps({name: [passed, at.isoformat()] for name, (passed, at) in earlier.items()})


def texts(heard: Heard) -> list[str]:
    return [html.unescape(json.loads(request[3])["text"]) for request in heard.requests]


def test_nothing_is_told_of_checks_that_pass_or_were_never_evaluated(
    instance: dg.DagsterInstance, container: Container, heard: Heard
):
    first = tick(instance, None)
    evaluate(instance, passed=True)
    second = tick(instance, minutes_later(first.cursor))
    tick(instance, minutes_later(second.cursor))
    assert heard.requests == []


@pytest.mark.parametrize(("severity", "verb"), [("WARN", "warns"), ("ERROR", "fails")])
def test_a_check_that_turned_yellow_or_red_is_told_once_however_often_it_is_evaluated(
    instance: dg.DagsterInstance, container: Container, heard: Heard, severity: str, verb: str
):
    evaluate(instance, passed=True)
    seen = tick(instance, None)
    text = "1 of 9 services needs somebody: 1 failed.\n\n| service |\n| --- |\n| a table is read in the UI |"
    evaluate(instance, passed=False, severity=severity, text=text)
    seen = tick(instance, seen.cursor)
    assert heard.requests == [], "it may pass soon"
    for _ in range(3):
        evaluate(instance, passed=False, severity=severity, text=text)
        seen = tick(instance, minutes_later(seen.cursor))
    title, *lines = texts(heard)[0].splitlines()
    assert f"services_in_sync {verb}" in title
    assert lines[0] == "1 of 9 services needs somebody: 1 failed."
    assert lines[1].startswith("What to do: Open the check")
    place = "https://dagster.example.com/assets/calcom/service_sync?view=checks&checkDetail=services_in_sync"
    assert lines[2] == f"The check: {place}"
    assert lines[3].startswith("The run: https://dagster.example.com/runs/")
    assert len(heard.requests) == 1
    assert "people were alerted to" not in str(seen.skip_reason)


def test_a_check_that_was_green_again_is_told_anew(instance: dg.DagsterInstance, container: Container, heard: Heard):
    seen = tick(instance, None)
    for passed in (False, True, False):
        evaluate(instance, passed=passed)
        seen = tick(instance, seen.cursor)
        seen = tick(instance, minutes_later(seen.cursor))
    assert len(heard.requests) == 2


def test_a_check_that_flickers_is_not_told_each_time(instance: dg.DagsterInstance, container: Container, heard: Heard):
    evaluate(instance, passed=False)
    seen = tick(instance, None)
    seen = tick(instance, minutes_later(seen.cursor))
    for passed in (True, False):
        evaluate(instance, passed=passed)
        seen = tick(instance, seen.cursor)
    tick(instance, minutes_later(seen.cursor))
    assert len(heard.requests) == 1


def test_a_message_that_did_not_get_out_is_sent_with_the_next_look(
    instance: dg.DagsterInstance, container: Container, heard: Heard, monkeypatch: pytest.MonkeyPatch
):
    evaluate(instance, passed=False)
    seen = tick(instance, None)
    with monkeypatch.context() as patch:
        patch.setenv("CALCOM_ALERT_WEBHOOK", "http://127.0.0.1:9/nobody")
        seen = tick(instance, minutes_later(seen.cursor))
    assert heard.requests == []
    tick(instance, seen.cursor)
    assert len(heard.requests) == 1
