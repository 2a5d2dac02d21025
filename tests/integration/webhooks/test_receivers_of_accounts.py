"""Receivers of several described accounts in one process, on real servers: each has what is its own, and no more."""

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from starlette.applications import Starlette

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from calcom_pipeline.bootstrap.container import Container, open_beside, open_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.bookings.listing import BookingQuery
from calcom_pipeline.domain.webhooks.models import NewWebhook
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from calcom_pipeline.settings import accounts_folder, load_settings
from calcom_pipeline.settings.accounts import read_account
from calcom_pipeline.web.app import build_app
from calcom_pipeline.web.receivers import AccountReceivers
from calcom_pipeline.web.webhooks import PATH, routes_by_name
from tests.support import leaks
from tests.support.deliveries import delivery_body, post, served, signature
from tests.support.described import describe
from tests.support.described_accounts import folder
from tests.support.loop import add_service, update
from tests.support.planning import apply_now, plan_now
from tests.support.serving import serving
from tests.support.stalling import before_postgres
from tests.support.tables import fetch
from tests.support.waiting import until

__all__ = ["folder"]
ACCOUNTS = ("agency_a", "agency_b")


def secret_of(name: str) -> bytes:
    return f"the-webhook-secret-of-{name}".encode()


def describe_receiver(folder: Path, name: str, schema: str, **attributes: object) -> None:
    """With a key, a secret and a schema of its own."""
    secret = folder / f"{name}.secret"
    secret.write_bytes(secret_of(name))
    given = {"webhook_secret": {"file": str(secret)}, "database_schema": f"{schema}_{name[-1]}", **attributes}
    describe(folder, name, key=str(given.pop("key", f"cal_key_of_{name}")), **given)


@pytest.fixture
def accounts(
    folder: Path,
    schema_name: str,
    servers: local.Servers,
    sandbox: RunningSandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """Two of them, with two accounts at Cal.com. Answers the folder."""
    monkeypatch.setenv("CALCOM_WEBHOOK_SPOOL_FOLDER", str(tmp_path / "spool"))
    monkeypatch.setenv("DATABASE_URL", f"{servers.database_url}&application_name={schema_name}")
    with serve_sandbox("generated", event_types=3, teams=0, bookings=20, seed=11, limit=1_000_000) as other:
        for name, place in zip(ACCOUNTS, (sandbox, other), strict=True):
            describe_receiver(folder, name, schema_name, key=place.keys["owner"], base_url=place.url)
        yield folder
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        for letter in "abcd":
            schema = sql.Identifier(f"{schema_name}_{letter}")
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))


@pytest.fixture
def first(accounts: Path) -> Iterator[Container]:
    """The environment, which is no account."""
    with open_container(load_settings()) as container:
        assert container.endpoints.api_key is None
        yield container


@pytest.fixture
def receivers(first: Container) -> Iterator[AccountReceivers]:
    with AccountReceivers(first) as opened:
        yield opened


@pytest.fixture
def root(receivers: AccountReceivers) -> Iterator[str]:
    with served(build_app(object(), extra=routes_by_name(receivers.find))) as address:
        yield f"{address}{PATH}"


@pytest.fixture
def tables(first: Container, schema_name: str) -> Iterator[dict[str, Database]]:
    """What each account has in PostgreSQL."""
    url = first.endpoints.database_url
    with (
        open_database(url, schema=f"{schema_name}_a") as one,
        open_database(url, schema=f"{schema_name}_b") as other,
    ):
        for each in (one, other):
            migrate(each, shipped_migrations())
        yield dict(zip(ACCOUNTS, (one, other), strict=True))


def delivered(root: str, name: str, uid: str, *, signed_by: str | None = None) -> int:
    raw = delivery_body(uid)
    return post(f"{root}/{name}", raw, signature(raw, secret_of(signed_by or name)))


def uids(database: Database) -> set[str]:
    return {uid for (uid,) in fetch(database, "SELECT uid FROM webhook_inbox")}


def test_what_changes_at_each_account_reaches_its_own_mirror_and_no_other(
    root: str, tables: dict[str, Database], first: Container
):
    changed: dict[str, set[str]] = {}
    for name in ACCOUNTS:
        with open_beside(first, read_account(accounts_folder(), name)) as container:
            secret = secret_of(name).decode()
            container.calcom.create_webhook(NewWebhook(f"{root}/{name}", ("BOOKING_CANCELLED",), secret))
            coming = container.calcom.page(BookingQuery(sort="start", after_start=utc_now(), take=100)).bookings
            changed[name] = {booking.uid for booking in coming if booking.status == "accepted"}
            for uid in changed[name]:
                container.calcom.cancel_booking(uid, reason="Testing")
    for name in ACCOUNTS:
        until(lambda name=name: fetch(tables[name], "SELECT FROM webhook_inbox WHERE state = 'done'"), what=name)
        until(lambda name=name: not fetch(tables[name], "SELECT FROM webhook_inbox WHERE state = 'open'"), what=name)
        mirrored = fetch(tables[name], "SELECT uid, status FROM bookings")
        assert {status for _, status in mirrored} == {"cancelled"}
        assert {uid for uid, _ in mirrored} == uids(tables[name]) <= changed[name]


def test_an_edit_of_a_service_is_followed_at_its_own_account_where_that_may_be_written(
    accounts: Path, schema_name: str, first: Container
):
    """The other account's edits wait for somebody: it may not be written to unasked."""
    for name, apply in zip(ACCOUNTS, ("auto", "plan"), strict=True):
        known = read_account(accounts_folder(), name)
        assert known.api_key is not None
        given = {"key": known.api_key.get_secret_value(), "base_url": known.base_url, "service_follow_seconds": 0.1}
        describe_receiver(accounts, name, schema_name, apply=apply, **given)
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(open_beside(first, read_account(accounts_folder(), name))) for name in ACCOUNTS
        )
        service, event_type = linked_service(one)
        waiting, left_alone = linked_service(other)
        before = other.calcom.get_event_type(left_alone).title
        with AccountReceivers(first):
            until(lambda: fetch(one.database, "SELECT 1 FROM feed_readers WHERE reader = 'services_follower'"))
            update(other, waiting, "Facial deluxe")
            update(one, service, "Massage deluxe")
            until(lambda: one.calcom.get_event_type(event_type).title == "Massage deluxe")
        assert not fetch(other.database, "SELECT 1 FROM feed_readers WHERE reader = 'services_follower'")
        assert other.calcom.get_event_type(left_alone).title == before


def linked_service(container: Container) -> tuple[str, int]:
    """A service that is in sync, and its event type."""
    container.require_schema()
    service = add_service(container, "Massage", "massage", 60)
    apply_now(container, plan_now(container, "test"), approved=True)
    (link,) = [link for link in container.services.store.links() if link.service_id == service]
    assert link.event_type_id
    return service, link.event_type_id


def own_connections(servers: local.Servers, name: str) -> int:
    """Connections that PostgreSQL holds for a test: others use it meanwhile."""
    with psycopg.connect(servers.database_url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        return connection.execute(query, (name,)).fetchone()[0]  # type: ignore[index]


def test_a_secret_opens_its_own_account_and_an_unknown_name_is_nowhere(root: str, tables: dict[str, Database]):
    assert delivered(root, "agency_a", "u1") == 200
    assert delivered(root, "agency_b", "u2", signed_by="agency_a") == 401
    assert delivered(root, "agency_c", "u3", signed_by="agency_a") == 404
    assert delivered(root, "agency_a/more", "u4", signed_by="agency_a") == 404
    assert (uids(tables["agency_a"]), uids(tables["agency_b"])) == ({"u1"}, set())


def test_accounts_of_one_server_share_its_connections(
    root: str, tables: dict[str, Database], servers: local.Servers, schema_name: str
):
    """With one each it would be as many as accounts for the receivers, and as many for what follows."""
    before = own_connections(servers, schema_name)
    assert before > 0
    for number in range(4):
        for name in ACCOUNTS:
            assert delivered(root, name, f"u{number}") == 200
    for name in ACCOUNTS:
        assert uids(tables[name]) == {"u0", "u1", "u2", "u3"}
        until(lambda name=name: not fetch(tables[name], "SELECT FROM webhook_inbox WHERE claims = 0"))
    assert own_connections(servers, schema_name) - before <= 3


def test_what_is_wrong_with_one_is_told_and_stops_that_one_alone(
    accounts: Path, first: Container, schema_name: str, caplog: pytest.LogCaptureFixture
):
    describe_receiver(accounts, "agency_c", schema_name, rate_limit_per_minute=1)
    describe(accounts, "agency_d", key="cal_without_a_webhook", database_schema=f"{schema_name}_d")
    with caplog.at_level(logging.WARNING), AccountReceivers(first) as receivers:
        assert [receivers.find(name) is not None for name in (*ACCOUNTS, "agency_c", "agency_d")] == [
            True,
            True,
            False,
            False,
        ]
        (line,) = [r.getMessage() for r in caplog.records if "account_stopped" in r.getMessage()]
        assert "agency_c" in line
        assert "rate_limit_per_minute" in line
        describe_receiver(accounts, "agency_c", schema_name)
        (accounts / "agency_a.secret").unlink()
        receivers.renew()
        # Mended, and broken while it is received: it goes on with what it had.
        assert [receivers.find(name) is not None for name in (*ACCOUNTS, "agency_c")] == [True, True, True]
        (accounts / "agency_b" / "defs.yaml").unlink()
        receivers.renew()
        assert receivers.find("agency_b") is None


def test_an_account_whose_schema_is_outdated_keeps_what_comes_and_says_what_is_due(
    accounts: Path, first: Container, servers: local.Servers, schema_name: str, caplog: pytest.LogCaptureFixture
):
    with (
        open_database(servers.database_url, schema=f"{schema_name}_a") as old,
        open_database(servers.database_url, schema=f"{schema_name}_b") as other,
    ):
        migrate(old, shipped_migrations()[:-1])
        migrate(other, shipped_migrations())
        with (
            caplog.at_level(logging.WARNING),
            AccountReceivers(first) as receivers,
            served(Starlette(routes=routes_by_name(receivers.find))) as address,
        ):
            assert delivered(f"{address}{PATH}", "agency_a", "u1") == 200
            assert delivered(f"{address}{PATH}", "agency_b", "u2") == 200
            until(lambda: any("SchemaOutdated" in record.getMessage() for record in caplog.records))
            assert uids(other) == {"u2"}
    line = next(r.getMessage() for r in caplog.records if "SchemaOutdated" in r.getMessage())
    assert "agency_a" in line
    assert "migrate" in line


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.proof), "2"])
def test_a_signal_renews_the_secret_of_one_account_in_every_process(
    accounts: Path, tables: dict[str, Database], in_environment: dict[str, str], tmp_path: Path, workers: str
):
    here = {name: value for name, value in in_environment.items() if name not in _OF_ONE_ACCOUNT}
    here |= {"CALCOM_ACCOUNTS_DIR": str(accounts), "CALCOM_WEBHOOK_SPOOL_FOLDER": str(tmp_path / "spool")}
    with serving(here, "--all", "--workers", workers) as (process, port):
        root = f"http://127.0.0.1:{port}{PATH}"
        assert [delivered(root, name, "u1") for name in ACCOUNTS] == [200, 200]
        (accounts / "agency_a.secret").write_bytes(secret_of("tomorrow"))
        process.send_signal(signal.SIGHUP)
        until(lambda: [delivered(root, "agency_a", "u2") for _ in range(10)] == [401] * 10)
        assert delivered(root, "agency_a", "u3", signed_by="tomorrow") == 200
        assert delivered(root, "agency_b", "u2") == 200
        assert delivered(f"http://127.0.0.1:{port}/webhooks", "calcom", "u4", signed_by="agency_a") == 404
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    leaks.said("`serve --all`", out, err)
    assert process.returncode == 0, err
    assert f"Webhooks: {root}/NAME" in out
    assert "HTTP API" not in out  # the environment is no account
    assert "u3" in uids(tables["agency_a"])
    assert uids(tables["agency_b"]) == {"u1", "u2"}


_OF_ONE_ACCOUNT = ("CALCOM_API_KEY", "CALCOM_BASE_URL", "CALCOM_DATABASE_SCHEMA")


def test_beside_the_account_of_the_environment_all_others_are_received(
    accounts: Path, tables: dict[str, Database], in_environment: dict[str, str], tmp_path: Path
):
    spool = {"CALCOM_WEBHOOK_SPOOL_FOLDER": str(tmp_path / "spool")}
    own = {"CALCOM_WEBHOOK_SECRET": secret_of("own").decode(), "CALCOM_ACCOUNTS_DIR": str(accounts)}
    with serving(in_environment | own | spool, "--all") as (process, port):
        root = f"http://127.0.0.1:{port}/webhooks"
        assert delivered(root, "calcom", "u1", signed_by="own") == 200
        assert delivered(f"{root}/calcom", "agency_a", "u1") == 200
        assert delivered(root, "calcom", "u1", signed_by="agency_a") == 401
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    leaks.said("`serve --all`", out, err)
    assert (process.returncode, err) == (0, "")


def test_while_postgresql_hangs_each_account_has_a_spool_and_all_are_answered_soon(
    accounts: Path, tables: dict[str, Database], servers: local.Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with before_postgres(servers) as (url, door):
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("CALCOM_DATABASE_CONNECT_SECONDS", "2")
        door.stall()
        with (
            open_container(load_settings()) as here,
            AccountReceivers(here) as receivers,
            served(Starlette(routes=routes_by_name(receivers.find))) as address,
        ):
            for name in ACCOUNTS:
                assert delivered(f"{address}{PATH}", name, name) == 200
                assert len(list((tmp_path / "spool" / name).glob("*.spooled"))) == 1
            door.flow()
            for name in ACCOUNTS:
                until(lambda name=name: uids(tables[name]) == {name})
