"""Runs that fail are told of over real connections: once per cause, without secrets."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import dagster as dg
import pytest

from calcom_pipeline.adapters.alerts.mail import MailChannel
from calcom_pipeline.adapters.alerts.webhook import WebhookChannel
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.maintenance.alerts import PostgresAlertLog
from calcom_pipeline.app.maintenance.ports import NotSent
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.maintenance.alerts import failed_runs
from calcom_pipeline.domain.errors import TransientError, Unauthorized
from calcom_pipeline.domain.maintenance.alerts import AlertMessage
from tests.support.mail_server import mail_server
from tests.support.raw_server import Heard, answer, raw_server

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SIX_HOURS = timedelta(hours=6)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
MESSAGE = AlertMessage("failed", "<!channel> what & why")


class Hook:
    """An incoming webhook."""

    def __init__(self) -> None:
        self.url = ""
        self.heard = Heard()
        self.status = 200

    @property
    def texts(self) -> list[str]:
        """What it was told."""
        return [json.loads(body)["text"] for _, _, _, body in self.heard.requests]

    def behave(self, handler: BaseHTTPRequestHandler) -> None:
        answer(handler, b"ok", status=self.status)


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    with raw_server(found.behave) as (url, found.heard):
        found.url = f"{url}/services/T0/B0/secret-of-the-hook"
        yield found


@dg.op
def refused() -> None:
    with dagster_failures("Reading bookings"):
        raise Unauthorized("Cal.com refuses to call +49 30 1234567", advice="Check the key.")


@dg.op
def away() -> None:
    raise dg.RetryRequested(max_retries=0) from TransientError("Cal.com is away")


@dg.op
def buggy() -> None:
    raise KeyError("+49 30 1234567")


def failed(instance: dg.DagsterInstance, op: dg.OpDefinition, name: str = "a_job", **tags: str) -> str | None:
    """Run a job of one op that fails, and let the sensor look; what the sensor says."""
    job = dg.GraphDefinition(name=name, node_defs=[op]).to_job(executor_def=dg.in_process_executor)
    done = job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
    (event,) = [e for e in done.all_events if e.event_type == dg.DagsterEventType.RUN_FAILURE]
    instance.add_run_tags(done.run_id, tags)  # Dagster has said by now that it does not start it again
    run = instance.get_run_by_id(done.run_id)
    assert run
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs", dagster_event=event, dagster_instance=instance, dagster_run=run
    )
    said = failed_runs(context.for_run_failure())
    assert isinstance(said, dg.SkipReason)
    return said.skip_message


class TestSensor:
    @pytest.fixture
    def environment(self, environment: dict[str, str], hook: Hook) -> dict[str, str]:
        return {**environment, "CALCOM_ALERT_WEBHOOK": hook.url, "CALCOM_UI_URL": "https://dagster.example.com"}

    def test_a_cause_is_told_once_whichever_job_meets_it_and_however_often(
        self, instance: dg.DagsterInstance, database_is_made: None, hook: Hook
    ):
        assert failed(instance, refused) == "Told of unauthorized by webhook"
        assert failed(instance, refused) == "unauthorized was told already"
        assert failed(instance, refused, name="another_job") == "unauthorized was told already"
        (text,) = hook.texts
        assert text.startswith(
            "*calcom-pipeline (calcom): a_job failed, unauthorized*\nReading bookings: Cal.com refuses"
        )
        assert "What to do: Check CALCOM_API_KEY" in text
        assert "https://dagster.example.com/runs/" in text
        assert "1234567" not in text

    def test_a_run_that_is_started_again_is_not_told_of(
        self, instance: dg.DagsterInstance, database_is_made: None, hook: Hook
    ):
        assert failed(instance, refused, **{"dagster/will_retry": "true"}) == "It is started again"
        assert hook.texts == []

    def test_the_error_behind_a_retry_is_the_cause_and_a_bug_is_its_jobs_own(
        self, instance: dg.DagsterInstance, database_is_made: None, hook: Hook
    ):
        assert failed(instance, away) == "Told of transient_error by webhook"
        assert failed(instance, buggy) == "Told of key_error:a_job by webhook"
        assert "1234567" not in "".join(hook.texts)

    def test_a_hook_that_refuses_is_tried_again_at_the_next_failure(
        self, instance: dg.DagsterInstance, database_is_made: None, hook: Hook
    ):
        hook.status = 500
        assert failed(instance, refused) == "Nobody was told of unauthorized"
        hook.status = 200
        assert failed(instance, refused) == "Told of unauthorized by webhook"

    @pytest.fixture
    def database_is_made(self, container: object) -> None:
        """The container makes the schema."""


class TestChannels:
    def test_the_webhook_mentions_nobody(self, hook: Hook):
        WebhookChannel(hook.url, seconds=2).send(MESSAGE)
        assert hook.texts == ["*failed*\n&lt;!channel&gt; what &amp; why"]

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9/secret-of-the-hook", "http://no-such-host.invalid/secret-of"])
    def test_a_webhook_that_is_away_is_told_without_its_address(self, url: str):
        with pytest.raises(NotSent) as error:
            WebhookChannel(url, seconds=1).send(MESSAGE)
        assert "secret" not in str(error.value)

    def test_a_mail_goes_to_everybody_who_is_named(self):
        with mail_server() as server:
            url = f"smtp://127.0.0.1:{server.port}"
            MailChannel(url, sender="us@example.com", recipients=["a@example.com", "b@example.com"], seconds=2).send(
                MESSAGE
            )
        (mail,) = server.mails
        assert "Subject: failed\r\n" in mail
        assert "<!channel> what & why" in mail
        assert [line for line in server.said if line.lower().startswith("rcpt")] == [
            "rcpt TO:<a@example.com>",
            "rcpt TO:<b@example.com>",
        ]

    def test_no_password_is_told_without_tls(self):
        with mail_server() as server:
            channel = MailChannel(
                f"smtp://me:pass-word@127.0.0.1:{server.port}",
                sender="a@b.example",
                recipients=["c@d.example"],
                seconds=2,
            )
            with pytest.raises(NotSent, match="no TLS"):
                channel.send(MESSAGE)
        assert server.mails == []


class TestLog:
    def test_of_many_who_tell_at_once_one_does(self, database: Database):
        log, found, ready = PostgresAlertLog(database), list[int | None](), threading.Barrier(4)

        def claim() -> None:
            ready.wait()
            found.append(log.claim("unauthorized", now=NOW, repeat=SIX_HOURS))

        threads = [threading.Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found, key=str) == [0, None, None, None]
        assert log.claim("unauthorized", now=NOW + SIX_HOURS, repeat=SIX_HOURS) == 3

    def test_what_was_taken_back_is_told_next(self, database: Database):
        log = PostgresAlertLog(database)
        assert log.claim("x", now=NOW, repeat=SIX_HOURS) == 0
        log.release("x")
        assert log.claim("x", now=NOW, repeat=SIX_HOURS) == 1
