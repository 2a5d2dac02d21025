"""What stands before Dagster starts: its home, its database, its variables; and `up`, which starts it."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
from calcom_pipeline.adapters.postgres.dagster_storage import dagster_url
from calcom_pipeline.bootstrap import dagster_instance as hosting
from calcom_pipeline.bootstrap import joined_servers
from calcom_pipeline.bootstrap.dagster_instance import dagster_environment, dagster_home, workspace
from calcom_pipeline.bootstrap.joined_servers import JoinedServers
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.settings import Settings, load_settings
from tests.support.commands import CHECKOUT, command, said
from tests.support.databases import own_database

UP_SECONDS = 90
#: Of the sandbox beside embedded servers.
SMALL_ACCOUNT = {"CALCOM_SANDBOX_BOOKINGS": "1", "CALCOM_SANDBOX_EVENT_TYPES": "1"}


@pytest.fixture
def own_url(servers: local.Servers, schema_name: str) -> Iterator[str]:
    """The URL of a database beside the shared one, which may get a `_dagster` of its own."""
    with own_database(servers, schema_name) as url:
        yield url


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for embedded servers, which are started when a test of this module asks for them."""
    folder = tmp_path_factory.mktemp("embedded") / "data"
    yield folder
    local.down(folder, force=True)
    local.remove(folder)


class TestDagstersDatabase:
    def test_beside_a_given_database_it_is_made_once_with_the_driver_dagster_needs(self, own_url: str):
        first, second = (dagster_url(own_url, create=True) for _ in range(2))
        assert first == second
        assert first.startswith("postgresql+psycopg2://")
        with psycopg.connect(first.replace("+psycopg2", "")) as connection:
            assert connection.info.dbname.endswith("_dagster")

    def test_a_given_one_is_only_spelled_for_dagster(self):
        address, _, bounds = dagster_url("postgresql://u:p@host/x", create=False).partition("?")
        assert address == "postgresql+psycopg2://u:p@host/x"
        names = {part.split("=")[0] for part in bounds.split("&")}
        assert names == set(DatabaseBounds().connection_options()), "how long is waited, and nothing else"

    def test_who_may_not_create_it_is_told_which_statement_to_ask_for(self, own_url: str):
        with psycopg.connect(own_url, autocommit=True) as connection:
            connection.execute(
                "DO $$ BEGIN CREATE ROLE pauper; GRANT pauper TO CURRENT_USER; "
                "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            )
        with pytest.raises(StoreError, match="needs a database of its own") as refused:
            dagster_url(own_url + "&options=-crole%3Dpauper", create=True)
        assert re.search(r'CREATE DATABASE "\w+_dagster", or set DAGSTER_PG_URL', refused.value.advice)

    def test_an_embedded_database_has_one_already(self, in_environment: dict[str, str], data_folder: Path, monkeypatch):
        for name in ("DATABASE_URL", "DAGSTER_PG_URL"):
            monkeypatch.delenv(name)
        for name, value in {"CALCOM_DATA_DIR": str(data_folder), **SMALL_ACCOUNT}.items():
            monkeypatch.setenv(name, value)
        with dagster_environment(load_settings()) as (variables, container):
            assert variables["DAGSTER_PG_URL"] == container.endpoints.servers.dagster_pg_url
            assert container.reports.overview.counts().bookings == 0

    def test_beside_a_given_database_its_variables_name_the_one_made(
        self, in_environment: dict[str, str], own_url: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.delenv("DAGSTER_PG_URL")
        monkeypatch.setenv("DATABASE_URL", own_url)
        with dagster_environment(load_settings()) as (variables, _):
            assert "_dagster?" in variables["DAGSTER_PG_URL"]


class TestDagstersHome:
    def test_in_a_checkout_it_is_the_checkouts(self):
        assert dagster_home(load_settings({})) == CHECKOUT / "dagster_home"
        assert workspace() == CHECKOUT / "workspace.yaml"

    def test_one_that_is_set_is_kept(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        assert dagster_home(load_settings({})) == tmp_path

    def test_an_installed_wheel_makes_one_beside_its_data(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        shipped = tmp_path / "package" / "_shipped"
        shipped.mkdir(parents=True)
        (shipped / "dagster.yaml").write_text("storage: {}\n")
        monkeypatch.setattr(hosting, "in_checkout", lambda: False)
        monkeypatch.setattr(hosting.resources, "files", lambda _: tmp_path / "package")
        home = dagster_home(load_settings({"CALCOM_DATA_DIR": str(tmp_path / "data")}))
        assert (home / "dagster.yaml").read_text() == "storage: {}\n"
        assert workspace() == shipped / "workspace.yaml"


def test_a_wheel_holds_what_it_needs_outside_a_checkout(tmp_path: Path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"calcom_pipeline/_shipped/sql/{file.name}" for file in (CHECKOUT / "sql").iterdir()}
    shipped |= {f"calcom_pipeline/_shipped/{name}" for name in ("dagster.yaml", "workspace.yaml")}
    package = CHECKOUT / "calcom_pipeline"
    shipped |= {str(file.relative_to(CHECKOUT)) for file in package.rglob("*") if file.suffix in (".py", ".lua")}
    assert shipped <= held


def test_the_locks_name_exact_versions_and_no_place():
    for name in ("requirements.lock", "requirements-dev.lock"):
        for line in (CHECKOUT / name).read_text().splitlines():
            assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==[\w.+!-]+( ; .+)?", line), line


class TestJoinedServers:
    """What `up` does about the embedded servers; the proof kills their owner under a whole `up`."""

    @pytest.fixture
    def settings(self, data_folder: Path) -> Settings:
        """Of a data folder in which nothing runs."""
        local.down(data_folder, force=True)
        return load_settings({"CALCOM_ENV_FILE": "", "CALCOM_DATA_DIR": str(data_folder), **SMALL_ACCOUNT})

    def test_when_their_owner_is_killed_that_is_noticed_and_they_are_joined_again(self, settings: Settings):
        said: list[tuple[str, float]] = []
        moved: list[str] = []
        note = lambda what: said.append((what, time.monotonic()))  # noqa: E731
        with hosting.open_container(settings) as container:
            before = container.endpoints.servers
            assert before is not None
            with JoinedServers(settings, before.dagster_pg_url, say=note, moved=moved.append):
                os.kill(before.owner_pid, signal.SIGKILL)
                killed = time.monotonic()
                while len(said) < 2:
                    assert time.monotonic() - killed < UP_SECONDS
                    time.sleep(0.05)
            now = local.status(before.data)
        assert now is not None
        assert now.owner_pid != before.owner_pid
        assert ["gone" in said[0][0], "answer again" in said[1][0]] == [True, True]
        assert said[0][1] - killed < 10
        assert (moved, now.dagster_pg_url) == ([], before.dagster_pg_url)

    def test_another_address_is_told(self, settings: Settings, data_folder: Path):
        moved: list[str] = []
        joined = JoinedServers(settings, "postgresql+psycopg2://elsewhere", say=lambda _: None, moved=moved.append)
        joined._look()
        servers = local.status(data_folder)
        assert servers is not None
        assert moved == [servers.dagster_pg_url]
        joined._joined.close()

    def test_servers_that_do_not_start_are_tried_again_later(self, settings: Settings, monkeypatch):
        said: list[str] = []
        tried = threading.Event()

        def refuse(*_: object, **__: object) -> None:
            raise local.LocalServerError("No room left")

        monkeypatch.setattr(joined_servers, "_LOOK_SECONDS", 0.01)
        monkeypatch.setattr(local, "join", refuse)
        note = lambda what: (said.append(what), tried.set() if len(said) >= 4 else None)  # noqa: E731
        with JoinedServers(settings, "", say=note, moved=lambda _: None):
            assert tried.wait(10)
        assert said[1] == "No room left; tried again in 0.02 s"
        assert said[3] == "No room left; tried again in 0.04 s"


class TestUp:
    def variables(self, environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
        home = tmp_path / "home"
        home.mkdir()
        (home / "dagster.yaml").write_text((CHECKOUT / "dagster_home" / "dagster.yaml").read_text())
        covered = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        mine = {"DAGSTER_HOME": str(home), "CALCOM_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(CHECKOUT)}
        return {"PATH": os.environ["PATH"], **covered, **environment, **mine}

    def started(self, variables: dict[str, str], *options: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "calcom_pipeline.cli", "up", *options]
        return subprocess.Popen(argv, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_two_for_one_data_folder_would_fire_every_sensor_twice(self, environment: dict[str, str], tmp_path: Path):
        variables = self.variables(environment, tmp_path)
        (tmp_path / "data" / "log").mkdir(parents=True)
        with (tmp_path / "data" / "log" / "up.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            second = command("up", "--port", str(free_port()), environment=variables)
        assert (second.returncode, second.stdout) == (exit_codes.CONFIGURATION, "")
        assert "is running already" in said(second)

    def test_a_port_that_is_taken_is_named_before_anything_starts(self, environment: dict[str, str], tmp_path: Path):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            refused = command("up", "--port", str(port), environment=self.variables(environment, tmp_path))
        assert refused.returncode == exit_codes.CONFIGURATION
        assert f"Port {port} at 127.0.0.1 cannot be used" in said(refused)
        assert not (tmp_path / "data").exists()

    @pytest.mark.proof
    def test_it_serves_until_ctrl_c_and_leaves_nothing_behind(self, environment: dict[str, str], tmp_path: Path):
        port = free_port()
        with self.started(self.variables(environment, tmp_path), "--port", str(port)) as up:
            wait_until_it_listens(port)
            up.send_signal(signal.SIGINT)
            out, err = up.communicate(timeout=UP_SECONDS)
        assert up.returncode == 0, err
        assert f"Dagster UI: http://127.0.0.1:{port}" in out
        for page in ("assets/calcom/service_sync", "locations/calcom_pipeline/jobs/full_sync"):
            assert f"http://127.0.0.1:{port}/{page}\n" in out, "where to click first"
        assert not listens(port)

    def test_a_configuration_that_dagster_refuses_is_told_in_its_words(
        self, environment: dict[str, str], tmp_path: Path
    ):
        variables = self.variables(environment, tmp_path)
        (tmp_path / "home" / "dagster.yaml").write_text("nonsense: true\n")
        refused = command("up", "--port", str(free_port()), environment=variables)
        assert refused.returncode == exit_codes.CONFIGURATION, refused.stderr
        assert "nonsense" in said(refused)

    def test_postgresql_away_at_the_start_is_said_and_has_its_code(self, environment: dict[str, str], tmp_path: Path):
        nobody = {"DAGSTER_PG_URL": f"postgresql+psycopg2://user@127.0.0.1:{free_port()}/dagster"}
        variables = {**self.variables(environment, tmp_path), **nobody}
        refused = command("up", "--port", str(free_port()), environment=variables)
        assert refused.returncode == exit_codes.DATABASE
        assert "nothing listens at the address of the database" in said(refused)

    def test_a_folder_that_cannot_be_written_is_said_and_has_its_code(
        self, environment: dict[str, str], tmp_path: Path
    ):
        variables = {**self.variables(environment, tmp_path), "CALCOM_DATA_DIR": "/proc/sys/calcom"}
        refused = command("up", "--port", str(free_port()), environment=variables)
        assert refused.returncode == exit_codes.EMBEDDED
        assert "/proc/sys/calcom" in said(refused)

    def test_what_it_makes_is_closed_to_other_users(self, environment: dict[str, str], tmp_path: Path):
        """The folder itself may be passed where root's servers run as somebody else; nothing in it may be read."""
        nobody = {"DATABASE_URL": f"postgresql://user@127.0.0.1:{free_port()}/x"}
        variables = {**self.variables(environment, tmp_path), **nobody}
        (tmp_path / "data" / "log").mkdir(0o755, parents=True)  # as an earlier release made it
        command("up", "--port", str(free_port()), environment=variables)
        made = [tmp_path / "data" / "log", tmp_path / "data" / "log" / "dagster.log"]
        assert [oct(path.stat().st_mode & 0o077) for path in made] == ["0o0", "0o0"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while not listens(port):
        assert time.monotonic() < deadline, "did not come up"
        time.sleep(0.2)
