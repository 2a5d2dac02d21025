"""The report over real tables: what it says, what it costs, what must not stand in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from pydantic import SecretStr

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.reports.models import AccountReport
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.bootstrap.reports import report_of
from calcom_pipeline.domain.redaction import know_secrets
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.local import Servers
from calcom_pipeline.settings import Settings
from calcom_pipeline.web.report.page import PageOptions, report_page
from tests.support.commands import command, said
from tests.support.report_world import ATTENDEE, FAILURE, HOSTILE, busy, in_sync, in_trouble
from tests.support.web import asking

NOW = datetime.now(UTC)
WEEK = NOW.date() + timedelta(days=7)
NOWHERE = "http://127.0.0.1:9/v2"  # nothing listens there: whatever asks Cal.com fails
KEY = "cal_live_0123456789abcdef"


@pytest.fixture
def settings(servers: Servers, schema_name: str, redis_url: str) -> Settings:
    return Settings(
        api_key=SecretStr(KEY),
        base_url=NOWHERE,
        database_url=SecretStr(servers.database_url),
        redis_url=SecretStr(redis_url),
        dagster_pg_url=SecretStr(servers.database_url),  # where no Dagster has run, unlike in that of other tests
        database_schema=schema_name,
        apply="auto",
        webhook_url="https://hooks.example.org/webhooks/calcom",
        webhook_secret=SecretStr("the-webhook-secret"),
        ui_url="https://dagster.example.org/",
    )


@pytest.fixture
def variables(servers: Servers, schema_name: str, redis_url: str) -> dict[str, str]:
    return {
        "CALCOM_ENV_FILE": "",
        "CALCOM_API_KEY": KEY,
        "CALCOM_BASE_URL": NOWHERE,
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": redis_url,
        "DAGSTER_PG_URL": servers.database_url,
        "CALCOM_DATABASE_SCHEMA": schema_name,
    }


@pytest.fixture
def container(settings: Settings, database: Database, redis_client: redis.Redis) -> Iterator[Container]:
    with ready_container(settings) as opened:
        yield opened


@pytest.fixture
def made(container: Container, database: Database) -> AccountReport:
    """The report of an account with a bit of everything."""
    in_trouble(database, NOW)
    busy(database, NOW)
    return report_of(container, now=NOW)


def test_an_empty_account_has_a_report(container: Container):
    made = report_of(container, now=NOW)
    assert made.headline.verdict == "unknown"
    page = report_page(made, PageOptions.of(container.settings))
    assert "have not been read" in page


def test_every_service_stands_as_it_is(made: AccountReport):
    assert made.counts == {"parked": 1, "failed": 1, "conflict": 2, "refused": 4, "pending": 5, "in_sync": 27}
    assert made.headline.verdict == "asking"
    standing = {one.service_id: (one.standing, str(one.reason)) for one in made.services}
    assert standing["12"] == ("failed", FAILURE)
    assert standing["13"] == ("parked", "its event type is gone")
    assert standing["3"] == ("refused", "its duration of 0 minutes is not between 1 and 1440")


def test_what_waits_and_what_is_late_is_told(made: AccountReport):
    assert [concern.code for concern in made.concerns] == ["facts_late", "quarantined", "webhooks_wrong"]
    assert {one.what: one.read_at for one in made.reads} == dict.fromkeys(
        ("Event types", "Bookings", "Free starts"), NOW - timedelta(minutes=2)
    )
    assert made.plan is not None
    assert (made.open_plan, made.plan.held["hide"].code) == ("20261201-080000-0badcafe", "brake_hide")
    assert (made.webhooks.right, made.webhooks.deliveries) == (1, {"done": 41})


def test_bookings_and_free_starts_are_counted_as_the_tables_have_them(made: AccountReport, database: Database):
    with database.transaction("Testing") as cursor:
        cursor.execute("SELECT count(*) FROM bookings")
        assert sum(one.bookings for one in made.pictures.bookings) == cursor.fetchall()[0][0]
        # Of two event types the starts do not count: one has another length by now, one is gone.
        cursor.execute("DELETE FROM slots WHERE event_type_id IN (1001, 1012)")
        cursor.execute("SELECT sum(cardinality(starts)) FROM slots")
        assert sum(one.starts for one in made.pictures.days) == cursor.fetchall()[0][0]
        cursor.execute("SELECT count(*) FROM slots, unnest(starts) start WHERE day < %s AND start > %s", (WEEK, NOW))
        assert sum(one.starts for one in made.pictures.hours) == cursor.fetchall()[0][0]
    assert all(9 <= one.hour <= 17 and one.weekday < 5 for one in made.pictures.hours)  # in Berlin, not in UTC


def test_a_start_without_a_seat_and_one_of_another_length_are_not_free(container: Container, database: Database):
    in_sync(database, NOW, services=1)
    tomorrow = NOW.date() + timedelta(days=1)
    starts = [datetime(tomorrow.year, tomorrow.month, tomorrow.day, hour, tzinfo=UTC) for hour in (9, 10, 11)]
    with database.transaction("Testing") as cursor:
        for minutes, seats in ((30, [[0, 3], [2, 3], [-1, 3]]), (60, None)):
            cursor.execute(
                "INSERT INTO slots VALUES (1001, %s, 'UTC', %s, %s, %s, %s)",
                (minutes, tomorrow, starts, None if seats is None else json.dumps(seats), NOW),
            )
    pictures = report_of(container, now=NOW).pictures
    assert [(one.day, one.starts) for one in pictures.days] == [(tomorrow, 1)]
    assert [(one.weekday, one.hour, one.starts) for one in pictures.hours] == [(tomorrow.weekday(), 10, 1)]


def test_a_booking_counts_on_its_day_in_the_business_s_zone(settings: Settings, database: Database):
    late = datetime(2026, 12, 1, 23, 30, tzinfo=UTC)  # half past midnight in Berlin
    with database.transaction("Testing") as cursor:
        for uid, gone in (("a", None), ("b", late)):
            cursor.execute(
                "INSERT INTO bookings (uid, id, status, title, starts_at, ends_at, cancellation_reason, absent_host,"
                " raw, payload_hash, read_started_at, deleted_at)"
                " VALUES (%s, 1, 'accepted', '', %s, %s, '', false, '{}', '', %s, %s)",
                (uid, late, late, late, gone),
            )
    with ready_container(settings.model_copy(update={"default_time_zone": "Europe/Berlin"})) as container:
        pictures = report_of(container, now=late).pictures
    assert [(one.day, one.bookings) for one in pictures.bookings] == [(date(2026, 12, 2), 1)]


def test_a_service_that_was_just_written_is_in_sync_before_cal_com_is_read_again(
    container: Container, database: Database
):
    in_sync(database, NOW, services=2)
    with database.transaction("Testing") as cursor:
        cursor.execute("UPDATE services SET name = 'New' WHERE id = 1")
        cursor.execute(
            "UPDATE service_links SET base = base || '{\"title\": \"New\"}', changed_at = %s WHERE service_id = '1'",
            (NOW,),
        )
    assert report_of(container, now=NOW).headline.verdict == "in_sync"


class TestThePage:
    def test_it_names_nobody_who_booked_and_holds_no_secret(self, made: AccountReport, settings: Settings):
        page = report_page(made, PageOptions.of(settings))
        told = str(asdict(made))
        for secret in (ATTENDEE, "carol", KEY, "the-webhook-secret", settings.database_url.get_secret_value()):  # type: ignore[union-attr]
            assert secret not in page
            assert secret not in told

    def test_a_secret_in_a_name_is_taken_out(self, container: Container, database: Database):
        know_secrets(["hunter2-hunter2"])
        in_sync(database, NOW, services=1)
        with database.transaction("Testing") as cursor:
            cursor.execute("UPDATE services SET name = 'Massage hunter2-hunter2'")
        page = report_page(report_of(container, now=NOW), PageOptions())
        assert "hunter2" not in page
        assert "Massage [redacted]" in page

    def test_names_become_no_markup_and_no_script(self, made: AccountReport):
        page = report_page(made, PageOptions())
        assert HOSTILE not in page
        assert "&lt;script&gt;document.title" in page
        assert len(re.findall("<script", page)) == 2  # the data, and ours

    def test_the_data_is_what_the_report_says(self, made: AccountReport):
        data = data_of(report_page(made, PageOptions()))
        assert len(data["rows"]) == 40
        names = {row[0]: row[1] for row in data["rows"]}
        assert names["2"] == HOSTILE
        (failed,) = [row for row in data["rows"] if data["standings"][row[4]][0] == "failed"]
        assert data["texts"][failed[5]] == FAILURE
        assert data["remedies"][failed[6]][1][0][1] == "calcom-pipeline resolve --retry {service}"

    def test_nothing_in_it_is_loaded_from_anywhere(self, made: AccountReport, settings: Settings):
        page = report_page(made, PageOptions.of(settings))
        assert re.findall(r'(?:src|srcset|action)\s*=\s*"[^"]*"', page) == []
        assert "@import" not in page
        assert "url(" not in page
        links = set(re.findall(r'(?:href|xlink:href)="([^"#][^"]*)"', page))
        assert links == {"data:,", "https://dagster.example.org"}

    def test_rows_past_the_bound_are_left_out_and_told(self, made: AccountReport):
        page = report_page(made, PageOptions(rows=15))
        rows = data_of(page)["rows"]
        assert len(rows) == 15
        assert [row[0] for row in rows[:2]] == ["13", "12"]  # the worst are in it
        assert "25 more are not listed here" in page


def test_the_page_of_serve_shows_what_the_service_knows_without_a_call(container: Container, database: Database):
    in_trouble(database, NOW)
    with asking(CalcomService(container)) as asker:
        answer = asker.get("/")
    assert answer.status == 200
    assert "Not in sync: 1 service is parked, 1 failed" in answer.raw.decode()
    assert len(data_of(answer.raw.decode())["rows"]) == 40


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return orjson.loads(found[1])


class TestTheCommand:
    def test_it_says_the_answer_first_and_writes_the_page(
        self, variables: dict[str, str], database: Database, redis_client: redis.Redis, tmp_path: Path
    ):
        in_trouble(database, NOW)
        target = tmp_path / "report.html"
        target.write_text("an older one")
        done = command("report", "--html", str(target), environment=variables)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Not in sync: 1 service is parked, 1 failed, ")
        assert "Brochure" in done.stdout
        assert f"Written: {target}" in done.stdout
        assert target.read_text().startswith("<!doctype html>")
        assert list(tmp_path.iterdir()) == [target]

    def test_the_page_can_go_to_standard_output(
        self, variables: dict[str, str], database: Database, redis_client: redis.Redis
    ):
        done = command("report", "--html", "-", environment=variables)
        assert done.stdout.startswith("<!doctype html>")
        assert done.stdout.rstrip().endswith("</html>")

    def test_a_program_gets_all_of_it_as_json(
        self, variables: dict[str, str], database: Database, redis_client: redis.Redis
    ):
        in_trouble(database, NOW)
        done = command("report", "--json", environment=variables)
        told = json.loads(done.stdout)
        assert (told["schema_version"], told["command"], told["headline"]["verdict"]) == (1, "report", "asking")
        assert told["counts"]["failed"] == 1
        failed = next(one for one in told["services"] if one["standing"] == "failed")
        assert failed["reason"] == {"sentence": FAILURE, "code": "rejected"}

    def test_a_file_that_cannot_be_written_is_told(
        self, variables: dict[str, str], database: Database, redis_client: redis.Redis, tmp_path: Path
    ):
        done = command("report", "--html", str(tmp_path / "no" / "report.html"), environment=variables)
        assert done.returncode == 3
        assert "cannot be written" in said(done)
