"""The embedded servers under kill storms, at full size: what was acknowledged is there, and nothing stays behind."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from calcom_pipeline import local
from calcom_pipeline.local import places, processes
from calcom_pipeline.local.folder import Folder
from calcom_pipeline.local.processes import Mark

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[3]
PROGRAMS = frozenset({"postgres", "valkey-server", "initdb"})
STORM_SECONDS = 60
SEEDS = (1, 2, 3)

# Joins again and again; says every number that both servers have acknowledged. Losing a connection is the
# storm's doing; that a join fails would be ours.
WRITER = """
import itertools, sys, time
from pathlib import Path
import psycopg, redis
from calcom_pipeline import local
name, end = sys.argv[2], time.monotonic() + float(sys.argv[3])
for number in itertools.count():
    if time.monotonic() > end:
        break
    with local.join(Path(sys.argv[1]), durable=False, linger_seconds=0.2) as servers:
        try:
            with psycopg.connect(servers.database_url, autocommit=True) as connection:
                connection.execute("INSERT INTO numbers VALUES (%s)", [f"{name}-{number}"])
            with redis.Redis.from_url(servers.redis_url, retry=None) as client:
                client.sadd("numbers", f"{name}-{number}")
        except (psycopg.OperationalError, redis.ConnectionError):
            continue
        print(f"{name}-{number}", flush=True)
"""

JOIN = """
import random, sys, time
from pathlib import Path
from calcom_pipeline import local
for _ in range(int(sys.argv[2])):
    time.sleep(random.uniform(0, 2 * float(sys.argv[4])))
    with local.join(Path(sys.argv[1]), durable=False, linger_seconds=float(sys.argv[3])) as servers:
        assert local.status(Path(sys.argv[1])) == servers
        print(servers.owner_pid)
"""


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill(pid: int | None) -> None:
    """Kill one of ours; it may have gone since it was found."""
    if pid:
        processes.signal_process(pid, signal.SIGKILL, lambda: True)


def server_pids(data: Path) -> list[int]:
    return [pid for part in places.PARTS for pid in processes.find(Mark(data / part, PROGRAMS))]


@pytest.fixture
def data() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="local-"))
    place.chmod(0o711)
    yield place / "data"
    local.remove(place / "data")
    shutil.rmtree(place)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_minute_of_kills_loses_nothing_that_was_acknowledged(data: Path, seed: int) -> None:
    """Owner, postmaster, backends, Valkey and users are killed at random moments, the servers stopped by force."""
    with (
        local.join(data, durable=False, linger_seconds=0.2) as servers,
        psycopg.connect(servers.database_url) as connection,
    ):
        connection.execute("CREATE TABLE numbers (number text PRIMARY KEY)")
    writers = [python(WRITER, data, f"writer{n}", STORM_SECONDS) for n in range(3)]
    killed = rage(data, random.Random(seed), STORM_SECONDS - 5)
    said = [writer.communicate() for writer in writers]
    assert [error for _, error in said if error] == []
    acknowledged = {number for out, _ in said for number in out.split()}
    with local.join(data, durable=False, linger_seconds=0.2) as servers:
        with psycopg.connect(servers.database_url) as connection:
            stored = {row[0] for row in connection.execute("SELECT number FROM numbers")}
        with redis.Redis.from_url(servers.redis_url, decode_responses=True) as client:
            remembered = client.smembers("numbers")
    print(f"seed {seed}: {len(acknowledged)} numbers acknowledged, killed {killed}")
    assert len(acknowledged) > STORM_SECONDS
    assert acknowledged - stored == set()
    assert acknowledged - remembered == set()
    deadline = time.monotonic() + 15
    while Path(f"/proc/{servers.owner_pid}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server_pids(data) == []


def rage(data: Path, chance: random.Random, seconds: float) -> dict[str, int]:
    killed = {"owner": 0, "server": 0, "everything": 0, "down": 0, "user": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(chance.expovariate(2.0))
        victim = chance.choices(list(killed), weights=[3, 6, 2, 1, 1])[0]
        killed[victim] += 1
        match victim:
            case "owner":
                kill(Folder(data).owner())
            case "server":
                kill(chance.choice(server_pids(data) or [0]))
            case "everything":
                for pid in [Folder(data).owner(), *server_pids(data)]:
                    kill(pid)
            case "down":
                local.down(data, force=True)
            case _:
                with python(JOIN, data, 5, 0, 0) as user:
                    time.sleep(chance.random())
                    user.kill()
    return killed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_first_start_may_be_killed_at_any_moment(data: Path, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(12):
        with python(JOIN, data, 1, 0.2, 0) as starter:
            time.sleep(chance.uniform(0.0, 1.5))
            kill(Folder(data).owner())
            if chance.random() < 0.5:
                starter.kill()
            for pid in server_pids(data):
                kill(pid if chance.random() < 0.7 else 0)
            _, error = starter.communicate()
            assert error == ""
        if chance.random() < 0.5:
            local.remove(data)
    with local.join(data, durable=False, linger_seconds=0.2) as servers:
        assert local.status(data) == servers
    assert not (data / "postgres.new").exists()


def test_a_hundred_joins_by_each_of_four_meet_every_moment_of_stopping(data: Path) -> None:
    starts = [python(JOIN, data, 100, 0, 0.2) for _ in range(4)]
    said = [start.communicate() for start in starts]
    assert [error for _, error in said if error] == []
    owners = {pid for out, _ in said for pid in out.split()}
    print(f"400 joins met {len(owners)} owners")
    assert len(owners) > 20


def test_eight_starts_at_once_twenty_times(data: Path) -> None:
    for _ in range(20):
        starts = [python(JOIN, data, 1, 0, 0) for _ in range(8)]
        assert [error for _, error in (start.communicate() for start in starts) if error] == []
        local.remove(data)
