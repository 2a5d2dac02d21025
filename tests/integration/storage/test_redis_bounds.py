"""Every wait for Redis ends, as a whole; and a Redis that hangs, is full or only reads is called what it is."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.redis.breaker import BreakerRules, RedisBreaker
from calcom_pipeline.adapters.redis.connection import Client, RedisBounds, open_redis, redis_failures
from calcom_pipeline.adapters.redis.limiter.limiter import Budget, RedisRateLimiter
from calcom_pipeline.app.maintenance.health import Finding, examine
from calcom_pipeline.bootstrap import doctor
from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.domain.errors import CacheError, RateLimited
from calcom_pipeline.local import programs
from calcom_pipeline.local.probes import valkey_answers
from calcom_pipeline.local.values import VALKEY_SOCKET
from calcom_pipeline.settings import load_settings
from tests.support.commands import command
from tests.support.stalling import StallingProxy, before_redis

TOTAL = 0.6
SHORT = RedisBounds(TOTAL, pause_seconds=60)
#: A busy machine's share.
OVER = TOTAL + 3


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def read(client: Client) -> Any:
    with redis_failures("Reading"):
        return client.get("key")


# --- a line that stalls --------------------------------------------------------------------------------------


@pytest.fixture
def proxied(redis_url: str, redis_client: redis.Redis) -> Iterator[tuple[str, StallingProxy]]:
    with before_redis(redis_url) as (url, proxy):
        yield url, proxy


def connecting(client: Client, proxy: StallingProxy) -> None:
    proxy.stall()
    read(client)


def in_an_answer(client: Client, proxy: StallingProxy) -> None:
    assert read(client) is None
    proxy.stall()
    read(client)


def in_a_script(client: Client, proxy: StallingProxy) -> None:
    """Which is not known to the server yet: two questions in one operation."""
    script = client.register_script(f"return redis.call('GET', 'a') -- {time.monotonic()}")
    assert read(client) is None
    proxy.stall_before(b"SCRIPT")
    with redis_failures("Running a script"):
        script()


def in_a_pipeline(client: Client, proxy: StallingProxy) -> None:
    proxy.stall_before(b"needle")
    with redis_failures("Looking"):
        pipe: Any = client.pipeline(transaction=False)
        pipe.time()
        pipe.get("needle")
        pipe.execute()


WHERE = [connecting, in_an_answer, in_a_script, in_a_pipeline]


@pytest.mark.parametrize("where", WHERE)
def test_a_line_that_stalls_is_given_up_when_the_whole_operation_has_had_its_time(
    proxied: tuple[str, StallingProxy], where: Callable[[Client, StallingProxy], None]
):
    url, proxy = proxied
    with open_redis(url, RedisBounds(TOTAL, pause_seconds=0)) as client:
        with within(OVER), pytest.raises(CacheError, match="did not answer in time") as refused:
            where(client, proxy)
        assert refused.value.advice.startswith("Try again")
        proxy.flow()
        assert read(client) is None


def test_an_answer_that_drips_has_no_more_time_than_any_other(redis_url: str):
    """A byte every 0.1 s would keep a socket's own time-out from ever firing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def drip() -> None:
            client, _ = listener.accept()
            with client:
                while not over.wait(0.1):
                    try:
                        client.sendall(b"+")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        with open_redis(url, SHORT) as client, within(OVER), pytest.raises(CacheError):
            read(client)
        over.set()
        thread.join()


def test_one_that_hung_is_left_alone_for_a_while_so_that_nobody_else_waits(proxied: tuple[str, StallingProxy]):
    url, proxy = proxied
    with open_redis(url, SHORT) as client:
        with pytest.raises(CacheError):
            connecting(client, proxy)
        with within(TOTAL / 2):
            for _ in range(20):
                with pytest.raises(CacheError, match=r"left alone for another \d+ s") as refused:
                    read(client)
        assert refused.value.advice.startswith("Try again then")


def test_one_that_refuses_is_asked_again_at_once(redis_url: str):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open_redis(f"redis://127.0.0.1:{port}/0", SHORT) as client:
        for _ in range(3):
            with pytest.raises(CacheError, match="cannot be reached"):
                read(client)


def test_closing_waits_for_nothing(proxied: tuple[str, StallingProxy]):
    url, proxy = proxied
    with ExitStack() as stack:
        client = stack.enter_context(open_redis(url, SHORT))
        assert read(client) is None
        proxy.stall()
        began = time.monotonic()
    assert time.monotonic() - began < 0.5


# --- who depends on it ---------------------------------------------------------------------------------------

BUDGET = Budget(
    limit=60_000,
    safety=0,
    reserve=0,
    window_seconds=60,
    block_seconds=60,
    burst=50,
    longest_wait_seconds=5,
    arrival_seconds=1,
    processes=1,
)


def test_a_call_past_a_redis_that_hangs_waits_for_it_once_and_goes_on(proxied: tuple[str, StallingProxy]):
    url, proxy = proxied
    with open_redis(url, SHORT) as client, within(OVER):
        limiter = RedisRateLimiter(client, key_name="k", budget=BUDGET)
        breaker = RedisBreaker(client, key_name="k", rules=BreakerRules(5, 60, 2))
        proxy.stall()
        for _ in range(5):
            breaker.refuse_when_open("bookings")
            grant = limiter.acquire("sync")
            passage = breaker.enter("bookings", longest_seconds=1)
            breaker.report(passage, "ok")
            limiter.complete(grant, status=200, named_limit=None)
            assert grant.local


def test_nobody_is_told_to_try_again_in_no_time(proxied: tuple[str, StallingProxy]):
    """The wait for Redis had used up the caller's deadline, and a turn of its own was free."""
    url, proxy = proxied
    slow = Budget(**{name: getattr(BUDGET, name) for name in Budget.__slots__} | {"limit": 60, "processes": 8})
    with open_redis(url, SHORT) as client, within(OVER):
        limiter = RedisRateLimiter(client, key_name="k", budget=slow)
        proxy.stall()
        with pytest.raises(RateLimited) as refused:
            limiter.acquire("sync", deadline_seconds=TOTAL / 2)
    assert refused.value.retry_after > 1


# --- servers of its own --------------------------------------------------------------------------------------


@contextmanager
def valkey(folder: Path, *options: str) -> Iterator[tuple[str, int]]:
    """A Valkey of the test's own: its URL and its process id."""
    path = folder / VALKEY_SOCKET
    words = [
        str(programs.installed().valkey),
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--save",
        "",
        "--dir",
        str(folder),
        *options,
    ]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + 20
            while not valkey_answers(folder) and time.monotonic() < deadline:
                time.sleep(0.02)
            yield f"unix://{path}?db=0", running.pid
        finally:
            os.kill(running.pid, signal.SIGCONT)
            running.terminate()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Names of sockets are short."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="v") as folder:
        yield Path(folder)


def examined(url: str) -> Finding:
    settings = load_settings().model_copy(update={"redis_url": SecretStr(url), "redis_seconds": 1.0})
    with ready_container(settings) as container:
        (finding,) = examine([e for e in doctor.examinations(container) if e.check == "Redis"])
    return finding


def test_a_stopped_valkey_costs_a_command_seconds_and_no_more(
    environment: dict[str, str], database: Database, short_folder: Path
):
    with valkey(short_folder) as (url, pid):
        os.kill(pid, signal.SIGSTOP)
        stopped = environment | {"REDIS_URL": url, "CALCOM_REDIS_SECONDS": "1", "CALCOM_REDIS_PAUSE_SECONDS": "60"}
        with within(30):
            done = command("sync", "event-types", environment=stopped)
    assert done.returncode == exit_codes.OK, done.stderr


def fill(client: redis.Redis) -> None:
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        for number in range(100_000):
            client.set(f"f{number}", "x" * 1000)


def test_the_doctor_finds_a_full_redis_by_writing(in_environment: dict[str, str], short_folder: Path):
    with valkey(short_folder, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as (url, _):
        assert examined(url).verdict == "ok"
        with redis.Redis.from_url(url) as client:
            fill(client)
            client.config_set("maxmemory", "1mb")  # below what is stored: leaving gives back no room for a small value
        finding = examined(url)
    assert (finding.verdict, "Redis is full" in finding.finding) == ("problem", True)
    assert "maxmemory" in finding.finding


def test_the_doctor_finds_a_replica_by_writing(in_environment: dict[str, str], short_folder: Path):
    with valkey(short_folder) as (url, _):
        with redis.Redis.from_url(url) as client:
            client.replicaof("127.0.0.1", "1")
        finding = examined(url)
    assert (finding.verdict, "a replica that only reads" in finding.finding) == ("problem", True)
    assert "primary" in finding.finding


def test_a_user_who_may_not_ask_for_info_is_no_alarm(in_environment: dict[str, str], short_folder: Path):
    with valkey(short_folder) as (url, _):
        with redis.Redis.from_url(url) as client:
            client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~calcom:*", "+@all", "-info")
        finding = examined(url.replace("unix://", "unix://app:pw@"))
    assert finding.verdict == "ok", finding.finding
    assert "may not ask" in finding.finding


def test_a_full_redis_does_not_stop_slots_from_filling_postgresql(
    environment: dict[str, str], database: Database, short_folder: Path
):
    assert command("sync", "event-types", environment=environment).returncode == exit_codes.OK
    with valkey(short_folder, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as (url, _):
        with redis.Redis.from_url(url) as client:
            fill(client)
        full = environment | {"REDIS_URL": url, "CALCOM_MAX_PROCESSES": "1"}
        done = command("sync", "slots", environment=full)
    assert done.returncode == exit_codes.PARTIAL, done.stderr
    assert "not cached" in done.stdout
    assert "Redis is full" in done.stdout
    with database.transaction("Testing") as cursor:
        assert cursor.execute("SELECT count(*) > 0 FROM slots").fetchall() == [(True,)]
