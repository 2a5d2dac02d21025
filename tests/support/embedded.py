"""Embedded servers of one test: folders for their data, and what is asked of them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from calcom_pipeline import local
from calcom_pipeline.local import Servers, places, processes
from calcom_pipeline.local.folder import Folder
from calcom_pipeline.local.processes import Mark

ROOT = Path(__file__).parents[2]
QUICK = {"durable": False, "linger_seconds": 0.3}
PROGRAMS = frozenset({"postgres", "valkey-server", "initdb"})


def python(
    code: str, *arguments: object, interpreter: str = sys.executable, **options: object
) -> subprocess.Popen[str]:
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **options.pop("env", {})}
    argv = [interpreter, "-c", code, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(argv, env=environment, **pipes, **options)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may pass, for the data folders of one test."""
    place = Path(tempfile.mkdtemp(prefix="local-"))
    place.chmod(0o711)
    yield place
    for folder in [Path(path) for path, _, files in os.walk(place) if "owner.lock" in files]:  # some just go away
        local.remove(folder)
    shutil.rmtree(place)


def write(servers: Servers, word: str) -> None:
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", [word])
    with redis.Redis.from_url(servers.redis_url) as client:
        client.rpush("words", word)


def words(servers: Servers) -> tuple[list[str], list[str]]:
    with psycopg.connect(servers.database_url) as connection:
        ours = [row[0] for row in connection.execute("SELECT word FROM words ORDER BY word")]
    with redis.Redis.from_url(servers.redis_url, decode_responses=True) as client:
        return ours, sorted(client.lrange("words", 0, -1))


def server_pids(data: Path) -> list[int]:
    """All processes of the servers that work for the data folder, wherever they live."""
    base = places.system_folder(Folder(data)) or data
    return [pid for part in places.PARTS for pid in processes.find(Mark(base / part, PROGRAMS))]


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A data folder to be copied, with the word "before" in it: a copy starts in a third of the time of a new one."""
    place = Path(tempfile.mkdtemp(prefix="local-"))
    place.chmod(0o711)
    with local.join(place / "data", **QUICK) as servers:
        write(servers, "before")
    local.down(place / "data")
    yield place / "data"
    local.remove(place / "data")
    place.rmdir()


@pytest.fixture(scope="session")
def used_data(template: Path) -> Iterator[Path]:
    """A data folder that tests may use one after the other."""
    place = Path(tempfile.mkdtemp(prefix="local-"))
    place.chmod(0o711)
    yield copied(template, place / "data")
    local.remove(place / "data")
    place.rmdir()


def copied(template: Path, to: Path) -> Path:
    """A data folder like the template, owners and all."""
    subprocess.run(["/bin/cp", "-a", template, to], check=True)
    return to


@pytest.fixture
def data(used_data: Path) -> Iterator[Path]:
    """The same folder for every test that asks, with nothing running in it."""
    local.down(used_data, force=True)
    yield used_data
    local.down(used_data, force=True)
