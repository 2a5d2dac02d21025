"""The secrets that we are configured with, whatever they look like, leave the process in no text and in no encoding."""

import base64
import html
import json
import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import dagster as dg
import pytest
import redis

from calcom_pipeline.adapters.calcom.transport.observers import LoggedCalls
from calcom_pipeline.adapters.calcom.transport.retries import RetryPatience
from calcom_pipeline.adapters.calcom.transport.signing import Signer
from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.adapters.postgres.call_ledger import recording_calls
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.domain.errors import CalcomError, ConfigurationError, InvalidInput, StoreError
from calcom_pipeline.domain.redaction import know_secrets, redacted, secrets_of_url, without_secrets
from calcom_pipeline.settings import Settings, load_settings
from tests.support.clients import Seen, client_of
from tests.support.commands import command
from tests.support.raw_server import answer, raw_server

#: No key of Cal.com's looks like that; a gateway's may.
KEY = "9rT/x+Qv=7 p&Zw'é"
ONCE = RetryPatience(deadline_seconds=3, attempts=1)


def b64(text: str, *, urlsafe: bool = False) -> str:
    return (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(text.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "a part of a word": lambda key: f"xx{key}yy",
    "quoted": quote,
    "quoted whole": lambda key: quote(key, safe=""),
    "quoted for a form": quote_plus,
    "quoted in small letters": lambda key: quote(key, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "JSON": json.dumps,
    "JSON as it is": lambda key: json.dumps(key, ensure_ascii=False),
    "repr": repr,
    "HTML": html.escape,
    "hex": lambda key: key.encode().hex(),
    "HEX": lambda key: key.encode().hex().upper(),
    "base64": b64,
    "base64 for URLs": lambda key: b64(key, urlsafe=True),
    "base64 without its end": lambda key: b64(key).rstrip("="),
    "Basic": lambda key: "Basic " + b64(f"user:{key}"),
    "Basic without a password": lambda key: "Basic " + b64(f"{key}:"),
    "Basic without a user": lambda key: "Basic " + b64(f":{key}"),
    "in a longer one": lambda key: b64(f"it is {key}, is it not?"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_known_secret_is_found_in_every_form(form: Callable[[str], str]):
    written = form(KEY)
    assert written in without_secrets(f"a {written} b"), "nobody knows it yet"
    know_secrets([KEY])
    told = without_secrets(f"before {written} after")
    assert "[redacted]" in told
    assert told.startswith("before ")
    assert told.endswith(" after")
    for size in range(0, len(written) - 8, 4):
        assert written[size : size + 8] not in told
    assert "[redacted]" in redacted(written)


def test_a_text_of_any_length_is_read_quickly():
    know_secrets([KEY, *(f"{n}-secret-of-some-length" for n in range(20))])
    began = time.process_time()
    for text in ("x" * 10**6, "a@" * 10**6, "=/+" * 10**6, "0" * 10**6, "%" * 10**5):
        assert len(redacted(text)) <= 300
    assert without_secrets("x" * 10**6 + KEY).endswith("x[redacted]")
    assert time.process_time() - began < 3


def test_what_stands_behind_the_cut_is_no_half_of_an_address():
    text = " ".join(["jo.doe@example.org"] * 40 + ["x" * 1500, "ann.other@example.org"] * 3)
    assert "ann" not in redacted(text, longest=2000)


def test_a_short_secret_is_taken_out_as_a_word_and_a_tiny_one_stays():
    know_secrets(["calcom", "ab", "", None])
    assert without_secrets("calcom_pipeline by calcom, cab ab") == "calcom_pipeline by [redacted], cab ab"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://me:pa%2Fss@host/db", {"pa%2Fss", "pa/ss"}),
        ("postgresql://host/db?user=me&password=other-pw&sslmode=require", {"other-pw"}),
        ("postgresql://me@host/db", set()),
        ("postgresql://calcom:calcom@host/db", set()),
        ("rediss://:pw+word@host:6379/0", {"pw+word", "pw word"}),
        ("http://user:pw-of-proxy@proxy:3128", {"pw-of-proxy"}),
        ("https://token@proxy", {"token"}),
        ("unix:///tmp/valkey.sock?db=0", set()),
        ("http://[", set()),
        ("", set()),
    ],
)
def test_the_passwords_of_an_address_are_its_secrets(url: str, found: set[str]):
    assert set(secrets_of_url(url)) == found


# --- what a server repeats -----------------------------------------------------------------------------------


def repeated(text: str) -> dict[str, tuple[int, bytes]]:
    """Every place of an error answer in which a server may repeat what it was sent."""
    told = {
        "code": text,
        "message": f"no {text}",
        "details": {"errors": [{"property": text, "constraints": {"a": text}}]},
    }
    return {
        "an envelope": (401, json.dumps({"status": "error", "error": told}).encode()),
        "a bare message": (400, json.dumps({"statusCode": 400, "message": [f"bad {text}"]}).encode()),
        "a failure": (500, json.dumps({"status": "error", "message": text, "error": text}).encode()),
        "a page": (403, f"<html>{text}</html>".encode()),
    }


@pytest.mark.parametrize("place", repeated(""))
@pytest.mark.parametrize("form", ["as it is", "quoted whole", "base64", "Basic", "hex"])
def test_a_key_that_a_server_repeats_is_printed_nowhere(
    database: Database, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture, place: str, form: str
):
    key = KEY.replace("é", "e")  # a header holds Latin letters
    written = FORMS[form](key)
    status, body = repeated(written)[place]
    seen = Seen()

    def behave(handler: Any) -> None:
        answer(handler, body, status=status, headers={"X-Request-Id": f"id {written}", "X-Broken": "x\r\n" + written})

    with (
        caplog.at_level(logging.DEBUG),
        raw_server(behave) as (url, _),
        recording_calls(database) as ledger,
        client_of(url, key, redis_client, patience=ONCE, observers=[seen, LoggedCalls(), ledger]) as calcom,
    ):
        with pytest.raises(CalcomError) as raised:
            calcom.me()
        event_logger("test").warning("told", error=raised.value, path=Path("/") / "x", headers={written: written})
    with database.transaction("Looking") as cursor:
        rows = cursor.execute("SELECT api_calls::text FROM api_calls").fetchall()
    assert rows, "the call was recorded"
    error = raised.value
    told = [str(error), error.advice, error.exchange.body, error.exchange.request_id, caplog.text, rows, seen]
    for one in told:
        assert key not in str(one)
        assert written not in str(one)


def test_the_secret_of_signatures_is_known_too():
    Signer("gateways secret")
    assert without_secrets("it is gateways secret") == "it is [redacted]"


# --- settings ------------------------------------------------------------------------------------------------

GIVEN = {
    "CALCOM_API_KEY": "key-without-a-name",
    "CALCOM_WEBHOOK_SECRET": "hooked-on-this",
    "CALCOM_WEBHOOK_PREVIOUS_SECRET": "hooked-before-this",
    "CALCOM_HTTP_TOKENS": "website=asked-with-this-token",
    "CALCOM_ALERT_WEBHOOK": "https://hooks.example.com/told-with-this",
    "CALCOM_ALERT_SMTP_URL": "smtp://me:mailed-with-this@host",
    "CALCOM_SIGNING_SECRET": "sealed-with-this",
    "CALCOM_PRIVACY_KEY": "hashed-with-this",
    "CALCOM_LIVE_KEY": "living-on-this",
    "CALCOM_PROXY": "http://eve:through-with-this@proxy:3128",
    "DATABASE_URL": "postgresql://me:stored-with-this@host/db",
    "REDIS_URL": "redis://:cached-with-this@host",
    "DAGSTER_PG_URL": "postgresql://me:run-with-this@host/db",
}


def secret_of(name: str, value: str) -> str:
    """Such an address is secret as a whole; other addresses hold a password, tokens have names."""
    if name == "CALCOM_ALERT_WEBHOOK":
        return value
    return value.split("@", maxsplit=1)[0].rsplit(":", 1)[-1].rpartition("=")[2]


SECRETS = [secret_of(name, value) for name, value in GIVEN.items()]


@pytest.mark.parametrize("more", [{}, {"CALCOM_READ_TIMEOUT_SECONDS": "0"}], ids=["right", "wrong"])
def test_all_secrets_of_the_settings_are_known_even_where_the_settings_are_wrong(more: dict[str, str]):
    with pytest.raises(ConfigurationError) if more else nullcontext():
        load_settings({"CALCOM_ENV_FILE": "", **GIVEN, **more})
    for secret in SECRETS:
        for text in (secret, b64(secret), b64(f"me:{secret}"), quote(secret)):
            assert secret not in without_secrets(text)
            assert without_secrets(f"x {text} y") == "x [redacted] y"


def test_no_secret_of_the_settings_was_forgotten_here():
    shown = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert len(shown) == len(GIVEN)


@pytest.mark.parametrize("given", ["https://user:pass@cal.example", "http://token@cal.example/v2", "https://a@b@c"])
def test_a_user_in_the_address_of_cal_com_is_refused(given: str, redis_client: redis.Redis):
    with pytest.raises(ConfigurationError, match="CALCOM_BASE_URL: must not hold a user or a password") as refused:
        load_settings({"CALCOM_ENV_FILE": "", "CALCOM_BASE_URL": given, "CALCOM_API_KEY": "cal_x"})
    assert given not in str(refused.value)
    with pytest.raises(ConfigurationError, match="CALCOM_BASE_URL"):
        client_of(given, "cal_x", redis_client).__enter__()
    assert load_settings({"CALCOM_BASE_URL": "https://cal.example/a@b", "CALCOM_API_KEY": "k", "CALCOM_ENV_FILE": ""})


def test_errors_say_no_secret_whoever_writes_them():
    know_secrets(["pw-of-the-database"])
    error = StoreError("cannot connect with pw-of-the-database", advice="Is pw-of-the-database right?")
    assert "pw-of" not in f"{error} {error.advice}"
    assert InvalidInput(["pw-of-the-database is none"]).problems == ["[redacted] is none"]


# --- commands and Dagster ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--debug"], ["--json"], ["--debug", "--json"]])
def test_a_command_prints_no_key_that_a_server_repeats(environment: dict[str, str], options: list[str]):
    key = "a.key.of-a-gateway+01"
    status, body = repeated(key)["an envelope"]
    with raw_server(lambda handler: answer(handler, body, status=status)) as (url, _):
        given = {**environment, "CALCOM_BASE_URL": url, "CALCOM_API_KEY": key}
        for words in (["sync", "event-types"], ["doctor"], ["status"]):
            done = command(*words, *options, environment=given)
            assert key not in done.stdout + done.stderr
    done = command("sync", "event-types", *options, environment=given | {"CALCOM_API_KEY": key})
    assert done.returncode != 0


def test_a_traceback_for_debugging_holds_no_secret(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    def broken(settings: Settings) -> None:
        raise RuntimeError(f"a driver quotes {settings.redis_url and settings.redis_url.get_secret_value()}")

    monkeypatch.setattr("calcom_pipeline.bootstrap.container.open_endpoints", broken)
    given = {**environment, "REDIS_URL": "redis://:cached-with-this@host"}
    done = command("status", "--debug", environment=given)
    assert "Traceback" in done.stderr
    assert "a driver quotes" in done.stderr
    assert "cached-with-this" not in done.stderr


def test_dagster_is_told_no_secret():
    know_secrets(["pw-of-the-database"])
    with pytest.raises(dg.Failure) as raised, dagster_failures("Reading"):
        raise RuntimeError("connecting with pw-of-the-database")
    assert "an unexpected RuntimeError" in str(raised.value.description)
    assert "pw-of" not in str(raised.value.description)
    assert raised.value.__cause__ is None
    with pytest.raises(dg.RetryRequested) as asked, dagster_failures("Reading"):
        raise StoreError("it is away") from ValueError("pw-of-the-database")
    assert asked.value.__cause__ is None, "its text would be stored with that of its cause"
    with pytest.raises(RuntimeError, match="an ordinary bug"), dagster_failures("Reading"):
        raise RuntimeError("an ordinary bug")
