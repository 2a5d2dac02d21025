"""Subscriptions in Dagster and on the command line: kept right, told, and held against what polling finds."""

import json
from datetime import datetime, timedelta

import dagster as dg
import pytest

from calcom_pipeline.adapters.postgres.webhooks.arrivals import PostgresDeliveries
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.clock import utc_now
from calcom_pipeline.definitions import defs
from calcom_pipeline.defs.bookings import sensors
from calcom_pipeline.defs.webhooks import subscriptions
from tests.support.commands import command
from tests.support.dagster_runs import metadata, rows_in, run, sensor_named
from tests.support.hook_receiver import hook_receiver
from tests.support.inbox import arrive

URL, SECRET = "https://hooks.example.com/calcom", "the-secret-of-the-hook"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "CALCOM_WEBHOOK_URL": URL, "CALCOM_WEBHOOK_SECRET": SECRET}


def json_of(*words: str, environment: dict[str, str]) -> tuple[int, dict[str, object]]:
    done = command("webhooks", *words, "--json", environment=environment)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def mirrored(environment: dict[str, str], container: Container) -> Container:
    """Event types and bookings of the sandbox are there."""
    for what in ("event-types", "bookings"):
        assert command("sync", what, environment=environment).returncode == exit_codes.OK
    return container


@pytest.fixture
def subscribed(environment: dict[str, str], mirrored: Container) -> Container:
    """... and every scope is subscribed."""
    assert command("webhooks", "ensure", environment=environment).returncode == exit_codes.OK
    return mirrored


def happen(container: Container, status: str, at: datetime, **columns: object) -> str:
    """A mirrored booking changed then; its uid."""
    statement = """
    UPDATE bookings SET status = %(status)s, updated_at = %(at)s, created_at = %(created_at)s,
        recurring_uid = %(series)s, rescheduled_to_uid = %(moved_to)s
    WHERE uid = (SELECT uid FROM bookings JOIN event_types e ON e.id = event_type_id AND e.deleted_at IS NULL
                 WHERE bookings.updated_at < %(at)s - interval '1 day' ORDER BY uid LIMIT 1) RETURNING uid"""
    values = {"status": status, "at": at, "created_at": at, "series": None, "moved_to": None, **columns}
    with container.database.transaction("Changing a booking") as cursor:
        row = cursor.execute(statement, values).fetchone()
    assert row
    return row[0]


class TestCommands:
    def test_ensure_subscribes_then_has_nothing_to_do_and_status_tells(self, environment: dict[str, str]):
        command("sync", "event-types", environment=environment)
        code, told = json_of("ensure", environment=environment)
        scopes = told["scopes"]
        assert isinstance(scopes, list)
        assert code == exit_codes.OK
        assert told["written"] == len(scopes) > 1
        assert json_of("ensure", environment=environment)[1]["written"] == 0
        code, told = json_of("status", environment=environment)
        assert (code, len(told["scopes"]), told["unseen"]) == (exit_codes.OK, len(scopes), [])  # type: ignore[arg-type]
        assert "user" in command("webhooks", "status", environment=environment).stdout

    def test_on_an_account_that_is_only_planned_for_nothing_is_written_until_somebody_says_so(
        self, environment: dict[str, str]
    ):
        planning = {**environment, "CALCOM_APPLY": "plan"}
        code, told = json_of("ensure", environment=planning)
        assert (code, told["written"], told["scopes"][0]["to_do"]) == (exit_codes.OK, 0, ["create"])  # type: ignore[index]
        assert json_of("status", environment=planning)[0] == exit_codes.UNHEALTHY
        assert json_of("ensure", "--apply", environment=planning)[1]["written"] == 1
        looked_after = {**planning, "CALCOM_WEBHOOK_APPLY": "auto", "CALCOM_WEBHOOK_URL": URL + "2"}
        assert json_of("ensure", environment=looked_after)[1]["written"] == 1

    def test_rotate_says_why_nothing_was_changed_or_that_it_is_over(self, environment: dict[str, str]):
        with hook_receiver(SECRET) as receiver:
            environment = {**environment, "CALCOM_WEBHOOK_URL": receiver.url}
            json_of("ensure", environment=environment)
            new = {**environment, "CALCOM_WEBHOOK_SECRET": "another-one", "CALCOM_WEBHOOK_PREVIOUS_SECRET": SECRET}
            code, told = json_of("rotate", environment=new)
            assert (code, told["refused_code"]) == (exit_codes.UNHEALTHY, "webhook_new_secret_refused")
            receiver.secrets.add("another-one")
            code, told = json_of("rotate", environment=new)
            assert (code, told["over"], told["written"]) == (exit_codes.OK, True, 1)

    def test_without_an_address_it_says_what_to_set(self, environment: dict[str, str]):
        del environment["CALCOM_WEBHOOK_URL"]
        assert command("webhooks", "status", environment=environment).returncode == exit_codes.OK
        done = command("webhooks", "ensure", environment=environment)
        assert (done.returncode, "CALCOM_WEBHOOK_URL" in done.stderr) == (exit_codes.CONFIGURATION, True)

    def test_an_address_without_a_secret_is_refused(self, environment: dict[str, str]):
        del environment["CALCOM_WEBHOOK_SECRET"]
        assert command("webhooks", "status", environment=environment).returncode == exit_codes.CONFIGURATION


class TestDagster:
    def test_the_asset_repairs_what_somebody_deleted_and_the_check_is_content(
        self, instance: dg.DagsterInstance, mirrored: Container
    ):
        first = metadata(run(instance, "webhook_subscriptions"), "webhooks")
        scopes = len(rows_in(first["scopes"]))
        assert (first["subscriptions right"], first["subscriptions written"]) == (scopes, scopes)
        (one,) = mirrored.calcom.list_webhooks()
        mirrored.calcom.delete_webhook(one.id)
        done = run(instance, "webhook_subscriptions")
        assert metadata(done, "webhooks")["subscriptions written"] == 1
        assert [e.passed for e in done.get_asset_check_evaluations()] == [True]

    def test_what_was_lost_is_found_and_polling_looks_more_often(
        self, instance: dg.DagsterInstance, mirrored: Container, monkeypatch: pytest.MonkeyPatch
    ):
        container = mirrored
        run(instance, "webhook_subscriptions")
        began = utc_now()
        now = began + 30 * MINUTE
        uids = [happen(container, "accepted", began + n * MINUTE) for n in range(1, 7)]
        for n, uid in enumerate(uids):
            arrive(container.database, uid, began + (n + 1) * MINUTE)
        container.subscriptions.sweep.looked(now - MINUTE)
        monkeypatch.setattr(sensors, "utc_now", lambda: now)
        monkeypatch.setattr(subscriptions, "utc_now", lambda: now)
        looked = sensor_named("changed_bookings")(
            dg.build_sensor_context(instance=instance, cursor=str(began), definitions=defs)
        )
        assert isinstance(looked, dg.SkipReason)
        assert looked.skip_message == "No look yet; deliveries arrive: the last 6 changes were named by one"
        (check,) = run(instance, "webhook_subscriptions").get_asset_check_evaluations()
        assert (check.passed, check.metadata["changes lost"].value) == (True, 0)

        happen(container, "cancelled", began + 20 * MINUTE, created_at=began - 9 * MINUTE)
        sensor_named("changed_bookings")(
            dg.build_sensor_context(instance=instance, cursor=str(began), definitions=defs)
        )
        assert container.subscriptions.sweep.looked_at() == now
        (check,) = run(instance, "webhook_subscriptions").get_asset_check_evaluations()
        assert (check.passed, check.metadata["changes lost"].value, check.metadata["lost %"].value) == (False, 1, 14.3)


class TestFindings:
    @pytest.mark.parametrize(
        ("status", "columns", "kinds"),
        [
            ("accepted", {}, {"created"}),
            ("cancelled", {}, {"created", "cancelled"}),
            ("rejected", {}, {"created", "rejected"}),
            ("cancelled", {"series": "r"}, {"created"}),  # one delivery names the whole series
            ("cancelled", {"moved_to": "u"}, {"created"}),  # the delivery names the booking that took its place
        ],
    )
    def test_what_has_to_be_delivered(
        self, subscribed: Container, status: str, columns: dict[str, str], kinds: set[str]
    ):
        group, now = subscribed.subscriptions, utc_now()
        happen(subscribed, status, now + MINUTE, **columns)
        assert group.findings.note(since=now, now=now + 2 * MINUTE) == len(kinds)
        assert group.findings.note(since=now, now=now + 2 * MINUTE) == 0
        found = group.findings.unnamed(since=now, before=now + 2 * MINUTE, limit=10)
        assert {change.kind for change in found} == kinds

    def test_what_changed_before_it_was_subscribed_is_held_against_nobody(self, subscribed: Container):
        group, now = subscribed.subscriptions, utc_now()
        happen(subscribed, "accepted", now - MINUTE)
        assert group.findings.note(since=now - 60 * MINUTE, now=now + MINUTE) == 0

    def test_a_delivery_names_the_new_booking_and_the_one_before_it(self, subscribed: Container):
        now = utc_now()
        deliveries = PostgresDeliveries(subscribed.database)
        arrive(subscribed.database, "new", now, old_uid="old")
        assert (deliveries.seen("new", now), deliveries.seen("old", now), deliveries.seen("old", now + MINUTE)) == (
            now,
            now,
            None,
        )

    def test_they_have_a_lifetime(self, subscribed: Container):
        group, now = subscribed.subscriptions, utc_now()
        happen(subscribed, "accepted", now + MINUTE)
        group.findings.note(since=now, now=now + 2 * MINUTE)
        (lifetime,) = [one for one in subscribed.maintenance.lifetimes if one.records.kind == "changes to be delivered"]
        assert lifetime.records.forget(before=now, limit=10) == 0
        assert lifetime.records.forget(before=now + 2 * MINUTE, limit=10) == 1
