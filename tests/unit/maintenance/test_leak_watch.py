"""The watch over the run must be able to see a leak."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calcom_pipeline.domain.errors import Exchange, Rejected
from tests.support import leaks

CHECKOUT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "text",
    [
        "Bearer cal_0123456789abcdef",
        "cal_live_0123456789abcdef",
        "to jo.doe+x@example.org!",
        "attendeeEmail=jo%40example.org",
    ],
)
def test_a_key_or_an_address_is_seen_and_not_shown(text: str):
    (shown,) = leaks.leaks_of([("somewhere", text)])
    assert shown.startswith("somewhere: ")
    assert not any(part in shown for part in ("0123456789", "example"))


@pytest.mark.parametrize("text", ["__repository__@calcom_pipeline", "calcom_pipeline.calls", "3 @ 5"])
def test_what_only_looks_alike_is_not(text: str):
    assert leaks.leaks_of([("somewhere", text)]) == []


def test_logs_and_errors_are_heard():
    try:
        {}["jo@example.org"]
    except KeyError:
        logging.getLogger("somebody.else").exception("in a traceback")
    logging.getLogger("calcom_pipeline.testing").debug("sent to %s", "jo@example.org")
    Rejected("no", exchange=Exchange("Testing", body="key cal_0123456789abcdef"))
    seen = leaks.leaks_of(leaks._written)
    leaks.forget()
    assert [one.split(":")[0] for one in seen] == [
        "log of somebody.else",
        "log of calcom_pipeline.testing",
        "body of Rejected",
    ]


def test_what_processes_say_is_heard():
    subprocess.run([sys.executable, "-c", "print('to jo@example.org')"], capture_output=True, check=True)
    seen = leaks.leaks_of(leaks._written)
    leaks.forget()
    assert [one.split(":")[0] for one in seen] == ["output of a process"]


# --- the watch as pytest runs it -----------------------------------------------------------------------------

#: One test per way of leaking; each must fail, the last in the end of the run.
LEAKING = """
import psycopg
from calcom_pipeline.domain.errors import PipelineError


def test_error():
    PipelineError("jo@example.org")

def test_table_of_the_fixture(database):
    with database.transaction("Testing") as cursor:
        cursor.execute("INSERT INTO services (name, slug, duration_minutes) VALUES ('jo@example.org', 'a', 5)")

def test_table_that_a_command_made(servers, no_schema, environment):
    with psycopg.connect(servers.database_url) as connection:
        schema = environment["CALCOM_DATABASE_SCHEMA"]
        connection.execute(f'CREATE SCHEMA "{schema}"')
        connection.execute(f'CREATE TABLE "{schema}".notes AS SELECT 12 AS number, $$jo@example.org$$ AS said')

def test_redis(redis_client):
    redis_client.rpush("a", "jo@example.org")

def test_mirror_is_meant_to(servers, no_schema, schema_name, environment):
    with psycopg.connect(servers.database_url) as connection:
        connection.execute(f'CREATE SCHEMA "{schema_name}"')
        connection.execute(f'CREATE TABLE "{schema_name}".booking_attendees AS SELECT $$jo@example.org$$ AS said')

def test_zzz_dagsters_storage_and_log_files(servers, tmp_path):
    with psycopg.connect(servers.dagster_pg_url.replace("+psycopg2", "")) as connection:
        connection.execute("CREATE TABLE event_logs AS SELECT 'jo@example.org' AS event")
    (tmp_path / "step.err").write_text("jo@example.org")
"""


#: Nobody asks it anything.
SMALL_SANDBOX = """
@pytest.fixture(scope="session")
def sandbox():
    with serve_sandbox("generated", event_types=1, teams=0, bookings=0, in_thread=True) as running:
        yield running
"""


@pytest.mark.timeout(120)
def test_every_way_of_leaking_fails_the_run(tmp_path: Path):
    here = tmp_path / "tests"
    here.mkdir()
    (here / "conftest.py").write_text((CHECKOUT / "tests" / "conftest.py").read_text() + SMALL_SANDBOX)
    (here / "test_leaking.py").write_text(LEAKING)
    asked = ["-q", "-rEfp", "--tb=line", "-p", "no:cacheprovider", "-p", "no:valkey", "--import-mode=importlib"]
    asked += ["-c", os.devnull, "--rootdir", str(here), "--basetemp", str(tmp_path / "base"), str(here)]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *asked],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout is not None
        told = run.stdout.read()  # not by `communicate`: the run tells of leaks that were made on purpose
    shutil.rmtree(tmp_path / "base")  # ... and leaves them in its files
    assert run.returncode == 1, told
    failed = {line.split("::")[1].split(" ")[0] for line in told.splitlines() if line.startswith("ERROR ")}
    assert failed == {
        "test_error",
        "test_table_of_the_fixture",
        "test_table_that_a_command_made",
        "test_redis",
        "test_zzz_dagsters_storage_and_log_files",
    }, told
    (last,) = [line for line in told.splitlines() if line.startswith("ERROR ") and "test_zzz" in line]
    assert "table public.event_logs" in told, last
    assert "step.err" in told
    assert "jo@" not in "".join(line for line in told.splitlines() if line.startswith("ERROR "))
