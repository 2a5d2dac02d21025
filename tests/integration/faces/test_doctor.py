"""The doctor: each look has something that it must find, and one that fails stops no other."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
import tzdata
from pydantic import SecretStr

from calcom_pipeline.adapters.calcom.transport.limit_headers import limit_of
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from calcom_pipeline.adapters.redis import connection
from calcom_pipeline.adapters.redis.connection import ServerFacts
from calcom_pipeline.app.bookings.mirror import pull_bookings
from calcom_pipeline.app.maintenance.health import Finding, examine
from calcom_pipeline.bootstrap import doctor
from calcom_pipeline.bootstrap.container import Container, open_container
from calcom_pipeline.cli import exit_codes, main
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.bookings.in_doubt import OpenOutcome
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.bookings.positions import ReadEnd
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from calcom_pipeline.settings import Settings
from tests.support import leaks
from tests.support.given import ROOMY_LIMIT, settings_of, variables_of
from tests.support.hook_receiver import hook_receiver

NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    with serve_sandbox("captures", limit=ROOMY_LIMIT, in_thread=True) as running:
        yield running


@pytest.fixture
def account(served: RunningSandbox) -> RunningSandbox:
    served.control.reset(account=True)
    served.control.mutate(
        "set_key", name="alice", limits=[{"hits": ROOMY_LIMIT, "window_seconds": 60, "block_seconds": 60}]
    )
    return served


@pytest.fixture
def settings(
    account: RunningSandbox, servers: Any, schema_name: str, redis_url: str, redis_client: redis.Redis
) -> Settings:
    return settings_of(account, servers, schema_name, redis_url, retry_attempts=1)


@pytest.fixture
def container(settings: Settings, database: Database) -> Iterator[Container]:
    with open_container(settings) as opened:
        yield opened


def found(container: Container) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(doctor.examinations(container))}


def with_settings(settings: Settings, **changes: Any) -> dict[str, Finding]:
    with open_container(settings.model_copy(update=changes)) as opened:
        return found(opened)


def problems(findings: dict[str, Finding]) -> set[str]:
    return {check for check, finding in findings.items() if finding.verdict == "problem"}


def test_a_world_in_order_has_no_problem_and_nothing_to_note(container: Container):
    assert {check: f.finding for check, f in found(container).items() if f.verdict != "ok"} == {}


# --- Cal.com -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "state"), [("alice", {"gone": True}), ("expired", {})], ids=["gone", "expired"])
def test_a_key_that_is_refused(settings: Settings, database: Database, account: RunningSandbox, name: str, state: dict):
    if state:
        account.control.mutate("set_key", name=name, **state)
    findings = with_settings(settings, api_key=SecretStr(account.keys[name]))
    assert problems(findings) >= {"Cal.com key", "Event types version"}
    assert "CALCOM_API_KEY" in findings["Cal.com key"].finding
    assert not [f for f in findings.values() if account.keys[name] in f.finding]
    assert findings["PostgreSQL"].verdict == findings["Redis"].verdict == "ok"


@pytest.mark.parametrize(
    ("choice", "named"),
    [({"team_ids": (301, 999)}, "CALCOM_TEAM_IDS names team 999"), ({"team_slug": "x"}, "CALCOM_TEAM_SLUG names team")],
)
def test_a_scope_that_the_key_cannot_see(settings: Settings, database: Database, choice: dict, named: str):
    findings = with_settings(settings, **choice)
    assert problems(findings) == {"Cal.com scope"}
    assert named in findings["Cal.com scope"].finding


@pytest.mark.parametrize(
    ("check", "endpoint"),
    [
        ("Event types version", "GET /v2/event-types"),
        ("Slots version", "GET /v2/slots"),
        ("Bookings version", "GET /v2/bookings"),
    ],
)
def test_an_endpoint_group_that_does_not_answer_as_promised(
    container: Container, account: RunningSandbox, check: str, endpoint: str
):
    account.control.add_fault("malformed", endpoint)
    assert check in problems(found(container))
    assert found(container)["Cal.com key"].verdict == "ok"


def test_a_version_that_this_calcom_answers_in_an_older_shape(settings: Settings, database: Database):
    """The settings refuse such a version; a self-hosted server may be too old for ours, which looks the same."""
    findings = with_settings(settings, bookings_version="2024-04-15")
    assert problems(findings) == {"Bookings version", "Clock"}
    assert "cal-api-version" in findings["Bookings version"].finding


@pytest.mark.parametrize(("granted", "advice"), [(5_000, "lower it"), (20_000, f"only {ROOMY_LIMIT} are used")])
def test_a_limit_other_than_the_one_that_is_set(
    container: Container, account: RunningSandbox, granted: int, advice: str
):
    limits = [{"hits": granted, "window_seconds": 60, "block_seconds": 60}]
    account.control.mutate("set_key", name="alice", limits=limits)
    finding = found(container)["Rate limit"]
    assert finding.verdict == "note"
    assert f"Cal.com grants {granted} a window" in finding.finding
    assert advice in finding.finding


def test_a_server_that_names_no_limit(container: Container, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(container.calcom._context.transport, "limit_seen", lambda: None)
    finding = found(container)["Rate limit"]
    assert (finding.verdict, finding.finding) == ("note", "Cal.com named no limit; a self-hosted server may have none")


@pytest.mark.parametrize(("ahead", "sign"), [(3600, "-"), (-3600, "+")])
def test_a_clock_that_is_off(container: Container, account: RunningSandbox, ahead: int, sign: str):
    account.control.set_clock((utc_now() + timedelta(seconds=ahead)).isoformat())
    finding = found(container)["Clock"]
    account.control.set_clock(utc_now().isoformat())
    assert finding.verdict == "note"
    assert f"this clock is {sign}3" in finding.finding
    assert "NTP" in finding.finding


def test_a_position_in_the_future_is_named_until_a_read_has_set_it_anew(container: Container):
    ahead = utc_now() + timedelta(hours=6)
    container.bookings.mirror.finish(MINE, ReadEnd(ahead, watermark=ahead))
    finding = found(container)["Positions"]
    assert finding.verdict == "problem"
    assert f"bookings mine at {ahead:%Y-%m-%d %H:%M:%S} UTC" in finding.finding
    pull_bookings(container.calcom, container.bookings.mirror, container.bookings.options, now=utc_now)
    assert found(container)["Positions"].verdict == "ok"


# --- PostgreSQL ----------------------------------------------------------------------------------------------


def test_a_database_that_is_away(settings: Settings):
    findings = with_settings(settings, database_url=SecretStr(f"postgresql://me:hidden@{NOBODY}/none"))
    assert problems(findings) == {"PostgreSQL", "Schema", "Open outcomes"}
    assert not [f for f in findings.values() if "hidden" in f.finding]
    assert findings["Cal.com key"].verdict == "ok"


def test_a_database_that_is_too_old(container: Container, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(container.database, "server_version", lambda: 13)
    finding = found(container)["PostgreSQL"]
    assert (finding.verdict, finding.finding) == ("problem", "PostgreSQL 13 is too old. Use 14 or newer.")


def test_a_schema_that_is_not_there(settings: Settings, empty_database: Database):
    with open_container(settings) as opened:
        finding = examine([doctor.examinations(opened)[1]])[0]
    assert (finding.check, finding.verdict) == ("Schema", "problem")
    assert "calcom-pipeline migrate" in finding.finding


def test_a_schema_of_an_older_and_of_a_newer_release(settings: Settings, empty_database: Database):
    shipped = shipped_migrations()
    migrate(empty_database, shipped[:-1])
    older = with_settings(settings)["Schema"]
    assert older.verdict == "problem"
    assert f"lacks {shipped[-1].version:04d}_{shipped[-1].name}" in older.finding
    assert "calcom-pipeline migrate" in older.finding
    migrate(empty_database, shipped)
    with empty_database.transaction("Testing") as cursor:
        cursor.execute("UPDATE schema_migrations SET version = 9999 WHERE version = %s", (shipped[-1].version,))
    newer = with_settings(settings)["Schema"]
    assert newer.verdict == "problem"
    assert "which this release does not know" in newer.finding


def test_bookings_in_doubt(container: Container):
    now = utc_now()
    container.bookings.in_doubt.open(OpenOutcome("order-4711", 6, now + timedelta(days=3), opened_at=now))
    finding = found(container)["Open outcomes"]
    assert (finding.verdict, finding.finding[:13]) == ("note", "of 1 bookings")


# --- Redis, the limiter, the circuits ------------------------------------------------------------------------


def test_a_redis_that_is_away(settings: Settings, database: Database):
    findings = with_settings(settings, redis_url=SecretStr(f"redis://:hidden@{NOBODY}/0"), rate_limit_per_minute=60_000)
    assert problems(findings) == {"Redis", "Limiter", "Circuits"}
    assert not [f for f in findings.values() if "hidden" in f.finding]
    assert findings["Cal.com key"].verdict == "ok", "without Redis each process takes its share"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (ServerFacts("Redis", 6, "noeviction", evicts=False), "Redis 6 is older than 7"),
        (ServerFacts("Redis", 7, "allkeys-lru", evicts=True), "evicts keys when full (allkeys-lru)"),
    ],
)
def test_a_redis_that_may_lose_the_limiter(
    container: Container, monkeypatch: pytest.MonkeyPatch, facts: ServerFacts, said: str
):
    monkeypatch.setattr(connection, "facts", lambda client: facts)
    finding = found(container)["Redis"]
    assert finding.verdict == "note"
    assert said in finding.finding


def test_a_key_that_is_blocked(container: Container):
    grant = container.limits.limiter.acquire("sync")
    blocked = {"X-RateLimit-Limit-Default": "120", "X-RateLimit-Remaining-Default": "0"}
    container.limits.limiter.complete(
        grant, status=429, named_limit=limit_of(blocked | {"X-RateLimit-Reset-Default": "55"}, status=429)
    )
    findings = found(container)
    assert findings["Limiter"].verdict == "note"
    assert findings["Limiter"].finding.startswith("Cal.com blocks the key for another 5")
    assert "Cal.com key" in problems(findings), "nobody waits out a whole block here"


def test_others_with_the_same_key(container: Container, monkeypatch: pytest.MonkeyPatch):
    seen = container.limits.limiter.view()
    monkeypatch.setattr(
        container.limits.limiter,
        "view",
        lambda: type(seen)(3, 118, 17, seen.waiting, paused_seconds=0.0, learned=True, window_seconds=60),
    )
    finding = found(container)["Limiter"]
    assert (finding.verdict, "and 17 by others with the same key" in finding.finding) == ("note", True)


def test_a_circuit_that_is_open(container: Container):
    for _ in range(container.settings.breaker_failures):
        container.limits.breaker.report(container.limits.breaker.enter("slots", longest_seconds=1), "failed")
    findings = found(container)
    assert (findings["Circuits"].verdict, findings["Circuits"].finding[:13]) == ("note", "slots is open")
    assert problems(findings) == {"Slots version", "Cal.com's time zones"}


def test_zone_rules_of_the_system_that_differ_are_a_note(container: Container, monkeypatch: pytest.MonkeyPatch):
    zone = container.calcom.me().time_zone
    monkeypatch.setattr(doctor.zones, "system_zone", lambda name: ZoneInfo("Etc/GMT+11") if name == zone else None)
    finding = found(container)["Time zone rules"]
    assert finding.verdict == "note"
    assert (
        f"tzdata {tzdata.IANA_VERSION} counts here; this system's own rules differ for {zone} from" in finding.finding
    )


def test_zone_rules_of_cal_com_that_differ_are_a_problem(container: Container, account: RunningSandbox):
    assert found(container)["Cal.com's time zones"].verdict == "ok"
    account.control.add_fault(
        "malformed_row", "GET /v2/slots", row=0, set={"start": "2026-12-15T09:00:00.000-09:30", "end": None}
    )
    finding = found(container)["Cal.com's time zones"]
    assert finding.verdict == "problem"
    assert "at UTC-09:30 on 2026-12-15, the rules used here at UTC+" in finding.finding
    account.control.clear_faults()


# --- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], database: Database
) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Exit code, JSON and errors of `calcom-pipeline doctor`, with some variables changed."""

    def command(**changes: str) -> tuple[int, dict[str, Any], str]:
        for name, value in (variables_of(settings) | changes).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(["doctor", "--json"])
        told = capsys.readouterr()
        leaks.said("`doctor`", told.out, told.err)
        return int(ended.value.code or 0), json.loads(told.out), told.err

    return command


def test_the_exit_code_says_whether_anything_is_wrong(run: Callable[..., Any]):
    code, told, _ = run()
    assert (code, {f["verdict"] for f in told["findings"]}) == (0, {"ok"})
    code, told, errors = run(CALCOM_TEAM_IDS="999")
    assert code == exit_codes.UNHEALTHY
    assert [f["check"] for f in told["findings"] if f["verdict"] == "problem"] == ["Cal.com scope"]
    assert "Traceback" not in errors


# --- webhooks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("takes", "verdict", "said"),
    [
        (("new", "old"), "ok", "takes test deliveries"),
        (("new",), "note", "none signed with the previous secret"),
        (("old",), "problem", "does not take a test delivery"),
    ],
)
def test_the_receiver_is_sent_a_test_delivery(
    settings: Settings, database: Database, takes: tuple[str, ...], verdict: str, said: str
):
    with hook_receiver(*takes) as receiver:
        given = {"webhook_secret": SecretStr("new"), "webhook_previous_secret": SecretStr("old")}
        finding = with_settings(settings, webhook_url=receiver.url, **given)["Webhooks"]
    assert finding.verdict == verdict
    assert said in finding.finding
